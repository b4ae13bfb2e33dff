/* budget.h: what a model costs to run and to train, known from its configuration alone, and the
 * configurations of the MegaByte paper.
 *
 * Nothing of the model's size is taken: all graphs are recorded and planned, and only their plans
 * are weighed. */
#ifndef OCTET_BUDGET_H
#define OCTET_BUDGET_H

#include <stdint.h>

#include "octet/status.h"

#define OCTET_MAX_LEVELS 8

typedef struct octet_budget_level {
    int64_t dim, layers;
    int64_t unit_bytes; /* bytes of one row; 1 at the last level */
    int64_t parameters; /* of the level, its embedding and head among them */
    int64_t
        block_weights; /* of them in matrices of blocks: 12 layers dim^2 with the paper's block */
} octet_budget_level;

/* Bytes. The parts add up to total, but for gradients, which are part of work. */
typedef struct octet_budget_memory {
    int64_t weights;   /* f32; in training twice: live, and those that are validated */
    int64_t packed;    /* the form in which matrix products read weights: a second copy of the
                          matrices and the head */
    int64_t states;    /* key-value caches of one stream, and slices between levels */
    int64_t moments;   /* of the optimizer, with the mean weights */
    int64_t gradients; /* of all weights */
    int64_t work;      /* results of the recorded graphs by their plans, and inputs; without the
                          workspace of the processor's kernels */
    int64_t total;
} octet_budget_memory;

typedef struct octet_budget {
    int64_t parameters;
    int64_t block_weights; /* of all levels */
    int64_t context, keep, patch, batch;
    int vocabulary, levels;
    int endless; /* 1: a stream never starts anew */
    octet_budget_level level[OCTET_MAX_LEVELS];
    double forward_flops;      /* per byte, on average over a context, attention included */
    double training_flops;     /* three times that */
    octet_budget_memory run;   /* one stream */
    octet_budget_memory train; /* a step over the configuration's batch */
} octet_budget;

/* json: the configuration's text, name is what errors call it. OCTET_ERROR: it is not a
 * configuration, or its batch is too large to be recorded. */
octet_status octet_budget_get(octet_budget *out, const char *json, const char *name,
                              octet_error *error);

/* Calls visit(context, name, about) for each preset, about one line. */
void octet_presets_list(void (*visit)(void *context, const char *name, const char *about),
                        void *context);

#define OCTET_PRESET_TEXT 2048 /* bytes that hold any preset's configuration */

/* The preset's configuration, JSON that octet_train and octet_model_create take. OCTET_ERROR: no
 * preset of that name. */
octet_status octet_preset_get(char out[OCTET_PRESET_TEXT], const char *name, octet_error *error);

#endif
