/* ref_ops_loss.c: cross entropy and its gradient, in double. */
#include <math.h>

#include "ref_ops.h"

static double log_sum_exp(const double *x, int64_t n) {
    double max = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++) {
        max = fmax(max, x[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        sum += exp(x[i] - max);
    }
    return max + log(sum);
}

/* nll[..] from logits[..,V], target[..]. */
void ref_cross_entropy(const ref_call *c) {
    const int64_t rows = tensor_rows(c->node->input[0]), V = tensor_columns(c->node->input[0]);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * V;
        const int64_t target = (int64_t)c->in[1][r];
        c->out[0][r] = target < 0 ? 0 : log_sum_exp(x, V) - x[target];
    }
}

/* dlogits[..,V] from logits[..,V], target[..], dnll[..]. */
void ref_cross_entropy_grad(const ref_call *c) {
    const int64_t rows = tensor_rows(c->node->input[0]), V = tensor_columns(c->node->input[0]);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * V;
        const int64_t target = (int64_t)c->in[1][r];
        const double lse = log_sum_exp(x, V);
        for (int64_t i = 0; i < V; i++) {
            c->out[0][r * V + i] = target < 0 ? 0 : (exp(x[i] - lse) - (i == target)) * c->in[2][r];
        }
    }
}
