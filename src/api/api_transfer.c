/* api_transfer.c: see api_transfer.h. */
#include "api/api_transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"

octet_status transfer_start(transfer *t, const octet_io *io, octet_error *error) {
    memset(t, 0, sizeof *t);
    t->io = io;
    t->whole = XXH3_createState();
    if (!t->whole)
        return error_memory(error, io->name, 576);
    XXH3_64bits_reset(t->whole);
    return OCTET_OK;
}

void transfer_finish(transfer *t) {
    XXH3_freeState(t->whole);
    free(t->entries);
}

octet_status transfer_add(transfer *t, const container_block *b, uint64_t position,
                          octet_error *error) {
    if (t->n_entries == t->entries_capacity) {
        size_t capacity = t->entries_capacity ? 2 * t->entries_capacity : 64;
        container_entry *larger = realloc(t->entries, capacity * sizeof *larger);
        if (!larger)
            return error_memory(error, "index", (double)capacity * sizeof *larger);
        t->entries = larger;
        t->entries_capacity = capacity;
    }
    t->entries[t->n_entries++] = (container_entry){position, b->content};
    return OCTET_OK;
}

void transfer_count(transfer *t, const container_block *b, const uint8_t *content) {
    if (content)
        XXH3_64bits_update(t->whole, content, b->content);
    t->report.blocks++;
    t->report.stored += b->kind == CONTAINER_STORED;
    t->report.content += b->content;
    t->report.payload += b->payload;
    if ((int)b->streams > t->report.streams)
        t->report.streams = (int)b->streams;
    if (t->io->progress)
        t->io->progress(t->io->context, t->report.content);
}

octet_status transfer_stopped(const transfer *t, octet_error *error) {
    if (!t->io->stop || !*t->io->stop)
        return OCTET_OK;
    return error_set(error, OCTET_STOPPED, "%s: stopped after %" PRIu64 " bytes", t->io->name,
                     t->report.content);
}

void transfer_swap(uint8_t *bytes, size_t n) {
    for (size_t i = 0; i + 1 < n; i += 2) {
        const uint8_t first = bytes[i];
        bytes[i] = bytes[i + 1];
        bytes[i + 1] = first;
    }
}

octet_status transfer_fingerprint(uint8_t out[16], octet_model *m, octet_error *error) {
    octet_status status = OCTET_OK;
    if (!*m->model->fingerprint)
        status = checkpoint_fingerprint(m->model, error);
    for (int i = 0; i < 16 && !status; i++) {
        unsigned byte = 0;
        sscanf(m->model->fingerprint + 2 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }
    return status;
}

void transfer_fingerprint_text(char out[33], const uint8_t bytes[16]) {
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
