/* trainer.h: a model in training: weights, optimizer, the recorded step, and where the run stands.
 *
 * A step is a pure function of the state and of (seed, step): windows are drawn by index, never by
 * a generator with a state. Saving and loading gives the same bits as going on. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "train/data.h"
#include "train/step.h"

typedef struct trainer {
    model *live; /* being trained */
    model
        *eval; /* the weights that are validated and kept: the mean's while it runs, else live's */
    optimizer optimizer;
    step_graph *step_graph;
    const data *data;
    uint8_t *window;
    uint64_t seed;
    int64_t step,
        steps; /* done, in all; steps may be set until the first step of the schedule's fall */
    double best_bits; /* lowest validation so far, in bits per byte; 0 before the first */
    int64_t bytes;    /* trained on so far */
} trainer;

/* A trainer at step 0 with fresh weights. data must outlive it. */
octet_status trainer_create(trainer **out, backend *b, const config *c, const data *d,
                            uint64_t seed, int64_t steps, octet_error *error);
void trainer_destroy(trainer **t);

/* Puts the weights of a model's file into a trainer at step 0; `differs` says where its
 * configuration is another one, or is "". OCTET_WRONG_MODEL: a weight is missing, has no place or
 * another shape; errors else as checkpoint_open. */
octet_status trainer_start_from(trainer *t, const char *path, char differs[256],
                                octet_error *error);

/* Runs the next step. OCTET_ERROR when the loss is not finite: the weights are spoilt then. */
octet_status trainer_step(trainer *t, step_result *out, octet_error *error);

/* Brings t->eval up to date. */
octet_status trainer_refresh_eval(trainer *t, octet_error *error);

/* The whole state, and back. Loading refuses (OCTET_ERROR) another configuration, seed or data, and
 * (OCTET_CORRUPT) what no run has written; then the trainer is as it was. */
octet_status trainer_save(const trainer *t, const char *path, octet_error *error);
octet_status trainer_load(trainer *t, const char *path, octet_error *error);

#endif
