/* global.c: see global.h. */
#include "global/global.h"

void global_create(global_level *l, params *p, const char *prefix, const global_params *m) {
    l->patch = m->patch;
    l->next_dim = m->next_dim;
    embedder_create(&l->embedder, p, prefix, &m->embedder);
    block_stack_create(&l->stack, p, prefix, m->n_blocks, &m->block);
    l->kind = m->split;
    if (m->split == SPLIT_BY_SLICE)
        linear_create(&l->split, p, prefix, "split", m->next_dim, m->embedder.dim / m->patch, 0,
                      m->block.mixer.scale);
    else if (m->split == SPLIT_BY_MATRIX)
        linear_create(&l->split, p, prefix, "split", m->patch * m->next_dim, m->embedder.dim, 1,
                      m->block.mixer.scale);
}

tensor *global_forward(graph *g, const global_level *l, const level_rows *rows, tensor *parent,
                       variable *const *states) {
    tensor *x = embedder_forward(g, &l->embedder, rows, parent);
    tensor *y = block_stack_forward(g, &l->stack, x, rows, states);
    if (!y)
        return NULL;
    if (l->kind == SPLIT_BY_MATRIX)
        y = linear_forward(g, &l->split, y);
    if (!y)
        return NULL;
    int64_t slices = l->kind == SPLIT_NOT ? 1 : l->patch;
    y = graph_reshape(g, y, 4, (int64_t[]){rows->batch, rows->rows, slices, y->dim[2] / slices});
    return l->kind == SPLIT_BY_SLICE ? linear_forward(g, &l->split, y) : y;
}
