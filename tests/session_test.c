/* session_test.c: feeding streams, alone and in batches. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ref_backend.h"
#include "session_case.h"
#include "support.h"
#include "tiny_model.h"

static octet_error error;

#define SEED 11

/* --- feeding */

static void feed_pieces(void **state) {
    (void)state;
    for (int i = 0; i < TINY_CONFIGS; i++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        yardstick y = case_measure(m, (size_t)(m->config.context * 7 / 2 + 3), 1);
        case_check_whole(&y, m);
        for (uint64_t seed = 0; seed < 6; seed++)
            case_check_pieces(&y, m, seed);
        case_release(&y);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* A prompt may end anywhere in a patch: every length up to two patches, whole and then byte by
 * byte, and so around the end of the context. */
static void feed_prompts(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LONG; i++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        int64_t context = m->config.context, patch = m->shape[0].unit_bytes;
        yardstick y = case_measure(m, (size_t)(2 * context), 2);
        session *s = case_session(m, 1);
        for (int64_t base = 0; base <= context; base += context) {
            for (int64_t n = base ? base - patch - 1 : 0; n <= base + 2 * patch + 1; n++) {
                int stream = case_join(s);
                case_feed(s, stream, y.bytes, (size_t)n, NULL);
                case_check_logits(&y, s, stream);
                for (int64_t k = n; k < n + patch + 1 && k < (int64_t)y.n; k++) {
                    float bits;
                    case_feed(s, stream, y.bytes + k, 1, &bits);
                    assert_memory_equal(&bits, &y.bits[k], sizeof bits);
                }
                case_check_logits(&y, s, stream);
                support_ok(session_leave(s, stream, &error), &error);
            }
        }
        session_destroy(&s);
        case_release(&y);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

static void feed_threads_and_isas(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 5};
    for (int i = 0; i < TINY_CONFIGS; i++) {
        backend *first = tiny_backend(1, CPU_SCALAR);
        model *m = tiny_model(first, i, SEED);
        yardstick y = case_measure(m, (size_t)(m->config.context * 3 / 2 + 5), 3);
        model_destroy(&m);
        backend_destroy(&first);
        for (int isa = CPU_SCALAR; isa < CPU_ISAS; isa++) {
            for (int k = 0; k < 3; k++) {
                backend *b = tiny_backend(threads[k], (cpu_isa)isa);
                m = tiny_model(b, i, SEED);
                yardstick other = case_measure(m, y.n, 3);
                assert_memory_equal(other.logits, y.logits,
                                    (y.n + 1) * (size_t)y.vocabulary * sizeof *y.logits);
                case_check_whole(&y, m);
                case_check_score(&y, m, y.n);
                case_release(&other);
                model_destroy(&m);
                backend_destroy(&b);
            }
        }
        case_release(&y);
    }
}

/* --- batches */

static void check_batch(int index, int streams, int rounds, uint64_t seed) {
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model(b, index, SEED);
    case_check_batch(m, streams, rounds, seed);
    model_destroy(&m);
    backend_destroy(&b);
}

static void batch_lanes(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LONG; i++)
        check_batch(i, 7, 200, (uint64_t)i);
    check_batch(TINY_LONG, 3, 120, 9);
}

/* Enough streams for the short blocks, and a batch that is no power of two. */
static void batch_many(void **state) {
    (void)state;
    check_batch(TINY_PAPER, 21, 150, 4);
}

/* More streams than one run takes. */
static void batch_more_than_one_run(void **state) {
    (void)state;
    enum { STREAMS = 300 };
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model(b, TINY_LAYER, SEED);
    yardstick y = case_measure(m, 10, 1);
    session *s = case_session(m, STREAMS);
    octet_feed feeds[STREAMS];
    float bits[STREAMS];
    for (int i = 0; i < STREAMS; i++)
        case_join(s);
    /* every third stream reads one byte ahead, so that boundaries differ */
    for (int i = 0; i < STREAMS; i += 3)
        case_feed(s, i, y.bytes, 1, NULL);
    for (size_t round = 0; round < 6; round++) {
        for (int i = 0; i < STREAMS; i++)
            feeds[i] = (octet_feed){i, y.bytes + round + (i % 3 == 0), 1, bits + i};
        support_ok(session_feed(s, feeds, STREAMS, &error), &error);
        for (int i = 0; i < STREAMS; i++) {
            assert_memory_equal(&bits[i], &y.bits[round + (i % 3 == 0)], sizeof *bits);
            case_check_logits(&y, s, i);
        }
    }
    session_destroy(&s);
    case_release(&y);
    model_destroy(&m);
    backend_destroy(&b);
}

/* --- probabilities */

/* Over all 256 continuations, from a saved stream, at every place in a patch and past the context.
 * 256 floats of relative error about 1e-6 each. */
static void probabilities_sum_to_one(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LAYER; i++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        yardstick y = case_measure(m, (size_t)m->config.context + 12, 8);
        session *s = case_session(m, 1);
        int stream = case_join(s);
        size_t size = session_save_bytes(s);
        void *saved = support_alloc(size, 1);
        for (size_t at = 0; at < y.n; at += at < 9 || at > y.n - 5 ? 1 : 7) {
            size_t here = (size_t)session_position(s, stream);
            case_feed(s, stream, y.bytes + here, at - here, NULL);
            support_ok(session_save(s, stream, saved, size, &error), &error);
            double sum = 0;
            for (int byte = 0; byte < 256; byte++) {
                uint8_t next = (uint8_t)byte;
                float bits;
                case_feed(s, stream, &next, 1, &bits);
                sum += exp2(-(double)bits);
                support_ok(session_restore(s, stream, saved, size, &error), &error);
            }
            assert_true(fabs(sum - 1) < 1e-4);
        }
        free(saved);
        session_destroy(&s);
        case_release(&y);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* --- mistakes of the caller */

static void session_refuses(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model(b, TINY_PAPER, SEED);
    session *s = NULL;
    assert_int_equal(session_create(&s, m, 1, 63, &error), OCTET_ERROR);
    assert_int_equal(session_create(&s, m, 1, 64, &error), OCTET_ERROR);
    assert_int_equal(session_create(&s, m, 1, -4, &error), OCTET_ERROR);
    assert_int_equal(session_create(&s, m, 4097, -1, &error), OCTET_ERROR);
    assert_int_equal(session_create(&s, m, -1, -1, &error), OCTET_ERROR);
    assert_null(s);
    s = case_session(m, 0);
    int stream = case_join(s), none = 5;
    assert_int_equal(session_join(s, &none, &error), OCTET_ERROR);
    const uint8_t bytes[2] = {1, 2};
    const octet_feed unknown = {1, bytes, 1, NULL}, no_bytes = {0, NULL, 1, NULL};
    const octet_feed twice[2] = {{0, bytes, 1, NULL}, {0, bytes + 1, 1, NULL}};
    assert_int_equal(session_feed(s, &unknown, 1, &error), OCTET_ERROR);
    assert_int_equal(session_feed(s, &no_bytes, 1, &error), OCTET_ERROR);
    assert_int_equal(session_feed(s, twice, 2, &error), OCTET_ERROR);
    assert_int_equal(session_position(s, stream), 0);
    case_feed(s, stream, NULL, 0, NULL);
    case_feed(s, stream, bytes, 2, NULL);
    assert_int_equal(session_position(s, stream), 2);
    assert_int_equal(session_position(s, 1), -1);
    support_ok(session_leave(s, stream, &error), &error);
    assert_int_equal(session_leave(s, stream, &error), OCTET_ERROR);
    const float *logits;
    assert_int_equal(session_logits(s, stream, &logits, &error), OCTET_ERROR);
    session_destroy(&s);
    model_destroy(&m);
    backend_destroy(&b);
}

/* Draws are a function of (seed, number, position): the same in any slot, alone or in a batch. */
static void sampling_is_deterministic(void **state) {
    (void)state;
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model(b, TINY_PAPER, SEED);
    session *s = case_session(m, 1), *t = case_session(m, 3);
    octet_sampling p = {.temperature = 1, .top_p = 0.95f, .seed = 77, .number = 2};
    uint8_t alone[100], batch[3][100];
    int stream = case_join(s), lanes[3] = {case_join(t), case_join(t), case_join(t)};
    for (int i = 0; i < 100; i++) {
        support_ok(session_sample(s, stream, &p, &alone[i], &error), &error);
        case_feed(s, stream, &alone[i], 1, NULL);
        octet_feed feeds[3];
        for (int k = 0; k < 3; k++) {
            octet_sampling q = p;
            q.number = (uint32_t)k;
            support_ok(session_sample(t, lanes[k], &q, &batch[k][i], &error), &error);
            feeds[k] = (octet_feed){lanes[k], &batch[k][i], 1, NULL};
        }
        support_ok(session_feed(t, feeds, 3, &error), &error);
    }
    assert_memory_equal(alone, batch[2], sizeof alone);
    assert_memory_not_equal(batch[0], batch[2], sizeof alone);
    assert_memory_not_equal(batch[0], batch[1], sizeof alone);
    session_destroy(&s);
    session_destroy(&t);
    model_destroy(&m);
    backend_destroy(&b);
}

/* --- a device that fails */

static backend_interface faulty;
static const backend_interface *sound;
static int runs_left; /* -1: does not fail */

static octet_status faulty_run(program *p, octet_error *e) {
    if (runs_left == 0)
        return error_set(e, OCTET_ERROR, "the device is gone");
    runs_left -= runs_left > 0;
    return sound->run(p, e);
}

/* Runs fail at every place in turn. What the stream says it has read it has read, and the next feed
 * goes on from there. */
static void feed_after_failed_runs(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LONG; i++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        /* of an endless stream with sinks, far past where the first bytes go, which sinks embed */
        size_t n = i == TINY_SINKS_ENDLESS ? 3500 : (size_t)m->config.context * 2 + 5;
        yardstick y = case_measure(m, n + 1, 1);
        float *bits = support_alloc(n, sizeof *bits);
        session *s = case_session(m, 2);
        int fed = case_join(s), other = case_join(s); /* which lies behind in memory */
        support_ok(session_leave(s, fed, &error), &error);
        sound = b->interface;
        faulty = *sound;
        faulty.run = faulty_run;
        b->interface = &faulty;
        for (int fails_at = 0, failed = 1; failed; fails_at++) {
            runs_left = -1;
            int stream = case_join(s);
            case_feed(s, stream, y.bytes, 3, NULL);
            octet_feed feeds[2] = {{stream, y.bytes + 3, n - 3, fails_at % 2 ? bits : NULL},
                                   {other, y.bytes, 0, NULL}};
            runs_left = fails_at;
            failed = session_feed(s, feeds, 2, &error) != OCTET_OK;
            runs_left = -1;
            size_t at = (size_t)session_position(s, stream);
            assert_true(failed ? at >= 3 && at <= n : at == n);
            case_check_logits(&y, s, stream);
            case_feed(s, stream, y.bytes + at, 1, bits);
            case_feed(s, stream, y.bytes + at + 1, y.n - at - 1, bits + 1);
            assert_memory_equal(bits, y.bits + at, (y.n - at) * sizeof *bits);
            case_check_logits(&y, s, stream);
            case_check_logits(&y, s, other);
            support_ok(session_leave(s, stream, &error), &error);
        }
        b->interface = sound;
        session_destroy(&s);
        free(bits);
        case_release(&y);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* --- threads */

typedef struct reader {
    const model *m;
    const yardstick *y;
    int equal;
} reader;

static void *read_all(void *context) {
    reader *r = context;
    session *s = NULL;
    int stream;
    size_t v = (size_t)r->y->vocabulary;
    float bits;
    const float *logits = NULL;
    if (session_create(&s, r->m, 2, -1, NULL) || session_join(s, &stream, NULL))
        return NULL;
    r->equal = 1;
    for (size_t i = 0; i < r->y->n && r->equal; i++) {
        octet_feed f = {stream, r->y->bytes + i, 1, &bits};
        r->equal = !session_feed(s, &f, 1, NULL) && !session_logits(s, stream, &logits, NULL) &&
                   !memcmp(&bits, &r->y->bits[i], sizeof bits) &&
                   !memcmp(logits, r->y->logits + (i + 1) * v, v * sizeof *logits);
    }
    session_destroy(&s);
    return NULL;
}

/* A model is shared: each thread has a session of its own. */
static void sessions_in_two_threads(void **state) {
    (void)state;
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = tiny_model(b, TINY_PAPER, SEED);
    yardstick y = case_measure(m, 200, 1);
    pthread_t threads[2];
    reader readers[2] = {{m, &y, 0}, {m, &y, 0}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readers[i].equal);
    }
    case_release(&y);
    model_destroy(&m);
    backend_destroy(&b);
}

/* --- another backend */

/* A session on the reference backend gives the CPU's probabilities, and a byte records nothing,
 * allocates nothing, and moves only the row plans, slots, positions, counts and logits. */
static void reference_backend(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LONG; i++) {
        backend *b = tiny_backend(1, CPU_AVX512), *ref = NULL;
        support_ok(ref_backend_create(&ref, &error), &error);
        model *m = tiny_model(b, i, SEED), *twin = tiny_model(ref, i, SEED);
        size_t n = (size_t)m->config.context - 2;
        yardstick y = case_measure(m, n, 12);
        session *s = case_session(twin, 1);
        int stream = case_join(s), levels = m->config.n_levels;
        float bits;
        for (size_t k = 0; k < n; k++) {
            ref_counts before = ref_backend_counts(ref);
            case_feed(s, stream, y.bytes + k, 1, &bits);
            ref_counts after = ref_backend_counts(ref);
            assert_int_equal(after.compiles, before.compiles);
            assert_int_equal(after.allocations, before.allocations);
            assert_int_equal(after.writes, before.writes);
            assert_int_equal(after.reads, before.reads);
            assert_true(after.runs - before.runs >= 1 && after.runs - before.runs <= levels);
            assert_true(after.uploads - before.uploads <= 10 * (after.runs - before.runs));
            assert_int_equal(after.downloads - before.downloads, 1);
            /* f32 against f64 through a few layers */
            assert_true(fabs(exp2(-(double)bits) - exp2(-(double)y.bits[k])) < 1e-4);
        }
        session_destroy(&s);
        case_release(&y);
        model_destroy(&m);
        model_destroy(&twin);
        backend_destroy(&b);
        backend_destroy(&ref);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed_pieces),
        cmocka_unit_test(feed_prompts),
        cmocka_unit_test(feed_threads_and_isas),
        cmocka_unit_test(batch_lanes),
        cmocka_unit_test(batch_many),
        cmocka_unit_test(batch_more_than_one_run),
        cmocka_unit_test(probabilities_sum_to_one),
        cmocka_unit_test(session_refuses),
        cmocka_unit_test(sampling_is_deterministic),
        cmocka_unit_test(feed_after_failed_runs),
        cmocka_unit_test(sessions_in_two_threads),
        cmocka_unit_test(reference_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
