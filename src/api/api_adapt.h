/* api_adapt.h: a model that learns from what was coded, the same on both sides.
 *
 * A block is coded in rounds of one context of every stream, each read from an empty context. After
 * a round the model takes steps of training on it, by the deterministic training path, so that
 * coding and decoding have the same weights to the bit in the next. Every block begins with the
 * weights of the file. */
#ifndef API_API_ADAPT_H
#define API_API_ADAPT_H

#include "eval/score_windows.h"
#include "train/step.h"

typedef struct adapter {
    model *model; /* the one that learns */
    optimizer optimizer;
    step_graph *step_graph;
    size_t batch; /* windows in one step of training */
    int64_t step;
} adapter;

/* Windows in one step of training, if there are so many streams. */
#define ADAPT_BATCH 8

#define ADAPT_MOST 1000000u /* rate */

/* The weights of m, to learn from so many streams at the rate that matrices have, in millionths. */
octet_status adapter_create(adapter **out, const model *m, size_t streams, uint32_t rate,
                            octet_error *error);
/* What one of a model of this configuration takes in memory, without taking it. */
octet_status adapter_bytes(int64_t *bytes, const config *c, size_t streams, octet_error *error);

/* Accepts NULL; sets *a to NULL. */
void adapter_destroy(adapter **a);

/* Learns bytes [round context, (round + 1) context) of each of texts[n], a batch of them at a time,
 * in their order. OCTET_CORRUPT: the weights are no longer finite. */
octet_status adapter_learn(adapter *a, const window_text *texts, size_t n, int64_t round,
                           octet_error *error);

#endif
