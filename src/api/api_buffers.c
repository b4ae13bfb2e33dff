/* api_buffers.c: compressing and decompressing from memory to memory: octet/compress.h. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"

typedef struct buffers {
    const uint8_t *in;
    size_t size, at;
    uint8_t *out;
    size_t used, capacity;
} buffers;

static octet_status take(void *context, void *bytes, size_t n, size_t *got, octet_error *error) {
    buffers *b = context;
    (void)error;
    *got = n < b->size - b->at ? n : b->size - b->at;
    if (*got)
        memcpy(bytes, b->in + b->at, *got);
    b->at += *got;
    return OCTET_OK;
}

static octet_status go(void *context, int64_t position, octet_error *error) {
    buffers *b = context;
    const uint64_t back = (uint64_t)-position;
    if (position < 0 ? back > b->size : (uint64_t)position > b->size)
        return error_set(error, OCTET_CORRUPT, "byte %lld of %zu", (long long)position, b->size);
    b->at = position < 0 ? b->size - (size_t)back : (size_t)position;
    return OCTET_OK;
}

static octet_status append(void *context, const void *bytes, size_t n, octet_error *error) {
    buffers *b = context;
    if (n > b->capacity - b->used) {
        const size_t wanted = b->used + n > b->used ? b->used + n : SIZE_MAX;
        const size_t capacity = wanted < SIZE_MAX / 2 ? wanted + wanted / 2 : wanted;
        uint8_t *larger = realloc(b->out, capacity);
        if (!larger)
            return error_memory(error, "result", (double)capacity);
        b->out = larger;
        b->capacity = capacity;
    }
    if (n)
        memcpy(b->out + b->used, bytes, n);
    b->used += n;
    return OCTET_OK;
}

static octet_io io_of(buffers *b, const void *data, size_t size) {
    *b = (buffers){.in = data, .size = size};
    return (octet_io){.read = take, .write = append, .seek = go, .context = b, .name = "buffer"};
}

/* A result of no bytes is a buffer too. */
static octet_status hand_out(uint8_t **out, size_t *out_size, buffers *b, octet_status status,
                             octet_error *error) {
    const int usable = !status || status == OCTET_WARNING;
    if (usable && !b->out && !(b->out = malloc(1)))
        return error_memory(error, "result", 1);
    if (!usable)
        free(b->out);
    *out = usable ? b->out : NULL;
    *out_size = usable ? b->used : 0;
    return status;
}

octet_status octet_compress_buffer(uint8_t **out, size_t *out_size, octet_model *m,
                                   const octet_compress_params *how, const void *data, size_t size,
                                   octet_error *error) {
    buffers b;
    *out = NULL;
    *out_size = 0;
    const octet_io io = io_of(&b, data, size);
    return hand_out(out, out_size, &b, octet_compress(m, how, &io, NULL, error), error);
}

octet_status octet_decompress_buffer(uint8_t **out, size_t *out_size, octet_model *m,
                                     const octet_decompress_params *how, const void *data,
                                     size_t size, octet_error *error) {
    buffers b;
    *out = NULL;
    *out_size = 0;
    const octet_io io = io_of(&b, data, size);
    return hand_out(out, out_size, &b, octet_decompress(m, how, &io, NULL, error), error);
}

void octet_buffer_free(uint8_t *buffer) {
    free(buffer);
}
