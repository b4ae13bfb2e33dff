/* vulkan_bench.c: what products and attention reach on a Vulkan device; bench/vulkan.sh runs it.
 *
 * vulkan_bench [N]: device N of `octet devices`, else the best GPU. An op is recorded many times in
 * one graph, each on the result of the one before, so that copies and submissions weigh little; the
 * best of a few runs counts. Prints name, milliseconds an op, and GFLOP/s. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "graph/backend.h"
#include "vulkan/vulkan_backend.h"

#define ROUNDS 5

static octet_error error;

static void need(octet_status status) {
    if (!status)
        return;
    fprintf(stderr, "vulkan_bench: %s\n", error.text);
    exit(1);
}

/* Small random values, which keep products finite. */
static tensor *values(backend *b, graph *g, variable *v, variable_kind kind, int rank,
                      const int64_t *dim, float size) {
    *v = (variable){.name = "values", .rank = rank, .kind = kind};
    for (int i = 0; i < rank; i++)
        v->dim[i] = dim[i];
    const int64_t n = variable_elements(v);
    float *x = malloc((size_t)n * sizeof *x);
    if (!x)
        need(error_memory(&error, "values", (double)n * sizeof *x));
    uint32_t random = 1;
    for (int64_t i = 0; i < n; i++) {
        random = random * 1664525u + 1013904223u;
        x[i] = size * ((float)(random >> 8) * 0x1p-23f - 1.0f);
    }
    need(backend_allocate(b, v, &error));
    need(backend_write(b, v, 0, n, x, &error));
    free(x);
    return graph_variable(g, v);
}

/* Seconds of the fastest run of g, whose last tensor is reduced to one number. */
static double fastest(backend *b, graph *g, tensor *last) {
    program *p;
    double best = 0;
    graph_output(g, dot(g, last, last));
    need(graph_check(g, &error));
    need(backend_compile(b, &p, g, &error));
    for (int i = 0; i <= ROUNDS; i++) { /* the first compiles the shaders */
        const double start = clock_seconds();
        need(program_run(p, &error));
        const double seconds = clock_seconds() - start;
        best = i == 1 || (i && seconds < best) ? seconds : best;
    }
    program_destroy(&p);
    return best;
}

static void print(const char *name, double seconds, double flops) {
    printf("%-28s %12.3f ms %12.1f GFLOP/s\n", name, 1e3 * seconds, 1e-9 * flops / seconds);
    fflush(stdout);
}

/* x[M,N] = x[M,N] w[N,N]^T, over and over */
static void product(backend *b, const char *what, int64_t m, int64_t n, int times) {
    char name[64];
    graph *g;
    variable x, w;
    need(graph_create(&g, &error));
    tensor *y = values(b, g, &x, VARIABLE_STATE, 2, (int64_t[]){m, n}, 1);
    tensor *right = values(b, g, &w, VARIABLE_STATE, 2, (int64_t[]){n, n}, 1.7f / (float)n);
    for (int i = 0; i < times; i++)
        y = linear(g, y, right);
    snprintf(name, sizeof name, "%s %lldx%lldx%lld", what, (long long)m, (long long)n,
             (long long)n);
    print(name, fastest(b, g, y) / times, 2.0 * (double)m * (double)n * (double)n);
    graph_destroy(&g);
    backend_release(b, &x);
    backend_release(b, &w);
}

/* Causal attention of 8 heads of 64; useful operations: half of all pairs. */
static void attend(backend *b, int64_t time, int times) {
    char name[64];
    graph *g;
    variable v[2];
    const int64_t dim[] = {1, time, 8, 64};
    need(graph_create(&g, &error));
    tensor *q = values(b, g, &v[0], VARIABLE_STATE, 4, dim, 1);
    tensor *k = values(b, g, &v[1], VARIABLE_STATE, 4, dim, 1);
    void *zeros;
    tensor *first = graph_constant(g, "first", DTYPE_I32, 2, (int64_t[]){1, time}, &zeros);
    for (int i = 0; i < times; i++)
        q = attention(g, NULL, q, k, k, first, 0.125f);
    snprintf(name, sizeof name, "attention T %lld H 8 D 64", (long long)time);
    print(name, fastest(b, g, q) / times, 2.0 * 8 * 64 * (double)time * (double)time);
    graph_destroy(&g);
    backend_release(b, &v[0]);
    backend_release(b, &v[1]);
}

/* The gradient of the same attention: as long as forward and backward take together, less forward;
 * five products of the size of forward's two. */
static void attend_backward(backend *b, int64_t time) {
    char name[64];
    double seconds[2];
    for (int back = 0; back < 2; back++) {
        graph *g;
        variable v[3];
        const int64_t dim[] = {1, time, 8, 64};
        tensor *x[3];
        need(graph_create(&g, &error));
        for (int i = 0; i < 3; i++)
            x[i] = values(b, g, &v[i], VARIABLE_PARAMETER, 4, dim, 1);
        void *zeros;
        tensor *first = graph_constant(g, "first", DTYPE_I32, 2, (int64_t[]){1, time}, &zeros);
        tensor *lse, *y = attention(g, &lse, x[0], x[1], x[2], first, 0.125f);
        if (back) {
            graph_backward(g, dot(g, y, y));
            for (int i = 1; i < 3; i++)
                graph_output(g, dot(g, x[i]->gradient, x[i]->gradient));
        }
        seconds[back] = fastest(b, g, back ? x[0]->gradient : y);
        graph_destroy(&g);
        for (int i = 0; i < 3; i++)
            backend_release(b, &v[i]);
    }
    snprintf(name, sizeof name, "attention backward T %lld", (long long)time);
    print(name, seconds[1] - seconds[0], 5.0 * 8 * 64 * (double)time * (double)time);
}

int main(int argc, char **argv) {
    backend *b;
    need(vulkan_backend_create(&b, argc > 1 ? atoi(argv[1]) : -1, &error));
    const int64_t most = getenv("BENCH_MOST") ? atoll(getenv("BENCH_MOST")) : 8192;
    const int64_t least = most < 512 ? most : 512;
    printf("device %s\n", vulkan_backend_device(b));
    for (int64_t n = least; n <= most; n *= 2) {
        product(b, "matmul", 1, n, 32);
        product(b, "matmul", n, n, n > 2048 ? 4 : 16);
    }
    for (int64_t time = 2 * least; time <= 2 * most; time *= 4)
        attend(b, time, 4), attend_backward(b, time);
    if (!vulkan_backend_use_half(b, &error))
        for (int64_t n = least; n <= most; n *= 2)
            product(b, "matmul f16", n, n, n > 2048 ? 4 : 16);
    else
        printf("%s\n", error.text);
    backend_destroy(&b);
    return 0;
}
