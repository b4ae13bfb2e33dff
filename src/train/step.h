/* step.h: one training step as one recorded graph: forward, backward, sum over micro-batches,
 * optimizer.
 *
 * A batch is B windows of the context. It may be cut into micro-batches, whose gradients are added
 * by a binary tree over their index; all of it is one graph, so memory is planned over the whole
 * step. The loss is the mean over the batch's bytes of -ln p. */
#ifndef TRAIN_STEP_H
#define TRAIN_STEP_H

#include "model/hierarchy.h"
#include "train/optimizer.h"

typedef struct step_graph step_graph;

/* Records and compiles the step of a model; m and o must outlive it. */
octet_status step_create(step_graph **out, model *m, optimizer *o, int64_t batch,
                         int64_t micro_batches, octet_error *error);
void step_destroy(step_graph **s);

/* What dropout draws from, beside the number of the step; 0 at first. */
void step_set_seed(step_graph *s, uint64_t seed);

/* Puts window b of the next batch in place: the first `n` of context bytes count, n >= 0. */
void step_set_window(step_graph *s, int64_t b, const uint8_t *bytes, int64_t n);

/* What a step found. */
typedef struct step_result {
    double loss_bits;     /* per byte of the batch */
    double gradient_norm; /* before clipping */
    int64_t bytes;        /* that counted */
} step_result;

/* Runs step number `step` of `steps` over the windows that were set. */
octet_status step_run(step_graph *s, int64_t step, int64_t steps, step_result *out,
                      octet_error *error);

/* Memory of the step in bytes, weights apart. */
size_t step_bytes(const step_graph *s);

/* That memory, without the step: on a planner (planner.h) nothing of its size is taken. */
octet_status step_measure(size_t *bytes, model *m, optimizer *o, int64_t batch,
                          int64_t micro_batches, octet_error *error);

#endif
