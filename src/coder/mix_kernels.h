/* mix_kernels.h: the inner loops of context_mix.c: the sum of inputs times weights, and the step
 * that the weights take.
 *
 * All of it is integers, so every version gives the same numbers. */
#ifndef CODER_MIX_KERNELS_H
#define CODER_MIX_KERNELS_H

#include <stdint.h>

#define MIX_INPUTS 24             /* a multiple of 8; what is not used is 0 */
#define MIX_WEIGHT_MOST (1 << 26) /* of either sign */

typedef struct mix_kernels {
    /* The sum of inputs, below 2^18, times the sums of three weights each. */
    int64_t (*sum)(const int32_t *input, int32_t *const weights[3]);
    /* Adds input times rate / 2^21, rounded towards 0, to each weight; |rate| < 2^23. */
    void (*learn)(int32_t *const weights[3], const int32_t *input, int32_t rate);
} mix_kernels;

/* Those for an instruction set by its name, one that the processor has: "scalar", or what has AVX2
 * too. */
const mix_kernels *mix_kernels_get(const char *isa);

extern const mix_kernels mix_kernels_avx2;

#endif
