/* optimizer.c: see optimizer.h. */
#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/exact.h"

static int uses_muon(const optimizer *o, const param *p) {
    return o->config->optimizer == OPTIMIZER_MUON && p->group == PARAM_MATRIX;
}

static variable *add_state(optimizer *o, const char *prefix, const param *p) {
    return params_add(&o->state, prefix, p->v.name, p->group, (param_init){0, 0}, p->v.rank,
                      p->v.dim);
}

void optimizer_finish(optimizer *o) {
    if (o->state.backend)
        params_finish(&o->state);
    free(o->m);
    free(o->v);
    free(o->mean);
    memset(o, 0, sizeof *o);
}

octet_status optimizer_create(optimizer *o, const params *weights, const config_train *c,
                              octet_error *error) {
    size_t n = (size_t)weights->n + 1;
    memset(o, 0, sizeof *o);
    o->config = c;
    o->weights = weights;
    o->m = calloc(n, sizeof(variable *));
    o->v = calloc(n, sizeof(variable *));
    o->mean = calloc(n, sizeof(variable *));
    params_init(&o->state, weights->backend);
    if (!o->m || !o->v || !o->mean) {
        optimizer_finish(o);
        return error_memory(error, "optimizer", (double)n * sizeof(variable *));
    }
    for (int i = 0; i < weights->n; i++) {
        const param *p = weights->list[i];
        o->m[i] = add_state(o, "optimizer.m", p);
        if (!uses_muon(o, p))
            o->v[i] = add_state(o, "optimizer.v", p);
        if (c->mean > 0)
            o->mean[i] = add_state(o, "optimizer.mean", p);
    }
    if (!o->state.error.code)
        return OCTET_OK;
    octet_status status = error_set(error, o->state.error.code, "%s", o->state.error.text);
    optimizer_finish(o);
    return status;
}

/* Five Newton-Schulz iterations with Jordan's coefficients on u / |u|, working on the smaller side.
 */
static tensor *orthogonalize(graph *g, tensor *u) {
    const float a = 3.4445f, b = -4.7750f, c = 2.0315f;
    if (!u)
        return NULL;
    int tall = u->dim[0] > u->dim[1];
    tensor *x = mul_scalar(g, u, norm_factor(g, dot(g, u, u), FACTOR_INVERSE, 1e-7f));
    for (int i = 0; i < 5; i++) {
        tensor *gram = matmul(g, x, x, tall, !tall);
        tensor *square = matmul(g, gram, gram, 0, 0);
        tensor *mix = add(g, unary(g, gram, UNARY_SCALE, b), unary(g, square, UNARY_SCALE, c));
        tensor *turned = tall ? matmul(g, x, mix, 0, 0) : matmul(g, mix, x, 0, 0);
        x = add(g, unary(g, x, UNARY_SCALE, a), turned);
    }
    return x;
}

static void record_update(optimizer *o, graph *g, int i, tensor *gradient, tensor *clip) {
    const param *p = o->weights->list[i];
    tensor *w = graph_variable(g, &o->weights->list[i]->v), *m = graph_variable(g, o->m[i]), *w_new;
    if (uses_muon(o, p)) {
        tensor *x = orthogonalize(g, momentum(g, m, gradient, clip, o->hyper_muon, 1));
        double ratio = (double)p->v.dim[0] / (double)p->v.dim[1];
        w_new = descend(g, w, x, o->hyper_muon, (float)sqrt(ratio > 1 ? ratio : 1));
    } else {
        tensor *hyper = p->group == PARAM_MATRIX ? o->hyper_decay : o->hyper;
        w_new = adamw(g, w, gradient, m, graph_variable(g, o->v[i]), clip, hyper);
    }
    if (o->mean[i])
        lerp(g, graph_variable(g, o->mean[i]), w_new, o->mean_weight);
}

void optimizer_record(optimizer *o, graph *g, tensor *const *gradients) {
    const int64_t eight = 8, one = 1;
    o->hyper_muon = graph_input(g, "hyper_muon", DTYPE_F32, 1, &eight);
    o->hyper_decay = graph_input(g, "hyper_decay", DTYPE_F32, 1, &eight);
    o->hyper = graph_input(g, "hyper", DTYPE_F32, 1, &eight);
    o->mean_weight = graph_input(g, "mean_weight", DTYPE_F32, 1, &one);
    tensor *sum = NULL;
    for (int i = 0; i < o->weights->n; i++) {
        if (!gradients[i])
            continue;
        tensor *square = dot(g, gradients[i], gradients[i]);
        sum = sum ? add(g, sum, square) : square;
    }
    o->norm = graph_output(g, sum);
    float most = o->config->clip > 0 ? (float)o->config->clip : INFINITY;
    tensor *clip = norm_factor(g, sum, FACTOR_CLIP, most);
    for (int i = 0; i < o->weights->n; i++)
        if (gradients[i])
            record_update(o, g, i, gradients[i], clip);
}

schedule_point schedule_at(const config_train *c, int64_t step, int64_t steps) {
    double rate = 1, done = (double)step / (double)steps, falls_at = 1 - c->decay;
    if (step < c->warmup)
        rate = (double)(step + 1) / (double)(c->warmup + 1);
    if (done > falls_at && c->decay > 0) {
        /* The last step, steps - 1, has the final rate. */
        double left = (double)(steps - 1 - step) / (c->decay * (double)steps);
        double fall = c->final_lr + (1 - c->final_lr) * (left < 1 ? left : 1);
        rate = rate < fall ? rate : fall;
    }
    double ramp = done < 0.2 ? done / 0.2 : 1;
    double window = c->mean * (double)steps;
    schedule_point p = {
        .lr = c->lr * rate,
        .muon_lr = c->muon_lr * rate,
        .momentum = 0.85 + (c->momentum - 0.85) * ramp,
        .mean_weight = done <= falls_at || window <= 1 ? 1 : 1 / window,
    };
    return p;
}

/* 1 - beta^t: the correction of a mean that started at 0. Below 2^-60 the power no longer counts.
 */
static double correction(double beta, int64_t t) {
    if (beta <= 0 || (double)t * exact_log2(beta) < -60)
        return 1;
    return 1 - exact_pow(beta, (double)t);
}

octet_status optimizer_upload(const optimizer *o, program *p, int64_t step, int64_t steps,
                              octet_error *error) {
    const config_train *c = o->config;
    schedule_point at = schedule_at(c, step, steps);
    double corrected1 = correction(c->beta1, step + 1);
    double corrected2 = correction(c->beta2, step + 1);
    float adam[8] = {(float)at.lr,
                     (float)c->beta1,
                     (float)c->beta2,
                     (float)c->epsilon,
                     0,
                     (float)corrected1,
                     (float)corrected2,
                     0};
    float decay[8], muon[8] = {(float)at.muon_lr, (float)at.momentum, 0, 0, (float)c->weight_decay};
    float mean = (float)at.mean_weight;
    memcpy(decay, adam, sizeof decay);
    decay[4] = (float)c->weight_decay;
    octet_status status = program_upload(p, o->hyper_muon, muon, error);
    if (!status)
        status = program_upload(p, o->hyper_decay, decay, error);
    if (!status)
        status = program_upload(p, o->hyper, adam, error);
    if (!status)
        status = program_upload(p, o->mean_weight, &mean, error);
    return status;
}
