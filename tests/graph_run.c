/* graph_run.c: small graphs for tests. */
#include "graph_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

graph *graph_run_new(void) {
    octet_error error = {0};
    graph *g = NULL;
    support_ok(graph_create(&g, &error), &error);
    return g;
}

backend *graph_run_cpu(int n_threads, cpu_isa cap) {
    octet_error error = {0};
    backend *b = NULL;
    const cpu_backend_params params = {.n_threads = n_threads, .cap = cap};
    support_ok(cpu_backend_create(&b, &params, &error), &error);
    return b;
}

program *graph_run_compile(backend *b, const graph *g) {
    octet_error error = {0};
    program *p = NULL;
    support_ok(backend_compile(b, &p, g, &error), &error);
    return p;
}

void graph_run(program *p, int n, const feed *feeds) {
    octet_error error = {0};
    for (int i = 0; i < n; i++) {
        support_ok(program_upload(p, feeds[i].input, feeds[i].data, &error), &error);
    }
    support_ok(program_run(p, &error), &error);
}

float *graph_run_result(program *p, const tensor *t) {
    octet_error error = {0};
    float *y = support_alloc((size_t)tensor_elements(t), sizeof *y);
    support_ok(program_download(p, t, y, &error), &error);
    return y;
}

/* Compiles and runs g once; the caller frees the values of `out`. */
float *graph_run_once(backend *b, const graph *g, const tensor *out, int n, const feed *feeds) {
    program *p = graph_run_compile(b, g);
    graph_run(p, n, feeds);
    float *y = graph_run_result(p, out);
    program_destroy(&p);
    return y;
}

float *graph_run_floats(int64_t n, uint64_t seed) {
    float *x = support_alloc((size_t)n, sizeof *x);
    support_fill(x, n, -2, 2, &seed);
    return x;
}

void graph_run_assert_same(const float *a, const float *b, int64_t n, const char *what) {
    for (int64_t i = 0; i < n; i++) {
        if (memcmp(a + i, b + i, sizeof *a) != 0) {
            fail_msg("%s: element %lld is %a in one and %a in the other", what, (long long)i,
                     (double)a[i], (double)b[i]);
        }
    }
}

void graph_run_variable(backend *b, variable *v, const void *data) {
    octet_error error = {0};
    support_ok(backend_allocate(b, v, &error), &error);
    support_ok(backend_write(b, v, 0, variable_elements(v), data, &error), &error);
}
