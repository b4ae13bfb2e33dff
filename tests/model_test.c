/* model_test.c: the whole model as one graph: causality, and its gradient.
 *
 * The gradient is held against finite differences in double precision on the reference backend, and
 * the CPU's gradient against the reference's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ref_backend.h"
#include "support.h"
#include "tiny_model.h"
#include "whole_case.h"

#define SEED 23

static octet_error error;

static int has_dropout(int index) {
    return strstr(tiny_json(index), "dropout") != NULL;
}

/* --- causality */

static void model_is_causal(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LONG; i++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        whole_check_causal(m);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* Every byte of the window that a byte may see does count: changing byte 0 changes the last
 * distribution, over all levels. */
static void model_sees_far(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LONG; i++) {
        if (i == TINY_WINDOWS || i == TINY_ENDLESS || i == TINY_MIXED_ENDLESS)
            continue;
        backend *b = tiny_backend(1, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        whole w = whole_make(m, m->config.context, WHOLE_LOGITS);
        size_t length = (size_t)w.length, v = (size_t)m->config.vocabulary;
        float *before = support_alloc(WHOLE_BATCH * length * v, sizeof *before);
        float *after = support_alloc(WHOLE_BATCH * length * v, sizeof *after);
        uint8_t *bytes = support_alloc(WHOLE_BATCH * length, 1);
        whole_logits(&w, bytes, before);
        bytes[0] = 200;
        whole_logits(&w, bytes, after);
        for (size_t t = 1; t < length; t++)
            assert_memory_not_equal(after + t * v, before + t * v, v * sizeof *after);
        free(before);
        free(after);
        free(bytes);
        whole_finish(&w);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* --- gradient */

#define ELEMENTS 30

static void gradient_equals_differences(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LONG; i++) {
        backend *ref = NULL;
        support_ok(ref_backend_create(&ref, &error), &error);
        model *m = tiny_model(ref, i, SEED);
        whole_check_gradient(m, ELEMENTS);
        model_destroy(&m);
        backend_destroy(&ref);
    }
}

/* The largest element of all gradients of a program of the reference. */
static double largest_gradient(const whole *w) {
    double most = 0;
    for (int k = 0; k < w->m->params.n; k++) {
        int64_t n = variable_elements(&w->m->params.list[k]->v);
        double *gradient = support_alloc((size_t)n, sizeof *gradient);
        ref_program_download_double(w->p, w->gradients[k], gradient);
        most = fmax(most, support_largest(gradient, n));
        free(gradient);
    }
    return most;
}

/* Floats of 2^-24 through chains of some hundred operations: 1e-4 of the largest element. The
 * gradient of a trained scalar is one sum over all rows and channels, whose terms cancel as they do
 * in no one element of a matrix: 1e-4 of the largest of all gradients. */
static void gradient_of_cpu_equals_reference(void **state) {
    (void)state;
    for (int i = 0; i < TINY_LONG; i++) {
        backend *ref = NULL, *cpu = tiny_backend(2, CPU_AVX512);
        support_ok(ref_backend_create(&ref, &error), &error);
        model *m = tiny_model(ref, i, SEED), *twin = tiny_model(cpu, i, SEED);
        whole w = whole_drawn(m, m->config.context, WHOLE_GRADIENTS, has_dropout(i));
        whole c = whole_drawn(twin, m->config.context, WHOLE_GRADIENTS, has_dropout(i));
        whole_set_key(&w, 5, 6, 7);
        whole_set_key(&c, 5, 6, 7);
        uint8_t *bytes = support_alloc(WHOLE_BATCH * (size_t)w.length, 1);
        tiny_bytes(bytes, WHOLE_BATCH * (size_t)w.length, 4);
        whole_run(&w, bytes);
        whole_run(&c, bytes);
        double loss, most = largest_gradient(&w);
        float loss_cpu;
        ref_program_download_double(w.p, w.loss, &loss);
        support_ok(program_download(c.p, c.loss, &loss_cpu, &error), &error);
        assert_true(fabs(loss - (double)loss_cpu) < 1e-6 * loss);
        for (int k = 0; k < m->params.n; k++) {
            int64_t n = variable_elements(&m->params.list[k]->v);
            double *expected = support_alloc((size_t)n, sizeof *expected);
            float *got = support_alloc((size_t)n, sizeof *got);
            ref_program_download_double(w.p, w.gradients[k], expected);
            support_ok(program_download(c.p, c.gradients[k], got, &error), &error);
            double largest = n > 1 ? support_largest(expected, n) : most;
            for (int64_t at = 0; at < n; at++)
                if (!(fabs((double)got[at] - expected[at]) <= 1e-4 * largest))
                    fail_msg("%s[%lld]: %.9g, not %.9g", m->params.list[k]->v.name, (long long)at,
                             (double)got[at], expected[at]);
            free(expected);
            free(got);
        }
        free(bytes);
        whole_finish(&w);
        whole_finish(&c);
        model_destroy(&m);
        model_destroy(&twin);
        backend_destroy(&ref);
        backend_destroy(&cpu);
    }
}

/* --- dropout */

/* The logits of two windows of the same bytes, drawn for lanes `lane` and lane + 1 of a batch, or
 * without draws for lane -1. Freed by the caller. */
static float *drawn_logits(model *m, int64_t lane, uint32_t low, uint32_t high, uint32_t step) {
    whole w = whole_drawn(m, m->config.context, WHOLE_LOGITS, lane + 1);
    size_t length = (size_t)w.length;
    uint8_t *bytes = support_alloc(WHOLE_BATCH * length, 1);
    float *logits =
        support_alloc(WHOLE_BATCH * length * (size_t)m->config.vocabulary, sizeof *logits);
    tiny_bytes(bytes, length, 3);
    memcpy(bytes + length, bytes, length);
    whole_set_key(&w, low, high, step);
    whole_logits(&w, bytes, logits);
    free(bytes);
    whole_finish(&w);
    return logits;
}

/* A draw hangs on the seed, the step and the lane of the whole batch, on nothing else; every
 * level's dropout counts; outside of training there is none. */
static void dropout_is_a_function_of_its_key(void **state) {
    (void)state;
    for (int i = TINY_OPTIONS; i <= TINY_OPTIONS_THREE; i++) {
        backend *b = tiny_backend(2, CPU_AVX512);
        model *m = tiny_model(b, i, SEED);
        size_t window = (size_t)(m->config.context * m->config.vocabulary) * sizeof(float);
        float *first = drawn_logits(m, 0, 1, 2, 3), *again = drawn_logits(m, 0, 1, 2, 3);
        float *next = drawn_logits(m, 1, 1, 2, 3);
        float *second = first + window / sizeof *first;
        assert_memory_equal(first, again, WHOLE_BATCH * window);
        assert_memory_equal(next, second, window); /* lane 1 first in its part, or second */
        assert_memory_not_equal(first, second, window);
        float *others[] = {drawn_logits(m, 0, 9, 2, 3), drawn_logits(m, 0, 1, 9, 3),
                           drawn_logits(m, 0, 1, 2, 9), drawn_logits(m, -1, 0, 0, 0)};
        for (int k = 0; k < 4; k++)
            assert_memory_not_equal(others[k], first, window);
        for (int level = 0; level < m->config.n_levels; level++) {
            block_stack *stack = (block_stack *)(uintptr_t)model_stack(m, level);
            double rate = stack->blocks[0].dropout;
            for (int k = 0; k < stack->n_blocks; k++)
                stack->blocks[k].dropout = 0;
            float *without = drawn_logits(m, 0, 1, 2, 3);
            assert_int_equal(memcmp(without, first, window) != 0, rate > 0);
            free(without);
            for (int k = 0; k < stack->n_blocks; k++)
                stack->blocks[k].dropout = rate;
        }
        for (int level = 0; level < m->config.n_levels; level++) {
            block_stack *stack = (block_stack *)(uintptr_t)model_stack(m, level);
            for (int k = 0; k < stack->n_blocks; k++)
                stack->blocks[k].dropout = 0;
        }
        float *none = drawn_logits(m, 0, 1, 2, 3);
        assert_memory_equal(none, others[3], WHOLE_BATCH * window);
        free(none);
        for (int k = 0; k < 4; k++)
            free(others[k]);
        free(first);
        free(again);
        free(next);
        model_destroy(&m);
        backend_destroy(&b);
    }
}

/* --- shapes */

/* The same weights with x0_mix as it starts give the bits of the model without it: x 1 + x0 0. */
static void options_start_as_before(void **state) {
    (void)state;
    static const char *const text[] = {
        "{\"context\": 32, \"levels\": [{\"dim\": 16, \"layers\": 2, \"heads\": 2,"
        " \"zero_init\": false}]}",
        "{\"context\": 32, \"levels\": [{\"dim\": 16, \"layers\": 2, \"heads\": 2,"
        " \"zero_init\": false, \"x0_mix\": true}]}"};
    backend *b = tiny_backend(1, CPU_AVX512);
    float *logits[2];
    model *m[2];
    for (int i = 0; i < 2; i++) {
        config c;
        support_ok(config_parse(&c, text[i], strlen(text[i]), "x0", &error), &error);
        support_ok(model_create(&m[i], b, &c, &error), &error);
        support_ok(params_reset(&m[i]->params, SEED, &error), &error);
    }
    for (int i = 0; i < m[0]->params.n; i++) {
        const variable *from = &m[0]->params.list[i]->v;
        param *to = params_find(&m[1]->params, from->name);
        assert_non_null(to);
        support_ok(params_copy_one(b, &to->v, from, &error), &error);
    }
    assert_int_equal(params_count(&m[1]->params), params_count(&m[0]->params) + 4);
    for (int i = 0; i < 2; i++)
        logits[i] = drawn_logits(m[i], -1, 0, 0, 0);
    assert_memory_equal(logits[0], logits[1], WHOLE_BATCH * 32 * 256 * sizeof **logits);
    for (int i = 0; i < 2; i++) {
        free(logits[i]);
        model_destroy(&m[i]);
    }
    backend_destroy(&b);
}

/* The parameters of tiny model TINY_PAPER counted by hand: megabyte section 2. */
static void parameters_counted(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_SCALAR);
    model *m = tiny_model(b, TINY_PAPER, SEED);
    /* width 32, 4 bytes of 8: table, 16 positions; no start vectors (zero_pad) */
    int64_t global = 256 * 8 + 16 * 32;
    /* a block: wq, wk, wv, wo, gain; up and down of 4 x 32; two norms */
    global += 2 * (4 * 32 * 32 + 2 + 2 * 32 * 128 + 2 * 32) + 32;
    int64_t split = 16 * 8;
    /* width 16, swiglu of 48, one key head of 8, tied head */
    int64_t local = 256 * 16;
    local += 2 * (2 * 16 * 16 + 2 * 8 * 16 + 2 + 3 * 16 * 48 + 2 * 16) + 16;
    assert_int_equal(params_count(&m->params), global + split + local);
    model_destroy(&m);
    backend_destroy(&b);
}

/* With rope_scale 4 position 4 n turns as position n did without, and what lies between is between.
 */
static void rotary_positions_are_interpolated(void **state) {
    (void)state;
    enum { D = 16, N = 50 };
    level_shape shape = {.table_dim = D, .rope_base = 10000, .rope_scale = 1};
    float *plain = NULL, *scaled = NULL;
    support_ok(row_table_create(&plain, &shape, N, &error), &error);
    shape.rope_scale = 4;
    support_ok(row_table_create(&scaled, &shape, 4 * N, &error), &error);
    for (int n = 0; n < N; n++)
        assert_memory_equal(plain + n * D, scaled + 4 * n * D, D * sizeof *plain);
    /* position 2 is half of 1 radian at the first frequency */
    assert_true(fabs((double)scaled[2 * D] - cos(0.5)) < 1e-7);
    assert_true(fabs((double)scaled[2 * D + D / 2] - sin(0.5)) < 1e-7);
    free(plain);
    free(scaled);
}

/* Rows beyond the table are computed to its bits. */
static void rotary_rows_beyond_the_table(void **state) {
    (void)state;
    const uint8_t bytes[100] = {0};
    level_shape all = {.unit_bytes = 1, .table_dim = 10, .rope_base = 10000, .rope_scale = 1};
    level_shape part, large = all;
    row_arrays a, b;
    float *table, *unused;
    support_ok(row_table_create(&table, &all, 100, &error), &error);
    assert_int_equal(all.table_rows, 100);
    part = all;
    part.table_rows = 37;
    support_ok(row_arrays_create(&a, &all, 1, 100, &error), &error);
    support_ok(row_arrays_create(&b, &part, 1, 100, &error), &error);
    for (int64_t n = 0; n < 100; n++) {
        row_fill(&a, &all, 0, n, n, bytes, 0, table);
        row_fill(&b, &part, 0, n, n, bytes, 0, table);
    }
    assert_memory_equal(a.table, table, 1000 * sizeof *table);
    assert_memory_equal(a.table, b.table, 1000 * sizeof *table);
    support_ok(row_table_create(&unused, &large, 1 << 24, &error), &error);
    assert_int_equal(large.table_rows, (1 << 20) / 10);
    free(unused);
    free(table);
    row_arrays_finish(&a);
    row_arrays_finish(&b);
}

/* The same of two levels with an encoder and n-grams, and what they cost a byte. */
static void look_back_counted(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_SCALAR);
    model *m = tiny_model(b, TINY_ENCODER, SEED);
    /* width 24, 4 bytes of 6: table, 16 positions, tables of 51 rows of 2 for two n */
    int64_t encoder = (3 + 5 + 7) * 6 * 6, above = 2 * 2 * 6, last = 5 * 16;
    int64_t global = 256 * 6 + 16 * 24 + encoder + 2 * 51 * 2 + above;
    int64_t wide_block = 4 * 24 * 24 + 2 * 24 * 96;
    global += wide_block + 2 + 3 * 24;
    /* width 16: table, one of 21 rows of 5 */
    int64_t local = 256 * 16 + 21 * 5 + last;
    int64_t byte_block = 4 * 16 * 16 + 2 * 16 * 64;
    local += byte_block + 2 + 3 * 16;
    int64_t split = 16 * 6;
    assert_int_equal(params_count(&m->params), global + split + local);
    double each = (double)(encoder + above + last + split + byte_block + 256 * 16);
    assert_true(model_weights_per_byte(m) == each + (double)wide_block / 4);
    model_destroy(&m);
    backend_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_is_causal),
        cmocka_unit_test(model_sees_far),
        cmocka_unit_test(gradient_equals_differences),
        cmocka_unit_test(gradient_of_cpu_equals_reference),
        cmocka_unit_test(dropout_is_a_function_of_its_key),
        cmocka_unit_test(options_start_as_before),
        cmocka_unit_test(parameters_counted),
        cmocka_unit_test(rotary_positions_are_interpolated),
        cmocka_unit_test(rotary_rows_beyond_the_table),
        cmocka_unit_test(look_back_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
