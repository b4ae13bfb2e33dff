/* session_saved_test.c: a stream saved and restored goes on with the same bits; damage is seen. */
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

/* --- saving */

/* At every place in a patch and around the end of a window; restored into another session with
 * another number of streams, other threads and plain C, and into the same one. */
static void save_restore(void **state) {
    (void)state;
    for (int i = 0; i < TINY_CONFIGS; i++) {
        backend *b = tiny_backend(1, CPU_AVX512), *other = tiny_backend(2, CPU_SCALAR);
        model *m = tiny_model(b, i, SEED), *same = tiny_model(other, i, SEED);
        int64_t context = m->config.context, patch = m->shape[0].unit_bytes;
        yardstick y = case_measure(m, (size_t)(2 * context + 40), 9);
        session *s = case_session(m, 2), *t = case_session(same, 20);
        int from = case_join(s), busy = case_join(s), to = case_join(t);
        case_feed(s, busy, y.bytes, 30, NULL);
        size_t size = session_save_bytes(s);
        assert_int_equal(size, session_save_bytes(t));
        void *saved = support_alloc(size, 1);
        for (size_t at = 0; at < (size_t)(context + 2 * patch); at++) {
            size_t p = (size_t)patch;
            if (at < 2 * p || at > (size_t)context - p - 2) {
                support_ok(session_save(s, from, saved, size, &error), &error);
                support_ok(session_restore(t, to, saved, size, &error), &error);
                support_ok(session_restore(s, busy, saved, size, &error), &error);
                assert_int_equal(session_position(t, to), at);
                float bits[40];
                case_feed(t, to, y.bytes + at, 40, bits);
                assert_memory_equal(bits, y.bits + at, sizeof bits);
                case_check_logits(&y, t, to);
                for (int k = 0; k < 9; k++)
                    case_feed(s, busy, y.bytes + at + k, 1, bits + k);
                assert_memory_equal(bits, y.bits + at, 9 * sizeof *bits);
                case_check_logits(&y, s, busy);
            }
            case_feed(s, from, y.bytes + at, 1, NULL);
        }
        free(saved);
        session_destroy(&s);
        session_destroy(&t);
        case_release(&y);
        model_destroy(&m);
        model_destroy(&same);
        backend_destroy(&b);
        backend_destroy(&other);
    }
}

static void save_is_reproducible(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model(b, TINY_THREE, SEED);
    yardstick y = case_measure(m, 100, 9);
    session *s = case_session(m, 1), *t = case_session(m, 30);
    int one = case_join(s), two = case_join(t);
    size_t size = session_save_bytes(s);
    uint8_t *a = support_alloc(size, 1), *c = support_alloc(size, 1);
    case_feed(s, one, y.bytes, 100, NULL);
    for (int i = 0; i < 100; i++)
        case_feed(t, two, y.bytes + i, 1, NULL);
    memset(a, 1, size);
    memset(c, 2, size);
    support_ok(session_save(s, one, a, size, &error), &error);
    support_ok(session_save(t, two, c, size, &error), &error);
    assert_memory_equal(a, c, size);
    free(a);
    free(c);
    session_destroy(&s);
    session_destroy(&t);
    case_release(&y);
    model_destroy(&m);
    backend_destroy(&b);
}

/* Every truncation and every flipped bit is an error, and the stream stays as it was. */
static void restore_refuses_damage(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model(b, TINY_FLAT, SEED);
    yardstick y = case_measure(m, 60, 9);
    session *s = case_session(m, 2);
    int from = case_join(s), to = case_join(s);
    case_feed(s, from, y.bytes, 41, NULL);
    case_feed(s, to, y.bytes, 17, NULL);
    size_t size = session_save_bytes(s);
    uint8_t *saved = support_alloc(size, 1);
    support_ok(session_save(s, from, saved, size, &error), &error);
    for (size_t n = 0; n < size; n++) {
        /* a copy of just that size, so that reading past it is caught */
        uint8_t *cut = support_alloc(n, 1);
        memcpy(cut, saved, n);
        assert_int_equal(session_restore(s, to, cut, n, &error), OCTET_CORRUPT);
        free(cut);
    }
    for (size_t bit = 0; bit < 8 * size; bit++) {
        saved[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(session_restore(s, to, saved, size, &error), OCTET_CORRUPT);
        saved[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(session_position(s, to), 17);
    case_check_logits(&y, s, to);
    float bits[43];
    case_feed(s, to, y.bytes + 17, 43, bits);
    assert_memory_equal(bits, y.bits + 17, sizeof bits);
    support_ok(session_restore(s, to, saved, size, &error), &error);
    case_check_logits(&y, s, to);
    free(saved);
    session_destroy(&s);
    case_release(&y);
    model_destroy(&m);
    backend_destroy(&b);
}

#define SIZES "\"dim\": 8, \"layers\": 1, \"heads\": 1"

/* What training was does not matter to a stream. */
static void restore_takes_the_same_model(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    static const char *const texts[] = {"{\"context\": 16, \"levels\": [{" SIZES "}]}",
                                        "{\"context\": 16, \"levels\": [{" SIZES
                                        ", \"x0_mix\": false}], \"train\": {\"steps\": 9}}",
                                        "{\"context\": 16, \"levels\": [{" SIZES
                                        ", \"rope_scale\": 2}]}"};
    uint8_t *saved = NULL;
    size_t size = 0;
    for (int i = 0; i < 3; i++) {
        model *m = tiny_model_of(b, texts[i], SEED);
        session *s = case_session(m, 1);
        int stream = case_join(s);
        if (i == 0) {
            size = session_save_bytes(s);
            saved = support_alloc(size, 1);
            support_ok(session_save(s, stream, saved, size, &error), &error);
        }
        assert_int_equal(session_restore(s, stream, saved, size, &error),
                         i < 2 ? OCTET_OK : OCTET_WRONG_MODEL);
        session_destroy(&s);
        model_destroy(&m);
    }
    free(saved);
    backend_destroy(&b);
}

static void restore_refuses_other_models(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model(b, TINY_PAPER, SEED), *twin = tiny_model(b, TINY_PAPER, SEED);
    model *other = tiny_model(b, TINY_THREE, SEED);
    strcpy(m->fingerprint, "0123456789abcdef0123456789abcdef");
    strcpy(twin->fingerprint, "0123456789abcdef0123456789abcdee");
    strcpy(other->fingerprint, m->fingerprint);
    session *s = case_session(m, 1), *keeps = NULL;
    support_ok(session_create(&keeps, m, 1, 8, &error), &error);
    session *wrong[] = {case_session(twin, 1), case_session(other, 1), keeps};
    int stream = case_join(s);
    size_t size = session_save_bytes(s);
    uint8_t *saved = support_alloc(size, 1);
    support_ok(session_save(s, stream, saved, size, &error), &error);
    for (int i = 0; i < 3; i++) {
        case_join(wrong[i]);
        assert_int_equal(session_restore(wrong[i], 0, saved, size, &error), OCTET_WRONG_MODEL);
        session_destroy(&wrong[i]);
    }
    support_ok(session_restore(s, stream, saved, size, &error), &error);
    assert_int_equal(session_save(s, stream, saved, size - 1, &error), OCTET_ERROR);
    free(saved);
    session_destroy(&s);
    model_destroy(&m);
    model_destroy(&twin);
    model_destroy(&other);
    backend_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(save_restore),
        cmocka_unit_test(save_is_reproducible),
        cmocka_unit_test(restore_refuses_damage),
        cmocka_unit_test(restore_takes_the_same_model),
        cmocka_unit_test(restore_refuses_other_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
