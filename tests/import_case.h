/* import_case.h: what other implementations computed, and the same from imported models.
 *
 * The files are described in tests/data/import/README.md. Functions fail the test where a step
 * fails. */
#ifndef TESTS_IMPORT_CASE_H
#define TESTS_IMPORT_CASE_H

#include <jansson.h>

#include "api/api.h"
#include "model/safetensors.h"
#include "patch/row_plan.h"

typedef struct import_case {
    const char *format, *name, *file;
    int in_tree;
} import_case;

extern const import_case IMPORT_CASES[];
extern const int IMPORT_N_CASES;

/* Whether the case's files are part of the collection under test: tests/data/import, or what
 * OCTET_FIXTURES names, which then holds them all. */
int import_case_is_there(const import_case *c);

/* The path of the case's checkpoint, or of another file beside it; out[512]. */
const char *import_case_path(char out[512], const import_case *c, const char *file);

/* The case's case.json and cases.safetensors. */
json_t *import_case_json(const import_case *c);
safetensors *import_case_data(const import_case *c);

/* n whole numbers of an I64 tensor; those of `name` with J in place of %d. */
int64_t *import_case_ids(const safetensors *data, const char *name, int j, int64_t *n);

/* The F32 tensor or NULL. */
const safetensors_tensor *import_case_tensor(const safetensors *data, const char *name, int j);

/* Imports a file with the case's settings; `more` are further "name=value", ending with NULL, or
 * NULL. with_version 0: case.json's version is not among the settings. */
octet_model *import_case_open(octet_runtime *runtime, const import_case *c, const char *path,
                              const char *const *more, int with_version);

/* On the CPU, or with OCTET_VULKAN=N on that device. */
octet_runtime *import_case_runtime(void);

/* --- whole windows of any symbols */

enum { IMPORT_BATCH = 2 };

/* All rows of a context as one graph. The bytes' level of "lucidrains" has one row more than there
 * are bytes, which predicts the first byte past the context. */
typedef struct import_graph {
    model *m;
    graph *g;
    program *p;
    int64_t rows[CONFIG_MAX_LEVELS];
    level_rows inputs[CONFIG_MAX_LEVELS];
    row_arrays arrays[CONFIG_MAX_LEVELS];
    tensor *logits, *target, *weight, *loss, **gradients; /* the last four may be NULL */
} import_graph;

void import_graph_create(import_graph *g, model *m, int with_loss);
void import_graph_finish(import_graph *g);

/* symbols[IMPORT_BATCH]: n[b] symbols of a lane, in "bgpt" those of its first patch included. What
 * is missing is 0. start_slices: inner starts take the first slice of their level above, as
 * forward_empty of MEGABYTE-pytorch has it. */
void import_graph_fill(import_graph *g, const int64_t *const symbols[IMPORT_BATCH],
                       const int64_t n[IMPORT_BATCH], int start_slices);

#endif
