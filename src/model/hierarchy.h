/* hierarchy.h: the levels put together from a configuration: levels, weights, and the whole
 * forward.
 *
 * Levels run from the outermost to the bytes. Two ways to run them share every line of the layers:
 * one graph over whole windows (training, scoring), and one graph per level over rows of many
 * streams (sessions). */
#ifndef MODEL_HIERARCHY_H
#define MODEL_HIERARCHY_H

#include "global/global.h"
#include "local/local.h"
#include "model/config.h"
#include "patch/row_plan.h"

typedef struct model {
    config config;
    params params;
    backend *backend;
    graph_arithmetic arithmetic; /* of sessions and window readers: see model_with_arithmetic */
    global_level *global;        /* [n_levels - 1] */
    local_level local;
    level_shape shape[CONFIG_MAX_LEVELS];
    float *table[CONFIG_MAX_LEVELS];    /* rotary tables, [shape.table_rows][head size]; or NULL */
    uint64_t *turns[CONFIG_MAX_LEVELS]; /* of levels whose rotary positions run on; or NULL */
    char fingerprint[33];               /* "" until checkpoint_load or checkpoint_fingerprint */
    char *text;                         /* normalised configuration */
    char *identity;                     /* of the configuration, see config_identity */
} model;

/* *out is m for readers of other arithmetic: it shares all that m owns, is not destroyed and must
 * not outlive m. */
static inline void model_with_arithmetic(model *out, const model *m, graph_arithmetic arithmetic) {
    *out = *m;
    out->arithmetic = arithmetic;
}

/* Weights are zero until params_reset or a checkpoint fills them. */
octet_status model_create(model **out, backend *b, const config *c, octet_error *error);
void model_destroy(model **m);

/* The model without the rotary tables, which running needs and recording does not: on a planner it
 * takes next to no memory. Without a backend (NULL) weights are names and shapes only, so that a
 * configuration that was not written by us can be held against what there is before it costs
 * memory; model_allocate then adds weights and tables. */
octet_status model_outline(model **out, backend *b, const config *c, octet_error *error);
octet_status model_allocate(model *m, backend *b, octet_error *error);

/* The stack of a level. */
const block_stack *model_stack(const model *m, int level);

/* Rows in a whole window, and in one sequence, of a level. */
int64_t model_window_rows(const model *m, int level);
int64_t model_sequence_rows(const model *m, int level);

/* The first row of a level that must have run, and all from there on, for row `row` and all after
 * it to come out right: what lies before is not seen, at any depth. */
int64_t model_first_row(const model *m, int level, int64_t row);

/* Adds the input tensors of a level's row plan for [batch, rows]. with_state adds slot, pos and
 * count. */
void model_rows_inputs(graph *g, const model *m, int level, int64_t batch, int64_t rows,
                       int with_state, level_rows *out);

/* Uploads arrays filled by row_fill to the inputs of a program. */
octet_status model_rows_upload(program *p, const level_rows *rows, const row_arrays *a,
                               octet_error *error);

/* Of model_rows_upload only what row_fill_source fills. */
octet_status model_rows_upload_bytes(program *p, const level_rows *rows, const row_arrays *a,
                                     octet_error *error);

/* One level: split outputs [B,T,patch,next dim], or at the last level logits [B,T,V]. */
tensor *model_level_forward(graph *g, const model *m, int level, const level_rows *rows,
                            tensor *parent, variable *const *states);

/* Whole windows through all levels: rows[s] are the inputs of level s over all its rows; parent
 * indices count [B * rows above * patch]. logits[B,context,V]. */
tensor *model_forward(graph *g, const model *m, const level_rows *rows);

/* Matrix weights used per byte: the sum over matrices of weights divided by the bytes of a row. */
double model_weights_per_byte(const model *m);

#endif
