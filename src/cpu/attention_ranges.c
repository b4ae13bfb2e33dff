/* attention_ranges.c: which rows see which keys, and how rows are grouped by that.
 *
 * Keys that a row does not see are left out of its chains, not multiplied by zero: products are
 * told which rows take part where not all do. Where every row sees few keys, rows go in small
 * blocks to kernels of their own. */
#include "cpu/cpu_attention.h"

#include "base/exact.h"

#include <string.h>

attention_shape attention_shape_of(const tensor *q, const tensor *k) {
    attention_shape s = {.batch = q->dim[0], .time = q->dim[1], .heads = q->dim[2]};
    s.key_heads = k->dim[2];
    s.d = q->dim[3];
    s.repeat = s.heads / s.key_heads;
    s.rows = s.time * s.repeat;
    s.blocks = (s.rows + ATTENTION_ROWS - 1) / ATTENTION_ROWS;
    s.tiles = (k->dim[1] + ATTENTION_TILE - 1) / ATTENTION_TILE;
    s.pitch = (s.d + 15) / 16 * 16;
    return s;
}

float attention_slope(int64_t head, int64_t heads) {
    int64_t n = 1;
    while (2 * n <= heads)
        n *= 2;
    const int64_t eighths = head < n ? 2 * (head + 1) : 2 * (head - n) + 1;
    return (float)exact_exp2(-4.0 * (double)eighths / (double)n);
}

void attention_span(const int *begin, const int *end, int rows, int *first, int *last) {
    int lo = 0, hi = 0;
    for (int i = 0; i < rows; i++) {
        if (begin[i] >= end[i])
            continue;
        lo = lo == hi || begin[i] < lo ? begin[i] : lo;
        hi = end[i] > hi ? end[i] : hi;
    }
    *first = lo;
    *last = hi;
}

int attention_run(const int *begin, const int *end, int rows) {
    int lo = begin[0], hi = end[0];
    int64_t seen = end[0] > begin[0] ? end[0] - begin[0] : 0;
    int n = 1;
    for (; n < rows; n++) {
        if (begin[n] >= end[n] || seen == 0)
            break;
        const int next_lo = begin[n] < lo ? begin[n] : lo, next_hi = end[n] > hi ? end[n] : hi;
        seen += end[n] - begin[n];
        if ((int64_t)(n + 1) * (next_hi - next_lo) > 2 * seen)
            break;
        lo = next_lo;
        hi = next_hi;
    }
    return n;
}

const uint64_t *attention_seen(uint64_t *seen, const int *begin, const int *end, int rows,
                               int first, int last) {
    int all = 1;
    for (int i = 0; i < rows; i++)
        all &= begin[i] <= first && end[i] >= last;
    if (all)
        return NULL;
    memset(seen, 0, (size_t)(last - first) * sizeof *seen);
    for (int i = 0; i < rows; i++) { /* where rows begin and end */
        if (begin[i] >= end[i] || begin[i] >= last || end[i] <= first)
            continue;
        seen[begin[i] > first ? begin[i] - first : 0] ^= (uint64_t)1 << i;
        if (end[i] < last)
            seen[end[i] - first] ^= (uint64_t)1 << i;
    }
    for (int l = 1; l < last - first; l++)
        seen[l] ^= seen[l - 1];
    return seen;
}

int attention_by_head(const attention_shape *s, int n_lanes) {
    return s->batch * s->key_heads >= 2 * (int64_t)n_lanes || n_lanes == 1;
}

double attention_reach(const int32_t *first, int64_t time) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t t = time < 16 ? time - 1 : 15; t < time; t += 29, n++)
        sum += (double)(t + 1 - (first[t] > 0 ? first[t] : 0));
    return n > 0 && sum > 0 ? sum / (double)n : 1;
}

static int64_t seen_by(const int32_t *first, int64_t t) {
    return first[t] > t ? 0 : t + 1 - (first[t] > 0 ? first[t] : 0);
}

int attention_near_reach(const cpu_call *c, const attention_shape *s, const int32_t *first) {
    if (c->kernels->attention.near == NULL || s->repeat != 1 || c->node->params.attention.slopes ||
        c->node->params.attention.sinks)
        return 0;
    int64_t most = 1;
    for (int64_t b = 0; b < s->batch; b++, first += s->time)
        for (int64_t t = 0; t < s->time; t++) {
            const int64_t seen = seen_by(first, t);
            most = seen > most ? seen : most;
            if (most > ATTENTION_NEAR)
                return 0;
        }
    return (int)most;
}

int64_t attention_chunks(const attention_shape *s) {
    return s->batch * s->heads * ((s->time + ATTENTION_CHUNK - 1) / ATTENTION_CHUNK);
}

void attention_chunk(const attention_shape *s, int64_t unit, int64_t *b, int64_t *h, int64_t *begin,
                     int64_t *end) {
    const int64_t chunks = (s->time + ATTENTION_CHUNK - 1) / ATTENTION_CHUNK;
    *h = unit % s->heads; /* heads inside: their rows are neighbours in memory */
    *b = unit / s->heads / chunks;
    *begin = unit / s->heads % chunks * ATTENTION_CHUNK;
    *end = *begin + ATTENTION_CHUNK < s->time ? *begin + ATTENTION_CHUNK : s->time;
}

int64_t attention_ahead(const attention_shape *s, int64_t b, int64_t h, int64_t t) {
    if (h + 1 < s->heads)
        return s->d;
    const int64_t next = b * s->time + t + 2 * ATTENTION_NEAR;
    return next <= s->batch * s->time ? (ATTENTION_NEAR * s->heads - h) * s->d : 0;
}

void attention_near_block(attention_near *x, int *seen, const int32_t *first, int64_t t,
                          int64_t time) {
    x->rows = (int)(time - t < ATTENTION_NEAR ? time - t : ATTENTION_NEAR);
    x->seen = seen;
    x->before = 0;
    for (int i = 0; i < ATTENTION_NEAR; i++) {
        seen[i] = i < x->rows ? (int)seen_by(first, t + i) : 0;
        const int before = seen[i] - 1 - i;
        x->before = before > x->before ? before : x->before;
    }
    x->split = x->before > 0 && t % ATTENTION_TILE == 0;
}
