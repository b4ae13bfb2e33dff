/* cpu_attention_grad.c: the gradient of attention, with memory linear in T.
 *
 * Scores are computed again, tile by tile, from the rows' log sum exp. A pair (block of 64 rows,
 * tile of 32 keys) adds to dq of its rows and to dk, dv of its keys. Where there are enough lanes
 * and key heads for all threads, one task walks all pairs of a key head, tiles outside and blocks
 * inside, which is ascending for both; else one phase makes dq (a task owns blocks) and the next
 * dk and dv (a task owns tiles). The order inside every chain is the same, and so are the bits. */
#include "cpu/cpu_attention.h"

#include <string.h>

enum { WANT_DQ = 1, WANT_DKV = 2 };

/* Rows of a block: sums over rows rest in registers for as long. */
#define ROWS 64

/* The workspace. What is packed of a head: keys and values as [tiles][D][32]; keys, and the rows of
 * q and do, one after the other as [32 tiles or 64 blocks][pitch], since rows far apart in memory
 * share few places of the cache; lse and delta [64 blocks]; least[tiles], the first key that 32
 * times see. `places` such heads, then scratch of each lane. */
typedef struct layout {
    int64_t values, key_rows, q, d_o, lse, delta, least, head_floats; /* keys are at 0 */
    int64_t scratch, scratch_floats, floats;
} layout;

static int64_t blocks_of(const attention_shape *s) {
    return (s->rows + ROWS - 1) / ROWS;
}

static layout layout_of(const attention_shape *s, int n_lanes) {
    const int64_t packed = s->tiles * s->d * ATTENTION_TILE, rows = blocks_of(s) * ROWS;
    const int by_head = attention_by_head(s, n_lanes);
    const int64_t line = 16; /* floats */
    layout w = {.values = packed, .key_rows = 2 * packed};
    w.q = w.key_rows + s->tiles * ATTENTION_TILE * s->pitch;
    w.d_o = w.q + rows * s->pitch;
    w.lse = w.d_o + rows * s->pitch;
    w.delta = w.lse + rows;
    w.least = w.delta + rows;
    w.head_floats = w.least + (s->tiles + line - 1) / line * line;
    w.scratch = (by_head ? n_lanes : s->batch * s->key_heads) * w.head_floats;
    w.scratch_floats =
        ((by_head ? rows : ROWS) + 2 * ATTENTION_TILE) * s->pitch + 2 * ROWS * ATTENTION_TILE;
    w.floats = w.scratch + n_lanes * w.scratch_floats;
    return w;
}

/* One lane's work on one key head. */
typedef struct pair {
    const cpu_call *call;
    const attention_kernels *kernels;
    attention_shape s;
    int64_t b, g;
    int64_t n; /* first row of the block */
    int rows;
    float *keys, *values, *key_rows; /* packed, of (b, g) */
    float *all_q, *all_d_o, *all_lse, *all_delta;
    int32_t *least;
    const int32_t *first;
    const float *q, *d_o, *lse, *delta; /* of the block: [64][pitch] and [64] */
    float *all_dq; /* of (b, g) where one task walks all pairs, else the block's */
    float *dq;     /* of the block */
    float slope[ROWS], distance[ROWS]; /* linear biases of the block and a tile */
    uint32_t hidden[ROWS]; /* lanes of the tile between a row's sinks and the others it sees */
    float *dk, *dv;        /* [32][pitch] each */
    float *score, *dp;     /* [64][32] */
} pair;

static void pair_init(pair *w, const cpu_call *c, const attention_shape *s, int lane) {
    const layout l = layout_of(s, c->n_lanes);
    w->call = c;
    w->kernels = &c->kernels->attention;
    w->s = *s;
    w->dk = (float *)c->workspace + l.scratch + lane * l.scratch_floats;
    w->dv = w->dk + ATTENTION_TILE * s->pitch;
    w->score = w->dv + ATTENTION_TILE * s->pitch;
    w->dp = w->score + ROWS * ATTENTION_TILE;
    w->all_dq = w->dp + ROWS * ATTENTION_TILE;
}

/* A head and where it is packed. */
static void pair_head(pair *w, int64_t head, int64_t place) {
    const attention_shape *s = &w->s;
    const layout l = layout_of(s, w->call->n_lanes);
    float *base = (float *)w->call->workspace + place * l.head_floats;
    w->b = head / s->key_heads;
    w->g = head % s->key_heads;
    w->keys = base;
    w->values = base + l.values;
    w->key_rows = base + l.key_rows;
    w->all_q = base + l.q;
    w->all_d_o = base + l.d_o;
    w->all_lse = base + l.lse;
    w->all_delta = base + l.delta;
    w->least = (int32_t *)(base + l.least);
    w->first = (const int32_t *)w->call->in[3] + w->b * s->time;
}

static void set_block(pair *w, int64_t block) {
    const attention_shape *s = &w->s;
    w->n = block * ROWS;
    w->rows = (int)(s->rows - w->n < ROWS ? s->rows - w->n : ROWS);
    w->q = w->all_q + w->n * s->pitch;
    w->d_o = w->all_d_o + w->n * s->pitch;
    w->lse = w->all_lse + w->n;
    w->delta = w->all_delta + w->n;
    for (int i = 0; i < w->rows && w->call->node->params.attention.slopes; i++)
        w->slope[i] = attention_slope(w->g * s->repeat + (w->n + i) % s->repeat, s->heads);
}

/* Rows [n, n + rows) of dq, scaled. */
static void save_dq(const pair *w, const float *from, int64_t n, int64_t rows) {
    const attention_shape *s = &w->s;
    const float scale = w->call->node->params.attention.scale;
    for (int64_t i = 0; i < rows; i++) {
        float *dq = (float *)w->call->out[0] + attention_row(s, w->b, w->g, n + i) * s->d;
        for (int64_t d = 0; d < s->d; d++)
            dq[d] = from[i * s->pitch + d] * scale;
    }
}

/* Offset of a key's row in k, v, dk, dv. */
static int64_t key_at(const pair *w, int64_t key) {
    return ((w->b * w->s.time + key) * w->s.key_heads + w->g) * w->s.d;
}

/* Hints that n rows of keys from the first on, as they are in k, v, dk, dv, come next. */
static void fetch_keys(const pair *w, const void *x, int64_t key, int64_t n) {
    const int64_t left = w->s.time - key;
    w->kernels->fetch((const float *)x + (left > 0 ? key_at(w, key) : 0), w->s.key_heads * w->s.d,
                      left < n ? left : n, w->s.d);
}

/* The same of times of q, o, d_o, dq. */
static void fetch_times(const pair *w, const void *x, int64_t t, int64_t n) {
    const attention_shape *s = &w->s;
    const int64_t left = s->time - t,
                  at = left > 0 ? attention_row(s, w->b, w->g, t * s->repeat) : 0;
    w->kernels->fetch((const float *)x + at * s->d, s->heads * s->d, left < n ? left : n,
                      s->repeat * s->d);
}

static void save_dkv(const pair *w, int64_t tile) {
    const attention_shape *s = &w->s;
    const float scale = w->call->node->params.attention.scale;
    const int64_t left = s->time - tile * ATTENTION_TILE;
    for (int j = 0; j < ATTENTION_TILE && j < left; j++) {
        const int64_t at = key_at(w, tile * ATTENTION_TILE + j);
        float *dk = (float *)w->call->out[1] + at, *dv = (float *)w->call->out[2] + at;
        for (int64_t d = 0; d < s->d; d++) {
            dk[d] = w->dk[j * s->pitch + d] * scale;
            dv[d] = w->dv[j * s->pitch + d];
        }
    }
}

/* p and ds of rows [row, row + rows) of the block, lanes [lo, hi) of the tile. */
static void set_slopes(pair *w, int64_t tile, int row, int rows, const int *begin, const int *end,
                       int lo, int hi) {
    const int64_t pitch = w->s.pitch, d = w->s.d;
    float *score = w->score + row * ATTENTION_TILE, *dp = w->dp + row * ATTENTION_TILE;
    lo = lo / 8 * 8; /* whole vectors */
    hi = (hi + 7) / 8 * 8;
    attention_product x = {.m = rows,
                           .n = hi - lo,
                           .k = (int)d,
                           .from_zero = 1,
                           .a = w->q + row * pitch,
                           .a_row = pitch,
                           .a_column = 1,
                           .b = w->keys + tile * d * ATTENTION_TILE + lo,
                           .b_row = ATTENTION_TILE,
                           .b_panel = ATTENTION_TILE,
                           .c = score + lo,
                           .c_row = ATTENTION_TILE};
    w->kernels->product(&x);
    x.a = w->d_o + row * pitch;
    x.b = w->values + tile * d * ATTENTION_TILE + lo;
    x.c = dp + lo;
    w->kernels->product(&x);
    const attention_tile t = {.rows = rows,
                              .scale = w->call->node->params.attention.scale,
                              .begin = begin,
                              .end = end,
                              .stride = ATTENTION_TILE,
                              .score = score,
                              .slope =
                                  w->call->node->params.attention.slopes ? w->slope + row : NULL,
                              .distance = w->distance + row,
                              .dp = dp,
                              .lse = w->lse + row,
                              .delta = w->delta + row};
    w->kernels->gradient(&t);
}

/* Takes the lanes that are hidden from rows [row, row + rows) out of what they see of lanes lo <= l
 * < hi: `seen` as from attention_seen, whose memory `bits` is. */
static const uint64_t *hide(uint64_t *bits, const uint64_t *seen, const uint32_t *hidden, int rows,
                            int lo, int hi) {
    uint32_t any = 0;
    for (int i = 0; i < rows; i++)
        any |= hidden[i];
    if (any == 0)
        return seen;
    for (int l = lo; l < hi; l++) {
        if (seen == NULL)
            bits[l - lo] = ~(uint64_t)0 >> (64 - rows);
        for (int i = 0; i < rows; i++)
            bits[l - lo] &= ~((uint64_t)(hidden[i] >> l & 1) << i);
    }
    return bits;
}

/* Rows [row, row + rows) of the block, which see about the same lanes of the tile. */
static void add_rows(pair *w, int64_t tile, int row, int rows, const int *begin, const int *end,
                     int want) {
    const int64_t pitch = w->s.pitch;
    uint64_t bits[ROWS];
    int lo, hi;
    attention_span(begin, end, rows, &lo, &hi);
    set_slopes(w, tile, row, rows, begin, end, lo, hi);
    const float *p = w->score + row * ATTENTION_TILE + lo;
    const float *ds = w->dp + row * ATTENTION_TILE + lo;
    const uint64_t *seen =
        hide(bits, attention_seen(bits, begin, end, rows, lo, hi), w->hidden + row, rows, lo, hi);
    if (want & WANT_DQ) {
        const attention_product x = {.m = rows,
                                     .n = (int)w->s.d,
                                     .k = hi - lo,
                                     .a = ds,
                                     .a_row = ATTENTION_TILE,
                                     .a_column = 1,
                                     .b = w->key_rows + (tile * ATTENTION_TILE + lo) * pitch,
                                     .b_row = pitch,
                                     .b_panel = ATTENTION_TILE,
                                     .c = w->dq + row * pitch,
                                     .c_row = pitch,
                                     .seen = seen};
        w->kernels->product(&x);
    }
    if (want & WANT_DKV) {
        for (int i = 0; i < rows && seen != NULL; i++) /* now the keys of each row */
            bits[i] = ((((uint64_t)1 << end[i]) - ((uint64_t)1 << begin[i])) &
                       ~(uint64_t)w->hidden[row + i]) >>
                      lo;
        attention_product x = {.m = hi - lo,
                               .n = (int)w->s.d,
                               .k = rows,
                               .a = ds, /* the transpose */
                               .a_row = 1,
                               .a_column = ATTENTION_TILE,
                               .b = w->q + row * pitch,
                               .b_row = pitch,
                               .b_panel = ATTENTION_TILE,
                               .c = w->dk + lo * pitch,
                               .c_row = pitch,
                               .seen = seen};
        w->kernels->product(&x);
        x.a = p;
        x.b = w->d_o + row * pitch;
        x.c = w->dv + lo * pitch;
        w->kernels->product(&x);
    }
}

/* Widens what a row sees of a tile, lanes *begin to *end, by its first n lanes. */
static void add_sinks(int *begin, int *end, uint32_t *hidden, int64_t n) {
    const int lanes = n > ATTENTION_TILE ? ATTENTION_TILE : (int)n;
    if (n <= 0)
        return;
    if (*begin < *end)
        *hidden = (uint32_t)(((uint64_t)1 << *begin) - ((uint64_t)1 << lanes));
    else
        *end = lanes;
    *begin = 0;
}

/* The block and a tile. */
static void add_pair(pair *w, int64_t tile, int want) {
    int begin[ROWS], end[ROWS];
    const int64_t key = tile * ATTENTION_TILE, sinks = w->call->node->params.attention.sinks;
    for (int i = 0; i < w->rows; i++) {
        const int64_t t = w->s.repeat == 1 ? w->n + i : (w->n + i) / w->s.repeat;
        const int64_t lo = w->first[t] - key, hi = t + 1 - key;
        w->distance[i] = (float)(t - key);
        begin[i] = lo < 0 ? 0 : lo > ATTENTION_TILE ? ATTENTION_TILE : (int)lo;
        end[i] = hi < 0 ? 0 : hi > ATTENTION_TILE ? ATTENTION_TILE : (int)hi;
        w->hidden[i] = 0;
        if (key < sinks && w->first[t] <= t)
            add_sinks(&begin[i], &end[i], &w->hidden[i],
                      (w->first[t] < sinks ? w->first[t] : sinks) - key);
    }
    for (int row = 0; row < w->rows;) {
        const int n = attention_run(begin + row, end + row, w->rows - row);
        if (begin[row] < end[row])
            add_rows(w, tile, row, n, begin + row, end + row, want);
        row += n;
    }
}

/* The first key that a row of the block sees, or one before it. */
static int64_t block_least(const pair *w, int64_t block) {
    const int64_t n = block * ROWS, last = n + ROWS - 1;
    const int64_t t0 = n / w->s.repeat;
    const int64_t t1 = (last < w->s.rows ? last : w->s.rows - 1) / w->s.repeat;
    int64_t least = INT64_MAX;
    for (int64_t tile = t0 / ATTENTION_TILE; tile <= t1 / ATTENTION_TILE; tile++)
        least = w->least[tile] < least ? w->least[tile] : least;
    return least;
}

/* dk and dv of a tile, and with WANT_DQ what it adds to all dq. */
static void run_tile(pair *w, int64_t tile, int want) {
    const size_t bytes = (size_t)(ATTENTION_TILE * w->s.pitch) * sizeof(float);
    memset(w->dk, 0, bytes);
    memset(w->dv, 0, bytes);
    fetch_keys(w, w->call->out[1], tile * ATTENTION_TILE, ATTENTION_TILE);
    fetch_keys(w, w->call->out[2], tile * ATTENTION_TILE, ATTENTION_TILE);
    for (int64_t i = tile * ATTENTION_TILE * w->s.repeat / ROWS; i < blocks_of(&w->s); i++) {
        if (block_least(w, i) >= (tile + 1) * ATTENTION_TILE &&
            tile * ATTENTION_TILE >= w->call->node->params.attention.sinks)
            continue;
        set_block(w, i);
        w->dq = w->all_dq + (want & WANT_DQ ? w->n * w->s.pitch : 0);
        add_pair(w, tile, want);
    }
    save_dkv(w, tile);
}

static void run_block(pair *w, int64_t block) {
    set_block(w, block);
    w->dq = w->all_dq;
    memset(w->dq, 0, (size_t)(ROWS * w->s.pitch) * sizeof(float));
    const int64_t last = (w->n + w->rows - 1) / w->s.repeat;
    const int64_t least = block_least(w, block) / ATTENTION_TILE;
    const int64_t sinks = w->call->node->params.attention.sinks;
    for (int64_t tile = sinks > 0 ? 0 : least; tile <= last / ATTENTION_TILE; tile++)
        if (tile >= least || tile * ATTENTION_TILE < sinks)
            add_pair(w, tile, WANT_DQ);
    save_dq(w, w->dq, w->n, w->rows);
}

/* Packs 32 keys, values and times of the head, and makes their delta and least. */
static void prepare(pair *w, int64_t tile) {
    const attention_shape *s = &w->s;
    const attention_kernels *k = w->kernels;
    const cpu_call *c = w->call;
    const float *q = c->in[0], *o = c->in[4], *lse = c->in[5], *d_o = c->in[6];
    const int64_t t = tile * ATTENTION_TILE, left = s->time - t, width = s->key_heads * s->d;
    const int n = left < ATTENTION_TILE ? (int)left : ATTENTION_TILE;
    const float *keys = (const float *)c->in[1] + key_at(w, t);
    const float *values = (const float *)c->in[2] + key_at(w, t);
    const size_t bytes = (size_t)s->d * sizeof(float);
    fetch_keys(w, c->in[1], t + ATTENTION_TILE, ATTENTION_TILE);
    fetch_keys(w, c->in[2], t + ATTENTION_TILE, ATTENTION_TILE);
    fetch_times(w, q, t + ATTENTION_TILE, ATTENTION_TILE);
    fetch_times(w, o, t + ATTENTION_TILE, ATTENTION_TILE);
    fetch_times(w, d_o, t + ATTENTION_TILE, ATTENTION_TILE);
    k->pack(w->keys + t * s->d, keys, width, n, s->d);
    k->pack(w->values + t * s->d, values, width, n, s->d);
    for (int i = 0; i < n; i++)
        memcpy(w->key_rows + (t + i) * s->pitch, keys + i * width, bytes);
    for (int64_t i = t * s->repeat; i < (t + n) * s->repeat; i++) {
        const int64_t at = attention_row(s, w->b, w->g, i);
        memcpy(w->all_q + i * s->pitch, q + at * s->d, bytes);
        memcpy(w->all_d_o + i * s->pitch, d_o + at * s->d, bytes);
        w->all_lse[i] = lse[at];
        w->all_delta[i] = k->dot(d_o + at * s->d, o + at * s->d, s->d);
    }
    int32_t least = w->first[t];
    for (int i = 1; i < n; i++)
        least = w->first[t + i] < least ? w->first[t + i] : least;
    w->least[tile] = least > 0 ? least : 0;
}

/* All three gradients of a key head. */
static void run_head(pair *w) {
    const attention_shape *s = &w->s;
    for (int64_t tile = 0; tile < s->tiles; tile++)
        prepare(w, tile);
    memset(w->all_dq, 0, (size_t)(s->rows * s->pitch) * sizeof(float));
    for (int64_t tile = 0; tile < s->tiles; tile++)
        run_tile(w, tile, WANT_DQ | WANT_DKV);
    for (int64_t tile = 0; tile < s->tiles; tile++) {
        const int64_t n = tile * ATTENTION_TILE * s->repeat, left = s->rows - n;
        fetch_times(w, w->call->out[0], (tile + 1) * ATTENTION_TILE, ATTENTION_TILE);
        save_dq(w, w->all_dq + n * s->pitch, n,
                left < ATTENTION_TILE * s->repeat ? left : ATTENTION_TILE * s->repeat);
    }
}

/* A chunk of rows of a head where all rows see few keys: dq of its rows, dk and dv of its keys, of
 * which the block behind the chunk may see some. */
static void grad_near(const cpu_call *c, const attention_shape *s, int reach, int64_t unit,
                      float *scratch) {
    int64_t b, h, begin, end;
    attention_chunk(s, unit, &b, &h, &begin, &end);
    const int32_t *first = (const int32_t *)c->in[3] + b * s->time;
    int seen[2][ATTENTION_NEAR];
    attention_near x = {.reach = reach,
                        .d = s->d,
                        .row = s->heads * s->d,
                        .heads = s->heads,
                        .scale = c->node->params.attention.scale,
                        .keys = scratch,
                        .values = scratch + 2 * ATTENTION_NEAR * s->d};
    attention_near next = x;
    attention_near_block(&x, seen[0], first, begin, s->time);
    for (int64_t t = begin, i = 1; t < end || x.before > 0; t += ATTENTION_NEAR, i ^= 1) {
        next.before = 0;
        if (t < end && t + ATTENTION_NEAR < s->time)
            attention_near_block(&next, seen[i], first, t + ATTENTION_NEAR, s->time);
        const int64_t row = (b * s->time + t) * s->heads + h;
        x.ahead = attention_ahead(s, b, h, t);
        x.kept = x.own_before = t > begin;
        x.own = t < end;
        x.open = ATTENTION_NEAR - next.before;
        x.q = (const float *)c->in[0] + row * s->d;
        x.k = (const float *)c->in[1] + row * s->d;
        x.v = (const float *)c->in[2] + row * s->d;
        x.o = (float *)c->in[4] + row * s->d;
        x.lse = (float *)c->in[5] + row;
        x.d_o = (const float *)c->in[6] + row * s->d;
        x.dq = (float *)c->out[0] + row * s->d;
        x.dk = (float *)c->out[1] + row * s->d;
        x.dv = (float *)c->out[2] + row * s->d;
        c->kernels->attention.near_gradient(&x);
        x.rows = next.rows;
        x.before = next.before;
        x.split = next.split;
        x.seen = next.seen;
    }
}

static int64_t units(const cpu_call *c, const attention_shape *s, int phase) {
    const int64_t heads = s->batch * s->key_heads;
    if (attention_by_head(s, c->n_lanes))
        return phase == 1 ? heads : 0;
    return heads * (phase == 1 ? blocks_of(s) : s->tiles);
}

static int grad_tasks(const cpu_call *c, int phase) {
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    const int near = attention_near_reach(c, &s, c->in[3]);
    if (near)
        return phase != 1 ? 0
                          : cpu_tasks(c, attention_chunks(&s),
                                      (double)(ATTENTION_CHUNK * (s.d + 16) * 3 * (near + 8)));
    const int64_t n = units(c, &s, phase);
    if (n == 0)
        return 0;
    if (phase == 0)
        return cpu_tasks(c, n, (double)(ATTENTION_TILE * (1 + s.repeat) * s.d * 4));
    double reach = 0;
    for (int64_t b = 0; b < s.batch; b++)
        reach += attention_reach((const int32_t *)c->in[3] + b * s.time, s.time);
    const double products = attention_by_head(&s, c->n_lanes) ? 5 : phase == 1 ? 3 : 4;
    return cpu_tasks(c, n,
                     (double)(s.time * s.heads) * reach * products * (double)(s.d + 4) / (double)n);
}

static void grad_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    const int near = attention_near_reach(c, &s, c->in[3]);
    int64_t begin, end;
    if (near) {
        const layout l = layout_of(&s, c->n_lanes);
        float *scratch = (float *)c->workspace + l.scratch + lane * l.scratch_floats;
        memset(scratch, 0, (size_t)(4 * ATTENTION_NEAR * s.d) * sizeof(float));
        cpu_range(attention_chunks(&s), 1, task, n_tasks, &begin, &end);
        for (int64_t unit = begin; unit < end; unit++)
            grad_near(c, &s, near, unit, scratch);
        return;
    }
    cpu_range(units(c, &s, phase), 1, task, n_tasks, &begin, &end);
    const int64_t heads = s.batch * s.key_heads;
    pair w;
    pair_init(&w, c, &s, lane);
    const int by_head = attention_by_head(&s, c->n_lanes);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t head = phase == 0 ? unit / s.tiles : unit % heads;
        pair_head(&w, head, by_head ? lane : head);
        if (by_head)
            run_head(&w);
        else if (phase == 0)
            prepare(&w, unit % s.tiles);
        else if (phase == 1)
            run_block(&w, blocks_of(&s) - 1 - unit / heads); /* the longest first */
        else
            run_tile(&w, unit / heads, WANT_DKV);
    }
}

static size_t grad_workspace(const node *n, int n_lanes) {
    const attention_shape s = attention_shape_of(n->input[0], n->input[1]);
    return (size_t)layout_of(&s, n_lanes).floats * sizeof(float);
}

const cpu_op cpu_attention_grad = {
    .n_phases = 3, .tasks = grad_tasks, .run = grad_run, .workspace = grad_workspace};
