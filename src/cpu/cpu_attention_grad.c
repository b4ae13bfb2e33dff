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

/* The workspace: keys and values packed as [B][G][tiles][D][32], delta[B,T,H], least[B][tiles] (the
 * first key that 32 times see), and scratch of each lane. */
typedef struct layout {
    int64_t keys, values, delta, least, scratch, scratch_floats, floats;
} layout;

static layout layout_of(const attention_shape *s, int64_t n_lanes) {
    const int64_t packed = s->batch * s->key_heads * s->tiles * s->d * ATTENTION_TILE;
    const int64_t line = 16; /* floats */
    layout w = {.keys = 0, .values = packed, .delta = 2 * packed};
    w.least = w.delta + (s->batch * s->time * s->heads + line - 1) / line * line;
    w.scratch = w.least + (s->batch * s->tiles + line - 1) / line * line;
    w.scratch_floats = 5 * ATTENTION_ROWS * s->pitch + 2 * ATTENTION_ROWS * ATTENTION_TILE;
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
    float *q, *d_o, *dq, *dk, *dv; /* [32][pitch] each */
    float *score, *dp;             /* [32][32] */
    float lse[ATTENTION_ROWS], delta[ATTENTION_ROWS];
} pair;

static void pair_init(pair *w, const cpu_call *c, const attention_shape *s, int lane) {
    const layout l = layout_of(s, c->n_lanes);
    float *base = c->workspace;
    w->call = c;
    w->kernels = &c->kernels->attention;
    w->s = *s;
    w->all_delta = base + l.delta;
    w->q = base + l.scratch + lane * l.scratch_floats;
    w->d_o = w->q + ATTENTION_ROWS * s->pitch;
    w->dq = w->d_o + ATTENTION_ROWS * s->pitch;
    w->dk = w->dq + ATTENTION_ROWS * s->pitch;
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
    w->first = (const int32_t *)w->call->in[3] + b * w->s.time;
    w->least = (const int32_t *)(base + l.least) + b * w->s.tiles;
}

/* Reads the block's rows, all but dq. */
static void load_rows(pair *w, int64_t block) {
    const attention_shape *s = &w->s;
    const float *q = w->call->in[0], *lse = w->call->in[5], *d_o = w->call->in[6];
    const size_t bytes = (size_t)s->d * sizeof(float);
    w->n = block * ATTENTION_ROWS;
    w->rows = (int)(s->rows - w->n < ATTENTION_ROWS ? s->rows - w->n : ATTENTION_ROWS);
    for (int i = 0; i < w->rows; i++) {
        const int64_t at = attention_row(s, w->b, w->g, w->n + i);
        memcpy(w->q + i * s->pitch, q + at * s->d, bytes);
        memcpy(w->d_o + i * s->pitch, d_o + at * s->d, bytes);
        w->lse[i] = lse[at];
        w->delta[i] = w->all_delta[at];
    }
}

static void load_dq(pair *w) {
    const float *dq = w->call->out[0];
    for (int i = 0; i < w->rows; i++)
        memcpy(w->dq + i * w->s.pitch, dq + attention_row(&w->s, w->b, w->g, w->n + i) * w->s.d,
               (size_t)w->s.d * sizeof(float));
}

static void save_dq(const pair *w, float factor) {
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
        const int64_t width = w->s.key_heads * d;
        x.b = (const float *)w->call->in[1] + (w->b * w->s.time + tile * ATTENTION_TILE) * width +
              w->g * d;
        x.b_row = width;
        x.c = w->dq + row * pitch;
        attention_weigh(w->kernels, &x, begin, end);
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

/* dk and dv of a tile, and with WANT_DQ what it adds to all dq. */
static void run_tile(pair *w, int64_t tile, int want) {
    const size_t bytes = (size_t)(ATTENTION_TILE * w->s.pitch) * sizeof(float);
    memset(w->dk, 0, bytes);
    memset(w->dv, 0, bytes);
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
    memset(w->dq, 0, (size_t)(ATTENTION_ROWS * w->s.pitch) * sizeof(float));
    const int64_t last = (w->n + w->rows - 1) / w->s.repeat;
    for (int64_t tile = block_least(w, block) / ATTENTION_TILE; tile <= last / ATTENTION_TILE;
         tile++)
        add_pair(w, tile, WANT_DQ);
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
    const float *o = c->in[4], *d_o = c->in[6];
    for (int64_t i = (b * s->time + t) * s->heads; i < (b * s->time + t + n) * s->heads; i++)
        base[l.delta + i] = k->dot(d_o + i * s->d, o + i * s->d, s->d);
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
    int64_t begin, end;
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
