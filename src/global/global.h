/* global.h: a level above the bytes: reads units, and hands each unit of the next level its slice.
 *
 * MegaByte steps 4 and 5: the stack runs over units; its output is cut into one slice for each unit
 * of the next level, and one shared matrix maps every slice to that level's width. Or a matrix with
 * a bias takes the whole output to all units of the next level, as in MEGABYTE-pytorch; or the
 * output goes on as it is, as in bGPT. */
#ifndef GLOBAL_GLOBAL_H
#define GLOBAL_GLOBAL_H

#include "mixer/block.h"
#include "patch/embedder.h"

typedef enum split_kind { SPLIT_BY_SLICE, SPLIT_BY_MATRIX, SPLIT_NOT } split_kind;

typedef struct global_level {
    embedder embedder;
    block_stack stack;
    split_kind kind;
    linear_layer split; /* [next dim, dim / patch], by matrix: [patch next dim, dim] */
    int64_t patch, next_dim;
} global_level;

typedef struct global_params {
    embedder_params embedder;
    block_params block;
    int n_blocks;
    split_kind split;
    int64_t patch;    /* units of the next level in one of this */
    int64_t next_dim; /* its width */
} global_params;

void global_create(global_level *l, params *p, const char *prefix, const global_params *m);

/* The slices for the next level, [B,T,patch,next_dim], unsplit [B,T,1,dim]; parent and states as in
 * embedder and block.
 */
tensor *global_forward(graph *g, const global_level *l, const level_rows *rows, tensor *parent,
                       variable *const *states);

#endif
