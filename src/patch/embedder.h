/* embedder.h: what goes into a level: the bytes of the unit before, its position, and the level
 * above.
 *
 * MegaByte (Yu et al. 2023), megabyte steps 1 to 3 and 6: the bytes of a unit are embedded and
 * concatenated; the first unit has trained start vectors; learned positions are added (at the
 * outermost level with the unit that is embedded, so that the start has none); the level above adds
 * its slice. Two options see further back than the unit: an encoder over the embedded bytes, and
 * n-grams that end at each byte, which the first unit of a sequence has too. */
#ifndef PATCH_EMBEDDER_H
#define PATCH_EMBEDDER_H

#include "mixer/rows.h"
#include "nn/params.h"
#include "patch/encoder.h"
#include "patch/ngrams.h"

typedef struct embedder {
    variable *bytes;     /* [V,E], E = dim / unit bytes */
    variable *start;     /* [unit bytes,E], or NULL: starts are symbol 0 then */
    variable *positions; /* [places,dim], or NULL */
    int encodes;
    encoder_layer encoder;
    ngram_layer ngrams;
} embedder;

typedef struct embedder_params {
    int64_t dim, unit_bytes, vocabulary;
    int64_t places; /* rows of the table of learned positions; 0 for none */
    int trained_start;
    float spread; /* standard deviation of the initial embeddings */
    int encodes;
    ngram_set ngrams;
    int64_t ngram_width;
    double scale; /* of the encoder's filters and of the n-grams' projection; see linear_create */
} embedder_params;

void embedder_create(embedder *e, params *p, const char *prefix, const embedder_params *m);

/* x[B,T,dim]; parent[N,dim] are the split outputs of the level above, or NULL. */
tensor *embedder_forward(graph *g, const embedder *e, const level_rows *rows, tensor *parent);

#endif
