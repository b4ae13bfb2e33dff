/* ref_ops_norm.c: norms and their gradient, in double. */
#include <math.h>

#include "ref_ops.h"

/* mean and 1 / sqrt(spread + eps) of one row; the mean of RMS is 0 by definition. */
static void row_moments(double *mean, double *inverse, const double *x, int64_t C,
                        const op_params *p) {
    double sum = 0, squares = 0;
    if (p->norm.kind == NORM_LAYER) {
        for (int64_t i = 0; i < C; i++) {
            sum += x[i];
        }
    }
    *mean = sum / (double)C;
    for (int64_t i = 0; i < C; i++) {
        squares += (x[i] - *mean) * (x[i] - *mean);
    }
    *inverse = 1 / sqrt(squares / (double)C + p->norm.epsilon);
}

/* x[..,C], gain[C] or NULL, bias[C] or NULL. */
void ref_norm(const ref_call *c) {
    const int64_t rows = tensor_rows(c->node->input[0]), C = tensor_columns(c->node->input[0]);
    const double *gain = c->in[1], *bias = c->in[2];
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * C;
        double mean, inverse;
        row_moments(&mean, &inverse, x, C, &c->node->params);
        for (int64_t i = 0; i < C; i++) {
            c->out[0][r * C + i] =
                (x[i] - mean) * inverse * (gain ? gain[i] : 1) + (bias ? bias[i] : 0);
        }
    }
}

/* With n = (x - mean) / s the normalised row and e = gain dy: dx = (e - mean(e) - n mean(e n)) / s,
 * without mean(e) for RMS; dgain = sum over rows of dy n, dbias = sum over rows of dy.
 * x[..,C], gain[C] or NULL, dy[..,C]. */
void ref_norm_grad(const ref_call *c) {
    const int64_t rows = tensor_rows(c->node->input[0]), C = tensor_columns(c->node->input[0]);
    const double *gain = c->in[1];
    double *dgain = c->out[1], *dbias = c->out[2];
    for (int64_t i = 0; i < C; i++) {
        if (dgain) {
            dgain[i] = 0;
        }
        if (dbias) {
            dbias[i] = 0;
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * C, *dy = c->in[2] + r * C;
        double *dx = c->out[0] + r * C;
        double mean, inverse, mean_e = 0, mean_en = 0;
        row_moments(&mean, &inverse, x, C, &c->node->params);
        for (int64_t i = 0; i < C; i++) {
            const double n = (x[i] - mean) * inverse, e = (gain ? gain[i] : 1) * dy[i];
            mean_e += e / (double)C;
            mean_en += e * n / (double)C;
            if (dgain) {
                dgain[i] += dy[i] * n;
            }
            if (dbias) {
                dbias[i] += dy[i];
            }
        }
        if (c->node->params.norm.kind == NORM_RMS) {
            mean_e = 0;
        }
        for (int64_t i = 0; i < C; i++) {
            const double n = (x[i] - mean) * inverse, e = (gain ? gain[i] : 1) * dy[i];
            dx[i] = (e - mean_e - n * mean_en) * inverse;
        }
    }
}
