/* image_make.c: see image_make.h. */
#include "image_make.h"

#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "support.h"

int png_samples(const png_kind *k) {
    static const int samples[] = {1, 0, 3, 1, 2, 0, 4};
    return samples[k->type];
}

static void append(png_structp png, png_bytep data, size_t n) {
    audio_file *f = png_get_io_ptr(png);
    audio_splice(f, f->size, 0, data, n);
}

static void set_key(png_structp png, png_infop info, const png_kind *k) {
    png_byte opacity[2] = {255, 0};
    png_color_16 clear = {0};
    if (k->type == 3)
        png_set_tRNS(png, info, opacity, 2, NULL);
    else
        png_set_tRNS(png, info, NULL, 0, &clear);
}

audio_file png_make(const png_kind *k, int width, int height, const uint8_t *rows) {
    audio_file f = {support_alloc(1, 1), 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    assert_non_null(png);
    png_infop info = png_create_info_struct(png);
    assert_non_null(info);
    png_set_write_fn(png, &f, append, NULL);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, k->bits, k->type,
                 k->interlaced, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (k->type == 3) {
        png_color palette[256];
        for (int i = 0; i < 256; i++)
            palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(7 * i)};
        png_set_PLTE(png, info, palette, 1 << k->bits);
    }
    if (k->key)
        set_key(png, info, k);
    png_write_info(png, info);
    const size_t row_bytes = ((size_t)(width * png_samples(k) * k->bits) + 7) / 8;
    const int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < height; y++)
            png_write_row(png, rows + (size_t)y * row_bytes);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return f;
}

audio_file pnm_make(const char *header, const uint8_t *pixels, size_t n) {
    const size_t length = strlen(header);
    audio_file f = {support_alloc(length + n + 1, 1), length + n};
    memcpy(f.data, header, length);
    if (n)
        memcpy(f.data + length, pixels, n);
    return f;
}

uint8_t *image_noise(size_t n, uint64_t seed) {
    uint8_t *bytes = support_alloc(n + 1, 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = i % 53 == 7 ? (uint8_t)(i % 2 ? 255 : 0)
                               : (uint8_t)(i * 3 / 5 + (size_t)support_integer(&seed, 0, 40));
    return bytes;
}

void png_fix_checksums(audio_file *file) {
    if (file->size < 8 || memcmp(file->data, "\x89PNG\r\n\x1a\n", 8))
        return;
    for (size_t at = 8; file->size - at >= 12;) {
        uint8_t *d = file->data + at;
        const size_t n = (size_t)d[0] << 24 | (size_t)d[1] << 16 | (size_t)d[2] << 8 | d[3];
        if (n > file->size - at - 12)
            return;
        const uint32_t sum = (uint32_t)crc32(0, d + 4, (uInt)(n + 4));
        for (int i = 0; i < 4; i++)
            d[8 + n + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        at += 12 + n;
    }
}
