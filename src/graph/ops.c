/* ops.c: the constructors: each checks shapes, records a node and gives the shape of the result.
 * Those of ops along a sequence are in ops_sequence.c. */
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
        [OP_DRAW_SYMBOL] = 1u << 3,
    };
    return bits[kind];
}

const char *op_no_gradient(op kind) {
    return reasons[kind];
}

tensor *record_refusal(graph *g, op kind, const tensor *a, const tensor *b, const char *why) {
    char left[160], right[160] = "";
    tensor_describe(left, sizeof left, a);
    if (b)
        tensor_describe(right, sizeof right, b);
    error_set(&g->error, OCTET_ERROR, "%s: %s does not go with %s: %s", op_name(kind), left,
              b ? right : "this op", why);
    return NULL;
}

int record_ready(const graph *g, const tensor *a, const tensor *b) {
    return !g->error.code && a && b;
}

static int is_vector(const tensor *t, int64_t n) {
    return t->rank == 1 && t->dim[0] == n;
}

tensor *record_like(graph *g, op kind, int n, tensor *const *inputs, const tensor *like,
                    op_params params) {
    node *made = record_node(g, kind, n, inputs);
    if (made)
        made->params = params;
    return record_result(g, made, DTYPE_F32, like->rank, like->dim);
}

tensor *matmul(graph *g, tensor *a, tensor *b, int transpose_a, int transpose_b) {
    if (!record_ready(g, a, b))
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
    if (!record_ready(g, x, w))
        return NULL;
    if (tensor_columns(x) != tensor_columns(w) || tensor_columns(x) > INT8_MOST_TERMS)
        return record_refusal(g, OP_LINEAR_INT8, x, w,
                              "equal last dimensions up to 131072 are needed");
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
    if (!record_ready(g, a, b))
        return NULL;
    if (!tensor_same_shape(a, b))
        return record_refusal(g, kind, a, b, "shapes differ");
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
    if (!record_ready(g, x, b))
        return NULL;
    if (!is_vector(b, tensor_columns(x)))
        return record_refusal(g, OP_ADD_ROW, x, b, "last dimensions differ");
    tensor *inputs[] = {x, b};
    return record_like(g, OP_ADD_ROW, 2, inputs, x, (op_params){0});
}

tensor *sum_rows(graph *g, tensor *x) {
    if (!record_ready(g, x, x))
        return NULL;
    int64_t columns = tensor_columns(x);
    return record_result(g, record_node(g, OP_SUM_ROWS, 1, &x), DTYPE_F32, 1, &columns);
}

tensor *unary(graph *g, tensor *x, unary_kind kind, float c) {
    if (!record_ready(g, x, x))
        return NULL;
    const int32_t newton = g->arithmetic == ARITHMETIC_INT8;
    return record_like(g, OP_UNARY, 1, &x, x, (op_params){.unary = {(int32_t)kind, c, newton}});
}

tensor *unary_grad(graph *g, tensor *x, tensor *dy, unary_kind kind, float c) {
    if (!record_ready(g, x, dy))
        return NULL;
    if (!tensor_same_shape(x, dy))
        return record_refusal(g, OP_UNARY_GRAD, x, dy, "shapes differ");
    tensor *inputs[] = {x, dy};
    op_params params = {.unary = {(int32_t)kind, c, 0}};
    return record_like(g, OP_UNARY_GRAD, 2, inputs, x, params);
}

tensor *norm(graph *g, tensor *x, tensor *gain, tensor *bias, norm_kind kind, float epsilon) {
    if (!record_ready(g, x, x))
        return NULL;
    int64_t columns = tensor_columns(x);
    if (gain && !is_vector(gain, columns))
        return record_refusal(g, OP_NORM, x, gain, "gain has another length");
    if (bias && !is_vector(bias, columns))
        return record_refusal(g, OP_NORM, x, bias, "bias has another length");
    tensor *inputs[] = {x, gain, bias};
    const int32_t newton = g->arithmetic == ARITHMETIC_INT8;
    op_params params = {.norm = {(int32_t)kind, epsilon, newton}};
    return record_like(g, OP_NORM, 3, inputs, x, params);
}

void norm_grad(graph *g, tensor **dx, tensor **dgain, tensor **dbias, tensor *x, tensor *gain,
               tensor *dy, norm_kind kind, float epsilon) {
    if (!record_ready(g, x, dy))
        return;
    if (!tensor_same_shape(x, dy)) {
        record_refusal(g, OP_NORM_GRAD, x, dy, "shapes differ");
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
    if (!record_ready(g, x, s))
        return NULL;
    if (x->rank < 2 || !is_vector(s, x->dim[x->rank - 2]))
        return record_refusal(g, OP_SCALE_HEADS, x, s, "one scale a head is needed");
    tensor *inputs[] = {x, s};
    return record_like(g, OP_SCALE_HEADS, 2, inputs, x, (op_params){0});
}

tensor *dot_heads(graph *g, tensor *a, tensor *b) {
    if (!record_ready(g, a, b))
        return NULL;
    if (a->rank < 2 || !tensor_same_shape(a, b))
        return record_refusal(g, OP_DOT_HEADS, a, b, "shapes differ");
    tensor *inputs[] = {a, b};
    return record_result(g, record_node(g, OP_DOT_HEADS, 2, inputs), DTYPE_F32, 1,
                         &a->dim[a->rank - 2]);
}

tensor *gather(graph *g, tensor *x, tensor *start, tensor *index) {
    if (!record_ready(g, x, index))
        return NULL;
    if (x->rank != 2 || index->type != DTYPE_I32 || index->rank >= TENSOR_MAX_RANK)
        return record_refusal(g, OP_GATHER, x, index, "a matrix and i32 indices are needed");
    if (start && (start->rank != 2 || start->dim[1] != x->dim[1]))
        return record_refusal(g, OP_GATHER, x, start, "the second source has another width");
    int64_t dim[TENSOR_MAX_RANK];
    memcpy(dim, index->dim, sizeof dim);
    dim[index->rank] = x->dim[1];
    tensor *inputs[] = {x, start, index};
    return record_result(g, record_node(g, OP_GATHER, 3, inputs), DTYPE_F32, index->rank + 1, dim);
}

tensor *gather_sum(graph *g, tensor *x, tensor *index) {
    if (!record_ready(g, x, index))
        return NULL;
    if (x->rank != 2 || index->type != DTYPE_I32 || index->rank < 2)
        return record_refusal(g, OP_GATHER_SUM, x, index,
                              "a matrix and i32 indices[..,U] are needed");
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
        return record_refusal(g, OP_SCATTER, dy, index, "one i32 index a row is needed");
    if (tensor_elements(index) > INT32_MAX)
        return record_refusal(g, OP_SCATTER, dy, index, "rows are counted in 31 bits");
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
    return record_ready(g, dy, index) ? record_scatter(g, dy, index, n, 1, from_start) : NULL;
}

tensor *scatter_each(graph *g, tensor *dy, tensor *index, int64_t n) {
    return record_ready(g, dy, index) ? record_scatter(g, dy, index, n, tensor_columns(index), 0)
                                      : NULL;
}

tensor *rope(graph *g, tensor *x, tensor *table, int inverse) {
    if (!record_ready(g, x, table))
        return NULL;
    if (x->rank != 4 || table->rank != 3 || table->dim[0] != x->dim[0] ||
        table->dim[1] != x->dim[1] || table->dim[2] != x->dim[3] || x->dim[3] % 2)
        return record_refusal(g, OP_ROPE, x, table,
                              "x[B,T,H,D], D even, and table[B,T,D] are needed");
    tensor *inputs[] = {x, table};
    return record_like(g, OP_ROPE, 2, inputs, x, (op_params){.rope = {inverse, 0}});
}

tensor *rope_neighbours(graph *g, tensor *y) {
    if (!record_ready(g, y, y))
        return NULL;
    if (!y->producer || y->producer->op != OP_ROPE) {
        error_set(&g->error, OCTET_ERROR, "rope_neighbours: the result of rope is needed");
        return NULL;
    }
    y->producer->params.rope.neighbours = 1;
    return y;
}

tensor *dropout(graph *g, tensor *x, tensor *key, double rate, int site, int64_t first) {
    const double steps = 0x1p24; /* a draw is a multiple of its inverse */
    if (!record_ready(g, x, key))
        return NULL;
    if (key->type != DTYPE_I32 || !is_vector(key, 3))
        return record_refusal(g, OP_DROPOUT, x, key, "key[3] i32 is needed");
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
    if (!record_ready(g, logits, target))
        return NULL;
    if (target->type != DTYPE_I32 || target->rank + 1 != logits->rank ||
        memcmp(target->dim, logits->dim, (size_t)target->rank * sizeof target->dim[0]))
        return record_refusal(g, OP_CROSS_ENTROPY, logits, target,
                              "one i32 target a row is needed");
    tensor *inputs[] = {logits, target};
    return record_result(g, record_node(g, OP_CROSS_ENTROPY, 2, inputs), DTYPE_F32, target->rank,
                         target->dim);
}

tensor *cross_entropy_grad(graph *g, tensor *logits, tensor *target, tensor *dnll) {
    if (!record_ready(g, logits, target) || !dnll)
        return NULL;
    if (tensor_elements(target) != tensor_rows(logits) || !tensor_same_shape(target, dnll))
        return record_refusal(g, OP_CROSS_ENTROPY_GRAD, logits, dnll,
                              "one gradient a row is needed");
    tensor *inputs[] = {logits, target, dnll};
    return record_like(g, OP_CROSS_ENTROPY_GRAD, 3, inputs, logits, (op_params){0});
}

tensor *draw_symbol(graph *g, tensor *logits, tensor *draw, tensor *settings, tensor *base,
                    int32_t end) {
    if (!record_ready(g, logits, draw) || !settings || !base)
        return NULL;
    const int64_t rows = tensor_rows(logits);
    if (!is_vector(draw, rows) || !is_vector(base, rows))
        return record_refusal(g, OP_DRAW_SYMBOL, logits, is_vector(draw, rows) ? base : draw,
                              "one draw and one base a row are needed");
    if (tensor_rows(settings) != rows || tensor_columns(settings) != 4 ||
        end >= tensor_columns(logits))
        return record_refusal(g, OP_DRAW_SYMBOL, logits, settings,
                              "four settings a row, and an end among the logits, are needed");
    tensor *inputs[] = {logits, draw, settings, base};
    node *n = record_node(g, OP_DRAW_SYMBOL, 4, inputs);
    if (n)
        n->params.draw_symbol.end = end;
    return record_result(g, n, DTYPE_I32, 1, &rows);
}

static const int64_t one_element[] = {1};

tensor *dot(graph *g, tensor *a, tensor *b) {
    if (!record_ready(g, a, b))
        return NULL;
    if (tensor_elements(a) != tensor_elements(b))
        return record_refusal(g, OP_DOT, a, b, "sizes differ");
    tensor *inputs[] = {a, b};
    return record_result(g, record_node(g, OP_DOT, 2, inputs), DTYPE_F32, 1, one_element);
}

tensor *mul_scalar(graph *g, tensor *x, tensor *s) {
    if (!record_ready(g, x, s))
        return NULL;
    if (!is_vector(s, 1))
        return record_refusal(g, OP_MUL_SCALAR, x, s, "one element is needed");
    tensor *inputs[] = {x, s};
    return record_like(g, OP_MUL_SCALAR, 2, inputs, x, (op_params){0});
}

tensor *norm_factor(graph *g, tensor *s, factor_kind kind, float c) {
    if (!record_ready(g, s, s))
        return NULL;
    if (!is_vector(s, 1))
        return record_refusal(g, OP_NORM_FACTOR, s, NULL, "one element is needed");
    return record_like(g, OP_NORM_FACTOR, 1, &s, s, (op_params){.factor = {(int32_t)kind, c}});
}

static int is_hyper(const tensor *t) {
    return t && t->type == DTYPE_F32 && is_vector(t, 8);
}

tensor *adamw(graph *g, tensor *w, tensor *gradient, tensor *m, tensor *v, tensor *factor,
              tensor *hyper) {
    if (!record_ready(g, w, gradient) || !record_ready(g, m, v) || !factor)
        return NULL;
    if (!tensor_same_shape(w, gradient) || !tensor_same_shape(w, m) || !tensor_same_shape(w, v) ||
        !is_hyper(hyper) || !is_vector(factor, 1))
        return record_refusal(g, OP_ADAMW, w, gradient, "shapes differ");
    tensor *inputs[] = {w, gradient, m, v, factor, hyper};
    node *n = record_node(g, OP_ADAMW, 6, inputs);
    tensor *updated = record_in_place(g, n, w);
    record_in_place(g, n, m);
    record_in_place(g, n, v);
    return updated;
}

tensor *momentum(graph *g, tensor *m, tensor *gradient, tensor *factor, tensor *hyper,
                 int nesterov) {
    if (!record_ready(g, m, gradient) || !factor)
        return NULL;
    if (!tensor_same_shape(m, gradient) || !is_hyper(hyper) || !is_vector(factor, 1))
        return record_refusal(g, OP_MOMENTUM, m, gradient, "shapes differ");
    tensor *inputs[] = {m, gradient, factor, hyper};
    node *n = record_node(g, OP_MOMENTUM, 4, inputs);
    if (n)
        n->params.momentum.nesterov = nesterov;
    tensor *u = record_result(g, n, DTYPE_F32, m->rank, m->dim);
    record_in_place(g, n, m);
    return u;
}

tensor *descend(graph *g, tensor *w, tensor *x, tensor *hyper, float multiplier) {
    if (!record_ready(g, w, x))
        return NULL;
    if (!tensor_same_shape(w, x) || !is_hyper(hyper))
        return record_refusal(g, OP_DESCEND, w, x, "shapes differ");
    tensor *inputs[] = {w, x, hyper};
    node *n = record_node(g, OP_DESCEND, 3, inputs);
    if (n)
        n->params.descend.multiplier = multiplier;
    return record_in_place(g, n, w);
}

tensor *lerp(graph *g, tensor *m, tensor *w, tensor *weight) {
    if (!record_ready(g, m, w) || !weight)
        return NULL;
    if (!tensor_same_shape(m, w) || !is_vector(weight, 1))
        return record_refusal(g, OP_LERP, m, w, "shapes differ");
    tensor *inputs[] = {m, w, weight};
    return record_in_place(g, record_node(g, OP_LERP, 3, inputs), m);
}
