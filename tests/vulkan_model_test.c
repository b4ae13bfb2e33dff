/* vulkan_model_test.c: whole models on a Vulkan device beside the CPU: scoring, streams, training;
 * that every node was run on the device; and what the device refuses.
 *
 * The device is OCTET_VULKAN, as in vulkan_op_test. Without OCTET_TEST_ALL a few of the models. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/score_windows.h"
#include "graph_run.h"
#include "infer/continuation.h"
#include "infer/session_core.h"
#include "ref/ref_backend.h"
#include "support.h"
#include "tiny_model.h"
#include "train/trainer.h"
#include "vulkan/vulkan_backend.h"

#define SEED 5
#define BYTES 150

/* Bits of a byte: both sides round sums of a few hundred terms in other orders, about 1e-6 of
 * logits that differ by a few nats, layer over layer. */
#define BITS_BOUND 1e-3

static backend *vulkan;

static int open_device(void **state) {
    (void)state;
    octet_error error = {0};
    const char *index = getenv("OCTET_VULKAN");
    if (!index || !vulkan_backend_create(&vulkan, atoi(index), &error))
        return 0;
    fprintf(stderr, "%s\n", error.text);
    return -1;
}

static int close_device(void **state) {
    (void)state;
    backend_destroy(&vulkan);
    return 0;
}

/* --- streams */

/* Bits of bytes that are fed as a block and then one by one. */
static void stream_bits(float *bits, const model *m, const uint8_t *bytes, size_t n) {
    octet_error error = {0};
    session *s = NULL;
    support_ok(session_create(&s, m, 1, -1, &error), &error);
    int stream;
    if (session_position(s, 0) < 0)
        support_ok(session_join(s, &stream, &error), &error);
    for (size_t at = 0, step; at < n; at += step) {
        step = at ? 1 : n - 9;
        const octet_feed next = {.stream = 0, .bytes = bytes + at, .n = step, .bits = bits + at};
        support_ok(session_feed(s, &next, 1, &error), &error);
    }
    session_destroy(&s);
}

/* What the model says on both: of the bytes as a stream and in windows. */
static void measure(int index, graph_arithmetic arithmetic, float bits[2][BYTES], double total[2]) {
    octet_error error = {0};
    uint8_t bytes[BYTES];
    backend *cpu = tiny_backend(2, CPU_AVX512), *on[2] = {cpu, vulkan};
    tiny_bytes(bytes, BYTES, 8);
    for (int i = 0; i < 2; i++) {
        model *m = tiny_model(on[i], index, SEED), reads;
        const octet_score_params whole = {.keep = -1};
        model_with_arithmetic(&reads, m, arithmetic);
        stream_bits(bits[i], &reads, bytes, BYTES);
        support_ok(score_windows(&reads, bytes, BYTES, &whole, &total[i], &error), &error);
        model_destroy(&m);
    }
    backend_destroy(&cpu);
}

static void check_model(int index) {
    float bits[2][BYTES];
    double total[2];
    measure(index, ARITHMETIC_F32, bits, total);
    for (int k = 0; k < BYTES; k++)
        if (!(fabsf(bits[0][k] - bits[1][k]) <= BITS_BOUND))
            fail_msg("model %d, byte %d: %.6f bits on the CPU, %.6f on the device", index, k,
                     (double)bits[0][k], (double)bits[1][k]);
    if (!(fabs(total[0] - total[1]) <= BITS_BOUND * BYTES))
        fail_msg("model %d: %.6f bits on the CPU, %.6f on the device", index, total[0], total[1]);
}

/* In the arithmetic of integers not a bit differs. */
static void check_integers(int index) {
    float bits[2][BYTES];
    double total[2];
    measure(index, ARITHMETIC_INT8, bits, total);
    for (int k = 0; k < BYTES; k++)
        if (memcmp(&bits[0][k], &bits[1][k], sizeof **bits))
            fail_msg("model %d, byte %d: %.9g bits on the CPU, %.9g on the device", index, k,
                     (double)bits[0][k], (double)bits[1][k]);
    assert_memory_equal(&total[0], &total[1], sizeof *total);
}

static void check_models(void (*check)(int index)) {
    static const int sample[] = {TINY_PAPER, TINY_OPTIONS_THREE, TINY_SINKS_ENDLESS};
    if (!vulkan)
        skip();
    for (int i = 0; support_all() && i < TINY_CONFIGS; i++)
        check(i);
    for (int i = 0; !support_all() && i < 3; i++)
        check(sample[i]);
}

static void streams_cost_the_same(void **state) {
    (void)state;
    check_models(check_model);
}

static void integers_have_the_same_bits(void **state) {
    (void)state;
    check_models(check_integers);
}

/* --- training */

static const char *const runs[] = {
    "{\"context\": 64, \"levels\": [{\"dim\": 32, \"layers\": 2, \"heads\": 2, \"patch\": 4},"
    " {\"dim\": 16, \"layers\": 1, \"heads\": 2}], \"train\": {\"batch\": 4, \"steps\": 20}}",
    "{\"context\": 64, \"levels\": [{\"dim\": 32, \"layers\": 1, \"heads\": 2, \"patch\": 4},"
    " {\"dim\": 24, \"layers\": 1, \"heads\": 3, \"patch\": 4, \"dropout\": 0.1},"
    " {\"dim\": 16, \"layers\": 1, \"heads\": 1, \"norm\": \"layer\", \"mlp\": \"gelu\"}],"
    " \"train\": {\"batch\": 4, \"micro_batches\": 2, \"steps\": 20, \"optimizer\": \"adamw\"}}"};

/* Losses of n steps. */
static void train(double *loss, backend *b, const char *json, int n) {
    octet_error error = {0};
    uint8_t bytes[4096];
    config c;
    data *d = NULL;
    trainer *t = NULL;
    tiny_bytes(bytes, sizeof bytes, 8);
    support_ok(config_parse(&c, json, strlen(json), "config", &error), &error);
    support_ok(data_open_memory(&d, bytes, sizeof bytes, c.context, SEED, &error), &error);
    support_ok(trainer_create(&t, b, &c, d, SEED, 20, &error), &error);
    for (int i = 0; i < n; i++) {
        step_result result;
        support_ok(trainer_step(t, &result, &error), &error);
        loss[i] = result.loss_bits;
    }
    trainer_destroy(&t);
    data_close(&d);
}

static void training_takes_the_same_way(void **state) {
    (void)state;
    if (!vulkan)
        skip();
    for (int i = 0; i < 2; i++) {
        double loss[2][20];
        backend *cpu = tiny_backend(2, CPU_AVX512);
        train(loss[0], cpu, runs[i], 20);
        train(loss[1], vulkan, runs[i], 20);
        if (!(fabs(loss[0][19] - loss[1][19]) <= 1e-3) || !(loss[1][19] < loss[1][0]))
            fail_msg("run %d: %.6f bits per byte on the CPU after 20 steps, on the device %.6f "
                     "(from %.6f)",
                     i, loss[0][19], loss[1][19], loss[1][0]);
        backend_destroy(&cpu);
    }
}

/* The same bits each time. */
static void training_repeats_itself(void **state) {
    (void)state;
    double loss[2][3];
    if (!vulkan)
        skip();
    for (int i = 0; i < 2; i++)
        train(loss[i], vulkan, runs[1], 3);
    assert_memory_equal(loss[0], loss[1], sizeof loss[0]);
}

/* --- counting */

static void run_training(backend *b) {
    double loss[2];
    train(loss, b, runs[0], 2);
}

static void run_scoring(backend *b) {
    octet_error error = {0};
    uint8_t bytes[BYTES];
    double total;
    tiny_bytes(bytes, BYTES, 8);
    model *m = tiny_model(b, TINY_PAPER, SEED);
    support_ok(score_windows(m, bytes, BYTES, &(octet_score_params){.keep = -1}, &total, &error),
               &error);
    model_destroy(&m);
}

static void run_session(backend *b) {
    uint8_t bytes[BYTES];
    float bits[BYTES];
    tiny_bytes(bytes, BYTES, 8);
    model *m = tiny_model(b, TINY_THREE, SEED);
    stream_bits(bits, m, bytes, BYTES);
    model_destroy(&m);
}

static octet_status take_byte(void *context, int sample, uint8_t byte, octet_error *error) {
    (void)context, (void)sample, (void)byte, (void)error;
    return OCTET_OK;
}

/* Which bytes are drawn changes nothing in what is run. */
static void run_continuation(backend *b) {
    octet_error error = {0};
    uint8_t bytes[BYTES];
    const octet_continue_params p = {
        .samples = 3, .bytes = 20, .keep = -1, .sampling = {.temperature = 1}};
    tiny_bytes(bytes, BYTES, 8);
    model *m = tiny_model(b, TINY_PAPER, SEED);
    support_ok(continuation_run(m, bytes, BYTES, &p, take_byte, NULL, &error), &error);
    model_destroy(&m);
}

/* As many nodes as the reference runs for the same: none was computed anywhere else. */
static void device_runs_every_node(void **state) {
    (void)state;
    static void (*const all[])(backend *) = {run_training, run_scoring, run_session,
                                             run_continuation};
    octet_error error = {0};
    if (!vulkan)
        skip();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        backend *ref = NULL;
        support_ok(ref_backend_create(&ref, &error), &error);
        ref->distant = vulkan->distant; /* the same graphs */
        all[i](ref);
        const int64_t nodes = ref_backend_counts(ref).nodes;
        const vulkan_counts before = vulkan_backend_counts(vulkan);
        all[i](vulkan);
        const vulkan_counts after = vulkan_backend_counts(vulkan);
        assert_true(nodes > 0);
        assert_int_equal(after.nodes - before.nodes, nodes);
        assert_true(after.dispatches - before.dispatches >= nodes);
        backend_destroy(&ref);
    }
}

/* No round trip for a byte: a submission for each level and patch. */
static void patches_are_drawn_at_once(void **state) {
    (void)state;
    enum { DRAWN = 48 };
    octet_error error = {0};
    const octet_sampling sampling = {.temperature = 1, .seed = 2};
    int stream;
    session *s = NULL;
    if (!vulkan)
        skip();
    model *m = tiny_model(vulkan, TINY_PAPER, SEED);
    const int64_t patch = m->shape[0].unit_bytes;
    support_ok(session_create(&s, m, 1, -1, &error), &error);
    support_ok(session_join(s, &stream, &error), &error);
    const int64_t before = vulkan_backend_counts(vulkan).submissions;
    for (int i = 0; i < DRAWN; i++) {
        uint8_t byte;
        support_ok(session_sample(s, stream, &sampling, &byte, &error), &error);
        support_ok(session_feed(s, &(octet_feed){stream, &byte, 1, NULL}, 1, &error), &error);
    }
    const int64_t submissions = vulkan_backend_counts(vulkan).submissions - before;
    assert_true(submissions <= 2 * (DRAWN / patch) + 2); /* two levels; 2: of wrong guesses */
    session_destroy(&s);
    model_destroy(&m);
}

/* A backend that has run nothing goes while what it began with may be on its way. */
static void backends_come_and_go(void **state) {
    (void)state;
    octet_error error = {0};
    if (!vulkan)
        skip();
    for (int i = 0; i < 8; i++) {
        backend *b = NULL;
        support_ok(vulkan_backend_create(&b, vulkan_backend_index(vulkan), &error), &error);
        backend_destroy(&b);
    }
}

/* A parameter is rounded to integers once, and again when it has changed. */
static void rounded_parameters_are_kept(void **state) {
    (void)state;
    enum { ROWS = 3, K = 24, N = 40 };
    octet_error error = {0};
    variable w = {.name = "w", .rank = 2, .dim = {N, K}};
    float before[ROWS * N] = {0}, y[ROWS * N];
    if (!vulkan)
        skip();
    float *values = graph_run_floats(N * K, 1), *rows = graph_run_floats(ROWS * K, 2);
    graph_run_variable(vulkan, &w, values);
    graph *g = graph_run_new();
    tensor *x = graph_input(g, "x", DTYPE_F32, 2, (int64_t[]){ROWS, K});
    tensor *out = graph_output(g, linear_int8(g, x, graph_variable(g, &w)));
    program *p = graph_run_compile(vulkan, g);
    for (int i = 0; i < 4; i++) {
        values[0] += i == 2;
        if (i == 2)
            support_ok(backend_write(vulkan, &w, 0, N * K, values, &error), &error);
        const int64_t submitted = vulkan_backend_counts(vulkan).submissions;
        graph_run(p, 1, &(feed){x, rows});
        assert_int_equal(vulkan_backend_counts(vulkan).submissions - submitted, i % 2 ? 1 : 2);
        support_ok(program_download(p, out, y, &error), &error);
        assert_int_equal(memcmp(y, before, sizeof y) != 0, i % 2 == 0);
        memcpy(before, y, sizeof y);
    }
    program_destroy(&p);
    graph_destroy(&g);
    backend_release(vulkan, &w);
    free(values);
    free(rows);
}

/* --- refusals */

static void refusals_name_the_op(void **state) {
    (void)state;
    octet_error error = {0};
    program *p = NULL;
    if (!vulkan)
        skip();
    graph *g = graph_run_new();
    tensor *x = graph_input(g, "x", DTYPE_F32, 4, (int64_t[]){1, 4, 1, 544});
    tensor *first = graph_input(g, "first", DTYPE_I32, 2, (int64_t[]){1, 4});
    graph_output(g, attention(g, NULL, x, x, x, first, 1));
    assert_int_equal(backend_compile(vulkan, &p, g, &error), OCTET_ERROR);
    support_contains(error.text, "attention");
    support_contains(error.text, "more than 512");
    graph_destroy(&g);
}

static void want_of_memory_says_how_much(void **state) {
    (void)state;
    octet_error error = {0};
    variable v = {.name = "huge", .rank = 1, .dim = {(int64_t)1 << 42}};
    if (!vulkan)
        skip();
    assert_int_equal(backend_allocate(vulkan, &v, &error), OCTET_NO_MEMORY);
    support_contains(error.text, "huge needs 17592186044416 bytes");
    assert_null(v.memory);
}

/* Variables of all sizes come and go; what stays is untouched. */
static void memory_is_kept_apart(void **state) {
    (void)state;
    enum { N = 40 };
    octet_error error = {0};
    variable v[N];
    uint64_t random = 3;
    if (!vulkan)
        skip();
    memset(v, 0, sizeof v);
    for (int turn = 0; turn < 200; turn++) {
        const int i = (int)support_integer(&random, 0, N - 1);
        if (v[i].memory) {
            const int64_t n = v[i].dim[0];
            float *values = graph_run_floats(n, (uint64_t)i), *got = support_alloc((size_t)n, 4);
            support_ok(backend_read(vulkan, &v[i], 0, n, got, &error), &error);
            graph_run_assert_same(got, values, n, v[i].name);
            backend_release(vulkan, &v[i]);
            free(values);
            free(got);
            continue;
        }
        const int64_t n = support_integer(&random, 1, turn % 50 ? 3000 : 1 << 20);
        v[i] = (variable){.rank = 1, .dim = {n}};
        snprintf(v[i].name, sizeof v[i].name, "v%d", i);
        float *values = graph_run_floats(n, (uint64_t)i);
        graph_run_variable(vulkan, &v[i], values);
        free(values);
    }
    for (int i = 0; i < N; i++)
        backend_release(vulkan, &v[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backends_come_and_go),
        cmocka_unit_test(memory_is_kept_apart),
        cmocka_unit_test(refusals_name_the_op),
        cmocka_unit_test(want_of_memory_says_how_much),
        cmocka_unit_test(streams_cost_the_same),
        cmocka_unit_test(integers_have_the_same_bits),
        cmocka_unit_test(rounded_parameters_are_kept),
        cmocka_unit_test(training_takes_the_same_way),
        cmocka_unit_test(training_repeats_itself),
        cmocka_unit_test(device_runs_every_node),
        cmocka_unit_test(patches_are_drawn_at_once),
    };
    return cmocka_run_group_tests_name("vulkan models", tests, open_device, close_device);
}
