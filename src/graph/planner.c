/* planner.c: see planner.h. */
#include "graph/planner.h"

#include <stdlib.h>

#include "graph/plan.h"

typedef struct planner {
    backend base;
    planner_bytes total;
} planner;

/* What stands for a variable's memory. */
typedef struct planned_variable {
    size_t bytes;
    size_t packed; /* bytes of the form that a product reads; 0: none does */
} planned_variable;

typedef struct planned_program {
    program base;
    size_t bytes;
} planned_program;

static size_t *kind_total(planner *p, const variable *v) {
    return v->kind == VARIABLE_STATE ? &p->total.states : &p->total.parameters;
}

static octet_status allocate(backend *b, variable *v, octet_error *error) {
    planned_variable *made = calloc(1, sizeof *made);
    if (!made)
        return error_memory(error, v->name, sizeof *made);
    made->bytes = variable_bytes(v);
    *kind_total((planner *)b, v) += made->bytes;
    v->memory = made;
    return OCTET_OK;
}

static void release(backend *b, variable *v) {
    planner *p = (planner *)b;
    planned_variable *gone = v->memory;
    *kind_total(p, v) -= gone->bytes;
    p->total.packed -= gone->packed;
    free(gone);
    v->memory = NULL;
}

static octet_status refuse(octet_error *error, const char *what) {
    return error_set(error, OCTET_ERROR, "%s: a planner holds no values", what);
}

static octet_status write_variable(backend *b, variable *v, int64_t first, int64_t n,
                                   const void *data, octet_error *error) {
    (void)b, (void)first, (void)n, (void)data;
    return refuse(error, v->name);
}

static octet_status read_variable(backend *b, const variable *v, int64_t first, int64_t n,
                                  void *data, octet_error *error) {
    (void)b, (void)first, (void)n, (void)data;
    return refuse(error, v->name);
}

static void note_packed(planner *p, const tensor *factor, int int8) {
    const variable *v = tensor_storage(factor)->variable;
    if (!v || v->kind != VARIABLE_PARAMETER)
        return;
    planned_variable *planned = v->memory;
    if (planned->packed)
        return;
    planned->packed = int8 ? (size_t)variable_elements(v) : planned->bytes;
    p->total.packed += planned->packed;
}

static void note_products(planner *p, const node *n) {
    if (n->op == OP_MATMUL && n->params.matmul.transpose_b)
        note_packed(p, n->input[1], 0);
    for (int i = 1; n->op == OP_LINEAR_INT8 && i < n->n_inputs; i++)
        note_packed(p, n->input[i], 1);
}

static octet_status compile(backend *b, program **out, const graph *g, octet_error *error) {
    planner *p = (planner *)b;
    plan *planned = NULL;
    planned_program *made = calloc(1, sizeof *made);
    octet_status status =
        made ? plan_create(&planned, g, error) : error_memory(error, "program", sizeof *made);
    if (status) {
        free(made);
        return status;
    }
    made->base.backend = b;
    made->bytes = planned->bytes;
    for (int i = 0; i < g->n_tensors; i++)
        if (g->tensors[i]->kind == TENSOR_INPUT)
            made->bytes += tensor_bytes(g->tensors[i]);
    for (int i = 0; i < planned->n_nodes; i++)
        note_products(p, planned->nodes[i]);
    plan_destroy(&planned);
    p->total.programs += made->bytes;
    *out = &made->base;
    return OCTET_OK;
}

static void destroy_program(program *base) {
    planned_program *gone = (planned_program *)base;
    ((planner *)base->backend)->total.programs -= gone->bytes;
    free(gone);
}

static size_t bytes_of_program(const program *base) {
    return ((const planned_program *)base)->bytes;
}

static octet_status upload(program *p, const tensor *input, const void *data, octet_error *error) {
    (void)p, (void)data;
    return refuse(error, input->name);
}

static octet_status download(program *p, const tensor *output, void *data, octet_error *error) {
    (void)p, (void)output, (void)data;
    return refuse(error, "download");
}

static octet_status run(program *p, octet_error *error) {
    (void)p;
    return refuse(error, "run");
}

static void destroy(backend *b) {
    free((planner *)b);
}

static const backend_interface planner_interface = {
    .name = "planner",
    .destroy = destroy,
    .allocate = allocate,
    .release = release,
    .write = write_variable,
    .read = read_variable,
    .compile = compile,
    .program_destroy = destroy_program,
    .program_bytes = bytes_of_program,
    .upload = upload,
    .download = download,
    .run = run,
};

octet_status planner_create(backend **out, octet_error *error) {
    planner *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return error_memory(error, "planner", sizeof *p);
    p->base.interface = &planner_interface;
    *out = &p->base;
    return OCTET_OK;
}

planner_bytes planner_total(const backend *b) {
    return ((const planner *)b)->total;
}
