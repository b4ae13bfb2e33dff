/* cpu_case.h: one CPU op on a node made by hand.
 *
 * A case is run on every instruction set of the processor, cut into 1, 2, 5 and 64 tasks that run
 * from last to first, over memory filled with NaN: all must give the same bits. */
#ifndef TESTS_CPU_CASE_H
#define TESTS_CPU_CASE_H

#include "cpu/cpu.h"

/* One node, its tensors and their memory. */
typedef struct cpu_case {
    node n;
    tensor tensors[NODE_MAX_INPUTS + NODE_MAX_OUTPUTS];
    int n_tensors;
    float *data[NODE_MAX_INPUTS]; /* i32 inputs too */
    float *out[NODE_MAX_OUTPUTS]; /* of the first variant; of an in-place op: what it became */
    int place[NODE_MAX_OUTPUTS];  /* the input that the output overwrites, or -1 */
    int serial_phase;             /* the phase that is one task by nature, or -1 */
} cpu_case;

/* A case without tensors, every phase of which may be cut into tasks. */
cpu_case cpu_case_new(void);
void cpu_case_finish(cpu_case *c);

/* Adds an input of rows x columns (a vector where rows is 0) and gives its memory, zeros. */
float *cpu_case_input(cpu_case *c, dtype type, int64_t rows, int64_t columns);

/* The same, f32 with values in [low, high). */
float *cpu_case_random(cpu_case *c, int64_t rows, int64_t columns, float low, float high);

/* Adds an f32 output; one that overwrites an input. */
void cpu_case_output(cpu_case *c, int64_t rows, int64_t columns);
void cpu_case_in_place(cpu_case *c, int of_input);

/* Runs all variants and fails the test unless they agree to the bit; c->out holds the result. */
void cpu_case_run(cpu_case *c, const cpu_op *row);

/* Fails the test unless |got - want| is at most magnitude / 2^24: the magnitude is the sum of the
 * absolute values that were added times the number of roundings on the longest path. */
void cpu_case_close(const char *what, int64_t i, double got, double want, double magnitude);

/* Calls test for row counts and widths around the sizes of lanes and blocks. */
typedef void cpu_shape_test(int64_t rows, int64_t columns);
void cpu_case_shapes(cpu_shape_test *test);

#endif
