/* sampler.c: see sampler.h.
 *
 * Bytes are ranked by a 64-bit key, probability above, lower byte first: probabilities are not
 * negative, so their bits order as they do. Only as many as top-k and top-p need are taken from a
 * heap. */
#include "infer/sampler.h"

#include <math.h>

#include "base/exact.h"
#include "base/philox.h"

#define BYTES 256

static octet_status check(const octet_sampling *p, octet_error *error) {
    if (!(p->temperature >= 0) || p->temperature > 1e6f)
        return error_set(error, OCTET_ERROR, "temperature %g is not in [0, 1000000]",
                         (double)p->temperature);
    if (p->top_k < 0)
        return error_set(error, OCTET_ERROR, "top-k %d is negative", p->top_k);
    if (!(p->top_p >= 0 && p->top_p <= 1))
        return error_set(error, OCTET_ERROR, "top-p %g is not in [0, 1]", (double)p->top_p);
    if (!(p->min_p >= 0 && p->min_p <= 1))
        return error_set(error, OCTET_ERROR, "min-p %g is not in [0, 1]", (double)p->min_p);
    return OCTET_OK;
}

/* The most likely byte, -1 when there is none: a NaN, an infinity, or nothing but -inf. */
static int most_likely(const float *logits) {
    int best = 0;
    for (int i = 0; i < BYTES; i++) {
        if (isnan(logits[i]) || logits[i] == INFINITY)
            return -1;
        if (logits[i] > logits[best])
            best = i;
    }
    return logits[best] == -INFINITY ? -1 : best;
}

/* --- a heap of keys, the largest on top */

static uint64_t key_of(float weight, int byte) {
    return (uint64_t)exact_bits(weight) << 8 | (uint64_t)(255 - byte);
}

static int byte_of(uint64_t key) {
    return 255 - (int)(key & 255);
}

static void sift(uint64_t *heap, int n, int at) {
    uint64_t key = heap[at];
    for (int child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= key)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = key;
}

static uint64_t take(uint64_t *heap, int *n) {
    uint64_t top = heap[0];
    heap[0] = heap[--*n];
    if (*n > 0)
        sift(heap, *n, 0);
    return top;
}

/* Sum in order of bytes. */
static double total_of(const float *weight) {
    double sum = 0;
    for (int i = 0; i < BYTES; i++)
        sum += (double)weight[i];
    return sum;
}

/* Keeps the `most` heaviest bytes, and of those the fewest, heaviest first, that reach the share p
 * of their sum; the others get weight 0. */
static void keep_heaviest(float *weight, int most, double p) {
    uint64_t heap[BYTES], taken[BYTES];
    int n = BYTES, kept = 0;
    for (int i = 0; i < BYTES; i++)
        heap[i] = key_of(weight[i], i);
    for (int i = BYTES / 2 - 1; i >= 0; i--)
        sift(heap, BYTES, i);
    double sum = most < BYTES ? 0 : total_of(weight), reached = 0;
    if (most < BYTES) {
        for (int i = 0; i < most; i++) {
            taken[i] = take(heap, &n);
            sum += (double)exact_float((uint32_t)(taken[i] >> 8));
        }
    }
    float left[BYTES] = {0};
    while (kept < most && (kept == 0 || reached < p * sum)) {
        uint64_t key = most < BYTES ? taken[kept] : take(heap, &n);
        left[byte_of(key)] = exact_float((uint32_t)(key >> 8));
        reached += (double)left[byte_of(key)];
        kept++;
    }
    for (int i = 0; i < BYTES; i++)
        weight[i] = left[i];
}

/* A byte with probability weight / sum, by the inverse of the cumulated weights. */
static int draw(const float *weight, const octet_sampling *sampling, uint64_t position) {
    uint32_t words[4];
    philox(words, sampling->seed, PHILOX_SAMPLE, sampling->number, position);
    double u = (double)(((uint64_t)words[0] << 32 | words[1]) >> 11) * 0x1p-53;
    double target = u * total_of(weight), sum = 0;
    int last = 0;
    for (int i = 0; i < BYTES; i++) {
        if (weight[i] == 0)
            continue;
        last = i;
        sum += (double)weight[i];
        if (sum > target)
            break;
    }
    return last;
}

octet_status sampler_draw(uint8_t *byte, const float *logits, const octet_sampling *sampling,
                          uint64_t position, octet_error *error) {
    octet_status status = check(sampling, error);
    if (status)
        return status;
    int best = most_likely(logits);
    if (best < 0)
        return error_set(error, OCTET_ERROR, "the logits of the next byte are not finite");
    *byte = (uint8_t)best;
    if (sampling->temperature == 0)
        return OCTET_OK;
    float weight[BYTES];
    for (int i = 0; i < BYTES; i++)
        weight[i] = exact_exp((logits[i] - logits[best]) / sampling->temperature);
    int most = sampling->top_k > 0 && sampling->top_k < BYTES ? sampling->top_k : BYTES;
    double p = sampling->top_p > 0 ? (double)sampling->top_p : 1;
    if (most < BYTES || p < 1)
        keep_heaviest(weight, most, p);
    /* The most likely byte has weight 1. */
    for (int i = 0; i < BYTES; i++)
        if (weight[i] < sampling->min_p)
            weight[i] = 0;
    *byte = (uint8_t)draw(weight, sampling, position);
    return OCTET_OK;
}
