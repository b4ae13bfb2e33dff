/* planner.h: a backend that takes no memory and runs nothing: it adds up what others would take.
 *
 * Variables have sizes and no values, compiling plans a graph and keeps the size of the plan.
 * Whatever records graphs on a backend can so be measured before it is made, however large. */
#ifndef GRAPH_PLANNER_H
#define GRAPH_PLANNER_H

#include "graph/backend.h"

/* Bytes of what there is on the planner now. */
typedef struct planner_bytes {
    size_t parameters; /* variables of kind VARIABLE_PARAMETER */
    size_t states;     /* and of kind VARIABLE_STATE */
    size_t packed;   /* parameters that matrix products of compiled programs read transposed, until
                        they go: the CPU backend holds these a second time, packed */
    size_t programs; /* results and inputs of programs, without a backend's workspace */
} planner_bytes;

/* Reading, writing, uploading, downloading and running are errors. */
octet_status planner_create(backend **out, octet_error *error);

planner_bytes planner_total(const backend *b);

#endif
