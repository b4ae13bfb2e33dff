/* api_train.c: octet/train.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/api_media.h"
#include "train/run.h"
#include "train/trainer.h"

/* What the codec lost in all data files. */
typedef struct train_losses {
    int files, resampled, mixed, opaque, narrowed; /* the last two of images */
    int64_t clipped;
} train_losses;

static octet_status load(void *context, const config *c, file_bytes *out, const char *path,
                         octet_error *error) {
    train_losses *sum = context;
    octet_losses l;
    octet_status status = media_open(out, &l, c, path, error);
    sum->files++;
    sum->resampled += l.rate_from != l.rate_to;
    sum->mixed += l.channels_from != l.channels_to;
    sum->clipped += l.clipped;
    sum->opaque += l.transparent > 0;
    sum->narrowed += l.rate_from == 0 && l.rounded > 0;
    return status;
}

static void sum_up(void *context, char text[256]) {
    const train_losses *sum = context;
    if (sum->opaque || sum->narrowed)
        snprintf(text, 256,
                 "of %d images %d were made opaque, %d rounded to 8 bits, %d copied to 3 channels",
                 sum->files, sum->opaque, sum->narrowed, sum->mixed);
    else if (sum->resampled || sum->mixed || sum->clipped)
        snprintf(text, 256,
                 "of %d files %d were resampled, %d mixed to other channels, %lld samples clipped",
                 sum->files, sum->resampled, sum->mixed, (long long)sum->clipped);
}

octet_status octet_train(octet_runtime *runtime, const octet_train_params *p,
                         octet_train_report *report, void *context, octet_error *error) {
    train_losses losses = {0};
    const run_loader loader = {load, sum_up, &losses};
    octet_train_params resolved = *p;
    char from[API_PATH_BYTES];
    if (p->from) {
        octet_status status = api_model_path(from, p->from, error);
        if (status)
            return status;
        resolved.from = from;
    }
    return run_train(runtime->backend, &resolved, &loader, report, context, error);
}

struct octet_trainer {
    data *data;
    trainer *trainer;
};

void octet_trainer_destroy(octet_trainer **t) {
    if (!t || !*t)
        return;
    trainer_destroy(&(*t)->trainer);
    data_close(&(*t)->data);
    free(*t);
    *t = NULL;
}

octet_status octet_trainer_create(octet_trainer **out, octet_runtime *runtime, const char *text,
                                  const uint8_t *bytes, size_t n, int batch, int64_t steps,
                                  uint64_t seed, octet_error *error) {
    config c;
    *out = NULL;
    octet_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return error_memory(error, "trainer", sizeof *t);
    octet_status status = config_parse(&c, text, strlen(text), "config", error);
    if (!status && batch > 0)
        c.train.batch = batch;
    if (!status && c.train.batch % c.train.micro_batches)
        status = error_set(error, OCTET_ERROR, "batch %d is not a multiple of micro_batches %d",
                           (int)c.train.batch, (int)c.train.micro_batches);
    if (!status)
        status = data_open_memory(&t->data, bytes, n, c.context, seed, error);
    if (!status)
        status = trainer_create(&t->trainer, runtime->backend, &c, t->data, seed, steps, error);
    if (status)
        octet_trainer_destroy(&t);
    *out = t;
    return status;
}

octet_status octet_trainer_step(octet_trainer *t, double *bpb, octet_error *error) {
    step_result result;
    octet_status status = trainer_step(t->trainer, &result, error);
    *bpb = status ? 0 : result.loss_bits;
    return status;
}

octet_status octet_trainer_save(octet_trainer *t, const char *path, octet_error *error) {
    return trainer_save(t->trainer, path, error);
}

octet_status octet_trainer_load(octet_trainer *t, const char *path, octet_error *error) {
    return trainer_load(t->trainer, path, error);
}
