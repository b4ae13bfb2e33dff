/* frequencies.c: see frequencies.h. */
#include "coder/frequencies.h"

#include <math.h>

#include "base/exact.h"

#define BYTES 256
#define SHIFT 39

octet_status frequencies_set(frequencies *f, const float *logits, int n, octet_error *error) {
    float w[BYTES] = {0}, max = -INFINITY;
    uint32_t v[BYTES];
    uint64_t sum = 0;
    int best = 0, count = n < BYTES ? n : BYTES, bad = 0;
    for (int i = 0; i < count; i++) {
        bad |= !(logits[i] < INFINITY);
        best = logits[i] > max ? i : best;
        max = logits[i] > max ? logits[i] : max;
    }
    if (bad || max == -INFINITY)
        return error_set(error, OCTET_CORRUPT, "the logits of the next byte are not finite");
    for (int i = 0; i < count; i++)
        w[i] = exact_exp(logits[i] - max);
    for (int i = 0; i < BYTES; i++) {
        v[i] = (uint32_t)(w[i] * 0x1p30f);
        sum += v[i];
    }
    /* sum is at least 2^30, that of the most likely byte, so v_i R stays below 2^63 */
    const uint64_t ratio = ((uint64_t)(FREQUENCY_TOTAL - BYTES) << SHIFT) / sum;
    uint32_t total = 0;
    for (int i = 0; i < BYTES; i++) {
        v[i] = 1 + (uint32_t)(v[i] * ratio >> SHIFT);
        total += v[i];
    }
    v[best] += FREQUENCY_TOTAL - total;
    f->below[0] = 0;
    for (int i = 0; i < BYTES; i++)
        f->below[i + 1] = f->below[i] + v[i];
    return OCTET_OK;
}

int frequencies_find(const frequencies *f, uint32_t target) {
    int low = 0;
    for (int half = BYTES / 2; half > 0; half /= 2)
        low += f->below[low + half] <= target ? half : 0;
    return low;
}
