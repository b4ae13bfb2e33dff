/* api_model.c: octet/model.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "api/model_dirs.h"
#include "model/checkpoint.h"

#define SUFFIX ".safetensors"

/* --- where bundled models are */

/* Directory number `index` that may hold bundled models; NULL after the last. */
static const char *models_directory(int index, char *buffer) {
    char binary[API_PATH_BYTES];
    const char *named = getenv("OCTET_MODELS");
    if (index == 0)
        return named && *named ? named : "";
    if (index == 1) {
        ssize_t n = readlink("/proc/self/exe", binary, sizeof binary - 1);
        if (n <= 0)
            return "";
        binary[n] = '\0';
        for (int up = 0; up < 2; up++) {
            char *slash = strrchr(binary, '/');
            if (slash)
                *slash = '\0';
        }
        int used = snprintf(buffer, API_PATH_BYTES, "%s/samples/models", binary);
        return used > 0 && used < API_PATH_BYTES ? buffer : "";
    }
    return index == 2 ? OCTET_MODELS_DIRECTORY : NULL;
}

static int is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static int is_directory(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int join(char *out, const char *directory, const char *name, const char *suffix) {
    int n = snprintf(out, API_PATH_BYTES, "%s/%s%s", directory, name, suffix);
    return n > 0 && n < API_PATH_BYTES;
}

octet_status api_model_path(char *out, const char *path, octet_error *error) {
    static const char *const inside[] = {"best", "last"};
    char directory[API_PATH_BYTES];
    if (is_directory(path)) {
        for (int i = 0; i < 2; i++)
            if (join(out, path, inside[i], SUFFIX) && is_file(out))
                return OCTET_OK;
        return error_set(error, OCTET_ERROR, "%s: holds no best%s and no last%s", path, SUFFIX,
                         SUFFIX);
    }
    int is_name = *path && !strchr(path, '/') && !strchr(path, '.');
    const char *dir;
    for (int i = 0; is_name && !is_file(path) && (dir = models_directory(i, directory)); i++)
        if (*dir && join(out, dir, path, SUFFIX) && is_file(out))
            return OCTET_OK;
    if (is_name && !is_file(path))
        return error_set(
            error, OCTET_ERROR,
            "%s: no such file, and no bundled model of that name (octet info lists them)", path);
    if (snprintf(out, API_PATH_BYTES, "%s", path) >= API_PATH_BYTES)
        return error_set(error, OCTET_ERROR, "%.64s...: path longer than %d bytes", path,
                         API_PATH_BYTES);
    return OCTET_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_directory(const char *dir, void (*visit)(void *, const char *, const char *),
                           void *context) {
    struct dirent *entry;
    char path[API_PATH_BYTES], *names[256];
    size_t n = 0, suffix = strlen(SUFFIX);
    DIR *d = opendir(dir);
    if (!d)
        return;
    while ((entry = readdir(d)) && n < sizeof names / sizeof *names) {
        size_t length = strlen(entry->d_name);
        if (length > suffix && !strcmp(entry->d_name + length - suffix, SUFFIX))
            if ((names[n] = strndup(entry->d_name, length - suffix)))
                n++;
    }
    closedir(d);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        if (join(path, dir, names[i], SUFFIX))
            visit(context, names[i], path);
        free(names[i]);
    }
}

void octet_models_list(void (*visit)(void *context, const char *name, const char *path),
                       void *context) {
    char buffer[API_PATH_BYTES];
    const char *dir;
    for (int i = 0; (dir = models_directory(i, buffer)); i++)
        if (*dir)
            list_directory(dir, visit, context);
}

/* --- models */

octet_status api_model_wrap(octet_model **out, octet_runtime *runtime, model *m, const char *path,
                            octet_error *error) {
    octet_model *made = calloc(1, sizeof *made);
    char *copy = strdup(path);
    if (!made || !copy) {
        free(made);
        free(copy);
        model_destroy(&m);
        return error_memory(error, "model", sizeof *made);
    }
    made->runtime = runtime;
    made->model = m;
    made->path = copy;
    made->flops_per_byte = 2 * model_weights_per_byte(m);
    *out = made;
    return OCTET_OK;
}

static const char *const profile_names[] = {[OCTET_F32] = "f32", [OCTET_INT8] = "int8"};

const char *octet_profile_name(int profile) {
    return profile == OCTET_F32 || profile == OCTET_INT8 ? profile_names[profile] : NULL;
}

octet_status api_model_profile(model *out, const octet_model *m, octet_profile profile,
                               octet_error *error) {
    if (!octet_profile_name((int)profile))
        return error_set(error, OCTET_ERROR, "%s: there is no profile %d", m->path, (int)profile);
    model_with_arithmetic(out, m->model, profile == OCTET_INT8 ? ARITHMETIC_INT8 : ARITHMETIC_F32);
    return OCTET_OK;
}

octet_status octet_model_open(octet_model **out, octet_runtime *runtime, const char *path,
                              octet_error *error) {
    char file[API_PATH_BYTES];
    model *m;
    *out = NULL;
    octet_status status = api_model_path(file, path, error);
    if (!status)
        status = checkpoint_open(&m, runtime->backend, file, error);
    return status ? status : api_model_wrap(out, runtime, m, file, error);
}

octet_status octet_model_create(octet_model **out, octet_runtime *runtime, const char *json,
                                const char *name, uint64_t seed, octet_error *error) {
    config c;
    model *m = NULL;
    *out = NULL;
    octet_status status = config_parse(&c, json, strlen(json), name, error);
    if (!status)
        status = model_create(&m, runtime->backend, &c, error);
    if (!status)
        status = params_reset(&m->params, seed, error);
    if (!status)
        status = checkpoint_fingerprint(m, error);
    if (status) {
        model_destroy(&m);
        return status;
    }
    return api_model_wrap(out, runtime, m, "", error);
}

void octet_model_destroy(octet_model **m) {
    if (!m || !*m)
        return;
    model_destroy(&(*m)->model);
    free((*m)->path);
    free(*m);
    *m = NULL;
}

void octet_model_info_get(const octet_model *m, octet_model_info *out) {
    const config *c = &m->model->config;
    *out = (octet_model_info){
        .parameters = params_count(&m->model->params),
        .context = c->context,
        .keep = c->keep,
        .patch = config_unit_bytes(c, 0),
        .inner_patch = config_unit_bytes(c, c->n_levels > 1 ? c->n_levels - 2 : 0),
        .vocabulary = (int)c->vocabulary,
        .levels = c->n_levels,
        .endless = c->endless,
        .flops_per_byte = m->flops_per_byte,
        .config = m->model->text,
        .fingerprint = m->model->fingerprint,
        .path = m->path,
    };
}

octet_status octet_model_save(const octet_model *m, const char *path, int bf16,
                              octet_error *error) {
    return checkpoint_write(m->model, NULL, NULL, 0, bf16, path, error);
}
