/* train.h: training a model on raw bytes.
 *
 * A run is a directory: last.safetensors (everything needed to go on), best.safetensors (the
 * weights with the lowest validation loss), log.jsonl, curves.svg. Equal arguments give equal
 * checkpoints, to the bit, for any number of threads and any instruction set; a run stopped and
 * resumed equals one that was not. */
#ifndef OCTET_TRAIN_H
#define OCTET_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "octet/runtime.h"

typedef struct octet_train_params {
    const char *const *data; /* files and directories (taken recursively, in order of name); of a
                                configuration with an audio codec audio files, see octet/codec.h */
    int n_data;
    const char *const
        *valid; /* files for validation; none: a held-out tail of each training file */
    int n_valid;
    const char *config;  /* path of the configuration; may be NULL when resuming and with from */
    const char *from;    /* a model (as octet_model_open) whose weights the run starts with; NULL:
                            fresh ones. config may differ from its own in all that leaves names and
                            shapes of the weights. Not read by a run that goes on */
    const char *out;     /* directory of the run; made if missing */
    int64_t steps;       /* steps in all; 0: from the configuration, or from minutes */
    double minutes;      /* > 0: fixes the number of steps after 20 measured ones, and stores it */
    int batch;           /* sequences a step; 0: the configuration's */
    double lr;           /* peak learning rate; 0: the configuration's */
    int64_t warmup;      /* steps; -1: the configuration's */
    uint64_t seed;       /* 0 when resuming: the run's own */
    int resume;          /* go on from out/last.safetensors; without one start at 0 */
    int64_t valid_every; /* steps between validations; 0: about 20 a run */
    int64_t valid_bytes; /* bytes of each validation; 0: 262,144 */
    double save_seconds; /* time between checkpoints; 0: 60 */
    const volatile int *stop; /* non-zero: finish the step, save, return OCTET_STOPPED */
} octet_train_params;

typedef enum octet_train_event_kind {
    OCTET_TRAIN_STARTED,   /* step: where it starts; text: a remark such as "no checkpoint: starting
                              at 0" */
    OCTET_TRAIN_STEP,      /* after every step */
    OCTET_TRAIN_VALIDATED, /* bpb of the validation data */
    OCTET_TRAIN_SAVED,     /* a checkpoint is on disk */
    OCTET_TRAIN_WARNING,   /* text; the run goes on and ends with OCTET_ERROR or OCTET_WARNING */
    OCTET_TRAIN_FINISHED,
    OCTET_TRAIN_REMARK /* text: what the model's codec lost in the data */
} octet_train_event_kind;

typedef struct octet_train_event {
    octet_train_event_kind kind;
    int64_t step, steps;  /* steps done, steps in all (0 while not fixed) */
    double bpb;           /* of the step's batch, or of the validation */
    double best_bpb;      /* lowest validation so far; 0 before the first */
    double gradient_norm; /* of the step */
    double lr;
    int64_t bytes; /* trained on so far */
    double bytes_per_s;
    double seconds_left; /* -1: not known */
    const char *text;
} octet_train_event;

typedef void octet_train_report(void *context, const octet_train_event *event);

/* Runs to the end, to the stop flag or to an error. OCTET_STOPPED after the flag with everything
 * saved. OCTET_ERROR: files, configuration, data shorter than a patch; a loss that is not finite
 * (the last good checkpoint stays). OCTET_WRONG_MODEL: the weights of `from` are not those that the
 * configuration asks for. report may be NULL. */
octet_status octet_train(octet_runtime *runtime, const octet_train_params *params,
                         octet_train_report *report, void *context, octet_error *error);

/* --- one step at a time
 * --------------------------------------------------------------------------- */

typedef struct octet_trainer octet_trainer;

/* A trainer over bytes in memory (which must outlive it): config is JSON text, `batch` sequences of
 * one context a step (0: the configuration's), `steps` fixes the schedule. */
octet_status octet_trainer_create(octet_trainer **out, octet_runtime *runtime, const char *config,
                                  const uint8_t *bytes, size_t n, int batch, int64_t steps,
                                  uint64_t seed, octet_error *error);

/* Accepts NULL; sets *trainer to NULL. */
void octet_trainer_destroy(octet_trainer **trainer);

/* One step of the optimizer; *bpb is the loss of its batch before the step. */
octet_status octet_trainer_step(octet_trainer *trainer, double *bpb, octet_error *error);

/* Writes a checkpoint that octet_model_open takes and resuming goes on from, and reads one back. */
octet_status octet_trainer_save(octet_trainer *trainer, const char *path, octet_error *error);
octet_status octet_trainer_load(octet_trainer *trainer, const char *path, octet_error *error);

#endif
