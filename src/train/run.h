/* run.h: a training run from its first step to its last: data, steps, validation, checkpoints, log.
 *
 * DIR/last.safetensors holds everything needed to go on, DIR/best.safetensors the weights with the
 * lowest validation loss, DIR/log.jsonl one object a step and one a validation, DIR/curves.svg
 * their picture. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "base/file.h"
#include "graph/backend.h"
#include "model/config.h"
#include "octet/train.h"

/* How files become the bytes that a model of a configuration reads. */
typedef struct run_loader {
    octet_status (*load)(void *context, const config *c, file_bytes *out, const char *path,
                         octet_error *error);
    void (*sum_up)(void *context, char text[256]); /* what was lost in all files; "": nothing */
    void *context;
} run_loader;

/* As octet_train. */
octet_status run_train(backend *b, const octet_train_params *p, const run_loader *loader,
                       octet_train_report *report, void *context, octet_error *error);

#endif
