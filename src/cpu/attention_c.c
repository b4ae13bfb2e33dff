/* attention_c.c: the plain C kernels of attention, which define the bits.
 *
 * Scores, weighted sums and all products of the gradient are chains of fused multiply-adds; all
 * other operations are rounded one by one. */
#include "cpu/attention_kernels.h"

#include "base/exact.h"

#include <math.h>
#include <stddef.h>

static void product_c(const attention_product *x) {
    for (int i = 0; i < x->m; i++) {
        for (int j = 0; j < x->n; j++) {
            const float *a = x->a + i * x->a_row;
            const float *b = x->b + j / 32 * x->b_panel + j % 32;
            float *c = x->c + i * x->c_row + j;
            float sum = x->from_zero ? 0.0f : *c;
            for (int l = 0; l < x->k; l++) {
                if (x->decay != NULL && l % ATTENTION_TILE == 0)
                    sum *= x->decay[l / ATTENTION_TILE * ATTENTION_ROWS + i];
                if (x->seen == NULL || x->seen[l] >> i & 1)
                    sum = fmaf(a[l * x->a_column], b[l * x->b_row], sum);
            }
            *c = sum;
        }
    }
}

static float tree_sum(float lane[16]) {
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static float sum_tile(const float *p) {
    float lane[16];
    for (int i = 0; i < 16; i++)
        lane[i] = p[i] + p[i + 16];
    return tree_sum(lane);
}

/* The scaled score of lane j of row i. */
static float scaled(const attention_tile *x, int i, int j) {
    const float s = x->scale * x->score[i * x->stride + j];
    return x->slope != NULL ? s - x->slope[i] * (x->distance[i] - (float)j) : s;
}

static void softmax_c(const attention_tile *x) {
    for (int i = 0; i < x->rows; i++) {
        float *p = x->score + i * x->stride;
        const int begin = x->begin[i], end = x->end[i];
        if (begin >= end)
            continue;
        const float old = x->max[i];
        float max = old;
        for (int j = begin; j < end; j++) {
            p[j] = scaled(x, i, j);
            max = p[j] > max ? p[j] : max;
        }
        for (int j = 0; j < ATTENTION_TILE; j++)
            p[j] = j >= begin && j < end ? exact_exp(p[j] - max) : 0.0f;
        x->max[i] = max;
        x->decay[i] = exact_exp(old - max);
        x->sum[i] = x->sum[i] * x->decay[i] + sum_tile(p);
    }
}

static void gradient_c(const attention_tile *x) {
    for (int i = 0; i < x->rows; i++) {
        float *p = x->score + i * x->stride;
        float *ds = x->dp + i * x->stride;
        const int begin = x->begin[i], end = x->end[i];
        if (begin >= end)
            continue;
        for (int j = 0; j < ATTENTION_TILE; j++) {
            const int seen = j >= begin && j < end;
            p[j] = seen ? exact_exp(scaled(x, i, j) - x->lse[i]) : 0.0f;
            ds[j] = seen ? p[j] * (ds[j] - x->delta[i]) : 0.0f;
        }
    }
}

static float dot_c(const float *a, const float *b, int64_t n) {
    float lane[16] = {0};
    for (int64_t i = 0; i < n; i++)
        lane[i % 16] = fmaf(a[i], b[i], lane[i % 16]);
    return tree_sum(lane);
}

static void pack_c(float *tile, const float *rows, int64_t row_stride, int n, int64_t d) {
    for (int64_t i = 0; i < d; i++)
        for (int j = 0; j < ATTENTION_TILE; j++)
            tile[i * ATTENTION_TILE + j] = j < n ? rows[j * row_stride + i] : 0.0f;
}

static void fetch_c(const float *rows, int64_t row_stride, int64_t n, int64_t d) {
    (void)rows;
    (void)row_stride;
    (void)n;
    (void)d;
}

void attention_kernels_c(attention_kernels *k) {
    k->product = product_c;
    k->softmax = softmax_c;
    k->gradient = gradient_c;
    k->dot = dot_c;
    k->pack = pack_c;
    k->fetch = fetch_c;
    k->near = NULL;
    k->near_gradient = NULL;
}
