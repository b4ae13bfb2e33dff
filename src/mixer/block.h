/* block.h: norm, mixer, residual, norm, MLP, residual: what every level stacks, and the stack.
 *
 * Options, each off by default: what a block adds may lose elements to dropout in training; norms
 * may see half of the channels one row late (token shift); a block may begin with a share of the
 * stack's input (x0 mix). A stack may hold mixers of different kinds. */
#ifndef MIXER_BLOCK_H
#define MIXER_BLOCK_H

#include "mixer/mixer.h"

typedef struct block {
    norm_layer mixer_norm, mlp_norm;
    mixer *mixer;
    mlp_layer mlp;
    variable *keep, *again; /* [1]: of x0 mix, a and c; or NULL */
    int64_t dim;
    int token_shift;
    int shift_rule;  /* index of level_rows.first: the row before in its own group */
    int shift_start; /* before the first row of a group but row 0 stands row 0 */
    double dropout;
    int site; /* of the mixer's dropout; the MLP's is the next */
} block;

typedef struct block_params {
    const mixer_kind *const *kinds; /* of the blocks of a stack, one each */
    mixer_params mixer;             /* value_residual: of the blocks after the first with values */
    mlp_params mlp;
    norm_kind norm;
    float epsilon;    /* of the norms; 0: NORM_EPSILON */
    const int *rules; /* [n_blocks] of a stack: mixer.rule of each block; NULL: that of `mixer` */
    const int64_t *sinks; /* likewise mixer.sinks */
    int x0_mix, token_shift;
    int shift_rule, shift_start; /* of all blocks: see block */
    double dropout;
    int first_site; /* of the stack's first dropout; each block has two */
} block_params;

/* Block `index` of a stack. */
void block_create(block *b, params *p, const char *prefix, const block_params *m, int index);

/* What the block carries between calls: the mixer's states, then those of token shift. */
int block_states(const block *b);
void block_state(const block *b, int index, mixer_state_spec *out);

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
