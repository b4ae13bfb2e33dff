/* local.h: the last level: the byte model inside a patch, and the output head.
 *
 * MegaByte steps 6 to 8. The head is the byte embedding itself (tied) or a table of its own that
 * starts at zero; a softcap bounds the logits to c tanh(z / c). */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "mixer/block.h"
#include "patch/embedder.h"

typedef struct local_level {
    embedder embedder;
    block_stack stack;
    variable *head;      /* [V,dim]; the embedding when tied */
    variable *head_bias; /* [V], or NULL */
    float softcap;       /* 0: none */
} local_level;

typedef struct local_params {
    embedder_params embedder;
    block_params block;
    int n_blocks;
    int tied_head, head_bias;
    float softcap;
} local_params;

void local_create(local_level *l, params *p, const char *prefix, const local_params *m);

/* logits[B,T,V]; parent and states as in embedder and block. */
tensor *local_forward(graph *g, const local_level *l, const level_rows *rows, tensor *parent,
                      variable *const *states);

#endif
