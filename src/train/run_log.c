/* run_log.c: see run_log.h. */
#include "train/run_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* Bytes of the lines whose step is at most `step`. */
static size_t kept_bytes(const file_bytes *text, int64_t step) {
    static const char head[] = "{\"step\": ";
    size_t at = 0;
    while (at < text->size) {
        const uint8_t *end = memchr(text->data + at, '\n', text->size - at);
        char number[24] = "";
        size_t length = end ? (size_t)(end - text->data) - at : 0;
        if (!end || length < sizeof head || memcmp(text->data + at, head, sizeof head - 1))
            break;
        length -= sizeof head - 1;
        memcpy(number, text->data + at + sizeof head - 1, length < 23 ? length : 23);
        if (strtoll(number, NULL, 10) > step)
            break;
        at = (size_t)(end - text->data) + 1;
    }
    return at;
}

/* Rewrites the log without the lines that a repeated step will write again. */
static octet_status drop_late_lines(const run_log *log, int64_t step, octet_error *error) {
    file_bytes text;
    file_writer *w = NULL;
    if (file_read(&text, log->path, SIZE_MAX / 2, NULL))
        return OCTET_OK;
    size_t keep = step ? kept_bytes(&text, step) : 0;
    octet_status status = OCTET_OK;
    if (keep < text.size) {
        status = file_writer_create(&w, log->path, error);
        if (!status)
            status = file_writer_write(w, text.data, keep, error);
        if (!status)
            status = file_writer_commit(&w, error);
        file_writer_abandon(&w);
    }
    file_close(&text);
    return status;
}

octet_status run_log_open(run_log *log, const char *directory, int64_t step, octet_error *error) {
    snprintf(log->path, sizeof log->path, "%s/log.jsonl", directory);
    octet_status status = drop_late_lines(log, step, error);
    if (status)
        return status;
    log->file = fopen(log->path, "a");
    if (!log->file)
        return error_set(error, OCTET_ERROR, "%s: cannot open: %s", log->path, strerror(errno));
    return OCTET_OK;
}

void run_log_close(run_log *log) {
    if (log->file && fclose(log->file))
        log->failed = 1;
    log->file = NULL;
}

static void wrote(run_log *log, int n) {
    if (n < 0 || fflush(log->file))
        log->failed = 1;
}

void run_log_step(run_log *log, int64_t step, const step_result *r, double seconds) {
    wrote(log, fprintf(log->file,
                       "{\"step\": %" PRId64 ", \"bpb\": %.6f, \"gradient_norm\": %.6g, "
                       "\"bytes\": %" PRId64 ", \"seconds\": %.2f}\n",
                       step, r->loss_bits, r->gradient_norm, r->bytes, seconds));
}

void run_log_validation(run_log *log, int64_t step, double bpb) {
    wrote(log, fprintf(log->file, "{\"step\": %" PRId64 ", \"valid_bpb\": %.6f}\n", step, bpb));
}
