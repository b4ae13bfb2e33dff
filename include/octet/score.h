/* score.h: what a text costs: bits per byte under a model. */
#ifndef OCTET_SCORE_H
#define OCTET_SCORE_H

#include <stddef.h>
#include <stdint.h>

#include "octet/codec.h"
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
    int strided; /* 1: two passes whose patches are shifted by half of the outermost, rounded down;
                    each byte counts in the one where it stands in the first half (Yu et al. 2023).
                    Twice the work. OCTET_ERROR with a model of one level. Default 0 */
    octet_profile profile; /* 0: f32 */
} octet_score_params;

/* *bits = sum over all bytes of -log2 p(byte | the bytes before it), over the whole vocabulary. The
 * first byte and a last partial patch count. The same probabilities as a session's, to the bit
 * (strided: as those of two sessions). params may be NULL. OCTET_CORRUPT: the model's weights are
 * so large that a byte's probability is not a number. */
octet_status octet_score(octet_model *model, const uint8_t *bytes, size_t n,
                         const octet_score_params *params, double *bits, octet_error *error);

/* What bytes cost by their place in a patch, summed over any number of texts: bytes[i] of them
 * stood at place i and cost bits[i] in all. The arrays are the caller's, [patch] each, 0 at the
 * start. With strided scoring the place is that of the aligned pass. */
typedef struct octet_positions {
    int64_t patch; /* octet_model_info.patch, or .inner_patch */
    int64_t *bytes;
    double *bits;
} octet_positions;

/* Adds n bytes from `offset` on, as octet_score_visit hands them out. */
void octet_positions_add(octet_positions *to, int64_t offset, const float *bits, size_t n);

/* Writes a picture of the means, an SVG, crash-safely: those of the outermost patch, and with inner
 * (may be NULL) the course inside the innermost one. OCTET_ERROR: the file cannot be written. */
octet_status octet_positions_draw(const octet_positions *outer, const octet_positions *inner,
                                  const char *path, octet_error *error);

/* The bytes of a file, or of standard input for "-"; files are mapped where they can be. */
typedef struct octet_bytes {
    const uint8_t *data;
    size_t size;
    void *private_state;
} octet_bytes;

/* OCTET_ERROR with the path: missing, unreadable, a directory. */
octet_status octet_bytes_open(octet_bytes *out, const char *path, octet_error *error);
void octet_bytes_close(octet_bytes *bytes);

/* The bytes of a file as the model reads them: through the codec of its configuration, resampled to
 * its rate and mixed to its channels; an image must have its size. *losses (may be NULL) receives
 * what that lost, see octet/codec.h; all 0 for a model of raw bytes. Errors as of octet_bytes_open
 * and octet_encode_file. */
octet_status octet_model_bytes(octet_bytes *out, octet_losses *losses, const octet_model *model,
                               const char *path, octet_error *error);

/* The codec of the model's configuration and what it takes; "raw" for a model of raw bytes. */
void octet_model_codec(octet_encode_params *out, const octet_model *model);

#endif
