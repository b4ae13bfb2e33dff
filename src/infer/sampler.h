/* sampler.h: chooses a symbol from logits.
 *
 * A draw is a function of the logits, the parameters, the stream's number and the position,
 * computed by exact functions in a fixed order: the same symbol on every machine. */
#ifndef INFER_SAMPLER_H
#define INFER_SAMPLER_H

#include <stdint.h>

#include "base/error.h"
#include "octet/session.h"

#define SAMPLER_SYMBOLS OCTET_SYMBOLS

/* *symbol from logits[n], n at most SAMPLER_SYMBOLS: only these count. What is not allowed is drawn
 * as if its logit were -inf. Temperature, then top-k, then top-p (of what top-k left), then min-p;
 * equal probabilities: the lower symbol first. OCTET_ERROR: a parameter out of range, logits that
 * hold NaN or +inf (allowed or not), or nothing that is allowed above -inf. */
octet_status sampler_draw(int *symbol, const float *logits, int n, const octet_sampling *sampling,
                          uint64_t position, octet_error *error);

#endif
