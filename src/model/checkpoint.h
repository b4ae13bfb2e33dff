/* checkpoint.h: models on disk.
 *
 * A checkpoint is one safetensors file: weights by name, in the metadata the configuration and a
 * checksum of everything. A training run's checkpoint also holds the optimizer's tensors and where
 * the run stands. Nothing in it depends on the date, the host, a path or the number of threads:
 * equal runs give equal files. */
#ifndef MODEL_CHECKPOINT_H
#define MODEL_CHECKPOINT_H

#include "model/hierarchy.h"
#include "model/safetensors.h"

#define CHECKPOINT_VERSION "1"

/* Opens a model: configuration, all weights (f32 or bf16), nothing missing. OCTET_ERROR: no such
 * file; OCTET_CORRUPT: damaged, not a checkpoint, weights that are not finite; OCTET_WRONG_MODEL:
 * tensors that do not fit the configuration in the file. */
octet_status checkpoint_open(model **out, backend *b, const char *path, octet_error *error);

/* Fills the parameters of `p` from the tensors of the same names; shapes must agree. */
octet_status checkpoint_read_params(params *p, const safetensors *st, const char *path,
                                    octet_error *error);

/* A key and its text for the metadata. */
typedef struct checkpoint_entry {
    const char *key;
    char value[64];
} checkpoint_entry;

/* Writes m's configuration and weights, and, unless NULL, the tensors of `extra` and n entries.
 * bf16 rounds the weights to bf16. Crash-safe. */
octet_status checkpoint_write(const model *m, const params *extra, const checkpoint_entry *entries,
                              int n, int bf16, const char *path, octet_error *error);

/* 32 hex digits: XXH3-128 over the configuration, names, shapes and weights as they are used.
 * Stored in m->fingerprint. */
octet_status checkpoint_fingerprint(model *m, octet_error *error);

#endif
