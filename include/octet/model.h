/* model.h: a hierarchical byte-level model: its configuration and its weights. */
#ifndef OCTET_MODEL_H
#define OCTET_MODEL_H

#include <stdint.h>

#include "octet/runtime.h"

/* How a model is computed where nothing is learned. Each gives the same bits on every processor,
 * and other bits than the other one. INT8: weights, activations, keys and values are rounded to 8
 * bits with a scale for each row, and their products are summed exactly; the rest is + - * in a
 * fixed order. Faster and smaller, and a little less precise. */
typedef enum octet_profile { OCTET_F32, OCTET_INT8 } octet_profile;

/* "f32", "int8"; NULL past the last. */
const char *octet_profile_name(int profile);

/* Immutable once made. Any number of sessions may use it, also from several threads; it must
 * outlive them. */
typedef struct octet_model octet_model;

/* Opens a checkpoint (DIR/best.safetensors, DIR/last.safetensors), a directory that holds one (best
 * is preferred), or the name of a bundled model, looked for in $OCTET_MODELS, beside the program's
 * source tree and where it was installed. OCTET_ERROR: no such file or name; OCTET_CORRUPT: not a
 * whole checkpoint, or weights that are not finite; OCTET_WRONG_MODEL: tensors that do not fit its
 * own configuration. */
octet_status octet_model_open(octet_model **out, octet_runtime *runtime, const char *path,
                              octet_error *error);

/* A model with fresh weights, a pure function of the configuration (JSON text, `name` is what
 * errors call it) and the seed. */
octet_status octet_model_create(octet_model **out, octet_runtime *runtime, const char *json,
                                const char *name, uint64_t seed, octet_error *error);

/* Accepts NULL; sets *model to NULL. */
void octet_model_destroy(octet_model **model);

typedef struct octet_model_info {
    int64_t parameters;  /* number of weights */
    int64_t context;     /* bytes */
    int64_t keep;        /* bytes that stay when a stream passes the context */
    int64_t patch;       /* bytes of the outermost patch; 1 without patches */
    int64_t inner_patch; /* bytes of the innermost patch; `patch` where there is one size only */
    int vocabulary;      /* symbols; 0..255 are bytes */
    int levels;
    int endless;             /* 1: a stream never starts anew, keep is then without effect */
    double flops_per_byte;   /* forward: 2 per weight of a matrix and byte, at the level's rate */
    const char *config;      /* JSON, normalised; the model's */
    const char *fingerprint; /* 32 hex digits: XXH3-128 over names, shapes, weights and the
                                configuration's keys that are not defaults; "train" apart */
    const char *path;        /* where it was opened, or "" */
} octet_model_info;

/* The strings live as long as the model. */
void octet_model_info_get(const octet_model *model, octet_model_info *out);

/* Writes weights and configuration crash-safely. bf16 = 1 stores weights rounded to bf16. */
octet_status octet_model_save(const octet_model *model, const char *path, int bf16,
                              octet_error *error);

/* Calls visit(context, name, path) for each bundled model found. */
void octet_models_list(void (*visit)(void *context, const char *name, const char *path),
                       void *context);

#endif
