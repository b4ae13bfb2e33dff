/* matmul_c.c: the matrix product in plain C, the specification of its bits.
 *
 * Every sum is a chain of fmaf. Where the compiler has no instruction for it, libm's function may
 * take a hundred nanoseconds, so the same result is made from doubles here, in a form that
 * compilers vectorise. */
#include "cpu/matmul_kernels.h"

#include <math.h>
#include <string.h>

#define ROWS 4

#ifdef FP_FAST_FMAF

typedef float sum_type;

static inline sum_type fused(sum_type a, float b, sum_type c) {
    return fmaf(a, b, c);
}

#else

typedef double sum_type; /* holds floats only */

/* fmaf(a, b, c) of floats. The product of two floats is exact in double; the sum s is rounded to
 * odd (its last bit is set when it is inexact, after a step towards zero if it had been rounded
 * away), and then rounding to float is as if from the exact sum (Boldo, Melquiond 2008: 53 bits are
 * more than 24 + 2). The error e of s is exact (two-sum, Knuth). */
static inline sum_type fused(sum_type a, float b, sum_type c) {
    const double p = a * (double)b;
    double s = p + c;
    const double t = s - p;
    const double e = (p - (s - t)) + (c - t);
    uint64_t sum, error;
    memcpy(&sum, &s, sizeof sum);
    memcpy(&error, &e, sizeof error);
    const uint64_t magnitude = error & UINT64_C(0x7fffffffffffffff);
    const uint64_t exponent = sum & UINT64_C(0x7ff0000000000000);
    const uint64_t infinite = (exponent + UINT64_C(0x0010000000000000)) >> 63; /* or NaN */
    const uint64_t inexact = ((0 - magnitude) >> 63) & ~infinite;
    const uint64_t away = ((sum ^ error) >> 63) & inexact;
    sum = (sum - away) | inexact;
    memcpy(&s, &sum, sizeof s);
    return (double)(float)s;
}

#endif

static void panel_product(const matmul_block *t, int64_t column, const float *panel) {
    const int64_t left = t->columns - column;
    const int width = left < MATMUL_PANEL ? (int)left : MATMUL_PANEL;
    for (int i = 0; i < t->rows; i++) {
        float *y = t->y + i * t->y_stride + column;
        const float *a = t->a + i * t->a_row, *b = panel;
        sum_type sum[MATMUL_PANEL] = {0};
        for (int j = 0; t->accumulate && j < width; j++)
            sum[j] = y[j];
        for (int64_t k = 0; k < t->k; k++, a += t->a_k, b += MATMUL_PANEL) {
            const sum_type x = *a;
            for (int j = 0; j < MATMUL_PANEL; j++)
                sum[j] = fused(x, b[j], sum[j]);
        }
        for (int j = 0; j < width; j++)
            y[j] = (float)sum[j];
    }
}

static void multiply(const matmul_block *t) {
    const float *panel = t->panels;
    for (int64_t n = 0; n < t->columns; n += MATMUL_PANEL, panel += t->panel_stride)
        panel_product(t, n, panel);
}

static void pack(float *to, const float *from, int64_t stride, int64_t k, int width) {
    for (int64_t i = 0; i < k; i++, to += MATMUL_PANEL, from += stride)
        for (int j = 0; j < MATMUL_PANEL; j++)
            to[j] = j < width ? from[j] : 0.0f;
}

static void pack_transposed(float *to, const float *from, int64_t stride, int64_t k, int width) {
    for (int64_t i = 0; i < k; i++, to += MATMUL_PANEL)
        for (int j = 0; j < MATMUL_PANEL; j++)
            to[j] = j < width ? from[j * stride + i] : 0.0f;
}

void matmul_kernels_c(matmul_kernels *k) {
    k->rows = ROWS;
    k->multiply = multiply;
    k->pack = pack;
    k->pack_transposed = pack_transposed;
}
