/* row_plan.c: see row_plan.h. */
#include "patch/row_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/exact.h"
#include "graph/op.h"

enum { TABLE_FLOATS = 1 << 20 };

void row_arrays_finish(row_arrays *a) {
    free(a->source);
    free(a->run);
    free(a->ngrams);
    free(a->place);
    free(a->parent);
    free(a->unit);
    free(a->turn);
    free(a->first[0]);
    free(a->table);
    memset(a, 0, sizeof *a);
}

octet_status row_arrays_create(row_arrays *a, const level_shape *shape, int64_t batch, int64_t rows,
                               octet_error *error) {
    size_t n = (size_t)(batch * rows), bytes = n * (size_t)shape->unit_bytes;
    size_t run = shape->halo ? bytes + (size_t)(batch * shape->halo) : 0;
    size_t ngrams = bytes * (size_t)ngram_count(&shape->ngrams);
    memset(a, 0, sizeof *a);
    a->batch = batch;
    a->rows = rows;
    a->source = calloc(bytes, sizeof *a->source);
    a->run = calloc(run + 1, sizeof *a->run);
    a->ngrams = calloc(ngrams + 1, sizeof *a->ngrams);
    a->place = calloc(n, sizeof *a->place);
    a->parent = calloc(n, sizeof *a->parent);
    a->unit = calloc(n, sizeof *a->unit);
    a->turn = calloc(n, sizeof *a->turn);
    size_t n_first = shape->n_rules > 1 ? (size_t)shape->n_rules : 1;
    a->first[0] = calloc(n * n_first, sizeof **a->first);
    for (size_t i = 1; i < n_first && a->first[0]; i++)
        a->first[i] = a->first[0] + i * n;
    a->table = calloc(n * (size_t)(shape->table_dim + 1), sizeof *a->table);
    if (a->source && a->run && a->ngrams && a->place && a->parent && a->unit && a->turn &&
        a->first[0] && a->table)
        return OCTET_OK;
    row_arrays_finish(a);
    return error_memory(error, "row plan", 4 * (double)(bytes + run + ngrams + 6 * n));
}

/* Pair i of positions [from, from + n) at out, rows of table_dim. */
static void fill_pair(float *out, const level_shape *shape, int64_t i, int64_t from, int64_t n) {
    int64_t half = shape->table_dim / 2;
    double frequency = exact_pow(shape->rope_base, -(double)i / (double)half);
    for (int64_t t = 0; t < n; t++) {
        double sine, cosine;
        exact_sincos((double)(from + t) / shape->rope_scale * frequency, &sine, &cosine);
        out[t * 2 * half + i] = (float)cosine;
        out[t * 2 * half + half + i] = (float)sine;
    }
}

octet_status row_table_create(float **table, level_shape *shape, int64_t n, octet_error *error) {
    int64_t most = TABLE_FLOATS / shape->table_dim;
    shape->table_rows = n < most ? n : most;
    *table = calloc((size_t)(shape->table_rows * shape->table_dim) + 1, sizeof **table);
    if (!*table)
        return error_memory(error, "rotary table",
                            (double)(shape->table_rows * shape->table_dim) * sizeof **table);
    for (int64_t i = 0; i < shape->table_dim / 2; i++)
        fill_pair(*table, shape, i, 0, shape->table_rows);
    return OCTET_OK;
}

static void fill_position(float *out, const level_shape *shape, int64_t t, const float *table) {
    if (t < shape->table_rows) {
        memcpy(out, table + t * shape->table_dim, (size_t)shape->table_dim * sizeof *out);
        return;
    }
    for (int64_t i = 0; i < shape->table_dim / 2; i++)
        fill_pair(out, shape, i, t, 1);
}

octet_status row_turns_create(uint64_t **turns, const level_shape *shape, octet_error *error) {
    const double full = 0x1.45f306dc9c883p+61; /* 2^64 / (2 pi) */
    int64_t half = shape->table_dim / 2;
    *turns = calloc((size_t)half + 1, sizeof **turns);
    if (!*turns)
        return error_memory(error, "rotary turns", (double)half * 8);
    for (int64_t i = 0; i < half; i++)
        (*turns)[i] = (uint64_t)(exact_pow(shape->rope_base, -(double)i / (double)half) /
                                 shape->rope_scale * full);
    return OCTET_OK;
}

void row_turn(float *out, const uint64_t *turns, int64_t half, int64_t n) {
    const double radians = 0x1.921fb54442d18p-62; /* 2 pi / 2^64 */
    for (int64_t i = 0; i < half; i++) {
        double sine, cosine;
        int64_t turn = (int64_t)((uint64_t)n * turns[i]); /* from -half a turn to half a turn */
        exact_sincos((double)turn * radians, &sine, &cosine);
        out[i] = (float)cosine;
        out[half + i] = (float)sine;
    }
}

/* 0 for a start. */
static int64_t place_in_group(const level_shape *shape, int64_t n) {
    if (shape->shared_start && n)
        return (n - 1) % shape->group + 1;
    return shape->group ? n % shape->group : n;
}

int64_t row_parent(const level_shape *shape, int64_t n) {
    if (shape->shared_start && n)
        return (n - 1) / shape->group;
    return shape->group ? n / shape->group : 0;
}

int64_t row_children_end(const level_shape *shape, int64_t parents) {
    return parents * shape->group + (shape->shared_start ? 1 : 0);
}

int64_t row_first(const level_shape *shape, const row_rule *rule, int64_t n) {
    int64_t first = shape->group ? n - place_in_group(shape, n) - shape->cross : 0;
    if (shape->shared_start && n)
        first++;
    int64_t window = rule->window ? n - rule->window + 1 : 0;
    int64_t block = rule->block ? n - n % rule->block : 0;
    first = window > first ? window : first;
    first = block > first ? block : first;
    return first > 0 ? first : 0;
}

int64_t row_reach(const level_shape *shape, const row_rule *rule) {
    int64_t reach = shape->group ? shape->group + shape->cross : INT64_MAX;
    reach = rule->window && rule->window < reach ? rule->window : reach;
    return rule->block && rule->block < reach ? rule->block : reach;
}

int64_t row_look_back(const level_shape *shape) {
    int64_t bytes = shape->halo;
    for (int n = 2; n <= NGRAM_MAX; n++)
        if (shape->ngrams.sizes >> n & 1 && n - 1 > bytes)
            bytes = n - 1;
    return bytes;
}

/* Where the encoded run of lane b has byte 0 of the unit that row t embeds. */
static int64_t place_in_run(const row_arrays *a, const level_shape *shape, int64_t b, int64_t t) {
    return b * (shape->halo + a->rows * shape->unit_bytes) + shape->halo + t * shape->unit_bytes;
}

/* The row of the table of bytes for a symbol at byte i of the window. */
static int32_t symbol_at(const level_shape *shape, int64_t i, int32_t symbol) {
    if (symbol >= shape->vocabulary)
        return GATHER_NONE;
    return (int32_t)(i % shape->planes * shape->vocabulary + symbol);
}

/* The symbols of the unit that begins at byte `begin` of the window; the first unit of a lane
 * brings those before it along. */
static void fill_run(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t begin,
                     const uint8_t *bytes, int64_t origin) {
    int32_t *run = a->run + place_in_run(a, shape, b, t);
    for (int64_t u = t ? 0 : -shape->halo; u < shape->unit_bytes; u++)
        run[u] =
            begin + u < 0 ? GATHER_NONE : symbol_at(shape, begin + u, bytes[begin + u - origin]);
}

/* With an encoder symbol 0 as a start is row 0 of the second source, the table of bytes. */
static int32_t start_of(const level_shape *shape, int64_t u) {
    if (shape->given)
        return symbol_at(shape, u, shape->given[u % shape->n_given]);
    if (shape->whole_start || shape->layout == ROWS_BGPT)
        return GATHER_NONE;
    if (shape->zero_start)
        return shape->halo ? -1 : 0;
    return (int32_t)(-1 - u);
}

/* The bytes begin with byte `origin` of the stream. */
static void fill_source(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
                        const uint8_t *bytes, int64_t origin) {
    int64_t unit = shape->unit_bytes, at = (b * a->rows + t) * unit, begin = (n - 1) * unit;
    int64_t encoded = place_in_run(a, shape, b, t);
    int starts = place_in_group(shape, n) == 0, count = ngram_count(&shape->ngrams);
    for (int64_t u = 0; u < unit; u++) {
        if (starts)
            a->source[at + u] = start_of(shape, u);
        else if (shape->halo)
            a->source[at + u] = (int32_t)(encoded + u);
        else
            a->source[at + u] = symbol_at(shape, begin + u, bytes[begin + u - origin]);
    }
    if (shape->halo)
        fill_run(a, shape, b, t, begin, bytes, origin);
    for (int64_t u = 0; u < unit && count; u++)
        ngram_indices(a->ngrams + (at + u) * count, &shape->ngrams, bytes, origin, begin + u + 1);
}

void row_fill_source(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
                     const uint8_t *bytes) {
    fill_source(a, shape, b, t, n, bytes, 0);
}

void row_fill(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
              const uint8_t *bytes, int64_t parent, const float *table) {
    const row_stream stream = {bytes, 0, 0, table};
    row_fill_stream(a, shape, b, t, n, parent, &stream);
}

/* Of the split outputs the one that a row at `place` of its sequence hangs on. */
static int32_t slice_of(const level_shape *shape, int64_t place, int64_t parent) {
    if (shape->layout == ROWS_PAPER)
        return (int32_t)(parent * shape->slices + place);
    if (shape->layout == ROWS_LUCIDRAINS)
        return place ? (int32_t)(parent * shape->slices + place - 1) : GATHER_NONE;
    return place ? GATHER_NONE : (int32_t)parent;
}

/* Row of the table of learned positions. In the paper's outermost level and in all of "lucidrains"
 * positions belong to the unit that is embedded, and a start has none; else to the row. */
static int32_t learned_place(const level_shape *shape, int64_t place) {
    if (shape->layout == ROWS_BGPT || (shape->layout == ROWS_PAPER && shape->group))
        return (int32_t)place;
    return place ? (int32_t)(place - 1) : GATHER_NONE;
}

void row_fill_stream(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
                     int64_t parent, const row_stream *stream) {
    int64_t at = b * a->rows + t, place = place_in_group(shape, n);
    fill_source(a, shape, b, t, n, stream->bytes, stream->origin);
    for (int i = 0; i < shape->n_rules; i++)
        a->first[i][at] = (int32_t)(row_first(shape, &shape->rule[i], n) - stream->base);
    a->parent[at] = slice_of(shape, place, parent);
    a->place[at] = learned_place(shape, place);
    a->unit[at] = place ? (int32_t)at : -1;
    a->turn[at] = place ? (int32_t)(place - 1) : 0;
    float *table = a->table + at * shape->table_dim;
    if (shape->turns)
        row_turn(table, shape->turns, shape->table_dim / 2, n);
    else if (shape->table_dim)
        fill_position(table, shape, place, stream->table);
}

void row_fill_padding(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t pos) {
    int64_t at = b * a->rows + t, unit = shape->unit_bytes, count = ngram_count(&shape->ngrams);
    int64_t run = place_in_run(a, shape, b, t);
    for (int64_t u = 0; u < unit; u++)
        a->source[at * unit + u] = GATHER_NONE;
    for (int64_t u = t ? 0 : -shape->halo; u < unit && shape->halo; u++)
        a->run[run + u] = GATHER_NONE;
    for (int64_t i = 0; i < unit * count; i++)
        a->ngrams[at * unit * count + i] = GATHER_NONE;
    for (int i = 0; i < LEVEL_MAX_RULES && a->first[i]; i++)
        a->first[i][at] = (int32_t)pos;
    a->parent[at] = GATHER_NONE;
    a->place[at] = GATHER_NONE;
    a->unit[at] = (int32_t)at;
    a->turn[at] = 0;
}
