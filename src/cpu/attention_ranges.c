/* attention_ranges.c: products over rows that see different ranges of keys.
 *
 * Keys that a row does not see are left out of its chains, not multiplied by zero. Neighbouring
 * rows see nearly the same keys, so the common range of a few rows is one dense product, and what
 * single rows see before and after it is added row by row; the order inside every chain stays
 * ascending. */
#include "cpu/cpu_attention.h"

/* Rows with different ranges are taken in groups of: fewer share more keys, more fill registers. */
#define GROUP 4

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

/* The range that all rows share, *first >= *last if there is none; returns whether no row sees
 * more. */
static int common(const int *begin, const int *end, int rows, int *first, int *last) {
    int same = 1;
    *first = begin[0];
    *last = end[0];
    for (int i = 1; i < rows; i++) {
        same &= begin[i] == begin[0] && end[i] == end[0];
        *first = begin[i] > *first ? begin[i] : *first;
        *last = end[i] < *last ? end[i] : *last;
    }
    return same;
}

static void weigh_rows(const attention_kernels *k, const attention_product *x, int row, int rows,
                       int first, int last) {
    if (first >= last)
        return;
    attention_product p = *x;
    p.m = rows;
    p.k = last - first;
    p.a += row * x->a_row + first * x->a_column;
    p.b += first * x->b_row;
    p.c += row * x->c_row;
    k->product(&p);
}

void attention_weigh(const attention_kernels *k, const attention_product *x, const int *begin,
                     const int *end) {
    int first, last;
    if (common(begin, end, x->m, &first, &last)) {
        weigh_rows(k, x, 0, x->m, first, last);
        return;
    }
    for (int row = 0; row < x->m; row += GROUP) {
        const int rows = x->m - row < GROUP ? x->m - row : GROUP;
        const int same = common(begin + row, end + row, rows, &first, &last);
        const int apart = first >= last; /* nothing in common: each row its own */
        for (int i = row; i < row + rows && !same; i++)
            weigh_rows(k, x, i, 1, begin[i], apart ? end[i] : first);
        if (!apart)
            weigh_rows(k, x, row, rows, first, last);
        for (int i = row; i < row + rows && !same && !apart; i++)
            weigh_rows(k, x, i, 1, last, end[i]);
    }
}

static void spread_rows(const attention_kernels *k, const attention_product *x, int row, int rows,
                        int first, int last) {
    if (first >= last)
        return;
    attention_product p = *x;
    p.m = last - first;
    p.k = rows;
    p.a += row * x->a_row + first * x->a_column;
    p.a_row = x->a_column; /* the transpose */
    p.a_column = x->a_row;
    p.b += row * x->b_row;
    p.c += first * x->c_row;
    k->product(&p);
}

void attention_spread(const attention_kernels *k, const attention_product *x, const int *begin,
                      const int *end) {
    int first, last;
    if (common(begin, end, x->k, &first, &last)) {
        spread_rows(k, x, 0, x->k, first, last);
        return;
    }
    for (int row = 0; row < x->k; row += GROUP) {
        const int rows = x->k - row < GROUP ? x->k - row : GROUP;
        const int same = common(begin + row, end + row, rows, &first, &last);
        const int apart = first >= last;
        if (!apart)
            spread_rows(k, x, row, rows, first, last);
        for (int i = row; i < row + rows && !same; i++) {
            spread_rows(k, x, i, 1, begin[i], apart ? end[i] : first);
            if (!apart)
                spread_rows(k, x, i, 1, last, end[i]);
        }
    }
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
    if (c->kernels->attention.near == NULL || s->repeat != 1)
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
