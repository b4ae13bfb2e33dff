/* run_log.h: the log of a training run, one JSON object a line:
 *     {"step": 12, "bpb": 3.21, "gradient_norm": 0.7, "bytes": 196608, "seconds": 4.2}
 *     {"step": 100, "valid_bpb": 2.87} */
#ifndef TRAIN_RUN_LOG_H
#define TRAIN_RUN_LOG_H

#include <stdio.h>

#include "train/step.h"

typedef struct run_log {
    FILE *file;
    char path[4096];
    int failed; /* a write did not succeed */
} run_log;

/* Opens DIR/log.jsonl. Lines of steps past `step`, left by a run that was cut off after its last
 * checkpoint, are dropped; at step 0 all are. */
octet_status run_log_open(run_log *log, const char *directory, int64_t step, octet_error *error);
void run_log_close(run_log *log);

void run_log_step(run_log *log, int64_t step, const step_result *r, double seconds);
void run_log_validation(run_log *log, int64_t step, double bpb);

#endif
