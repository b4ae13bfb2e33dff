/* backend.h: what runs a graph.
 *
 * A backend holds variables and runs planned graphs. It never sees a model, and models never see
 * it: both sides know only graphs. Shapes were checked when they were recorded. A graph that holds
 * an op the backend lacks is refused by name when it is compiled. */
#ifndef GRAPH_BACKEND_H
#define GRAPH_BACKEND_H

#include "graph/graph.h"

typedef struct backend backend;
typedef struct program program;

/* The functions of a backend; every backend and program begins with a pointer to them. */
typedef struct backend_interface {
    const char *name; /* "cpu", "vulkan", "ref" */
    void (*destroy)(backend *b);
    octet_status (*allocate)(backend *b, variable *v, octet_error *error);
    void (*release)(backend *b, variable *v);
    octet_status (*write)(backend *b, variable *v, int64_t first, int64_t n, const void *data,
                          octet_error *error);
    octet_status (*read)(backend *b, const variable *v, int64_t first, int64_t n, void *data,
                         octet_error *error);
    octet_status (*compile)(backend *b, program **out, const graph *g, octet_error *error);
    void (*program_destroy)(program *p);
    size_t (*program_bytes)(const program *p);
    octet_status (*upload)(program *p, const tensor *input, const void *data, octet_error *error);
    octet_status (*download)(program *p, const tensor *output, void *data, octet_error *error);
    octet_status (*run)(program *p, octet_error *error);
    uint64_t (*memory)(const backend *b); /* may be NULL */
} backend_interface;

struct backend {
    const backend_interface *interface;
    int distant; /* a run takes long to come back, however little it computes: ask for much at once
                  */
};

struct program {
    backend *backend;
};

/* Frees the backend; its variables and programs must be gone. Accepts NULL; sets *b to NULL. */
void backend_destroy(backend **b);

/* Bytes that all variables and programs together may take; 0: it cannot tell. */
uint64_t backend_memory(const backend *b);

/* Gives v zeroed memory, and frees it. release accepts a variable without memory. */
octet_status backend_allocate(backend *b, variable *v, octet_error *error);
void backend_release(backend *b, variable *v);

/* Copies n elements from (to) element `first` of the logical row-major form. Host data are of
 * v->type. A write raises v->version. */
octet_status backend_write(backend *b, variable *v, int64_t first, int64_t n, const void *data,
                           octet_error *error);
octet_status backend_read(backend *b, const variable *v, int64_t first, int64_t n, void *data,
                          octet_error *error);

/* Plans g and prepares it for running; g must outlive the program and not grow meanwhile. Derived
 * forms of the parameters it uses are made here. */
octet_status backend_compile(backend *b, program **out, const graph *g, octet_error *error);

/* Accepts NULL; sets *p to NULL. */
void program_destroy(program **p);

/* Memory of the program in bytes: results, inputs, workspace. */
size_t program_bytes(const program *p);

/* Copies a whole input in, a whole output out (host data of the tensor's type). */
octet_status program_upload(program *p, const tensor *input, const void *data, octet_error *error);
octet_status program_download(program *p, const tensor *output, void *data, octet_error *error);

/* Runs all nodes in order and returns when they are done. Programs of one backend run one at a
 * time. */
octet_status program_run(program *p, octet_error *error);

#endif
