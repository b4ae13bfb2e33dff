/* row_plan.h: fills the row plan of a level from bytes: the grouping of bytes into patches.
 *
 * Everything is counted inside one window (a stream's bytes since it last started anew). Row n of a
 * level predicts unit n: it embeds unit n - 1, or the start when unit n is the first of its
 * sequence, and hangs on row n / group of the level above. Training, scoring and sessions all fill
 * their inputs here. */
#ifndef PATCH_ROW_PLAN_H
#define PATCH_ROW_PLAN_H

#include <stdint.h>

#include "base/error.h"

/* What the plan of a level hangs on. */
typedef struct level_shape {
    int64_t unit_bytes; /* bytes of one unit */
    int64_t group;      /* units in one unit of the level above; 0 at the outermost level */
    int64_t table_dim;  /* head size for rotary tables; 0 for none */
    double rope_base;
    double rope_scale; /* positions are divided by it */
    int zero_start;    /* starts are symbol 0 instead of start vectors */
} level_shape;

/* Host copies of the tensors of level_rows for B x T rows; absent ones are NULL. */
typedef struct row_arrays {
    int64_t batch, rows;
    int32_t *source, *place, *parent, *first;
    float *table;
} row_arrays;

/* Allocates the arrays that the shape needs. */
octet_status row_arrays_create(row_arrays *a, const level_shape *shape, int64_t batch, int64_t rows,
                               octet_error *error);
void row_arrays_finish(row_arrays *a);

/* cos and sin of all positions below n: [n][D] with cos in the first D/2. Position t counts as t /
 * rope_scale (Chen et al. 2023). Computed in double by the exact functions and rounded once. */
octet_status row_table_create(float **table, const level_shape *shape, int64_t n,
                              octet_error *error);

/* Fills entry (b, t) for row n of a window that holds `bytes` (those of unit n - 1 must be there).
 * parent_base: index of the split output of slice 0 of the row's parent. table: of
 * row_table_create. */
void row_fill(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
              const uint8_t *bytes, int64_t parent_base, const float *table);

/* Of row_fill only the source: what changes when the same rows see other bytes. */
void row_fill_source(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
                     const uint8_t *bytes);

/* Fills entry (b, t) for a padding row. */
void row_fill_padding(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t pos);

#endif
