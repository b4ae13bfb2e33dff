/* png.c: see png.h. The PNG specification (ISO/IEC 15948): a signature and chunks, each with
 * length, name, content and CRC; rows carry the filter "up", which suits pictures with long runs.
 */
#include "base/png.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void put_u32(uint8_t *at, uint32_t x) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(x >> (24 - 8 * i));
}

/* Wraps n bytes that already stand at chunk + 8; returns the end. */
static uint8_t *close_chunk(uint8_t *chunk, const char *name, size_t n) {
    put_u32(chunk, (uint32_t)n);
    memcpy(chunk + 4, name, 4);
    put_u32(chunk + 8 + n, (uint32_t)crc32(0, chunk + 4, (uInt)(n + 4)));
    return chunk + 12 + n;
}

static void filter_rows(uint8_t *out, const uint8_t *rgb, size_t row, int height) {
    for (int y = 0; y < height; y++) {
        const uint8_t *x = rgb + (size_t)y * row;
        *out++ = 2; /* up */
        for (size_t i = 0; i < row; i++)
            *out++ = (uint8_t)(x[i] - (y > 0 ? x[i - row] : 0));
    }
}

octet_status png_encode(uint8_t **out, size_t *size, const uint8_t *rgb, int width, int height,
                        octet_error *error) {
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    const size_t row = 3 * (size_t)width, raw = (row + 1) * (size_t)height;
    uLongf packed = compressBound((uLong)raw);
    uint8_t *rows = malloc(raw + 1), *file = *out = malloc(packed + 64);
    if (!rows || !file) {
        free(rows);
        free(file);
        *out = NULL;
        return error_memory(error, "picture", (double)raw);
    }
    filter_rows(rows, rgb, row, height);
    memcpy(file, signature, sizeof signature);
    uint8_t *at = file + sizeof signature;
    put_u32(at + 8, (uint32_t)width);
    put_u32(at + 12, (uint32_t)height);
    memcpy(at + 16, "\x08\x02\0\0", 5); /* 8 bits, RGB, the only methods, not interlaced */
    at = close_chunk(at, "IHDR", 13);
    const int code = compress2(at + 8, &packed, rows, (uLong)raw, 9);
    free(rows);
    if (code != Z_OK) {
        free(file);
        *out = NULL;
        return error_memory(error, "picture", (double)raw);
    }
    at = close_chunk(at, "IDAT", packed);
    at = close_chunk(at, "IEND", 0);
    *size = (size_t)(at - file);
    return OCTET_OK;
}
