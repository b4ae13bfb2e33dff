/* score.h: what a text costs: bits per byte under a model. */
#ifndef OCTET_SCORE_H
#define OCTET_SCORE_H

#include <stddef.h>
#include <stdint.h>

#include "octet/model.h"

/* Bits of n bytes from `offset` on; called in order of offset. A result that is not 0 stops the
 * scoring. */
typedef int octet_score_visit(void *context, int64_t offset, const uint8_t *bytes,
                              const float *bits, size_t n);

typedef struct octet_score_params {
    int64_t keep;             /* as in octet_session_params; -1: the model's */
    octet_score_visit *visit; /* may be NULL */
    void *context;
    const volatile int *stop; /* set to non-zero to stop with OCTET_STOPPED; may be NULL */
} octet_score_params;

/* *bits = sum over all bytes of -log2 p(byte | the bytes before it), over the whole vocabulary. The
 * first byte and a last partial patch count. The same probabilities as a session's, to the bit.
 * params may be NULL. */
octet_status octet_score(octet_model *model, const uint8_t *bytes, size_t n,
                         const octet_score_params *params, double *bits, octet_error *error);

/* The bytes of a file, or of standard input for "-"; files are mapped where they can be. */
typedef struct octet_bytes {
    const uint8_t *data;
    size_t size;
    void *private_state;
} octet_bytes;

/* OCTET_ERROR with the path: missing, unreadable, a directory. */
octet_status octet_bytes_open(octet_bytes *out, const char *path, octet_error *error);
void octet_bytes_close(octet_bytes *bytes);

#endif
