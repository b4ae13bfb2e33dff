/* run.c: see run.h. */
#include "train/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "eval/score_windows.h"
#include "model/checkpoint.h"
#include "train/curves.h"
#include "train/run_log.h"
#include "train/trainer.h"

#define MEASURED_STEPS 20        /* after which --minutes fixes the number of steps */
#define STEPS_UNKNOWN 1000000000 /* until then: the schedule stays on its plateau */
#define TRAINING_SHARE 0.97      /* of --minutes; the rest is for validations and checkpoints */
#define VALIDATIONS 20

typedef struct run {
    const octet_train_params *p;
    const run_loader *loader;
    octet_train_report *report;
    void *context;
    backend *backend;
    config config;
    uint64_t seed;
    data *data;
    trainer *trainer;
    run_log log;
    char last[4096], best[4096], curves[4096];
    double started, saved_at, step_seconds; /* step_seconds: mean of late steps */
    int64_t started_step;
    int save_failed;
    octet_error save_error;
} run;

static int stopped(const run *r) {
    return r->p->stop && *r->p->stop;
}

static void tell(const run *r, octet_train_event_kind kind, double bpb, const step_result *step,
                 const char *text) {
    if (!r->report)
        return;
    const trainer *t = r->trainer;
    int known = t && t->steps < STEPS_UNKNOWN;
    octet_train_event e = {.kind = kind, .bpb = bpb, .seconds_left = -1, .text = text};
    if (t) {
        e.step = t->step;
        e.steps = known ? t->steps : 0;
        e.best_bpb = t->best_bits;
        e.bytes = t->bytes;
        const config_train *c = &t->live->config.train;
        schedule_point at = schedule_at(c, t->step ? t->step - 1 : 0, t->steps);
        e.lr = c->optimizer == OPTIMIZER_MUON ? at.muon_lr : at.lr;
    }
    if (step) {
        e.gradient_norm = step->gradient_norm;
        e.bytes_per_s = r->step_seconds > 0 ? (double)step->bytes / r->step_seconds : 0;
    }
    if (known && r->step_seconds > 0)
        e.seconds_left = (double)(t->steps - t->step) * r->step_seconds;
    r->report(r->context, &e);
}

/* --- opening */

static octet_status read_stored_config(config *c, const char *path, octet_error *error) {
    safetensors *st = NULL;
    model *stored = NULL;
    octet_status status = safetensors_open(&st, path, error);
    if (!status)
        status = checkpoint_plan(&stored, st, path, error);
    if (!status)
        *c = stored->config;
    model_destroy(&stored);
    safetensors_close(&st);
    return status;
}

static octet_status read_stored_seed(uint64_t *seed, const char *path, octet_error *error) {
    safetensors *st = NULL;
    octet_status status = safetensors_open(&st, path, error);
    const char *text = status ? NULL : safetensors_metadata(st, "seed");
    if (!status && !text)
        status = error_set(error, OCTET_CORRUPT, "%s: is no training run's: holds no seed", path);
    if (!status)
        *seed = strtoull(text, NULL, 10);
    safetensors_close(&st);
    return status;
}

/* The run's checkpoints hold the configuration with the options in it: it must read back. */
static octet_status check_readable(const config *c, octet_error *error) {
    config again;
    char *text = config_text(c);
    if (!text)
        return error_memory(error, "configuration", sizeof *c);
    octet_status status = config_parse(&again, text, strlen(text), "options", error);
    free(text);
    return status;
}

static octet_status override(run *r, octet_error *error) {
    const octet_train_params *p = r->p;
    config_train *c = &r->config.train;
    if (p->batch < 0 || p->steps < 0 || p->minutes < 0 || p->lr < 0)
        return error_set(error, OCTET_ERROR, "batch, steps, minutes and lr must not be negative");
    if (p->batch)
        c->batch = p->batch;
    if (p->steps)
        c->steps = p->steps;
    if (p->warmup >= 0)
        c->warmup = p->warmup;
    if (p->lr > 0 && c->optimizer == OPTIMIZER_MUON) {
        c->lr *= p->lr / c->muon_lr;
        c->muon_lr = p->lr;
    } else if (p->lr > 0) {
        c->lr = p->lr;
    }
    if (c->batch % c->micro_batches)
        return error_set(error, OCTET_ERROR,
                         "batch %" PRId64 " is not a multiple of micro_batches %" PRId64, c->batch,
                         c->micro_batches);
    return check_readable(&r->config, error);
}

/* The configuration: the file's, or without one the checkpoint's that the run goes on from, or the
 * model's that it starts from. The seed of a run that goes on likewise. */
static octet_status open_config(run *r, int going_on, octet_error *error) {
    octet_status status;
    r->seed = r->p->seed;
    if (going_on && !r->seed) {
        status = read_stored_seed(&r->seed, r->last, error);
        if (status)
            return status;
    }
    if (r->p->config)
        status = config_read(&r->config, r->p->config, error);
    else if (going_on)
        status = read_stored_config(&r->config, r->last, error);
    else if (r->p->from)
        status = read_stored_config(&r->config, r->p->from, error);
    else
        return error_set(error, OCTET_ERROR, "no configuration is given (-c CONFIG)");
    return status ? status : override(r, error);
}

static octet_status open_paths(run *r, int *going_on, octet_error *error) {
    const char *out = r->p->out;
    if (!out || !*out)
        return error_set(error, OCTET_ERROR, "no directory for the run is given (-o DIR)");
    if (strlen(out) > sizeof r->last - 64)
        return error_set(error, OCTET_ERROR, "%.64s...: path too long", out);
    snprintf(r->last, sizeof r->last, "%s/last.safetensors", out);
    snprintf(r->best, sizeof r->best, "%s/best.safetensors", out);
    snprintf(r->curves, sizeof r->curves, "%s/curves.svg", out);
    *going_on = access(r->last, F_OK) == 0;
    if (*going_on && !r->p->resume)
        return error_set(
            error, OCTET_ERROR,
            "%s: there is a run already: --resume goes on, or choose another directory", r->last);
    return OCTET_OK;
}

static octet_status check_size(const run *r, octet_error *error) {
    uint64_t bytes = data_train_bytes(r->data);
    int64_t patch = config_unit_bytes(&r->config, 0);
    if (bytes >= (uint64_t)patch)
        return OCTET_OK;
    return error_set(error, OCTET_ERROR,
                     "%s: %" PRIu64 " bytes to train on are less than one patch of %" PRId64
                     " bytes",
                     r->p->n_data ? r->p->data[0] : "data", bytes, patch);
}

static octet_status load_file(void *context, file_bytes *out, const char *path,
                              octet_error *error) {
    const run *r = context;
    return r->loader->load(r->loader->context, &r->config, out, path, error);
}

static octet_status open_data(run *r, octet_error *error) {
    char text[256] = "";
    const config *c = &r->config;
    const data_source source = {.paths = r->p->data,
                                .n_paths = (size_t)r->p->n_data,
                                .valid = r->p->valid,
                                .n_valid = (size_t)r->p->n_valid,
                                .load = load_file,
                                .context = r,
                                .align = config_window_step(c),
                                .whole_files = config_whole_files(c)};
    octet_status status = data_open(&r->data, &source, c->context, r->seed, error);
    if (status)
        return status;
    r->loader->sum_up(r->loader->context, text);
    if (*text)
        tell(r, OCTET_TRAIN_REMARK, 0, NULL, text);
    return check_size(r, error);
}

static octet_status start_from(run *r, octet_error *error) {
    char differs[256], text[4096 + 512];
    octet_status status = trainer_start_from(r->trainer, r->p->from, differs, error);
    if (!status && *differs) {
        snprintf(text, sizeof text, "%s: %s", r->p->from, differs);
        tell(r, OCTET_TRAIN_REMARK, 0, NULL, text);
    }
    return status;
}

static octet_status open_run(run *r, octet_error *error) {
    int going_on = 0;
    octet_status status = open_paths(r, &going_on, error);
    if (!status)
        status = open_config(r, going_on, error);
    if (!status)
        status = open_data(r, error);
    int64_t steps = r->p->minutes > 0 ? STEPS_UNKNOWN : r->config.train.steps;
    if (!status)
        status =
            trainer_create(&r->trainer, r->backend, &r->config, r->data, r->seed, steps, error);
    if (!status && going_on)
        status = trainer_load(r->trainer, r->last, error);
    else if (!status && r->p->from)
        status = start_from(r, error);
    if (!status)
        status = file_make_directory(r->p->out, error);
    if (!status)
        status = run_log_open(&r->log, r->p->out, r->trainer->step, error);
    if (!status)
        tell(r, OCTET_TRAIN_STARTED, 0, NULL,
             r->p->resume && !going_on ? "no checkpoint: starting at step 0" : NULL);
    return status;
}

static void close_run(run *r) {
    run_log_close(&r->log);
    trainer_destroy(&r->trainer);
    data_close(&r->data);
}

/* --- the loop */

/* A checkpoint that cannot be written must not end the run: the old one is whole, training goes on,
 * and the run ends with the error unless a later save succeeds. */
static void keep_or_warn(run *r, octet_status status, const octet_error *e) {
    r->save_failed = status != OCTET_OK;
    if (status) {
        r->save_error = *e;
        tell(r, OCTET_TRAIN_WARNING, 0, NULL, e->text);
    }
}

static void save(run *r) {
    octet_error e = {0};
    keep_or_warn(r, trainer_save(r->trainer, r->last, &e), &e);
    if (!r->save_failed)
        tell(r, OCTET_TRAIN_SAVED, 0, NULL, r->last);
    r->saved_at = clock_seconds();
}

/* How many of the n bytes of validation file i are scored, when all files share the budget: as many
 * of each; of files that are streams as a whole, which are of one size, all of some. */
static size_t valid_share(const run *r, size_t i, size_t n, size_t budget) {
    size_t files = data_valid_files(r->data), share = budget / files + 1;
    if (!config_whole_files(&r->config))
        return n < share ? n : share;
    size_t wanted = n < budget ? budget / n : 1;
    wanted = wanted < files ? wanted : files;
    return (i + 1) * wanted / files > i * wanted / files ? n : 0;
}

/* Bits per byte of valid_bytes bytes of validation data, shared out over its files. */
static octet_status validate(run *r, octet_error *error) {
    trainer *t = r->trainer;
    octet_score_params score = {.keep = -1, .stop = r->p->stop};
    size_t files = data_valid_files(r->data);
    double bits = 0, bytes = 0;
    int64_t budget = r->p->valid_bytes ? r->p->valid_bytes : 262144;
    octet_status status = trainer_refresh_eval(t, error);
    for (size_t i = 0; i < files && !status; i++) {
        size_t n;
        const uint8_t *part = data_valid_part(r->data, i, &n);
        double cost = 0;
        n = valid_share(r, i, n, (size_t)budget);
        if (n == 0)
            continue;
        status = score_windows(t->eval, part, n, &score, &cost, error);
        bits += cost;
        bytes += (double)n;
    }
    if (status || bytes == 0)
        return status;
    double bpb = bits / bytes;
    int improves = t->best_bits == 0 || bpb < t->best_bits;
    octet_error e = {0};
    if (improves) {
        t->best_bits = bpb;
        keep_or_warn(r, checkpoint_write(t->eval, NULL, NULL, 0, 0, r->best, &e), &e);
    }
    run_log_validation(&r->log, t->step, bpb);
    if (curves_write(r->log.path, r->curves, &e))
        tell(r, OCTET_TRAIN_WARNING, 0, NULL, e.text);
    tell(r, OCTET_TRAIN_VALIDATED, bpb, NULL, NULL);
    return OCTET_OK;
}

static int64_t validation_interval(const run *r) {
    if (r->p->valid_every > 0)
        return r->p->valid_every;
    int64_t every = r->trainer->steps / VALIDATIONS;
    return every > 0 ? every : 1;
}

/* Turns minutes into steps, once the speed is known. */
static void fix_steps(run *r) {
    trainer *t = r->trainer;
    if (t->steps < STEPS_UNKNOWN || t->step < MEASURED_STEPS)
        return;
    double left = r->p->minutes * 60 * TRAINING_SHARE - (clock_seconds() - r->started);
    int64_t more = (int64_t)(left / r->step_seconds);
    t->steps = t->step + (more > 0 ? more : 0);
}

static octet_status one_step(run *r, octet_error *error) {
    step_result result;
    double begun = clock_seconds();
    octet_status status = trainer_step(r->trainer, &result, error);
    double took = clock_seconds() - begun;
    if (status)
        return status;
    r->step_seconds = r->step_seconds > 0 ? r->step_seconds + 0.1 * (took - r->step_seconds) : took;
    fix_steps(r);
    run_log_step(&r->log, r->trainer->step, &result, clock_seconds() - r->started);
    tell(r, OCTET_TRAIN_STEP, result.loss_bits, &result, NULL);
    return OCTET_OK;
}

static octet_status loop(run *r, octet_error *error) {
    trainer *t = r->trainer;
    octet_status status = OCTET_OK;
    double between = r->p->save_seconds > 0 ? r->p->save_seconds : 60;
    r->started = r->saved_at = clock_seconds();
    while (t->step < t->steps && !stopped(r) && !status) {
        status = one_step(r, error);
        int last = t->step >= t->steps;
        if (!status && !stopped(r) && t->steps < STEPS_UNKNOWN &&
            (last || t->step % validation_interval(r) == 0))
            status = validate(r, error);
        if (!status && (last || clock_seconds() - r->saved_at >= between))
            save(r);
    }
    if (status && status != OCTET_STOPPED)
        return status;
    if (stopped(r)) {
        save(r);
        return error_set(error, OCTET_STOPPED, "stopped after step %" PRId64, t->step);
    }
    return OCTET_OK;
}

octet_status run_train(backend *b, const octet_train_params *p, const run_loader *loader,
                       octet_train_report *report, void *context, octet_error *error) {
    run *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(error, "training run", sizeof *r);
    r->p = p;
    r->loader = loader;
    r->report = report;
    r->context = context;
    r->backend = b;
    octet_status status = open_run(r, error);
    if (!status)
        status = loop(r, error);
    if (!status)
        tell(r, OCTET_TRAIN_FINISHED, r->trainer->best_bits, NULL, NULL);
    if (r->save_failed && (!status || status == OCTET_STOPPED))
        status = error_set(error, OCTET_ERROR, "%s", r->save_error.text);
    else if (!status && r->log.failed)
        status = error_set(error, OCTET_ERROR, "%s: the log could not be written", r->log.path);
    close_run(r);
    free(r);
    return status;
}
