/* backend.c: the calls of backend.h, each handed to the backend at hand. */
#include "graph/backend.h"

void backend_destroy(backend **b) {
    if (!b || !*b)
        return;
    (*b)->interface->destroy(*b);
    *b = NULL;
}

uint64_t backend_memory(const backend *b) {
    return b->interface->memory ? b->interface->memory(b) : 0;
}

octet_status backend_allocate(backend *b, variable *v, octet_error *error) {
    return b->interface->allocate(b, v, error);
}

void backend_release(backend *b, variable *v) {
    if (v->memory)
        b->interface->release(b, v);
    v->memory = NULL;
}

static octet_status check_range(const variable *v, int64_t first, int64_t n, octet_error *error) {
    int64_t all = variable_elements(v);
    if (first < 0 || n < 0 || first > all || n > all - first)
        return error_set(error, OCTET_ERROR, "%s: %lld elements from %lld are outside its %lld",
                         v->name, (long long)n, (long long)first, (long long)all);
    return OCTET_OK;
}

octet_status backend_write(backend *b, variable *v, int64_t first, int64_t n, const void *data,
                           octet_error *error) {
    octet_status status = check_range(v, first, n, error);
    if (!status)
        status = b->interface->write(b, v, first, n, data, error);
    v->version++;
    return status;
}

octet_status backend_read(backend *b, const variable *v, int64_t first, int64_t n, void *data,
                          octet_error *error) {
    octet_status status = check_range(v, first, n, error);
    return status ? status : b->interface->read(b, v, first, n, data, error);
}

octet_status backend_compile(backend *b, program **out, const graph *g, octet_error *error) {
    *out = NULL;
    octet_status status = graph_check(g, error);
    return status ? status : b->interface->compile(b, out, g, error);
}

void program_destroy(program **p) {
    if (!p || !*p)
        return;
    (*p)->backend->interface->program_destroy(*p);
    *p = NULL;
}

size_t program_bytes(const program *p) {
    return p->backend->interface->program_bytes(p);
}

octet_status program_upload(program *p, const tensor *input, const void *data, octet_error *error) {
    return p->backend->interface->upload(p, input, data, error);
}

octet_status program_download(program *p, const tensor *output, void *data, octet_error *error) {
    return p->backend->interface->download(p, output, data, error);
}

octet_status program_run(program *p, octet_error *error) {
    return p->backend->interface->run(p, error);
}
