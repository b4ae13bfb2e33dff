/* cpu_memory.c: see cpu_memory.h. */
#include "cpu/cpu_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "cpu/cache_layout.h"

void cpu_memory_release(variable *v) {
    cpu_memory *m = v->memory;
    free(m->data);
    free(m->packed);
    free(m->packed_int8);
    free(m);
    v->memory = NULL;
}

octet_status cpu_memory_allocate(variable *v, octet_error *error) {
    if (v->type != DTYPE_F32 && v->type != DTYPE_BF16)
        return error_set(error, OCTET_ERROR, "%s: this backend keeps no %s variables", v->name,
                         dtype_name(v->type));
    if (variable_is_int8(v) && (v->rank != 4 || v->dim[1] % 32 || v->dim[3] < 2))
        return error_set(error, OCTET_ERROR,
                         "%s: a state of integers is [S,R,G,D+1], R a multiple of 32", v->name);
    size_t bytes =
        variable_is_int8(v) ? variable_bytes(v) : (size_t)variable_elements(v) * sizeof(float);
    cpu_memory *m = calloc(1, sizeof *m);
    v->memory = m;
    if (m && (m->data = memory_aligned(bytes)))
        return OCTET_OK;
    if (m)
        cpu_memory_release(v);
    return error_memory(error, v->name, (double)bytes);
}

void cpu_memory_write(variable *v, int64_t first, int64_t n, const void *data) {
    const cpu_memory *m = v->memory;
    float *values = m->data;
    const unsigned char *bytes = data;
    if (v->type == DTYPE_BF16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t half;
            memcpy(&half, bytes + 2 * i, sizeof half);
            values[first + i] = bf16_widen(half);
        }
    } else if (variable_is_int8(v)) {
        cache_int8_write(m->data, v, first, n, data);
    } else if (v->layout == LAYOUT_KEYS) {
        cache_keys_write(values, v->dim, first, n, data);
    } else if (n > 0) {
        memcpy(values + first, bytes, (size_t)n * sizeof *values);
    }
}

void cpu_memory_read(const variable *v, int64_t first, int64_t n, void *data) {
    const cpu_memory *m = v->memory;
    const float *values = m->data;
    unsigned char *bytes = data;
    if (v->type == DTYPE_BF16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t half = bf16_narrow(values[first + i]);
            memcpy(bytes + 2 * i, &half, sizeof half);
        }
    } else if (variable_is_int8(v)) {
        cache_int8_read(m->data, v, first, n, data);
    } else if (v->layout == LAYOUT_KEYS) {
        cache_keys_read(values, v->dim, first, n, data);
    } else if (n > 0) {
        memcpy(bytes, values + first, (size_t)n * sizeof *values);
    }
}

typedef struct pack_job {
    const matmul_kernels *kernels;
    const packed_form *form;
    int64_t k, n, panels;
    int n_tasks;
} pack_job;

static void pack_task(void *context, int index, int lane) {
    (void)lane;
    const pack_job *job = context;
    const cpu_memory *m = job->form->source->memory;
    int64_t begin, end;
    cpu_range(job->panels, 1, index, job->n_tasks, &begin, &end);
    if (job->form->int8)
        int8_weights_pack(m->packed_int8, m->data, job->n, job->k, begin, end);
    else
        matmul_pack(job->kernels, m->packed, m->data, job->k, job->n, 1, begin, end);
}

static void form_sizes(const packed_form *form, int64_t *k, int64_t *n) {
    const variable *v = form->source;
    *k = v->dim[v->rank - 1];
    *n = variable_elements(v) / *k;
}

const void *packed_form_memory(const packed_form *form, octet_error *error) {
    cpu_memory *m = form->source->memory;
    int64_t k, n;
    form_sizes(form, &k, &n);
    size_t bytes =
        form->int8 ? int8_weights_bytes(n, k) : matmul_packed_floats(k, n) * sizeof(float);
    void *memory = form->int8 ? m->packed_int8 : m->packed;
    if (memory)
        return memory;
    memory = memory_aligned(bytes);
    if (!memory)
        error_memory(error, form->source->name, (double)bytes);
    if (form->int8)
        m->packed_int8 = memory;
    else
        m->packed = memory;
    return memory;
}

void packed_form_refresh(const packed_form *form, const matmul_kernels *kernels, pool *threads) {
    cpu_memory *m = form->source->memory;
    uint64_t *version = form->int8 ? &m->packed_int8_version : &m->packed_version;
    if (*version == form->source->version + 1)
        return;
    pack_job job = {kernels, form, 0, 0, 0, 1};
    form_sizes(form, &job.k, &job.n);
    const int64_t width = form->int8 ? INT8_PANEL : MATMUL_PANEL;
    job.panels = (job.n + width - 1) / width;
    int wanted = 2 * pool_threads(threads);
    if (job.k * job.n > 65536)
        job.n_tasks = job.panels < wanted ? (int)job.panels : wanted;
    pool_run(threads, pack_task, &job, job.n_tasks);
    *version = form->source->version + 1;
}
