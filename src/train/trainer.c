/* trainer.c: see trainer.h. */
#include "train/trainer.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"
#include "train/cost.h"

void trainer_destroy(trainer **t) {
    if (!t || !*t)
        return;
    step_destroy(&(*t)->step_graph);
    optimizer_finish(&(*t)->optimizer);
    model_destroy(&(*t)->eval);
    model_destroy(&(*t)->live);
    free((*t)->window);
    free(*t);
    *t = NULL;
}

octet_status trainer_create(trainer **out, backend *b, const config *c, const data *d,
                            uint64_t seed, int64_t steps, octet_error *error) {
    *out = NULL;
    trainer *t = calloc(1, sizeof *t);
    uint8_t *window = calloc((size_t)c->context, 1);
    if (!t || !window) {
        free(t);
        free(window);
        return error_memory(error, "trainer", (double)c->context);
    }
    t->data = d;
    t->window = window;
    t->seed = seed;
    t->steps = steps;
    octet_status status = cost_check_training(b, c, error);
    if (!status)
        status = model_create(&t->live, b, c, error);
    if (!status)
        status = model_create(&t->eval, b, c, error);
    if (!status)
        status = params_reset(&t->live->params, seed, error);
    if (!status)
        status = optimizer_create(&t->optimizer, &t->live->params, &t->live->config.train, error);
    if (!status)
        status = step_create(&t->step_graph, t->live, &t->optimizer, c->train.batch,
                             c->train.micro_batches, error);
    if (!status)
        step_set_seed(t->step_graph, seed);
    if (status)
        trainer_destroy(&t);
    *out = t;
    return status;
}

/* A vocabulary below 256 leaves bytes out. */
static octet_status check_window(const trainer *t, size_t n, octet_error *error) {
    int64_t vocabulary = t->live->config.vocabulary;
    for (size_t i = 0; i < n && vocabulary < 256; i++)
        if (t->window[i] >= vocabulary)
            return error_set(error, OCTET_ERROR,
                             "step %" PRId64
                             ": the data hold byte %d, and the vocabulary is %" PRId64 " symbols",
                             t->step, t->window[i], vocabulary);
    return OCTET_OK;
}

octet_status trainer_step(trainer *t, step_result *out, octet_error *error) {
    int64_t batch = t->live->config.train.batch;
    octet_status status = OCTET_OK;
    for (int64_t k = 0; k < batch && !status; k++) {
        size_t n = data_window(t->data, (uint64_t)(t->step * batch + k), t->window);
        status = check_window(t, n, error);
        step_set_window(t->step_graph, k, t->window, (int64_t)n);
    }
    if (!status)
        status = step_run(t->step_graph, t->step, t->steps, out, error);
    if (status)
        return status;
    if (!isfinite(out->loss_bits) || !isfinite(out->gradient_norm))
        return error_set(error, OCTET_ERROR,
                         "step %" PRId64 ": loss %g, gradient norm %g: training has diverged; a "
                         "lower learning rate may help",
                         t->step, out->loss_bits, out->gradient_norm);
    t->step++;
    t->bytes += out->bytes;
    return OCTET_OK;
}

/* The mean counts once its window is shorter than 1: before that it is the live weights. */
static int mean_runs(const trainer *t) {
    const config_train *c = &t->live->config.train;
    return c->mean > 0 && t->step > 0 && schedule_at(c, t->step - 1, t->steps).mean_weight < 1;
}

octet_status trainer_refresh_eval(trainer *t, octet_error *error) {
    if (!mean_runs(t))
        return params_copy(&t->eval->params, &t->live->params, error);
    octet_status status = OCTET_OK;
    for (int i = 0; i < t->live->params.n && !status; i++) {
        variable *to = &t->eval->params.list[i]->v;
        status = params_copy_one(t->eval->backend, to, t->optimizer.mean[i], error);
    }
    return status;
}

/* --- checkpoints */

/* A run has at most as many steps as a configuration can ask for, and while its length is not known
 * yet it counts as one of these. */
#define STEPS_MOST 1000000000

enum { ENTRY_STEP, ENTRY_STEPS, ENTRY_SEED, ENTRY_DATA, ENTRY_BYTES, ENTRY_BEST, ENTRIES };

static const char *const entry_keys[ENTRIES] = {"step", "steps", "seed",
                                                "data", "bytes", "best_bpb"};

octet_status trainer_save(const trainer *t, const char *path, octet_error *error) {
    checkpoint_entry e[ENTRIES];
    for (int i = 0; i < ENTRIES; i++)
        e[i].key = entry_keys[i];
    snprintf(e[ENTRY_STEP].value, sizeof e[0].value, "%" PRId64, t->step);
    snprintf(e[ENTRY_STEPS].value, sizeof e[0].value, "%" PRId64, t->steps);
    snprintf(e[ENTRY_SEED].value, sizeof e[0].value, "%" PRIu64, t->seed);
    snprintf(e[ENTRY_DATA].value, sizeof e[0].value, "%016" PRIx64, data_fingerprint(t->data));
    snprintf(e[ENTRY_BYTES].value, sizeof e[0].value, "%" PRId64, t->bytes);
    snprintf(e[ENTRY_BEST].value, sizeof e[0].value, "%.17g", t->best_bits);
    return checkpoint_write(t->live, &t->optimizer.state, e, ENTRIES, 0, path, error);
}

static octet_status read_number(const safetensors *st, const char *path, int entry, int64_t most,
                                int64_t *out, octet_error *error) {
    const char *text = safetensors_metadata(st, entry_keys[entry]);
    char *end = NULL;
    errno = 0;
    *out = text ? strtoll(text, &end, 10) : 0;
    if (text && *text && !*end && !errno && *out >= 0 && *out <= most)
        return OCTET_OK;
    return error_set(error, OCTET_CORRUPT, "%s: %s is %.40s, not a number from 0 to %" PRId64, path,
                     entry_keys[entry], text ? text : "not stated", most);
}

static octet_status read_best(const safetensors *st, const char *path, double *out,
                              octet_error *error) {
    const char *text = safetensors_metadata(st, entry_keys[ENTRY_BEST]);
    char *end = NULL;
    *out = text ? strtod(text, &end) : 0;
    if (text && *text && !*end && isfinite(*out) && *out >= 0)
        return OCTET_OK;
    return error_set(error, OCTET_CORRUPT, "%s: %s is %.40s, not a number from 0", path,
                     entry_keys[ENTRY_BEST], text ? text : "not stated");
}

static octet_status same_text(const safetensors *st, const char *path, const char *key,
                              const char *wanted, octet_error *error) {
    const char *text = safetensors_metadata(st, key);
    if (text && !strcmp(text, wanted))
        return OCTET_OK;
    return error_set(error, OCTET_ERROR, "%s: its %s is %s, this run's is %s", path, key,
                     text ? text : "not stated", wanted);
}

/* Where two configurations that were written by this program part: the key and what follows.
 * Returns 0 when they are equal. */
static int first_difference(const char *stored, const char *own, char stored_part[48],
                            char own_part[48]) {
    size_t at = 0, key = 0;
    for (; stored[at] && stored[at] == own[at]; at++)
        if (own[at] == ',' || own[at] == '{')
            key = at + 1;
    key += stored[key] == ' ' && own[key] == ' ';
    snprintf(stored_part, 48, "%.40s", stored + key);
    snprintf(own_part, 48, "%.40s", own + key);
    return stored[at] || own[at];
}

/* The configuration of a run must be the one it began with. Both are compared as this program
 * writes them, so that a key which is newer than the run counts with its default. */
static octet_status same_config(const trainer *t, const safetensors *st, const char *path,
                                octet_error *error) {
    const char *own = t->live->text;
    char stored_part[48], own_part[48];
    config c;
    octet_status status = checkpoint_config(&c, st, path, error);
    char *stored = status ? NULL : config_text(&c);
    if (!stored)
        return status ? status : error_memory(error, path, (double)strlen(own));
    if (first_difference(stored, own, stored_part, own_part))
        status = error_set(error, OCTET_ERROR,
                           "%s: the run began with another configuration: it has %s where this "
                           "has %s",
                           path, stored_part, own_part);
    free(stored);
    return status;
}

static octet_status load_state(trainer *t, const safetensors *st, const char *path,
                               octet_error *error) {
    char seed[32], content[32];
    int64_t step = 0, steps = 0, bytes = 0;
    double best = 0;
    snprintf(seed, sizeof seed, "%" PRIu64, t->seed);
    snprintf(content, sizeof content, "%016" PRIx64, data_fingerprint(t->data));
    octet_status status = same_config(t, st, path, error);
    if (!status)
        status = same_text(st, path, "seed", seed, error);
    if (!status)
        status = same_text(st, path, "data", content, error);
    if (!status)
        status = read_number(st, path, ENTRY_STEPS, STEPS_MOST, &steps, error);
    if (!status)
        status = read_number(st, path, ENTRY_STEP, steps, &step, error);
    if (!status)
        status = read_number(st, path, ENTRY_BYTES, INT64_MAX / 2, &bytes, error);
    if (!status)
        status = read_best(st, path, &best, error);
    if (!status)
        status = checkpoint_check_params(&t->live->params, st, path, error);
    if (!status)
        status = checkpoint_check_params(&t->optimizer.state, st, path, error);
    if (!status)
        status = checkpoint_read_params(&t->live->params, st, error);
    if (!status)
        status = checkpoint_read_params(&t->optimizer.state, st, error);
    if (status)
        return status;
    t->step = step;
    t->steps = steps;
    t->bytes = bytes;
    t->best_bits = best;
    return OCTET_OK;
}

octet_status trainer_load(trainer *t, const char *path, octet_error *error) {
    safetensors *st = NULL;
    octet_status status = safetensors_open(&st, path, error);
    if (!status)
        status = load_state(t, st, path, error);
    safetensors_close(&st);
    return status;
}

/* --- from the weights of another model */

/* Every weight of the stored model is used: one without a place would be dropped in silence. */
static octet_status check_places(const params *live, const params *stored, const char *path,
                                 octet_error *error) {
    for (int i = 0; i < stored->n; i++)
        if (!params_find(live, stored->list[i]->v.name))
            return error_set(error, OCTET_WRONG_MODEL,
                             "%s: tensor %s has no place in the configuration", path,
                             stored->list[i]->v.name);
    return OCTET_OK;
}

static octet_status compare(const config *stored, const config *own, char differs[256],
                            octet_error *error) {
    char stored_part[48], own_part[48];
    char *a = config_identity(stored), *b = config_identity(own);
    octet_status status = a && b ? OCTET_OK : error_memory(error, "configuration", sizeof *own);
    if (!status && first_difference(a, b, stored_part, own_part))
        snprintf(differs, 256, "its configuration has %s where this has %s", stored_part, own_part);
    free(a);
    free(b);
    return status;
}

static octet_status take_weights(trainer *t, const safetensors *st, const char *path,
                                 char differs[256], octet_error *error) {
    model *stored = NULL;
    params *live = &t->live->params;
    octet_status status = checkpoint_plan(&stored, st, path, error);
    if (!status)
        status = check_places(live, &stored->params, path, error);
    if (!status)
        status = checkpoint_check_params(live, st, path, error);
    if (!status)
        status = compare(&stored->config, &t->live->config, differs, error);
    if (!status)
        status = checkpoint_read_params(live, st, error);
    model_destroy(&stored);
    return status;
}

octet_status trainer_start_from(trainer *t, const char *path, char differs[256],
                                octet_error *error) {
    safetensors *st = NULL;
    *differs = '\0';
    octet_status status = safetensors_open(&st, path, error);
    if (!status)
        status = take_weights(t, st, path, differs, error);
    safetensors_close(&st);
    return status;
}
