/* api_runtime.c: octet/runtime.h. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "cpu/cpu_backend.h"

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
                     "%s: \"%s\" is not an instruction set: scalar, avx2 or avx512",
                     asked ? "cpu" : "OCTET_CPU", text);
}

octet_status octet_runtime_create(octet_runtime **out, const octet_runtime_params *asked,
                                  octet_error *error) {
    static const octet_runtime_params defaults = {0};
    cpu_backend_params cpu = {0};
    *out = NULL;
    if (!asked)
        asked = &defaults;
    cpu.use_openblas = asked->openblas;
    octet_status status = read_threads(&cpu.n_threads, asked->threads, error);
    if (!status)
        status = read_cpu(&cpu.cap, asked->cpu, error);
    if (status)
        return status;
    octet_runtime *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(error, "runtime", sizeof *r);
    status = cpu_backend_create(&r->backend, &cpu, error);
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

const char *octet_runtime_device(const octet_runtime *runtime) {
    return runtime->backend->interface->name;
}

const char *octet_runtime_cpu(const octet_runtime *runtime) {
    return cpu_backend_isa(runtime->backend);
}

int octet_runtime_threads(const octet_runtime *runtime) {
    return cpu_backend_threads(runtime->backend);
}
