/* peak_avx512.c: see peak.h. Twelve chains hide the latency of two multiply-add units. */
#include <immintrin.h>

#include "cpu/peak.h"

#define CHAINS 12

double peak_avx512(int64_t rounds, float *sink) {
    __m512 chain[CHAINS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f), sum;
    float lanes[16];
    for (int i = 0; i < CHAINS; i++)
        chain[i] = _mm512_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            chain[i] = _mm512_fmadd_ps(chain[i], a, b);
    }
    sum = chain[0];
    for (int i = 1; i < CHAINS; i++)
        sum = _mm512_add_ps(sum, chain[i]);
    _mm512_storeu_ps(lanes, sum);
    *sink = lanes[0];
    return (double)rounds * CHAINS * 16 * 2;
}
