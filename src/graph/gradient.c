/* gradient.c: the gradient of each op, in ops, and the walk that puts them together.
 *
 * graph_backward walks the nodes from the loss back to the first; a node whose output has a
 * gradient and whose inputs need one records its share. A tensor used several times gets the sum,
 * added in the order of the walk. Shares that nobody reads are dropped when the graph is compiled.
 */
#include <stdlib.h>

#include "graph/record.h"

static void gradient_matmul(graph *g, const node *n, tensor *const *dy) {
    tensor *a = n->input[0], *b = n->input[1], *d = dy[0];
    int ta = n->params.matmul.transpose_a, tb = n->params.matmul.transpose_b;
    record_gradient(g, a, ta ? matmul(g, b, d, tb, 1) : matmul(g, d, b, 0, !tb));
    record_gradient(g, b, tb ? matmul(g, d, a, 1, ta) : matmul(g, a, d, !ta, 0));
}

static void gradient_add(graph *g, const node *n, tensor *const *dy) {
    record_gradient(g, n->input[0], dy[0]);
    record_gradient(g, n->input[1], dy[0]);
}

static void gradient_mul(graph *g, const node *n, tensor *const *dy) {
    record_gradient(g, n->input[0], mul(g, dy[0], n->input[1]));
    record_gradient(g, n->input[1], mul(g, dy[0], n->input[0]));
}

static void gradient_add_row(graph *g, const node *n, tensor *const *dy) {
    record_gradient(g, n->input[0], dy[0]);
    record_gradient(g, n->input[1], sum_rows(g, dy[0]));
}

static void gradient_unary(graph *g, const node *n, tensor *const *dy) {
    unary_kind kind = (unary_kind)n->params.unary.kind;
    record_gradient(g, n->input[0], unary_grad(g, n->input[0], dy[0], kind, n->params.unary.c));
}

static void gradient_norm(graph *g, const node *n, tensor *const *dy) {
    tensor *dx = NULL, *dgain = NULL, *dbias = NULL;
    tensor *gain = n->input[1], *bias = n->input[2];
    norm_grad(g, &dx, gain ? &dgain : NULL, bias ? &dbias : NULL, n->input[0], gain, dy[0],
              (norm_kind)n->params.norm.kind, n->params.norm.epsilon);
    record_gradient(g, n->input[0], dx);
    if (gain)
        record_gradient(g, gain, dgain);
    if (bias)
        record_gradient(g, bias, dbias);
}

static void gradient_scale_heads(graph *g, const node *n, tensor *const *dy) {
    record_gradient(g, n->input[0], scale_heads(g, dy[0], n->input[1]));
    record_gradient(g, n->input[1], dot_heads(g, dy[0], n->input[0]));
}

static void gradient_dot_heads(graph *g, const node *n, tensor *const *dy) {
    record_gradient(g, n->input[0], scale_heads(g, n->input[1], dy[0]));
    record_gradient(g, n->input[1], scale_heads(g, n->input[0], dy[0]));
}

static void gradient_gather(graph *g, const node *n, tensor *const *dy) {
    tensor *x = n->input[0], *start = n->input[1], *index = n->input[2];
    record_gradient(g, x, scatter(g, dy[0], index, x->dim[0], 0));
    if (start)
        record_gradient(g, start, scatter(g, dy[0], index, start->dim[0], 1));
}

static void gradient_gather_sum(graph *g, const node *n, tensor *const *dy) {
    tensor *x = n->input[0];
    record_gradient(g, x, scatter_each(g, dy[0], n->input[1], x->dim[0]));
}

/* The table is data: positions are not learned through it. */
static void gradient_rope(graph *g, const node *n, tensor *const *dy) {
    tensor *dx = rope(g, dy[0], n->input[1], !n->params.rope.inverse);
    record_gradient(g, n->input[0], n->params.rope.neighbours ? rope_neighbours(g, dx) : dx);
}

static void gradient_shift(graph *g, const node *n, tensor *const *dy) {
    tensor *dx = shift(g, dy[0], n->input[1], !n->params.shift.inverse);
    record_gradient(g, n->input[0], n->params.shift.start ? shift_start(g, dx, NULL) : dx);
}

/* Draws again instead of keeping what was drawn. */
static void gradient_dropout(graph *g, const node *n, tensor *const *dy) {
    tensor *d = dy[0];
    node *made = record_node(g, OP_DROPOUT, 2, (tensor *[]){d, n->input[1]});
    if (made)
        made->params = n->params;
    record_gradient(g, n->input[0], record_result(g, made, DTYPE_F32, d->rank, d->dim));
}

static void gradient_attention(graph *g, const node *n, tensor *const *dy) {
    tensor *dq = NULL, *dk = NULL, *dv = NULL;
    if (n->n_outputs < 2) {
        error_set(&g->error, OCTET_ERROR, "attention: no gradient without lse");
        return;
    }
    if (!dy[0] || dy[1]) {
        error_set(&g->error, OCTET_ERROR, "attention: no gradient flows through lse");
        return;
    }
    attention_grad(g, &dq, &dk, &dv, n->input[0], n->input[1], n->input[2], n->input[3],
                   n->output[0], n->output[1], dy[0], n->params.attention.scale);
    if (n->params.attention.slopes)
        attention_slopes(g, dq);
    if (n->params.attention.sinks)
        attention_sinks(g, dq, n->params.attention.sinks, NULL, NULL);
    record_gradient(g, n->input[0], dq);
    record_gradient(g, n->input[1], dk);
    record_gradient(g, n->input[2], dv);
}

static void gradient_cross_entropy(graph *g, const node *n, tensor *const *dy) {
    record_gradient(g, n->input[0], cross_entropy_grad(g, n->input[0], n->input[1], dy[0]));
}

static void gradient_dot(graph *g, const node *n, tensor *const *dy) {
    tensor *a = n->input[0], *b = n->input[1];
    record_gradient(g, a, mul_scalar(g, b, dy[0]));
    record_gradient(g, b, mul_scalar(g, a, dy[0]));
}

static void gradient_mul_scalar(graph *g, const node *n, tensor *const *dy) {
    record_gradient(g, n->input[0], mul_scalar(g, dy[0], n->input[1]));
    record_gradient(g, n->input[1], dot(g, dy[0], n->input[0]));
}

static gradient_function *const gradients[OP_COUNT] = {
#define ROW(ID, name) gradient_##name,
#define NONE(ID, name, reason) NULL,
    OP_LIST(ROW, NONE)
#undef ROW
#undef NONE
};

gradient_function *gradient_of(op kind) {
    return gradients[kind];
}

void record_gradient(graph *g, tensor *t, tensor *contribution) {
    if (g->error.code || !contribution)
        return;
    tensor *owner = g->tensors[tensor_storage(t)->id];
    if (!tensor_same_shape(contribution, owner))
        contribution = graph_reshape(g, contribution, owner->rank, owner->dim);
    owner->gradient = owner->gradient ? add(g, owner->gradient, contribution) : contribution;
}

/* Marks the storage tensors that hang on a parameter or an f32 input. */
static void mark_wanted(const graph *g, unsigned char *wanted) {
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = g->tensors[i];
        int parameter = t->kind == TENSOR_VARIABLE && t->variable->kind == VARIABLE_PARAMETER;
        int input = t->kind == TENSOR_INPUT && t->type == DTYPE_F32 && !t->constant;
        wanted[i] = (unsigned char)(parameter || input);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const node *n = g->nodes[i];
        int any = 0;
        for (int k = 0; k < n->n_inputs; k++)
            any |= n->input[k] && wanted[tensor_storage(n->input[k])->id];
        for (int k = 0; k < n->n_outputs && any; k++)
            if (n->output[k])
                wanted[tensor_storage(n->output[k])->id] = 1;
    }
}

static void backward_node(graph *g, const node *n, const unsigned char *wanted) {
    tensor *d_output[NODE_MAX_OUTPUTS] = {NULL};
    int any = 0, asked = 0;
    for (int k = 0; k < n->n_outputs; k++) {
        if (n->output[k])
            d_output[k] = tensor_storage(n->output[k])->gradient;
        any |= d_output[k] != NULL;
    }
    for (int k = 0; k < n->n_inputs; k++)
        asked |= n->input[k] && wanted[tensor_storage(n->input[k])->id];
    if (!any || !asked)
        return;
    if (!gradients[n->op]) {
        error_set(&g->error, OCTET_ERROR, "%s has no gradient: %s", op_name(n->op),
                  op_no_gradient(n->op));
        return;
    }
    gradients[n->op](g, n, d_output);
}

void graph_backward(graph *g, tensor *loss) {
    static const float one = 1;
    if (g->error.code || !loss)
        return;
    if (tensor_elements(loss) != 1) {
        char text[160];
        error_set(&g->error, OCTET_ERROR, "backward: the loss %s must have one element",
                  tensor_describe(text, sizeof text, loss));
        return;
    }
    unsigned char *wanted = calloc((size_t)g->n_tensors, 1);
    if (!wanted) {
        error_memory(&g->error, "backward", g->n_tensors);
        return;
    }
    mark_wanted(g, wanted);
    tensor *seed = graph_input(g, "one", DTYPE_F32, loss->rank, loss->dim);
    if (seed)
        seed->constant = &one;
    record_gradient(g, loss, seed);
    for (int i = g->n_nodes - 1; i >= 0 && !g->error.code; i--)
        backward_node(g, g->nodes[i], wanted);
    free(wanted);
}

void graph_clear_gradients(graph *g) {
    for (int i = 0; i < g->n_tensors; i++)
        g->tensors[i]->gradient = NULL;
}
