/* cpu_backend.h: the backend that defines the bits. */
#ifndef CPU_CPU_BACKEND_H
#define CPU_CPU_BACKEND_H

#include "cpu/cpu.h"

/* A CPU backend with n_threads threads (0: as many as processors) and instruction sets up to `cap`.
 * use_openblas: matrix products by OpenBLAS, without any promise about bits. */
typedef struct cpu_backend_params {
    int n_threads;
    cpu_isa cap;
    int use_openblas;
} cpu_backend_params;

octet_status cpu_backend_create(backend **out, const cpu_backend_params *params,
                                octet_error *error);

/* A backend of one thread with whole's kernels, which reads whole's variables: so threads run
 * programs of their own side by side. While they run nobody writes a parameter; whole outlives it.
 */
octet_status cpu_backend_part(backend **out, backend *whole, octet_error *error);

/* The instruction set in use ("scalar", "avx2", "avx512", "amx"), and the number of threads. */
const char *cpu_backend_isa(const backend *b);
int cpu_backend_threads(const backend *b);

#endif
