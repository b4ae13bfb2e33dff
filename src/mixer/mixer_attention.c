/* mixer_attention.c: multi-head causal attention (Vaswani et al. 2017) with grouped keys (Ainslie
 * et al. 2023), rotary positions or linear biases (Press, Smith, Lewis 2021), query-key norm with a
 * gain per head (Henry et al. 2020), value residual (Zhou et al. 2024), and attention sinks (Xiao
 * et al. 2023).
 *
 * Keys are cached after rotation. Scores are q.k / sqrt(D); with query-key norm the gain, which
 * starts at 1.5, stretches them. */
#include "mixer/mixer_attention.h"

#include <math.h>

#define QK_GAIN 1.5f

typedef struct attention_mixer {
    mixer base;
    linear_layer wq, wk, wv, wo;
    variable *gain; /* [H], or NULL without query-key norm */
    variable *own,
        *shared; /* [1]: shares of the values made here and of the stack's first; or NULL */
    int64_t heads, kv_heads, head_size, sinks;
    int rope, alibi;
} attention_mixer;

static mixer *create(params *p, const char *prefix, const mixer_params *m) {
    attention_mixer *a = arena_alloc(&p->memory, sizeof *a);
    if (!a) {
        error_memory(&p->error, prefix, sizeof *a);
        return NULL;
    }
    a->base.kind = &mixer_attention;
    a->base.rule = m->rule;
    a->heads = m->heads;
    a->kv_heads = m->kv_heads;
    a->head_size = m->head_size;
    a->rope = m->rope;
    a->alibi = m->alibi;
    a->sinks = m->sinks;
    a->base.more_states = a->sinks ? 2 : 0;
    int64_t q = m->heads * m->head_size, kv = m->kv_heads * m->head_size;
    linear_create(&a->wq, p, prefix, "attn.wq", q, m->dim, m->bias, m->scale);
    linear_create(&a->wk, p, prefix, "attn.wk", kv, m->dim, m->bias, m->scale);
    linear_create(&a->wv, p, prefix, "attn.wv", kv, m->dim, m->bias, m->scale);
    linear_create(&a->wo, p, prefix, "attn.wo", m->dim, q, m->bias, m->output_scale);
    if (m->qk_norm)
        a->gain = params_add(p, prefix, "attn.gain", PARAM_VECTOR, (param_init){QK_GAIN, 0}, 1,
                             &m->heads);
    if (m->value_residual) {
        const int64_t one = 1;
        param_init half = {0.5f, 0};
        a->own = params_add(p, prefix, "attn.values.own", PARAM_VECTOR, half, 1, &one);
        a->shared = params_add(p, prefix, "attn.values.first", PARAM_VECTOR, half, 1, &one);
    }
    return &a->base;
}

static void state(const mixer *m, int index, mixer_state_spec *out) {
    const attention_mixer *a = (const attention_mixer *)m;
    static const char *const names[] = {"keys", "values", "sink_keys", "sink_values"};
    out->name = names[index];
    out->reach = 0;
    out->sinks = index < 2 ? 0 : a->sinks;
    out->layout = index % 2 == 0 ? LAYOUT_KEYS : LAYOUT_ROWS;
    out->int8 = index % 2 == 0 ? LAYOUT_KEYS_INT8 : LAYOUT_VALUES_INT8;
    out->d1 = a->kv_heads;
    out->d2 = a->head_size;
}

/* x[B,T,heads*D] to [B,T,heads,D]. */
static tensor *split_heads(graph *g, tensor *x, int64_t heads, int64_t head_size) {
    if (!x)
        return NULL;
    return graph_reshape(g, x, 4, (int64_t[]){x->dim[0], x->dim[1], heads, head_size});
}

/* Value residual: v p + q times the values of the stack's first mixer, at the same rows. They are
 * mixed before they are cached, so that no state is needed. */
static tensor *mix_values(graph *g, const attention_mixer *a, tensor *v, const level_rows *rows) {
    if (rows->values && !*rows->values)
        *rows->values = v;
    if (!a->own)
        return v;
    return add(g, mul_scalar(g, v, graph_variable(g, a->own)),
               mul_scalar(g, *rows->values, graph_variable(g, a->shared)));
}

/* The first rows' keys and values stay where no ring loses them. */
static tensor *attend_cached(graph *g, const attention_mixer *a, tensor *const qkv[3],
                             const level_rows *rows, variable *const *states, float scale) {
    tensor *slot = rows->slot, *pos = rows->pos, *count = rows->count;
    tensor *first = rows->first[a->base.rule], *sinks[2] = {NULL, NULL};
    tensor *keys = store(g, graph_variable(g, states[0]), qkv[1], slot, pos, count);
    tensor *values = store(g, graph_variable(g, states[1]), qkv[2], slot, pos, count);
    for (int i = 0; i < 2 && a->sinks; i++)
        sinks[i] = store_first(g, graph_variable(g, states[2 + i]), qkv[1 + i], slot, pos, count);
    tensor *o = attention_cached(g, qkv[0], keys, values, slot, pos, count, first, scale);
    return a->sinks ? attention_sinks(g, o, a->sinks, sinks[0], sinks[1]) : o;
}

static tensor *forward(graph *g, const mixer *m, tensor *x, const level_rows *rows,
                       variable *const *states) {
    const attention_mixer *a = (const attention_mixer *)m;
    float scale = (float)(1 / sqrt((double)a->head_size));
    tensor *q = split_heads(g, linear_forward(g, &a->wq, x), a->heads, a->head_size);
    tensor *k = split_heads(g, linear_forward(g, &a->wk, x), a->kv_heads, a->head_size);
    tensor *v = split_heads(g, linear_forward(g, &a->wv, x), a->kv_heads, a->head_size);
    v = mix_values(g, a, v, rows);
    if (a->gain) {
        q = norm(g, q, NULL, NULL, NORM_RMS, NORM_EPSILON);
        k = norm(g, k, NULL, NULL, NORM_RMS, NORM_EPSILON);
        q = scale_heads(g, q, graph_variable(g, a->gain));
    }
    if (a->rope) {
        q = rope(g, q, rows->table, 0);
        k = rope(g, k, rows->table, 0);
    }
    tensor *o;
    if (states) {
        o = attend_cached(g, a, (tensor *const[]){q, k, v}, rows, states, scale);
    } else {
        tensor *lse = NULL;
        o = attention(g, &lse, q, k, v, rows->first[m->rule], scale);
        if (a->sinks)
            o = attention_sinks(g, o, a->sinks, NULL, NULL);
    }
    if (a->alibi)
        o = attention_slopes(g, o);
    if (!o)
        return NULL;
    o = graph_reshape(g, o, 3, (int64_t[]){o->dim[0], o->dim[1], a->heads * a->head_size});
    return linear_forward(g, &a->wo, o);
}

const mixer_kind mixer_attention = {
    .name = "attention",
    .has_values = 1,
    .create = create,
    .n_states = 2,
    .state = state,
    .forward = forward,
};
