/* runtime.h: where computation happens: a processor's instruction set and a number of threads, or a
 * device of Vulkan.
 *
 * On the processor no result hangs on either: all instruction sets and thread counts give the same
 * bits. A device gives results close to those, the same every time on the same device and driver;
 * compressing, decompressing and benchmarks need the processor. */
#ifndef OCTET_RUNTIME_H
#define OCTET_RUNTIME_H

#include <stdint.h>

#include "octet/status.h"

/* Thread safety: several threads may use models of one runtime; their computations take turns. */
typedef struct octet_runtime octet_runtime;

/* How training multiplies matrices. */
typedef enum octet_matmul {
    OCTET_MATMUL_EXACT,    /* in f32, on the processor to the same bits everywhere */
    OCTET_MATMUL_OPENBLAS, /* by OpenBLAS, on the processor: no bits are promised */
    OCTET_MATMUL_F16       /* on a device with cooperative matrices: factors of large products are
                              rounded to 16 bits, sums and weights stay in f32 */
} octet_matmul;

typedef struct octet_runtime_params {
    int threads;     /* 1 to 256; 0 (default): OCTET_THREADS, else as many as processors */
    const char *cpu; /* "scalar", "avx2", "avx512", "amx": at most this; NULL (default): OCTET_CPU,
                        else the best */
    octet_matmul matmul; /* default: exact */
    /* "cpu"; "vulkan": the best GPU; "vulkan:N": device N of octet_devices_list, a software device
     * too; "auto": "vulkan" where that works, else "cpu". NULL (default): "cpu". */
    const char *device;
} octet_runtime_params;

/* params may be NULL for the defaults. OCTET_ERROR: a value out of range, OpenBLAS asked for and
 * absent, or on another device than the processor; f16 on one without such matrices; no such
 * device, no loader of Vulkan. */
octet_status octet_runtime_create(octet_runtime **out, const octet_runtime_params *params,
                                  octet_error *error);

/* Everything made on it must be gone. Accepts NULL; sets *runtime to NULL. */
void octet_runtime_destroy(octet_runtime **runtime);

/* "cpu" or "vulkan:N"; the instruction set in use, or the name of the device; the number of threads
 * (1 on a device). */
const char *octet_runtime_device(const octet_runtime *runtime);
const char *octet_runtime_cpu(const octet_runtime *runtime);
int octet_runtime_threads(const octet_runtime *runtime);

/* Something that computes. Valid during the call of visit. */
typedef struct octet_device {
    const char *device;    /* for octet_runtime_params.device: "cpu", "vulkan:0", ... */
    const char *name;      /* of the product, of the processor its instruction set */
    const char *driver;    /* "" of the processor */
    const char *lacks;     /* why it cannot be used, "" if it can */
    uint64_t memory_bytes; /* its own, or the machine's */
    int is_software;       /* a device of Vulkan that runs on the processor: slow, for tests */
    int float16, int8_dot, cooperative_matrix; /* what it offers beyond what is needed */
    int subgroup;                              /* invocations in step; 0 of the processor */
} octet_device;

/* Visits the processor, then the devices of Vulkan. OCTET_ERROR: there is no loader, no driver, or
 * this build is without Vulkan; the processor was visited then too. */
octet_status octet_devices_list(void (*visit)(void *context, const octet_device *device),
                                void *context, octet_error *error);

#endif
