/* api_import.c: octet/import.h. */
#include "api/api.h"
#include "model/importer.h"

octet_status octet_import(octet_model **out, octet_runtime *runtime, const char *format,
                          const char *path, const octet_import_params *given, octet_error *error) {
    model *m = NULL;
    *out = NULL;
    octet_status status = import_model(&m, runtime->backend, format, path, given, error);
    return status ? status : api_model_wrap(out, runtime, m, path, error);
}

void octet_import_list(void (*visit)(void *context, const char *name, const char *about,
                                     const char *const *settings),
                       void *context) {
    import_list(visit, context);
}

octet_status octet_export(const octet_model *m, const char *format, const char *path,
                          char **settings, octet_error *error) {
    return import_export(m->model, format, path, settings, error);
}
