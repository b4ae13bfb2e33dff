/* ref_ops_int8.c: the ops that round rows to integers.
 *
 * Which integers a row becomes is a rule of floats, taken from there (MATH.md, "Integers"); all
 * that follows is in double, and weights of attention are not rounded at all. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/exact.h"
#include "ref_ops.h"

/* q[n] and the scale of x[n]. */
static double round_row(double *q, const double *x, int64_t n) {
    float a = 0;
    for (int64_t i = 0; i < n; i++) {
        a = fmaxf(a, fabsf((float)x[i]));
    }
    const int none = a < 0x1p-100f;
    const float inverse = none ? 0 : 127 * exact_reciprocal(a);
    for (int64_t i = 0; i < n; i++) {
        q[i] = nearbyintf((float)x[i] * inverse);
    }
    return none ? 0 : a * (float)(1.0 / 127);
}

static double *rows_of(int64_t n) {
    double *q = malloc((size_t)n * sizeof *q);
    if (!q) {
        abort();
    }
    return q;
}

/* x[..,K], w[N,K], ... */
void ref_linear_int8(const ref_call *c) {
    const tensor *x = c->node->input[0];
    const int64_t M = tensor_rows(x), K = tensor_columns(x);
    double *a = rows_of(K), *b = rows_of(K);
    for (int k = 0; k < c->node->n_outputs; k++) {
        const int64_t N = tensor_rows(c->node->input[1 + k]);
        for (int64_t n = 0; n < N; n++) {
            const double s = round_row(b, c->in[1 + k] + n * K, K);
            for (int64_t m = 0; m < M; m++) {
                const double t = round_row(a, c->in[0] + m * K, K);
                double sum = 0;
                for (int64_t i = 0; i < K; i++) {
                    sum += a[i] * b[i];
                }
                c->out[k][m * N + n] = sum * s * t;
            }
        }
    }
    free(a);
    free(b);
}

/* --- attention: the rows are replaced by what their integers stand for, and the ops without
 * rounding do the rest */

/* What n rows of D stand for. */
static double *rounded(const double *x, int64_t n, int64_t D) {
    double *q = rows_of(n * D + 1);
    for (int64_t i = 0; i < n; i++) {
        const double s = round_row(q + i * D, x + i * D, D);
        for (int64_t d = 0; d < D; d++) {
            q[i * D + d] *= s;
        }
    }
    return q;
}

/* The same of n rows of D integers and a scale. */
static double *widened(const double *x, int64_t n, int64_t D) {
    double *q = rows_of(n * D + 1);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t d = 0; d < D; d++) {
            q[i * D + d] = x[i * (D + 1) + d] * x[i * (D + 1) + D];
        }
    }
    return q;
}

void ref_attention_int8(const ref_call *c) {
    ref_call plain = *c;
    for (int i = 0; i < 3; i++) {
        const tensor *t = c->node->input[i];
        plain.in[i] = rounded(c->in[i], tensor_rows(t), tensor_columns(t));
    }
    plain.out[1] = NULL;
    ref_attention(&plain);
    for (int i = 0; i < 3; i++) {
        free(plain.in[i]);
    }
}

void ref_attention_cached_int8(const ref_call *c) {
    const tensor *q = c->node->input[0];
    ref_call plain = *c;
    plain.in[0] = rounded(c->in[0], tensor_rows(q), tensor_columns(q));
    for (int i = 1; i < c->node->n_inputs; i += i == 2 ? 5 : 1) {
        plain.in[i] = widened(c->in[i], tensor_rows(c->node->input[i]), tensor_columns(q));
    }
    ref_attention_cached(&plain);
    for (int i = 0; i < c->node->n_inputs; i += i == 2 ? 5 : 1) {
        free(plain.in[i]);
    }
}

void ref_store_int8(const ref_call *c) {
    const tensor *state = c->node->input[0], *x = c->node->input[1];
    const int64_t R = state->dim[1], T = x->dim[1], G = x->dim[2], D = x->dim[3];
    for (int64_t b = 0; b < x->dim[0]; b++) {
        const int64_t slot = (int64_t)c->in[2][b], pos = (int64_t)c->in[3][b];
        for (int64_t t = 0; t < T && t < (int64_t)c->in[4][b]; t++) {
            if (c->node->params.store.first && pos + t >= R) {
                break;
            }
            for (int64_t g = 0; g < G; g++) {
                double *row = c->out[0] + ((slot * R + (pos + t) % R) * G + g) * (D + 1);
                row[D] = round_row(row, c->in[1] + ((b * T + t) * G + g) * D, D);
            }
        }
    }
}
