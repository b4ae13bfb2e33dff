/* block.c: see block.h. */
#include "mixer/block.h"

#include <stdio.h>
#include <string.h>

/* Whether a block before `index` leaves values for it to take. */
static int has_first_values(const block_params *m, int index) {
    for (int i = 0; i < index; i++)
        if (m->kinds[i]->has_values)
            return 1;
    return 0;
}

static float epsilon_of(const block_params *m) {
    return m->epsilon > 0 ? m->epsilon : NORM_EPSILON;
}

void block_create(block *b, params *p, const char *prefix, const block_params *m, int index) {
    const int64_t one = 1;
    const mixer_kind *kind = m->kinds[index];
    mixer_params mixes = m->mixer;
    mixes.value_residual =
        m->mixer.value_residual && kind->has_values && has_first_values(m, index);
    mixes.rule = m->rules ? m->rules[index] : m->mixer.rule;
    mixes.sinks = m->sinks ? m->sinks[index] : m->mixer.sinks;
    norm_create(&b->mixer_norm, p, prefix, "mixer_norm", mixes.dim, m->norm, mixes.bias);
    b->mixer = kind->create(p, prefix, &mixes);
    norm_create(&b->mlp_norm, p, prefix, "mlp_norm", mixes.dim, m->norm, mixes.bias);
    b->mixer_norm.epsilon = b->mlp_norm.epsilon = epsilon_of(m);
    mlp_create(&b->mlp, p, prefix, &m->mlp);
    if (m->x0_mix) {
        b->keep = params_add(p, prefix, "x0_mix.x", PARAM_VECTOR, (param_init){1, 0}, 1, &one);
        b->again = params_add(p, prefix, "x0_mix.x0", PARAM_VECTOR, (param_init){0, 0}, 1, &one);
    }
    b->dim = mixes.dim;
    b->token_shift = m->token_shift;
    b->shift_rule = m->shift_rule;
    b->shift_start = m->shift_start;
    b->dropout = m->dropout;
    b->site = m->first_site + 2 * index;
}

static int mixer_states(const mixer *m) {
    return m->kind->n_states + m->more_states;
}

int block_states(const block *b) {
    return mixer_states(b->mixer) + (b->token_shift ? b->shift_start ? 4 : 2 : 0);
}

void block_state(const block *b, int index, mixer_state_spec *out) {
    static const char *const names[] = {"mixer_shift", "mlp_shift", "mixer_start", "mlp_start"};
    int of_mixer = mixer_states(b->mixer);
    memset(out, 0, sizeof *out);
    out->rule = b->mixer->rule;
    if (index < of_mixer) {
        b->mixer->kind->state(b->mixer, index, out);
        return;
    }
    out->name = names[index - of_mixer];
    out->sinks = index - of_mixer >= 2;
    out->rule = b->shift_rule;
    out->d1 = 1;
    out->d2 = b->dim;
    out->layout = LAYOUT_ROWS;
}

/* x as the next norm sees it, the mixer's (part 0) or the MLP's (part 1). shifts: NULL, or the
 * states that hold the rows of x for both, then those that hold row 0. */
static tensor *shifted(graph *g, const block *b, tensor *x, const level_rows *rows,
                       variable *const *shifts, int part) {
    if (!b->token_shift || !x)
        return x;
    tensor *first = rows->first[b->shift_rule], *start = NULL;
    if (!shifts) {
        x = shift(g, x, first, 0);
        return b->shift_start ? shift_start(g, x, NULL) : x;
    }
    tensor *slot = rows->slot, *pos = rows->pos, *count = rows->count;
    tensor *row = graph_reshape(g, x, 4, (int64_t[]){x->dim[0], x->dim[1], 1, x->dim[2]});
    tensor *kept = store(g, graph_variable(g, shifts[part]), row, slot, pos, count);
    if (b->shift_start)
        start = store_first(g, graph_variable(g, shifts[2 + part]), row, slot, pos, count);
    x = shift_cached(g, x, kept, slot, pos, count, first);
    return b->shift_start ? shift_start(g, x, start) : x;
}

/* What is added to the residual stream: y, in training without the elements that dropout drew. */
static tensor *dropped(graph *g, const block *b, tensor *y, const level_rows *rows, int site) {
    if (!rows->key || b->dropout <= 0 || !y)
        return y;
    return dropout(g, y, rows->key, b->dropout, site,
                   rows->first_lane * (tensor_elements(y) / rows->batch));
}

tensor *block_forward(graph *g, const block *b, tensor *x, const level_rows *rows,
                      variable *const *states) {
    variable *const *shifts = states ? states + mixer_states(b->mixer) : NULL;
    tensor *y = norm_forward(g, &b->mixer_norm, shifted(g, b, x, rows, shifts, 0));
    y = b->mixer->kind->forward(g, b->mixer, y, rows, states);
    x = add(g, x, dropped(g, b, y, rows, b->site));
    y = norm_forward(g, &b->mlp_norm, shifted(g, b, x, rows, shifts, 1));
    return add(g, x, dropped(g, b, mlp_forward(g, &b->mlp, y), rows, b->site + 1));
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
        snprintf(name, sizeof name, "%s.blocks.%d", prefix, i);
        block_create(&s->blocks[i], p, name, m, i);
    }
    norm_create(&s->last_norm, p, prefix, "last_norm", m->mixer.dim, m->norm, m->mixer.bias);
    s->last_norm.epsilon = epsilon_of(m);
}

/* The residual stream before block b: a x + c x0. */
static tensor *mix_x0(graph *g, const block *b, tensor *x, tensor *x0) {
    return add(g, mul_scalar(g, x, graph_variable(g, b->keep)),
               mul_scalar(g, x0, graph_variable(g, b->again)));
}

tensor *block_stack_forward(graph *g, const block_stack *s, tensor *x, const level_rows *rows,
                            variable *const *states) {
    level_rows own = *rows;
    tensor *values = NULL, *x0 = NULL;
    own.values = &values;
    if (s->n_blocks && s->blocks[0].keep)
        x0 = norm(g, x, NULL, NULL, NORM_RMS, NORM_EPSILON);
    for (int i = 0; i < s->n_blocks; i++) {
        const block *b = &s->blocks[i];
        if (x0)
            x = mix_x0(g, b, x, x0);
        x = block_forward(g, b, x, &own, states);
        if (states)
            states += block_states(b);
    }
    return norm_forward(g, &s->last_norm, x);
}
