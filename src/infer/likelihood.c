/* likelihood.c: see likelihood.h. Plain C on purpose: the compiler vectorises over the 16 lanes. */
#include "infer/likelihood.h"

#include <math.h>

#include "base/exact.h"

#define LANES 16
#define LOG2_E 1.4426950408889634

static float largest(const float *x, int n) {
    float max[LANES];
    for (int l = 0; l < LANES; l++)
        max[l] = -INFINITY;
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            max[l] = x[i + l] > max[l] ? x[i + l] : max[l];
    for (; i < n; i++)
        max[i % LANES] = x[i] > max[i % LANES] ? x[i] : max[i % LANES];
    for (int l = 1; l < LANES; l++)
        max[0] = max[l] > max[0] ? max[l] : max[0];
    return max[0];
}

float likelihood_bits(const float *logits, int n, int symbol) {
    const float max = largest(logits, n);
    float sum[LANES] = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            sum[l] += exact_exp(logits[i + l] - max);
    for (; i < n; i++)
        sum[i % LANES] += exact_exp(logits[i] - max);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            sum[l] += sum[l + half];
    if (symbol >= n)
        return INFINITY;
    /* The largest logit alone makes the sum 1. */
    if (!(sum[0] >= 1.0f))
        return NAN;
    double distance = (double)max - (double)logits[symbol];
    return (float)(exact_log2((double)sum[0]) + distance * LOG2_E);
}
