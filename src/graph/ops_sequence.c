/* ops_sequence.c: the constructors of ops that look along a sequence, and of the states that they
 * keep: attention, store, shift. */
#include <string.h>

#include "graph/record.h"

static int is_vector(const tensor *t, int64_t n) {
    return t->rank == 1 && t->dim[0] == n;
}

static int attention_shapes(const tensor *q, const tensor *k, const tensor *v) {
    return q->rank == 4 && k->rank == 4 && tensor_same_shape(k, v) && k->dim[2] > 0 &&
           q->dim[2] % k->dim[2] == 0 && k->dim[3] == q->dim[3];
}

static int is_rows(const tensor *t, const tensor *q) {
    return t->type == DTYPE_I32 && t->rank == 2 && t->dim[0] == q->dim[0] && t->dim[1] == q->dim[1];
}

static tensor *record_attention(graph *g, op kind, tensor *q, tensor *k, tensor *v, tensor *first,
                                float scale) {
    if (!record_ready(g, q, k) || !record_ready(g, v, first))
        return NULL;
    if (!attention_shapes(q, k, v) || k->dim[0] != q->dim[0] || k->dim[1] != q->dim[1])
        return record_refusal(g, kind, q, k, "q[B,T,H,D] and k, v[B,T,G,D] are needed");
    if (!is_rows(first, q))
        return record_refusal(g, kind, q, first, "first[B,T] i32 is needed");
    tensor *inputs[] = {q, k, v, first};
    return record_like(g, kind, 4, inputs, q, (op_params){.attention = {.scale = scale}});
}

tensor *attention(graph *g, tensor **lse, tensor *q, tensor *k, tensor *v, tensor *first,
                  float scale) {
    if (g->arithmetic == ARITHMETIC_INT8)
        return attention_int8(g, q, k, v, first, scale);
    tensor *o = record_attention(g, OP_ATTENTION, q, k, v, first, scale);
    if (o && lse)
        *lse = record_result(g, o->producer, DTYPE_F32, 3, q->dim);
    return o;
}

/* Sums of integers hold so many keys, and each counts once where sinks are seen apart. */
static int sums_hold(graph *g, op kind, const tensor *q, int64_t keys) {
    if (keys <= INT8_MOST_TERMS)
        return 1;
    record_refusal(g, kind, q, NULL, "more than 131072 keys");
    return 0;
}

tensor *attention_int8(graph *g, tensor *q, tensor *k, tensor *v, tensor *first, float scale) {
    if (!record_ready(g, q, k) || !sums_hold(g, OP_ATTENTION_INT8, q, k->dim[1]))
        return NULL;
    return record_attention(g, OP_ATTENTION_INT8, q, k, v, first, scale);
}

/* False when recording has failed already. */
static int is_attention(graph *g, const tensor *o, const char *what) {
    if (!o || (o->producer &&
               (o->producer->op == OP_ATTENTION || o->producer->op == OP_ATTENTION_GRAD ||
                o->producer->op == OP_ATTENTION_CACHED || o->producer->op == OP_ATTENTION_INT8 ||
                o->producer->op == OP_ATTENTION_CACHED_INT8)))
        return o != NULL;
    error_set(&g->error, OCTET_ERROR, "%s: \"%s\" is no result of attention", what,
              o->producer ? op_name(o->producer->op) : "input");
    return 0;
}

tensor *attention_slopes(graph *g, tensor *o) {
    if (!is_attention(g, o, "attention_slopes"))
        return NULL;
    o->producer->params.attention.slopes = 1;
    return o;
}

void attention_grad(graph *g, tensor **dq, tensor **dk, tensor **dv, tensor *q, tensor *k,
                    tensor *v, tensor *first, tensor *o, tensor *lse, tensor *d_o, float scale) {
    if (!record_ready(g, q, k) || !record_ready(g, v, first) || !record_ready(g, o, lse) || !d_o)
        return;
    tensor *inputs[] = {q, k, v, first, o, lse, d_o};
    node *n = record_node(g, OP_ATTENTION_GRAD, 7, inputs);
    if (n)
        n->params.attention.scale = scale;
    *dq = record_result(g, n, DTYPE_F32, 4, q->dim);
    *dk = record_result(g, n, DTYPE_F32, 4, k->dim);
    *dv = record_result(g, n, DTYPE_F32, 4, v->dim);
}

static int is_state(const tensor *t, variable_layout layout) {
    const tensor *owner = tensor_storage(t);
    return owner->kind == TENSOR_VARIABLE && owner->variable->layout == layout;
}

static int is_int8(const tensor *t) {
    const tensor *owner = tensor_storage(t);
    return owner->kind == TENSOR_VARIABLE && variable_is_int8(owner->variable);
}

static int is_lane(const tensor *t, int64_t lanes) {
    return t && t->type == DTYPE_I32 && is_vector(t, lanes);
}

tensor *attention_cached(graph *g, tensor *q, tensor *keys, tensor *values, tensor *slot,
                         tensor *pos, tensor *count, tensor *first, float scale) {
    if (!record_ready(g, q, keys) || !record_ready(g, values, first))
        return NULL;
    if (is_int8(keys))
        return attention_cached_int8(g, q, keys, values, slot, pos, count, first, scale);
    if (!attention_shapes(q, keys, values) || keys->dim[1] % 32)
        return record_refusal(
            g, OP_ATTENTION_CACHED, q, keys,
            "q[B,T,H,D] and keys, values[S,R,G,D], R a multiple of 32, are needed");
    if (!is_state(keys, LAYOUT_KEYS) || !is_state(values, LAYOUT_ROWS))
        return record_refusal(g, OP_ATTENTION_CACHED, keys, values,
                              "states of layout KEYS and ROWS are needed");
    if (!is_lane(slot, q->dim[0]) || !is_lane(pos, q->dim[0]) || !is_lane(count, q->dim[0]) ||
        !is_rows(first, q))
        return record_refusal(g, OP_ATTENTION_CACHED, q, first,
                              "slot, pos, count[B], first[B,T] needed");
    tensor *inputs[] = {q, keys, values, slot, pos, count, first};
    op_params params = {.attention = {.scale = scale}};
    return record_like(g, OP_ATTENTION_CACHED, 7, inputs, q, params);
}

tensor *attention_cached_int8(graph *g, tensor *q, tensor *keys, tensor *values, tensor *slot,
                              tensor *pos, tensor *count, tensor *first, float scale) {
    const op kind = OP_ATTENTION_CACHED_INT8;
    if (!record_ready(g, q, keys) || !record_ready(g, values, first))
        return NULL;
    if (q->rank != 4 || keys->rank != 4 || !tensor_same_shape(keys, values) || keys->dim[2] <= 0 ||
        q->dim[2] % keys->dim[2] || keys->dim[3] != q->dim[3] + 1 || keys->dim[1] % 32)
        return record_refusal(
            g, kind, q, keys,
            "q[B,T,H,D] and keys, values[S,R,G,D+1], R a multiple of 32, are needed");
    if (!is_state(keys, LAYOUT_KEYS_INT8) || !is_state(values, LAYOUT_VALUES_INT8))
        return record_refusal(g, kind, keys, values,
                              "states of layout KEYS_INT8 and VALUES_INT8 are needed");
    if (!is_lane(slot, q->dim[0]) || !is_lane(pos, q->dim[0]) || !is_lane(count, q->dim[0]) ||
        !is_rows(first, q))
        return record_refusal(g, kind, q, first, "slot, pos, count[B], first[B,T] needed");
    if (!sums_hold(g, kind, q, keys->dim[1]))
        return NULL;
    tensor *inputs[] = {q, keys, values, slot, pos, count, first};
    return record_like(g, kind, 7, inputs, q, (op_params){.attention = {.scale = scale}});
}

/* Keys and values of sinks go with those of the cache that o was read from, and are older than o.
 */
static int are_first_rows(const tensor *o, int64_t sinks, const tensor *keys,
                          const tensor *values) {
    const node *n = o->producer;
    const tensor *ring = n->input[1];
    const int int8 = n->op == OP_ATTENTION_CACHED_INT8;
    if (!keys || !values || !is_state(keys, int8 ? LAYOUT_KEYS_INT8 : LAYOUT_KEYS) ||
        !is_state(values, int8 ? LAYOUT_VALUES_INT8 : LAYOUT_ROWS))
        return 0;
    return tensor_same_shape(keys, values) && keys->rank == 4 && keys->dim[0] == ring->dim[0] &&
           keys->dim[2] == ring->dim[2] && keys->dim[3] == ring->dim[3] && keys->dim[1] % 32 == 0 &&
           keys->dim[1] >= sinks && (!keys->producer || keys->producer->id < n->id) &&
           (!values->producer || values->producer->id < n->id);
}

tensor *attention_sinks(graph *g, tensor *o, int64_t sinks, tensor *keys, tensor *values) {
    if (!is_attention(g, o, "attention_sinks"))
        return NULL;
    node *n = o->producer;
    int cached = n->op == OP_ATTENTION_CACHED || n->op == OP_ATTENTION_CACHED_INT8;
    if (sinks < 0 || sinks > INT32_MAX || (!cached && (keys || values)) ||
        (cached && !are_first_rows(o, sinks, keys, values))) {
        error_set(&g->error, OCTET_ERROR,
                  "attention_sinks: %lld sinks of %s: 0 to 2^31 - 1 are possible, in a cache with "
                  "older keys, values[S,R,G,D] of S, G, D as there, R a multiple of 32, not below",
                  (long long)sinks, op_name(n->op));
        return NULL;
    }
    if (n->op == OP_ATTENTION_CACHED_INT8 &&
        !sums_hold(g, n->op, n->input[0], n->input[1]->dim[1] + sinks))
        return NULL;
    n->params.attention.sinks = (int32_t)sinks;
    if (cached) {
        n->input[7] = keys;
        n->input[8] = values;
        n->n_inputs = 9;
    }
    return o;
}

tensor *store_first(graph *g, tensor *state, tensor *x, tensor *slot, tensor *pos, tensor *count) {
    tensor *stored = store(g, state, x, slot, pos, count);
    if (stored)
        stored->producer->params.store.first = 1;
    return stored;
}

tensor *store(graph *g, tensor *state, tensor *x, tensor *slot, tensor *pos, tensor *count) {
    if (!record_ready(g, state, x))
        return NULL;
    if (is_int8(state))
        return store_int8(g, state, x, slot, pos, count);
    if (state->rank != x->rank || x->rank < 3 ||
        memcmp(state->dim + 2, x->dim + 2, (size_t)(x->rank - 2) * sizeof x->dim[0]))
        return record_refusal(g, OP_STORE, state, x, "state[S,R,...] and x[B,T,...] are needed");
    if (!is_lane(slot, x->dim[0]) || !is_lane(pos, x->dim[0]) || !is_lane(count, x->dim[0]))
        return record_refusal(g, OP_STORE, state, x, "slot, pos and count[B] are needed");
    tensor *inputs[] = {state, x, slot, pos, count};
    return record_in_place(g, record_node(g, OP_STORE, 5, inputs), state);
}

tensor *store_int8(graph *g, tensor *state, tensor *x, tensor *slot, tensor *pos, tensor *count) {
    if (!record_ready(g, state, x))
        return NULL;
    if (state->rank != 4 || x->rank != 4 || !is_int8(state) || state->dim[2] != x->dim[2] ||
        state->dim[3] != x->dim[3] + 1 || state->dim[1] % 32)
        return record_refusal(
            g, OP_STORE_INT8, state, x,
            "a state[S,R,G,D+1] of integers, R a multiple of 32, and x[B,T,G,D] are "
            "needed");
    if (!is_lane(slot, x->dim[0]) || !is_lane(pos, x->dim[0]) || !is_lane(count, x->dim[0]))
        return record_refusal(g, OP_STORE_INT8, state, x, "slot, pos and count[B] are needed");
    tensor *inputs[] = {state, x, slot, pos, count};
    return record_in_place(g, record_node(g, OP_STORE_INT8, 5, inputs), state);
}

tensor *shift(graph *g, tensor *x, tensor *first, int inverse) {
    if (!record_ready(g, x, first))
        return NULL;
    if (x->rank != 3 || !is_rows(first, x))
        return record_refusal(g, OP_SHIFT, x, first, "x[B,T,C] and first[B,T] i32 are needed");
    tensor *inputs[] = {x, first};
    return record_like(g, OP_SHIFT, 2, inputs, x, (op_params){.shift = {inverse, 0}});
}

tensor *shift_start(graph *g, tensor *y, tensor *state) {
    node *n = y ? y->producer : NULL;
    if (!record_ready(g, y, y))
        return NULL;
    int cached = n && n->op == OP_SHIFT_CACHED;
    int is_first = cached && state && is_state(state, LAYOUT_ROWS) && state->rank == 4 &&
                   state->dim[0] == n->input[1]->dim[0] && state->dim[2] == 1 &&
                   state->dim[3] == y->dim[2] && state->dim[1] >= 1 &&
                   (!state->producer || state->producer->id < n->id);
    if (!n || (!cached && (n->op != OP_SHIFT || state)) || (cached && !is_first)) {
        error_set(&g->error, OCTET_ERROR,
                  "shift_start: the result of shift is needed, or of shift_cached with an older "
                  "state[S,R,1,C] of S and C as there");
        return NULL;
    }
    n->params.shift.start = 1;
    if (cached) {
        n->input[6] = state;
        n->n_inputs = 7;
    }
    return y;
}

tensor *shift_cached(graph *g, tensor *x, tensor *state, tensor *slot, tensor *pos, tensor *count,
                     tensor *first) {
    if (!record_ready(g, x, state) || !first)
        return NULL;
    if (x->rank != 3 || state->rank != 4 || state->dim[2] != 1 || state->dim[3] != x->dim[2] ||
        !is_state(state, LAYOUT_ROWS))
        return record_refusal(g, OP_SHIFT_CACHED, x, state,
                              "x[B,T,C] and a state[S,R,1,C] are needed");
    if (!is_lane(slot, x->dim[0]) || !is_lane(pos, x->dim[0]) || !is_lane(count, x->dim[0]) ||
        !is_rows(first, x))
        return record_refusal(g, OP_SHIFT_CACHED, x, first,
                              "slot, pos, count[B], first[B,T] needed");
    tensor *inputs[] = {x, state, slot, pos, count, first};
    return record_like(g, OP_SHIFT_CACHED, 6, inputs, x, (op_params){0});
}
