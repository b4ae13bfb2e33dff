/* rows.h: the row plan of one level in one graph, as input tensors.
 *
 * A level runs over [B, rows], never over [B*K, P]: which bytes a row embeds, which row of the
 * level above it hangs on, where its sequence begins and what it predicts are data, filled in by
 * src/patch. Grouping bytes otherwise is other indices in the same graph. Tensors that a graph does
 * not need are NULL. */
#ifndef MIXER_ROWS_H
#define MIXER_ROWS_H

#include "graph/graph.h"

/* Of seeing, in one level, see row_rule in patch/row_plan.h: those of its layers, and token
 * shift's. */
#define LEVEL_LAYER_RULES 16
#define LEVEL_MAX_RULES (LEVEL_LAYER_RULES + 1)

typedef struct level_rows {
    int64_t batch, rows;
    tensor *source; /* i32 [B,T,U]: symbols of the unit before this row's; -1-u: start vector u */
    tensor *run;    /* i32 [B,12+T U], with an encoder: the symbols that it encodes, 12 before the
                       first unit; source then names rows of the encoded run */
    tensor *ngrams; /* i32 [B,T,U N]: rows of the tables of N n-grams that end at each byte */
    tensor *place;  /* i32 [B,T]: row of the table of learned positions, or GATHER_NONE */
    tensor *parent; /* i32 [B,T]: row of the level above's split output, or GATHER_NONE */
    tensor *unit;   /* i32 [B,T], where starts are one vector for the unit: the row's own number
                       b T + t, or -1: the start vector */
    tensor *turn;   /* i32 [B,T], where embedded units are turned: their position, 0 for a start */
    tensor *first[LEVEL_MAX_RULES]; /* i32 [B,T]: first row that this row sees, by rule */
    tensor *table;                  /* f32 [B,T,D]: cos and sin of the row's position */
    tensor *target;                 /* i32 [B,T]: the symbol that the row predicts, -1 for none */
    tensor *slot, *pos, *count;     /* i32 [B], with a state: see attention_cached in graph.h */
    tensor *key;                    /* i32 [3], in training: what dropout draws from, see graph.h */
    int64_t first_lane;             /* of the whole batch of a step, where this is one part of it */
    tensor **values; /* inside a stack: where the first mixer that has values [B,T,G,D] leaves them
                        for the later ones; NULL there before that */
} level_rows;

#endif
