/* graph.c: the recording itself: tensors, nodes, sources and the sticky error. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "graph/record.h"

octet_status graph_create(graph **out, octet_error *error) {
    *out = calloc(1, sizeof **out);
    return *out ? OCTET_OK : error_memory(error, "graph", sizeof **out);
}

void graph_destroy(graph **g) {
    if (!g || !*g)
        return;
    arena_finish(&(*g)->memory);
    free((*g)->nodes);
    free((*g)->tensors);
    free(*g);
    *g = NULL;
}

octet_status graph_check(const graph *g, octet_error *error) {
    if (g->error.code && error)
        *error = g->error;
    return g->error.code;
}

static int grow(void **list, int n, int *capacity) {
    if (n < *capacity)
        return 1;
    int wanted = *capacity ? *capacity * 2 : 256;
    void *larger = realloc(*list, (size_t)wanted * sizeof(void *));
    if (!larger)
        return 0;
    *list = larger;
    *capacity = wanted;
    return 1;
}

tensor *record_tensor(graph *g, tensor_kind kind, dtype type, int rank, const int64_t *dim) {
    if (g->error.code)
        return NULL;
    int fits = rank >= 1 && rank <= TENSOR_MAX_RANK;
    for (int i = 0; i < rank && fits; i++)
        fits = dim[i] >= 0;
    if (!fits) {
        error_set(&g->error, OCTET_ERROR, "tensor: rank %d is not 1 to %d or a size is negative",
                  rank, TENSOR_MAX_RANK);
        return NULL;
    }
    tensor *t = arena_alloc(&g->memory, sizeof *t);
    if (!t || !grow((void **)&g->tensors, g->n_tensors, &g->tensors_capacity)) {
        error_memory(&g->error, "graph", sizeof *t);
        return NULL;
    }
    t->kind = kind;
    t->type = type;
    t->rank = rank;
    memcpy(t->dim, dim, (size_t)rank * sizeof *dim);
    t->id = g->n_tensors;
    g->tensors[g->n_tensors++] = t;
    return t;
}

static int types_fit(graph *g, op kind, int n_inputs, tensor *const *inputs) {
    for (int i = 0; i < n_inputs; i++) {
        char text[160];
        dtype wanted = op_integer_inputs(kind) >> i & 1 ? DTYPE_I32 : DTYPE_F32;
        if (!inputs[i])
            continue;
        const tensor *owner = tensor_storage(inputs[i]);
        int keys = owner->variable && owner->variable->layout == LAYOUT_KEYS;
        int reads_keys = (kind == OP_STORE && i == 0) || (kind == OP_ATTENTION_CACHED && i == 1);
        if (keys && !reads_keys) {
            error_set(&g->error, OCTET_ERROR, "%s: %s is kept as keys, only attention reads it",
                      op_name(kind), owner->name);
            return 0;
        }
        if (inputs[i]->type == wanted)
            continue;
        error_set(&g->error, OCTET_ERROR, "%s: %s is %s, %s is needed", op_name(kind),
                  tensor_describe(text, sizeof text, inputs[i]), dtype_name(inputs[i]->type),
                  dtype_name(wanted));
        return 0;
    }
    return 1;
}

node *record_node(graph *g, op kind, int n_inputs, tensor *const *inputs) {
    if (g->error.code || !types_fit(g, kind, n_inputs, inputs))
        return NULL;
    node *n = arena_alloc(&g->memory, sizeof *n);
    if (!n || !grow((void **)&g->nodes, g->n_nodes, &g->nodes_capacity)) {
        error_memory(&g->error, "graph", sizeof *n);
        return NULL;
    }
    n->op = kind;
    n->id = g->n_nodes;
    n->n_inputs = n_inputs;
    memcpy(n->input, inputs, (size_t)n_inputs * sizeof *inputs);
    g->nodes[g->n_nodes++] = n;
    return n;
}

tensor *record_result(graph *g, node *n, dtype type, int rank, const int64_t *dim) {
    if (!n)
        return NULL;
    tensor *t = record_tensor(g, TENSOR_RESULT, type, rank, dim);
    if (!t)
        return NULL;
    t->producer = n;
    n->output[n->n_outputs++] = t;
    return t;
}

tensor *record_in_place(graph *g, node *n, tensor *updated) {
    if (!n)
        return NULL;
    tensor *t = record_tensor(g, TENSOR_VIEW, updated->type, updated->rank, updated->dim);
    if (!t)
        return NULL;
    t->base = (tensor *)(uintptr_t)tensor_storage(updated);
    t->producer = n;
    n->output[n->n_outputs++] = t;
    return t;
}

tensor *graph_input(graph *g, const char *name, dtype type, int rank, const int64_t *dim) {
    tensor *t = record_tensor(g, TENSOR_INPUT, type, rank, dim);
    if (t)
        t->name = name;
    return t;
}

tensor *graph_variable(graph *g, variable *v) {
    for (int i = 0; i < g->n_tensors; i++)
        if (g->tensors[i]->variable == v)
            return g->tensors[i];
    tensor *t = record_tensor(g, TENSOR_VARIABLE, DTYPE_F32, v->rank, v->dim);
    if (!t)
        return NULL;
    t->variable = v;
    t->name = v->name;
    return t;
}

tensor *graph_output(graph *g, tensor *t) {
    if (t && !g->error.code)
        g->tensors[tensor_storage(t)->id]->is_output = 1;
    return t;
}

tensor *graph_reshape(graph *g, tensor *t, int rank, const int64_t *dim) {
    if (!t || g->error.code)
        return NULL;
    tensor *view = record_tensor(g, TENSOR_VIEW, t->type, rank, dim);
    if (!view)
        return NULL;
    view->base = g->tensors[tensor_storage(t)->id];
    view->producer = t->producer;
    if (tensor_elements(view) != tensor_elements(t)) {
        char from[160], to[160];
        error_set(&g->error, OCTET_ERROR, "reshape: %s does not fit into %s",
                  tensor_describe(from, sizeof from, t), tensor_describe(to, sizeof to, view));
        return NULL;
    }
    return view;
}
