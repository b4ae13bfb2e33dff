/* ops.c: the constructors: each checks shapes, records a node and gives the shape of the result. */
#include <stdio.h>
#include <string.h>

#include "graph/record.h"

static const char *const names[OP_COUNT] = {
#define ROW(ID, name) #name,
#define NONE(ID, name, reason) #name,
    OP_LIST(ROW, NONE)
#undef ROW
#undef NONE
};

static const char *const reasons[OP_COUNT] = {
#define ROW(ID, name) NULL,
#define NONE(ID, name, reason) reason,
    OP_LIST(ROW, NONE)
#undef ROW
#undef NONE
};

const char *op_name(op kind) {
    return names[kind];
}

unsigned op_integer_inputs(op kind) {
    static const unsigned bits[OP_COUNT] = {
        [OP_GATHER] = 1u << 2,
        [OP_GATHER_SUM] = 1u << 1,
        [OP_SCATTER] = 1u << 1,
        [OP_SHIFT] = 1u << 1,
        [OP_SHIFT_CACHED] = 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5,
        [OP_DROPOUT] = 1u << 1,
        [OP_ATTENTION] = 1u << 3,
        [OP_ATTENTION_GRAD] = 1u << 3,
        [OP_ATTENTION_CACHED] = 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6,
        [OP_STORE] = 1u << 2 | 1u << 3 | 1u << 4,
        [OP_ATTENTION_INT8] = 1u << 3,
        [OP_ATTENTION_CACHED_INT8] = 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6,
        [OP_STORE_INT8] = 1u << 2 | 1u << 3 | 1u << 4,
        [OP_CROSS_ENTROPY] = 1u << 1,
        [OP_CROSS_ENTROPY_GRAD] = 1u << 1,
    };
    return bits[kind];
}

const char *op_no_gradient(op kind) {
    return reasons[kind];
}

/* Keeps the first error: "op: a[..] does not go with b[..]: why". */
static tensor *refuse(graph *g, op kind, const tensor *a, const tensor *b, const char *why) {
    char left[160], right[160] = "";
    tensor_describe(left, sizeof left, a);
    if (b)
        tensor_describe(right, sizeof right, b);
    error_set(&g->error, OCTET_ERROR, "%s: %s does not go with %s: %s", op_name(kind), left,
              b ? right : "this op", why);
    return NULL;
}

/* False when recording has failed already or an input is missing because of it. */
static int ready(const graph *g, const tensor *a, const tensor *b) {
    return !g->error.code && a && b;
}

static int is_vector(const tensor *t, int64_t n) {
    return t->rank == 1 && t->dim[0] == n;
}

/* One input shape in, the same shape out. */
static tensor *record_like(graph *g, op kind, int n, tensor *const *inputs, const tensor *like,
                           op_params params) {
    node *made = record_node(g, kind, n, inputs);
    if (made)
        made->params = params;
    return record_result(g, made, DTYPE_F32, like->rank, like->dim);
}

tensor *matmul(graph *g, tensor *a, tensor *b, int transpose_a, int transpose_b) {
    if (!ready(g, a, b))
        return NULL;
    int64_t k = transpose_a ? tensor_rows(a) : tensor_columns(a);
    int64_t k_b = transpose_b ? tensor_columns(b) : tensor_rows(b);
    if (k != k_b) {
        char x[160], w[160];
        error_set(
            &g->error, OCTET_ERROR, "matmul: %s%s does not take %s%s: inner sizes %lld and %lld",
            tensor_describe(w, sizeof w, b), transpose_b ? "^T" : "",
            tensor_describe(x, sizeof x, a), transpose_a ? "^T" : "", (long long)k_b, (long long)k);
        return NULL;
    }
    int64_t dim[TENSOR_MAX_RANK];
    int rank = transpose_a ? 2 : a->rank;
    memcpy(dim, a->dim, sizeof dim);
    if (transpose_a)
        dim[0] = tensor_columns(a);
    dim[rank - 1] = transpose_b ? tensor_rows(b) : tensor_columns(b);
    tensor *inputs[] = {a, b};
    node *n = record_node(g, OP_MATMUL, 2, inputs);
    if (n) {
        n->params.matmul.transpose_a = transpose_a;
        n->params.matmul.transpose_b = transpose_b;
    }
    return record_result(g, n, DTYPE_F32, rank, dim);
}

tensor *linear(graph *g, tensor *x, tensor *w) {
    return g->arithmetic == ARITHMETIC_INT8 ? linear_int8(g, x, w) : matmul(g, x, w, 0, 1);
}

tensor *linear_int8(graph *g, tensor *x, tensor *w) {
    if (!ready(g, x, w))
        return NULL;
    if (tensor_columns(x) != tensor_columns(w) || tensor_columns(x) > INT8_MOST_TERMS)
        return refuse(g, OP_LINEAR_INT8, x, w, "equal last dimensions up to 131072 are needed");
    int64_t dim[TENSOR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = tensor_rows(w);
    node *last = g->n_nodes ? g->nodes[g->n_nodes - 1] : NULL;
    if (last && last->op == OP_LINEAR_INT8 && last->input[0] == x &&
        last->n_outputs < NODE_MAX_OUTPUTS && w->type == DTYPE_F32 && w->producer != last) {
        last->input[last->n_inputs++] = w; /* x is rounded once */
        return record_result(g, last, DTYPE_F32, x->rank, dim);
    }
    tensor *inputs[] = {x, w};
    return record_result(g, record_node(g, OP_LINEAR_INT8, 2, inputs), DTYPE_F32, x->rank, dim);
}

static tensor *binary(graph *g, op kind, tensor *a, tensor *b) {
    if (!ready(g, a, b))
        return NULL;
    if (!tensor_same_shape(a, b))
        return refuse(g, kind, a, b, "shapes differ");
    tensor *inputs[] = {a, b};
    return record_like(g, kind, 2, inputs, a, (op_params){0});
}

tensor *add(graph *g, tensor *a, tensor *b) {
    return binary(g, OP_ADD, a, b);
}

tensor *mul(graph *g, tensor *a, tensor *b) {
    return binary(g, OP_MUL, a, b);
}

tensor *add_row(graph *g, tensor *x, tensor *b) {
    if (!ready(g, x, b))
        return NULL;
    if (!is_vector(b, tensor_columns(x)))
        return refuse(g, OP_ADD_ROW, x, b, "last dimensions differ");
    tensor *inputs[] = {x, b};
    return record_like(g, OP_ADD_ROW, 2, inputs, x, (op_params){0});
}

tensor *sum_rows(graph *g, tensor *x) {
    if (!ready(g, x, x))
        return NULL;
    int64_t columns = tensor_columns(x);
    return record_result(g, record_node(g, OP_SUM_ROWS, 1, &x), DTYPE_F32, 1, &columns);
}

tensor *unary(graph *g, tensor *x, unary_kind kind, float c) {
    if (!ready(g, x, x))
        return NULL;
    const int32_t newton = g->arithmetic == ARITHMETIC_INT8;
    return record_like(g, OP_UNARY, 1, &x, x, (op_params){.unary = {(int32_t)kind, c, newton}});
}

tensor *unary_grad(graph *g, tensor *x, tensor *dy, unary_kind kind, float c) {
    if (!ready(g, x, dy))
        return NULL;
    if (!tensor_same_shape(x, dy))
        return refuse(g, OP_UNARY_GRAD, x, dy, "shapes differ");
    tensor *inputs[] = {x, dy};
    op_params params = {.unary = {(int32_t)kind, c, 0}};
    return record_like(g, OP_UNARY_GRAD, 2, inputs, x, params);
}

tensor *norm(graph *g, tensor *x, tensor *gain, tensor *bias, norm_kind kind, float epsilon) {
    if (!ready(g, x, x))
        return NULL;
    int64_t columns = tensor_columns(x);
    if (gain && !is_vector(gain, columns))
        return refuse(g, OP_NORM, x, gain, "gain has another length");
    if (bias && !is_vector(bias, columns))
        return refuse(g, OP_NORM, x, bias, "bias has another length");
    tensor *inputs[] = {x, gain, bias};
    const int32_t newton = g->arithmetic == ARITHMETIC_INT8;
    op_params params = {.norm = {(int32_t)kind, epsilon, newton}};
    return record_like(g, OP_NORM, 3, inputs, x, params);
}

void norm_grad(graph *g, tensor **dx, tensor **dgain, tensor **dbias, tensor *x, tensor *gain,
               tensor *dy, norm_kind kind, float epsilon) {
    if (!ready(g, x, dy))
        return;
    if (!tensor_same_shape(x, dy)) {
        refuse(g, OP_NORM_GRAD, x, dy, "shapes differ");
        return;
    }
    int64_t columns = tensor_columns(x);
    tensor *inputs[] = {x, gain, dy};
    node *n = record_node(g, OP_NORM_GRAD, 3, inputs);
    if (!n)
        return;
    n->params.norm.kind = (int32_t)kind;
    n->params.norm.epsilon = epsilon;
    *dx = record_result(g, n, DTYPE_F32, x->rank, x->dim);
    /* Outputs keep their places: an absent one leaves a NULL. */
    tensor **vectors[] = {dgain, dbias};
    for (int i = 0; i < 2; i++) {
        if (vectors[i])
            *vectors[i] = record_result(g, n, DTYPE_F32, 1, &columns);
        else
            n->output[n->n_outputs++] = NULL;
    }
}

tensor *scale_heads(graph *g, tensor *x, tensor *s) {
    if (!ready(g, x, s))
        return NULL;
    if (x->rank < 2 || !is_vector(s, x->dim[x->rank - 2]))
        return refuse(g, OP_SCALE_HEADS, x, s, "one scale a head is needed");
    tensor *inputs[] = {x, s};
    return record_like(g, OP_SCALE_HEADS, 2, inputs, x, (op_params){0});
}

tensor *dot_heads(graph *g, tensor *a, tensor *b) {
    if (!ready(g, a, b))
        return NULL;
    if (a->rank < 2 || !tensor_same_shape(a, b))
        return refuse(g, OP_DOT_HEADS, a, b, "shapes differ");
    tensor *inputs[] = {a, b};
    return record_result(g, record_node(g, OP_DOT_HEADS, 2, inputs), DTYPE_F32, 1,
                         &a->dim[a->rank - 2]);
}

tensor *gather(graph *g, tensor *x, tensor *start, tensor *index) {
    if (!ready(g, x, index))
        return NULL;
    if (x->rank != 2 || index->type != DTYPE_I32 || index->rank >= TENSOR_MAX_RANK)
        return refuse(g, OP_GATHER, x, index, "a matrix and i32 indices are needed");
    if (start && (start->rank != 2 || start->dim[1] != x->dim[1]))
        return refuse(g, OP_GATHER, x, start, "the second source has another width");
    int64_t dim[TENSOR_MAX_RANK];
    memcpy(dim, index->dim, sizeof dim);
    dim[index->rank] = x->dim[1];
    tensor *inputs[] = {x, start, index};
    return record_result(g, record_node(g, OP_GATHER, 3, inputs), DTYPE_F32, index->rank + 1, dim);
}

tensor *gather_sum(graph *g, tensor *x, tensor *index) {
    if (!ready(g, x, index))
        return NULL;
    if (x->rank != 2 || index->type != DTYPE_I32 || index->rank < 2)
        return refuse(g, OP_GATHER_SUM, x, index, "a matrix and i32 indices[..,U] are needed");
    int64_t dim[TENSOR_MAX_RANK];
    memcpy(dim, index->dim, sizeof dim);
    dim[index->rank - 1] = x->dim[1];
    tensor *inputs[] = {x, index};
    return record_result(g, record_node(g, OP_GATHER_SUM, 2, inputs), DTYPE_F32, index->rank, dim);
}

/* `each` indices for every row of dy. */
static tensor *record_scatter(graph *g, tensor *dy, tensor *index, int64_t n, int64_t each,
                              int from_start) {
    if (index->type != DTYPE_I32 || tensor_rows(dy) * each != tensor_elements(index))
        return refuse(g, OP_SCATTER, dy, index, "one i32 index a row is needed");
    if (tensor_elements(index) > INT32_MAX)
        return refuse(g, OP_SCATTER, dy, index, "rows are counted in 31 bits");
    tensor *inputs[] = {dy, index};
    node *made = record_node(g, OP_SCATTER, 2, inputs);
    if (made) {
        made->params.scatter.from_start = from_start;
        made->params.scatter.each = (int32_t)each;
    }
    int64_t dim[] = {n, tensor_columns(dy)};
    return record_result(g, made, DTYPE_F32, 2, dim);
}

tensor *scatter(graph *g, tensor *dy, tensor *index, int64_t n, int from_start) {
    return ready(g, dy, index) ? record_scatter(g, dy, index, n, 1, from_start) : NULL;
}

tensor *scatter_each(graph *g, tensor *dy, tensor *index, int64_t n) {
    return ready(g, dy, index) ? record_scatter(g, dy, index, n, tensor_columns(index), 0) : NULL;
}

tensor *rope(graph *g, tensor *x, tensor *table, int inverse) {
    if (!ready(g, x, table))
        return NULL;
    if (x->rank != 4 || table->rank != 3 || table->dim[0] != x->dim[0] ||
        table->dim[1] != x->dim[1] || table->dim[2] != x->dim[3] || x->dim[3] % 2)
        return refuse(g, OP_ROPE, x, table, "x[B,T,H,D], D even, and table[B,T,D] are needed");
    tensor *inputs[] = {x, table};
    return record_like(g, OP_ROPE, 2, inputs, x, (op_params){.rope = {inverse, 0}});
}

tensor *rope_neighbours(graph *g, tensor *y) {
    if (!ready(g, y, y))
        return NULL;
    if (!y->producer || y->producer->op != OP_ROPE) {
        error_set(&g->error, OCTET_ERROR, "rope_neighbours: the result of rope is needed");
        return NULL;
    }
    y->producer->params.rope.neighbours = 1;
    return y;
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
    if (!ready(g, q, k) || !ready(g, v, first))
        return NULL;
    if (!attention_shapes(q, k, v) || k->dim[0] != q->dim[0] || k->dim[1] != q->dim[1])
        return refuse(g, kind, q, k, "q[B,T,H,D] and k, v[B,T,G,D] are needed");
    if (!is_rows(first, q))
        return refuse(g, kind, q, first, "first[B,T] i32 is needed");
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
    refuse(g, kind, q, NULL, "more than 131072 keys");
    return 0;
}

tensor *attention_int8(graph *g, tensor *q, tensor *k, tensor *v, tensor *first, float scale) {
    if (!ready(g, q, k) || !sums_hold(g, OP_ATTENTION_INT8, q, k->dim[1]))
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
    if (!ready(g, q, k) || !ready(g, v, first) || !ready(g, o, lse) || !d_o)
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
    if (!ready(g, q, keys) || !ready(g, values, first))
        return NULL;
    if (is_int8(keys))
        return attention_cached_int8(g, q, keys, values, slot, pos, count, first, scale);
    if (!attention_shapes(q, keys, values) || keys->dim[1] % 32)
        return refuse(g, OP_ATTENTION_CACHED, q, keys,
                      "q[B,T,H,D] and keys, values[S,R,G,D], R a multiple of 32, are needed");
    if (!is_state(keys, LAYOUT_KEYS) || !is_state(values, LAYOUT_ROWS))
        return refuse(g, OP_ATTENTION_CACHED, keys, values,
                      "states of layout KEYS and ROWS are needed");
    if (!is_lane(slot, q->dim[0]) || !is_lane(pos, q->dim[0]) || !is_lane(count, q->dim[0]) ||
        !is_rows(first, q))
        return refuse(g, OP_ATTENTION_CACHED, q, first, "slot, pos, count[B], first[B,T] needed");
    tensor *inputs[] = {q, keys, values, slot, pos, count, first};
    op_params params = {.attention = {.scale = scale}};
    return record_like(g, OP_ATTENTION_CACHED, 7, inputs, q, params);
}

tensor *attention_cached_int8(graph *g, tensor *q, tensor *keys, tensor *values, tensor *slot,
                              tensor *pos, tensor *count, tensor *first, float scale) {
    const op kind = OP_ATTENTION_CACHED_INT8;
    if (!ready(g, q, keys) || !ready(g, values, first))
        return NULL;
    if (q->rank != 4 || keys->rank != 4 || !tensor_same_shape(keys, values) || keys->dim[2] <= 0 ||
        q->dim[2] % keys->dim[2] || keys->dim[3] != q->dim[3] + 1 || keys->dim[1] % 32)
        return refuse(g, kind, q, keys,
                      "q[B,T,H,D] and keys, values[S,R,G,D+1], R a multiple of 32, are needed");
    if (!is_state(keys, LAYOUT_KEYS_INT8) || !is_state(values, LAYOUT_VALUES_INT8))
        return refuse(g, kind, keys, values,
                      "states of layout KEYS_INT8 and VALUES_INT8 are needed");
    if (!is_lane(slot, q->dim[0]) || !is_lane(pos, q->dim[0]) || !is_lane(count, q->dim[0]) ||
        !is_rows(first, q))
        return refuse(g, kind, q, first, "slot, pos, count[B], first[B,T] needed");
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
    if (!ready(g, state, x))
        return NULL;
    if (is_int8(state))
        return store_int8(g, state, x, slot, pos, count);
    if (state->rank != x->rank || x->rank < 3 ||
        memcmp(state->dim + 2, x->dim + 2, (size_t)(x->rank - 2) * sizeof x->dim[0]))
        return refuse(g, OP_STORE, state, x, "state[S,R,...] and x[B,T,...] are needed");
    if (!is_lane(slot, x->dim[0]) || !is_lane(pos, x->dim[0]) || !is_lane(count, x->dim[0]))
        return refuse(g, OP_STORE, state, x, "slot, pos and count[B] are needed");
    tensor *inputs[] = {state, x, slot, pos, count};
    return record_in_place(g, record_node(g, OP_STORE, 5, inputs), state);
}

tensor *store_int8(graph *g, tensor *state, tensor *x, tensor *slot, tensor *pos, tensor *count) {
    if (!ready(g, state, x))
        return NULL;
    if (state->rank != 4 || x->rank != 4 || !is_int8(state) || state->dim[2] != x->dim[2] ||
        state->dim[3] != x->dim[3] + 1 || state->dim[1] % 32)
        return refuse(g, OP_STORE_INT8, state, x,
                      "a state[S,R,G,D+1] of integers, R a multiple of 32, and x[B,T,G,D] are "
                      "needed");
    if (!is_lane(slot, x->dim[0]) || !is_lane(pos, x->dim[0]) || !is_lane(count, x->dim[0]))
        return refuse(g, OP_STORE_INT8, state, x, "slot, pos and count[B] are needed");
    tensor *inputs[] = {state, x, slot, pos, count};
    return record_in_place(g, record_node(g, OP_STORE_INT8, 5, inputs), state);
}

tensor *shift(graph *g, tensor *x, tensor *first, int inverse) {
    if (!ready(g, x, first))
        return NULL;
    if (x->rank != 3 || !is_rows(first, x))
        return refuse(g, OP_SHIFT, x, first, "x[B,T,C] and first[B,T] i32 are needed");
    tensor *inputs[] = {x, first};
    return record_like(g, OP_SHIFT, 2, inputs, x, (op_params){.shift = {inverse, 0}});
}

tensor *shift_start(graph *g, tensor *y, tensor *state) {
    node *n = y ? y->producer : NULL;
    if (!ready(g, y, y))
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
    if (!ready(g, x, state) || !first)
        return NULL;
    if (x->rank != 3 || state->rank != 4 || state->dim[2] != 1 || state->dim[3] != x->dim[2] ||
        !is_state(state, LAYOUT_ROWS))
        return refuse(g, OP_SHIFT_CACHED, x, state, "x[B,T,C] and a state[S,R,1,C] are needed");
    if (!is_lane(slot, x->dim[0]) || !is_lane(pos, x->dim[0]) || !is_lane(count, x->dim[0]) ||
        !is_rows(first, x))
        return refuse(g, OP_SHIFT_CACHED, x, first, "slot, pos, count[B], first[B,T] needed");
    tensor *inputs[] = {x, state, slot, pos, count, first};
    return record_like(g, OP_SHIFT_CACHED, 6, inputs, x, (op_params){0});
}

tensor *dropout(graph *g, tensor *x, tensor *key, double rate, int site, int64_t first) {
    const double steps = 0x1p24; /* a draw is a multiple of its inverse */
    if (!ready(g, x, key))
        return NULL;
    if (key->type != DTYPE_I32 || !is_vector(key, 3))
        return refuse(g, OP_DROPOUT, x, key, "key[3] i32 is needed");
    if (!(rate >= 0 && rate < 1) || site < 0 || site >= DROPOUT_SITES || first < 0) {
        error_set(&g->error, OCTET_ERROR,
                  "dropout: rate %g, site %d: 0 to 1 and 0 to %d are needed", rate, site,
                  DROPOUT_SITES - 1);
        return NULL;
    }
    uint32_t threshold = (uint32_t)(rate * steps + 0.5);
    threshold = threshold < steps ? threshold : (uint32_t)steps - 1;
    tensor *inputs[] = {x, key};
    op_params params = {.dropout = {.threshold = threshold,
                                    .scale = (float)(steps / (steps - threshold)),
                                    .site = (uint32_t)site,
                                    .first_low = (uint32_t)first,
                                    .first_high = (uint32_t)((uint64_t)first >> 32)}};
    return record_like(g, OP_DROPOUT, 2, inputs, x, params);
}

tensor *cross_entropy(graph *g, tensor *logits, tensor *target) {
    if (!ready(g, logits, target))
        return NULL;
    if (target->type != DTYPE_I32 || target->rank + 1 != logits->rank ||
        memcmp(target->dim, logits->dim, (size_t)target->rank * sizeof target->dim[0]))
        return refuse(g, OP_CROSS_ENTROPY, logits, target, "one i32 target a row is needed");
    tensor *inputs[] = {logits, target};
    return record_result(g, record_node(g, OP_CROSS_ENTROPY, 2, inputs), DTYPE_F32, target->rank,
                         target->dim);
}

tensor *cross_entropy_grad(graph *g, tensor *logits, tensor *target, tensor *dnll) {
    if (!ready(g, logits, target) || !dnll)
        return NULL;
    if (tensor_elements(target) != tensor_rows(logits) || !tensor_same_shape(target, dnll))
        return refuse(g, OP_CROSS_ENTROPY_GRAD, logits, dnll, "one gradient a row is needed");
    tensor *inputs[] = {logits, target, dnll};
    return record_like(g, OP_CROSS_ENTROPY_GRAD, 3, inputs, logits, (op_params){0});
}

static const int64_t one_element[] = {1};

tensor *dot(graph *g, tensor *a, tensor *b) {
    if (!ready(g, a, b))
        return NULL;
    if (tensor_elements(a) != tensor_elements(b))
        return refuse(g, OP_DOT, a, b, "sizes differ");
    tensor *inputs[] = {a, b};
    return record_result(g, record_node(g, OP_DOT, 2, inputs), DTYPE_F32, 1, one_element);
}

tensor *mul_scalar(graph *g, tensor *x, tensor *s) {
    if (!ready(g, x, s))
        return NULL;
    if (!is_vector(s, 1))
        return refuse(g, OP_MUL_SCALAR, x, s, "one element is needed");
    tensor *inputs[] = {x, s};
    return record_like(g, OP_MUL_SCALAR, 2, inputs, x, (op_params){0});
}

tensor *norm_factor(graph *g, tensor *s, factor_kind kind, float c) {
    if (!ready(g, s, s))
        return NULL;
    if (!is_vector(s, 1))
        return refuse(g, OP_NORM_FACTOR, s, NULL, "one element is needed");
    return record_like(g, OP_NORM_FACTOR, 1, &s, s, (op_params){.factor = {(int32_t)kind, c}});
}

static int is_hyper(const tensor *t) {
    return t && t->type == DTYPE_F32 && is_vector(t, 8);
}

tensor *adamw(graph *g, tensor *w, tensor *gradient, tensor *m, tensor *v, tensor *factor,
              tensor *hyper) {
    if (!ready(g, w, gradient) || !ready(g, m, v) || !factor)
        return NULL;
    if (!tensor_same_shape(w, gradient) || !tensor_same_shape(w, m) || !tensor_same_shape(w, v) ||
        !is_hyper(hyper) || !is_vector(factor, 1))
        return refuse(g, OP_ADAMW, w, gradient, "shapes differ");
    tensor *inputs[] = {w, gradient, m, v, factor, hyper};
    node *n = record_node(g, OP_ADAMW, 6, inputs);
    tensor *updated = record_in_place(g, n, w);
    record_in_place(g, n, m);
    record_in_place(g, n, v);
    return updated;
}

tensor *momentum(graph *g, tensor *m, tensor *gradient, tensor *factor, tensor *hyper,
                 int nesterov) {
    if (!ready(g, m, gradient) || !factor)
        return NULL;
    if (!tensor_same_shape(m, gradient) || !is_hyper(hyper) || !is_vector(factor, 1))
        return refuse(g, OP_MOMENTUM, m, gradient, "shapes differ");
    tensor *inputs[] = {m, gradient, factor, hyper};
    node *n = record_node(g, OP_MOMENTUM, 4, inputs);
    if (n)
        n->params.momentum.nesterov = nesterov;
    tensor *u = record_result(g, n, DTYPE_F32, m->rank, m->dim);
    record_in_place(g, n, m);
    return u;
}

tensor *descend(graph *g, tensor *w, tensor *x, tensor *hyper, float multiplier) {
    if (!ready(g, w, x))
        return NULL;
    if (!tensor_same_shape(w, x) || !is_hyper(hyper))
        return refuse(g, OP_DESCEND, w, x, "shapes differ");
    tensor *inputs[] = {w, x, hyper};
    node *n = record_node(g, OP_DESCEND, 3, inputs);
    if (n)
        n->params.descend.multiplier = multiplier;
    return record_in_place(g, n, w);
}

tensor *lerp(graph *g, tensor *m, tensor *w, tensor *weight) {
    if (!ready(g, m, w) || !weight)
        return NULL;
    if (!tensor_same_shape(m, w) || !is_vector(weight, 1))
        return refuse(g, OP_LERP, m, w, "shapes differ");
    tensor *inputs[] = {m, w, weight};
    return record_in_place(g, record_node(g, OP_LERP, 3, inputs), m);
}
