/* run.h: a training run from its first step to its last: data, steps, validation, checkpoints, log.
 *
 * DIR/last.safetensors holds everything needed to go on, DIR/best.safetensors the weights with the
 * lowest validation loss, DIR/log.jsonl one object a step and one a validation, DIR/curves.svg
 * their picture. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "graph/backend.h"
#include "octet/train.h"

/* As octet_train. */
octet_status run_train(backend *b, const octet_train_params *p, octet_train_report *report,
                       void *context, octet_error *error);

#endif
