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

/* Keys of tiles that a block with few rows works on at once. */
#define SCORES (ATTENTION_ROWS * ATTENTION_TILE)
#define MAX_TILES 8

/* Keys [tiles][D][32] and values [32 tiles][.., D] of one lane and key head, a ring. */
typedef struct source {
    const float *keys, *values;
    int64_t value_row; /* floats from row to row of values */
    int64_t tiles;     /* of the ring */
} source;

/* Up to 32 rows of one key head. Row i sees keys base + begin[i] <= j < base + end[i]. */
typedef struct block {
    const attention_kernels *kernels;
    int64_t d, pitch, base;
    float scale;
    float *q, *acc, *score; /* [32][pitch], [32][pitch], [32 * 32] */
    int begin[ATTENTION_ROWS], end[ATTENTION_ROWS];
    float max[ATTENTION_ROWS], sum[ATTENTION_ROWS];
} block;

static size_t scratch_floats(const attention_shape *s) {
    return (size_t)(2 * ATTENTION_ROWS * s->pitch + SCORES);
}

static void block_init(block *w, const cpu_call *c, const attention_shape *s, float *scratch) {
    w->kernels = &c->kernels->attention;
    w->d = s->d;
    w->pitch = s->pitch;
    w->scale = c->node->params.attention.scale;
    w->q = scratch;
    w->acc = w->q + ATTENTION_ROWS * s->pitch;
    w->score = w->acc + ATTENTION_ROWS * s->pitch;
}

/* One tile's scores, at `score` with `stride` floats from row to row, go into acc. */
static void add_tile(block *w, int row, int rows, float *score, int64_t stride, int64_t tile,
                     const source *from) {
    int begin[ATTENTION_ROWS], end[ATTENTION_ROWS];
    float decay[ATTENTION_ROWS];
    const int64_t first = tile * ATTENTION_TILE - w->base;
    for (int i = 0; i < rows; i++) {
        const int64_t lo = w->begin[row + i] - first, hi = w->end[row + i] - first;
        begin[i] = lo < 0 ? 0 : lo > ATTENTION_TILE ? ATTENTION_TILE : (int)lo;
        end[i] = hi < 0 ? 0 : hi > ATTENTION_TILE ? ATTENTION_TILE : (int)hi;
        decay[i] = 1.0f;
    }
    const attention_tile t = {.rows = rows,
                              .scale = w->scale,
                              .begin = begin,
                              .end = end,
                              .stride = stride,
                              .score = score,
                              .max = w->max + row,
                              .sum = w->sum + row,
                              .decay = decay};
    w->kernels->softmax(&t);
    for (int i = 0; i < rows; i++) {
        float *acc = w->acc + (row + i) * w->pitch;
        if (decay[i] != 1.0f && w->begin[row + i] < first) /* else acc is still 0 */
            for (int64_t d = 0; d < w->d; d++)
                acc[d] *= decay[i];
    }
    const attention_product values = {.m = rows,
                                      .n = (int)w->d,
                                      .a = score,
                                      .a_row = stride,
                                      .a_column = 1,
                                      .b = from->values +
                                           tile % from->tiles * ATTENTION_TILE * from->value_row,
                                      .b_row = from->value_row,
                                      .b_panel = ATTENTION_TILE,
                                      .c = w->acc + row * w->pitch,
                                      .c_row = w->pitch};
    attention_weigh(w->kernels, &values, begin, end);
}

/* Rows [row, row + rows), which see about the same keys. Few rows take several tiles at once: a
 * single chain of scores would leave most of the processor idle. */
static void add_rows(block *w, int row, int rows, const source *from) {
    int first, last;
    attention_span(w->begin + row, w->end + row, rows, &first, &last);
    const int64_t most =
        rows <= SCORES / ATTENTION_TILE / MAX_TILES ? MAX_TILES : ATTENTION_ROWS / rows;
    const int64_t end = (w->base + last + ATTENTION_TILE - 1) / ATTENTION_TILE;
    int64_t tile = (w->base + first) / ATTENTION_TILE;
    while (tile < end) {
        const int64_t at = tile % from->tiles;
        int64_t n = end - tile < most ? end - tile : most;
        n = n < from->tiles - at ? n : from->tiles - at;
        /* lanes that any row sees, in steps of 8; whole tiles where there are several */
        const int64_t key = tile * ATTENTION_TILE - w->base;
        const int64_t skip = n == 1 && first > key ? (first - key) / 8 * 8 : 0;
        const int64_t lanes =
            last - key < n * ATTENTION_TILE ? (last - key + 7) / 8 * 8 : n * ATTENTION_TILE;
        const int64_t stride = n * ATTENTION_TILE;
        const attention_product scores = {.m = rows,
                                          .n = (int)(lanes - skip),
                                          .k = (int)w->d,
                                          .from_zero = 1,
                                          .a = w->q + row * w->pitch,
                                          .a_row = w->pitch,
                                          .a_column = 1,
                                          .b = from->keys + at * w->d * ATTENTION_TILE + skip,
                                          .b_row = ATTENTION_TILE,
                                          .b_panel = w->d * ATTENTION_TILE,
                                          .c = w->score + skip,
                                          .c_row = stride};
        w->kernels->product(&scores);
        for (int64_t i = 0; i < n; i++)
            add_tile(w, row, rows, w->score + i * ATTENTION_TILE, stride, tile + i, from);
        tile += n;
    }
}

/* Sets what row i sees: keys first <= j < last of `sees`, nothing where first >= last. */
static void set_ranges(block *w, int rows, int64_t (*sees)[2]) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < rows; i++)
        if (sees[i][0] < sees[i][1] && sees[i][0] < least)
            least = sees[i][0];
    w->base = least == INT64_MAX ? 0 : least;
    for (int i = 0; i < rows; i++) {
        const int any = sees[i][0] < sees[i][1];
        w->begin[i] = any ? (int)(sees[i][0] - w->base) : 0;
        w->end[i] = any ? (int)(sees[i][1] - w->base) : 0;
    }
}

/* acc, max and sum of the block's rows; q and the ranges are set. */
static void block_run(block *w, int rows, const source *from) {
    memset(w->acc, 0, (size_t)(rows * w->pitch) * sizeof(float));
    for (int i = 0; i < rows; i++) {
        w->max[i] = -INFINITY;
        w->sum[i] = 0.0f;
    }
    for (int row = 0; row < rows;) {
        const int n = attention_run(w->begin + row, w->end + row, rows - row);
        add_rows(w, row, n, from);
        row += n;
    }
}

/* Copies rows [n, n + rows) of q[B,T,H,D] into the block. */
static void load_q(block *w, const attention_shape *s, const float *q, int64_t b, int64_t g,
                   int64_t n, int rows) {
    for (int i = 0; i < rows; i++)
        memcpy(w->q + i * w->pitch, q + attention_row(s, b, g, n + i) * s->d,
               (size_t)s->d * sizeof(float));
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

/* --- attention: inputs q, k, v, first; outputs o, lse. Phase 0 packs the keys. */

static int attention_tasks(const cpu_call *c, int phase) {
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    const int near = attention_near_reach(c, &s, c->in[3]);
    if (near)
        return phase == 0 ? 0
                          : cpu_tasks(c, attention_chunks(&s),
                                      (double)(ATTENTION_CHUNK * (s.d + 16) * (near + 12)));
    if (phase == 0)
        return cpu_tasks(c, s.batch * s.tiles, (double)(ATTENTION_TILE * s.key_heads * s.d * 2));
    double reach = 0;
    for (int64_t b = 0; b < s.batch; b++)
        reach += attention_reach((const int32_t *)c->in[3] + b * s.time, s.time);
    reach /= (double)s.batch;
    return cpu_tasks(c, s.batch * s.key_heads * s.blocks,
                     ATTENTION_ROWS * (reach * (double)(2 * s.d + 4) + 64));
}

static size_t attention_workspace(const node *n, int n_lanes) {
    const attention_shape s = attention_shape_of(n->input[0], n->input[1]);
    const size_t keys = (size_t)(s.batch * s.key_heads * s.tiles * s.d * ATTENTION_TILE);
    return (keys + (size_t)n_lanes * scratch_floats(&s)) * sizeof(float);
}

static void pack_keys(const cpu_call *c, const attention_shape *s, int64_t unit) {
    const int64_t b = unit / s->tiles, tile = unit % s->tiles, width = s->key_heads * s->d;
    const int64_t left = s->time - tile * ATTENTION_TILE;
    const float *k = (const float *)c->in[1] + (b * s->time + tile * ATTENTION_TILE) * width;
    float *packed = c->workspace;
    for (int64_t g = 0; g < s->key_heads; g++)
        c->kernels->attention.pack(
            packed + ((b * s->key_heads + g) * s->tiles + tile) * s->d * ATTENTION_TILE,
            k + g * s->d, width, left < ATTENTION_TILE ? (int)left : ATTENTION_TILE, s->d);
}

static void attend(const cpu_call *c, const attention_shape *s, block *w, int64_t b, int64_t g,
                   int64_t n) {
    const int rows = block_rows(s, n);
    const int32_t *first = (const int32_t *)c->in[3] + b * s->time;
    int64_t sees[ATTENTION_ROWS][2];
    for (int i = 0; i < rows; i++) {
        const int64_t t = (n + i) / s->repeat;
        sees[i][0] = first[t] > 0 ? first[t] : 0;
        sees[i][1] = t + 1;
    }
    set_ranges(w, rows, sees);
    const source from = {.keys = (const float *)c->workspace +
                                 (b * s->key_heads + g) * s->tiles * s->d * ATTENTION_TILE,
                         .values =
                             (const float *)c->in[2] + (b * s->time * s->key_heads + g) * s->d,
                         .value_row = s->key_heads * s->d,
                         .tiles = s->tiles};
    load_q(w, s, c->in[0], b, g, n, rows);
    block_run(w, rows, &from);
    save_o(w, s, c->out[0], c->out[1], b, g, n, rows);
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
    float *packed = c->workspace;
    const int64_t keys = s.batch * s.key_heads * s.tiles * s.d * ATTENTION_TILE;
    float *scratch = packed + keys + (int64_t)lane * (int64_t)scratch_floats(&s);
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
        cpu_range(s.batch * s.tiles, 1, task, n_tasks, &begin, &end);
        for (int64_t unit = begin; unit < end; unit++)
            pack_keys(c, &s, unit);
        return;
    }
    const int64_t columns = s.batch * s.key_heads;
    block w;
    block_init(&w, c, &s, scratch);
    cpu_range(columns * s.blocks, 1, task, n_tasks, &begin, &end);
    /* Head by head, so that its keys stay in the cache; where there are too few heads for all
     * threads, block by block. The last blocks see most: they come first, so that no thread ends
     * with a long one. */
    const int by_head = columns >= 2 * (int64_t)c->n_lanes || c->n_lanes == 1;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t column = by_head ? unit / s.blocks : unit % columns;
        const int64_t block_at = s.blocks - 1 - (by_head ? unit % s.blocks : unit / columns);
        attend(c, &s, &w, column / s.key_heads, column % s.key_heads, block_at * ATTENTION_ROWS);
    }
}

const cpu_op cpu_attention = {.n_phases = 2,
                              .tasks = attention_tasks,
                              .run = attention_run_task,
                              .workspace = attention_workspace};

/* --- attention_cached: inputs q, keys, values, slot, pos, count, first; output o */

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

static void attend_cached(const cpu_call *c, const attention_shape *s, block *w, int64_t b,
                          int64_t g, int64_t n) {
    const tensor *keys = c->node->input[1];
    const int64_t slots = keys->dim[0], ring = keys->dim[1], width = s->key_heads * s->d;
    const int64_t slot = ((const int32_t *)c->in[3])[b], pos = ((const int32_t *)c->in[4])[b];
    const int64_t count =
        slot >= 0 && slot < slots && pos >= 0 ? ((const int32_t *)c->in[5])[b] : 0;
    const int32_t *first = (const int32_t *)c->in[6] + b * s->time;
    const int rows = block_rows(s, n);
    int64_t sees[ATTENTION_ROWS][2];
    for (int i = 0; i < rows; i++) {
        const int64_t t = (n + i) / s->repeat, row = pos + t;
        const int64_t oldest = row - ring + 1 > 0 ? row - ring + 1 : 0;
        sees[i][0] = first[t] > oldest ? first[t] : oldest;
        sees[i][1] = t < count ? row + 1 : 0;
    }
    set_ranges(w, rows, sees);
    const int64_t lane = count > 0 ? slot : 0;
    const source from = {.keys = (const float *)c->in[1] + (lane * s->key_heads + g) * ring * s->d,
                         .values = (const float *)c->in[2] + lane * ring * width + g * s->d,
                         .value_row = width,
                         .tiles = ring / ATTENTION_TILE};
    load_q(w, s, c->in[0], b, g, n, rows);
    block_run(w, rows, &from);
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
