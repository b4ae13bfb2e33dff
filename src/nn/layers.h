/* layers.h: the small layers that everything is built of: linear, norm, MLP.
 *
 * A layer is a few variables; its forward records ops. A bias or gain that is absent is NULL. */
#ifndef NN_LAYERS_H
#define NN_LAYERS_H

#include "nn/params.h"

/* y = x w^T + b, w[out,in]. */
typedef struct linear_layer {
    variable *w, *b;
} linear_layer;

/* Weights start normal(0, scale / sqrt(in)); scale 0 starts them at 0. */
void linear_create(linear_layer *l, params *p, const char *prefix, const char *name, int64_t out,
                   int64_t in, int bias, double scale);
tensor *linear_forward(graph *g, const linear_layer *l, tensor *x);

/* See norm in graph.h. */
typedef struct norm_layer {
    variable *gain, *bias;
    norm_kind kind;
    float epsilon; /* NORM_EPSILON after norm_create */
} norm_layer;

#define NORM_EPSILON 1e-5f

void norm_create(norm_layer *l, params *p, const char *prefix, const char *name, int64_t width,
                 norm_kind kind, int bias);
tensor *norm_forward(graph *g, const norm_layer *l, tensor *x);

/* up, activation, down; gated (SwiGLU, Shazeer 2020): down(silu(gate x) * up x). */
typedef struct mlp_layer {
    linear_layer up, gate, down;
    unary_kind activation;
    int gated;
} mlp_layer;

typedef struct mlp_params {
    int64_t width, hidden;
    unary_kind activation;
    int gated, bias;
    double scale, down_scale;
} mlp_params;

void mlp_create(mlp_layer *l, params *p, const char *prefix, const mlp_params *m);
tensor *mlp_forward(graph *g, const mlp_layer *l, tensor *x);

#endif
