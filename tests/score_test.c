/* score_test.c: scoring by whole windows gives the bits of a session. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_equals_session), cmocka_unit_test(score_many_windows),
        cmocka_unit_test(score_wide),           cmocka_unit_test(score_other_keep),
        cmocka_unit_test(score_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
