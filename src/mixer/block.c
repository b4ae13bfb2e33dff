/* block.c: see block.h. */
#include "mixer/block.h"

#include <stdio.h>

void block_create(block *b, params *p, const char *prefix, const block_params *m) {
    norm_create(&b->mixer_norm, p, prefix, "mixer_norm", m->mixer.dim, m->norm, m->mixer.bias);
    b->mixer = m->kind->create(p, prefix, &m->mixer);
    norm_create(&b->mlp_norm, p, prefix, "mlp_norm", m->mixer.dim, m->norm, m->mixer.bias);
    mlp_create(&b->mlp, p, prefix, &m->mlp);
}

tensor *block_forward(graph *g, const block *b, tensor *x, const level_rows *rows,
                      variable *const *states) {
    tensor *mixed = norm_forward(g, &b->mixer_norm, x);
    x = add(g, x, b->mixer->kind->forward(g, b->mixer, mixed, rows, states));
    return add(g, x, mlp_forward(g, &b->mlp, norm_forward(g, &b->mlp_norm, x)));
}

void block_stack_create(block_stack *s, params *p, const char *prefix, int n_blocks,
                        const block_params *m) {
    char name[64];
    s->n_blocks = n_blocks;
    s->blocks = arena_alloc(&p->memory, (size_t)n_blocks * sizeof *s->blocks);
    if (n_blocks && !s->blocks) {
        error_memory(&p->error, prefix, n_blocks * (double)sizeof *s->blocks);
        return;
    }
    for (int i = 0; i < n_blocks && !p->error.code; i++) {
        block_params here = *m;
        here.mixer.rule = m->rules ? m->rules[i] : m->mixer.rule;
        snprintf(name, sizeof name, "%s.blocks.%d", prefix, i);
        block_create(&s->blocks[i], p, name, &here);
    }
    norm_create(&s->last_norm, p, prefix, "last_norm", m->mixer.dim, m->norm, m->mixer.bias);
}

tensor *block_stack_forward(graph *g, const block_stack *s, tensor *x, const level_rows *rows,
                            variable *const *states) {
    for (int i = 0; i < s->n_blocks; i++) {
        x = block_forward(g, &s->blocks[i], x, rows, states);
        if (states)
            states += s->blocks[i].mixer->kind->n_states;
    }
    return norm_forward(g, &s->last_norm, x);
}
