/* coder_test.c: the range coder, the frequencies, and the container's parts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "coder/container.h"
#include "coder/frequencies.h"
#include "coder/range_coder.h"
#include "support.h"

static octet_error error;

/* --- the range coder */

typedef struct interval {
    uint32_t below, count;
    int bits;
} interval;

/* What is decoded is what was encoded, and it takes what the intervals say. */
static void round_trip(const interval *list, int n) {
    range_encoder e;
    range_decoder d;
    double bits = 0;
    range_encoder_start_empty(&e);
    for (int i = 0; i < n; i++) {
        range_encode(&e, list[i].below, list[i].count, list[i].bits);
        bits += list[i].bits - log2(list[i].count);
    }
    range_encoder_finish(&e);
    assert_false(e.failed);
    /* the division loses below 2^-24 of the range a step; the end takes a byte more at most */
    assert_true((double)e.size * 8 <= bits + n * 2e-7 + 8);
    range_decoder_start(&d, e.data, e.size);
    for (int i = 0; i < n; i++) {
        const uint32_t target = range_decode_target(&d, list[i].bits);
        assert_in_range(target, list[i].below, list[i].below + list[i].count - 1);
        range_decode_take(&d, list[i].below, list[i].count, list[i].bits);
    }
    free(e.data);
}

static void intervals_come_back(void **state) {
    (void)state;
    enum { MOST = 3000 };
    uint64_t random = 3;
    interval *list = support_alloc(MOST, sizeof *list);
    for (int round = 0; round < 200; round++) {
        const int n = (int)support_integer(&random, 0, round % 10 ? 60 : MOST);
        const int kind = (int)support_integer(&random, 0, 4);
        for (int i = 0; i < n; i++) {
            interval *x = &list[i];
            x->bits = kind == 4 ? 24 : (int)support_integer(&random, 1, 24);
            const int64_t total = (int64_t)1 << x->bits;
            x->below = (uint32_t)support_integer(&random, 0, total - 1);
            x->count = (uint32_t)support_integer(&random, 1, total - (int64_t)x->below);
            if (kind == 1) { /* the very end, where carries run on */
                x->below = (uint32_t)total - 1;
                x->count = 1;
            } else if (kind == 2) {
                x->below = 0;
                x->count = 1;
            } else if (kind == 3 && i % 7) { /* all of it: nothing to say */
                x->below = 0;
                x->count = (uint32_t)total;
            }
        }
        round_trip(list, n);
    }
    free(list);
}

/* Bytes 0xff that a carry turns to 0 long after, and ones that it does not. */
static void carries_reach_back(void **state) {
    (void)state;
    for (int n = 1; n < 40; n++) {
        interval list[64];
        int k = 0;
        /* within 2^-8 of the top of the first half, again and again, then over it or not */
        list[k++] = (interval){0, 1u << 23, 24};
        for (int i = 0; i < n; i++)
            list[k++] = (interval){255, 1, 8};
        list[k++] = (interval){(1u << 24) - 1, 1, 24};
        list[k++] = (interval){(1u << 24) - 1, 1, 24};
        round_trip(list, k);
        list[k - 1] = (interval){0, 1, 24};
        round_trip(list, k);
    }
}

static void garbage_gives_targets(void **state) {
    (void)state;
    uint64_t random = 9;
    uint8_t bytes[64];
    for (int round = 0; round < 2000; round++) {
        const size_t n = (size_t)support_integer(&random, 0, 64);
        for (size_t i = 0; i < n; i++)
            bytes[i] = round % 3 ? (uint8_t)support_integer(&random, 0, 255) : 0xff;
        range_decoder d;
        range_decoder_start(&d, bytes, n);
        for (int i = 0; i < 200; i++) {
            const int bits = (int)support_integer(&random, 1, 24);
            const uint32_t target = range_decode_target(&d, bits);
            assert_true(target < (uint32_t)1 << bits);
            range_decode_take(&d, target, 1, bits);
        }
    }
}

/* --- frequencies */

static void check_table(const frequencies *f, const float *logits, int n) {
    double sum = 0, max = -INFINITY;
    assert_int_equal(f->below[0], 0);
    assert_int_equal(f->below[256], FREQUENCY_TOTAL);
    for (int i = 0; i < n; i++)
        max = fmax(max, (double)logits[i]);
    for (int i = 0; i < n; i++)
        sum += exp((double)logits[i] - max);
    for (int i = 0; i < 256; i++) {
        assert_true(f->below[i + 1] > f->below[i]);
        const double is = (double)(f->below[i + 1] - f->below[i]) / FREQUENCY_TOTAL;
        const double p = i < n ? exp((double)logits[i] - max) / sum : 0;
        /* 256 of 2^24 go to the least frequencies, and rounding down to the likeliest byte */
        assert_true(fabs(is - p) < 3 * 257.0 / FREQUENCY_TOTAL);
    }
}

static void frequencies_follow_logits(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 100, 255, 256, 257, 300};
    uint64_t random = 5;
    float logits[300];
    frequencies f;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int round = 0; round < 50; round++) {
            const double spread = round < 10 ? 0 : round < 30 ? 5 : 90;
            support_fill(logits, 300, -spread, spread, &random);
            if (round % 7 == 0)
                logits[support_integer(&random, 0, 299)] = -INFINITY;
            if (sizes[k] < 3)
                logits[0] = 0;
            support_ok(frequencies_set(&f, logits, sizes[k], &error), &error);
            check_table(&f, logits, sizes[k] < 256 ? sizes[k] : 256);
            for (int i = 0; i < 200; i++) {
                const uint32_t target = (uint32_t)support_integer(&random, 0, FREQUENCY_TOTAL - 1);
                const int s = frequencies_find(&f, target);
                assert_true(f.below[s] <= target && target < f.below[s + 1]);
            }
            assert_int_equal(frequencies_find(&f, 0), 0);
            assert_int_equal(frequencies_find(&f, FREQUENCY_TOTAL - 1), 255);
        }
}

static void frequencies_refuse(void **state) {
    (void)state;
    frequencies f;
    float logits[256] = {0};
    logits[200] = NAN;
    assert_int_equal(frequencies_set(&f, logits, 256, &error), OCTET_CORRUPT);
    support_ok(frequencies_set(&f, logits, 200, &error), &error);
    logits[200] = INFINITY;
    assert_int_equal(frequencies_set(&f, logits, 256, &error), OCTET_CORRUPT);
    for (int i = 0; i < 256; i++)
        logits[i] = -INFINITY;
    assert_int_equal(frequencies_set(&f, logits, 256, &error), OCTET_CORRUPT);
}

/* --- the container */

static void headers_come_back(void **state) {
    (void)state;
    container_header h = {.profile = CONTAINER_INT8, .keep = 0xfedcba98, .adapts = 0x12345678},
                     back;
    uint8_t bytes[CONTAINER_HEADER_BYTES];
    for (int i = 0; i < 16; i++)
        h.fingerprint[i] = (uint8_t)(17 * i);
    container_put_header(bytes, &h);
    assert_true(container_is_one(bytes, sizeof bytes));
    support_ok(container_get_header(&back, bytes, "x", &error), &error);
    assert_memory_equal(back.fingerprint, h.fingerprint, 16);
    assert_true(back.keep == h.keep && back.profile == h.profile && back.adapts == h.adapts);
    for (int i = 0; i < CONTAINER_HEADER_BYTES * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(container_get_header(&back, bytes, "x", &error), OCTET_CORRUPT);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (uint32_t profile = 0; profile < 5; profile++) { /* 1 and 2 are known */
        h.profile = profile;
        container_put_header(bytes, &h);
        assert_int_equal(container_get_header(&back, bytes, "x", &error),
                         profile == 1 || profile == 2 ? OCTET_OK : OCTET_CORRUPT);
    }
}

static container_block coded(void) {
    return (container_block){.kind = CONTAINER_CODED,
                             .streams = 3,
                             .number = 7,
                             .offset = 7000,
                             .content = 1000,
                             .payload = 300,
                             .payload_hash = 1,
                             .content_hash = 2};
}

static octet_status pass_through(container_block *b) {
    uint8_t bytes[CONTAINER_BLOCK_BYTES];
    container_put_block(bytes, b);
    return container_get_block(b, bytes, 64, "x", &error);
}

static void blocks_come_back(void **state) {
    (void)state;
    container_block b = coded(), back;
    uint8_t bytes[CONTAINER_BLOCK_BYTES];
    container_put_block(bytes, &b);
    support_ok(container_get_block(&back, bytes, 64, "x", &error), &error);
    assert_true(back.kind == b.kind && back.streams == b.streams && back.number == b.number &&
                back.offset == b.offset && back.content == b.content && back.payload == b.payload &&
                back.payload_hash == b.payload_hash && back.content_hash == b.content_hash);
    for (int i = 0; i < CONTAINER_BLOCK_BYTES * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(container_get_block(&back, bytes, 64, "x", &error), OCTET_CORRUPT);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

/* Headers with right checksums that no writer makes. */
static void blocks_that_lie(void **state) {
    (void)state;
    const struct {
        uint32_t kind, streams, payload;
        uint64_t offset, content, number;
    } bad[] = {
        {0, 3, 300, 0, 1000, 0},
        {5, 3, 300, 0, 1000, 0},
        {CONTAINER_SWAPPED, 3, 1000, 0, 1000, 0},
        {CONTAINER_SWAPPED, 0, 300, 0, 1000, 0},
        {CONTAINER_CODED, 3, 300, 0, 0, 0},
        {CONTAINER_CODED, 3, 300, 0, (uint64_t)CONTAINER_BLOCK_MOST + 1, 0},
        {CONTAINER_CODED, 3, 300, 0, UINT64_MAX, 0},
        {CONTAINER_CODED, 0, 300, 0, 1000, 0},
        {CONTAINER_CODED, CONTAINER_STREAMS_MOST + 1, 300000, 0, 1000000, 0},
        {CONTAINER_CODED, 76, 300, 0, 1000, 0},
        {CONTAINER_CODED, 300, 1200, 0, 299, 0},
        {CONTAINER_CODED, 3, 1000, 0, 1000, 0},
        {CONTAINER_CODED, 3, 300, UINT64_MAX - 5, 1000, 0},
        {CONTAINER_STORED, 0, 999, 0, 1000, 0},
        {CONTAINER_STORED, 1, 1000, 0, 1000, 0},
        {CONTAINER_END, 1, 16, 1000, 1000, 1},
        {CONTAINER_END, 0, 16, 1000, 1000, 2},
        {CONTAINER_END, 0, 16, 1000, 1001, 1},
        {CONTAINER_END, 0, UINT32_MAX, 1000, 1000, UINT32_MAX / 16},
    };
    container_block b = coded();
    assert_int_equal(pass_through(&b), OCTET_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        b = (container_block){.kind = bad[i].kind,
                              .streams = bad[i].streams,
                              .payload = bad[i].payload,
                              .offset = bad[i].offset,
                              .content = bad[i].content,
                              .number = bad[i].number};
        assert_int_equal(pass_through(&b), OCTET_CORRUPT);
        support_contains(error.text, "x: byte 64: the block header has ");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_come_back),   cmocka_unit_test(carries_reach_back),
        cmocka_unit_test(garbage_gives_targets), cmocka_unit_test(frequencies_follow_logits),
        cmocka_unit_test(frequencies_refuse),    cmocka_unit_test(headers_come_back),
        cmocka_unit_test(blocks_come_back),      cmocka_unit_test(blocks_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
