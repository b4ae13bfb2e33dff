/* api_runtime.c: octet/runtime.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "cpu/cpu_backend.h"
#include "vulkan/vulkan_backend.h"

static octet_status read_threads(int *out, int asked, octet_error *error) {
    const char *source = "threads";
    char *end;
    long n = asked;
    const char *text = getenv("OCTET_THREADS");
    if (!asked && text && *text) {
        source = "OCTET_THREADS";
        n = strtol(text, &end, 10);
        if (*end)
            n = -1;
    }
    if (n < 0 || n > POOL_MAX_THREADS || (n == 0 && !strcmp(source, "OCTET_THREADS")))
        return error_set(error, OCTET_ERROR, "%s: %ld is not between 1 and %d", source, n,
                         POOL_MAX_THREADS);
    *out = (int)n;
    return OCTET_OK;
}

static octet_status read_cpu(cpu_isa *out, const char *asked, octet_error *error) {
    const char *text = asked ? asked : getenv("OCTET_CPU");
    *out = cpu_detect();
    if (!text || !*text)
        return OCTET_OK;
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        if (strcmp(text, cpu_kernels_get((cpu_isa)isa)->name))
            continue;
        *out = (cpu_isa)isa;
        return OCTET_OK;
    }
    return error_set(error, OCTET_ERROR,
                     "%s: \"%s\" is not an instruction set: scalar, avx2, avx512 or amx",
                     asked ? "cpu" : "OCTET_CPU", text);
}

/* What "vulkan" or "vulkan:N" names: N, or -1 for the best. */
static octet_status read_device(int *index, const char *text, octet_error *error) {
    char *end;
    const char *digits = text + strlen("vulkan:");
    *index = -1;
    if (!strcmp(text, "vulkan"))
        return OCTET_OK;
    if (!strncmp(text, "vulkan:", strlen("vulkan:")) && isdigit((unsigned char)*digits)) {
        const long n = strtol(digits, &end, 10);
        if (!*end && n < 1000) {
            *index = (int)n;
            return OCTET_OK;
        }
    }
    return error_set(error, OCTET_ERROR, "device: \"%s\" is none of auto, cpu, vulkan, vulkan:N",
                     text);
}

static octet_status create_vulkan(octet_runtime *r, const octet_runtime_params *asked,
                                  octet_error *error) {
    int index = -1;
    if (asked->matmul == OCTET_MATMUL_OPENBLAS)
        return error_set(error, OCTET_ERROR, "device: OpenBLAS computes on the CPU, not on \"%s\"",
                         asked->device);
    octet_status status =
        strcmp(asked->device, "auto") ? read_device(&index, asked->device, error) : OCTET_OK;
    if (!status)
        status = vulkan_backend_create(&r->backend, index, error);
    if (!status && asked->matmul == OCTET_MATMUL_F16)
        status = vulkan_backend_use_half(r->backend, error);
    if (status)
        backend_destroy(&r->backend);
    if (!status)
        snprintf(r->device, sizeof r->device, "vulkan:%d", vulkan_backend_index(r->backend));
    return status;
}

static octet_status create_cpu(octet_runtime *r, const octet_runtime_params *asked,
                               octet_error *error) {
    cpu_backend_params cpu = {.use_openblas = asked->matmul == OCTET_MATMUL_OPENBLAS};
    if (asked->matmul == OCTET_MATMUL_F16)
        return error_set(error, OCTET_ERROR,
                         "matmul: f16 needs a device with cooperative matrices, "
                         "not the processor");
    octet_status status = read_threads(&cpu.n_threads, asked->threads, error);
    if (!status)
        status = read_cpu(&cpu.cap, asked->cpu, error);
    if (!status)
        status = cpu_backend_create(&r->backend, &cpu, error);
    strcpy(r->device, "cpu");
    return status;
}

octet_status octet_runtime_create(octet_runtime **out, const octet_runtime_params *asked,
                                  octet_error *error) {
    static const octet_runtime_params defaults = {0};
    *out = NULL;
    if (!asked)
        asked = &defaults;
    octet_runtime *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(error, "runtime", sizeof *r);
    const char *device = asked->device ? asked->device : "cpu";
    const int is_auto = !strcmp(device, "auto");
    octet_status status = OCTET_ERROR;
    if (strcmp(device, "cpu") && !(is_auto && asked->matmul == OCTET_MATMUL_OPENBLAS))
        status = create_vulkan(r, asked, error);
    if (status && (is_auto || !strcmp(device, "cpu")))
        status = create_cpu(r, asked, error);
    if (status) {
        free(r);
        return status;
    }
    *out = r;
    return OCTET_OK;
}

void octet_runtime_destroy(octet_runtime **runtime) {
    if (!runtime || !*runtime)
        return;
    backend_destroy(&(*runtime)->backend);
    free(*runtime);
    *runtime = NULL;
}

static int is_cpu(const octet_runtime *runtime) {
    return !strcmp(runtime->device, "cpu");
}

octet_status api_needs_cpu(const octet_runtime *runtime, const char *what, octet_error *error) {
    if (is_cpu(runtime))
        return OCTET_OK;
    return error_set(error, OCTET_ERROR, "%s needs the device cpu, not %s", what, runtime->device);
}

const char *octet_runtime_device(const octet_runtime *runtime) {
    return runtime->device;
}

const char *octet_runtime_cpu(const octet_runtime *runtime) {
    return is_cpu(runtime) ? cpu_backend_isa(runtime->backend)
                           : vulkan_backend_device(runtime->backend);
}

int octet_runtime_threads(const octet_runtime *runtime) {
    return is_cpu(runtime) ? cpu_backend_threads(runtime->backend) : 1;
}

/* --- devices */

#define MOST_DEVICES 16

octet_status octet_devices_list(void (*visit)(void *context, const octet_device *device),
                                void *context, octet_error *error) {
    vulkan_description found[MOST_DEVICES];
    char word[24];
    int n = 0;
    const octet_device cpu = {.device = "cpu",
                              .name = cpu_kernels_get(cpu_detect())->name,
                              .driver = "",
                              .lacks = "",
                              .memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) *
                                              (uint64_t)sysconf(_SC_PAGESIZE)};
    visit(context, &cpu);
    octet_status status = vulkan_devices(found, MOST_DEVICES, &n, error);
    for (int i = 0; i < n; i++) {
        const vulkan_description *d = &found[i];
        snprintf(word, sizeof word, "vulkan:%d", d->index);
        visit(context, &(octet_device){.device = word,
                                       .name = d->name,
                                       .driver = d->driver,
                                       .lacks = d->lacks,
                                       .memory_bytes = d->memory_bytes,
                                       .is_software = d->is_software,
                                       .float16 = d->has_float16,
                                       .int8_dot = d->has_int8_dot,
                                       .cooperative_matrix = d->has_cooperative_matrix,
                                       .subgroup = (int)d->subgroup});
    }
    return status;
}
