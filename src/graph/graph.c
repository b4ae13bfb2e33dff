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
    free((*g)->variable_slots);
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
        int keys = owner->variable && owner->variable->layout != LAYOUT_ROWS;
        int reads_keys = ((kind == OP_STORE || kind == OP_STORE_INT8) && i == 0) ||
                         (kind == OP_ATTENTION_CACHED && i == 1) ||
                         (kind == OP_ATTENTION_CACHED_INT8 && (i == 1 || i == 2));
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

tensor *graph_constant(graph *g, const char *name, dtype type, int rank, const int64_t *dim,
                       void **data) {
    tensor *t = graph_input(g, name, type, rank, dim);
    *data = t ? arena_alloc(&g->memory, tensor_bytes(t)) : NULL;
    if (!*data) {
        if (t)
            error_memory(&g->error, name, (double)tensor_bytes(t));
        return NULL;
    }
    t->constant = *data;
    return t;
}

/* The slot that holds the variable, or the empty one where it belongs. */
static int *slot_of(const graph *g, const variable *v) {
    size_t last = (size_t)g->n_slots - 1; /* n_slots is a power of two */
    size_t at = (size_t)((uint64_t)(uintptr_t)v * 0x9e3779b97f4a7c15u >> 32) & last;
    while (g->variable_slots[at] && g->tensors[g->variable_slots[at] - 1]->variable != v)
        at = (at + 1) & last;
    return &g->variable_slots[at];
}

/* Room for one more, the table at most half full. */
static int grow_slots(graph *g) {
    if (2 * (g->n_variables + 1) <= g->n_slots)
        return 1;
    int *old = g->variable_slots, n_old = g->n_slots;
    int n_slots = n_old ? 2 * n_old : 64;
    int *larger = calloc((size_t)n_slots, sizeof *larger);
    if (!larger)
        return 0;
    g->variable_slots = larger;
    g->n_slots = n_slots;
    for (int i = 0; i < n_old; i++)
        if (old[i])
            *slot_of(g, g->tensors[old[i] - 1]->variable) = old[i];
    free(old);
    return 1;
}

tensor *graph_variable(graph *g, variable *v) {
    if (g->error.code)
        return NULL;
    if (!grow_slots(g)) {
        error_memory(&g->error, "graph", 2 * (double)g->n_slots * sizeof(int));
        return NULL;
    }
    int *slot = slot_of(g, v);
    if (*slot)
        return g->tensors[*slot - 1];
    tensor *t = record_tensor(g, TENSOR_VARIABLE, DTYPE_F32, v->rank, v->dim);
    if (!t)
        return NULL;
    t->variable = v;
    t->name = v->name;
    *slot = t->id + 1;
    g->n_variables++;
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
