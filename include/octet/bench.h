/* bench.h: speed, beside what it should be compared with. */
#ifndef OCTET_BENCH_H
#define OCTET_BENCH_H

#include "octet/runtime.h"

typedef struct octet_bench_result {
    const char *name; /* "matmul.m1", "train.a", "generate.b", ... */
    double value;     /* more is better */
    const char *unit; /* "GFLOP/s", "share of peak", "bytes/s" */
    const char *peer; /* "OpenBLAS 0.3.21", or NULL */
    double ratio;     /* ours over the peer's; 0 without a peer */
    double bound;     /* what memory allows, in `unit`; 0 when it does not apply */
} octet_bench_result;

typedef void octet_bench_report(void *context, const octet_bench_result *result);

/* Runs the benchmarks whose names begin with one of the n prefixes (n = 0: all) and reports each as
 * it ends. models: directory with bench-a.json and bench-b.json. stop as in octet_score_params. */
octet_status octet_bench(octet_runtime *runtime, const char *models, const char *const *prefixes,
                         int n, const volatile int *stop, octet_bench_report *report, void *context,
                         octet_error *error);

typedef struct octet_bench_model_params {
    const char *config, *name;   /* JSON text, and what errors call it */
    const char *const *prefixes; /* of names; n_prefixes = 0: all */
    int n_prefixes;
    const volatile int *stop; /* as in octet_score_params */
} octet_bench_model_params;

/* Speeds of one configuration with fresh weights, in bytes/s: "train" (steps of its batch),
 * "score", "generate.first" and "generate.last" (one stream at the start and at the end of its
 * context), "generate.16" (16 streams, all together); at the end "memory", the process's peak in
 * MiB. */
octet_status octet_bench_model(octet_runtime *runtime, const octet_bench_model_params *params,
                               octet_bench_report *report, void *context, octet_error *error);

#endif
