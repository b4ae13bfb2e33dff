/* whole_case.h: a model over whole windows as one graph: causality, and its gradient.
 *
 * The functions fail the test where a step fails or a check does not hold. */
#ifndef TESTS_WHOLE_CASE_H
#define TESTS_WHOLE_CASE_H

#include "model/hierarchy.h"

#define WHOLE_BATCH 2

/* Windows of a model as one graph, with the loss and its gradients where asked for. */
typedef struct whole {
    model *m;
    graph *g;
    program *p;
    int64_t length; /* bytes of a window */
    level_rows rows[CONFIG_MAX_LEVELS];
    row_arrays arrays[CONFIG_MAX_LEVELS];
    tensor *key; /* of dropout, or NULL: not in training */
    tensor *logits, *loss;
    tensor **gradients; /* per parameter; NULL where the loss does not hang on it */
} whole;

typedef enum whole_kind { WHOLE_LOGITS, WHOLE_LOSS, WHOLE_GRADIENTS } whole_kind;

/* The graph over windows of `length` bytes. draws: 0 or, in training, 1 and the batch's first lane.
 */
whole whole_make(model *m, int64_t length, whole_kind kind);
whole whole_drawn(model *m, int64_t length, whole_kind kind, int64_t draws);
void whole_finish(whole *w);

/* What dropout draws from. */
void whole_set_key(whole *w, uint32_t low, uint32_t high, uint32_t step);

/* bytes[WHOLE_BATCH][length]; weights fall from 2 to 1, so that every byte counts differently. */
void whole_run(whole *w, const uint8_t *bytes);

/* Runs, and reads logits[WHOLE_BATCH][length][V]. */
void whole_logits(whole *w, const uint8_t *bytes, float *logits);

/* Changing byte t leaves every distribution up to byte t's own as it was, to the bit, and changes
 * the next one. The other window of the batch does not notice. */
void whole_check_causal(model *m);

/* On the reference backend: up to `elements` elements of each parameter's gradient against central
 * differences in double precision. Every parameter has a gradient that is not zero. */
void whole_check_gradient(model *m, int elements);

#endif
