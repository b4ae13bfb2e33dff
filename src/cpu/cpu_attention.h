/* cpu_attention.h: what attention and its gradient share on the CPU.
 *
 * The heads that use one key head are worked on together: row n of key head g is time t = n / R,
 * head g R + n % R, with R = H / G. Rows are worked on in blocks of 32. */
#ifndef CPU_CPU_ATTENTION_H
#define CPU_CPU_ATTENTION_H

#include "cpu/cpu.h"

/* Sizes of q[B,T,H,D] and k[B,T,G,D] (or a state [S,R,G,D]). */
typedef struct attention_shape {
    int64_t batch, time, heads, key_heads, d;
    int64_t repeat; /* heads of a key head */
    int64_t rows;   /* of a key head: time * repeat */
    int64_t blocks; /* of 32 rows */
    int64_t tiles;  /* of 32 keys */
    int64_t pitch;  /* floats from row to row in scratch: d, rounded up to whole cache lines */
} attention_shape;

attention_shape attention_shape_of(const tensor *q, const tensor *k);

/* Offset in [B,T,H] of row n of key head g in lane b. */
static inline int64_t attention_row(const attention_shape *s, int64_t b, int64_t g, int64_t n) {
    if (s->repeat == 1) /* a division costs as much as many elements */
        return (b * s->time + n) * s->heads + g;
    return (b * s->time + n / s->repeat) * s->heads + g * s->repeat + n % s->repeat;
}

/* The slope of a head's linear bias: see attention_slopes in graph.h. */
float attention_slope(int64_t head, int64_t heads);

/* How many rows from the first are worth working on together, when row i sees keys begin[i] <= j <
 * end[i]: as many as keep the keys that any of them sees below twice those that each sees. */
int attention_run(const int *begin, const int *end, int rows);

/* First and last key that any of the rows sees; equal when there is none. */
void attention_span(const int *begin, const int *end, int rows, int *first, int *last);

/* What a product over keys first <= l < last needs to leave out what row i, which sees begin[i] <=
 * l < end[i], does not see: sets bit i of seen[l - first] and returns seen; NULL where every row
 * sees all. */
const uint64_t *attention_seen(uint64_t *seen, const int *begin, const int *end, int rows,
                               int first, int last);

/* Whether key heads alone keep all threads busy: then a task owns heads, and packs what a head
 * needs just before it is used, while the cache holds it; else phase 0 packs all. */
int attention_by_head(const attention_shape *s, int n_lanes);

/* Average keys that a row of lane b of attention sees, from a sample of first[T]. */
double attention_reach(const int32_t *first, int64_t time);

/* Rows of one head that a task walks in blocks of 16 where all rows see few keys. */
#define ATTENTION_CHUNK 16

/* The most keys that a row sees where the kernels for near keys apply, else 0. */
int attention_near_reach(const cpu_call *c, const attention_shape *s, const int32_t *first);

/* How many chunks there are, of all lanes and heads, and which head and rows chunk `unit` has. */
int64_t attention_chunks(const attention_shape *s);
void attention_chunk(const attention_shape *s, int64_t unit, int64_t *b, int64_t *h, int64_t *begin,
                     int64_t *end);

/* Floats from a block of rows to the one that is likely to come next. */
int64_t attention_ahead(const attention_shape *s, int64_t b, int64_t h, int64_t t);

/* Sets what the block of 16 rows from t on sees: rows, before, split and seen[16]. */
void attention_near_block(attention_near *x, int *seen, const int32_t *first, int64_t t,
                          int64_t time);

#endif
