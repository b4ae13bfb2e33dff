/* record.h: how constructors and gradients add to a graph; not for model code. */
#ifndef GRAPH_RECORD_H
#define GRAPH_RECORD_H

#include "graph/graph.h"

/* All return NULL once the graph has an error. */
tensor *record_tensor(graph *g, tensor_kind kind, dtype type, int rank, const int64_t *dim);
node *record_node(graph *g, op kind, int n_inputs, tensor *const *inputs);

/* The next output of n: a result of its own, or the variable `updated` as n leaves it. */
tensor *record_result(graph *g, node *n, dtype type, int rank, const int64_t *dim);
tensor *record_in_place(graph *g, node *n, tensor *updated);

/* Adds `contribution` to the gradient of t (through views to the tensor that they show). */
void record_gradient(graph *g, tensor *t, tensor *contribution);

/* Records the gradient of one node, given the gradients of its outputs (NULL where none). */
typedef void gradient_function(graph *g, const node *n, tensor *const *d_output);

/* The function of an op, NULL when it has none. */
gradient_function *gradient_of(op op);

/* False when recording has failed already or an input is missing because of it. */
int record_ready(const graph *g, const tensor *a, const tensor *b);

/* Keeps the first error, "op: a[..] does not go with b[..]: why", and gives NULL. */
tensor *record_refusal(graph *g, op kind, const tensor *a, const tensor *b, const char *why);

/* A node of n inputs whose result has the shape of `like`. */
tensor *record_like(graph *g, op kind, int n, tensor *const *inputs, const tensor *like,
                    op_params params);

#endif
