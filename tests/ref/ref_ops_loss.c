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

/* The symbols by falling weight, of equals the lower first. */
static void rank_symbols(int *order, const double *weight, int n) {
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && weight[order[at - 1]] < weight[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* y[R] from logits[..,V], draw[R], settings[R,4], base[R]. */
void ref_draw_symbol(const ref_call *c) {
    const int64_t rows = tensor_rows(c->node->input[0]), V = tensor_columns(c->node->input[0]);
    const int end = c->node->params.draw_symbol.end;
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * V, *settings = c->in[2] + 4 * r;
        double weight[DRAW_SYMBOLS], most = -INFINITY, sum = 0, before = 0, all = 0, reached = 0;
        int order[DRAW_SYMBOLS], n = V < 256 ? (int)V : 256, drawn = 0;
        for (int i = 0; i < n; i++)
            weight[i] = x[i];
        if (end >= 0)
            weight[n++] = x[end];
        for (int i = 0; i < n; i++)
            most = fmax(most, weight[i]);
        for (int i = 0; i < n; i++)
            weight[i] = exp((weight[i] - most) * settings[0]);
        rank_symbols(order, weight, n);
        const int k = settings[1] > 0 && settings[1] < n ? (int)settings[1] : n;
        for (int i = 0; i < k; i++)
            sum += weight[order[i]];
        for (int i = 0; i < n; i++) {
            const double w = weight[order[i]];
            if (i >= k || (i > 0 && before >= settings[2] * sum) || w < settings[3])
                weight[order[i]] = 0;
            before += w;
            all += weight[order[i]];
        }
        for (int i = 0; i < n && reached <= c->in[1][r] * all; i++) {
            drawn = weight[i] > 0 ? i : drawn;
            reached += weight[i];
        }
        c->out[0][r] = end >= 0 && drawn == n - 1 ? (double)GATHER_NONE : c->in[3][r] + drawn;
    }
}
