/* philox.h: counter-based random numbers (Philox4x32-10; Salmon et al., SC 2011).
 *
 * A draw is a pure function of (seed, purpose, stream, position): there is no generator state to
 * save, and draws do not depend on the order in which they are made. */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include <stdint.h>

typedef enum philox_purpose {
    PHILOX_INIT = 1,   /* initial weights: stream = parameter index, position = element / 4 */
    PHILOX_DATA = 2,   /* order of the training data */
    PHILOX_SAMPLE = 3, /* sampling: stream, position of the byte */
    PHILOX_DROPOUT = 4 /* dropout: stream = step, position = site and element / 4 */
} philox_purpose;

/* The constants of the rounds: for philox, and for kernels that run many at once. */
#define PHILOX_ROUNDS 10
#define PHILOX_MULTIPLIER_0 0xD2511F53u
#define PHILOX_MULTIPLIER_1 0xCD9E8D57u
#define PHILOX_WEYL_0 0x9E3779B9u /* golden ratio */
#define PHILOX_WEYL_1 0xBB67AE85u /* sqrt(3) - 1 */

/* Four independent uniform 32-bit words. `stream` uses 32 bits. */
void philox(uint32_t out[4], uint64_t seed, philox_purpose purpose, uint32_t stream,
            uint64_t position);

/* Uniform in [0, 1) with 24 bits, exact in float. */
static inline float philox_uniform(uint32_t word) {
    return (float)(word >> 8) * 0x1p-24f;
}

/* Two independent standard normal values from two words (Box-Muller by the exact functions). */
void philox_normal(float out[2], uint32_t a, uint32_t b);

#endif
