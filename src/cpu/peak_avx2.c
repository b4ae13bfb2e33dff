/* peak_avx2.c: see peak.h. Twelve chains hide the latency of two multiply-add units. */
#include <immintrin.h>

#include "cpu/peak.h"

#define CHAINS 12
#define STREAMS 8

double peak_avx2(int64_t rounds, float *sink) {
    __m256 chain[CHAINS], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f), sum;
    float lanes[8];
    for (int i = 0; i < CHAINS; i++)
        chain[i] = _mm256_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            chain[i] = _mm256_fmadd_ps(chain[i], a, b);
    }
    sum = chain[0];
    for (int i = 1; i < CHAINS; i++)
        sum = _mm256_add_ps(sum, chain[i]);
    _mm256_storeu_ps(lanes, sum);
    *sink = lanes[0];
    return (double)rounds * CHAINS * 8 * 2;
}

void read_avx2(const float *data, size_t n, float *sink) {
    __m256 sum[STREAMS];
    float lanes[8];
    size_t part = n / STREAMS / 8 * 8;
    for (int s = 0; s < STREAMS; s++)
        sum[s] = _mm256_setzero_ps();
    for (size_t i = 0; i < part; i += 8) {
#pragma GCC unroll 8
        for (int s = 0; s < STREAMS; s++)
            sum[s] = _mm256_add_ps(sum[s], _mm256_loadu_ps(data + (size_t)s * part + i));
    }
    for (int s = 1; s < STREAMS; s++)
        sum[0] = _mm256_add_ps(sum[0], sum[s]);
    _mm256_storeu_ps(lanes, sum[0]);
    *sink = lanes[0];
}
