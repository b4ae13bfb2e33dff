/* matmul_blas.h: matrix products by OpenBLAS, opened at run time.
 *
 * For `train --matmul openblas` and as the peer of the benchmarks; never the default, because its
 * bits differ between processors, thread counts and shapes. */
#ifndef CPU_MATMUL_BLAS_H
#define CPU_MATMUL_BLAS_H

#include "cpu/cpu.h"

/* The functions of the library that are used; the integers are those of cblas.h. */
typedef struct matmul_blas {
    void (*sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                  const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
    void (*sgemv)(int order, int transpose, int m, int n, float alpha, const float *a, int lda,
                  const float *x, int incx, float beta, float *y, int incy);
    void (*set_threads)(int n);
    char *(*config)(void);
} matmul_blas;

#define BLAS_ROW_MAJOR 101
#define BLAS_NO_TRANSPOSE 111
#define BLAS_TRANSPOSE 112

/* Opens the library (once a process; it stays open) and sets its threads. OCTET_ERROR when it is
 * absent. */
octet_status matmul_blas_load(const matmul_blas **out, int n_threads, octet_error *error);

/* The row that takes the place of cpu_matmul. */
extern const cpu_op cpu_matmul_blas;

#endif
