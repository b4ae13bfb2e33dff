/* op_run.h: runs one case of an op's test row on a backend and keeps what came out. */
#ifndef TESTS_OP_RUN_H
#define TESTS_OP_RUN_H

#include "graph/backend.h"
#include "op_cases.h"

#define OP_RUN_RESULTS (OP_CASE_OUTPUTS + OP_CASE_SOURCES)

/* A case with everything that is compared: outputs, gradients, and the variables afterwards. */
typedef struct op_run {
    op_case c;
    const op_row *row;
    const char *name; /* of the op */
    int index;        /* of the case */
    tensor *result[OP_RUN_RESULTS];
    int n_results;
    tensor *loss; /* sum of output * random weights; NULL without gradient */
} op_run;

/* Records case `index`; with has_gradient also the gradient of every smooth source, unless the case
 * is rough. Fails the test when recording fails. */
void op_run_init(op_run *r, const char *name, const op_row *row, int index, int has_gradient);
void op_run_finish(op_run *r);

/* Values after a run: results in order, then every variable. */
typedef struct op_values {
    int n;
    int64_t count[OP_RUN_RESULTS + OP_CASE_SOURCES];
    void *data[OP_RUN_RESULTS + OP_CASE_SOURCES]; /* float[], uint16_t[] (bf16) or double[] */
    size_t bytes[OP_RUN_RESULTS + OP_CASE_SOURCES];
} op_values;

void op_values_finish(op_values *v);

/* What value i is, for messages: "output 0", "gradient of s1", "v2 afterwards". */
void op_run_describe(const op_run *r, int i, char *text, size_t size);

/* Gives the variables memory, compiles, and uploads all sources. */
program *op_run_open(op_run *r, backend *b);
void op_run_load(op_run *r, program *p);
void op_run_close(op_run *r, program *p);

/* The whole of it; with `poisoned` once before with NaN in every float, so that nothing may be left
 * over from an earlier run. */
void op_run_values(op_run *r, backend *b, int poisoned, op_values *out);

/* The same on the ref backend, as doubles. */
void op_run_reference(op_run *r, backend *ref, op_values *out);

/* Element k of value i as a double, whatever it was stored as. */
double op_value_at(const op_values *v, int i, int64_t k);

/* Fails the test where an element of got is farther from the reference's than the case's bound. */
void op_values_compare(const op_run *r, const op_values *got, const op_values *ref);

/* Every op, by its number. */
typedef struct op_entry {
    const char *name;
    op id;
    const op_row *row;
} op_entry;

extern const op_entry op_entries[OP_COUNT];

#endif
