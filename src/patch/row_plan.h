/* row_plan.h: fills the row plan of a level from bytes: the grouping of bytes into patches.
 *
 * Everything is counted inside one window (a stream's bytes since it last started anew). Row n of a
 * level predicts unit n. In the paper's layout it embeds unit n - 1, or the start when unit n is
 * the first of its sequence, and hangs on row n / group of the level above. Training, scoring and
 * sessions all fill their inputs here.
 *
 * In the layout of MEGABYTE-pytorch ("lucidrains") a unit hangs on the level above by the slice
 * that is its own, not by that of the unit it predicts, and a start hangs on nothing. Above the
 * bytes that is another slice in the same rows. The bytes' sequences there are one row longer, a
 * start and then all bytes of the patch, the last of which predicts the next patch's first byte.
 * The start rows of all sequences are equal, so one will do: row 0 is the start, row n embeds byte
 * n - 1 and sees row 0 beside the rows of its own patch. In that of bGPT a sequence begins with the
 * output of the level above, on which its other rows do not hang; the outermost begins with a given
 * patch. */
#ifndef PATCH_ROW_PLAN_H
#define PATCH_ROW_PLAN_H

#include <stdint.h>

#include "base/error.h"
#include "mixer/rows.h"
#include "patch/ngrams.h"

/* What a row sees of its sequence; layers with equal rules share an input. 0: no limit. */
typedef struct row_rule {
    int64_t window; /* so many rows, its own included */
    int64_t block;  /* rows from the last multiple of this on */
} row_rule;

typedef enum row_layout { ROWS_PAPER, ROWS_LUCIDRAINS, ROWS_BGPT } row_layout;

/* What the plan of a level hangs on. */
typedef struct level_shape {
    int64_t unit_bytes; /* bytes of one unit */
    int64_t group;      /* units in one unit of the level above; 0 at the outermost level */
    int64_t table_dim;  /* head size for rotary tables; 0 for none */
    int64_t table_rows; /* positions that the table holds, from row_table_create */
    double rope_base;
    double rope_scale; /* positions are divided by it */
    row_layout layout;
    int shared_start; /* the bytes of the layout "lucidrains": row 0 starts every sequence */
    int64_t slices;   /* rows of the level above's split output for each of its rows; 0: no level
                         above */
    int zero_start;   /* starts are symbol 0 instead of start vectors */
    int whole_start;  /* a start is one vector for the unit, picked by level_rows.unit */
    int turns_units;  /* embedded units are turned by level_rows.turn */
    int64_t vocabulary;
    int64_t planes; /* tables of bytes, one below the other: byte i of a window has table i mod
                       planes, which divides the outermost unit */
    const int32_t *given; /* bGPT's layout, outermost: the n_given symbols before the first byte,
                             which repeat */
    int32_t n_given;
    int64_t halo; /* bytes before a run that its encoder sees; 0 without an encoder */
    ngram_set ngrams;
    int64_t cross;         /* rows of the groups before its own that a row sees */
    const uint64_t *turns; /* [table_dim / 2]: rotary positions run on, see row_turns_create; or
                              NULL: they are places, and come from a table */
    row_rule rule[LEVEL_MAX_RULES];
    int n_rules;
} level_shape;

/* The rows of one stream for row_fill_stream. Row numbers have 64 bits; what goes into the graph
 * has 32, so `base`, a multiple of what rings and tiles divide, is taken off. */
typedef struct row_stream {
    const uint8_t *bytes; /* those from byte `origin` of the stream on */
    int64_t origin, base;
    const float *table; /* as row_fill */
} row_stream;

/* Host copies of the tensors of level_rows for B x T rows; absent ones are NULL. */
typedef struct row_arrays {
    int64_t batch, rows;
    int32_t *source, *run, *ngrams, *place, *parent, *unit, *turn;
    int32_t *first[LEVEL_MAX_RULES]; /* in one piece of memory, that of first[0] */
    float *table;
} row_arrays;

/* Allocates the arrays that the shape needs. */
octet_status row_arrays_create(row_arrays *a, const level_shape *shape, int64_t batch, int64_t rows,
                               octet_error *error);
void row_arrays_finish(row_arrays *a);

/* cos and sin of the positions below n: [n][D] with cos in the first D/2. Position t counts as t /
 * rope_scale (Chen et al. 2023). Computed in double by the exact functions and rounded once. A
 * table takes at most 4 MiB: a model is opened in no time whatever context it claims. Sets
 * shape->table_rows; row_fill computes the rows beyond, with the same bits. */
octet_status row_table_create(float **table, level_shape *shape, int64_t n, octet_error *error);

/* Rotary positions that run on without end: pair i turns by turns[i] 2^-64 of a full turn a row, so
 * row n stands at the turn n turns[i] mod 2^64, an integer that is exact for any n. *turns is
 * malloc'd. */
octet_status row_turns_create(uint64_t **turns, const level_shape *shape, octet_error *error);

/* cos[D/2] and sin[D/2] of row n by turns[D/2]; in double by the exact functions, rounded once. */
void row_turn(float *out, const uint64_t *turns, int64_t half, int64_t n);

/* The first row of the stream that row n sees under the rule; it never falls with n. */
int64_t row_first(const level_shape *shape, const row_rule *rule, int64_t n);

/* Bytes before the unit that a row embeds which its n-grams and its encoder see. */
int64_t row_look_back(const level_shape *shape);

/* The most rows that a row sees under the rule, its own included; INT64_MAX without a limit. */
int64_t row_reach(const level_shape *shape, const row_rule *rule);

/* The row of the level above that row n hangs on. */
int64_t row_parent(const level_shape *shape, int64_t n);

/* Rows that may run once `parents` rows of the level above have run. */
int64_t row_children_end(const level_shape *shape, int64_t parents);

/* Fills entry (b, t) for row n of a window that holds `bytes` (those of units below n must be
 * there; the rows of a lane follow one another). parent: where the level above has row
 * row_parent(n), counted over all lanes. table: of row_table_create. */
void row_fill(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
              const uint8_t *bytes, int64_t parent, const float *table);

/* row_fill for a stream whose first bytes may be gone. */
void row_fill_stream(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
                     int64_t parent, const row_stream *stream);

/* Of row_fill only source, run and n-grams: what changes when the same rows see other bytes. */
void row_fill_source(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t n,
                     const uint8_t *bytes);

/* Fills entry (b, t) for a padding row; pos: its row less the base. */
void row_fill_padding(row_arrays *a, const level_shape *shape, int64_t b, int64_t t, int64_t pos);

#endif
