/* api_parts.c: see api_parts.h. */
#include "api/api_parts.h"

#include <stdlib.h>

#include "cpu/cpu_backend.h"

int parts_for(int threads, size_t pieces) {
    return pieces >= (size_t)threads ? threads : 1;
}

octet_status parts_create(part **out, const model *m, int n, octet_error *error) {
    part *parts = *out = calloc((size_t)n, sizeof *parts);
    octet_status status =
        parts ? OCTET_OK : error_memory(error, "threads", n * (double)sizeof *parts);
    for (int i = 0; i < n && !status; i++) {
        parts[i].model = *m;
        if (n > 1)
            status = cpu_backend_part(&parts[i].backend, m->backend, error);
        if (parts[i].backend)
            parts[i].model.backend = parts[i].backend;
    }
    if (status)
        parts_destroy(out, n);
    return status;
}

void parts_destroy(part **out, int n) {
    for (int i = 0; *out && i < n; i++)
        backend_destroy(&(*out)[i].backend);
    free(*out);
    *out = NULL;
}
