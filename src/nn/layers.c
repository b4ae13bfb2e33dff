/* layers.c: see layers.h. */
#include "nn/layers.h"

#include <math.h>
#include <stdio.h>

void linear_create(linear_layer *l, params *p, const char *prefix, const char *name, int64_t out,
                   int64_t in, int bias, double scale) {
    char full[96];
    param_init init = {0, (float)(scale / sqrt((double)in))};
    l->w = params_add(p, prefix, name, PARAM_MATRIX, init, 2, (int64_t[]){out, in});
    l->b = NULL;
    if (bias) {
        snprintf(full, sizeof full, "%s.bias", name);
        l->b = params_add(p, prefix, full, PARAM_VECTOR, (param_init){0, 0}, 1, &out);
    }
}

tensor *linear_forward(graph *g, const linear_layer *l, tensor *x) {
    tensor *y = linear(g, x, graph_variable(g, l->w));
    return l->b ? add_row(g, y, graph_variable(g, l->b)) : y;
}

void norm_create(norm_layer *l, params *p, const char *prefix, const char *name, int64_t width,
                 norm_kind kind, int bias) {
    char full[96];
    snprintf(full, sizeof full, "%s.gain", name);
    l->kind = kind;
    l->epsilon = NORM_EPSILON;
    l->gain = params_add(p, prefix, full, PARAM_VECTOR, (param_init){1, 0}, 1, &width);
    l->bias = NULL;
    if (bias && kind == NORM_LAYER) {
        snprintf(full, sizeof full, "%s.bias", name);
        l->bias = params_add(p, prefix, full, PARAM_VECTOR, (param_init){0, 0}, 1, &width);
    }
}

tensor *norm_forward(graph *g, const norm_layer *l, tensor *x) {
    tensor *bias = l->bias ? graph_variable(g, l->bias) : NULL;
    return norm(g, x, graph_variable(g, l->gain), bias, l->kind, l->epsilon);
}

void mlp_create(mlp_layer *l, params *p, const char *prefix, const mlp_params *m) {
    l->activation = m->activation;
    l->gated = m->gated;
    linear_create(&l->up, p, prefix, "mlp.up", m->hidden, m->width, m->bias, m->scale);
    if (m->gated)
        linear_create(&l->gate, p, prefix, "mlp.gate", m->hidden, m->width, m->bias, m->scale);
    linear_create(&l->down, p, prefix, "mlp.down", m->width, m->hidden, m->bias, m->down_scale);
}

tensor *mlp_forward(graph *g, const mlp_layer *l, tensor *x) {
    tensor *up = linear_forward(g, &l->up, x), *hidden;
    if (l->gated) {
        tensor *gate = unary(g, linear_forward(g, &l->gate, x), l->activation, 0);
        hidden = mul(g, gate, up);
    } else {
        hidden = unary(g, up, l->activation, 0);
    }
    return linear_forward(g, &l->down, hidden);
}
