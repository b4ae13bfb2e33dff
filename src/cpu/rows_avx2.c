/* rows_avx2.c: the row kernels for processors with AVX2 and FMA. */
#define ROW_KERNELS row_kernels_avx2
#include "cpu/row_kernels.inc"
