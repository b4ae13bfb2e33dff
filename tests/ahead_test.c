/* ahead_test.c: sessions on distant backends, which compute rows ahead by guessing what is drawn:
 * the same logits and the same bytes, in fewer runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ref/ref_backend.h"
#include "session_case.h"
#include "support.h"
#include "tiny_model.h"

#define SEED 5
#define STREAMS 3

static octet_error error;

/* Ways to draw that the streams take in turns. */
static const octet_sampling ways[] = {
    {.temperature = 1, .seed = 1},
    {.temperature = 0},
    {.temperature = 0.7f, .top_k = 20, .seed = 2},
    {.temperature = 1.2f, .top_p = 0.9f, .seed = 3},
    {.temperature = 1, .min_p = 0.05f, .seed = 4, .number = 9},
};

/* A session on each of two backends that read and draw the same. */
typedef struct pair {
    session *s[2];
    int stream[2][STREAMS];
    uint8_t byte[STREAMS];
    int64_t vocabulary;
} pair;

static void check_logits(pair *p, int i, int round) {
    const float *logits[2];
    for (int k = 0; k < 2; k++)
        support_ok(session_logits(p->s[k], p->stream[k][i], &logits[k], &error), &error);
    if (memcmp(logits[0], logits[1], (size_t)p->vocabulary * sizeof(float)))
        fail_msg("round %d, stream %d: the logits differ", round, i);
}

/* Draws a byte of stream i on both sides; one in 16 is not the one that is fed. The end counts as
 * a byte like others. */
static void draw(pair *p, int i, int round, uint64_t *random) {
    uint8_t drawn[2];
    uint8_t allowed[OCTET_SYMBOLS];
    octet_sampling way = ways[(i + round / 50) % (int)(sizeof ways / sizeof *ways)];
    for (int k = 0; k < OCTET_SYMBOLS; k++)
        allowed[k] = (k + round) % 7 != 0;
    way.allowed = round % 10 == 9 ? allowed : NULL;
    for (int k = 0; k < 2; k++) {
        const octet_status status =
            session_sample(p->s[k], p->stream[k][i], &way, &drawn[k], &error);
        if (status != OCTET_END)
            support_ok(status, &error);
    }
    assert_int_equal(drawn[0], drawn[1]);
    p->byte[i] = support_integer(random, 0, 15) ? drawn[0] : (uint8_t)(round % 2);
}

static void feed(pair *p, int n) {
    for (int k = 0; k < 2; k++) {
        octet_feed feeds[STREAMS];
        for (int i = 0; i < n; i++)
            feeds[i] = (octet_feed){p->stream[k][i], &p->byte[i], 1, NULL};
        support_ok(session_feed(p->s[k], feeds, n, &error), &error);
    }
}

/* The last stream's state to the first, saved on one side and restored on both. */
static void copy_state(pair *p) {
    const size_t size = session_save_bytes(p->s[1]);
    void *state = support_alloc(size, 1);
    support_ok(session_save(p->s[1], p->stream[1][STREAMS - 1], state, size, &error), &error);
    for (int k = 0; k < 2; k++)
        support_ok(session_restore(p->s[k], p->stream[k][0], state, size, &error), &error);
    free(state);
}

static void check_model(int index) {
    backend *b[2];
    model *m[2];
    pair p = {0};
    uint64_t random = (uint64_t)index;
    for (int k = 0; k < 2; k++) {
        b[k] = tiny_backend(1, CPU_AVX512);
        b[k]->distant = k;
        m[k] = tiny_model(b[k], index, SEED);
        p.s[k] = case_session(m[k], STREAMS);
        for (int i = 0; i < STREAMS; i++)
            p.stream[k][i] = case_join(p.s[k]);
    }
    p.vocabulary = m[0]->config.vocabulary;
    const int rounds = (int)(2 * m[0]->config.context) + 20;
    for (int round = 0; round < rounds; round++) {
        /* streams stand at different places of their patches */
        const int n = round < 5 || round % 11 == 0 ? 1 + round % STREAMS : STREAMS;
        for (int i = 0; i < n; i++) {
            check_logits(&p, i, round);
            draw(&p, i, round, &random);
        }
        feed(&p, n);
        if (round % 40 == 39)
            copy_state(&p);
    }
    for (int k = 0; k < 2; k++) {
        session_destroy(&p.s[k]);
        model_destroy(&m[k]);
        backend_destroy(&b[k]);
    }
}

static void going_ahead_changes_nothing(void **state) {
    (void)state;
    for (int i = 0; i < TINY_CONFIGS; i++)
        check_model(i);
}

/* Two runs a patch, and one more for each guess that was wrong. */
static void a_patch_is_one_run_of_the_bytes(void **state) {
    (void)state;
    enum { BYTES = 48 };
    backend *ref = NULL;
    support_ok(ref_backend_create(&ref, &error), &error);
    ref->distant = 1;
    model *m = tiny_model(ref, TINY_PAPER, SEED);
    const int64_t patch = m->shape[0].unit_bytes;
    session *s = case_session(m, 1);
    int stream = case_join(s), drawn = 0;
    const ref_counts before = ref_backend_counts(ref);
    for (; drawn < BYTES; drawn++) {
        uint8_t byte;
        support_ok(session_sample(s, stream, &ways[0], &byte, &error), &error);
        case_feed(s, stream, &byte, 1, NULL);
    }
    const int64_t runs = ref_backend_counts(ref).runs - before.runs;
    assert_true(patch > 2);
    assert_true(runs <= 2 * (BYTES / patch) + 2);
    session_destroy(&s);
    model_destroy(&m);
    backend_destroy(&ref);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(going_ahead_changes_nothing),
        cmocka_unit_test(a_patch_is_one_run_of_the_bytes),
    };
    return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
