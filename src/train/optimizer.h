/* optimizer.h: records one step of the optimizer: AdamW, and Muon for hidden matrices.
 *
 * Muon (Jordan 2024) turns the momentum of a matrix into a nearly orthogonal step by five
 * Newton-Schulz iterations; embeddings, heads, gains and biases take AdamW. Everything is ops, so
 * the step has the same bits on any number of threads. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "model/config.h"
#include "nn/params.h"

typedef struct optimizer {
    params state; /* "optimizer.m.X", with AdamW also "optimizer.v.X", and "optimizer.mean.X" */
    const config_train *config;
    const params *weights;
    variable **m, **v, **mean;                /* per parameter; NULL where not used */
    tensor *hyper_muon, *hyper_decay, *hyper; /* f32[8], see graph.h: matrices by Muon, matrices by
                                                 AdamW, everything else */
    tensor *mean_weight;                      /* f32[1]: of lerp towards the new weights */
    tensor *norm;                             /* [1]: square of the norm of the whole gradient */
} optimizer;

/* Makes the state, zeroed, for all parameters of `weights`, which must outlive it, as must c. */
octet_status optimizer_create(optimizer *o, const params *weights, const config_train *c,
                              octet_error *error);
void optimizer_finish(optimizer *o);

/* Records clipping and the update, given the gradient of every parameter (NULL: unused parameter).
 */
void optimizer_record(optimizer *o, graph *g, tensor *const *gradients);

/* Rates at one step. */
typedef struct schedule_point {
    double lr, muon_lr, momentum, mean_weight;
} schedule_point;

/* Warm-up, plateau, and a linear fall to final_lr over the last `decay` of the run, which ends
 * exactly at the last step. Step counts from 0 to steps - 1. The mean starts when the fall does. */
schedule_point schedule_at(const config_train *c, int64_t step, int64_t steps);

/* Uploads the rates of `step` to the program that holds the recorded step. */
octet_status optimizer_upload(const optimizer *o, program *p, int64_t step, int64_t steps,
                              octet_error *error);

#endif
