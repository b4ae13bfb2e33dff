/* cpu_attention_int8.c: softmax attention over rows rounded to integers, whole and over a cache.
 *
 * All scores of a row come first, then its maximum, then its weights as integers, then the sums of
 * values: sums of integers hang on no order, so nothing is carried from tile to tile, and a whole,
 * its pieces and single rows give the same bits. The whole packs its keys and values first, in the
 * form in which the cache keeps them. */
#include "cpu/cpu_attention.h"

#include <string.h>

#define ROWS 8 /* of a key head, worked on together */

/* Distances from a tile to a row beyond this count as this: see attention_sinks in graph.h. */
#define FAR (1 << 24)

/* Keys and values of one lane and key head: a ring of tiles. */
typedef struct source {
    const uint8_t *keys, *values;
    int64_t tiles;
} source;

/* Tiles [first, first + n) of a source, whose scores begin at `lane`. */
typedef struct segment {
    const source *from;
    int64_t first;
    int n, lane;
} segment;

/* Scratch of a lane, and the rows that are in it. Row i stands at own[i] and sees [sees[i][0],
 * sees[i][1]), and before that the sinks. */
typedef struct block {
    const int8_kernels *kernels;
    const attention_shape *s;
    float scale;
    int64_t sinks;
    int lanes_most, lanes; /* room for scores of a row, and how many there are */
    int8_t *q;             /* [ROWS][q_stride] */
    int64_t q_stride;
    float *score;     /* [ROWS][lanes_most] */
    float *of_values; /* [lanes_most]: scales */
    uint8_t *weights; /* [ROWS][2][lanes_most] */
    int32_t *sum;     /* [ROWS][2][D padded] */
    float q_scale[ROWS], slope[ROWS], factor[ROWS];
    int has_slopes;
    int64_t sees[ROWS][2], own[ROWS];
    segment segments[2]; /* sinks, then all others */
} block;

static int64_t tiles_of(int64_t rows) {
    return (rows + INT8_PANEL - 1) / INT8_PANEL;
}

static size_t round_64(int64_t bytes) {
    return (size_t)((bytes + 63) / 64 * 64);
}

static size_t scratch_bytes(int64_t lanes, int64_t d) {
    return round_64(ROWS * (int64_t)round_64(d)) + round_64(4 * (ROWS + 1) * lanes) +
           round_64(2 * ROWS * lanes) + round_64(8 * ROWS * int8_padded(d));
}

static void block_init(block *w, const cpu_call *c, const attention_shape *s, int64_t lanes,
                       uint8_t *scratch) {
    w->kernels = &c->kernels->int8;
    w->s = s;
    w->scale = c->node->params.attention.scale;
    w->sinks = c->node->params.attention.sinks;
    w->has_slopes = c->node->params.attention.slopes;
    w->lanes_most = (int)lanes;
    w->q = (int8_t *)scratch;
    w->q_stride = (int64_t)round_64(s->d);
    w->score = (void *)(scratch + round_64(ROWS * w->q_stride));
    w->of_values = w->score + ROWS * lanes;
    w->weights = (uint8_t *)w->score + round_64(4 * (ROWS + 1) * lanes);
    w->sum = (void *)(w->weights + round_64(2 * ROWS * lanes));
}

/* Which tiles the rows see. */
static void set_segments(block *w, int rows, const source *sinks, const source *from) {
    int64_t low = INT64_MAX, high = 0, most = 0;
    for (int i = 0; i < rows; i++) {
        if (w->sees[i][0] >= w->sees[i][1])
            continue;
        low = w->sees[i][0] < low ? w->sees[i][0] : low;
        high = w->sees[i][1] > high ? w->sees[i][1] : high;
        const int64_t before = w->sees[i][0] < w->sinks ? w->sees[i][0] : w->sinks;
        most = before > most ? before : most;
    }
    const int64_t begin = low < high ? low / INT8_PANEL : 0;
    w->segments[0] = (segment){sinks, 0, (int)tiles_of(most), 0};
    w->segments[1] =
        (segment){from, begin, (int)(tiles_of(high) - begin), w->segments[0].n * INT8_PANEL};
    w->lanes = (w->segments[0].n + w->segments[1].n) * INT8_PANEL;
}

/* The next tiles of a segment that lie side by side: from tile `at` on; *place is where in the
 * ring. */
static int side_by_side(const segment *g, int at, int64_t *place) {
    *place = (g->first + at) % g->from->tiles;
    const int64_t left = g->from->tiles - *place;
    return g->n - at < left ? g->n - at : (int)left;
}

static void add_scores(block *w, int rows, const segment *g) {
    const int64_t d = w->s->d, bytes = int8_tile_bytes(d);
    int64_t place;
    for (int at = 0, n; at < g->n; at += n) {
        n = side_by_side(g, at, &place);
        const int lane = g->lane + at * INT8_PANEL;
        const int8_scores x = {.score = w->score + lane,
                               .score_stride = w->lanes_most,
                               .q = w->q,
                               .q_scale = w->q_scale,
                               .tiles = g->from->keys + place * bytes,
                               .d = d,
                               .q_stride = w->q_stride,
                               .rows = rows,
                               .n_tiles = n};
        w->kernels->scores(&x);
        for (int t = 0; t < n; t++)
            memcpy(w->of_values + lane + t * INT8_PANEL,
                   g->from->values + (place + t + 1) * bytes - INT8_PANEL * sizeof(float),
                   INT8_PANEL * sizeof(float));
    }
    for (int i = 0; i < rows && w->has_slopes; i++)
        for (int t = 0; t < g->n; t++) {
            const int64_t away = w->own[i] - (g->first + t) * INT8_PANEL;
            const float distance = (float)(away < FAR ? away : FAR);
            float *score = w->score + i * w->lanes_most + g->lane + t * INT8_PANEL;
            for (int j = 0; j < INT8_PANEL; j++)
                score[j] = score[j] - w->slope[i] * (distance - (float)j);
        }
}

/* Lanes of a segment that hold keys [begin, end). */
static void lanes_of(const segment *g, int64_t begin, int64_t end, int *from, int *to) {
    const int64_t start = g->first * INT8_PANEL;
    *from = begin < end ? g->lane + (int)(begin - start) : g->lane;
    *to = begin < end ? g->lane + (int)(end - start) : g->lane;
}

static void set_weights(block *w, int row) {
    int8_softmax x = {.score = w->score + row * w->lanes_most,
                      .scale = w->of_values,
                      .high = w->weights + 2 * row * w->lanes_most,
                      .low = w->weights + (2 * row + 1) * w->lanes_most,
                      .lanes = w->lanes};
    const int64_t *sees = w->sees[row];
    if (sees[0] >= sees[1]) {
        memset(x.high, 0, (size_t)w->lanes);
        memset(x.low, 0, (size_t)w->lanes);
        w->factor[row] = 0.0f;
        return;
    }
    lanes_of(&w->segments[0], 0, sees[0] < w->sinks ? sees[0] : w->sinks, &x.begin[0], &x.end[0]);
    lanes_of(&w->segments[1], sees[0], sees[1], &x.begin[1], &x.end[1]);
    w->factor[row] = w->kernels->soften(&x);
}

static void add_values(const block *w, int rows, const segment *g) {
    const int64_t d = w->s->d, bytes = int8_tile_bytes(d);
    int64_t place;
    for (int at = 0, n; at < g->n; at += n) {
        n = side_by_side(g, at, &place);
        const int8_values x = {.sum = w->sum,
                               .weights = w->weights + g->lane + at * INT8_PANEL,
                               .lanes = w->lanes_most,
                               .tiles = g->from->values + place * bytes,
                               .d = d,
                               .rows = rows,
                               .n_tiles = n};
        w->kernels->add_values(&x);
    }
}

/* Rows [row, row + rows) of the head, whose sees and own are set, from q to o, both [B,T,H,D]. */
static void attend(block *w, const cpu_call *c, int64_t b, int64_t g, int64_t row, int rows,
                   const source *sinks, const source *from) {
    const attention_shape *s = w->s;
    const int64_t padded = int8_padded(s->d);
    for (int i = 0; i < rows; i++) {
        const float *q = (const float *)c->in[0] + attention_row(s, b, g, row + i) * s->d;
        const float scale = w->kernels->round((uint8_t *)w->q + i * w->q_stride, q, s->d, 0);
        w->q_scale[i] = scale * w->scale;
        if (w->has_slopes)
            w->slope[i] = attention_slope(g * s->repeat + (row + i) % s->repeat, s->heads);
    }
    set_segments(w, rows, sinks, from);
    for (int k = 0; k < 2; k++)
        add_scores(w, rows, &w->segments[k]);
    for (int i = 0; i < rows; i++)
        set_weights(w, i);
    memset(w->sum, 0, (size_t)(2 * rows * padded) * sizeof *w->sum);
    for (int k = 0; k < 2; k++)
        add_values(w, rows, &w->segments[k]);
    for (int i = 0; i < rows; i++) {
        float *o = (float *)c->out[0] + attention_row(s, b, g, row + i) * s->d;
        const int32_t *high = w->sum + 2 * i * padded, *low = high + padded;
        const float factor = w->factor[i];
        for (int64_t d = 0; d < s->d; d++)
            o[d] = ((float)high[d] * 128.0f + (float)low[d]) * factor;
    }
}

/* How many rows from the first are worth working on together. */
static int run_of(const block *w, int rows) {
    int begin[ROWS], end[ROWS];
    for (int i = 0; i < rows; i++) {
        const int any = w->sees[i][0] < w->sees[i][1];
        begin[i] = any ? (int)(w->sees[i][0] / INT8_PANEL - w->sees[0][0] / INT8_PANEL) : 0;
        end[i] = any ? (int)(tiles_of(w->sees[i][1]) - w->sees[0][0] / INT8_PANEL) : 0;
    }
    return attention_run(begin, end, rows);
}

/* ROWS rows of a head at most, by those that see about the same. */
static void attend_runs(block *w, const cpu_call *c, int64_t b, int64_t g, int64_t row, int rows,
                        const source *sinks, const source *from) {
    while (rows > 0) {
        const int n = run_of(w, rows);
        attend(w, c, b, g, row, n, sinks, from);
        row += n;
        rows -= n;
        memmove(w->sees, w->sees + n, (size_t)rows * sizeof *w->sees);
        memmove(w->own, w->own + n, (size_t)rows * sizeof *w->own);
    }
}

static int64_t blocks_of(const attention_shape *s) {
    return (s->rows + ROWS - 1) / ROWS;
}

/* --- attention_int8: inputs q, k, v, first; output o. Workspace: for each lane and key head its
 * keys, then its values; then scratch. */

static int64_t head_bytes(const attention_shape *s) {
    return tiles_of(s->time) * int8_tile_bytes(s->d);
}

static int64_t whole_lanes(const node *n, const attention_shape *s) {
    const int64_t sinks = n->params.attention.sinks;
    return (tiles_of(s->time) + tiles_of(sinks < s->time ? sinks : s->time)) * INT8_PANEL;
}

static size_t attention_workspace(const node *n, int n_lanes) {
    const attention_shape s = attention_shape_of(n->input[0], n->input[1]);
    return (size_t)(2 * s.batch * s.key_heads * head_bytes(&s)) +
           (size_t)n_lanes * scratch_bytes(whole_lanes(n, &s), s.d);
}

static int attention_tasks(const cpu_call *c, int phase) {
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    const int64_t heads = s.batch * s.key_heads;
    if (phase == 0)
        return cpu_tasks(c, heads * tiles_of(s.time), 64.0 * (double)s.d);
    return cpu_tasks(c, heads * blocks_of(&s),
                     ROWS * ((double)s.time / 2 * (double)(s.d / 4 + 4) + 400));
}

/* Rounds and packs one tile of keys and of values. */
static void pack(const cpu_call *c, const attention_shape *s, int64_t head, int64_t tile,
                 uint8_t *q) {
    const int64_t b = head / s->key_heads, g = head % s->key_heads, begin = tile * INT8_PANEL;
    uint8_t *to = (uint8_t *)c->workspace + 2 * head * head_bytes(s) + tile * int8_tile_bytes(s->d);
    for (int values = 0; values < 2; values++, to += head_bytes(s)) {
        if (begin + INT8_PANEL > s->time)
            memset(to, 0, (size_t)int8_tile_bytes(s->d));
        for (int64_t t = begin; t < begin + INT8_PANEL && t < s->time; t++) {
            const float *x =
                (const float *)c->in[1 + values] + ((b * s->time + t) * s->key_heads + g) * s->d;
            const float scale = c->kernels->int8.round(q, x, s->d, 0);
            int8_tile_put(to, s->d, (int)(t - begin), values, q, scale);
        }
    }
}

static void attention_run_task(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    const attention_shape s = attention_shape_of(c->node->input[0], c->node->input[1]);
    const int64_t heads = s.batch * s.key_heads, tiles = tiles_of(s.time), blocks = blocks_of(&s);
    const int64_t lanes = whole_lanes(c->node, &s);
    uint8_t *packed = c->workspace;
    uint8_t *scratch =
        packed + 2 * heads * head_bytes(&s) + (size_t)lane * scratch_bytes(lanes, s.d);
    int64_t begin, end;
    if (phase == 0) {
        cpu_range(heads * tiles, 1, task, n_tasks, &begin, &end);
        for (int64_t unit = begin; unit < end; unit++)
            pack(c, &s, unit / tiles, unit % tiles, scratch);
        return;
    }
    block w;
    block_init(&w, c, &s, lanes, scratch);
    cpu_range(heads * blocks, 1, task, n_tasks, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        /* The last blocks see most: they come first, so that no thread ends with a long one. */
        const int64_t head = unit % heads, row = (blocks - 1 - unit / heads) * ROWS;
        const int64_t b = head / s.key_heads;
        const int rows = (int)(s.rows - row < ROWS ? s.rows - row : ROWS);
        const int32_t *first = (const int32_t *)c->in[3] + b * s.time;
        for (int i = 0; i < rows; i++) {
            const int64_t t = (row + i) / s.repeat;
            w.sees[i][0] = first[t] > 0 ? first[t] : 0;
            w.sees[i][1] = w.sees[i][0] <= t ? t + 1 : 0;
            w.own[i] = t;
        }
        const uint8_t *keys = packed + 2 * head * head_bytes(&s);
        const source from = {keys, keys + head_bytes(&s), tiles};
        attend_runs(&w, c, b, head % s.key_heads, row, rows, &from, &from);
    }
}

const cpu_op cpu_attention_int8 = {.n_phases = 2,
                                   .tasks = attention_tasks,
                                   .run = attention_run_task,
                                   .workspace = attention_workspace};

/* --- attention_cached_int8: inputs q, keys, values, slot, pos, count, first, with sinks also their
 * keys and values; output o */

static attention_shape cached_shape(const node *n) {
    attention_shape s = attention_shape_of(n->input[0], n->input[1]);
    s.d = n->input[0]->dim[3];
    return s;
}

/* What is seen may begin and end inside the same tile of the ring. */
static int64_t cached_lanes(const node *n) {
    return n->input[1]->dim[1] + INT8_PANEL + (n->params.attention.sinks ? n->input[7]->dim[1] : 0);
}

static size_t cached_workspace(const node *n, int n_lanes) {
    return (size_t)n_lanes * scratch_bytes(cached_lanes(n), n->input[0]->dim[3]);
}

/* Positions change from run to run and tasks do not: half the ring stands for the reach. */
static int cached_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const attention_shape s = cached_shape(c->node);
    const double reach = (double)c->node->input[1]->dim[1] / 2;
    const int64_t rows = s.rows < ROWS ? s.rows : ROWS;
    return cpu_tasks(c, s.batch * s.key_heads * blocks_of(&s),
                     (double)rows * (reach * (double)(s.d / 2 + 4) + 400));
}

static source cached_rows(const cpu_call *c, const attention_shape *s, int at, int64_t slot,
                          int64_t g) {
    const int64_t tiles = c->node->input[at]->dim[1] / INT8_PANEL;
    const int64_t offset = (slot * s->key_heads + g) * tiles * int8_tile_bytes(s->d);
    return (source){(const uint8_t *)c->in[at] + offset, (const uint8_t *)c->in[at + 1] + offset,
                    tiles};
}

static void attend_cached(const cpu_call *c, block *w, int64_t b, int64_t g, int64_t row) {
    const attention_shape *s = w->s;
    const tensor *keys = c->node->input[1];
    const int64_t slots = keys->dim[0], ring = keys->dim[1];
    const int64_t slot = ((const int32_t *)c->in[3])[b], pos = ((const int32_t *)c->in[4])[b];
    const int64_t count =
        slot >= 0 && slot < slots && pos >= 0 ? ((const int32_t *)c->in[5])[b] : 0;
    const int32_t *first = (const int32_t *)c->in[6] + b * s->time;
    const int rows = (int)(s->rows - row < ROWS ? s->rows - row : ROWS);
    for (int i = 0; i < rows; i++) {
        const int64_t t = (row + i) / s->repeat, at = pos + t;
        const int64_t oldest = at - ring + 1 > 0 ? at - ring + 1 : 0;
        w->sees[i][0] = first[t] > oldest ? first[t] : oldest;
        w->sees[i][1] = t < count && w->sees[i][0] <= at ? at + 1 : 0;
        w->own[i] = at;
    }
    const int64_t lane = count > 0 ? slot : 0;
    const source from = cached_rows(c, s, 1, lane, g);
    const source sinks = w->sinks ? cached_rows(c, s, 7, lane, g) : from;
    attend_runs(w, c, b, g, row, rows, &sinks, &from);
}

static void cached_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    const attention_shape s = cached_shape(c->node);
    const int64_t blocks = blocks_of(&s), lanes = cached_lanes(c->node);
    block w;
    block_init(&w, c, &s, lanes,
               (uint8_t *)c->workspace + (size_t)lane * scratch_bytes(lanes, s.d));
    int64_t begin, end;
    cpu_range(s.batch * s.key_heads * blocks, 1, task, n_tasks, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t column = unit / blocks;
        attend_cached(c, &w, column / s.key_heads, column % s.key_heads, unit % blocks * ROWS);
    }
}

const cpu_op cpu_attention_cached_int8 = {
    .n_phases = 1, .tasks = cached_tasks, .run = cached_run, .workspace = cached_workspace};
