/* philox.c: Philox4x32-10, after Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3" (SC 2011), section 3.3. The key is the seed, the counter is {position, stream, purpose}:
 * ten rounds of two 32 x 32 -> 64 bit products mix them. */
#include "base/philox.h"

#include <math.h>

#include "base/exact.h"

void philox(uint32_t out[4], uint64_t seed, philox_purpose purpose, uint32_t stream,
            uint64_t position) {
    uint32_t c0 = (uint32_t)position;
    uint32_t c1 = (uint32_t)(position >> 32);
    uint32_t c2 = stream;
    uint32_t c3 = (uint32_t)purpose;
    uint32_t k0 = (uint32_t)seed;
    uint32_t k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)PHILOX_MULTIPLIER_0 * c0;
        const uint64_t p1 = (uint64_t)PHILOX_MULTIPLIER_1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += PHILOX_WEYL_0;
        k1 += PHILOX_WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void philox_normal(float out[2], uint32_t a, uint32_t b) {
    /* The radius takes a uniform in (0, 1], so the logarithm is finite: |z| <= sqrt(48 ln 2). */
    const float u = (float)((a >> 8) + 1) * 0x1p-24f;
    const float radius = sqrtf(-2.0f * exact_log(u));
    double sine;
    double cosine;
    exact_sincos(6.283185307179586 * (double)philox_uniform(b), &sine, &cosine);
    out[0] = (float)((double)radius * cosine);
    out[1] = (float)((double)radius * sine);
}
