/* rows_avx512.c: the row kernels for processors with AVX-512F. */
#define ROW_KERNELS row_kernels_avx512
#include "cpu/row_kernels.inc"
