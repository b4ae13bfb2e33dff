/* api.h: what the public handles hold. The public functions live in this folder and are thin. */
#ifndef API_API_H
#define API_API_H

#include "model/hierarchy.h"
#include "octet/octet.h"

struct octet_runtime {
    backend *backend;
    char device[24]; /* "cpu", "vulkan:0" */
};

/* OCTET_OK on the processor, else an error: `what` needs its arithmetic. */
octet_status api_needs_cpu(const octet_runtime *runtime, const char *what, octet_error *error);

struct octet_model {
    octet_runtime *runtime;
    model *model;
    char *path;
    double flops_per_byte;
};

/* A handle that owns m, which is destroyed where none can be made. `path` is copied. */
octet_status api_model_wrap(octet_model **out, octet_runtime *runtime, model *m, const char *path,
                            octet_error *error);

/* The model for readers of a profile, which shares all that m owns. OCTET_ERROR: no such profile.
 */
octet_status api_model_profile(model *out, const octet_model *m, octet_profile profile,
                               octet_error *error);

#define API_PATH_BYTES 4096

/* The file that `path` means to octet_model_open: itself, the best or last checkpoint in it, or a
 * bundled model's. out has API_PATH_BYTES. */
octet_status api_model_path(char *out, const char *path, octet_error *error);

#endif
