/* ref_ops_optimizer.c: the updates of the optimizers, in double, in place. */
#include <math.h>

#include "ref_ops.h"

/* w, gradient, m, v, factor[1], hyper[8] = lr, b1, b2, eps, decay, c1, c2, unused. */
void ref_adamw(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->input[0]);
    const double *h = c->in[5];
    for (int64_t i = 0; i < n; i++) {
        double *w = c->in[0] + i, *m = c->in[2] + i, *v = c->in[3] + i;
        const double gradient = c->in[1][i] * c->in[4][0];
        *m = h[1] * *m + (1 - h[1]) * gradient;
        *v = h[2] * *v + (1 - h[2]) * gradient * gradient;
        *w = *w * (1 - h[0] * h[4]) - h[0] * (*m / h[5]) / (sqrt(*v / h[6]) + h[3]);
    }
}

/* m, gradient, factor[1], hyper[8] = lr, beta, ...; returns the direction of the step. */
void ref_momentum(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->input[0]);
    const double beta = c->in[3][1];
    for (int64_t i = 0; i < n; i++) {
        const double gradient = c->in[1][i] * c->in[2][0];
        const double m = beta * c->in[0][i] + (1 - beta) * gradient;
        c->in[0][i] = m;
        c->out[0][i] = c->node->params.momentum.nesterov ? (1 - beta) * gradient + beta * m : m;
    }
}

/* w, x, hyper[8] = lr, beta, -, -, decay. */
void ref_descend(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->input[0]);
    const double lr = c->in[2][0], decay = c->in[2][4];
    for (int64_t i = 0; i < n; i++) {
        c->in[0][i] =
            c->in[0][i] * (1 - lr * decay) - lr * c->node->params.descend.multiplier * c->in[1][i];
    }
}

/* m, w, weight[1]. */
void ref_lerp(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->input[0]);
    for (int64_t i = 0; i < n; i++) {
        c->in[0][i] += c->in[2][0] * (c->in[1][i] - c->in[0][i]);
    }
}
