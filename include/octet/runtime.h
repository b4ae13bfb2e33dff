/* runtime.h: where computation happens: a processor's instruction set and a number of threads.
 *
 * No result hangs on either: all instruction sets and thread counts give the same bits. */
#ifndef OCTET_RUNTIME_H
#define OCTET_RUNTIME_H

#include "octet/status.h"

/* Thread safety: several threads may use models of one runtime; their computations take turns. */
typedef struct octet_runtime octet_runtime;

typedef struct octet_runtime_params {
    int threads;     /* 1 to 256; 0 (default): OCTET_THREADS, else as many as processors */
    const char *cpu; /* "scalar", "avx2", "avx512": at most this; NULL (default): OCTET_CPU, else
                        the best */
    int openblas; /* 1: matrix products by OpenBLAS when training; no bits are promised. Default 0
                   */
} octet_runtime_params;

/* params may be NULL for the defaults. OCTET_ERROR: a value out of range, OpenBLAS asked for and
 * absent. */
octet_status octet_runtime_create(octet_runtime **out, const octet_runtime_params *params,
                                  octet_error *error);

/* Everything made on it must be gone. Accepts NULL; sets *runtime to NULL. */
void octet_runtime_destroy(octet_runtime **runtime);

/* "cpu", the instruction set in use, the number of threads. */
const char *octet_runtime_device(const octet_runtime *runtime);
const char *octet_runtime_cpu(const octet_runtime *runtime);
int octet_runtime_threads(const octet_runtime *runtime);

#endif
