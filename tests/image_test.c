/* image_test.c: images and records to bytes and back: every pixel of every kind of file, by the
 * definition of the scan and of PNG's samples, never by the codec; what is lost is counted right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image_make.h"
#include "octet/octet.h"
#include "support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static octet_error error;

static octet_encoded encode(const audio_file *f, const octet_encode_params *p) {
    octet_encoded e;
    support_ok(octet_encode_memory(&e, f->data, f->size, "x", p, &error), &error);
    return e;
}

static void check_bytes(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b) {
    assert_int_equal(n_a, n_b);
    if (n_a)
        assert_memory_equal(a, b, n_a);
}

/* Through the header, and decoded to a container. */
static audio_file decode(const octet_encoded *e, const char *container) {
    octet_media m;
    audio_file f,
        file = {support_alloc(OCTET_MEDIA_HEADER + e->size + 1, 1), OCTET_MEDIA_HEADER + e->size};
    octet_media_write(file.data, &e->media);
    if (e->size)
        memcpy(file.data + OCTET_MEDIA_HEADER, e->bytes, e->size);
    support_ok(octet_media_read(&m, file.data, file.size, "x", &error), &error);
    assert_memory_equal(&m, &e->media, sizeof m);
    support_ok(octet_decode_memory(&f.data, &f.size, &m, file.data + OCTET_MEDIA_HEADER, container,
                                   &error),
               &error);
    audio_free(&file);
    return f;
}

/* Place of channel c of pixel (x, y) among the bytes, by blocks of side s. */
static size_t place(int x, int y, int c, int width, int channels, int s) {
    const int block = y / s * (width / s) + x / s;
    return (size_t)(((block * s + y % s) * s + x % s) * channels + c);
}

/* --- PNM */

static void check_pnm(int width, int height, int channels, int block) {
    char header[64];
    snprintf(header, sizeof header, "P%d\n%d %d\n255\n", channels == 3 ? 6 : 5, width, height);
    const size_t n = (size_t)(width * height * channels);
    uint8_t *pixels = image_noise(n, (uint64_t)(width + height));
    audio_file f = pnm_make(header, pixels, n);
    octet_encode_params p = {.block = block};
    octet_encoded e = encode(&f, &p);
    assert_string_equal(e.media.codec, "image"); /* by its signature */
    assert_string_equal(e.media.container, channels == 3 ? "ppm" : "pgm");
    assert_int_equal(e.media.width, width);
    assert_int_equal(e.media.frames, width * height);
    assert_int_equal(e.media.channels, channels);
    assert_int_equal(e.media.block, block);
    assert_int_equal(e.media.lossless, 1);
    assert_int_equal(e.guard, OCTET_GUARD_NONE);
    assert_int_equal(e.size, n);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                if (e.bytes[place(x, y, c, width, channels, block)] !=
                    pixels[(y * width + x) * channels + c])
                    fail_msg("%d x %d, blocks of %d: pixel %d, %d", width, height, block, x, y);
    audio_file back = decode(&e, NULL), png = decode(&e, "png");
    check_bytes(back.data, back.size, f.data, f.size);
    octet_encoded again = encode(&png, &p);
    assert_string_equal(again.media.container, "png");
    assert_int_equal(again.media.lossless, 1);
    check_bytes(again.bytes, again.size, e.bytes, e.size);
    audio_file png_back = decode(&again, NULL);
    check_bytes(png_back.data, png_back.size, png.data, png.size);
    octet_encoded_free(&e);
    octet_encoded_free(&again);
    audio_free(&f);
    audio_free(&back);
    audio_free(&png);
    audio_free(&png_back);
    free(pixels);
}

static void pnm_comes_back(void **state) {
    (void)state;
    static const int sides[] = {1, 2, 15, 16, 17, 255, 256, 257};
    for (int i = 0; i < COUNT(sides); i++)
        for (int k = 0; k < COUNT(sides); k += 1 + i % 3)
            check_pnm(sides[i], sides[k], (i + k) % 2 ? 3 : 1, 1);
    check_pnm(65535, 1, 3, 1);
    check_pnm(1, 65535, 1, 1);
}

static void blocks_are_patches(void **state) {
    (void)state;
    static const int shapes[][3] = {{2, 2, 2},   {4, 2, 2},    {2, 6, 2},    {64, 64, 2},
                                    {64, 64, 8}, {64, 64, 64}, {48, 80, 16}, {15, 9, 3},
                                    {7, 21, 7},  {96, 32, 32}};
    for (int i = 0; i < COUNT(shapes); i++)
        for (int channels = 1; channels <= 3; channels += 2)
            check_pnm(shapes[i][0], shapes[i][1], channels, shapes[i][2]);
}

/* Headers that mean the same, with comments and other white space, give the canonical file. */
static void headers_are_free_text(void **state) {
    (void)state;
    static const char *const headers[] = {"P5 3 2 255 ", "P5\n# a comment\n3\n2\n255\n",
                                          "P5#c\r3 # 9 9\n 2\t\v255\r", "P5\n003 0002 255\n"};
    for (int i = 0; i < COUNT(headers); i++) {
        audio_file f = pnm_make(headers[i], (const uint8_t *)"abcdef", 6);
        octet_encoded e = encode(&f, NULL);
        audio_file back = decode(&e, "pnm");
        check_bytes(back.data, back.size, (const uint8_t *)"P5\n3 2\n255\nabcdef", 17);
        octet_encoded_free(&e);
        audio_free(&f);
        audio_free(&back);
    }
}

/* --- PNG */

/* Sample number i of a row, as it is stored. */
static int sample_of(const uint8_t *row, int i, int bits) {
    if (bits == 16)
        return row[2 * i] << 8 | row[2 * i + 1];
    return row[i * bits / 8] >> (8 - bits - i * bits % 8) & ((1 << bits) - 1);
}

static void check_png(const png_kind *k, int width, int height) {
    const int samples = png_samples(k), colours = k->type == 0 || k->type == 4 ? 1 : 3;
    const int most = (1 << k->bits) - 1;
    const size_t row_bytes = ((size_t)(width * samples * k->bits) + 7) / 8;
    uint8_t *rows = image_noise(row_bytes * (size_t)height, (uint64_t)(k->type + k->bits + width));
    audio_file f = png_make(k, width, height, rows);
    octet_encoded e = encode(&f, NULL), here = encode(&f, &(octet_encode_params){.no_sandbox = 1});
    int64_t rounded = 0, clear = 0;
    assert_string_equal(e.media.container, "png");
    assert_int_equal(e.media.width, width);
    assert_int_equal(e.media.frames, width * height);
    assert_int_equal(e.media.channels, colours);
    assert_int_equal(e.losses.source_bits, k->bits == 16 ? 16 : 8);
    assert_true(e.guard != OCTET_GUARD_NONE && here.guard == OCTET_GUARD_NONE);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const uint8_t *row = rows + (size_t)y * row_bytes,
                          *got = e.bytes + (y * width + x) * colours;
            int first = sample_of(row, x * samples, k->bits), zeros = 0;
            for (int c = 0; c < colours; c++) {
                int value = k->type == 3 ? first : sample_of(row, x * samples + c, k->bits);
                int byte = k->type == 3 ? (c == 0   ? value
                                           : c == 1 ? 255 - value
                                                    : 7 * value % 256)
                                        : (2 * value * 255 + most) / (2 * most);
                if (got[c] != byte)
                    fail_msg("type %d, %d bits: %d at %d, %d, not %d", k->type, k->bits, got[c], x,
                             y, byte);
                rounded += k->bits == 16 && byte * 257 != value;
                zeros += value == 0;
            }
            clear += k->type >= 4   ? sample_of(row, x * samples + colours, k->bits) != most
                     : !k->key      ? 0
                     : k->type == 3 ? first == 1
                                    : zeros == colours;
        }
    assert_int_equal(e.losses.rounded, rounded);
    assert_int_equal(e.losses.transparent, clear);
    assert_int_equal(e.media.lossless, rounded == 0 && clear == 0);
    check_bytes(here.bytes, here.size, e.bytes, e.size);
    octet_encoded_free(&e);
    octet_encoded_free(&here);
    audio_free(&f);
    free(rows);
}

static void png_of_every_kind(void **state) {
    (void)state;
    static const int kinds[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                                   {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};
    static const int sizes[][2] = {{1, 1}, {3, 5}, {17, 16}, {64, 33}};
    for (int i = 0; i < COUNT(kinds); i++)
        for (int k = 0; k < COUNT(sizes); k++)
            for (int interlaced = 0; interlaced < 2; interlaced++) {
                const int key = kinds[i][0] < 4 && (i + k) % 2;
                const png_kind kind = {kinds[i][0], kinds[i][1], interlaced, key};
                check_png(&kind, sizes[k][0], sizes[k][1]);
            }
}

/* A large flat image: few bytes, all of its pixels. */
static void little_data_may_be_much(void **state) {
    (void)state;
    enum { SIDE = 2500 };
    uint8_t *rows = support_alloc(SIDE * SIDE, 1);
    audio_file f = png_make(&(png_kind){.bits = 8}, SIDE, SIDE, rows);
    octet_encoded e = encode(&f, NULL);
    print_message("%zu bytes become %zu\n", f.size, e.size);
    assert_true(f.size * 500 < e.size);
    check_bytes(e.bytes, e.size, rows, SIDE * SIDE);
    octet_encoded_free(&e);
    audio_free(&f);
    free(rows);
}

/* --- parameters */

static void sizes_are_held_against_wishes(void **state) {
    (void)state;
    static const struct {
        octet_encode_params p;
        octet_status status;
        const char *says;
    } rows[] = {
        {{.width = 6, .height = 4}, OCTET_OK, ""},
        {{.channels = 3, .block = 2}, OCTET_OK, ""},
        {{.width = 5}, OCTET_CORRUPT, "x: 6 x 4 pixels, not 5 x 4"},
        {{.width = 6, .height = 5}, OCTET_CORRUPT, "x: 6 x 4 pixels, not 6 x 5"},
        {{.block = 4}, OCTET_ERROR, "blocks of 4: the side of blocks divides both sides"},
        {{.block = -1}, OCTET_ERROR, "from 1 to 4096"},
        {{.block = 5000}, OCTET_ERROR, "from 1 to 4096"},
        {{.channels = 2}, OCTET_ERROR, "2 channels, blocks of 1: an image has 1 or 3"},
        {{.rate_hz = 8000}, OCTET_ERROR, "codec image has no rate"},
        {{.max_seconds = 1}, OCTET_ERROR, "codec image has no seconds"},
        {{.record_bytes = 1}, OCTET_ERROR, "codec image has no records"},
        {{.patch = 1}, OCTET_ERROR, "codec image has no patches"},
        {{.codec = "raw", .width = 6}, OCTET_ERROR, "codec raw has no width"},
        {{.codec = "pcm16", .block = 2}, OCTET_ERROR, "codec pcm16 has no blocks"},
        {{.codec = "records"}, OCTET_ERROR, "a record has 1 to 16777216 bytes"},
        {{.codec = "records", .record_bytes = 3, .patch = 65536}, OCTET_ERROR, "a patch has 1 to"},
        {{.codec = "records", .record_bytes = 3, .filler = 256}, OCTET_ERROR, "filler is a byte"},
        {{.codec = "records", .record_bytes = 3, .channels = 1}, OCTET_ERROR, "no channels"},
        {{.codec = "records", .record_bytes = 3, .height = 1}, OCTET_ERROR, "no height"},
    };
    audio_file f = pnm_make("P5\n6 4\n255\n", (const uint8_t *)"abcdefghijklmnopqrstuvwx", 24);
    for (int i = 0; i < COUNT(rows); i++) {
        octet_encoded e;
        octet_status status = octet_encode_memory(&e, f.data, f.size, "x", &rows[i].p, &error);
        if (status != rows[i].status || (status && !strstr(error.text, rows[i].says)))
            fail_msg("row %d: %d, \"%s\"", i, (int)status, status ? error.text : "");
        assert_int_equal(status == OCTET_OK, e.bytes != NULL);
        octet_encoded_free(&e);
    }
    octet_encoded e = encode(&f, &(octet_encode_params){.channels = 3});
    assert_int_equal(e.media.lossless, 0);
    for (int i = 0; i < 72; i++)
        assert_int_equal(e.bytes[i], 'a' + i / 3);
    audio_file back = decode(&e, NULL);
    assert_memory_equal(back.data, "P6\n6 4\n255\naaabbb", 17);
    octet_encoded again;
    assert_int_equal(octet_encode_memory(&again, back.data, back.size, "x",
                                         &(octet_encode_params){.channels = 1}, &error),
                     OCTET_CORRUPT);
    assert_string_equal(error.text, "x: 3 channels, not 1");
    static const char *const others[] = {"pgm", "wav", "pcm", "jpg"};
    for (int i = 0; i < COUNT(others); i++) {
        audio_file none;
        assert_int_equal(
            octet_decode_memory(&none.data, &none.size, &e.media, e.bytes, others[i], &error),
            OCTET_ERROR);
        support_contains(error.text, "an image of 3 channels cannot become");
        assert_null(none.data);
    }
    audio_free(&back);
    audio_free(&f);
    octet_encoded_free(&e);
}

static void descriptions_are_checked(void **state) {
    (void)state;
    static const struct {
        octet_encode_params p;
        size_t size;
        octet_status status;
        int64_t frames;
    } rows[] = {
        {{.codec = "image", .width = 4, .height = 6, .channels = 3, .block = 2}, 72, OCTET_OK, 24},
        {{.codec = "image", .width = 4, .height = 6, .channels = 1}, 24, OCTET_OK, 24},
        {{.codec = "image", .width = 4, .height = 6, .channels = 1}, 23, OCTET_CORRUPT, 0},
        {{.codec = "image", .width = 4, .height = 6, .channels = 1, .block = 4},
         24,
         OCTET_ERROR,
         0},
        {{.codec = "image", .width = 4, .height = 6, .channels = 2}, 48, OCTET_ERROR, 0},
        {{.codec = "image", .width = 4, .height = 6}, 24, OCTET_ERROR, 0},
        {{.codec = "image", .width = 4, .channels = 1}, 0, OCTET_ERROR, 0},
        {{.codec = "image", .width = 65536, .height = 1, .channels = 1}, 65536, OCTET_ERROR, 0},
        {{.codec = "image", .width = 65535, .height = 65535, .channels = 3}, 9, OCTET_CORRUPT, 0},
        {{.codec = "records", .record_bytes = 5}, 12, OCTET_OK, 12},
        {{.codec = "records", .record_bytes = 5, .patch = 4}, 16, OCTET_OK, 10},
        {{.codec = "records", .record_bytes = 5, .patch = 4}, 20, OCTET_OK, 14},
        {{.codec = "records", .record_bytes = 5, .patch = 4}, 0, OCTET_OK, 0},
        {{.codec = "records", .record_bytes = 5, .patch = 4}, 18, OCTET_CORRUPT, 0},
        {{.codec = "records"}, 16, OCTET_ERROR, 0},
        {{.codec = "pcm16", .rate_hz = 8000, .channels = 1}, 16, OCTET_OK, 8},
        {{.codec = "raw"}, 16, OCTET_OK, 16},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        octet_media m;
        octet_status status = octet_media_describe_as(&m, &rows[i].p, rows[i].size, &error);
        if (status != rows[i].status || m.frames != rows[i].frames)
            fail_msg("row %d: %d, %d frames: %s", i, (int)status, (int)m.frames, error.text);
    }
    octet_media m;
    assert_int_equal(octet_media_describe(&m, "image", 0, 3, 12, &error), OCTET_ERROR);
}

/* --- records */

static void records_come_back(void **state) {
    (void)state;
    static const int records[] = {1, 2, 7, 8, 9, 16, 250, 4096};
    static const int patches[] = {0, 1, 2, 8, 12, 255, 65535};
    static const size_t sizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 257, 5000};
    uint8_t *data = image_noise(5000, 4);
    for (int i = 0; i < COUNT(records) * COUNT(patches) * COUNT(sizes); i++) {
        const size_t size = sizes[i % COUNT(sizes)];
        const int record = records[i / COUNT(sizes) % COUNT(records)];
        const octet_encode_params p = {.codec = "records",
                                       .record_bytes = record,
                                       .patch = patches[i / COUNT(sizes) / COUNT(records)],
                                       .filler = i % 256};
        const audio_file f = {data, size};
        const size_t patch = p.patch ? (size_t)p.patch : 1;
        if (size / (size_t)record * patch > 1 << 22)
            continue;
        octet_encoded e = encode(&f, &p);
        assert_int_equal(e.media.lossless, 1);
        assert_int_equal(e.size % patch, 0);
        size_t at = 0;
        for (size_t k = 0; k < size; k++) {
            if (k % (size_t)record == 0) /* a record begins a patch, behind fillers */
                for (; at % patch; at++)
                    assert_int_equal(e.bytes[at], p.filler);
            assert_int_equal(e.bytes[at++], data[k]);
        }
        for (; at % patch; at++)
            assert_int_equal(e.bytes[at], p.filler);
        assert_int_equal(at, e.size);
        audio_file back = decode(&e, NULL);
        check_bytes(back.data, back.size, data, size);
        audio_free(&back);
        octet_encoded_free(&e);
    }
    free(data);
}

static void records_have_a_limit(void **state) {
    (void)state;
    uint8_t *data = support_alloc(50000, 1);
    octet_encoded e;
    assert_int_equal(
        octet_encode_memory(
            &e, data, 50000, "x",
            &(octet_encode_params){.codec = "records", .record_bytes = 1, .patch = 65535}, &error),
        OCTET_ERROR);
    assert_string_equal(error.text, "x: 50000 bytes in records of 1 and patches of 65535 are more "
                                    "than 2147483648 bytes");
    free(data);
}

/* --- headers, made by somebody who knows the checksum (octet_media_write does not judge) */

static void hostile_headers_are_refused(void **state) {
    (void)state;
    static const octet_media good = {.codec = "image",
                                     .container = "ppm",
                                     .samples = "u8",
                                     .channels = 3,
                                     .frames = 8,
                                     .width = 4,
                                     .block = 2};
    static const octet_media records = {
        .codec = "records", .frames = 10, .record_bytes = 5, .patch = 4, .filler = 1};
    octet_media rows[20], out;
    uint8_t file[OCTET_MEDIA_HEADER + 24] = {0};
    int n = 0;
    for (int i = 0; i < 14; i++)
        rows[i] = good;
    rows[n++].width = 0;
    rows[n++].width = 3;
    rows[n++].width = 65536;
    rows[n++].width = -1;
    rows[n++].channels = 0;
    rows[n++].channels = 2;
    rows[n++].channels = 259;
    rows[n++].block = 0;
    rows[n++].block = 3;
    rows[n++].block = 8;
    rows[n++].frames = INT64_MAX - 3;
    rows[n++].frames = 0;
    strcpy(rows[n++].container, "wav");
    strcpy(rows[n++].samples, "s16");
    for (int i = n; i < n + 6; i++)
        rows[i] = records;
    rows[n++].record_bytes = 0;
    rows[n++].record_bytes = 1 << 25;
    rows[n++].patch = 0;
    rows[n++].filler = 256;
    rows[n++].frames = INT64_MAX;
    strcpy(rows[n++].container, "png");
    assert_int_equal(n, COUNT(rows));
    octet_media_write(file, &good);
    support_ok(octet_media_read(&out, file, sizeof file, "x", &error), &error);
    octet_media_write(file, &records);
    support_ok(octet_media_read(&out, file, OCTET_MEDIA_HEADER + 16, "x", &error), &error);
    for (size_t size = 0; size < sizeof file; size++)
        if (size != OCTET_MEDIA_HEADER + 16)
            assert_int_equal(octet_media_read(&out, file, size, "x", &error), OCTET_CORRUPT);
    for (int i = 0; i < n; i++) {
        const size_t size = OCTET_MEDIA_HEADER + (rows[i].record_bytes || i > 13 ? 16 : 24);
        octet_media_write(file, &rows[i]);
        if (octet_media_read(&out, file, size, "x", &error) != OCTET_CORRUPT)
            fail_msg("row %d is taken", i);
        assert_int_equal(strncmp(error.text, "x: ", 3), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pnm_comes_back),           cmocka_unit_test(blocks_are_patches),
        cmocka_unit_test(headers_are_free_text),    cmocka_unit_test(png_of_every_kind),
        cmocka_unit_test(little_data_may_be_much),  cmocka_unit_test(sizes_are_held_against_wishes),
        cmocka_unit_test(descriptions_are_checked), cmocka_unit_test(records_come_back),
        cmocka_unit_test(records_have_a_limit),     cmocka_unit_test(hostile_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
