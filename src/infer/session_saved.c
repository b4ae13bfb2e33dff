/* session_saved.c: a stream as bytes.
 *
 * Little-endian: the header, the window's bytes, the logits of the next byte, then the rows that
 * later rows may see, in logical order whatever the rings, then XXH3-64 over all of it. The rows
 * are those that the current row sees (of a whole window at the outermost level, unless it has
 * windows, and of the current group below it), sinks, and of a split the current row; what has not
 * run yet is zero, so the length is fixed. Of an endless stream's bytes the last `history` ones are
 * saved. */
#include <string.h>
#include <xxhash.h>

#include "infer/session_parts.h"

#define MAGIC "octetses"
#define VERSION 1
#define FINGERPRINT_BYTES 32
#define HEADER_BYTES (8 + 8 + 8 + FINGERPRINT_BYTES + 8 + 8 + 8)
#define CHECKSUM_BYTES 8

/* --- numbers as bytes */

static void put_u64(uint8_t **at, uint64_t x) {
    for (int i = 0; i < 8; i++)
        *(*at)++ = (uint8_t)(x >> (8 * i));
}

static uint64_t get_u64(const uint8_t **at) {
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x |= (uint64_t) * (*at)++ << (8 * i);
    return x;
}

static void put_floats(uint8_t **at, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        for (int k = 0; k < 4; k++)
            *(*at)++ = (uint8_t)(bits >> (8 * k));
    }
}

static void get_floats(const uint8_t **at, float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = 0;
        for (int k = 0; k < 4; k++)
            bits |= (uint32_t) * (*at)++ << (8 * k);
        memcpy(&x[i], &bits, sizeof bits);
    }
}

/* --- which rows */

/* One variable's part of a saved stream: `rows` rows of `width` floats, of which the first `valid`
 * are the rows from `first` on, the others zero. */
typedef struct saved_part {
    variable *v;
    int64_t width, rows, first, valid;
} saved_part;

static int parts_of(const session *s, int level) {
    return s->level[level].n_states + (level + 1 < s->n_levels);
}

/* `window`: bytes in the stream's window. */
static saved_part part_of(session *s, int level, int index, int64_t window) {
    session_level *l = &s->level[level];
    const level_shape *shape = &s->model->shape[level];
    int64_t row = window / shape->unit_bytes;
    saved_part p = {.v = &l->split, .rows = 1, .first = row, .valid = 1};
    if (index < l->n_states) {
        p.v = &l->states[index];
        p.rows = l->reach[index];
        p.first = row_first(shape, l->rule[index], row);
        p.first = p.first > row + 1 - p.rows ? p.first : row + 1 - p.rows;
        p.first = l->first[index] ? 0 : p.first;
        p.valid = row + 1 - p.first < p.rows ? row + 1 - p.first : p.rows;
    }
    p.width = p.v->dim[2] * p.v->dim[3];
    return p;
}

/* Element of the variable where row `row` of the part begins. */
static int64_t element_of(const saved_part *p, int slot, int64_t row) {
    int64_t ring = p->v->dim[1];
    return (slot * ring + (p->first + row) % ring) * p->width;
}

size_t session_save_bytes(const session *s) {
    size_t floats = (size_t)s->vocabulary;
    for (int level = 0; level < s->n_levels; level++) {
        const session_level *l = &s->level[level];
        for (int k = 0; k < l->n_states; k++)
            floats += (size_t)l->reach[k] * (size_t)(l->states[k].dim[2] * l->states[k].dim[3]);
        if (level + 1 < s->n_levels)
            floats += (size_t)(l->split.dim[2] * l->split.dim[3]);
    }
    return HEADER_BYTES + (size_t)s->history + 4 * floats + CHECKSUM_BYTES;
}

/* Bytes of a stream's window that its saved form holds. */
static int64_t bytes_of(const session *s, int64_t window) {
    return window < s->history ? window : s->history;
}

/* --- saving */

static void put_header(const session *s, uint8_t **at, int64_t position) {
    memcpy(*at, MAGIC, 8);
    *at += 8;
    put_u64(at, VERSION);
    put_u64(at, session_save_bytes(s));
    memset(*at, 0, FINGERPRINT_BYTES);
    memcpy(*at, s->model->fingerprint, strlen(s->model->fingerprint));
    *at += FINGERPRINT_BYTES;
    put_u64(at, s->config_hash);
    put_u64(at, (uint64_t)s->keep);
    put_u64(at, (uint64_t)position);
}

static octet_status save_part(session *s, uint8_t **at, const saved_part *p, int slot,
                              octet_error *error) {
    octet_status status = OCTET_OK;
    for (int64_t r = 0; r < p->valid && !status; r++) {
        status =
            backend_read(s->model->backend, p->v, element_of(p, slot, r), p->width, s->row, error);
        put_floats(at, s->row, p->width);
    }
    size_t rest = 4 * (size_t)((p->rows - p->valid) * p->width);
    memset(*at, 0, rest);
    *at += rest;
    return status;
}

octet_status session_save(session *s, int stream, void *data, size_t size, octet_error *error) {
    const session_stream *saved = session_stream_get(s, stream, error);
    if (!saved)
        return OCTET_ERROR;
    if (size != session_save_bytes(s))
        return error_set(error, OCTET_ERROR, "a saved stream takes %zu bytes, not %zu",
                         session_save_bytes(s), size);
    if (!session_caught_up(s, saved))
        return error_set(error, OCTET_ERROR, "stream %d is unfinished after an error", stream);
    uint8_t *at = data;
    put_header(s, &at, saved->position);
    int64_t n = bytes_of(s, saved->window);
    memset(at, 0, (size_t)s->history);
    memcpy(at, saved->bytes + (saved->window - saved->origin - n), (size_t)n);
    at += s->history;
    put_floats(&at, saved->logits, s->vocabulary);
    octet_status status = OCTET_OK;
    for (int level = 0; level < s->n_levels && !status; level++) {
        for (int k = 0; k < parts_of(s, level) && !status; k++) {
            saved_part p = part_of(s, level, k, saved->window);
            status = save_part(s, &at, &p, stream, error);
        }
    }
    if (!status)
        put_u64(&at, XXH3_64bits(data, size - CHECKSUM_BYTES));
    return status;
}

/* --- restoring */

/* Checks everything that can be; *position is what the header says. */
static octet_status check_saved(const session *s, const uint8_t *data, size_t size,
                                int64_t *position, octet_error *error) {
    if (size < HEADER_BYTES + CHECKSUM_BYTES || memcmp(data, MAGIC, 8) != 0)
        return error_set(error, OCTET_CORRUPT, "not a saved stream (%zu bytes)", size);
    const uint8_t *at = data + 8, *end = data + size - CHECKSUM_BYTES;
    uint64_t version = get_u64(&at), bytes = get_u64(&at);
    if (version != VERSION)
        return error_set(error, OCTET_CORRUPT, "saved stream of version %llu, this is version %d",
                         (unsigned long long)version, VERSION);
    if (bytes != size)
        return error_set(error, OCTET_CORRUPT, "saved stream: %zu bytes of %llu", size,
                         (unsigned long long)bytes);
    uint64_t sum = XXH3_64bits(data, size - CHECKSUM_BYTES);
    if (get_u64(&end) != sum)
        return error_set(error, OCTET_CORRUPT, "saved stream: the checksum does not match");
    char fingerprint[FINGERPRINT_BYTES + 1] = {0};
    memcpy(fingerprint, at, FINGERPRINT_BYTES);
    at += FINGERPRINT_BYTES;
    if (strcmp(fingerprint, s->model->fingerprint) != 0 || get_u64(&at) != s->config_hash)
        return error_set(error, OCTET_WRONG_MODEL, "saved stream of model %s, this is %s",
                         fingerprint, s->model->fingerprint);
    uint64_t keep = get_u64(&at), read = get_u64(&at);
    if (keep != (uint64_t)s->keep)
        return error_set(error, OCTET_WRONG_MODEL, "saved stream keeps %llu bytes, this is %lld",
                         (unsigned long long)keep, (long long)s->keep);
    if (size != session_save_bytes(s) || read >= INT64_MAX)
        return error_set(error, OCTET_CORRUPT, "saved stream: %zu bytes at position %llu", size,
                         (unsigned long long)read);
    *position = (int64_t)read;
    return OCTET_OK;
}

static octet_status restore_part(session *s, const uint8_t **at, const saved_part *p, int slot,
                                 octet_error *error) {
    octet_status status = OCTET_OK;
    for (int64_t r = 0; r < p->valid && !status; r++) {
        get_floats(at, s->row, p->width);
        status =
            backend_write(s->model->backend, p->v, element_of(p, slot, r), p->width, s->row, error);
    }
    *at += 4 * (size_t)((p->rows - p->valid) * p->width);
    return status;
}

octet_status session_restore(session *s, int stream, const void *data, size_t size,
                             octet_error *error) {
    session_stream *restored = session_stream_get(s, stream, error);
    if (!restored)
        return OCTET_ERROR;
    int64_t position = 0;
    octet_status status = check_saved(s, data, size, &position, error);
    if (status)
        return status;
    int64_t window = position;
    if (!s->endless)
        window -= session_window_start(s->context, s->keep, position);
    restored->ahead = 0;
    restored->sampled_at = -1;
    const uint8_t *bytes = (const uint8_t *)data + HEADER_BYTES;
    const uint8_t *logits = bytes + s->history, *at = logits + 4 * s->vocabulary;
    for (int level = 0; level < s->n_levels && !status; level++) {
        for (int k = 0; k < parts_of(s, level) && !status; k++) {
            saved_part p = part_of(s, level, k, window);
            status = restore_part(s, &at, &p, stream, error);
        }
    }
    if (status) {
        /* The device failed half way: what the stream has read is still there to run again. */
        memset(restored->done, 0, sizeof restored->done);
        return status;
    }
    restored->position = position;
    restored->window = window;
    restored->origin = window - bytes_of(s, window);
    memcpy(restored->bytes, bytes, (size_t)s->history);
    get_floats(&logits, restored->logits, s->vocabulary);
    for (int level = 0; level < s->n_levels; level++)
        restored->done[level] = window / s->model->shape[level].unit_bytes + 1;
    return OCTET_OK;
}
