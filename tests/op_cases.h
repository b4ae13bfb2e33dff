/* op_cases.h: one test row per op: small graphs at ragged sizes, with seeded inputs.
 *
 * A row builds case `index` of `n_cases`: it records a graph through the constructors of graph.h
 * and keeps the values of every source. The checks are in op_test.c and are the same for all rows,
 * so that a new op needs nothing but its row here. */
#ifndef TESTS_OP_CASES_H
#define TESTS_OP_CASES_H

#include "graph/graph.h"

#define OP_CASE_SOURCES 10
#define OP_CASE_OUTPUTS 3

/* An input, parameter or state of the graph, with its values. */
typedef struct case_source {
    tensor *tensor;
    variable variable; /* of a parameter or state; must not move while the graph lives */
    void *data;        /* float[], bf16 as uint16_t[], or int32_t[]; of the tensor's storage type */
    int smooth;        /* the gradient with respect to it is checked */
} case_source;

typedef struct op_case {
    graph *graph;
    uint64_t random;
    case_source source[OP_CASE_SOURCES];
    int n_sources;
    tensor *output[OP_CASE_OUTPUTS]; /* the first is the one that gradients are asked of */
    int n_outputs;
    /* Allowed |backend - ref|, forward and gradient, in units of 2^-24: times the largest magnitude
     * in the tensor; or where unit > 0, times the element's own magnitude or unit, whichever is
     * larger. */
    double bound, unit;
    int is_rough; /* sits on a kink or at the edge of the range: no gradient is taken */
} op_case;

/* Starts an empty case; a row's build function fills it. */
void op_case_init(op_case *c, uint64_t seed);
void op_case_finish(op_case *c);

typedef struct op_row {
    int n_cases;
    void (*build)(op_case *c, int index);
} op_row;

#define ROW(ID, name) extern const op_row test_op_##name;
#define NONE(ID, name, reason) extern const op_row test_op_##name;
OP_LIST(ROW, NONE)
#undef ROW
#undef NONE

/* --- for the rows --- */

/* rank and dimensions of a shape, as two arguments. */
#define SHAPE(...)                                                                                 \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {           \
        __VA_ARGS__                                                                                \
    }

/* Sources with values in [low, high). case_data is not smooth, the others are. */
tensor *case_input(op_case *c, float low, float high, int rank, const int64_t *dim);
tensor *case_data(op_case *c, float low, float high, int rank, const int64_t *dim);
tensor *case_parameter(op_case *c, dtype type, float low, float high, int rank, const int64_t *dim);

/* A state; its values are random and no gradient is taken. */
tensor *case_state(op_case *c, variable_layout layout, float low, float high, int rank,
                   const int64_t *dim);

/* i32 in [low, high]. */
tensor *case_integers(op_case *c, int32_t low, int32_t high, int rank, const int64_t *dim);

/* The values of the source added last. */
float *case_floats(op_case *c);
int32_t *case_values(op_case *c);

/* One of n choices, taken out of the case's index: *index mod n, and *index divided by n. */
int case_pick(int *index, int n);

/* Elements of a table. */
#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* Adds t, a result or an updated variable, to what is compared; accepts NULL. */
void case_output(op_case *c, tensor *t);

#endif
