/* api_decompress.c: octet/compress.h, the way back, and what a compressed file says of itself.
 *
 * Nothing is used before its checksum was right, and content is handed out a whole block at a time,
 * after its own. A file is walked from its first block to its end; where a range is wanted and the
 * input can seek, the index at the end leads to its blocks. See api_compress.c. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_walk.h"

/* --- the parts of a file */

static octet_status damaged(const walk *w, const container_block *b, const char *what,
                            octet_error *error) {
    return error_set(error, OCTET_CORRUPT,
                     "%s: block %" PRIu64 " (bytes %" PRIu64 " to %" PRIu64
                     " of the content) is damaged: %s",
                     w->t.io->name, b->number, b->offset, b->offset + b->content - 1, what);
}

/* Content of a block whose payload is whole, into w->content. */
static octet_status expand_block(walk *w, const container_block *b, octet_error *error) {
    octet_error inner = {0};
    octet_status status = OCTET_OK;
    if (b->kind == CONTAINER_STORED)
        memcpy(w->content, w->payload, b->content);
    else
        status = expander_run(&w->x, b, w->payload, w->content, &inner);
    if (status == OCTET_CORRUPT)
        return damaged(w, b, inner.text, error);
    if (status)
        return error_set(error, status, "%s", inner.text);
    if (container_hash(w->content, b->content) == b->content_hash)
        return OCTET_OK;
    return damaged(w, b, "its content has another checksum", error);
}

static int is_wanted(const walk *w, const container_block *b) {
    return b->offset + b->content > w->first && b->offset < w->end;
}

/* The bytes of [offset, offset + n) that are wanted. */
static octet_status hand_out(walk *w, uint64_t offset, const uint8_t *bytes, uint64_t n,
                             octet_error *error) {
    const uint64_t from = offset < w->first ? w->first : offset;
    const uint64_t to = offset + n < w->end ? offset + n : w->end;
    if (from >= to)
        return OCTET_OK;
    return w->t.io->write(w->t.io->context, bytes + (from - offset), (size_t)(to - from), error);
}

static octet_status read_block(walk *w, const container_block *b, octet_error *error) {
    const int expands = w->x.model && is_wanted(w, b);
    octet_status status = walk_room(&w->payload, &w->payload_capacity, b->payload, "block", error);
    if (!status && expands)
        status = walk_room(&w->content, &w->content_capacity, b->content, "block", error);
    if (!status)
        status = walk_take(w, w->payload, b->payload, error);
    if (!status && container_hash(w->payload, b->payload) != b->payload_hash)
        status = damaged(w, b, "its coded bytes have another checksum", error);
    if (!status && expands)
        status = expand_block(w, b, error);
    if (!status && expands)
        status = hand_out(w, b->offset, w->content, b->content, error);
    if (!status)
        transfer_count(&w->t, b, expands ? w->content : NULL);
    return status;
}

/* The index says again what was read. */
static octet_status compare_index(const walk *w, octet_error *error) {
    for (size_t i = 0; i < w->t.n_entries; i++) {
        container_entry e;
        container_get_entry(&e, w->payload + i * CONTAINER_ENTRY_BYTES);
        if (e.position != w->t.entries[i].position || e.content != w->t.entries[i].content)
            return error_set(error, OCTET_CORRUPT, "%s: the index has another block %zu",
                             w->t.io->name, i);
    }
    return OCTET_OK;
}

static octet_status read_index(walk *w, const container_block *b, octet_error *error) {
    octet_status status = walk_room(&w->payload, &w->payload_capacity, b->payload, "index", error);
    if (!status)
        status = walk_take(w, w->payload, b->payload, error);
    if (!status && container_hash(w->payload, b->payload) != b->payload_hash)
        status =
            error_set(error, OCTET_CORRUPT, "%s: the index has another checksum", w->t.io->name);
    return status;
}

/* Whether the range ends within the content, once its size is known. */
static octet_status check_range(const walk *w, uint64_t content, octet_error *error) {
    const uint64_t end = w->end == UINT64_MAX ? w->first : w->end;
    if (end <= content)
        return OCTET_OK;
    return error_set(error, OCTET_ERROR,
                     "%s: bytes up to %" PRIu64 " are wanted, the content has %" PRIu64,
                     w->t.io->name, end, content);
}

static octet_status read_end(walk *w, const container_block *b, uint64_t position,
                             octet_error *error) {
    const char *name = w->t.io->name;
    const int hashed = w->x.model && !w->first && w->end >= b->content && !w->n_lost;
    uint8_t footer[CONTAINER_FOOTER_BYTES], more;
    uint64_t end = 0;
    size_t got = 0;
    octet_status status = check_range(w, b->content, error);
    if (!status && hashed && XXH3_64bits_digest(w->t.whole) != b->content_hash)
        status =
            error_set(error, OCTET_CORRUPT, "%s: the whole content has another checksum", name);
    if (!status)
        status = read_index(w, b, error);
    if (!status && !w->n_lost)
        status = compare_index(w, error);
    if (!status)
        status = walk_take(w, footer, sizeof footer, error);
    if (!status)
        status = container_get_footer(&end, footer, name, error);
    if (!status && end != position && !w->n_lost)
        status =
            error_set(error, OCTET_CORRUPT,
                      "%s: the end says that it begins at byte %" PRIu64 ", it does at %" PRIu64,
                      name, end, position);
    if (!status)
        status = walk_some(w, &more, 1, &got, error);
    if (!status && got)
        status = error_set(error, OCTET_CORRUPT, "%s: something follows the end at byte %" PRIu64,
                           name, w->t.position - got);
    return status;
}

/* --- from the first block to the end */

/* The header of the block that belongs here. */
static octet_status next_block(walk *w, container_block *b, octet_error *error) {
    const uint64_t position = w->t.position;
    octet_status status = walk_take(w, w->header, sizeof w->header, error);
    if (!status)
        status = container_get_block(b, w->header, position, w->t.io->name, error);
    if (!status && (b->number != w->t.n_entries || b->offset != w->t.report.content))
        status = error_set(error, OCTET_CORRUPT,
                           "%s: byte %" PRIu64 ": block %" PRIu64 " stands where block %zu belongs",
                           w->t.io->name, position, b->number, w->t.n_entries);
    if (!status && w->most && b->kind != CONTAINER_END && b->offset + b->content > w->most)
        status = error_set(error, OCTET_ERROR,
                           "%s: the content has more bytes than the %" PRIu64 " that are allowed",
                           w->t.io->name, w->most);
    return status;
}

static octet_status read_blocks(walk *w, octet_error *error) {
    for (;;) {
        const uint64_t position = w->t.position;
        container_block b;
        octet_status status = transfer_stopped(&w->t, error);
        if (!status)
            status = next_block(w, &b, error);
        if (!status && b.kind == CONTAINER_END)
            return read_end(w, &b, position, error);
        if (!status)
            status = transfer_add(&w->t, &b, position, error);
        if (!status)
            status = read_block(w, &b, error);
        if (status || w->t.report.content >= w->end)
            return status;
    }
}

/* --- by the index */

static octet_status go_to(walk *w, int64_t position, octet_error *error) {
    if (position >= 0)
        w->t.position = (uint64_t)position;
    w->ahead_at = w->ahead_n;
    return w->t.io->seek(w->t.io->context, position, error);
}

/* The end's header in *end, the index in w->payload. */
static octet_status load_index(walk *w, container_block *end, octet_error *error) {
    uint8_t footer[CONTAINER_FOOTER_BYTES];
    uint64_t position = 0;
    octet_status status = go_to(w, -(int64_t)sizeof footer, error);
    if (!status)
        status = walk_take(w, footer, sizeof footer, error);
    if (!status)
        status = container_get_footer(&position, footer, w->t.io->name, error);
    if (!status)
        status = go_to(w, (int64_t)(position & INT64_MAX), error);
    if (!status)
        status = walk_take(w, w->header, sizeof w->header, error);
    if (!status)
        status = container_get_block(end, w->header, position, w->t.io->name, error);
    if (!status && end->kind != CONTAINER_END)
        status = error_set(error, OCTET_CORRUPT, "%s: no end stands at byte %" PRIu64,
                           w->t.io->name, position);
    return status ? status : read_index(w, end, error);
}

/* Block `number`, which the index has at *e. */
static octet_status read_indexed(walk *w, const container_entry *e, uint64_t number,
                                 octet_error *error) {
    const uint64_t offset = w->t.report.content;
    container_block b;
    octet_status status = transfer_stopped(&w->t, error);
    if (!status)
        status = go_to(w, (int64_t)(e->position & INT64_MAX), error);
    if (!status)
        status = walk_take(w, w->header, sizeof w->header, error);
    if (!status)
        status = container_get_block(&b, w->header, e->position, w->t.io->name, error);
    if (!status && (b.kind == CONTAINER_END || b.number != number || b.offset != offset ||
                    b.content != e->content))
        status = error_set(error, OCTET_CORRUPT, "%s: the index has another block %" PRIu64,
                           w->t.io->name, number);
    return status ? status : read_block(w, &b, error);
}

/* Whether the index[n] has blocks of possible sizes, which add up to the content. */
static octet_status check_index(const walk *w, const uint8_t *index, uint64_t n, uint64_t content,
                                octet_error *error) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        container_entry e;
        container_get_entry(&e, index + i * CONTAINER_ENTRY_BYTES);
        sum += e.content <= CONTAINER_BLOCK_MOST ? e.content : content + 1 - sum;
        if (sum > content)
            break;
    }
    if (sum == content)
        return OCTET_OK;
    return error_set(error, OCTET_CORRUPT, "%s: the index has blocks of another length than all",
                     w->t.io->name);
}

/* The blocks that are wanted, each where the index[n] says it is. */
static octet_status read_by_index(walk *w, const uint8_t *index, uint64_t n, octet_error *error) {
    octet_status status = OCTET_OK;
    for (uint64_t i = 0; !status && i < n && w->t.report.content < w->end; i++) {
        const uint64_t offset = w->t.report.content;
        container_entry e;
        octet_error why = {0};
        container_get_entry(&e, index + i * CONTAINER_ENTRY_BYTES);
        if (offset + e.content > w->first)
            status = read_indexed(w, &e, i, &why);
        if (status == OCTET_CORRUPT && w->lost)
            status = walk_lose(w, offset + e.content, why.text, error);
        else if (status)
            return error_set(error, status, "%s", why.text);
        w->t.report.content = offset + e.content;
    }
    return status;
}

static octet_status read_wanted(walk *w, octet_error *error) {
    container_block end;
    octet_error why = {0};
    octet_status status = load_index(w, &end, &why);
    if (status == OCTET_CORRUPT && w->lost) {
        status = go_to(w, CONTAINER_HEADER_BYTES, error);
        return status ? status : walk_recover(w, read_block, read_end, error);
    }
    if (status)
        return error_set(error, status, "%s", why.text);
    uint8_t *index = w->payload; /* blocks take a buffer of their own */
    w->payload = NULL;
    w->payload_capacity = 0;
    status = check_range(w, end.content, error);
    if (!status)
        status = check_index(w, index, end.number, end.content, error);
    if (!status)
        status = read_by_index(w, index, end.number, error);
    free(index);
    return status;
}

/* --- the whole */

static octet_status check_model(const container_header *h, octet_model *m, const char *name,
                                octet_error *error) {
    uint8_t own[16];
    char needed[33], given[33];
    const int64_t context = m->model->config.context, patch = m->model->shape[0].unit_bytes;
    octet_status status = transfer_fingerprint(own, m, error);
    if (status)
        return status;
    transfer_fingerprint_text(needed, h->fingerprint);
    transfer_fingerprint_text(given, own);
    if (memcmp(own, h->fingerprint, sizeof own) != 0)
        return error_set(error, OCTET_WRONG_MODEL,
                         "%s: compressed with the model %s, this model is %s", name, needed, given);
    if (h->keep >= (uint64_t)context || h->keep % (uint64_t)patch)
        return error_set(error, OCTET_CORRUPT,
                         "%s: keep %" PRIu64 " is not a multiple of the patch, %" PRId64
                         ", below the context, %" PRId64,
                         name, h->keep, patch, context);
    if (h->adapts && (h->keep || h->adapts > ADAPT_MOST))
        return error_set(error, OCTET_CORRUPT,
                         "%s: it learns at a rate of %g and keeps %" PRIu64
                         " bytes: no writer makes that",
                         name, (double)h->adapts * 1e-6, h->keep);
    return OCTET_OK;
}

static octet_profile profile_of(const container_header *h) {
    return h->profile == CONTAINER_INT8 ? OCTET_INT8 : OCTET_F32;
}

static octet_status read_file(walk *w, octet_model *m, container_header *h, octet_error *error) {
    uint8_t header[CONTAINER_HEADER_BYTES];
    octet_status status = walk_take(w, header, sizeof header, error);
    if (!status)
        status = container_get_header(h, header, w->t.io->name, error);
    if (!status && m)
        status = check_model(h, m, w->t.io->name, error);
    if (!status && m)
        status = api_model_profile(&w->x.of_profile, m, profile_of(h), error);
    w->x.model = m;
    w->x.keep = (int64_t)h->keep;
    w->x.frame = h->frame;
    w->x.mixed = h->mixed;
    w->x.adapts = h->adapts;
    if (!status && w->t.io->seek && (w->first || w->end < UINT64_MAX || w->lost))
        status = read_wanted(w, error);
    else if (!status && w->lost)
        status = walk_recover(w, read_block, read_end, error);
    else if (!status)
        status = read_blocks(w, error);
    if (!status && w->n_lost)
        status = error_set(error, OCTET_WARNING,
                           "%s: damaged: %" PRIu64 " bytes are lost, zeros stand for them",
                           w->t.io->name, w->lost_bytes);
    w->t.report.compressed = w->t.position;
    walk_finish(w);
    return status;
}

octet_status octet_decompress(octet_model *m, const octet_decompress_params *p, const octet_io *io,
                              octet_compress_report *report, octet_error *error) {
    static const octet_decompress_params usual = {0};
    walk w = {0};
    container_header h = {0};
    if (!p)
        p = &usual;
    if (p->streams < 0 || p->streams > (int)CONTAINER_STREAMS_MOST)
        return error_set(error, OCTET_ERROR, "%d streams: 1 to %u are possible", p->streams,
                         CONTAINER_STREAMS_MOST);
    if (p->end && p->end < p->first)
        return error_set(error, OCTET_ERROR, "a range from %" PRIu64 " to %" PRIu64, p->first,
                         p->end);
    octet_status status = m ? api_needs_cpu(m->runtime, "decompress", error) : OCTET_OK;
    if (status)
        return status;
    status = walk_start(&w, io, error);
    w.first = p->first;
    w.end = p->end ? p->end : UINT64_MAX;
    w.most = p->most;
    w.lost = p->lost;
    w.lost_context = p->lost_context;
    w.x.at_once = (uint32_t)p->streams;
    w.x.memory = p->memory;
    if (!status)
        status = read_file(&w, m, &h, error);
    if (report)
        *report = w.t.report;
    return status;
}

octet_status octet_compressed_describe(octet_compressed_info *out, const octet_io *io,
                                       octet_error *error) {
    walk w = {0};
    container_header h = {0};
    memset(out, 0, sizeof *out);
    octet_status status = walk_start(&w, io, error);
    w.end = UINT64_MAX;
    if (!status)
        status = read_file(&w, NULL, &h, error);
    transfer_fingerprint_text(out->fingerprint, h.fingerprint);
    out->profile = octet_profile_name((int)profile_of(&h));
    memcpy(out->codec, h.codec, sizeof out->codec);
    out->rate_hz = (int)h.rate_hz;
    out->frame = (int)h.frame;
    out->mixed = h.mixed;
    out->adapts = (double)h.adapts * 1e-6;
    out->sizes = w.t.report;
    return status;
}

octet_status octet_compressed_model(char fingerprint[33], const uint8_t header[64],
                                    const char *name, octet_error *error) {
    container_header h;
    octet_status status = container_get_header(&h, header, name, error);
    if (!status)
        transfer_fingerprint_text(fingerprint, h.fingerprint);
    return status;
}

void octet_compressed_peek(int *streams, int64_t *most, int *with, const uint8_t *head, size_t n) {
    size_t at = CONTAINER_HEADER_BYTES;
    container_header h = {0};
    container_block b = {0};
    *streams = 0;
    *with = 0;
    if (n >= at && !container_get_header(&h, head, "", NULL))
        *with = (h.mixed ? OCTET_MIXED : 0) | (h.adapts ? OCTET_ADAPTS : 0) |
                (h.profile == CONTAINER_INT8 ? OCTET_IN_INT8 : 0);
    for (*most = 0; at + CONTAINER_BLOCK_BYTES <= n; at += CONTAINER_BLOCK_BYTES + b.payload) {
        if (container_get_block(&b, head + at, at, "", NULL) || b.kind == CONTAINER_END)
            return;
        *streams = (int)b.streams > *streams ? (int)b.streams : *streams;
        *most = (int64_t)b.content > *most ? (int64_t)b.content : *most;
    }
}
