/* row_plan.c: see row_plan.h. */
#include "patch/row_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/exact.h"
#include "graph/op.h"

void row_arrays_finish(row_arrays *a) {
    free(a->source);
    free(a->place);
    free(a->parent);
    free(a->first);
    free(a->table);
    memset(a, 0, sizeof *a);
}

octet_status row_arrays_create(row_arrays *a, const level_shape *shape, int64_t batch, int64_t rows,
                               octet_error *error) {
    size_t n = (size_t)(batch * rows);
    memset(a, 0, sizeof *a);
    a->batch = batch;
    a->rows = rows;
    a->source = calloc(n * (size_t)shape->unit_bytes, sizeof *a->source);
    a->place = calloc(n, sizeof *a->place);
    a->parent = calloc(n, sizeof *a->parent);
    a->first = calloc(n, sizeof *a->first);
    a->table = calloc(n * (size_t)(shape->table_dim + 1), sizeof *a->table);
    if (a->source && a->place && a->parent && a->first && a->table)
        return OCTET_OK;
    row_arrays_finish(a);
    return error_memory(error, "row plan", (double)n * (double)(shape->unit_bytes + 4) * 4);
}

octet_status row_table_create(float **table, const level_shape *shape, int64_t n,
                              octet_error *error) {
    int64_t half = shape->table_dim / 2;
    *table = calloc((size_t)(n * shape->table_dim) + 1, sizeof **table);
    if (!*table)
        return error_memory(error, "rotary table", (double)n * (double)shape->table_dim * 4);
    for (int64_t i = 0; i < half; i++) {
        double frequency = exact_pow(shape->rope_base, -(double)i / (double)half);
        for (int64_t t = 0; t < n; t++) {
            double sine, cosine;
            exact_sincos((double)t / shape->rope_scale * frequency, &sine, &cosine);
            (*table)[t * 2 * half + i] = (float)cosine;
            (*table)[t * 2 * half + half + i] = (float)sine;
        }
    }
    return OCTET_OK;
}

static int64_t place_in_group(const level_shape *shape, int64_t n) {
    return shape->group ? n % shape->group : n;
}

void row_fill_source(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
                     const uint8_t *bytes) {
    int64_t unit = shape->unit_bytes;
    int32_t *source = a->source + (b * a->rows + t) * unit;
    int starts = place_in_group(shape, n) == 0;
    for (int64_t u = 0; u < unit; u++) {
        int32_t start = shape->zero_start ? 0 : (int32_t)(-1 - u);
        source[u] = starts ? start : bytes[(n - 1) * unit + u];
    }
}

void row_fill(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
              const uint8_t *bytes, int64_t parent_base, const float *table) {
    int64_t at = b * a->rows + t, place = place_in_group(shape, n);
    row_fill_source(a, shape, b, t, n, bytes);
    a->first[at] = (int32_t)(n - place);
    a->parent[at] = (int32_t)(parent_base + place);
    /* The outermost level's positions belong to the unit that is embedded; inside a group they
     * belong to the row. */
    if (shape->group)
        a->place[at] = (int32_t)place;
    else
        a->place[at] = n == 0 ? GATHER_NONE : (int32_t)(n - 1);
    if (shape->table_dim)
        memcpy(a->table + at * shape->table_dim, table + place * shape->table_dim,
               (size_t)shape->table_dim * sizeof *table);
}

void row_fill_padding(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t pos) {
    int64_t at = b * a->rows + t;
    for (int64_t u = 0; u < shape->unit_bytes; u++)
        a->source[at * shape->unit_bytes + u] = GATHER_NONE;
    a->first[at] = (int32_t)pos;
    a->parent[at] = GATHER_NONE;
    a->place[at] = GATHER_NONE;
}
