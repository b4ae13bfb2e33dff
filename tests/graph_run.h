/* graph_run.h: records, compiles and runs small graphs in a line or two. All fail the test on
 * error.
 */
#ifndef TESTS_GRAPH_RUN_H
#define TESTS_GRAPH_RUN_H

#include "cpu/cpu_backend.h"
#include "graph/backend.h"

/* An input and what to upload into it. */
typedef struct feed {
    tensor *input;
    const void *data;
} feed;

graph *graph_run_new(void);

/* A CPU backend with instruction sets up to `cap`. */
backend *graph_run_cpu(int n_threads, cpu_isa cap);

program *graph_run_compile(backend *b, const graph *g);

/* Uploads n feeds and runs. */
void graph_run(program *p, int n, const feed *feeds);

/* The values of an f32 output; the caller frees them. */
float *graph_run_result(program *p, const tensor *t);

/* All of it once; the caller frees the values of `out`. */
float *graph_run_once(backend *b, const graph *g, const tensor *out, int n, const feed *feeds);

/* Memory for v, holding data. */
void graph_run_variable(backend *b, variable *v, const void *data);

/* n floats in [-2, 2); the caller frees them. */
float *graph_run_floats(int64_t n, uint64_t seed);

/* Fails, naming `what` and the first element whose bits differ. */
void graph_run_assert_same(const float *a, const float *b, int64_t n, const char *what);

#endif
