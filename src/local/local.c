/* local.c: see local.h. */
#include "local/local.h"

void local_create(local_level *l, params *p, const char *prefix, const local_params *m) {
    embedder_create(&l->embedder, p, prefix, &m->embedder);
    block_stack_create(&l->stack, p, prefix, m->n_blocks, &m->block);
    l->softcap = m->softcap;
    l->head = l->embedder.bytes;
    if (!m->tied_head)
        l->head = params_add(p, prefix, "head", PARAM_TABLE, (param_init){0, 0}, 2,
                             (int64_t[]){m->embedder.vocabulary, m->embedder.dim});
    l->head_bias = NULL;
    if (m->head_bias)
        l->head_bias = params_add(p, prefix, "head.bias", PARAM_VECTOR, (param_init){0, 0}, 1,
                                  (int64_t[]){m->embedder.vocabulary});
}

tensor *local_forward(graph *g, const local_level *l, const level_rows *rows, tensor *parent,
                      variable *const *states) {
    tensor *x = embedder_forward(g, &l->embedder, rows, parent);
    tensor *y = block_stack_forward(g, &l->stack, x, rows, states);
    tensor *logits = linear(g, y, graph_variable(g, l->head));
    if (l->head_bias)
        logits = add_row(g, logits, graph_variable(g, l->head_bias));
    return l->softcap > 0 ? unary(g, logits, UNARY_SOFTCAP, l->softcap) : logits;
}
