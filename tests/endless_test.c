/* endless_test.c: what rows see (windows, blocks, other patches), rings as small as that allows,
 * and streams without end.
 *
 * The properties that all configurations share are in session_test and its neighbours, which run
 * such models too. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/session_parts.h"
#include "session_case.h"
#include "support.h"
#include "tiny_model.h"

static octet_error error;

#define SEED 11
#define BLOCK "\"layers\": 2, \"heads\": 2, \"zero_init\": false"

/* --- what a row sees */

/* Row n sees row j: the definition, row by row. */
static int sees(const level_shape *shape, const row_rule *rule, int64_t n, int64_t j) {
    int64_t group = shape->group ? shape->group : INT64_MAX;
    int in_reach = j <= n && (j / group == n / group || n / group * group - j <= shape->cross);
    return in_reach && (!rule->window || n - j < rule->window) &&
           (!rule->block || n / rule->block == j / rule->block);
}

static void rules_are_their_definition(void **state) {
    (void)state;
    uint64_t random = 5;
    for (int i = 0; i < 400; i++) {
        level_shape shape = {.group = support_integer(&random, 0, 2) * 3};
        shape.cross = shape.group ? support_integer(&random, 0, shape.group) : 0;
        const row_rule rule = {support_integer(&random, 0, 9), support_integer(&random, 0, 9)};
        int64_t most = 0;
        for (int64_t n = 0; n < 60; n++) {
            int64_t first = row_first(&shape, &rule, n);
            for (int64_t j = 0; j <= n; j++)
                assert_int_equal(sees(&shape, &rule, n, j), j >= first);
            assert_true(n == 0 || first >= row_first(&shape, &rule, n - 1));
            most = n + 1 - first > most ? n + 1 - first : most;
        }
        int64_t reach = row_reach(&shape, &rule);
        assert_true(reach == INT64_MAX ? most == 60 : most <= reach);
        if (!rule.block && reach != INT64_MAX)
            assert_int_equal(most, reach);
    }
}

/* The bits of byte t with one byte before it changed. */
static float bits_with(const model *m, const uint8_t *bytes, size_t t, size_t changed) {
    uint8_t copy[64];
    float bits[64];
    memcpy(copy, bytes, sizeof copy);
    copy[changed] ^= 0x55;
    session *s = case_session(m, 1);
    case_feed(s, case_join(s), copy, t + 1, bits);
    session_destroy(&s);
    return bits[t];
}

/* What byte t hangs on: all bytes from `oldest` to t - 1 and no other. Byte t itself is what the
 * bits are of. */
static void check_oldest(const model *m, size_t t, size_t oldest) {
    uint8_t bytes[64];
    float own[64];
    tiny_bytes(bytes, sizeof bytes, 2);
    session *s = case_session(m, 1);
    case_feed(s, case_join(s), bytes, t + 1, own);
    session_destroy(&s);
    for (size_t i = 0; i < t; i++)
        assert_int_equal(bits_with(m, bytes, t, i) != own[t], i >= oldest);
}

/* Row n embeds byte n - 1. With windows w_1, ..., w_L it sees w_1 + ... + w_L - L rows before its
 * own, no more. */
static void depth_widens_what_is_seen(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    const char *level = "{\"context\": 64, \"levels\": [{\"dim\": 16, \"layers\": 3, \"heads\": 2,"
                        " \"zero_init\": false, %s}]}";
    char json[256];
    snprintf(json, sizeof json, level, "\"window\": [4, 2, 6]");
    model *m = tiny_model_of(b, json, SEED);
    for (size_t t = 1; t < 40; t += 7)
        check_oldest(m, t, t > 9 + 1 ? t - 9 - 1 : 0);
    model_destroy(&m);
    snprintf(json, sizeof json, level, "\"block_local\": 8");
    m = tiny_model_of(b, json, SEED);
    for (size_t t = 1; t < 40; t += 3)
        check_oldest(m, t, t < 8 ? 0 : t / 8 * 8 - 1);
    model_destroy(&m);
    backend_destroy(&b);
}

/* Sinks: the bytes of the first units, and those of the window, are all that a late byte hangs on.
 * Row n embeds byte n - 1, so 4 sinks are bytes 0 to 2. */
static void sinks_are_seen_for_ever(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model_of(b,
                             "{\"context\": 64, \"levels\": [{\"dim\": 16, " BLOCK
                             ", \"window\": [4, 2], \"sinks\": 4}]}",
                             SEED);
    for (size_t t = 1; t < 40; t += 6) {
        uint8_t bytes[64];
        float own[64];
        tiny_bytes(bytes, sizeof bytes, 2);
        session *s = case_session(m, 1);
        case_feed(s, case_join(s), bytes, t + 1, own);
        session_destroy(&s);
        for (size_t i = 0; i < t; i++)
            assert_int_equal(bits_with(m, bytes, t, i) != own[t], i < 3 || i + 5 >= t);
    }
    session *s = case_session(m, 1);
    assert_int_equal(s->level[0].n_states, 8);
    assert_int_equal(s->level[0].states[2].dim[1], 32); /* of 4 sinks */
    assert_int_equal(s->level[0].states[3].dim[1], 32);
    session_destroy(&s);
    model_destroy(&m);
    backend_destroy(&b);
}

/* Without layers above, row n of patch k hangs on patch k - 1 through its parent, and on one patch
 * more for each layer that sees across. */
static void patches_are_crossed(void **state) {
    (void)state;
    for (int layers = 1; layers <= 3; layers++) {
        for (int cross = 0; cross <= 4; cross += 2) {
            backend *b = tiny_backend(1, CPU_AVX512);
            char json[320];
            snprintf(json, sizeof json,
                     "{\"context\": 64, \"levels\": [{\"dim\": 32, \"layers\": 0, \"heads\": 2,"
                     " \"patch\": 4}, {\"dim\": 16, \"layers\": %d, \"heads\": 2,"
                     " \"cross_patch\": %d, \"zero_init\": false}]}",
                     layers, cross);
            model *m = tiny_model_of(b, json, SEED);
            for (size_t t = 16; t < 36; t += 3)
                check_oldest(m, t, 4 * (t / 4 - 1 - (cross ? (size_t)layers : 0)));
            model_destroy(&m);
            backend_destroy(&b);
        }
    }
}

/* Token shift sees one row further, before the mixer and before the MLP, but never into another
 * group: across a patch it would show the parent of the patch before, and with it one patch more.
 */
static void shifts_widen_what_is_seen(void **state) {
    (void)state;
    for (int cross = 0; cross <= 4; cross += 2) {
        backend *b = tiny_backend(1, CPU_AVX512);
        char json[384];
        snprintf(json, sizeof json,
                 "{\"context\": 64, \"levels\": [{\"dim\": 32, \"layers\": 0, \"heads\": 2,"
                 " \"patch\": 4}, {\"dim\": 16, " BLOCK
                 ", \"window\": 1, \"cross_patch\": %d, \"token_shift\": true}]}",
                 cross);
        model *m = tiny_model_of(b, json, SEED);
        for (size_t t = 16; t < 24; t++)
            check_oldest(m, t, 4 * (t / 4 - 1));
        model_destroy(&m);
        m = tiny_model_of(b,
                          "{\"context\": 64, \"levels\": [{\"dim\": 16, " BLOCK
                          ", \"window\": [1, 3], \"token_shift\": true}]}",
                          SEED);
        for (size_t t = 1; t < 40; t += 7)
            check_oldest(m, t, t > 7 ? t - 7 : 0); /* two layers of two, 2 in the window, and 1 */
        session *s = case_session(m, 1);
        assert_int_equal(s->level[0].states[2].dim[1], 64); /* of a window of 64 */
        session_destroy(&s);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* --- rings */

static void check_ring(const model *m, int streams, int level, int layer, int64_t rows) {
    session *s = case_session(m, streams);
    assert_int_equal(s->level[level].states[2 * layer].dim[1], rows);
    assert_int_equal(s->level[level].states[2 * layer + 1].dim[1], rows);
    session_destroy(&s);
}

/* Reach and the rows of a run (64, with many streams 16) less one, in whole tiles of 32. */
static void rings_are_small(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    model *m = tiny_model_of(b,
                             "{\"context\": 65536, \"levels\": [{\"dim\": 64, \"layers\": 3,"
                             " \"heads\": 2, \"patch\": 16, \"window\": [100, 0, 0],"
                             " \"block_local\": [0, 300, 0]}, {\"dim\": 8, \"layers\": 2,"
                             " \"heads\": 2, \"cross_patch\": 9, \"window\": [0, 3]}]}",
                             SEED);
    check_ring(m, 1, 0, 0, 192);   /* 100 + 63 */
    check_ring(m, 1, 0, 1, 384);   /* 300 + 63 */
    check_ring(m, 1, 0, 2, 4096);  /* all */
    check_ring(m, 1, 1, 0, 96);    /* 16 + 9 + 63 */
    check_ring(m, 1, 1, 1, 96);    /* 3 + 63 */
    check_ring(m, 20, 0, 0, 128);  /* 100 + 15 */
    check_ring(m, 20, 1, 1, 32);   /* 3 + 15 */
    check_ring(m, 20, 0, 2, 4096); /* all */
    model_destroy(&m);
    backend_destroy(&b);
}

/* Sizes of an endless session do not hang on the context. */
static void endless_sizes_are_constant(void **state) {
    (void)state;
    size_t saved[2];
    for (int i = 0; i < 2; i++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        char json[320];
        snprintf(json, sizeof json,
                 "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 32, " BLOCK
                 ", \"patch\": 4, \"window\": [40, 100]}, {\"dim\": 16, " BLOCK "}]}",
                 i ? 1 << 24 : 16);
        model *m = tiny_model_of(b, json, SEED);
        check_ring(m, 1, 0, 0, 128);
        check_ring(m, 1, 0, 1, 256);
        check_ring(m, 1, 1, 0, 128);
        session *s = case_session(m, 1);
        saved[i] = session_save_bytes(s);
        assert_true(s->held < 2000);
        session_destroy(&s);
        model_destroy(&m);
        backend_destroy(&b);
    }
    assert_int_equal(saved[0], saved[1]);
}

/* --- streams without end */

static const char *const endless[] = {
    "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 16, " BLOCK
    ", \"window\": [5, 9]}]}",

    "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 32, " BLOCK
    ", \"patch\": 4, \"window\": [3, 0], \"block_local\": [0, 7]}, {\"dim\": 16, " BLOCK
    ", \"positions\": \"learned\"}]}",

    "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 32, " BLOCK
    ", \"patch\": 2, \"window\": 3, \"positions\": \"none\"}, {\"dim\": 24, " BLOCK
    ", \"patch\": 4, \"cross_patch\": 2}, {\"dim\": 16, " BLOCK ", \"cross_patch\": 3}]}",

    "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 16, \"layers\": 1, \"heads\": 2,"
    " \"zero_init\": false, \"patch\": 2, \"window\": 1, \"conv_encoder\": true}, {\"dim\": "
    "16, " BLOCK ", \"window\": 1, \"ngrams\": [2, 8], \"ngram_rows\": 64, \"ngram_width\": 4}]}",

    "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 36, " BLOCK
    ", \"patch\": 2, \"window\": [1, 2], \"token_shift\": true}, {\"dim\": 24, " BLOCK
    ", \"patch\": 2, \"cross_patch\": 2, \"window\": 1, \"token_shift\": true, \"conv_encoder\": "
    "true},"
    " {\"dim\": 12, " BLOCK ", \"cross_patch\": 2, \"token_shift\": true, \"value_residual\": true,"
    " \"x0_mix\": true, \"ngrams\": [4], \"ngram_rows\": 64}]}",

    "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 16, " BLOCK
    ", \"window\": 1, \"token_shift\": true}]}",

    "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 32, " BLOCK
    ", \"patch\": 2, \"window\": [3, 0], \"block_local\": [0, 7], \"sinks\": 45}, {\"dim\": "
    "24, " BLOCK ", \"patch\": 2, \"cross_patch\": 2}, {\"dim\": 12, " BLOCK "}]}",

    "{\"context\": %d, \"endless\": true, \"levels\": [{\"dim\": 16, " BLOCK
    ", \"window\": [5, 9], \"positions\": \"alibi\", \"sinks\": 4, \"value_residual\": true}]}",
};
#define ENDLESS (sizeof endless / sizeof *endless)

enum { SHORT_CONTEXT = 64, FAR = 5000, FAR_CONTEXT = 5200 };

static model *endless_model(backend *b, size_t index, int context) {
    char json[1024];
    snprintf(json, sizeof json, endless[index], context);
    return tiny_model_of(b, json, SEED);
}

/* FAR bytes read whole as one graph of a model whose context holds them, byte by byte, in pieces,
 * and scored. */
static void far_equals_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < ENDLESS; i++) {
        backend *b = tiny_backend(2, CPU_AVX512);
        model *m = endless_model(b, i, SHORT_CONTEXT), *large = endless_model(b, i, FAR_CONTEXT);
        yardstick y = case_measure(m, FAR, 3);
        case_check_score(&y, large, y.n); /* one graph over all rows */
        case_check_score(&y, m, y.n);
        case_check_whole(&y, m);
        session *s = case_session(m, 2);
        int stream = case_join(s);
        float *bits = support_alloc(FAR, sizeof *bits);
        uint64_t random = 4;
        for (size_t at = 0; at < y.n;) {
            size_t n =
                (size_t)support_integer(&random, 0, support_integer(&random, 0, 3) ? 9 : 900);
            n = n < y.n - at ? n : y.n - at;
            int wanted = (int)support_integer(&random, 0, 1);
            case_feed(s, stream, y.bytes + at, n, wanted ? bits : NULL);
            if (wanted && n)
                assert_memory_equal(bits, y.bits + at, n * sizeof *bits);
            at += n;
            case_check_logits(&y, s, stream);
        }
        int full = case_join(s); /* of what fills its room only the history is left */
        case_feed(s, full, y.bytes, (size_t)s->held, NULL);
        case_check_logits(&y, s, full);
        free(bits);
        session_destroy(&s);
        case_release(&y);
        model_destroy(&m);
        model_destroy(&large);
        backend_destroy(&b);
    }
}

/* Streams at different distances in one batch, saved and restored at every place in a patch. */
static void far_lanes_and_saves(void **state) {
    (void)state;
    enum { LANES = 3 };
    for (size_t i = 0; i < ENDLESS; i++) {
        backend *b = tiny_backend(1, CPU_AVX512), *other = tiny_backend(2, CPU_SCALAR);
        model *m = endless_model(b, i, SHORT_CONTEXT),
              *same = endless_model(other, i, SHORT_CONTEXT);
        yardstick y = case_measure(m, FAR, 6);
        session *s = case_session(m, LANES), *t = case_session(same, 20);
        size_t size = session_save_bytes(s);
        assert_int_equal(size, session_save_bytes(t));
        void *saved = support_alloc(size, 1), *again = support_alloc(size, 1);
        octet_feed feeds[LANES];
        float bits[100];
        for (int k = 0; k < LANES; k++)
            case_feed(s, case_join(s), y.bytes, (size_t)(1 + 1500 * k), NULL);
        int to = case_join(t);
        for (int round = 0; round < 20; round++) {
            for (int k = 0; k < LANES; k++)
                feeds[k] = (octet_feed){k, y.bytes + session_position(s, k), 1, bits + k};
            support_ok(session_feed(s, feeds, LANES, &error), &error);
            for (int k = 0; k < LANES; k++) {
                assert_memory_equal(bits + k, y.bits + session_position(s, k) - 1, sizeof *bits);
                case_check_logits(&y, s, k);
                size_t at = (size_t)session_position(s, k);
                support_ok(session_save(s, k, saved, size, &error), &error);
                support_ok(session_restore(t, to, saved, size, &error), &error);
                support_ok(session_save(t, to, again, size, &error), &error);
                assert_memory_equal(again, saved, size);
                float more[100];
                case_feed(t, to, y.bytes + at, 100, round % 2 ? more : NULL);
                if (round % 2)
                    assert_memory_equal(more, y.bits + at, sizeof more);
                case_check_logits(&y, t, to);
            }
        }
        free(saved);
        free(again);
        session_destroy(&s);
        session_destroy(&t);
        case_release(&y);
        model_destroy(&m);
        model_destroy(&same);
        backend_destroy(&b);
        backend_destroy(&other);
    }
}

/* A stream that is moved on by a multiple of all rings, blocks and groups reads the same: rows past
 * 2^31 and 2^50 keep their places. Without rotary positions at the outermost level, and with places
 * below, no bit may change. */
static void numbers_never_overflow(void **state) {
    (void)state;
    static const int64_t jumps[] = {(int64_t)7 << 20, (int64_t)7 << 31, (int64_t)7 << 50};
    const char *json = "{\"context\": 64, \"endless\": true, \"levels\": [{\"dim\": 32, " BLOCK
                       ", \"patch\": 4, \"positions\": \"none\", \"window\": [3, 0],"
                       " \"block_local\": [0, 7], \"sinks\": %d}, {\"dim\": 16, " BLOCK "}]}";
    for (int i = 0; i < 6; i++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        char text[512];
        snprintf(text, sizeof text, json, i / 3 * 40);
        model *m = tiny_model_of(b, text, SEED);
        yardstick y = case_measure(m, 2000, 3);
        session *s = case_session(m, 1);
        int stream = case_join(s);
        float bits[2000];
        case_feed(s, stream, y.bytes, 333, NULL);
        session_stream *moved = &s->stream[stream];
        moved->position += jumps[i % 3];
        moved->window += jumps[i % 3];
        moved->origin += jumps[i % 3];
        moved->done[0] += jumps[i % 3] / 4;
        moved->done[1] += jumps[i % 3];
        for (size_t at = 333; at < 1000; at++)
            case_feed(s, stream, y.bytes + at, 1, bits + at);
        case_feed(s, stream, y.bytes + 1000, 1000, bits + 1000);
        assert_memory_equal(bits + 333, y.bits + 333, 1667 * sizeof *bits);
        assert_int_equal(session_position(s, stream), 2000 + jumps[i % 3]);
        session_destroy(&s);
        case_release(&y);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* --- positions that run on */

/* Turns are exact integers: the rotation between two rows hangs on their distance only, however far
 * they are. Near the start they agree with the table of places. Double angles below pi err by some
 * 2^-52, and each number is rounded to 2^-25 once. */
static void turns_are_relative(void **state) {
    (void)state;
    enum { D = 16 };
    level_shape shape = {.table_dim = D, .rope_base = 10000, .rope_scale = 1};
    uint64_t *turns = NULL;
    float *table = NULL;
    support_ok(row_turns_create(&turns, &shape, &error), &error);
    support_ok(row_table_create(&table, &shape, 5000, &error), &error);
    assert_true(turns[0] > (uint64_t)2935890503282001000u && turns[0] < 2935890503282002000u);
    for (int64_t n = 0; n < 5000; n++) {
        float row[D];
        row_turn(row, turns, D / 2, n);
        for (int i = 0; i < D; i++)
            assert_true(fabsf(row[i] - table[n * D + i]) <= 0x1p-24f);
    }
    for (int64_t far = 1; far > 0 && far < INT64_MAX / 4; far = far * 3 + 1) {
        float a[D], b[D], apart[D];
        row_turn(a, turns, D / 2, far);
        row_turn(b, turns, D / 2, far + 77);
        row_turn(apart, turns, D / 2, 77);
        for (int i = 0; i < D / 2; i++) {
            double cosine =
                (double)a[i] * (double)b[i] + (double)a[i + D / 2] * (double)b[i + D / 2];
            assert_true(fabs(cosine - (double)apart[i]) < 0x1p-22);
        }
    }
    free(turns);
    free(table);
}

/* --- what need not run */

static backend_interface counting;
static const backend_interface *sound;
static int runs;

static octet_status counting_run(program *p, octet_error *e) {
    runs++;
    return sound->run(p, e);
}

static int runs_of_prompt(session *s, const uint8_t *bytes, size_t n) {
    int stream = case_join(s);
    runs = 0;
    case_feed(s, stream, bytes, n, NULL);
    support_ok(session_leave(s, stream, &error), &error);
    return runs;
}

/* A prompt whose bits nobody asks for costs what its end sees, however long it is. */
static void prompts_run_their_end_only(void **state) {
    (void)state;
    enum { PROMPT = 1008, LONG = 300 * PROMPT }; /* equal places in patches and blocks of 7 rows */
    for (size_t i = 0; i < ENDLESS; i++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        model *m = endless_model(b, i, SHORT_CONTEXT);
        uint8_t *bytes = support_alloc(LONG, 1);
        tiny_bytes(bytes, LONG, 3);
        session *s = case_session(m, 1);
        sound = b->interface;
        counting = *sound;
        counting.run = counting_run;
        b->interface = &counting;
        int few = runs_of_prompt(s, bytes, PROMPT);
        assert_int_equal(runs_of_prompt(s, bytes, LONG), few);
        assert_true(few > 0 && few <= 4 * m->config.n_levels);
        b->interface = sound;
        free(bytes);
        session_destroy(&s);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_their_definition), cmocka_unit_test(depth_widens_what_is_seen),
        cmocka_unit_test(sinks_are_seen_for_ever),    cmocka_unit_test(patches_are_crossed),
        cmocka_unit_test(shifts_widen_what_is_seen),  cmocka_unit_test(rings_are_small),
        cmocka_unit_test(endless_sizes_are_constant), cmocka_unit_test(far_equals_whole),
        cmocka_unit_test(far_lanes_and_saves),        cmocka_unit_test(numbers_never_overflow),
        cmocka_unit_test(turns_are_relative),         cmocka_unit_test(prompts_run_their_end_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
