/* global.h: a level above the bytes: reads units, and hands each unit of the next level its slice.
 *
 * MegaByte steps 4 and 5: the stack runs over units; its output is cut into one slice for each unit
 * of the next level, and one shared matrix maps every slice to that level's width. */
#ifndef GLOBAL_GLOBAL_H
#define GLOBAL_GLOBAL_H

#include "mixer/block.h"
#include "patch/embedder.h"

typedef struct global_level {
    embedder embedder;
    block_stack stack;
    linear_layer split; /* [next dim, dim / patch] */
    int64_t patch, next_dim;
} global_level;

typedef struct global_params {
    embedder_params embedder;
    block_params block;
    int n_blocks;
    int64_t patch;    /* units of the next level in one of this */
    int64_t next_dim; /* its width */
} global_params;

void global_create(global_level *l, params *p, const char *prefix, const global_params *m);

/* The slices for the next level, [B,T,patch,next_dim]; parent and states as in embedder and block.
 */
tensor *global_forward(graph *g, const global_level *l, const level_rows *rows, tensor *parent,
                       variable *const *states);

#endif
