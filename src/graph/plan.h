/* plan.h: what runs, in which order, and where every result lives, known before the first run.
 *
 * Nodes that no output hangs on are dropped. The rest run in the order of recording, in stages:
 * consecutive nodes none of which reads or overwrites what another of the stage writes, so that a
 * backend may run them side by side. A result is alive from the stage that makes it to the last
 * stage that reads it (outputs to the end); results alive together never share memory. Variables
 * and inputs are the backend's. */
#ifndef GRAPH_PLAN_H
#define GRAPH_PLAN_H

#include "graph/graph.h"

#define PLAN_STAGE_NODES 8 /* at most, in one stage */

typedef struct plan {
    int n_nodes;  /* nodes that run */
    node **nodes; /* in order */
    int n_stages;
    int *stage_begin; /* [n_stages + 1] index into nodes */
    size_t *offset;   /* per tensor id; of results that are made only */
    int *used;        /* per tensor id: 1 if the tensor is read or made by a node that runs */
    size_t bytes;     /* size of the block that holds all results: the peak */
} plan;

/* Plans g. Offsets are multiples of 64. */
octet_status plan_create(plan **out, const graph *g, octet_error *error);
void plan_destroy(plan **p);

#endif
