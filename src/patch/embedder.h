/* embedder.h: what goes into a level: the bytes of a unit, its position, and the level above.
 *
 * MegaByte (Yu et al. 2023), megabyte steps 1 to 3 and 6: the bytes of a unit are embedded and
 * concatenated; the first unit has trained start vectors; learned positions are added (at the
 * outermost level with the unit that is embedded, so that the start has none); the level above adds
 * its slice. Two options see further back than the unit: an encoder over the embedded bytes, and
 * n-grams that end at each byte, which the first unit of a sequence has too.
 *
 * Two other ways to make a vector of a unit: the patch embedder of MEGABYTE-pytorch (byte vectors
 * side by side, layer norm, linear, layer norm), and that of bGPT (a linear layer over the one-hot
 * bytes of a patch, which is a sum of rows of a table). Their start is one vector for the unit. */
#ifndef PATCH_EMBEDDER_H
#define PATCH_EMBEDDER_H

#include "mixer/rows.h"
#include "nn/layers.h"
#include "patch/encoder.h"
#include "patch/ngrams.h"

typedef enum embedder_kind { EMBED_CONCAT, EMBED_NORMED, EMBED_ONE_HOT } embedder_kind;

typedef struct embedder {
    embedder_kind kind;
    variable *bytes; /* [planes V,E]: E = dim / unit bytes, normed: byte_width, one-hot: dim */
    variable *bias;  /* one-hot: [dim]; else NULL */
    norm_layer inner, outer; /* normed: of the byte vectors [U E], of the unit's [dim] */
    linear_layer mix;        /* normed: [dim,U E] */
    variable *start;     /* [U,E], normed and one-hot: [1,dim]; or NULL: starts are symbol 0 then */
    variable *positions; /* [places,dim], or NULL */
    int64_t turned; /* positions of rotary pairs over dim, which turn embedded units; 0: none */
    double rope_base;
    int encodes;
    encoder_layer encoder;
    ngram_layer ngrams;
} embedder;

typedef struct embedder_params {
    embedder_kind kind;
    int64_t dim, unit_bytes, vocabulary;
    int64_t planes;     /* tables of bytes, see level_shape */
    int64_t byte_width; /* normed: of the table of bytes */
    int64_t turned;     /* see embedder; at most 2^20 / dim */
    double rope_base;
    int64_t places; /* rows of the table of learned positions; 0 for none */
    int trained_start;
    float spread; /* standard deviation of the initial embeddings */
    int encodes;
    ngram_set ngrams;
    int64_t ngram_width;
    double scale; /* of the encoder's filters and of the n-grams' projection; see linear_create */
    double mix_scale; /* likewise of the normed embedder's linear layer */
} embedder_params;

void embedder_create(embedder *e, params *p, const char *prefix, const embedder_params *m);

/* x[B,T,dim]; parent[N,dim] are the split outputs of the level above, or NULL. */
tensor *embedder_forward(graph *g, const embedder *e, const level_rows *rows, tensor *parent);

#endif
