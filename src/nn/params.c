/* params.c: see params.h. */
#include "nn/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"

void params_init(params *p, backend *b) {
    memset(p, 0, sizeof *p);
    p->backend = b;
}

void params_finish(params *p) {
    for (int i = 0; i < p->n; i++)
        backend_release(p->backend, &p->list[i]->v);
    free(p->list);
    arena_finish(&p->memory);
    memset(p, 0, sizeof *p);
}

static int make_room(params *p) {
    if (p->n < p->capacity)
        return 1;
    int capacity = p->capacity ? 2 * p->capacity : 64;
    param **list = realloc(p->list, (size_t)capacity * sizeof *list);
    if (!list)
        return 0;
    p->list = list;
    p->capacity = capacity;
    return 1;
}

variable *params_add(params *p, const char *prefix, const char *name, param_group group,
                     param_init init, int rank, const int64_t *dim) {
    if (p->error.code)
        return NULL;
    param *made = arena_alloc(&p->memory, sizeof *made);
    if (!made || !make_room(p)) {
        error_memory(&p->error, name, sizeof *made);
        return NULL;
    }
    snprintf(made->v.name, sizeof made->v.name, "%s%s%s", prefix, *prefix ? "." : "", name);
    made->v.rank = rank;
    memcpy(made->v.dim, dim, (size_t)rank * sizeof *dim);
    made->group = group;
    made->init = init;
    if (p->backend && backend_allocate(p->backend, &made->v, &p->error))
        return NULL;
    p->list[p->n++] = made;
    return &made->v;
}

/* All of it is weighed before any is taken. */
static octet_status check_memory(const params *p, const backend *b, octet_error *error) {
    const double memory = (double)backend_memory(b);
    double bytes = 0;
    for (int i = 0; i < p->n; i++)
        bytes += (double)variable_bytes(&p->list[i]->v);
    if (!memory || bytes <= memory)
        return OCTET_OK;
    return error_set(error, OCTET_NO_MEMORY,
                     "the model's weights need %.1f MB, the device has %.1f MB", bytes / 1e6,
                     memory / 1e6);
}

octet_status params_allocate(params *p, backend *b, octet_error *error) {
    octet_status status = check_memory(p, b, error);
    p->backend = b;
    for (int i = 0; i < p->n && !status; i++)
        status = backend_allocate(b, &p->list[i]->v, error);
    return status;
}

param *params_find(const params *p, const char *name) {
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->list[i]->v.name, name))
            return p->list[i];
    return NULL;
}

static void fill(float *values, int64_t n, const param_init *init, uint64_t seed, uint32_t stream) {
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t words[4];
        float normal[4];
        philox(words, seed, PHILOX_INIT, stream, (uint64_t)i / 4);
        philox_normal(normal, words[0], words[1]);
        philox_normal(normal + 2, words[2], words[3]);
        for (int k = 0; k < 4 && i + k < n; k++) {
            float z = normal[k] < -3 ? -3 : normal[k] > 3 ? 3 : normal[k];
            values[i + k] = init->spread > 0 ? z * init->spread : init->constant;
        }
    }
}

octet_status params_reset(params *p, uint64_t seed, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < p->n && !status; i++) {
        variable *v = &p->list[i]->v;
        int64_t n = variable_elements(v);
        float *values = malloc((size_t)n * sizeof *values);
        if (!values)
            return error_memory(error, v->name, (double)n * sizeof *values);
        fill(values, n, &p->list[i]->init, seed, (uint32_t)i);
        status = backend_write(p->backend, v, 0, n, values, error);
        free(values);
    }
    return status;
}

octet_status params_copy_one(backend *b, variable *to, const variable *from, octet_error *error) {
    int64_t n = variable_elements(to);
    float *values = malloc((size_t)n * sizeof *values);
    if (!values)
        return error_memory(error, to->name, (double)n * sizeof *values);
    octet_status status = backend_read(b, from, 0, n, values, error);
    if (!status)
        status = backend_write(b, to, 0, n, values, error);
    free(values);
    return status;
}

octet_status params_copy(params *to, const params *from, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < to->n && !status; i++)
        status = params_copy_one(to->backend, &to->list[i]->v, &from->list[i]->v, error);
    return status;
}

int64_t params_count(const params *p) {
    int64_t n = 0;
    for (int i = 0; i < p->n; i++)
        n += variable_elements(&p->list[i]->v);
    return n;
}
