/* frequencies.h: a row of logits as integer frequencies of the 256 bytes.
 *
 * What a coder works with: every byte has a frequency of at least 1, they add up to 2^24. Logits
 * become integers by the exact exponential, everything after that is integer arithmetic, so equal
 * logits give equal tables on every machine. 2^24 costs next to nothing against exact coding, where
 * 2^12 would cost percents. */
#ifndef CODER_FREQUENCIES_H
#define CODER_FREQUENCIES_H

#include <stdint.h>

#include "base/error.h"

#define FREQUENCY_BITS 24
#define FREQUENCY_TOTAL (1u << FREQUENCY_BITS)

/* below[s] = sum of the frequencies of the bytes under s; below[256] = FREQUENCY_TOTAL. */
typedef struct frequencies {
    uint32_t below[257];
} frequencies;

/* From logits[n], of which only the first 256 count; bytes past n are as unlikely as can be. With
 * w_i = exp(z_i - max z) in float and v_i = floor(2^30 w_i): frequency 1 + floor(v_i R / 2^39), R =
 * floor((2^24 - 256) 2^39 / sum v); what is left goes to the first of the most likely bytes.
 * OCTET_CORRUPT: a logit is NaN or +inf, or none is above -inf. */
octet_status frequencies_set(frequencies *f, const float *logits, int n, octet_error *error);

/* The byte s with below[s] <= target < below[s + 1]. */
int frequencies_find(const frequencies *f, uint32_t target);

#endif
