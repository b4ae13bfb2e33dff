/* vulkan_backend.c: the backend's interface: variables, runs, uploads and downloads. Variables are
 * f32 in the logical form whatever their type and layout; bf16 is widened when written. */
#include "vulkan/vulkan_backend.h"

#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "vulkan/vulkan_program.h"

/* --- variables */

static octet_status allocate(backend *base, variable *v, octet_error *error) {
    vulkan_backend *b = (vulkan_backend *)base;
    if (v->type != DTYPE_F32 && v->type != DTYPE_BF16)
        return error_set(error, OCTET_ERROR, "%s: this backend keeps no %s variables", v->name,
                         dtype_name(v->type));
    vulkan_variable *made = calloc(1, sizeof *made);
    if (!made)
        return error_memory(error, v->name, sizeof *made);
    made->form_version = UINT64_MAX;
    pthread_mutex_lock(&b->turn);
    octet_status status = vulkan_take(&b->device, &made->range, VULKAN_ON_DEVICE,
                                      4 * (uint64_t)variable_elements(v), v->name, error);
    if (!status)
        status = vulkan_clear(&b->device, &made->range, error);
    if (status)
        vulkan_give(&b->device, &made->range);
    pthread_mutex_unlock(&b->turn);
    if (status) {
        free(made);
        return status;
    }
    v->memory = made;
    return OCTET_OK;
}

static void release(backend *base, variable *v) {
    vulkan_backend *b = (vulkan_backend *)base;
    vulkan_variable *gone = v->memory;
    pthread_mutex_lock(&b->turn);
    (void)vulkan_wait(&b->device, b->device.time, NULL); /* writes may be on their way */
    vulkan_give(&b->device, &gone->range);
    vulkan_give(&b->device, &gone->form);
    pthread_mutex_unlock(&b->turn);
    free(v->memory);
    v->memory = NULL;
}

static octet_status write_variable(backend *base, variable *v, int64_t first, int64_t n,
                                   const void *data, octet_error *error) {
    vulkan_backend *b = (vulkan_backend *)base;
    const vulkan_variable *to = v->memory;
    const void *from = data;
    float *wide = NULL;
    if (v->type == DTYPE_BF16) {
        wide = malloc((size_t)n * sizeof *wide + 1);
        if (!wide)
            return error_memory(error, v->name, (double)n * sizeof *wide);
        for (int64_t i = 0; i < n; i++) {
            uint16_t half;
            memcpy(&half, (const unsigned char *)data + 2 * i, sizeof half);
            wide[i] = bf16_widen(half);
        }
        from = wide;
    }
    pthread_mutex_lock(&b->turn);
    octet_status status =
        vulkan_write(&b->device, &to->range, 4 * (uint64_t)first, from, 4 * (uint64_t)n, error);
    pthread_mutex_unlock(&b->turn);
    free(wide);
    return status;
}

static octet_status read_variable(backend *base, const variable *v, int64_t first, int64_t n,
                                  void *data, octet_error *error) {
    vulkan_backend *b = (vulkan_backend *)base;
    const vulkan_variable *from = v->memory;
    float *wide = v->type == DTYPE_BF16 ? malloc((size_t)n * sizeof *wide + 1) : data;
    if (!wide && n)
        return error_memory(error, v->name, (double)n * sizeof *wide);
    pthread_mutex_lock(&b->turn);
    octet_status status =
        vulkan_read(&b->device, &from->range, 4 * (uint64_t)first, wide, 4 * (uint64_t)n, error);
    pthread_mutex_unlock(&b->turn);
    if (v->type != DTYPE_BF16)
        return status;
    for (int64_t i = 0; i < n && !status; i++) {
        const uint16_t half = bf16_narrow(wide[i]);
        memcpy((unsigned char *)data + 2 * i, &half, sizeof half);
    }
    free(wide);
    return status;
}

/* --- programs */

static octet_status compile(backend *base, program **out, const graph *g, octet_error *error) {
    return vulkan_program_create((vulkan_backend *)base, out, g, error);
}

static octet_status upload(program *base, const tensor *input, const void *data,
                           octet_error *error) {
    (void)error;
    const vulkan_program *p = (vulkan_program *)base;
    memcpy(p->io.map + p->place[input->id], data, tensor_bytes(input));
    return OCTET_OK;
}

static octet_status download(program *base, const tensor *output, void *data, octet_error *error) {
    const vulkan_program *p = (vulkan_program *)base;
    const tensor *owner = tensor_storage(output);
    if (owner->kind == TENSOR_VARIABLE)
        return read_variable(base->backend, owner->variable, 0, tensor_elements(owner), data,
                             error);
    memcpy(data, p->io.map + p->place[owner->id], tensor_bytes(output));
    return OCTET_OK;
}

/* Submits what makes forms if one of their parameters has changed. */
static octet_status renew_forms(const vulkan_program *p, vulkan_device *d, octet_error *error) {
    int stale = 0;
    for (int i = 0; i < p->n_formed; i++)
        stale |=
            ((const vulkan_variable *)p->formed[i]->memory)->form_version != p->formed[i]->version;
    octet_status status = stale ? vulkan_submit(d, &p->forms, 1, error) : OCTET_OK;
    for (int i = 0; i < p->n_formed && !status; i++)
        ((vulkan_variable *)p->formed[i]->memory)->form_version = p->formed[i]->version;
    return status;
}

static octet_status run(program *base, octet_error *error) {
    vulkan_program *p = (vulkan_program *)base;
    vulkan_backend *b = (vulkan_backend *)base->backend;
    pthread_mutex_lock(&b->turn);
    octet_status status = renew_forms(p, &b->device, error);
    if (!status)
        status = vulkan_submit(&b->device, p->commands, p->n_commands, error);
    if (!status)
        status = vulkan_wait(&b->device, b->device.time, error);
    if (!status) {
        b->counts.nodes += p->plan->n_nodes;
        b->counts.dispatches += p->n_dispatches;
        for (int i = 0; i < p->n_updated; i++)
            p->updated[i]->version++;
    } else { /* what was submitted still reads its inputs */
        (void)vulkan_wait(&b->device, b->device.time, NULL);
    }
    pthread_mutex_unlock(&b->turn);
    return status;
}

static size_t bytes_of_program(const program *base) {
    return (size_t)((const vulkan_program *)base)->memory.bytes;
}

/* --- the backend */

static void destroy(backend *base) {
    vulkan_backend *b = (vulkan_backend *)base;
    if (b->device.timeline) {
        (void)vulkan_wait(&b->device, b->device.time, NULL);
        vulkan_give(&b->device, &b->nothing);
    }
    vulkan_device_close(&b->device);
    pthread_mutex_destroy(&b->turn);
    free(b);
}

static uint64_t memory_of(const backend *base) {
    return ((const vulkan_backend *)base)->device.description.memory_bytes;
}

static const backend_interface vulkan_interface = {
    .name = "vulkan",
    .destroy = destroy,
    .allocate = allocate,
    .release = release,
    .write = write_variable,
    .read = read_variable,
    .compile = compile,
    .program_destroy = vulkan_program_destroy,
    .program_bytes = bytes_of_program,
    .upload = upload,
    .download = download,
    .run = run,
    .memory = memory_of,
};

octet_status vulkan_backend_create(backend **out, int index, octet_error *error) {
    *out = NULL;
    vulkan_backend *b = calloc(1, sizeof *b);
    if (!b)
        return error_memory(error, "backend", sizeof *b);
    b->base.interface = &vulkan_interface;
    b->base.distant = 1;
    pthread_mutex_init(&b->turn, NULL);
    octet_status status = vulkan_device_open(&b->device, index, error);
    if (!status)
        status = vulkan_take(&b->device, &b->nothing, VULKAN_ON_DEVICE, VULKAN_ALIGNMENT,
                             "an empty tensor", error);
    if (!status)
        status = vulkan_clear(&b->device, &b->nothing, error);
    if (status)
        destroy(&b->base);
    else
        *out = &b->base;
    return status;
}

octet_status vulkan_backend_use_half(backend *base, octet_error *error) {
    vulkan_device *d = &((vulkan_backend *)base)->device;
    if (!d->matrices.m)
        return error_set(error, OCTET_ERROR,
                         "vulkan:%d: %.64s has no cooperative matrices of f16 with sums in f32",
                         d->description.index, d->description.name);
    d->half = 1;
    return OCTET_OK;
}

int vulkan_backend_index(const backend *b) {
    return ((const vulkan_backend *)b)->device.description.index;
}

const char *vulkan_backend_device(const backend *b) {
    return ((const vulkan_backend *)b)->device.description.name;
}

vulkan_counts vulkan_backend_counts(const backend *b) {
    vulkan_counts counts = ((const vulkan_backend *)b)->counts;
    counts.submissions = ((const vulkan_backend *)b)->device.n_submissions;
    return counts;
}
