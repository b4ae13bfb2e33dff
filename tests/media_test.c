/* media_test.c: bytes that pass as they are, and the header of encoded files: believed only when it
 * is whole, right, and the file is as long as it says. */
#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

#include "audio_make.h"
#include "octet/octet.h"
#include "support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static octet_error error;

static audio_file with_header(const octet_encoded *e) {
    audio_file f = {support_alloc(OCTET_MEDIA_HEADER + e->size + 1, 1),
                    OCTET_MEDIA_HEADER + e->size};
    octet_media_write(f.data, &e->media);
    if (e->size)
        memcpy(f.data + OCTET_MEDIA_HEADER, e->bytes, e->size);
    return f;
}

static void any_bytes_pass_raw(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 15, 16, 17, 255, 256, 257, 100000};
    uint8_t *data = support_alloc(100000, 1);
    uint64_t seed = 6;
    for (size_t i = 0; i < 100000; i++)
        data[i] = (uint8_t)support_random(&seed);
    for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
        audio_file f = {data, sizes[i / 2]};
        octet_encode_params p = {.codec = i % 2 ? "raw" : "text"};
        octet_encoded e;
        support_ok(octet_encode_memory(&e, f.data, f.size, "x", &p, &error), &error);
        assert_int_equal(e.size, f.size);
        assert_int_equal(e.media.frames, f.size);
        assert_int_equal(e.media.lossless, 1);
        audio_file file = with_header(&e), back;
        octet_media m;
        support_ok(octet_media_read(&m, file.data, file.size, "x", &error), &error);
        assert_string_equal(m.codec, p.codec);
        audio_free(&file);
        support_ok(octet_decode_memory(&back.data, &back.size, &m, e.bytes, NULL, &error), &error);
        assert_int_equal(back.size, f.size);
        assert_memory_equal(back.data, data, f.size);
        octet_decoded_free(back.data);
        assert_int_equal(
            octet_decode_memory(&back.data, &back.size, &e.media, e.bytes, "wav", &error),
            OCTET_ERROR);
        octet_encoded_free(&e);
    }
    free(data);
}

/* --- headers */

static octet_encoded some_encoded(void) {
    int32_t *x = audio_noise(200, 16, 9);
    audio_file f = audio_make(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2, x, 100);
    octet_encoded e;
    support_ok(octet_encode_memory(&e, f.data, f.size, "x", NULL, &error), &error);
    audio_free(&f);
    free(x);
    return e;
}

static void headers_are_whole_or_refused(void **state) {
    (void)state;
    octet_encoded e = some_encoded();
    audio_file f = with_header(&e);
    octet_media m;
    support_ok(octet_media_read(&m, f.data, f.size, "x", &error), &error);
    uint8_t again[OCTET_MEDIA_HEADER];
    octet_media_write(again, &m);
    assert_memory_equal(again, f.data, sizeof again);
    assert_string_equal(m.codec, "pcm16");
    assert_string_equal(m.container, "flac");
    assert_string_equal(m.samples, "s16");
    assert_int_equal(m.rate_hz, 44100);
    assert_int_equal(m.channels, 2);
    assert_int_equal(m.frames, 100);
    assert_int_equal(m.lossless, 1);
    for (size_t bit = 0; bit < 8 * OCTET_MEDIA_HEADER; bit++) {
        f.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(octet_media_read(&m, f.data, f.size, "x", &error), OCTET_CORRUPT);
        assert_int_equal(strncmp(error.text, "x: ", 3), 0);
        f.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < f.size; size++)
        assert_int_equal(octet_media_read(&m, f.data, size, "x", &error), OCTET_CORRUPT);
    f.data[f.size] = 0;
    assert_int_equal(octet_media_read(&m, f.data, f.size + 1, "x", &error), OCTET_CORRUPT);
    support_contains(error.text, "100 frames of 4 bytes");
    audio_free(&f);
    octet_encoded_free(&e);
}

/* Made by somebody who knows the checksum. */
static void hostile_headers_are_refused(void **state) {
    (void)state;
    static const struct {
        int at, n;
        uint64_t number;
    } rows[] = {
        {12, 4, 0},          {12, 4, 999},        {12, 4, 384001},
        {12, 4, 0xffffffff}, {16, 4, 0},          {16, 4, 9},
        {16, 4, 0x80000000}, {16, 4, 1},          {20, 8, 0},
        {20, 1, 'q'},        {20, 8, UINT64_MAX}, {27, 1, 1},
        {28, 8, UINT64_MAX}, {28, 1, 'z'},        {36, 8, UINT64_MAX},
        {36, 1, 'z'},        {44, 4, 2},          {44, 4, 0xffffffff},
        {48, 8, 99},         {48, 8, UINT64_MAX}, {48, 8, UINT64_C(1) << 62},
        {48, 8, 0},          {8, 4, 2},           {8, 4, 0},
    };
    octet_encoded e = some_encoded();
    for (size_t i = 0; i < COUNT(rows); i++) {
        audio_file f = with_header(&e);
        octet_media m;
        for (int k = 0; k < rows[i].n; k++)
            f.data[rows[i].at + k] = (uint8_t)(rows[i].number >> (8 * k));
        uint64_t sum = XXH3_64bits(f.data, 56);
        for (int k = 0; k < 8; k++)
            f.data[56 + k] = (uint8_t)(sum >> (8 * k));
        if (octet_media_read(&m, f.data, f.size, "x", &error) != OCTET_CORRUPT)
            fail_msg("row %zu is taken", i);
        audio_free(&f);
    }
    octet_encoded_free(&e);
}

static void descriptions_are_checked(void **state) {
    (void)state;
    octet_media m;
    support_ok(octet_media_describe(&m, "pcm16", 8000, 2, 400, &error), &error);
    assert_int_equal(m.frames, 100);
    assert_int_equal(octet_media_describe(&m, "pcm16", 8000, 2, 402, &error), OCTET_CORRUPT);
    support_contains(error.text, "402 bytes");
    assert_int_equal(octet_media_describe(&m, "pcm16", 0, 2, 400, &error), OCTET_ERROR);
    assert_int_equal(octet_media_describe(&m, "mulaw8", 8000, 0, 400, &error), OCTET_ERROR);
    assert_int_equal(octet_media_describe(&m, "raw", 8000, 0, 400, &error), OCTET_ERROR);
    assert_int_equal(octet_media_describe(&m, "x", 8000, 1, 400, &error), OCTET_ERROR);
    support_ok(octet_media_describe(&m, "raw", 0, 0, 401, &error), &error);
    assert_int_equal(m.frames, 401);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_pass_raw),
        cmocka_unit_test(headers_are_whole_or_refused),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(descriptions_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
