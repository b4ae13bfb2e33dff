/* score_test.c: scoring by whole windows gives the bits of a session. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session_case.h"
#include "support.h"
#include "tiny_model.h"

static octet_error error;

#define SEED 11

static void score_equals_session(void **state) {
    (void)state;
    for (int i = 0; i < TINY_CONFIGS; i++) {
        backend *b = tiny_backend(2, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        int64_t context = m->config.context, patch = m->shape[0].unit_bytes;
        yardstick y = case_measure(m, (size_t)(3 * context + patch + 1), 5);
        const int64_t sizes[] = {0,           1,       patch - 1,   patch,       patch + 1,
                                 context - 1, context, context + 1, 3 * context, (int64_t)y.n};
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            case_check_score(&y, m, (size_t)sizes[k]);
        case_release(&y);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* More windows than one run takes. */
static void score_many_windows(void **state) {
    (void)state;
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model(b, TINY_FLAT, SEED);
    yardstick y = case_measure(m, 9000, 6);
    case_check_score(&y, m, y.n);
    case_release(&y);
    model_destroy(&m);
    backend_destroy(&b);
}

/* A window whose logits are too many to be held at once, read in several pieces. */
static void score_wide(void **state) {
    (void)state;
    enum { BYTES = 5000 };
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model(b, TINY_WIDE, SEED);
    uint8_t *bytes = support_alloc(BYTES, 1);
    float *bits = support_alloc(2 * BYTES, sizeof *bits), *expected = bits + BYTES;
    tiny_bytes(bytes, BYTES, 8);
    session *s = case_session(m, 1);
    int stream = case_join(s);
    for (size_t at = 0; at < BYTES; at += 50)
        case_feed(s, stream, bytes + at, 50, expected + at);
    collected c = {bits, bytes, 0, -1};
    octet_score_params wanted = {.keep = -1, .visit = case_collect, .context = &c};
    double total, sum = 0;
    support_ok(score_windows(m, bytes, BYTES, &wanted, &total, &error), &error);
    assert_int_equal(c.next, BYTES);
    assert_memory_equal(bits, expected, BYTES * sizeof *bits);
    for (int i = 0; i < BYTES; i++)
        sum += (double)expected[i];
    assert_true(total == sum);
    /* few bytes go through the graph: the two ways agree */
    memset(bits, 0, BYTES * sizeof *bits);
    c.next = 0;
    support_ok(score_windows(m, bytes, 400, &wanted, &total, &error), &error);
    assert_memory_equal(bits, expected, 400 * sizeof *bits);
    session_destroy(&s);
    free(bytes);
    free(bits);
    model_destroy(&m);
    backend_destroy(&b);
}

/* Long windows are read in pieces, the end of a text that is a little shorter by the graph. */
static void score_long(void **state) {
    (void)state;
    static const char text[] = "{\"context\": 20480, \"levels\": [{\"dim\": 32, \"layers\": 1, "
                               "\"heads\": 2, \"patch\": 32}, {\"dim\": 8, \"layers\": 1, "
                               "\"heads\": 1}]}";
    enum { SHORT = 16380, LONG = 16500 };
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model_of(b, text, SEED);
    yardstick y = case_measure(m, LONG, 9);
    case_check_score(&y, m, SHORT);
    case_check_score(&y, m, LONG);
    case_release(&y);
    model_destroy(&m);
    backend_destroy(&b);
}

static void score_other_keep(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model(b, TINY_PAPER, SEED);
    uint8_t bytes[300];
    float bits[300], expected[300];
    tiny_bytes(bytes, sizeof bytes, 7);
    for (int64_t keep = 0; keep < 64; keep += 12) {
        session *s = NULL;
        support_ok(session_create(&s, m, 1, keep, &error), &error);
        int stream = case_join(s);
        for (size_t i = 0; i < sizeof bytes; i++)
            case_feed(s, stream, bytes + i, 1, expected + i);
        collected c = {bits, bytes, 0, -1};
        octet_score_params wanted = {.keep = keep, .visit = case_collect, .context = &c};
        double total;
        support_ok(score_windows(m, bytes, sizeof bytes, &wanted, &total, &error), &error);
        assert_memory_equal(bits, expected, sizeof bits);
        session_destroy(&s);
    }
    model_destroy(&m);
    backend_destroy(&b);
}

/* --- strided */

/* The bits of one session with that keep. */
static void read_whole(const model *m, int64_t keep, const uint8_t *bytes, size_t n, float *bits) {
    session *s = NULL;
    support_ok(session_create(&s, m, 1, keep, &error), &error);
    case_feed(s, case_join(s), bytes, n, bits);
    session_destroy(&s);
}

/* What strided scoring is: two sessions, the second from half a patch on, and each byte from the
 * one where it stands in the first half of its patch. */
static void read_strided(const model *m, int64_t keep, const uint8_t *bytes, size_t n,
                         float *bits) {
    size_t patch = (size_t)m->shape[0].unit_bytes, half = patch / 2;
    float *shifted = support_alloc(n, sizeof *shifted);
    read_whole(m, keep, bytes, n, bits);
    if (n > half)
        read_whole(m, keep, bytes + half, n - half, shifted);
    for (size_t i = 0; i < n; i++)
        if (i % patch >= half)
            bits[i] = shifted[i - half];
    free(shifted);
}

static void check_strided(const model *m, int64_t keep, const uint8_t *bytes, size_t n,
                          const float *expected) {
    float *bits = support_alloc(n, sizeof *bits);
    collected c = {bits, bytes, 0, -1};
    octet_score_params wanted = {.keep = keep, .visit = case_collect, .context = &c, .strided = 1};
    double total = -1, sum = 0;
    support_ok(score_windows(m, bytes, n, &wanted, &total, &error), &error);
    assert_int_equal(c.next, n);
    if (n)
        assert_memory_equal(bits, expected, n * sizeof *bits);
    for (size_t i = 0; i < n; i++)
        sum += (double)expected[i];
    assert_true(total == sum);
    free(bits);
}

/* Any length, any overlap; patches of 2, 3, 4 and 8 bytes. */
static void strided_equals_two_sessions(void **state) {
    (void)state;
    for (int i = 0; i < TINY_CONFIGS; i++) {
        if (i == TINY_FLAT || i == TINY_NGRAMS || i == TINY_OPTIONS)
            continue; /* without patches */
        backend *b = tiny_backend(2, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        int64_t context = m->config.context, patch = m->shape[0].unit_bytes;
        int64_t most = 3 * context + patch + 1, half = patch / 2;
        const int64_t keeps[] = {-1, 0, patch, context - patch};
        const int64_t sizes[] = {0,       1,           half,           half + 1,    patch,
                                 context, context + 1, context + half, 2 * context, most};
        uint8_t *bytes = support_alloc((size_t)most, 1);
        float *expected = support_alloc((size_t)most, sizeof *expected);
        tiny_bytes(bytes, (size_t)most, 5);
        for (size_t k = 0; k < sizeof keeps / sizeof *keeps; k++) {
            read_strided(m, keeps[k], bytes, (size_t)most, expected);
            for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++)
                check_strided(m, keeps[k], bytes, (size_t)sizes[n], expected);
        }
        free(bytes);
        free(expected);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* A window too wide to be held at once is read by two streams, in pieces; few bytes are not. */
static void strided_wide(void **state) {
    (void)state;
    enum { BYTES = 4500 };
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model(b, TINY_WIDE, SEED);
    uint8_t *bytes = support_alloc(BYTES, 1);
    float *expected = support_alloc(BYTES, sizeof *expected);
    tiny_bytes(bytes, BYTES, 8);
    read_strided(m, -1, bytes, BYTES, expected);
    check_strided(m, -1, bytes, BYTES, expected);
    check_strided(m, -1, bytes, 4097, expected);
    check_strided(m, -1, bytes, 400, expected);
    free(bytes);
    free(expected);
    model_destroy(&m);
    backend_destroy(&b);
}

static void strided_on_any_machine(void **state) {
    (void)state;
    const int threads[] = {1, 2, 5};
    uint8_t bytes[500];
    float expected[500];
    tiny_bytes(bytes, sizeof bytes, 9);
    for (int isa = CPU_SCALAR; isa <= (int)cpu_detect(); isa++)
        for (int k = 0; k < 3; k++) {
            backend *b = tiny_backend(threads[k], (cpu_isa)isa);
            model *m = tiny_model(b, TINY_THREE, SEED);
            if (isa == CPU_SCALAR && k == 0)
                read_strided(m, 0, bytes, sizeof bytes, expected);
            check_strided(m, 0, bytes, sizeof bytes, expected);
            model_destroy(&m);
            backend_destroy(&b);
        }
}

/* A code: before a byte is looked at, its 256 values have probabilities that add up to 1, and what
 * it is changes nothing before it. */
static void strided_is_a_code(void **state) {
    (void)state;
    const size_t places[] = {0, 1, 2, 3, 5, 6, 63, 64, 66, 70};
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model(b, TINY_PAPER, SEED);
    uint8_t bytes[71];
    float bits[71], before[71];
    tiny_bytes(bytes, sizeof bytes, 10);
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        size_t n = places[k] + 1;
        double total, sum = 0;
        for (int value = 0; value < 256; value++) {
            collected c = {bits, bytes, 0, -1};
            octet_score_params wanted = {
                .keep = -1, .visit = case_collect, .context = &c, .strided = 1};
            bytes[places[k]] = (uint8_t)value;
            support_ok(score_windows(m, bytes, n, &wanted, &total, &error), &error);
            sum += exp2(-(double)bits[places[k]]);
            if (value == 0)
                memcpy(before, bits, sizeof before);
            else if (n > 1)
                assert_memory_equal(before, bits, (n - 1) * sizeof *bits);
        }
        /* bits below 32 are rounded by 2^-20 at most */
        assert_true(fabs(sum - 1) < 1e-5);
    }
    model_destroy(&m);
    backend_destroy(&b);
}

static void strided_needs_patches(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model(b, TINY_FLAT, SEED);
    const uint8_t byte = 0;
    double total;
    octet_score_params wanted = {.keep = -1, .strided = 1};
    assert_int_equal(score_windows(m, &byte, 1, &wanted, &total, &error), OCTET_ERROR);
    support_contains(error.text, "one level");
    model_destroy(&m);
    backend_destroy(&b);
}

static void score_stops(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model(b, TINY_FLAT, SEED);
    static uint8_t bytes[20000];
    static float bits[20000];
    volatile int stop = 1;
    double total = -1;
    octet_score_params wanted = {.keep = -1, .stop = &stop};
    assert_int_equal(score_windows(m, bytes, sizeof bytes, &wanted, &total, &error), OCTET_STOPPED);
    collected c = {bits, bytes, 0, 100};
    wanted = (octet_score_params){.keep = -1, .visit = case_collect, .context = &c};
    assert_int_equal(score_windows(m, bytes, sizeof bytes, &wanted, &total, &error), OCTET_STOPPED);
    assert_true(c.next > 100 && c.next < 200);
    wanted.keep = 33;
    assert_int_equal(score_windows(m, bytes, sizeof bytes, &wanted, &total, &error), OCTET_ERROR);
    model_destroy(&m);
    backend_destroy(&b);
}

/* Bytes past a small vocabulary can be read, cost without end, and are never drawn. */
static void few_symbols(void **state) {
    (void)state;
    enum { SYMBOLS = 100 };
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model_of(
        b,
        "{\"context\": 32, \"vocabulary\": 100, \"levels\": ["
        "{\"dim\": 16, \"layers\": 1, \"heads\": 2, \"patch\": 4, \"embedder\": \"one-hot\"},"
        "{\"dim\": 16, \"layers\": 1, \"heads\": 2}]}",
        SEED);
    uint8_t bytes[64], byte;
    float bits[64];
    double total, sum = 0;
    for (int i = 0; i < 64; i++)
        bytes[i] = (uint8_t)(i * 37 % SYMBOLS);
    octet_score_params wanted = {.keep = -1};
    support_ok(score_windows(m, bytes, 64, &wanted, &total, &error), &error);
    session *s = case_session(m, 1);
    int stream = case_join(s);
    case_feed(s, stream, bytes, 64, bits);
    for (int i = 0; i < 64; i++)
        sum += (double)bits[i];
    assert_true(total == sum && isfinite(sum));
    for (uint64_t i = 0; i < 300; i++) {
        const octet_sampling hot = {.temperature = 100, .seed = i};
        support_ok(session_sample(s, stream, &hot, &byte, &error), &error);
        assert_true(byte < SYMBOLS);
        case_feed(s, stream, &byte, 1, bits);
        assert_true(isfinite(bits[0]));
    }
    byte = SYMBOLS;
    case_feed(s, stream, &byte, 1, bits);
    assert_true(isinf(bits[0]) && bits[0] > 0);
    bytes[41] = SYMBOLS;
    assert_int_equal(score_windows(m, bytes, 64, &wanted, &total, &error), OCTET_CORRUPT);
    support_contains(error.text, "byte 41 no probability: 100 is not in its vocabulary");
    session_destroy(&s);
    model_destroy(&m);
    backend_destroy(&b);
}

/* A symbol past the bytes that ends streams, or with the same weights does not. */
static void streams_end(void **state) {
    (void)state;
    static const char format[] =
        "{\"context\": 32, \"vocabulary\": 300, %s\"levels\": ["
        "{\"dim\": 16, \"layers\": 1, \"heads\": 2, \"zero_init\": false}]}";
    backend *b = tiny_backend(2, CPU_AVX512);
    char json[256];
    int ends = 0, draws = 3000;
    snprintf(json, sizeof json, format, "\"end_symbol\": 299, ");
    model *m = tiny_model_of(b, json, SEED);
    session *s = case_session(m, 1);
    int stream = case_join(s);
    for (int i = 0; i < draws; i++) {
        const octet_sampling p = {.temperature = 50, .seed = (uint64_t)i};
        uint8_t byte = 1;
        octet_status status = session_sample(s, stream, &p, &byte, &error);
        assert_true(status == OCTET_OK || (status == OCTET_END && byte == 0));
        ends += status == OCTET_END;
    }
    /* nearly uniform over 257 symbols: the mean is 11.7 */
    assert_in_range(ends, 2, 40);
    session_destroy(&s);
    model_destroy(&m);
    snprintf(json, sizeof json, format, "");
    m = tiny_model_of(b, json, SEED);
    s = case_session(m, 1);
    stream = case_join(s);
    for (int i = 0; i < draws; i++) {
        const octet_sampling p = {.temperature = 50, .seed = (uint64_t)i};
        uint8_t byte;
        support_ok(session_sample(s, stream, &p, &byte, &error), &error);
    }
    session_destroy(&s);
    model_destroy(&m);
    backend_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_equals_session),
        cmocka_unit_test(score_many_windows),
        cmocka_unit_test(score_wide),
        cmocka_unit_test(score_long),
        cmocka_unit_test(score_other_keep),
        cmocka_unit_test(score_stops),
        cmocka_unit_test(strided_equals_two_sessions),
        cmocka_unit_test(strided_wide),
        cmocka_unit_test(strided_on_any_machine),
        cmocka_unit_test(strided_is_a_code),
        cmocka_unit_test(strided_needs_patches),
        cmocka_unit_test(few_symbols),
        cmocka_unit_test(streams_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
