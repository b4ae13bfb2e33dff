/* encoder.c: see encoder.h. */
#include "patch/encoder.h"

#include <stdio.h>

static const int taps_of[ENCODER_FILTERS] = {3, 5, 7};

void encoder_create(encoder_layer *l, params *p, const char *prefix, int64_t width, double scale) {
    for (int i = 0; i < ENCODER_FILTERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "encoder.filter%d", taps_of[i]);
        linear_create(&l->filter[i], p, prefix, name, width, taps_of[i] * width, 0, scale);
    }
}

/* Of x[B,L,E] the bytes that a filter sees from each byte, side by side: [B,L,taps E]. */
static tensor *windows(graph *g, tensor *x, int taps) {
    void *data = NULL;
    if (!x)
        return NULL;
    int64_t lanes = x->dim[0], length = x->dim[1], width = x->dim[2];
    tensor *index =
        graph_constant(g, "windows", DTYPE_I32, 3, (int64_t[]){lanes, length, taps}, &data);
    int32_t *at = data;
    for (int64_t i = 0; i < lanes * length && at; i++)
        for (int64_t k = i - taps + 1; k <= i; k++)
            *at++ = i % length + k - i < 0 ? GATHER_NONE : (int32_t)k;
    tensor *rows = graph_reshape(g, x, 2, (int64_t[]){lanes * length, width});
    return graph_reshape(g, gather(g, rows, NULL, index), 3,
                         (int64_t[]){lanes, length, taps * width});
}

tensor *encoder_forward(graph *g, const encoder_layer *l, tensor *x) {
    for (int i = 0; i < ENCODER_FILTERS; i++) {
        tensor *y = linear_forward(g, &l->filter[i], windows(g, x, taps_of[i]));
        x = add(g, x, unary(g, y, UNARY_SILU, 0));
    }
    return x;
}
