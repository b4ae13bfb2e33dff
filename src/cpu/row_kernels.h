/* row_kernels.h: the inner loops of every op but matrix products and attention.
 *
 * One plain C text, row_kernels.inc, is compiled three times: for the base instruction set, AVX2
 * and AVX-512. No operation is fused unless it says so and sums run in 16 lanes whatever the
 * width, so the three tables give the same bits. An output does not overlap an input, other than
 * as the same pointer where a kernel updates in place. x[R,C] means R rows of C floats. */
#ifndef CPU_ROW_KERNELS_H
#define CPU_ROW_KERNELS_H

#include <stdint.h>

#include "graph/op.h"

/* Rows in one block of sum_rows, dot_heads and norm_grad; elements in one block of dot. */
#define ROW_BLOCK 64
#define DOT_BLOCK 1024

/* The constants of a norm over rows of C. gain and bias may be NULL. */
typedef struct row_norm {
    const float *gain, *bias; /* [C] */
    int64_t columns;          /* C */
    int32_t kind;             /* norm_kind */
    float epsilon;
    int newton; /* by reciprocals that take no division and no root */
} row_norm;

/* Where norm_grad adds: dgain and dbias may be NULL. */
typedef struct row_norm_sums {
    float *dgain, *dbias; /* [C] */
} row_norm_sums;

/* What a dropout draws from and does; see dropout in graph.h. */
typedef struct row_dropout {
    uint64_t seed;
    uint32_t step, site, threshold;
    float scale;
} row_dropout;

typedef struct row_kernels {
    /* y[n] = a[n] + b[n]; y[n] = a[n] b[n]; y[n] = x[n] s. */
    void (*add)(float *y, const float *a, const float *b, int64_t n);
    void (*mul)(float *y, const float *a, const float *b, int64_t n);
    void (*scale)(float *y, const float *x, float s, int64_t n);

    /* y[R,C] = x[R,C] + b[C]; y[R,H,D] = x[R,H,D] s[H]. */
    void (*add_row)(float *y, const float *x, const float *b, int64_t rows, int64_t columns);
    void (*scale_heads)(float *y, const float *x, const float *s, int64_t rows, int64_t heads,
                        int64_t size);

    /* y[n] = f(x[n]), also without division; dx[n] = f'(x[n]) dy[n]. */
    void (*unary[UNARY_KINDS])(float *y, const float *x, float c, int64_t n);
    void (*unary_newton[UNARY_KINDS])(float *y, const float *x, float c, int64_t n);
    void (*unary_grad[UNARY_KINDS])(float *dx, const float *x, const float *dy, float c, int64_t n);

    /* y[C] = sum over rows of x[R,C], rows `stride` floats apart: one chain per column, rows
     * ascending, from 0. */
    void (*sum)(float *y, const float *x, int64_t rows, int64_t columns, int64_t stride);

    /* The same of the rows of x[..,C] that list[n] names, in the order of the list. */
    void (*sum_listed)(float *y, const float *x, const int32_t *list, int64_t n, int64_t columns);

    /* y[H] = sum over rows, ascending from 0, of the lane sums of a[R,H,D] b[R,H,D] over D. */
    void (*dot_heads)(float *y, const float *a, const float *b, int64_t rows, int64_t heads,
                      int64_t size);

    /* Sum of a[n] b[n], fused, in 16 lanes and the tree; n is at most DOT_BLOCK in `dot`. */
    float (*dot)(const float *a, const float *b, int64_t n);

    /* y[R,C] = norm(x[R,C]). */
    void (*norm)(float *y, const float *x, int64_t rows, const row_norm *params);

    /* dx[R,C]; adds the rows' share of dgain and dbias to sums, rows ascending. */
    void (*norm_grad)(float *dx, const float *x, const float *dy, int64_t rows,
                      const row_norm *params, const row_norm_sums *sums);

    /* nll[R] of logits[R,V] and target[R]; dlogits[R,V]. */
    void (*cross_entropy)(float *nll, const float *logits, const int32_t *target, int64_t rows,
                          int64_t columns);
    void (*cross_entropy_grad)(float *dlogits, const float *logits, const int32_t *target,
                               const float *dnll, int64_t rows, int64_t columns);

    /* Optimizer steps over n elements; see graph.h. factor is the value that gradients are
     * multiplied by; hyper[8] as in graph.h. */
    void (*adamw)(float *w, float *m, float *v, const float *gradient, float factor,
                  const float *hyper, int64_t n);
    void (*momentum)(float *u, float *m, const float *gradient, float factor, float beta,
                     int nesterov, int64_t n);
    void (*descend)(float *w, const float *x, float keep, float rate, int64_t n);
    void (*lerp)(float *m, const float *w, float weight, int64_t n);

    /* y[n] = x[n] scale or 0; x[0] is element `first` of the batch. */
    void (*dropout)(float *y, const float *x, uint64_t first, int64_t n, const row_dropout *d);

    /* y[n] = exact_exp(x[n]), and so on: the functions of base/exact.h themselves. */
    void (*exp)(float *y, const float *x, int64_t n);
    void (*log)(float *y, const float *x, int64_t n);
    void (*erf)(float *y, const float *x, int64_t n);
} row_kernels;

/* Fill in the table. The second and third need a processor that has AVX2 and FMA, or AVX-512F. */
void row_kernels_c(row_kernels *k);
void row_kernels_avx2(row_kernels *k);
void row_kernels_avx512(row_kernels *k);

#endif
