/* random_graph.h: seeded graphs of some dozens of nodes, with views, outputs in odd places, values
 * used several times, dead ends and a gradient: to test the plan and the executors. */
#ifndef TESTS_RANDOM_GRAPH_H
#define TESTS_RANDOM_GRAPH_H

#include "graph/graph.h"

#define RANDOM_GRAPH_VARIABLES 6
#define RANDOM_GRAPH_OUTPUTS 16

typedef struct random_graph {
    graph *graph;
    tensor *input;                             /* [5,16] */
    tensor *zero, *count;                      /* i32 [1]: 0, and rows to store; or NULL */
    variable variable[RANDOM_GRAPH_VARIABLES]; /* parameters, and a state that is overwritten */
    int n_variables;
    tensor *output[RANDOM_GRAPH_OUTPUTS]; /* some results, the loss, the gradients */
    int n_outputs;
} random_graph;

/* Fails the test if recording fails. r must not move while the graph lives. */
void random_graph_init(random_graph *r, uint64_t seed);
void random_graph_finish(random_graph *r);

#endif
