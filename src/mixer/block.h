/* block.h: norm, mixer, residual, norm, MLP, residual: what every level stacks, and the stack. */
#ifndef MIXER_BLOCK_H
#define MIXER_BLOCK_H

#include "mixer/mixer.h"

typedef struct block {
    norm_layer mixer_norm, mlp_norm;
    mixer *mixer;
    mlp_layer mlp;
} block;

typedef struct block_params {
    const mixer_kind *kind;
    mixer_params mixer;
    mlp_params mlp;
    norm_kind norm;
    const int *rules; /* [n_blocks] of a stack: mixer.rule of each block; NULL: that of `mixer` */
} block_params;

void block_create(block *b, params *p, const char *prefix, const block_params *m);

/* x + mixer(norm(x)), then x + mlp(norm(x)); states as in mixer_kind. */
tensor *block_forward(graph *g, const block *b, tensor *x, const level_rows *rows,
                      variable *const *states);

/* Blocks one after the other and a last norm. */
typedef struct block_stack {
    block *blocks;
    int n_blocks;
    norm_layer last_norm;
} block_stack;

/* n_blocks blocks "prefix.blocks.I" with memory from p's arena. */
void block_stack_create(block_stack *s, params *p, const char *prefix, int n_blocks,
                        const block_params *m);

/* states: NULL, or the states of all blocks one after the other. */
tensor *block_stack_forward(graph *g, const block_stack *s, tensor *x, const level_rows *rows,
                            variable *const *states);

#endif
