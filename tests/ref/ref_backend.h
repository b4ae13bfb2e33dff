/* ref_backend.h: a second backend, in double precision.
 *
 * It keeps every tensor in memory of its own (no plan, no sharing, results set to NaN before each
 * run) and runs the functions of ref_ops.h one node after the other. It stands behind backend.h
 * like any other backend, so that it also tests that nothing above a backend knows which one runs
 * it. Values can be written and read as doubles for finite differences. Single-threaded. */
#ifndef REF_REF_BACKEND_H
#define REF_REF_BACKEND_H

#include "graph/backend.h"

octet_status ref_backend_create(backend **out, octet_error *error);

/* What the backend has been asked for since it was made. A caller that generates a byte may raise
 * runs, uploads and downloads only. */
typedef struct ref_counts {
    int64_t compiles;    /* programs made */
    int64_t allocations; /* pieces of memory taken: variables, programs and their tensors */
    int64_t writes;      /* backend_write */
    int64_t reads;       /* backend_read */
    int64_t uploads;     /* program_upload */
    int64_t downloads;   /* program_download */
    int64_t runs;        /* program_run */
    int64_t nodes;       /* nodes run in them */
} ref_counts;

/* b must be a ref backend, here and below. */
ref_counts ref_backend_counts(const backend *b);

/* As backend_write and backend_read, program_upload and program_download, without any rounding. */
void ref_write_double(backend *b, variable *v, int64_t first, int64_t n, const double *data);
void ref_read_double(const backend *b, const variable *v, int64_t first, int64_t n, double *data);
void ref_program_upload_double(program *p, const tensor *input, const double *data);
void ref_program_download_double(const program *p, const tensor *output, double *data);

#endif
