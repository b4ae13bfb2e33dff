/* rows_c.c: the row kernels for the base instruction set: the specification. */
#define ROW_KERNELS row_kernels_c
#include "cpu/row_kernels.inc"
