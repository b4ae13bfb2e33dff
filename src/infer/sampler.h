/* sampler.h: chooses a byte from logits.
 *
 * A draw is a function of the logits, the parameters, the stream's number and the position,
 * computed by exact functions in a fixed order: the same byte on every machine. */
#ifndef INFER_SAMPLER_H
#define INFER_SAMPLER_H

#include <stdint.h>

#include "base/error.h"
#include "octet/session.h"

/* *byte from logits[256 or more]; symbols past 255 are never drawn, and probabilities count the 256
 * bytes only. Temperature, then top-k, then top-p (of what top-k left), then min-p; equal
 * probabilities: the lower byte first. OCTET_ERROR: a parameter out of range, or logits that hold
 * NaN or +inf. */
octet_status sampler_draw(uint8_t *byte, const float *logits, const octet_sampling *sampling,
                          uint64_t position, octet_error *error);

#endif
