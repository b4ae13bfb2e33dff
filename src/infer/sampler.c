/* sampler.c: see sampler.h.
 *
 * Symbols are ranked by a 64-bit key, probability above, lower symbol first: probabilities are not
 * negative, so their bits order as they do. Only as many as top-k and top-p need are taken from a
 * heap. */
#include "infer/sampler.h"

#include <math.h>

#include "base/exact.h"
#include "base/philox.h"

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

static int all_below_infinity(const float *logits, int n) {
    for (int i = 0; i < n; i++)
        if (!(logits[i] < INFINITY)) /* NaN too */
            return 0;
    return 1;
}

/* The most likely symbol, -1 when there is nothing but -inf. */
static int most_likely(const float *logits, int n) {
    int best = 0;
    for (int i = 0; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return logits[best] == -INFINITY ? -1 : best;
}

/* out[n]: logits, -inf where a symbol is not allowed. */
static const float *mask(float *out, const float *logits, int n, const uint8_t *allowed) {
    for (int i = 0; i < n; i++)
        out[i] = allowed[i] ? logits[i] : -INFINITY;
    return out;
}

/* --- a heap of keys, the largest on top */

static uint64_t key_of(float weight, int symbol) {
    return (uint64_t)exact_bits(weight) << 9 | (uint64_t)(511 - symbol);
}

static int symbol_of(uint64_t key) {
    return 511 - (int)(key & 511);
}

static float weight_of(uint64_t key) {
    return exact_float((uint32_t)(key >> 9));
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

/* Sum in order of symbols. */
static double total_of(const float *weight, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)weight[i];
    return sum;
}

/* Keeps the `most` heaviest of n symbols, and of those the fewest, heaviest first, that reach the
 * share p of their sum; the others get weight 0. */
static void keep_heaviest(float *weight, int n, int most, double p) {
    uint64_t heap[SAMPLER_SYMBOLS], taken[SAMPLER_SYMBOLS];
    int in_heap = n, kept = 0;
    for (int i = 0; i < n; i++)
        heap[i] = key_of(weight[i], i);
    for (int i = n / 2 - 1; i >= 0; i--)
        sift(heap, n, i);
    double sum = most < n ? 0 : total_of(weight, n), reached = 0;
    for (int i = 0; i < most && most < n; i++) {
        taken[i] = take(heap, &in_heap);
        sum += (double)weight_of(taken[i]);
    }
    float left[SAMPLER_SYMBOLS] = {0};
    while (kept < most && (kept == 0 || reached < p * sum)) {
        uint64_t key = most < n ? taken[kept] : take(heap, &in_heap);
        left[symbol_of(key)] = weight_of(key);
        reached += (double)weight_of(key);
        kept++;
    }
    for (int i = 0; i < n; i++)
        weight[i] = left[i];
}

/* A symbol with probability weight / sum, by the inverse of the cumulated weights. */
static int draw(const float *weight, int n, const octet_sampling *sampling, uint64_t position) {
    uint32_t words[4];
    philox(words, sampling->seed, PHILOX_SAMPLE, sampling->number, position);
    double u = (double)(((uint64_t)words[0] << 32 | words[1]) >> 11) * 0x1p-53;
    double target = u * total_of(weight, n), sum = 0;
    int last = 0;
    for (int i = 0; i < n; i++) {
        if (weight[i] == 0)
            continue;
        last = i;
        sum += (double)weight[i];
        if (sum > target)
            break;
    }
    return last;
}

octet_status sampler_draw(int *symbol, const float *logits, int n, const octet_sampling *sampling,
                          uint64_t position, octet_error *error) {
    octet_status status = check(sampling, error);
    if (status)
        return status;
    if (!all_below_infinity(logits, n))
        return error_set(error, OCTET_ERROR, "the logits of the next byte are not finite");
    float allowed[SAMPLER_SYMBOLS] = {0};
    if (sampling->allowed)
        logits = mask(allowed, logits, n, sampling->allowed);
    int best = most_likely(logits, n);
    if (best < 0)
        return error_set(error, OCTET_ERROR, "no %sbyte has a probability above 0",
                         sampling->allowed ? "allowed " : "");
    *symbol = best;
    if (sampling->temperature == 0)
        return OCTET_OK;
    float weight[SAMPLER_SYMBOLS];
    for (int i = 0; i < n; i++)
        weight[i] = exact_exp((logits[i] - logits[best]) / sampling->temperature);
    int most = sampling->top_k > 0 && sampling->top_k < n ? sampling->top_k : n;
    double p = sampling->top_p > 0 ? (double)sampling->top_p : 1;
    if (most < n || p < 1)
        keep_heaviest(weight, n, most, p);
    /* The most likely symbol has weight 1. */
    for (int i = 0; i < n; i++)
        if (weight[i] < sampling->min_p)
            weight[i] = 0;
    *symbol = draw(weight, n, sampling, position);
    return OCTET_OK;
}
