/* cpu_attention_grad.c: the gradient of attention, with memory linear in T.
 *
 * Scores are computed again, tile by tile, from the rows' log sum exp. A pair (block of 32 rows,
 * tile of 32 keys) adds to dq of its rows and to dk, dv of its keys. Where there are enough lanes
 * and key heads for all threads, one task walks all pairs of a key head, tiles outside and blocks
 * inside, which is ascending for both; else one phase makes dq (a task owns blocks) and the next
 * dk and dv (a task owns tiles). The order inside every chain is the same, and so are the bits. */
#include "cpu/cpu_attention.h"

#include <string.h>

enum { WANT_DQ = 1, WANT_DKV = 2 };

/* The workspace: keys and values packed as [B][G][tiles][D][32], the rows of q and do one after the
 * other as [B][G][32 blocks][pitch], delta[B,T,H], least[B][tiles] (the first key that 32 times
 * see), and scratch of each lane. */
typedef struct layout {
    int64_t keys, values, q, d_o, delta, least, scratch, scratch_floats, floats;
} layout;

static layout layout_of(const attention_shape *s, int64_t n_lanes) {
    const int64_t packed = s->batch * s->key_heads * s->tiles * s->d * ATTENTION_TILE;
    const int64_t line = 16; /* floats */
    const int64_t rows = s->batch * s->key_heads * s->blocks * ATTENTION_ROWS * s->pitch;
    layout w = {.keys = 0, .values = packed, .q = 2 * packed};
    w.d_o = w.q + rows;
    w.delta = w.d_o + rows;
    w.least = w.delta + (s->batch * s->time * s->heads + line - 1) / line * line;
    w.scratch = w.least + (s->batch * s->tiles + line - 1) / line * line;
    w.scratch_floats = 4 * ATTENTION_ROWS * s->pitch + 2 * ATTENTION_ROWS * ATTENTION_TILE;
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
    const float *keys, *values; /* packed, of (b, g) */
    const int32_t *first, *least;
    const float *all_delta;
    const float *all_q, *all_d_o; /* packed, of (b, g) */
    const float *q, *d_o;         /* [32][pitch] of the block */
    float *dq;                    /* of the block, rows dq_row apart */
    int64_t dq_row;
    const float *k; /* of the tile, rows k_row apart */
    int64_t k_row;
    float *own_dq, *own_k, *dk, *dv; /* [32][pitch] each */
    float *score, *dp;               /* [32][32] */
    float lse[ATTENTION_ROWS], delta[ATTENTION_ROWS];
} pair;

static void pair_init(pair *w, const cpu_call *c, const attention_shape *s, int lane) {
    const layout l = layout_of(s, c->n_lanes);
    float *base = c->workspace;
    w->call = c;
    w->kernels = &c->kernels->attention;
    w->s = *s;
    w->all_delta = base + l.delta;
    w->own_dq = base + l.scratch + lane * l.scratch_floats;
    w->own_k = w->own_dq + ATTENTION_ROWS * s->pitch;
    w->dk = w->own_k + ATTENTION_ROWS * s->pitch;
    w->dv = w->dk + ATTENTION_ROWS * s->pitch;
    w->score = w->dv + ATTENTION_ROWS * s->pitch;
    w->dp = w->score + ATTENTION_ROWS * ATTENTION_TILE;
}

static void pair_head(pair *w, int64_t b, int64_t g) {
    const layout l = layout_of(&w->s, w->call->n_lanes);
    const float *base = w->call->workspace;
    const int64_t packed = w->s.tiles * w->s.d * ATTENTION_TILE;
    w->b = b;
    w->g = g;
    w->keys = base + l.keys + (b * w->s.key_heads + g) * packed;
    w->values = base + l.values + (b * w->s.key_heads + g) * packed;
    const int64_t rows = (b * w->s.key_heads + g) * w->s.blocks * ATTENTION_ROWS;
    w->all_q = base + l.q + rows * w->s.pitch;
    w->all_d_o = base + l.d_o + rows * w->s.pitch;
    w->first = (const int32_t *)w->call->in[3] + b * w->s.time;
    w->least = (const int32_t *)(base + l.least) + b * w->s.tiles;
}

/* Reads the block's rows, all but dq. */
static void load_rows(pair *w, int64_t block) {
    const attention_shape *s = &w->s;
    const float *lse = w->call->in[5];
    w->n = block * ATTENTION_ROWS;
    w->rows = (int)(s->rows - w->n < ATTENTION_ROWS ? s->rows - w->n : ATTENTION_ROWS);
    w->q = w->all_q + w->n * s->pitch;
    w->d_o = w->all_d_o + w->n * s->pitch;
    for (int i = 0; i < w->rows; i++) {
        const int64_t at = attention_row(s, w->b, w->g, w->n + i);
        w->lse[i] = lse[at];
        w->delta[i] = w->all_delta[at];
    }
}

/* dq of the block as it is so far: in place where its rows are evenly apart. */
static void load_dq(pair *w) {
    float *dq = w->call->out[0];
    if (w->s.repeat == 1) {
        w->dq = dq + attention_row(&w->s, w->b, w->g, w->n) * w->s.d;
        w->dq_row = w->s.heads * w->s.d;
        return;
    }
    w->dq = w->own_dq;
    w->dq_row = w->s.pitch;
    for (int i = 0; i < w->rows; i++)
        memcpy(w->dq + i * w->s.pitch, dq + attention_row(&w->s, w->b, w->g, w->n + i) * w->s.d,
               (size_t)w->s.d * sizeof(float));
}

static void save_dq(const pair *w, float factor) {
    if (w->dq != w->own_dq)
        return;
    for (int i = 0; i < w->rows; i++) {
        float *dq = (float *)w->call->out[0] + attention_row(&w->s, w->b, w->g, w->n + i) * w->s.d;
        for (int64_t d = 0; d < w->s.d; d++)
            dq[d] = w->dq[i * w->s.pitch + d] * factor;
    }
}

static void save_dkv(const pair *w, int64_t tile, float scale) {
    const attention_shape *s = &w->s;
    const int64_t left = s->time - tile * ATTENTION_TILE;
    for (int j = 0; j < ATTENTION_TILE && j < left; j++) {
        const int64_t at =
            ((w->b * s->time + tile * ATTENTION_TILE + j) * s->key_heads + w->g) * s->d;
        float *dk = (float *)w->call->out[1] + at, *dv = (float *)w->call->out[2] + at;
        for (int64_t d = 0; d < s->d; d++) {
            dk[d] = w->dk[j * s->pitch + d] * scale;
            dv[d] = w->dv[j * s->pitch + d];
        }
    }
}

/* Rows [row, row + rows) of the block, which see about the same lanes of the tile. */
static void add_rows(pair *w, int64_t tile, int row, int rows, const int *begin, const int *end,
                     int want) {
    const int64_t pitch = w->s.pitch, d = w->s.d;
    int lo, hi;
    attention_span(begin, end, rows, &lo, &hi);
    if (lo >= hi)
        return;
    lo = lo / 8 * 8; /* whole vectors */
    hi = (hi + 7) / 8 * 8;
    float *score = w->score + row * ATTENTION_TILE, *dp = w->dp + row * ATTENTION_TILE;
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
                              .dp = dp,
                              .lse = w->lse + row,
                              .delta = w->delta + row};
    w->kernels->gradient(&t);
    x = (attention_product){.m = rows,
                            .n = (int)d,
                            .k = rows,
                            .a = dp,
                            .a_row = ATTENTION_TILE,
                            .a_column = 1,
                            .b_panel = ATTENTION_TILE,
                            .c_row = pitch};
    if (want & WANT_DQ) {
        x.b = w->k;
        x.b_row = w->k_row;
        x.c = w->dq + row * w->dq_row;
        x.c_row = w->dq_row;
        attention_weigh(w->kernels, &x, begin, end);
        x.c_row = pitch;
    }
    if (want & WANT_DKV) {
        x.b = w->q + row * pitch;
        x.b_row = pitch;
        x.c = w->dk;
        attention_spread(w->kernels, &x, begin, end);
        x.a = score;
        x.b = w->d_o + row * pitch;
        x.c = w->dv;
        attention_spread(w->kernels, &x, begin, end);
    }
}

/* The loaded block and a tile. */
static void add_pair(pair *w, int64_t tile, int want) {
    int begin[ATTENTION_ROWS], end[ATTENTION_ROWS];
    const int64_t key = tile * ATTENTION_TILE;
    for (int i = 0; i < w->rows; i++) {
        const int64_t t = (w->n + i) / w->s.repeat;
        const int64_t lo = w->first[t] - key, hi = t + 1 - key;
        begin[i] = lo < 0 ? 0 : lo > ATTENTION_TILE ? ATTENTION_TILE : (int)lo;
        end[i] = hi < 0 ? 0 : hi > ATTENTION_TILE ? ATTENTION_TILE : (int)hi;
    }
    for (int row = 0; row < w->rows;) {
        const int n = attention_run(begin + row, end + row, w->rows - row);
        add_rows(w, tile, row, n, begin + row, end + row, want);
        row += n;
    }
}

/* The first key that a row of the block sees, or one before it. */
static int64_t block_least(const pair *w, int64_t block) {
    const int64_t n = block * ATTENTION_ROWS, last = n + ATTENTION_ROWS - 1;
    const int64_t t0 = n / w->s.repeat;
    const int64_t t1 = (last < w->s.rows ? last : w->s.rows - 1) / w->s.repeat;
    int64_t least = INT64_MAX;
    for (int64_t tile = t0 / ATTENTION_TILE; tile <= t1 / ATTENTION_TILE; tile++)
        least = w->least[tile] < least ? w->least[tile] : least;
    return least;
}

static void set_k(pair *w, int64_t tile) {
    w->k_row = w->s.key_heads * w->s.d;
    w->k = (const float *)w->call->in[1] + (w->b * w->s.time + tile * ATTENTION_TILE) * w->k_row +
           w->g * w->s.d;
}

/* A copy of the tile's keys: rows far apart in memory share few places of the cache. */
static void load_k(pair *w, int64_t tile) {
    set_k(w, tile);
    for (int64_t j = 0; j < ATTENTION_TILE && tile * ATTENTION_TILE + j < w->s.time; j++)
        memcpy(w->own_k + j * w->s.pitch, w->k + j * w->k_row, (size_t)w->s.d * sizeof(float));
    w->k = w->own_k;
    w->k_row = w->s.pitch;
}

/* dk and dv of a tile, and with WANT_DQ what it adds to all dq. */
static void run_tile(pair *w, int64_t tile, int want) {
    const size_t bytes = (size_t)(ATTENTION_TILE * w->s.pitch) * sizeof(float);
    memset(w->dk, 0, bytes);
    memset(w->dv, 0, bytes);
    if (want & WANT_DQ)
        load_k(w, tile);
    for (int64_t i = tile * ATTENTION_TILE * w->s.repeat / ATTENTION_ROWS; i < w->s.blocks; i++) {
        if (block_least(w, i) >= (tile + 1) * ATTENTION_TILE)
            continue;
        load_rows(w, i);
        if (want & WANT_DQ)
            load_dq(w);
        add_pair(w, tile, want);
        if (want & WANT_DQ)
            save_dq(w, 1.0f);
    }
    save_dkv(w, tile, w->call->node->params.attention.scale);
}

static void run_block(pair *w, int64_t block) {
    load_rows(w, block);
    w->dq = w->own_dq;
    w->dq_row = w->s.pitch;
    memset(w->dq, 0, (size_t)(ATTENTION_ROWS * w->s.pitch) * sizeof(float));
    const int64_t last = (w->n + w->rows - 1) / w->s.repeat;
    for (int64_t tile = block_least(w, block) / ATTENTION_TILE; tile <= last / ATTENTION_TILE;
         tile++) {
        set_k(w, tile);
        add_pair(w, tile, WANT_DQ);
    }
    save_dq(w, w->call->node->params.attention.scale);
}

/* All three gradients of a key head. dq gathers in the output and is scaled at the end. */
static void run_head(pair *w) {
    const attention_shape *s = &w->s;
    const float scale = w->call->node->params.attention.scale;
    float *dq = w->call->out[0];
    for (int64_t n = 0; n < s->rows; n++)
        memset(dq + attention_row(s, w->b, w->g, n) * s->d, 0, (size_t)s->d * sizeof(float));
    for (int64_t tile = 0; tile < s->tiles; tile++)
        run_tile(w, tile, WANT_DQ | WANT_DKV);
    for (int64_t n = 0; n < s->rows; n++) {
        float *row = dq + attention_row(s, w->b, w->g, n) * s->d;
        for (int64_t d = 0; d < s->d; d++)
            row[d] *= scale;
    }
}

/* Phase 0: unit (b, tile) packs 32 keys and values, and makes delta and least of 32 times. */
static void prepare(const cpu_call *c, const attention_shape *s, int64_t unit) {
    const attention_kernels *k = &c->kernels->attention;
    const layout l = layout_of(s, c->n_lanes);
    float *base = c->workspace;
    const int64_t b = unit / s->tiles, tile = unit % s->tiles;
    const int64_t t = tile * ATTENTION_TILE, left = s->time - t, width = s->key_heads * s->d;
    const int n = left < ATTENTION_TILE ? (int)left : ATTENTION_TILE;
    for (int64_t g = 0; g < s->key_heads; g++) {
        const int64_t at = (b * s->time + t) * width + g * s->d;
        const int64_t to = ((b * s->key_heads + g) * s->tiles + tile) * s->d * ATTENTION_TILE;
        k->pack(base + l.keys + to, (const float *)c->in[1] + at, width, n, s->d);
        k->pack(base + l.values + to, (const float *)c->in[2] + at, width, n, s->d);
    }
    const int32_t *first = (const int32_t *)c->in[3] + b * s->time + t;
    int32_t least = first[0];
    for (int i = 1; i < n; i++)
        least = first[i] < least ? first[i] : least;
    ((int32_t *)(base + l.least))[unit] = least > 0 ? least : 0;
    const float *q = c->in[0], *o = c->in[4], *d_o = c->in[6];
    for (int64_t g = 0; g < s->key_heads; g++) {
        const int64_t to = (b * s->key_heads + g) * s->blocks * ATTENTION_ROWS;
        for (int64_t i = t * s->repeat; i < (t + n) * s->repeat; i++) {
            const int64_t at = attention_row(s, b, g, i) * s->d;
            const size_t bytes = (size_t)s->d * sizeof(float);
            memcpy(base + l.q + (to + i) * s->pitch, q + at, bytes);
            memcpy(base + l.d_o + (to + i) * s->pitch, d_o + at, bytes);
        }
    }
    for (int64_t i = (b * s->time + t) * s->heads; i < (b * s->time + t + n) * s->heads; i++)
        base[l.delta + i] = k->dot(d_o + i * s->d, o + i * s->d, s->d);
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

/* Whether key heads alone keep all threads busy: then one pass over the pairs is enough. */
static int by_head(const cpu_call *c, const attention_shape *s) {
    return s->batch * s->key_heads >= 2 * (int64_t)c->n_lanes || c->n_lanes == 1;
}

static int64_t units(const cpu_call *c, const attention_shape *s, int phase) {
    if (phase == 0)
        return s->batch * s->tiles;
    if (by_head(c, s))
        return phase == 1 ? s->batch * s->key_heads : 0;
    return s->batch * s->key_heads * (phase == 1 ? s->blocks : s->tiles);
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
        return cpu_tasks(c, n, (double)(ATTENTION_TILE * (s.key_heads + s.heads) * s.d * 4));
    double reach = 0;
    for (int64_t b = 0; b < s.batch; b++)
        reach += attention_reach((const int32_t *)c->in[3] + b * s.time, s.time);
    const double products = by_head(c, &s) ? 5 : phase == 1 ? 3 : 4;
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
    for (int64_t unit = begin; unit < end; unit++) {
        if (phase == 0) {
            prepare(c, &s, unit);
            continue;
        }
        pair_head(&w, unit % heads / s.key_heads, unit % s.key_heads);
        if (by_head(c, &s))
            run_head(&w);
        else if (phase == 1)
            run_block(&w, s.blocks - 1 - unit / heads); /* the longest first */
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
