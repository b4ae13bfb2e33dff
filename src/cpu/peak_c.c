/* peak_c.c: see peak.h; what plain C gets. */
#include <math.h>

#include "cpu/peak.h"

#define CHAINS 12

double peak_c(int64_t rounds, float *sink) {
    float chain[CHAINS] = {0};
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++)
            chain[i] = fmaf(chain[i], 0.999f, 0.001f);
    *sink = 0;
    for (int i = 0; i < CHAINS; i++)
        *sink += chain[i];
    return (double)rounds * CHAINS * 2;
}

void read_c(const float *data, size_t n, float *sink) {
    float sum[64] = {0};
    for (size_t i = 0; i + 64 <= n; i += 64)
        for (int k = 0; k < 64; k++)
            sum[k] += data[i + (size_t)k];
    for (int k = 1; k < 64; k++)
        sum[0] += sum[k];
    *sink = sum[0];
}
