/* step.c: see step.h. */
#include "train/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One micro-batch: its inputs and their host copies. */
typedef struct micro_batch {
    level_rows rows[CONFIG_MAX_LEVELS];
    row_arrays arrays[CONFIG_MAX_LEVELS];
    tensor *weight; /* f32[B,T]: 1 / bytes that count, 0 for bytes that do not */
    int32_t *target;
    float *weights;
} micro_batch;

struct step_graph {
    model *m;
    optimizer *o;
    graph *g;
    program *p;
    int64_t n_micro, micro_size, context;
    micro_batch *micro;
    uint64_t seed;
    tensor *key; /* of the draws of dropout; NULL where no level has any */
    tensor *loss;
    int64_t *counts; /* per window: bytes that count */
    uint8_t *padded; /* one window */
};

void step_destroy(step_graph **s) {
    if (!s || !*s)
        return;
    step_graph *d = *s;
    program_destroy(&d->p);
    graph_destroy(&d->g);
    for (int64_t i = 0; i < d->n_micro && d->micro; i++) {
        for (int level = 0; level < d->m->config.n_levels; level++)
            row_arrays_finish(&d->micro[i].arrays[level]);
        free(d->micro[i].target);
        free(d->micro[i].weights);
    }
    free(d->micro);
    free(d->counts);
    free(d->padded);
    free(d);
    *s = NULL;
}

/* Sum over n tensors by a binary tree over their index. */
static tensor *add_tree(graph *g, tensor **list, int64_t n) {
    if (n == 1)
        return list[0];
    int64_t half = 1;
    while (2 * half < n)
        half *= 2;
    return add(g, add_tree(g, list, half), add_tree(g, list + half, n - half));
}

/* Forward and backward of one micro-batch; leaves its gradients in gradients[i * n_micro + k]. */
static tensor *record_micro(step_graph *s, int64_t k, tensor **gradients) {
    graph *g = s->g;
    micro_batch *b = &s->micro[k];
    int last = s->m->config.n_levels - 1;
    for (int level = 0; level <= last; level++) {
        model_rows_inputs(g, s->m, level, s->micro_size, model_window_rows(s->m, level), 0,
                          &b->rows[level]);
        b->rows[level].key = s->key;
        b->rows[level].first_lane = k * s->micro_size;
    }
    const int64_t dim[] = {s->micro_size, s->context};
    b->rows[last].target = graph_input(g, "target", DTYPE_I32, 2, dim);
    b->weight = graph_input(g, "weight", DTYPE_F32, 2, dim);
    tensor *logits = model_forward(g, s->m, b->rows);
    tensor *loss = dot(g, cross_entropy(g, logits, b->rows[last].target), b->weight);
    graph_backward(g, loss);
    for (int i = 0; i < s->m->params.n; i++) {
        tensor *w = graph_variable(g, &s->m->params.list[i]->v);
        gradients[i * s->n_micro + k] = w ? w->gradient : NULL;
    }
    graph_clear_gradients(g);
    return loss;
}

static int has_dropout(const config *c) {
    for (int level = 0; level < c->n_levels; level++)
        if (c->level[level].dropout > 0)
            return 1;
    return 0;
}

static octet_status record(step_graph *s, octet_error *error) {
    int n = s->m->params.n;
    size_t cells = (size_t)n * (size_t)s->n_micro + 1;
    tensor **gradients = calloc(cells, sizeof(tensor *));
    tensor **sums = calloc((size_t)n + 1, sizeof(tensor *));
    tensor **losses = calloc((size_t)s->n_micro, sizeof(tensor *));
    octet_status status = OCTET_OK;
    if (gradients && sums && losses) {
        if (has_dropout(&s->m->config))
            s->key = graph_input(s->g, "key", DTYPE_I32, 1, (int64_t[]){3});
        for (int64_t k = 0; k < s->n_micro; k++)
            losses[k] = record_micro(s, k, gradients);
        for (int i = 0; i < n; i++)
            if (gradients[i * s->n_micro])
                sums[i] = add_tree(s->g, gradients + i * s->n_micro, s->n_micro);
        s->loss = graph_output(s->g, add_tree(s->g, losses, s->n_micro));
        optimizer_record(s->o, s->g, sums);
    } else {
        status = error_memory(error, "training step", (double)cells * sizeof(tensor *));
    }
    free(gradients);
    free(sums);
    free(losses);
    return status;
}

/* Everything of the row plans that does not hang on the bytes, once. */
static octet_status fill_rows(step_graph *s, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int64_t k = 0; k < s->n_micro && !status; k++) {
        micro_batch *b = &s->micro[k];
        size_t n = (size_t)(s->micro_size * s->context);
        b->target = calloc(n, sizeof *b->target);
        b->weights = calloc(n, sizeof *b->weights);
        if (!b->target || !b->weights)
            return error_memory(error, "training step", (double)n * 8);
        for (int level = 0; level < s->m->config.n_levels && !status; level++) {
            const level_shape *shape = &s->m->shape[level];
            int64_t rows = model_window_rows(s->m, level);
            int64_t above = level ? model_window_rows(s->m, level - 1) : 0;
            status = row_arrays_create(&b->arrays[level], shape, s->micro_size, rows, error);
            for (int64_t i = 0; i < s->micro_size * rows && !status; i++) {
                int64_t lane = i / rows, n_row = i % rows;
                row_fill(&b->arrays[level], shape, lane, n_row, n_row, s->padded,
                         lane * above + row_parent(shape, n_row), s->m->table[level]);
            }
            if (!status)
                status = model_rows_upload(s->p, &b->rows[level], &b->arrays[level], error);
        }
    }
    return status;
}

/* All but the host copies of the inputs. */
static octet_status make(step_graph **out, model *m, optimizer *o, int64_t batch,
                         int64_t micro_batches, octet_error *error) {
    *out = NULL;
    int64_t context = m->config.context;
    if (batch / micro_batches > INT32_MAX / context)
        return error_set(
            error, OCTET_ERROR,
            "batch: %lld sequences of %lld bytes in a micro-batch are more than 2^31 bytes",
            (long long)(batch / micro_batches), (long long)context);
    step_graph *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(error, "training step", sizeof *s);
    s->m = m;
    s->o = o;
    s->n_micro = micro_batches;
    s->micro_size = batch / micro_batches;
    s->context = m->config.context;
    s->micro = calloc((size_t)micro_batches, sizeof *s->micro);
    s->counts = calloc((size_t)batch, sizeof *s->counts);
    s->padded = calloc((size_t)s->context, 1);
    octet_status status = OCTET_OK;
    if (!s->micro || !s->counts || !s->padded)
        status = error_memory(error, "training step", (double)s->context);
    if (!status)
        status = graph_create(&s->g, error);
    if (!status)
        status = record(s, error);
    if (!status)
        status = backend_compile(m->backend, &s->p, s->g, error);
    if (status)
        step_destroy(&s);
    *out = s;
    return status;
}

octet_status step_create(step_graph **out, model *m, optimizer *o, int64_t batch,
                         int64_t micro_batches, octet_error *error) {
    octet_status status = make(out, m, o, batch, micro_batches, error);
    if (!status)
        status = fill_rows(*out, error);
    if (status)
        step_destroy(out);
    return status;
}

octet_status step_measure(size_t *bytes, model *m, optimizer *o, int64_t batch,
                          int64_t micro_batches, octet_error *error) {
    step_graph *s = NULL;
    octet_status status = make(&s, m, o, batch, micro_batches, error);
    *bytes = status ? 0 : step_bytes(s);
    step_destroy(&s);
    return status;
}

void step_set_window(step_graph *s, int64_t b, const uint8_t *bytes, int64_t n) {
    micro_batch *to = &s->micro[b / s->micro_size];
    int64_t lane = b % s->micro_size;
    memset(s->padded, 0, (size_t)s->context);
    if (n > 0)
        memcpy(s->padded, bytes, (size_t)n);
    for (int level = 0; level < s->m->config.n_levels; level++)
        for (int64_t row = 0; row < to->arrays[level].rows; row++)
            row_fill_source(&to->arrays[level], &s->m->shape[level], lane, row, row, s->padded);
    for (int64_t t = 0; t < s->context; t++)
        to->target[lane * s->context + t] = t < n ? s->padded[t] : -1;
    s->counts[b] = n;
}

static octet_status upload_batch(step_graph *s, int64_t bytes, octet_error *error) {
    float each = bytes ? 1 / (float)bytes : 0;
    octet_status status = OCTET_OK;
    int last = s->m->config.n_levels - 1;
    for (int64_t k = 0; k < s->n_micro && !status; k++) {
        micro_batch *b = &s->micro[k];
        for (int64_t i = 0; i < s->micro_size * s->context; i++)
            b->weights[i] = b->target[i] >= 0 ? each : 0;
        for (int level = 0; level <= last && !status; level++)
            status = model_rows_upload_bytes(s->p, &b->rows[level], &b->arrays[level], error);
        if (!status)
            status = program_upload(s->p, b->rows[last].target, b->target, error);
        if (!status)
            status = program_upload(s->p, b->weight, b->weights, error);
    }
    return status;
}

void step_set_seed(step_graph *s, uint64_t seed) {
    s->seed = seed;
}

static octet_status upload_key(step_graph *s, int64_t step, octet_error *error) {
    const uint32_t key[] = {(uint32_t)s->seed, (uint32_t)(s->seed >> 32), (uint32_t)step};
    return s->key ? program_upload(s->p, s->key, key, error) : OCTET_OK;
}

octet_status step_run(step_graph *s, int64_t step, int64_t steps, step_result *out,
                      octet_error *error) {
    float loss = 0, norm2 = 0;
    out->bytes = 0;
    for (int64_t b = 0; b < s->n_micro * s->micro_size; b++)
        out->bytes += s->counts[b];
    octet_status status = upload_batch(s, out->bytes, error);
    if (!status)
        status = upload_key(s, step, error);
    if (!status)
        status = optimizer_upload(s->o, s->p, step, steps, error);
    if (!status)
        status = program_run(s->p, error);
    if (!status)
        status = program_download(s->p, s->loss, &loss, error);
    if (!status)
        status = program_download(s->p, s->o->norm, &norm2, error);
    out->loss_bits = loss / 0.69314718055994530942;
    out->gradient_norm = sqrt((double)norm2);
    return status;
}

size_t step_bytes(const step_graph *s) {
    return program_bytes(s->p);
}
