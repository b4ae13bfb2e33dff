/* op_test.c: every op against its reference, its gradient against finite differences, and its bits
 * against themselves for every instruction set and number of threads.
 *
 * The rows are in op_cases*.c. A row of OP_LIST without a test row does not link. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu_backend.h"
#include "op_run.h"
#include "ref/ref_backend.h"
#include "support.h"

static backend *cpu_backend_of(int n_threads, cpu_isa cap) {
    octet_error error = {0};
    backend *b = NULL;
    const cpu_backend_params params = {.n_threads = n_threads, .cap = cap};
    support_ok(cpu_backend_create(&b, &params, &error), &error);
    return b;
}

static backend *ref_backend_of(void) {
    octet_error error = {0};
    backend *b = NULL;
    support_ok(ref_backend_create(&b, &error), &error);
    return b;
}

/* --- against the reference --- */

static void check_reference(void **state) {
    const op_entry *e = *state;
    backend *ref = ref_backend_of(), *cpu = cpu_backend_of(2, CPU_AVX512);
    for (int i = 0; i < e->row->n_cases; i++) {
        op_run r;
        op_values got, expected;
        op_run_init(&r, e->name, e->row, i, !op_no_gradient(e->id));
        op_run_reference(&r, ref, &expected);
        op_run_values(&r, cpu, 1, &got);
        op_values_compare(&r, &got, &expected);
        op_values_finish(&got);
        op_values_finish(&expected);
        op_run_finish(&r);
    }
    backend_destroy(&cpu);
    backend_destroy(&ref);
}

/* The option that gives bits away must still compute the same products. */
static void check_openblas(void **state) {
    (void)state;
    octet_error error = {0};
    backend *ref = ref_backend_of(), *blas = NULL;
    const cpu_backend_params params = {.n_threads = 2, .cap = CPU_AVX512, .use_openblas = 1};
    if (cpu_backend_create(&blas, &params, &error)) {
        support_contains(error.text, "OpenBLAS"); /* not installed: refused by name */
        backend_destroy(&ref);
        skip();
    }
    for (int i = 0; i < test_op_matmul.n_cases; i++) {
        op_run r;
        op_values got, expected;
        op_run_init(&r, "matmul", &test_op_matmul, i, 1);
        op_run_reference(&r, ref, &expected);
        op_run_values(&r, blas, 1, &got);
        op_values_compare(&r, &got, &expected);
        op_values_finish(&got);
        op_values_finish(&expected);
        op_run_finish(&r);
    }
    backend_destroy(&blas);
    backend_destroy(&ref);
}

/* --- bits --- */

#define CONFIGURATIONS 9

static const int thread_counts[3] = {1, 2, 5};

static void check_bits(void **state) {
    const op_entry *e = *state;
    backend *b[CONFIGURATIONS];
    for (int k = 0; k < CONFIGURATIONS; k++) {
        b[k] = cpu_backend_of(thread_counts[k % 3], (cpu_isa)(k / 3));
    }
    for (int i = 0; i < e->row->n_cases; i++) {
        op_run r;
        op_values first, other;
        op_run_init(&r, e->name, e->row, i, !op_no_gradient(e->id));
        op_run_values(&r, b[0], 1, &first);
        for (int k = 1; k < CONFIGURATIONS; k++) {
            op_run_values(&r, b[k], k % 4 == 0, &other); /* each instruction set once */
            for (int v = 0; v < first.n; v++) {
                if (memcmp(first.data[v], other.data[v], first.bytes[v]) != 0) {
                    char what[128];
                    int64_t at = 0;
                    while (op_value_at(&first, v, at) == op_value_at(&other, v, at)) {
                        at++;
                    }
                    op_run_describe(&r, v, what, sizeof what);
                    fail_msg("%s, case %d, %s, element %lld: scalar with 1 thread gives %a, "
                             "instruction set %d with %d threads %a",
                             e->name, i, what, (long long)at, op_value_at(&first, v, at), k / 3,
                             thread_counts[k % 3], op_value_at(&other, v, at));
                }
            }
            op_values_finish(&other);
        }
        op_values_finish(&first);
        op_run_finish(&r);
    }
    for (int k = 0; k < CONFIGURATIONS; k++) {
        backend_destroy(&b[k]);
    }
}

/* --- gradients --- */

#define STEP 1e-5
#define BOUND 1e-6
#define ELEMENTS_CHECKED 6
#define LARGEST_CASE 9000 /* elements of all sources: more cost too much, one run each */

static void source_double(const case_source *s, double *out) {
    const int64_t n = tensor_elements(s->tensor);
    const op_values all = {
        .n = 1,
        .count = {n},
        .data = {s->data},
        .bytes = {(size_t)n * (s->tensor->kind == TENSOR_VARIABLE ? dtype_bytes(s->variable.type)
                                                                  : sizeof(float))}};
    for (int64_t i = 0; i < n; i++) {
        out[i] = op_value_at(&all, 0, i);
    }
}

/* The loss with source s at x + h direction. */
static double loss_at(const op_run *r, program *p, case_source *s, const double *x,
                      const double *direction, double h) {
    octet_error error = {0};
    const int64_t n = tensor_elements(s->tensor);
    double *moved = support_alloc((size_t)n, sizeof *moved), loss;
    for (int64_t i = 0; i < n; i++) {
        moved[i] = x[i] + h * direction[i];
    }
    if (s->tensor->kind == TENSOR_VARIABLE) {
        ref_write_double(p->backend, &s->variable, 0, n, moved);
    } else {
        ref_program_upload_double(p, s->tensor, moved);
    }
    free(moved);
    support_ok(program_run(p, &error), &error);
    ref_program_download_double(p, r->loss, &loss);
    return loss;
}

/* Along one element or along a random direction, which no wrong element of the gradient escapes.
 * The central difference is off by h^2 times a third derivative, about 1e-10, and by rounding of
 * the loss over h, about 1e-16 * |loss| / 1e-5; the bound is 1e-6 of the gradient's size. */
static void check_direction(const op_run *r, program *p, case_source *s, const double *x,
                            const double *gradient, const double *direction) {
    const int64_t n = tensor_elements(s->tensor);
    double slope = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        slope += gradient[i] * direction[i];
        squares += gradient[i] * gradient[i] * direction[i] * direction[i];
    }
    const double high = loss_at(r, p, s, x, direction, STEP);
    const double low = loss_at(r, p, s, x, direction, -STEP);
    loss_at(r, p, s, x, direction, 0);
    const double measured = (high - low) / (2 * STEP);
    const double size = fmax(sqrt(squares), support_largest(gradient, n));
    if (!(fabs(measured - slope) <= BOUND * size + 1e-9 * (1 + fabs(high)))) {
        int only = -1;
        for (int64_t i = 0; i < n; i++) {
            only = direction[i] != 0 ? (only == -1 ? (int)i : -2) : only;
        }
        fail_msg("%s, case %d: gradient of %s, %s %d: %.12g, finite differences give %.12g",
                 r->name, r->index, s->tensor->name,
                 only >= 0 ? "element" : "a direction over elements", only >= 0 ? only : (int)n,
                 slope, measured);
    }
}

static void check_source(op_run *r, program *p, case_source *s) {
    const int64_t n = tensor_elements(s->tensor);
    double *x = support_alloc((size_t)n, sizeof *x);
    double *gradient = support_alloc((size_t)n, sizeof *gradient);
    double *direction = support_alloc((size_t)n, sizeof *direction);
    source_double(s, x);
    ref_program_download_double(p, s->tensor->gradient, gradient);
    for (int k = 0; k < ELEMENTS_CHECKED && k < n; k++) {
        const int64_t at = support_integer(&r->c.random, 0, n - 1);
        direction[at] = 1;
        check_direction(r, p, s, x, gradient, direction);
        direction[at] = 0;
    }
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n; i++) {
            direction[i] = support_uniform(&r->c.random, -1, 1);
        }
        check_direction(r, p, s, x, gradient, direction);
    }
    free(x);
    free(gradient);
    free(direction);
}

static void check_finite_differences(const op_entry *e, backend *ref) {
    octet_error error = {0};
    int checked = 0;
    for (int i = 0; i < e->row->n_cases; i++) {
        op_run r;
        op_run_init(&r, e->name, e->row, i, 1);
        int64_t elements = 0;
        for (int s = 0; s < r.c.n_sources; s++) {
            elements += tensor_elements(r.c.source[s].tensor);
        }
        if (r.loss && elements <= LARGEST_CASE) {
            program *p = op_run_open(&r, ref);
            op_run_load(&r, p);
            support_ok(program_run(p, &error), &error);
            for (int s = 0; s < r.c.n_sources; s++) {
                if (r.c.source[s].smooth) {
                    check_source(&r, p, &r.c.source[s]);
                    checked++;
                }
            }
            op_run_close(&r, p);
        }
        op_run_finish(&r);
    }
    assert_true(checked > 0);
}

/* Asking an op of OP_LIST's NONE for its gradient names the op and gives the reason. */
static void check_refusal(const op_entry *e) {
    octet_error error = {0};
    op_case c;
    op_case_init(&c, 1);
    e->row->build(&c, 0);
    const variable *state = tensor_storage(c.output[0])->variable;
    const int is_index = c.output[0]->type == DTYPE_I32;
    if (is_index || (state && variable_is_int8(state))) { /* nothing can hang on it */
        assert_null(dot(c.graph, c.output[0], c.output[0]));
        support_contains(c.graph->error.text, is_index ? "is i32" : "only attention reads it");
        op_case_finish(&c);
        return;
    }
    tensor *weights = case_data(&c, -1, 1, SHAPE(tensor_elements(c.output[0])));
    graph_backward(c.graph, dot(c.graph, c.output[0], weights));
    assert_int_equal(graph_check(c.graph, &error), OCTET_ERROR);
    if (strncmp(error.text, e->name, strlen(e->name)) != 0 ||
        !strstr(error.text, op_no_gradient(e->id))) {
        fail_msg("%s: the error is \"%s\"", e->name, error.text);
    }
    op_case_finish(&c);
}

static void check_gradient(void **state) {
    const op_entry *e = *state;
    if (op_no_gradient(e->id)) {
        check_refusal(e);
        return;
    }
    backend *ref = ref_backend_of();
    check_finite_differences(e, ref);
    backend_destroy(&ref);
}

int main(void) {
    struct CMUnitTest tests[3 * OP_COUNT + 1];
    char names[3 * OP_COUNT][64];
    static const struct {
        const char *name;
        CMUnitTestFunction function;
    } checks[3] = {
        {"equals_reference", check_reference}, {"gradient", check_gradient}, {"bits", check_bits}};
    memset(tests, 0, sizeof tests);
    for (int i = 0; i < 3 * OP_COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%s_%s", op_entries[i / 3].name, checks[i % 3].name);
        tests[i].name = names[i];
        tests[i].test_func = checks[i % 3].function;
        tests[i].initial_state = (void *)(uintptr_t)&op_entries[i / 3];
    }
    tests[3 * OP_COUNT].name = "matmul_by_openblas_equals_reference";
    tests[3 * OP_COUNT].test_func = check_openblas;
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
