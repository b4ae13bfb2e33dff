/* matmul_kernels.h: the inner kernels of the matrix product.
 *
 * Every element of a product is one chain of fused multiply-adds over ascending k that starts at
 * +0. A chain can not be split over lanes, so all versions are vectorised over n: the right side is
 * held in panels of 32 columns, [ceil(N/32)][K][32], the columns past N zero, and a kernel keeps a
 * tile of rows x columns in registers while k runs. A chain may rest in y between two blocks of k
 * (an f32 is stored exactly), so blocking over k, rows or columns changes no bit. */
#ifndef CPU_MATMUL_KERNELS_H
#define CPU_MATMUL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define MATMUL_PANEL 32 /* columns of a panel */

/* A rectangle [rows][length] of floats that will be read soon. */
typedef struct matmul_ahead {
    const float *from;
    int64_t stride, rows, length;
} matmul_ahead;

/* y[rows,columns] = a[rows,k] panels[k,columns], or += when accumulate is set. Strides count
 * floats; either a_k is 1, a row-major a, or a_k is MATMUL_PANEL and a_row is 1, a packed one. */
typedef struct matmul_block {
    float *y;
    const float *a;
    const float *panels; /* element (k,n) is at n / 32 * panel_stride + 32 k + n % 32 */
    int64_t y_stride, a_row, a_k, panel_stride;
    int64_t k, columns;
    int rows; /* 1 ... matmul_kernels.rows */
    int accumulate;
    matmul_ahead ahead[2]; /* a kernel may prefetch them while it computes; rows = 0: nothing */
} matmul_block;

typedef struct matmul_kernels {
    int rows; /* of the register tile: the most that multiply takes */
    void (*multiply)(const matmul_block *block);

    /* One panel: to[k][32] = from[k][width], and to[k][32] = from[width][k]; columns past width are
     * zero. stride: floats from a row of `from` to the next. */
    void (*pack)(float *to, const float *from, int64_t stride, int64_t k, int width);
    void (*pack_transposed)(float *to, const float *from, int64_t stride, int64_t k, int width);
} matmul_kernels;

/* Each fills the table with the kernels of its instruction set; a later call overrides. */
void matmul_kernels_c(matmul_kernels *k);
void matmul_kernels_avx2(matmul_kernels *k);
void matmul_kernels_avx512(matmul_kernels *k);

/* Floats of the packed form of b with K = k rows and N = n columns (after its transposition). */
size_t matmul_packed_floats(int64_t k, int64_t n);

/* Packs panels [panel_begin, panel_end) of b into their places in `packed`: b[k,n], or b[n,k] with
 * transpose_b. There are ceil(n/32) panels; disjoint ranges may be packed in parallel. */
void matmul_pack(const matmul_kernels *kernels, float *packed, const float *b, int64_t k, int64_t n,
                 int transpose_b, int64_t panel_begin, int64_t panel_end);

#endif
