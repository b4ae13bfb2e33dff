/* checkpoint.c: see checkpoint.h. */
#include "model/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bf16.h"

/* --- reading */

static octet_status check_shape(const variable *v, const safetensors_tensor *t, const char *path,
                                octet_error *error) {
    tensor wanted = {.rank = v->rank}, found = {.rank = t->rank};
    char a[160], b[160];
    int fits = t->rank == v->rank;
    memcpy(wanted.dim, v->dim, sizeof wanted.dim);
    for (int i = 0; i < t->rank && i < TENSOR_MAX_RANK; i++) {
        found.dim[i] = t->dim[i];
        fits = fits && t->dim[i] == v->dim[i];
    }
    if (t->type != SAFETENSORS_F32 && t->type != SAFETENSORS_BF16)
        return error_set(error, OCTET_WRONG_MODEL, "%s: tensor %s is %s, F32 or BF16 is needed",
                         path, v->name, safetensors_type_name(t->type));
    if (fits)
        return OCTET_OK;
    if (found.rank > TENSOR_MAX_RANK)
        found.rank = TENSOR_MAX_RANK;
    return error_set(error, OCTET_WRONG_MODEL,
                     "%s: tensor %s has shape %s, the configuration needs %s", path, v->name,
                     tensor_describe(a, sizeof a, &found), tensor_describe(b, sizeof b, &wanted));
}

static float value_at(const safetensors_tensor *t, int64_t i) {
    float value;
    if (t->type == SAFETENSORS_BF16) {
        uint16_t half;
        memcpy(&half, t->data + 2 * i, sizeof half);
        return bf16_widen(half);
    }
    memcpy(&value, t->data + 4 * i, sizeof value);
    return value;
}

static octet_status check_values(const variable *v, const safetensors_tensor *t, const char *path,
                                 octet_error *error) {
    int64_t n = variable_elements(v);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(value_at(t, i)))
            return error_set(error, OCTET_CORRUPT, "%s: tensor %s: element %lld is %f, not finite",
                             path, v->name, (long long)i, (double)value_at(t, i));
    return OCTET_OK;
}

static octet_status read_tensor(backend *b, variable *v, const safetensors_tensor *t,
                                octet_error *error) {
    int64_t n = variable_elements(v);
    float *values = malloc((size_t)n * sizeof *values + 1);
    if (!values)
        return error_memory(error, v->name, (double)n * sizeof *values);
    for (int64_t i = 0; i < n; i++)
        values[i] = value_at(t, i);
    octet_status status = backend_write(b, v, 0, n, values, error);
    free(values);
    return status;
}

octet_status checkpoint_check_params(const params *p, const safetensors *st, const char *path,
                                     octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < p->n && !status; i++) {
        const variable *v = &p->list[i]->v;
        const safetensors_tensor *t = safetensors_find(st, v->name);
        if (!t)
            return error_set(error, OCTET_WRONG_MODEL, "%s: tensor %s is missing", path, v->name);
        status = check_shape(v, t, path, error);
    }
    for (int i = 0; i < p->n && !status; i++) {
        const variable *v = &p->list[i]->v;
        status = check_values(v, safetensors_find(st, v->name), path, error);
    }
    return status;
}

octet_status checkpoint_read_params(params *p, const safetensors *st, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < p->n && !status; i++) {
        variable *v = &p->list[i]->v;
        status = read_tensor(p->backend, v, safetensors_find(st, v->name), error);
    }
    return status;
}

static int of_run(const char *name) {
    return !strncmp(name, "optimizer.", strlen("optimizer."));
}

/* A tensor that the model does not know, unless it belongs to a training run. All that it knows are
 * there, so that their number tells. */
static octet_status check_extra(const model *m, const safetensors *st, const char *path,
                                octet_error *error) {
    size_t n = 0;
    for (size_t i = 0; i < safetensors_count(st); i++)
        n += !of_run(safetensors_at(st, i)->name);
    for (size_t i = 0; n != (size_t)m->params.n && i < safetensors_count(st); i++) {
        const char *name = safetensors_at(st, i)->name;
        if (!of_run(name) && !params_find(&m->params, name))
            return error_set(error, OCTET_WRONG_MODEL,
                             "%s: tensor %s is not part of the configured model", path, name);
    }
    return OCTET_OK;
}

octet_status checkpoint_config(config *out, const safetensors *st, const char *path,
                               octet_error *error) {
    const char *format = safetensors_metadata(st, "format");
    const char *version = safetensors_metadata(st, "version");
    const char *text = safetensors_metadata(st, "config");
    if (!format || strcmp(format, "octet"))
        return error_set(error, OCTET_CORRUPT, "%s: not a checkpoint of Octet: format is %.40s",
                         path, format ? format : "not stated");
    if (!version || strcmp(version, CHECKPOINT_VERSION))
        return error_set(error, OCTET_CORRUPT,
                         "%s: checkpoint version %.40s, this program reads %s", path,
                         version ? version : "not stated", CHECKPOINT_VERSION);
    if (!safetensors_verified(st))
        return error_set(error, OCTET_CORRUPT, "%s: states no checksum (%s)", path,
                         SAFETENSORS_CHECKSUM);
    if (!text)
        return error_set(error, OCTET_CORRUPT, "%s: holds no configuration", path);
    octet_status status = config_parse(out, text, strlen(text), path, error);
    if (status != OCTET_ERROR)
        return status;
    if (error)
        error->code = OCTET_CORRUPT;
    return OCTET_CORRUPT;
}

octet_status checkpoint_plan(model **out, const safetensors *st, const char *path,
                             octet_error *error) {
    config c;
    *out = NULL;
    octet_status status = checkpoint_config(&c, st, path, error);
    if (status)
        return status;
    status = model_outline(out, NULL, &c, error);
    if (!status)
        status = checkpoint_check_params(&(*out)->params, st, path, error);
    if (!status)
        status = check_extra(*out, st, path, error);
    if (status)
        model_destroy(out);
    return status;
}

static octet_status open_model(model **out, backend *b, const safetensors *st, const char *path,
                               octet_error *error) {
    octet_status status = checkpoint_plan(out, st, path, error);
    if (!status)
        status = model_allocate(*out, b, error);
    if (!status)
        status = checkpoint_read_params(&(*out)->params, st, error);
    if (!status)
        status = checkpoint_fingerprint(*out, error);
    if (status)
        model_destroy(out);
    return status;
}

octet_status checkpoint_open(model **out, backend *b, const char *path, octet_error *error) {
    *out = NULL;
    safetensors *st = NULL;
    octet_status status = safetensors_open(&st, path, error);
    if (!status)
        status = open_model(out, b, st, path, error);
    safetensors_close(&st);
    return status;
}

octet_status checkpoint_open_memory(model **out, backend *b, const char *label,
                                    const uint8_t *bytes, size_t size, octet_error *error) {
    *out = NULL;
    safetensors *st = NULL;
    octet_status status = safetensors_open_memory(&st, label, bytes, size, error);
    if (!status)
        status = open_model(out, b, st, label, error);
    safetensors_close(&st);
    return status;
}

/* --- writing */

typedef struct tensor_source {
    backend *backend;
    const variable *v;
    int bf16;
} tensor_source;

static octet_status fill(void *context, uint64_t offset, void *out, size_t bytes,
                         octet_error *error) {
    const tensor_source *s = context;
    if (!s->bf16)
        return backend_read(s->backend, s->v, (int64_t)(offset / 4), (int64_t)(bytes / 4), out,
                            error);
    size_t n = bytes / 2;
    float *values = malloc(n * sizeof *values + 1);
    if (!values)
        return error_memory(error, s->v->name, (double)n * sizeof *values);
    octet_status status =
        backend_read(s->backend, s->v, (int64_t)(offset / 2), (int64_t)n, values, error);
    for (size_t i = 0; i < n && !status; i++) {
        uint16_t half = bf16_narrow(values[i]);
        memcpy((uint8_t *)out + 2 * i, &half, sizeof half);
    }
    free(values);
    return status;
}

static octet_status add_params(safetensors_writer *w, const params *p, int bf16,
                               tensor_source *sources, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < p->n && !status; i++) {
        const variable *v = &p->list[i]->v;
        safetensors_tensor t = {.name = v->name, .rank = v->rank};
        memcpy(t.dim, v->dim, (size_t)v->rank * sizeof *t.dim);
        t.type = bf16 ? SAFETENSORS_BF16 : SAFETENSORS_F32;
        t.bytes = (size_t)variable_elements(v) * (bf16 ? 2 : 4);
        sources[i] = (tensor_source){p->backend, v, bf16};
        status = safetensors_writer_add_stream(w, &t, fill, &sources[i], error);
    }
    return status;
}

static octet_status add_metadata(safetensors_writer *w, const model *m,
                                 const checkpoint_entry *entries, int n, octet_error *error) {
    octet_status status = safetensors_writer_metadata(w, "format", "octet", error);
    if (!status)
        status = safetensors_writer_metadata(w, "version", CHECKPOINT_VERSION, error);
    if (!status)
        status = safetensors_writer_metadata(w, "config", m->text, error);
    for (int i = 0; i < n && !status; i++)
        status = safetensors_writer_metadata(w, entries[i].key, entries[i].value, error);
    return status;
}

octet_status checkpoint_write(const model *m, const params *extra, const checkpoint_entry *entries,
                              int n, int bf16, const char *path, octet_error *error) {
    size_t tensors = (size_t)m->params.n + (extra ? (size_t)extra->n : 0);
    tensor_source *sources = calloc(tensors + 1, sizeof *sources);
    if (!sources)
        return error_memory(error, "checkpoint", (double)tensors * sizeof *sources);
    safetensors_writer *w = NULL;
    octet_status status = safetensors_writer_create(&w, error);
    if (!status)
        status = add_metadata(w, m, entries, n, error);
    if (!status)
        status = add_params(w, &m->params, bf16, sources, error);
    if (!status && extra)
        status = add_params(w, extra, 0, sources + m->params.n, error);
    if (!status)
        status = safetensors_writer_write(w, path, NULL, error);
    safetensors_writer_destroy(&w);
    free(sources);
    return status;
}

/* --- fingerprint */

static octet_status hash_params(XXH3_state_t *state, const params *p, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < p->n && !status; i++) {
        const variable *v = &p->list[i]->v;
        int64_t n = variable_elements(v);
        float *values = malloc((size_t)n * sizeof *values + 1);
        if (!values)
            return error_memory(error, v->name, (double)n * sizeof *values);
        status = backend_read(p->backend, v, 0, n, values, error);
        XXH3_128bits_update(state, v->name, strlen(v->name) + 1);
        XXH3_128bits_update(state, v->dim, (size_t)v->rank * sizeof *v->dim);
        XXH3_128bits_update(state, values, (size_t)n * sizeof *values);
        free(values);
    }
    return status;
}

octet_status checkpoint_fingerprint(model *m, octet_error *error) {
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return error_memory(error, "fingerprint", 576);
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, m->identity, strlen(m->identity));
    octet_status status = hash_params(state, &m->params, error);
    XXH128_hash_t h = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    snprintf(m->fingerprint, sizeof m->fingerprint, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
    return status;
}
