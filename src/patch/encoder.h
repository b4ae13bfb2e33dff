/* encoder.h: causal convolutions over the embedded bytes, before they are cut into units.
 *
 * MegaByte (Yu et al. 2023), its convolutional patch encoder: filters over 3, 5 and 7
 * bytes one after the other, so that the vector of a unit hangs less on where its border falls. In
 * residual form, x = x + silu(w * x): a filter that starts at zero starts as the identity. A byte
 * sees itself and the ENCODER_HALO bytes before it and nothing else, so a run of bytes is encoded
 * from those alone, in pieces as in one, and nothing is carried between calls. No filter has a
 * bias: what lies before the window is zero and stays zero. */
#ifndef PATCH_ENCODER_H
#define PATCH_ENCODER_H

#include "nn/layers.h"

#define ENCODER_FILTERS 3
#define ENCODER_HALO 12 /* (3 - 1) + (5 - 1) + (7 - 1) */

typedef struct encoder_layer {
    linear_layer filter[ENCODER_FILTERS]; /* [E, taps E], the oldest byte first */
} encoder_layer;

/* Filters over bytes of `width` values; scale: see linear_create. */
void encoder_create(encoder_layer *l, params *p, const char *prefix, int64_t width, double scale);

/* y[B,L,E] of the bytes x[B,L,E]. The first ENCODER_HALO of each lane are there to be seen: their
 * own y is of no use. */
tensor *encoder_forward(graph *g, const encoder_layer *l, tensor *x);

#endif
