/* audio_mutated_test.c, for audio and for images: files of every format with random damage, through
 * the sandbox: bytes or one line, never a hang. OCTET_TEST_ALL damages 20,000 files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "audio_bad.h"
#include "memory_cap.h"
#include "octet/octet.h"
#include "support.h"

#define CONSTANT_BYTES ((size_t)4 << 20)
#define BYTES_PER_BYTE 64
#define SECONDS 10

static const uint32_t numbers[] = {0, 1, 2, 8, 9, 255, 65535, 0x7fffffff, 0x80000000, 0xffffffff};

/* One change: a bit, a byte, a number in either order, mostly in the first bytes, a piece removed,
 * doubled or moved, the end. */
static void mutate(audio_file *f, uint64_t *seed) {
    if (f->size < 32)
        return;
    size_t most = support_integer(seed, 0, 2) && f->size > 200 ? 200 : f->size;
    size_t at = (size_t)support_integer(seed, 0, (int64_t)most - 5);
    size_t n = (size_t)support_integer(seed, 1, 16);
    uint32_t number = numbers[support_integer(seed, 0, 9)];
    switch (support_integer(seed, 0, 6)) {
    case 0:
        f->data[at] ^= (uint8_t)(1 << support_integer(seed, 0, 7));
        break;
    case 1:
        f->data[at] = (uint8_t)support_random(seed);
        break;
    case 2:
        for (int i = 0; i < 4; i++)
            f->data[at + (size_t)i] = (uint8_t)(number >> 8 * i);
        break;
    case 3:
        for (int i = 0; i < 4; i++)
            f->data[at + (size_t)i] = (uint8_t)(number >> (24 - 8 * i));
        break;
    case 4:
        audio_splice(f, at, at + n <= f->size ? n : 1, NULL, 0);
        break;
    case 5: {
        uint8_t piece[16];
        memcpy(piece, f->data + (at > 16 ? at - 16 : 0), 16);
        audio_splice(f, at, 0, piece, n);
        break;
    }
    default:
        f->size = support_integer(seed, 0, 1) ? f->size - n : at;
    }
}

static void damaged_files_end(void **state) {
    (void)state;
    const char *wanted = getenv("OCTET_TEST_ALL");
    int n = wanted && *wanted ? 20000 : 400, read = 0, refused = 0, decoders = 0, died = 0;
    const int first = (int)audio_bads.first, bases = (int)audio_bads.last - first + 1;
    audio_file good[IMAGE_BASES];
    for (int b = first; b < first + bases; b++)
        good[b] = audio_base_make((audio_base)b);
    for (int i = 0; i < n; i++) {
        const int base = first + i % bases;
        uint64_t seed = (uint64_t)i;
        audio_file f = {support_alloc(good[base].size + 1, 1), good[base].size};
        memcpy(f.data, good[base].data, f.size);
        for (int64_t k = support_integer(&seed, 1, 4); k > 0; k--)
            mutate(&f, &seed);
        if (support_integer(&seed, 0, 1)) { /* else checksums catch all damage to Ogg and PNG */
            audio_fix_pages(&f, -1);
            png_fix_checksums(&f);
        }
        const octet_encode_params params = {.codec = audio_bads.codec};
        octet_error error = {0};
        octet_encoded e;
        size_t peak;
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        memory_cap_begin(CONSTANT_BYTES + BYTES_PER_BYTE * f.size);
        octet_status status = octet_encode_memory(&e, f.data, f.size, "x", &params, &error);
        int most = memory_cap_end(&peak);
        clock_gettime(CLOCK_MONOTONIC, &end);
        if (most || end.tv_sec - begin.tv_sec > SECONDS)
            fail_msg("file %d of %zu bytes: %zu bytes of memory, %d s", i, f.size, peak,
                     (int)(end.tv_sec - begin.tv_sec));
        if (status != OCTET_OK && status != OCTET_CORRUPT)
            fail_msg("file %d: ends with %d: %s", i, (int)status, error.text);
        assert_int_equal(e.bytes != NULL || e.size == 0, 1);
        read += status == OCTET_OK;
        refused += status == OCTET_CORRUPT;
        decoders += e.guard != OCTET_GUARD_NONE || strstr(error.text, "decoded") != NULL;
        died += strstr(error.text, "the decoder ") != NULL;
        if (strstr(error.text, "the decoder "))
            print_message("file %d: %s\n", i, error.text);
        octet_encoded_free(&e);
        audio_free(&f);
    }
    for (int b = first; b < first + bases; b++)
        audio_free(&good[b]);
    print_message("%d files: %d read, %d refused; %d reached the decoder, %d ended it\n", n, read,
                  refused, decoders, died);
    assert_true(read > n / audio_bads.read_one_in);
    assert_true(refused > n / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
