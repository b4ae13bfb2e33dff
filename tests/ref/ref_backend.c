/* ref_backend.c: variables, programs and runs of the backend in double precision. */
#include "ref_backend.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"
#include "ref_ops.h"

typedef struct ref_backend {
    backend base;
    ref_counts counts;
} ref_backend;

typedef struct ref_program {
    program base;
    const graph *graph;
    plan *plan;    /* of use here: which nodes run */
    double **data; /* per tensor id; NULL for views, variables and what no node touches */
    size_t bytes;
} ref_program;

typedef void ref_function(const ref_call *c);

static ref_function *const functions[OP_COUNT] = {
#define ROW(ID, name) ref_##name,
#define NONE(ID, name, reason) ref_##name,
    OP_LIST(ROW, NONE)
#undef ROW
#undef NONE
};

static ref_counts *counts_of(backend *b) {
    return &((ref_backend *)b)->counts;
}

static double *allocate_doubles(backend *b, int64_t n) {
    counts_of(b)->allocations++;
    return calloc((size_t)(n > 0 ? n : 1), sizeof(double));
}

/* --- host data of a type, and doubles --- */

static int converts(dtype type) {
    return type != DTYPE_F16;
}

static void to_double(double *out, const void *data, dtype type, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        switch (type) {
        case DTYPE_F32: {
            float x;
            memcpy(&x, (const char *)data + 4 * i, 4);
            out[i] = x;
            break;
        }
        case DTYPE_BF16: {
            uint16_t half;
            memcpy(&half, (const char *)data + 2 * i, 2);
            const uint32_t bits = (uint32_t)half << 16;
            float x;
            memcpy(&x, &bits, 4);
            out[i] = x;
            break;
        }
        case DTYPE_I32: {
            int32_t x;
            memcpy(&x, (const char *)data + 4 * i, 4);
            out[i] = x;
            break;
        }
        case DTYPE_I8:
            out[i] = ((const int8_t *)data)[i];
            break;
        default:
            out[i] = ((const uint8_t *)data)[i];
        }
    }
}

/* The nearest bfloat16, ties to even. */
static uint16_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x != x) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void from_double(void *data, const double *in, dtype type, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const float x = (float)in[i];
        const uint16_t half = type == DTYPE_BF16 ? to_bf16(x) : 0;
        const int32_t whole = type == DTYPE_I32 ? (int32_t)in[i] : 0;
        switch (type) {
        case DTYPE_F32:
            memcpy((char *)data + 4 * i, &x, 4);
            break;
        case DTYPE_BF16:
            memcpy((char *)data + 2 * i, &half, 2);
            break;
        case DTYPE_I32:
            memcpy((char *)data + 4 * i, &whole, 4);
            break;
        case DTYPE_I8:
            ((int8_t *)data)[i] = (int8_t)in[i];
            break;
        default:
            ((uint8_t *)data)[i] = (uint8_t)in[i];
        }
    }
}

static octet_status refuse_type(octet_error *error, const char *name, dtype type) {
    return error_set(error, OCTET_ERROR, "ref: %s: type %s is not supported", name,
                     dtype_name(type));
}

/* --- variables --- */

static octet_status ref_allocate(backend *b, variable *v, octet_error *error) {
    if (!converts(v->type)) {
        return refuse_type(error, v->name, v->type);
    }
    v->memory = allocate_doubles(b, variable_elements(v));
    return v->memory ? OCTET_OK : error_memory(error, v->name, 8.0 * (double)variable_elements(v));
}

static void ref_release(backend *b, variable *v) {
    (void)b;
    free(v->memory);
    v->memory = NULL;
}

static octet_status ref_write(backend *b, variable *v, int64_t first, int64_t n, const void *data,
                              octet_error *error) {
    (void)error;
    counts_of(b)->writes++;
    to_double((double *)v->memory + first, data, v->type, n);
    return OCTET_OK;
}

static octet_status ref_read(backend *b, const variable *v, int64_t first, int64_t n, void *data,
                             octet_error *error) {
    (void)error;
    counts_of(b)->reads++;
    from_double(data, (const double *)v->memory + first, v->type, n);
    return OCTET_OK;
}

void ref_write_double(backend *b, variable *v, int64_t first, int64_t n, const double *data) {
    counts_of(b)->writes++;
    assert(first >= 0 && n >= 0 && first + n <= variable_elements(v));
    memcpy((double *)v->memory + first, data, (size_t)n * sizeof *data);
    v->version++;
}

void ref_read_double(const backend *b, const variable *v, int64_t first, int64_t n, double *data) {
    (void)b;
    assert(first >= 0 && n >= 0 && first + n <= variable_elements(v));
    memcpy(data, (const double *)v->memory + first, (size_t)n * sizeof *data);
}

/* --- programs --- */

static double *data_of(const ref_program *p, const tensor *t) {
    const tensor *owner = tensor_storage(t);
    return owner->kind == TENSOR_VARIABLE ? owner->variable->memory : p->data[owner->id];
}

static void ref_program_destroy(program *base) {
    ref_program *p = (ref_program *)base;
    for (int i = 0; p->data && i < p->graph->n_tensors; i++) {
        free(p->data[i]);
    }
    free(p->data);
    plan_destroy(&p->plan);
    free(p);
}

static octet_status give_memory(ref_program *p, const tensor *t, octet_error *error) {
    const tensor *owner = tensor_storage(t);
    if (owner->kind == TENSOR_VARIABLE) {
        return owner->variable->memory
                   ? OCTET_OK
                   : error_set(error, OCTET_ERROR, "ref: %s has no memory", owner->name);
    }
    if (p->data[owner->id]) {
        return OCTET_OK;
    }
    if (!converts(owner->type)) {
        return refuse_type(error, owner->name ? owner->name : "result", owner->type);
    }
    const int64_t n = tensor_elements(owner);
    p->data[owner->id] = allocate_doubles(p->base.backend, n);
    if (!p->data[owner->id]) {
        return error_memory(error, "ref program", 8.0 * (double)n);
    }
    if (owner->constant) {
        to_double(p->data[owner->id], owner->constant, owner->type, n);
    }
    p->bytes += (size_t)n * sizeof(double);
    return OCTET_OK;
}

/* Memory for every source and output, and for all that the nodes that run touch. */
static octet_status prepare(ref_program *p, const graph *g, octet_error *error) {
    octet_status status = plan_create(&p->plan, g, error);
    for (int i = 0; !status && i < g->n_tensors; i++) {
        const tensor *t = g->tensors[i];
        if (t->kind == TENSOR_INPUT || (t->kind == TENSOR_RESULT && t->is_output)) {
            status = give_memory(p, t, error);
        }
    }
    for (int i = 0; !status && i < p->plan->n_nodes; i++) {
        const node *n = p->plan->nodes[i];
        for (int k = 0; !status && k < n->n_inputs; k++) {
            status = n->input[k] ? give_memory(p, n->input[k], error) : OCTET_OK;
        }
        for (int k = 0; !status && k < n->n_outputs; k++) {
            status = n->output[k] ? give_memory(p, n->output[k], error) : OCTET_OK;
        }
    }
    return status;
}

static octet_status ref_compile(backend *b, program **out, const graph *g, octet_error *error) {
    counts_of(b)->compiles++;
    counts_of(b)->allocations++;
    ref_program *p = calloc(1, sizeof *p);
    if (!p) {
        return error_memory(error, "ref program", sizeof *p);
    }
    p->base.backend = b;
    p->graph = g;
    p->data = calloc((size_t)g->n_tensors + 1, sizeof *p->data);
    octet_status status =
        p->data ? prepare(p, g, error) : error_memory(error, "ref program", sizeof *p);
    if (status) {
        ref_program_destroy(&p->base);
        return status;
    }
    *out = &p->base;
    return OCTET_OK;
}

static size_t ref_program_bytes(const program *p) {
    return ((const ref_program *)p)->bytes;
}

static octet_status ref_upload(program *base, const tensor *input, const void *data,
                               octet_error *error) {
    ref_program *p = (ref_program *)base;
    counts_of(base->backend)->uploads++;
    if (input->kind != TENSOR_INPUT) {
        return error_set(error, OCTET_ERROR, "ref: upload into a tensor that is no input");
    }
    to_double(p->data[input->id], data, input->type, tensor_elements(input));
    return OCTET_OK;
}

static octet_status ref_download(program *base, const tensor *output, void *data,
                                 octet_error *error) {
    ref_program *p = (ref_program *)base;
    counts_of(base->backend)->downloads++;
    const tensor *owner = tensor_storage(output);
    if (owner->kind == TENSOR_RESULT && !owner->is_output) {
        return error_set(error, OCTET_ERROR, "ref: download of a tensor that is no output");
    }
    from_double(data, data_of(p, output), output->type, tensor_elements(output));
    return OCTET_OK;
}

void ref_program_upload_double(program *base, const tensor *input, const double *data) {
    ref_program *p = (ref_program *)base;
    counts_of(base->backend)->uploads++;
    assert(input->kind == TENSOR_INPUT);
    memcpy(p->data[input->id], data, (size_t)tensor_elements(input) * sizeof *data);
}

void ref_program_download_double(const program *base, const tensor *output, double *data) {
    const ref_program *p = (const ref_program *)base;
    counts_of(base->backend)->downloads++;
    assert(tensor_storage(output)->kind != TENSOR_RESULT || tensor_storage(output)->is_output);
    memcpy(data, data_of(p, output), (size_t)tensor_elements(output) * sizeof *data);
}

static void run_node(const ref_program *p, const node *n) {
    ref_call call = {.node = n};
    for (int k = 0; k < n->n_inputs; k++) {
        call.in[k] = n->input[k] ? data_of(p, n->input[k]) : NULL;
    }
    for (int k = 0; k < n->n_outputs; k++) {
        call.out[k] = n->output[k] ? data_of(p, n->output[k]) : NULL;
        if (n->output[k] && n->output[k]->kind == TENSOR_RESULT) {
            for (int64_t i = 0; i < tensor_elements(n->output[k]); i++) {
                call.out[k][i] = NAN;
            }
        }
        if (n->output[k] && tensor_storage(n->output[k])->kind == TENSOR_VARIABLE) {
            tensor_storage(n->output[k])->variable->version++;
        }
    }
    functions[n->op](&call);
}

static octet_status ref_run(program *base, octet_error *error) {
    (void)error;
    ref_program *p = (ref_program *)base;
    ref_counts *counts = counts_of(base->backend);
    counts->runs++;
    counts->nodes += p->plan->n_nodes;
    for (int i = 0; i < p->plan->n_nodes; i++) {
        run_node(p, p->plan->nodes[i]);
    }
    return OCTET_OK;
}

/* --- the backend --- */

static void ref_destroy(backend *b) {
    free(b);
}

static const backend_interface ref_interface = {
    .name = "ref",
    .destroy = ref_destroy,
    .allocate = ref_allocate,
    .release = ref_release,
    .write = ref_write,
    .read = ref_read,
    .compile = ref_compile,
    .program_destroy = ref_program_destroy,
    .program_bytes = ref_program_bytes,
    .upload = ref_upload,
    .download = ref_download,
    .run = ref_run,
};

octet_status ref_backend_create(backend **out, octet_error *error) {
    ref_backend *b = calloc(1, sizeof *b);
    if (!b) {
        return error_memory(error, "ref backend", sizeof *b);
    }
    b->base.interface = &ref_interface;
    *out = &b->base;
    return OCTET_OK;
}

ref_counts ref_backend_counts(const backend *b) {
    return ((const ref_backend *)b)->counts;
}
