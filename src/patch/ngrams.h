/* ngrams.h: embeddings of the last few bytes at once, beside that of the byte itself.
 *
 * Hashed n-gram embeddings (Pagnoni et al. 2024, BLT): every n has a table of rows, and the n bytes
 * that end at a byte choose one. Two bytes choose theirs exactly, more by a hash: n-grams that meet
 * in a row share it, which costs quality but is never wrong, because this is an input and no
 * probability. The tables lie one below the other in one parameter, the rows of all n side by side
 * go through one projection. Bytes of the window alone choose rows, so nothing is carried between
 * calls. */
#ifndef PATCH_NGRAMS_H
#define PATCH_NGRAMS_H

#include "nn/layers.h"

#define NGRAM_MAX 8

/* Which n-grams a level embeds. */
typedef struct ngram_set {
    int sizes;    /* bit n, 2 <= n <= NGRAM_MAX: n-grams of n bytes; 0: none */
    int64_t rows; /* of the table of an n above 2; pairs of bytes have 65,536 */
} ngram_set;

/* How many n. */
int ngram_count(const ngram_set *s);

/* Rows of all tables; each has one more than it needs, the last, for n-grams that would begin
 * before the window. */
int64_t ngram_table_rows(const ngram_set *s);

/* index[ngram_count]: the rows for the n-grams that end with byte end - 1 of the window; end <= 0
 * for a byte before it. bytes: those from byte `origin` of the window on, the last NGRAM_MAX before
 * `end` among them. */
void ngram_indices(int32_t *index, const ngram_set *s, const uint8_t *bytes, int64_t origin,
                   int64_t end);

typedef struct ngram_layer {
    variable *table;      /* [rows,width], or NULL: no n-grams */
    linear_layer project; /* [E, count width] */
} ngram_layer;

/* spread: of the tables. scale: of the projection, see linear_create. */
typedef struct ngram_params {
    ngram_set set;
    int64_t width, out;
    float spread;
    double scale;
} ngram_params;

void ngram_create(ngram_layer *l, params *p, const char *prefix, const ngram_params *m);

/* What is added to the embedded units, [B,T,U E], from index[B,T,U count]. */
tensor *ngram_forward(graph *g, const ngram_layer *l, tensor *index);

#endif
