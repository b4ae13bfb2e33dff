/* whole_case.c: see whole_case.h. */
#include "whole_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ref_backend.h"
#include "support.h"
#include "tiny_model.h"

static octet_error error;

static void record_loss(whole *w) {
    const int64_t dim[] = {WHOLE_BATCH, w->length};
    tensor *target = graph_input(w->g, "target", DTYPE_I32, 2, dim);
    tensor *weight = graph_input(w->g, "weight", DTYPE_F32, 2, dim);
    w->rows[w->m->config.n_levels - 1].target = target;
    w->loss = dot(w->g, cross_entropy(w->g, w->logits, target), weight);
    graph_output(w->g, w->loss);
}

static void record_gradients(whole *w) {
    graph_backward(w->g, w->loss);
    w->gradients = support_alloc((size_t)w->m->params.n, sizeof(tensor *));
    for (int i = 0; i < w->m->params.n; i++) {
        tensor *t = graph_variable(w->g, &w->m->params.list[i]->v);
        assert_non_null(t);
        w->gradients[i] = t->gradient;
        if (t->gradient)
            graph_output(w->g, t->gradient);
    }
}

whole whole_drawn(model *m, int64_t length, whole_kind kind, int64_t draws) {
    whole w = {.m = m, .length = length};
    support_ok(graph_create(&w.g, &error), &error);
    if (draws)
        w.key = graph_input(w.g, "key", DTYPE_I32, 1, (int64_t[]){3});
    for (int i = 0; i < m->config.n_levels; i++) {
        model_rows_inputs(w.g, m, i, WHOLE_BATCH, length / m->shape[i].unit_bytes, 0, &w.rows[i]);
        w.rows[i].key = w.key;
        w.rows[i].first_lane = draws - 1;
    }
    w.logits = graph_output(w.g, model_forward(w.g, m, w.rows));
    if (kind != WHOLE_LOGITS)
        record_loss(&w);
    if (kind == WHOLE_GRADIENTS)
        record_gradients(&w);
    support_ok(backend_compile(m->backend, &w.p, w.g, &error), &error);
    for (int i = 0; i < m->config.n_levels; i++)
        support_ok(row_arrays_create(&w.arrays[i], &m->shape[i], WHOLE_BATCH,
                                     length / m->shape[i].unit_bytes, &error),
                   &error);
    return w;
}

whole whole_make(model *m, int64_t length, whole_kind kind) {
    return whole_drawn(m, length, kind, 0);
}

void whole_set_key(whole *w, uint32_t low, uint32_t high, uint32_t step) {
    const uint32_t key[] = {low, high, step};
    if (w->key)
        support_ok(program_upload(w->p, w->key, key, &error), &error);
}

void whole_run(whole *w, const uint8_t *bytes) {
    const model *m = w->m;
    for (int i = 0; i < m->config.n_levels; i++) {
        int64_t rows = w->arrays[i].rows, above = i ? w->arrays[i - 1].rows : 0;
        for (int64_t at = 0; at < WHOLE_BATCH * rows; at++) {
            int64_t b = at / rows, n = at % rows;
            int64_t parent = b * above + row_parent(&m->shape[i], n);
            row_fill(&w->arrays[i], &m->shape[i], b, n, n, bytes + b * w->length, parent,
                     m->table[i]);
        }
        support_ok(model_rows_upload(w->p, &w->rows[i], &w->arrays[i], &error), &error);
    }
    if (w->loss) {
        size_t n = (size_t)(WHOLE_BATCH * w->length);
        int32_t *target = support_alloc(n, sizeof *target);
        float *weight = support_alloc(n, sizeof *weight);
        for (size_t i = 0; i < n; i++) {
            target[i] = bytes[i];
            weight[i] = 2 - (float)i / (float)n;
        }
        const node *cross = w->loss->producer->input[0]->producer;
        support_ok(program_upload(w->p, cross->input[1], target, &error), &error);
        support_ok(program_upload(w->p, w->loss->producer->input[1], weight, &error), &error);
        free(target);
        free(weight);
    }
    support_ok(program_run(w->p, &error), &error);
}

void whole_finish(whole *w) {
    program_destroy(&w->p);
    graph_destroy(&w->g);
    for (int i = 0; i < w->m->config.n_levels; i++)
        row_arrays_finish(&w->arrays[i]);
    free(w->gradients);
}

void whole_logits(whole *w, const uint8_t *bytes, float *logits) {
    whole_run(w, bytes);
    support_ok(program_download(w->p, w->logits, logits, &error), &error);
}

void whole_check_causal(model *m) {
    whole w = whole_make(m, m->config.context, WHOLE_LOGITS);
    size_t length = (size_t)w.length, v = (size_t)m->config.vocabulary;
    size_t n = WHOLE_BATCH * length * v;
    float *before = support_alloc(n, sizeof *before), *after = support_alloc(n, sizeof *after);
    uint8_t *bytes = support_alloc(WHOLE_BATCH * length, 1);
    tiny_bytes(bytes, WHOLE_BATCH * length, 3);
    whole_logits(&w, bytes, before);
    for (size_t t = 0; t < length; t++) {
        bytes[t] ^= 0x55;
        whole_logits(&w, bytes, after);
        assert_memory_equal(after, before, (t + 1) * v * sizeof *after);
        assert_memory_equal(after + length * v, before + length * v, length * v * sizeof *after);
        if (t + 1 < length)
            assert_memory_not_equal(after + (t + 1) * v, before + (t + 1) * v, v * sizeof *after);
        bytes[t] ^= 0x55;
    }
    free(before);
    free(after);
    free(bytes);
    whole_finish(&w);
}

/* Two patches and more, but no whole context: every element takes two forward passes. */
static int64_t gradient_length(const model *m) {
    int64_t patch = m->shape[0].unit_bytes;
    return (16 + patch) / patch * patch;
}

static double loss_at(whole *w, const uint8_t *bytes, variable *v, int64_t at, double value) {
    double loss;
    ref_write_double(w->m->backend, v, at, 1, &value);
    whole_run(w, bytes);
    ref_program_download_double(w->p, w->loss, &loss);
    return loss;
}

/* Central differences with step h err by h^2 f''' / 6 and by the rounding of the loss, some 1e-15
 * of about 600, over 2 h: with h = 1e-6 by some 3e-7 in all; squared ReLU, whose second derivative
 * jumps, by h f'' where an input is within h of 0, and ReLU by more, but such an input is rare. */
#define STEP 1e-6
#define DIFFERENCE_BOUND 2e-6

static void check_parameter(whole *w, const uint8_t *bytes, int index, const double *gradient,
                            int elements) {
    variable *v = &w->m->params.list[index]->v;
    uint64_t seed = (uint64_t)index;
    int64_t n = variable_elements(v);
    double largest = support_largest(gradient, n);
    for (int k = 0; k < elements && k < n; k++) {
        int64_t at = n <= elements ? k : support_integer(&seed, 0, n - 1);
        /* Most rows of a byte table are not in use: look at those that are, mostly. */
        for (int64_t tries = 0; k % 8 && gradient[at] == 0 && tries < n; tries++)
            at = (at + 1) % n;
        double value;
        ref_read_double(w->m->backend, v, at, 1, &value);
        double slope =
            (loss_at(w, bytes, v, at, value + STEP) - loss_at(w, bytes, v, at, value - STEP)) /
            (2 * STEP);
        ref_write_double(w->m->backend, v, at, 1, &value);
        if (!(fabs(slope - gradient[at]) <= DIFFERENCE_BOUND * (1 + largest)))
            fail_msg("%s[%lld]: slope %.9g, gradient %.9g", v->name, (long long)at, slope,
                     gradient[at]);
    }
}

/* Whether training draws anything. */
static int drops(const model *m) {
    for (int i = 0; i < m->config.n_levels; i++)
        if (m->config.level[i].dropout > 0)
            return 1;
    return 0;
}

void whole_check_gradient(model *m, int elements) {
    whole w = whole_drawn(m, gradient_length(m), WHOLE_GRADIENTS, drops(m));
    whole plain = whole_drawn(m, gradient_length(m), WHOLE_LOSS, drops(m));
    whole_set_key(&w, 5, 6, 7);
    whole_set_key(&plain, 5, 6, 7);
    uint8_t *bytes = support_alloc(WHOLE_BATCH * (size_t)w.length, 1);
    tiny_bytes(bytes, WHOLE_BATCH * (size_t)w.length, 4);
    whole_run(&w, bytes);
    double **gradient = support_alloc((size_t)m->params.n, sizeof *gradient);
    for (int k = 0; k < m->params.n; k++) {
        int64_t n = variable_elements(&m->params.list[k]->v);
        gradient[k] = support_alloc((size_t)n, sizeof **gradient);
        if (w.gradients[k])
            ref_program_download_double(w.p, w.gradients[k], gradient[k]);
        else
            fail_msg("%s has no gradient", m->params.list[k]->v.name);
        if (!(support_largest(gradient[k], n) > 0))
            fail_msg("the gradient of %s is zero", m->params.list[k]->v.name);
    }
    for (int k = 0; k < m->params.n; k++)
        check_parameter(&plain, bytes, k, gradient[k], elements);
    for (int k = 0; k < m->params.n; k++)
        free(gradient[k]);
    free(gradient);
    free(bytes);
    whole_finish(&w);
    whole_finish(&plain);
}
