/* cpu_attention.c: softmax attention, whole and over a cache.
 *
 * Both walk the same tiles of 32 keys aligned to absolute positions with the same kernels, so a
 * sequence gives the same bits at once, in pieces and row by row. The whole packs its keys first,
 * in the form in which the cache keeps them. A task owns blocks of 32 rows; nothing of size T x T
 * exists. */
#include "cpu/cpu_attention.h"

#include "base/exact.h"

#include <math.h>
#include <string.h>

/* A block works on several tiles at once, so that its sums stay in registers for longer: at most as
 * many as fill this many scores. */
#define MAX_TILES 8
#define SCORES (ATTENTION_ROWS * ATTENTION_TILE * 4)

/* Distances from a tile to a row beyond this count as this: see attention_sinks in graph.h. */
#define FAR (1 << 24)

/* Keys [tiles][D][32] and values [32 tiles][.., D] of one lane and key head, a ring. */
typedef struct source {
    const float *keys, *values;
    int64_t value_row; /* floats from row to row of values */
    int64_t tiles;     /* of the ring */
} source;

/* Up to 32 rows of one key head. Row i stands at base + own[i] and sees keys base + begin[i] <= j <
 * base + end[i]: its sinks, then all others. */
typedef struct block {
    const attention_kernels *kernels;
    int64_t d, pitch, base;
    float scale;
    float *q, *acc, *score; /* [32][pitch], [32][pitch], [SCORES] */
    int begin[ATTENTION_ROWS], end[ATTENTION_ROWS];
    int64_t own[ATTENTION_ROWS];
    float max[ATTENTION_ROWS], sum[ATTENTION_ROWS];
    int has_slopes;
    float slope[ATTENTION_ROWS];
} block;

static size_t scratch_floats(const attention_shape *s) {
    return (size_t)(2 * ATTENTION_ROWS * s->pitch + SCORES);
}

static void block_init(block *w, const cpu_call *c, const attention_shape *s, float *scratch) {
    w->kernels = &c->kernels->attention;
    w->d = s->d;
    w->pitch = s->pitch;
    w->scale = c->node->params.attention.scale;
    w->has_slopes = c->node->params.attention.slopes;
    w->q = scratch;
    w->acc = w->q + ATTENTION_ROWS * s->pitch;
    w->score = w->acc + ATTENTION_ROWS * s->pitch;
}

/* n tiles from `tile` on, of which the ring holds the first at `at`. */
typedef struct tiles {
    int64_t at, key; /* key - base of the first lane */
    int n;
    int begin[ATTENTION_ROWS], end[ATTENTION_ROWS]; /* lanes of all n tiles that a row sees */
    int first, last;                                /* that any row sees */
} tiles;

static int clip(int64_t x, int most) {
    return x < 0 ? 0 : x > most ? most : (int)x;
}

/* What rows [row, row + rows) see of the tiles. */
static void set_tiles(tiles *t, const block *w, int row, int rows) {
    const int lanes = t->n * ATTENTION_TILE;
    for (int i = 0; i < rows; i++) {
        t->begin[i] = clip(w->begin[row + i] - t->key, lanes);
        t->end[i] = clip(w->end[row + i] - t->key, lanes);
    }
    attention_span(t->begin, t->end, rows, &t->first, &t->last);
}

/* Scores become p, tile by tile; decay[n][32] is what the sum of values before each takes. */
static void soften(block *w, int row, int rows, const tiles *t, float *decay) {
    int begin[ATTENTION_ROWS], end[ATTENTION_ROWS];
    float distance[ATTENTION_ROWS];
    for (int n = 0; n < t->n; n++, decay += ATTENTION_ROWS) {
        const int first = n * ATTENTION_TILE;
        for (int i = 0; i < rows; i++) {
            begin[i] = clip(t->begin[i] - first, ATTENTION_TILE);
            end[i] = clip(t->end[i] - first, ATTENTION_TILE);
            const int64_t away = w->own[row + i] - t->key - first;
            distance[i] = (float)(away < FAR ? away : FAR);
            decay[i] = 1.0f;
        }
        const attention_tile x = {.rows = rows,
                                  .scale = w->scale,
                                  .begin = begin,
                                  .end = end,
                                  .stride = t->n * ATTENTION_TILE,
                                  .score = w->score + first,
                                  .slope = w->has_slopes ? w->slope + row : NULL,
                                  .distance = distance,
                                  .max = w->max + row,
                                  .sum = w->sum + row,
                                  .decay = decay};
        w->kernels->softmax(&x);
    }
}

/* Rows [row, row + rows) with tiles that they see. */
static void add_tiles(block *w, int row, int rows, const tiles *t, const source *from) {
    float decay[MAX_TILES * ATTENTION_ROWS];
    uint64_t seen[MAX_TILES * ATTENTION_TILE];
    const int64_t stride = t->n * ATTENTION_TILE;
    /* lanes that any row sees, in steps of 8; whole tiles but the last where there are several */
    const int skip = t->n == 1 ? t->first / 8 * 8 : 0, end = (t->last + 7) / 8 * 8;
    const attention_product scores = {.m = rows,
                                      .n = end - skip,
                                      .k = (int)w->d,
                                      .from_zero = 1,
                                      .a = w->q + row * w->pitch,
                                      .a_row = w->pitch,
                                      .a_column = 1,
                                      .b = from->keys + t->at * w->d * ATTENTION_TILE + skip,
                                      .b_row = ATTENTION_TILE,
                                      .b_panel = w->d * ATTENTION_TILE,
                                      .c = w->score + skip,
                                      .c_row = stride};
    w->kernels->product(&scores);
    soften(w, row, rows, t, decay);
    const int first = t->n == 1 ? t->first : 0; /* decay counts from whole tiles */
    const attention_product values = {
        .m = rows,
        .n = (int)w->d,
        .k = t->last - first,
        .a = w->score + first,
        .a_row = stride,
        .a_column = 1,
        .b = from->values + (t->at * ATTENTION_TILE + first) * from->value_row,
        .b_row = from->value_row,
        .b_panel = ATTENTION_TILE,
        .c = w->acc + row * w->pitch,
        .c_row = w->pitch,
        .seen = attention_seen(seen, t->begin, t->end, rows, first, t->last),
        .decay = decay};
    w->kernels->product(&values);
}

/* Rows [row, row + rows), which see about the same keys. */
static void add_rows(block *w, int row, int rows, const source *from) {
    int first, last;
    attention_span(w->begin + row, w->end + row, rows, &first, &last);
    const int64_t fit = SCORES / ATTENTION_TILE / rows, most = fit < MAX_TILES ? fit : MAX_TILES;
    const int64_t end = (w->base + last + ATTENTION_TILE - 1) / ATTENTION_TILE;
    for (int64_t tile = (w->base + first) / ATTENTION_TILE; tile < end;) {
        const int64_t at = tile % from->tiles;
        int64_t n = end - tile < most ? end - tile : most;
        n = n < from->tiles - at ? n : from->tiles - at;
        tiles t = {.at = at, .key = tile * ATTENTION_TILE - w->base, .n = (int)n};
        set_tiles(&t, w, row, rows);
        if (t.first < t.last)
            add_tiles(w, row, rows, &t, from);
        tile += n;
    }
}

/* Sets what row i, which stands at `own`, sees: keys first <= j < last of `sees`, nothing where
 * first >= last. */
static void set_ranges(block *w, int rows, int64_t (*sees)[2], const int64_t *own) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < rows; i++)
        if (sees[i][0] < sees[i][1] && sees[i][0] < least)
            least = sees[i][0];
    w->base = least == INT64_MAX ? 0 : least;
    for (int i = 0; i < rows; i++) {
        const int any = sees[i][0] < sees[i][1];
        w->begin[i] = any ? (int)(sees[i][0] - w->base) : 0;
        w->end[i] = any ? (int)(sees[i][1] - w->base) : 0;
        w->own[i] = own[i] - w->base;
    }
}

/* Adds what the rows see to their acc, max and sum. */
static void add_ranges(block *w, int rows, const source *from) {
    for (int row = 0; row < rows;) {
        const int n = attention_run(w->begin + row, w->end + row, rows - row);
        add_rows(w, row, n, from);
        row += n;
    }
}

/* acc, max and sum of the block's rows, of which row i stands at own[i] and sees sees[i], and the
 * sinks before that; q is set. Leaves the ranges without sinks. */
static void block_run(block *w, int rows, int64_t (*sees)[2], const int64_t *own, int64_t sinks,
                      const source *first, const source *from) {
    memset(w->acc, 0, (size_t)(rows * w->pitch) * sizeof(float));
    for (int i = 0; i < rows; i++) {
        w->max[i] = -INFINITY;
        w->sum[i] = 0.0f;
    }
    if (sinks > 0) {
        int64_t before[ATTENTION_ROWS][2];
        for (int i = 0; i < rows; i++) {
            before[i][0] = 0;
            before[i][1] = sees[i][0] >= sees[i][1] ? 0 : sees[i][0] < sinks ? sees[i][0] : sinks;
        }
        set_ranges(w, rows, before, own);
        add_ranges(w, rows, first);
    }
    set_ranges(w, rows, sees, own);
    add_ranges(w, rows, from);
}

/* Copies rows [n, n + rows) of q[B,T,H,D] into the block, and sets their slopes. */
static void load_q(block *w, const attention_shape *s, const float *q, int64_t b, int64_t g,
                   int64_t n, int rows) {
    for (int i = 0; i < rows; i++)
        memcpy(w->q + i * w->pitch, q + attention_row(s, b, g, n + i) * s->d,
               (size_t)s->d * sizeof(float));
    for (int i = 0; i < rows && w->has_slopes; i++)
        w->slope[i] = attention_slope(g * s->repeat + (n + i) % s->repeat, s->heads);
}

/* o = acc / sum, lse = max + log sum; zeros where nothing is seen. lse may be NULL. */
static void save_o(block *w, const attention_shape *s, float *o, float *lse, int64_t b, int64_t g,
                   int64_t n, int rows) {
    for (int i = 0; i < rows; i++) {
        if (w->begin[i] >= w->end[i]) {
            w->max[i] = 0.0f;
            w->sum[i] = 1.0f; /* acc is 0 */
        }
        float *row = o + attention_row(s, b, g, n + i) * s->d;
        for (int64_t d = 0; d < s->d; d++)
            row[d] = w->acc[i * w->pitch + d] / w->sum[i];
    }
    if (lse == NULL)
        return;
    for (int i = 0; i < rows; i++)
        w->sum[i] = exact_log(w->sum[i]);
    for (int i = 0; i < rows; i++)
        lse[attention_row(s, b, g, n + i)] = w->max[i] + w->sum[i];
}

static int block_rows(const attention_shape *s, int64_t n) {
    return (int)(s->rows - n < ATTENTION_ROWS ? s->rows - n : ATTENTION_ROWS);
}

/* --- attention: inputs q, k, v, first; outputs o, lse. Keys are packed as [tiles][D][32] for each
 * head, and its values laid side by side as [32 tiles][pitch]: rows far apart in memory share few
 * places of the cache. */

static int64_t key_floats(const attention_shape *s) {
    return s->tiles * s->d * ATTENTION_TILE;
}

static int64_t value_floats(const attention_shape *s) {
    return s->tiles * ATTENTION_TILE * s->pitch;
}

/* Where the packed keys and values of a head are: of those at once there are as many as lanes, or
 * all. */
static float *packed_head(const cpu_call *c, const attention_shape *s, int64_t head, int lane) {
    const int64_t place = attention_by_head(s, c->n_lanes) ? lane : head;
    return (float *)c->workspace + place * (key_floats(s) + value_floats(s));
}

static int64_t packed_floats(const attention_shape *s, int n_lanes) {
    const int64_t heads = s->batch * s->key_heads;
    return (attention_by_head(s, n_lanes) ? n_lanes : heads) * (key_floats(s) + value_floats(s));
}

static int attention_tasks(const cpu_call *c, int phase) {
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    const int near = attention_near_reach(c, &s, c->in[3]);
    const int64_t heads = s.batch * s.key_heads;
    if (near)
        return phase == 0 ? 0
                          : cpu_tasks(c, attention_chunks(&s),
                                      (double)(ATTENTION_CHUNK * (s.d + 16) * (near + 12)));
    const int by_head = attention_by_head(&s, c->n_lanes);
    if (phase == 0)
        return by_head ? 0 : cpu_tasks(c, heads * s.tiles, (double)(ATTENTION_TILE * s.d * 3));
    double reach = 0;
    for (int64_t b = 0; b < s.batch; b++)
        reach += attention_reach((const int32_t *)c->in[3] + b * s.time, s.time);
    reach /= (double)s.batch;
    const double cost = ATTENTION_ROWS * (reach * (double)(2 * s.d + 4) + 64);
    return by_head ? cpu_tasks(c, heads, cost * (double)s.blocks)
                   : cpu_tasks(c, heads * s.blocks, cost);
}

static size_t attention_workspace(const node *n, int n_lanes) {
    const attention_shape s = attention_shape_of(n->input[0], n->input[1]);
    return ((size_t)packed_floats(&s, n_lanes) + (size_t)n_lanes * scratch_floats(&s)) *
           sizeof(float);
}

/* A tile of a head. */
static void pack(const cpu_call *c, const attention_shape *s, int64_t head, int64_t tile,
                 int lane) {
    const attention_kernels *kernels = &c->kernels->attention;
    const int64_t width = s->key_heads * s->d, t = tile * ATTENTION_TILE;
    const int64_t from = (head / s->key_heads * s->time + t) * width + head % s->key_heads * s->d;
    const int64_t left = s->time - t, ahead = left - ATTENTION_TILE;
    const int n = left < ATTENTION_TILE ? (int)left : ATTENTION_TILE;
    const float *k = (const float *)c->in[1] + from, *v = (const float *)c->in[2] + from;
    float *keys = packed_head(c, s, head, lane);
    float *values = keys + key_floats(s) + t * s->pitch;
    const int64_t next = ahead < ATTENTION_TILE ? ahead : ATTENTION_TILE;
    kernels->fetch(k + ATTENTION_TILE * width, width, next, s->d);
    kernels->fetch(v + ATTENTION_TILE * width, width, next, s->d);
    kernels->pack(keys + t * s->d, k, width, n, s->d);
    for (int i = 0; i < n; i++)
        memcpy(values + i * s->pitch, v + i * width, (size_t)s->d * sizeof(float));
}

static void attend(const cpu_call *c, const attention_shape *s, block *w, int64_t head, int64_t n,
                   int lane) {
    const int64_t b = head / s->key_heads, g = head % s->key_heads;
    const int rows = block_rows(s, n);
    const int32_t *first = (const int32_t *)c->in[3] + b * s->time;
    int64_t sees[ATTENTION_ROWS][2], own[ATTENTION_ROWS];
    for (int i = 0; i < rows; i++) {
        const int64_t t = (n + i) / s->repeat;
        sees[i][0] = first[t] > 0 ? first[t] : 0;
        sees[i][1] = t + 1;
        own[i] = t;
    }
    const float *keys = packed_head(c, s, head, lane);
    const source from = {
        .keys = keys, .values = keys + key_floats(s), .value_row = s->pitch, .tiles = s->tiles};
    load_q(w, s, c->in[0], b, g, n, rows);
    block_run(w, rows, sees, own, c->node->params.attention.sinks, &from, &from);
    save_o(w, s, c->out[0], c->out[1], b, g, n, rows);
}

/* Hints that a block's rows of q and o come next. */
static void fetch_block(const cpu_call *c, const attention_shape *s, int64_t head, int64_t n) {
    const int64_t at =
        attention_row(s, head / s->key_heads, head % s->key_heads, n > 0 ? n : 0) * s->d;
    const int64_t times = ATTENTION_ROWS / s->repeat, width = s->heads * s->d;
    if (n < 0 || n / s->repeat + times > s->time)
        return;
    c->kernels->attention.fetch((const float *)c->in[0] + at, width, times, s->repeat * s->d);
    c->kernels->attention.fetch((const float *)c->out[0] + at, width, times, s->repeat * s->d);
}

/* A chunk of rows of a head where all rows see few keys. */
static void attend_near(const cpu_call *c, const attention_shape *s, int reach, int64_t unit,
                        float *scratch) {
    int64_t b, h, begin, end;
    attention_chunk(s, unit, &b, &h, &begin, &end);
    attention_near x = {.reach = reach,
                        .d = s->d,
                        .row = s->heads * s->d,
                        .heads = s->heads,
                        .scale = c->node->params.attention.scale,
                        .keys = scratch};
    for (int64_t t = begin; t < end; t += ATTENTION_NEAR) {
        int seen[ATTENTION_NEAR];
        attention_near_block(&x, seen, (const int32_t *)c->in[3] + b * s->time, t, s->time);
        const int64_t row = (b * s->time + t) * s->heads + h;
        x.ahead = attention_ahead(s, b, h, t);
        x.kept = t > begin;
        x.q = (const float *)c->in[0] + row * s->d;
        x.k = (const float *)c->in[1] + row * s->d;
        x.v = (const float *)c->in[2] + row * s->d;
        x.o = (float *)c->out[0] + row * s->d;
        x.lse = c->out[1] ? (float *)c->out[1] + row : NULL;
        c->kernels->attention.near(&x);
    }
}

static void attention_run_task(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    const int64_t heads = s.batch * s.key_heads;
    float *scratch = (float *)c->workspace + packed_floats(&s, c->n_lanes) +
                     (int64_t)lane * (int64_t)scratch_floats(&s);
    const int near = attention_near_reach(c, &s, c->in[3]);
    int64_t begin, end;
    if (near) {
        memset(scratch, 0, (size_t)(2 * ATTENTION_NEAR * s.d) * sizeof(float));
        cpu_range(attention_chunks(&s), 1, task, n_tasks, &begin, &end);
        for (int64_t unit = begin; unit < end; unit++)
            attend_near(c, &s, near, unit, scratch);
        return;
    }
    if (phase == 0) {
        cpu_range(heads * s.tiles, 1, task, n_tasks, &begin, &end);
        for (int64_t unit = begin; unit < end; unit++)
            pack(c, &s, unit / s.tiles, unit % s.tiles, lane);
        return;
    }
    block w;
    block_init(&w, c, &s, scratch);
    const int by_head = attention_by_head(&s, c->n_lanes);
    cpu_range(by_head ? heads : heads * s.blocks, 1, task, n_tasks, &begin, &end);
    for (int64_t unit = begin; unit < end && by_head; unit++) {
        for (int64_t tile = 0; tile < s.tiles; tile++)
            pack(c, &s, unit, tile, lane);
        for (int64_t n = s.blocks - 1; n >= 0; n--) {
            fetch_block(c, &s, unit, (n - 1) * ATTENTION_ROWS);
            attend(c, &s, &w, unit, n * ATTENTION_ROWS, lane);
        }
    }
    /* The last blocks see most: they come first, so that no thread ends with a long one. */
    for (int64_t unit = begin; unit < end && !by_head; unit++)
        attend(c, &s, &w, unit % heads, (s.blocks - 1 - unit / heads) * ATTENTION_ROWS, lane);
}

const cpu_op cpu_attention = {.n_phases = 2,
                              .tasks = attention_tasks,
                              .run = attention_run_task,
                              .workspace = attention_workspace};

/* --- attention_cached: inputs q, keys, values, slot, pos, count, first, with sinks also their keys
 * and values; output o */

/* Positions change from run to run and tasks do not: half the ring stands for the reach. */
static int cached_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    const double reach = (double)c->node->input[1]->dim[1] / 2;
    const int64_t rows = s.rows < ATTENTION_ROWS ? s.rows : ATTENTION_ROWS;
    return cpu_tasks(c, s.batch * s.key_heads * s.blocks,
                     (double)rows * (reach * (double)(2 * s.d + 4) + 64));
}

static size_t cached_workspace(const node *n, int n_lanes) {
    const attention_shape s = attention_shape_of(n->input[0], n->input[1]);
    return (size_t)n_lanes * scratch_floats(&s) * sizeof(float);
}

/* Of one lane and key head: keys at input `at`, values at the next. */
static source cached_rows(const cpu_call *c, const attention_shape *s, int at, int64_t lane,
                          int64_t g) {
    const int64_t ring = c->node->input[at]->dim[1], width = s->key_heads * s->d;
    return (source){.keys = (const float *)c->in[at] + (lane * s->key_heads + g) * ring * s->d,
                    .values = (const float *)c->in[at + 1] + lane * ring * width + g * s->d,
                    .value_row = width,
                    .tiles = ring / ATTENTION_TILE};
}

static void attend_cached(const cpu_call *c, const attention_shape *s, block *w, int64_t b,
                          int64_t g, int64_t n) {
    const tensor *keys = c->node->input[1];
    const int64_t slots = keys->dim[0], ring = keys->dim[1];
    const int64_t slot = ((const int32_t *)c->in[3])[b], pos = ((const int32_t *)c->in[4])[b];
    const int64_t count =
        slot >= 0 && slot < slots && pos >= 0 ? ((const int32_t *)c->in[5])[b] : 0;
    const int32_t *first = (const int32_t *)c->in[6] + b * s->time;
    const int rows = block_rows(s, n);
    int64_t sees[ATTENTION_ROWS][2], own[ATTENTION_ROWS];
    for (int i = 0; i < rows; i++) {
        const int64_t t = (n + i) / s->repeat, row = pos + t;
        const int64_t oldest = row - ring + 1 > 0 ? row - ring + 1 : 0;
        sees[i][0] = first[t] > oldest ? first[t] : oldest;
        sees[i][1] = t < count ? row + 1 : 0;
        own[i] = row;
    }
    const int64_t lane = count > 0 ? slot : 0, sinks = c->node->params.attention.sinks;
    const source from = cached_rows(c, s, 1, lane, g);
    const source first_rows = sinks > 0 ? cached_rows(c, s, 7, lane, g) : from;
    load_q(w, s, c->in[0], b, g, n, rows);
    block_run(w, rows, sees, own, sinks, &first_rows, &from);
    save_o(w, s, c->out[0], NULL, b, g, n, rows);
}

static void cached_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    block w;
    block_init(&w, c, &s, (float *)c->workspace + (int64_t)lane * (int64_t)scratch_floats(&s));
    int64_t begin, end;
    cpu_range(s.batch * s.key_heads * s.blocks, 1, task, n_tasks, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t column = unit / s.blocks;
        attend_cached(c, &s, &w, column / s.key_heads, column % s.key_heads,
                      unit % s.blocks * ATTENTION_ROWS);
    }
}

const cpu_op cpu_attention_cached = {
    .n_phases = 1, .tasks = cached_tasks, .run = cached_run, .workspace = cached_workspace};
