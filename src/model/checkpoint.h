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
 * tensors that do not fit the configuration in the file. Memory is bounded by the file's size and a
 * constant, not by what the configuration claims. */
octet_status checkpoint_open(model **out, backend *b, const char *path, octet_error *error);

/* The same for bytes in memory; `label` names them in messages. */
octet_status checkpoint_open_memory(model **out, backend *b, const char *label,
                                    const uint8_t *bytes, size_t size, octet_error *error);

/* The configuration of an open file. OCTET_CORRUPT: not a checkpoint, of another version, without
 * a checksum, without a valid configuration. */
octet_status checkpoint_config(config *out, const safetensors *st, const char *path,
                               octet_error *error);

/* The model of an open file, without memory and weights: all tensors that the configuration asks
 * for are there, and no others but those of a training run. A configuration is only a claim, a few
 * hundred bytes can name a model of terabytes: nothing is allocated by it before this. */
octet_status checkpoint_plan(model **out, const safetensors *st, const char *path,
                             octet_error *error);

/* Whether every parameter of `p` has its tensor, of its shape, F32 or BF16 (OCTET_WRONG_MODEL where
 * not), and all values are finite (OCTET_CORRUPT). Needs no memory of the parameters. */
octet_status checkpoint_check_params(const params *p, const safetensors *st, const char *path,
                                     octet_error *error);

/* Fills parameters that were checked so. */
octet_status checkpoint_read_params(params *p, const safetensors *st, octet_error *error);

/* A key and its text for the metadata. */
typedef struct checkpoint_entry {
    const char *key;
    char value[64];
} checkpoint_entry;

/* Writes m's configuration and weights, and, unless NULL, the tensors of `extra` and n entries.
 * bf16 rounds the weights to bf16. Crash-safe. */
octet_status checkpoint_write(const model *m, const params *extra, const checkpoint_entry *entries,
                              int n, int bf16, const char *path, octet_error *error);

/* 32 hex digits: XXH3-128 over the configuration's identity, names, shapes and weights as they are
 * used. Keys that are added to configurations later leave it as it is. Stored in m->fingerprint. */
octet_status checkpoint_fingerprint(model *m, octet_error *error);

#endif
