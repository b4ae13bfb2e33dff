/* graph_test.c: recording, the plan, gradients of whole graphs, and the calls of a backend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/plan.h"
#include "graph_run.h"
#include "op_cases.h"
#include "random_graph.h"
#include "ref/ref_backend.h"
#include "support.h"

static graph *new_graph(void) {
    octet_error error = {0};
    graph *g = NULL;
    support_ok(graph_create(&g, &error), &error);
    return g;
}

static tensor *input(graph *g, int rank, const int64_t *dim) {
    return graph_input(g, "x", DTYPE_F32, rank, dim);
}

static tensor *integers(graph *g, int rank, const int64_t *dim) {
    return graph_input(g, "i", DTYPE_I32, rank, dim);
}

/* --- recording --- */

static void variable_is_one_tensor(void **state) {
    (void)state;
    graph *g = new_graph();
    variable a = {.name = "a", .rank = 1, .dim = {4}}, b = {.name = "b", .rank = 1, .dim = {4}};
    tensor *first = graph_variable(g, &a);
    assert_ptr_not_equal(first, graph_variable(g, &b));
    assert_ptr_equal(first, graph_variable(g, &a));
    assert_int_equal(first->kind, TENSOR_VARIABLE);
    graph_destroy(&g);
    assert_null(g);
    graph_destroy(&g);
    graph_destroy(NULL);
}

static void reshape_is_free(void **state) {
    (void)state;
    octet_error error = {0};
    size_t bytes[2];
    int nodes[2];
    for (int reshaped = 0; reshaped < 2; reshaped++) {
        graph *g = new_graph();
        tensor *x = unary(g, input(g, SHAPE(6, 40)), UNARY_TANH, 0);
        if (reshaped) {
            tensor *y = graph_reshape(g, graph_reshape(g, x, SHAPE(240)), SHAPE(2, 3, 40));
            assert_ptr_equal(tensor_storage(y), x);
            assert_ptr_equal(y->base, x); /* itself not a view */
            x = graph_reshape(g, y, SHAPE(6, 40));
        }
        graph_output(g, unary(g, x, UNARY_RELU, 0));
        plan *p = NULL;
        support_ok(plan_create(&p, g, &error), &error);
        bytes[reshaped] = p->bytes;
        nodes[reshaped] = g->n_nodes;
        plan_destroy(&p);
        graph_destroy(&g);
    }
    assert_int_equal(nodes[0], nodes[1]);
    assert_int_equal(bytes[0], bytes[1]);
}

static void in_place_ops_alias_their_variable(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = new_graph();
    variable w = {.name = "w", .rank = 2, .dim = {3, 5}};
    variable s = {.name = "s", .kind = VARIABLE_STATE, .rank = 3, .dim = {2, 7, 5}};
    tensor *lane = integers(g, SHAPE(1));
    tensor *stored = store(g, graph_variable(g, &s), input(g, SHAPE(1, 3, 5)), lane, lane, lane);
    tensor *stepped =
        descend(g, graph_variable(g, &w), input(g, SHAPE(3, 5)), input(g, SHAPE(8)), 1);
    assert_int_equal(stored->kind, TENSOR_VIEW);
    assert_ptr_equal(tensor_storage(stored), graph_variable(g, &s));
    assert_ptr_equal(tensor_storage(stepped), graph_variable(g, &w));
    plan *p = NULL;
    support_ok(plan_create(&p, g, &error), &error);
    assert_int_equal(p->n_nodes, 2); /* they run though nothing reads them */
    assert_int_equal(p->bytes, 0);
    plan_destroy(&p);
    graph_destroy(&g);
}

/* --- the plan --- */

static size_t rounded_bytes(const tensor *t) {
    return (tensor_bytes(t) + 63) / 64 * 64;
}

static int is_read(const node *n, const tensor *owner) {
    for (int k = 0; k < n->n_inputs; k++) {
        if (n->input[k] && tensor_storage(n->input[k]) == owner) {
            return 1;
        }
    }
    return 0;
}

static int is_written(const node *n, const tensor *owner) {
    for (int k = 0; k < n->n_outputs; k++) {
        if (n->output[k] && tensor_storage(n->output[k]) == owner) {
            return 1;
        }
    }
    return 0;
}

/* Stages from the one that makes t to the last that reads it; *begin is -1 when none makes it. */
static void lifetime(const plan *p, const tensor *t, int *begin, int *end) {
    *begin = *end = -1;
    for (int s = 0; s < p->n_stages; s++) {
        for (int i = p->stage_begin[s]; i < p->stage_begin[s + 1]; i++) {
            if (is_written(p->nodes[i], t) && *begin < 0) {
                *begin = s;
            }
            if (is_written(p->nodes[i], t) || is_read(p->nodes[i], t)) {
                *end = s;
            }
        }
    }
    if (t->is_output) {
        *end = p->n_stages;
    }
}

static void check_no_overlap(const graph *g, const plan *p) {
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *a = g->tensors[i];
        int a_begin, a_end, b_begin, b_end;
        lifetime(p, a, &a_begin, &a_end);
        if (a->kind != TENSOR_RESULT || a_begin < 0) {
            continue;
        }
        assert_int_equal(p->offset[i] % 64, 0);
        assert_true(p->offset[i] + tensor_bytes(a) <= p->bytes);
        for (int k = 0; k < i; k++) {
            const tensor *b = g->tensors[k];
            lifetime(p, b, &b_begin, &b_end);
            if (b->kind != TENSOR_RESULT || b_begin < 0 || a_end < b_begin || b_end < a_begin) {
                continue;
            }
            if (p->offset[i] < p->offset[k] + tensor_bytes(b) &&
                p->offset[k] < p->offset[i] + tensor_bytes(a)) {
                fail_msg("results %d and %d live together at %zu and %zu", i, k, p->offset[i],
                         p->offset[k]);
            }
        }
    }
}

/* Nodes keep the order of recording, read what was made before them, and share a stage only with
 * nodes that they have nothing to do with. */
static void check_stages(const plan *p) {
    assert_int_equal(p->stage_begin[0], 0);
    assert_int_equal(p->stage_begin[p->n_stages], p->n_nodes);
    for (int s = 0; s < p->n_stages; s++) {
        assert_true(p->stage_begin[s] < p->stage_begin[s + 1]);
        for (int i = p->stage_begin[s]; i < p->stage_begin[s + 1]; i++) {
            assert_true(i == 0 || p->nodes[i]->id > p->nodes[i - 1]->id);
            for (int k = p->stage_begin[s]; k < i; k++) {
                const node *a = p->nodes[k], *b = p->nodes[i];
                for (int o = 0; o < b->n_outputs; o++) {
                    const tensor *t = b->output[o] ? tensor_storage(b->output[o]) : NULL;
                    assert_false(t && (is_read(a, t) || is_written(a, t)));
                }
                for (int o = 0; o < a->n_outputs; o++) {
                    const tensor *t = a->output[o] ? tensor_storage(a->output[o]) : NULL;
                    assert_false(t && is_read(b, t));
                }
            }
        }
    }
}

static int runs(const plan *p, const node *n) {
    for (int i = 0; i < p->n_nodes; i++) {
        if (p->nodes[i] == n) {
            return 1;
        }
    }
    return 0;
}

/* What runs reads only what is made; what does not run is read by nothing that does. */
static void check_live_nodes(const graph *g, const plan *p) {
    for (int i = 0; i < g->n_nodes; i++) {
        const node *n = g->nodes[i];
        int wanted = 0;
        for (int o = 0; o < n->n_outputs; o++) {
            const tensor *t = n->output[o] ? tensor_storage(n->output[o]) : NULL;
            wanted |= t && (t->is_output || t->kind == TENSOR_VARIABLE);
            for (int k = 0; t && k < p->n_nodes; k++) {
                wanted |= p->nodes[k] != n && is_read(p->nodes[k], t);
            }
        }
        assert_int_equal(runs(p, n), wanted);
    }
}

static void plan_keeps_living_results_apart(void **state) {
    (void)state;
    octet_error error = {0};
    size_t planned = 0, separate = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        random_graph r;
        plan *p = NULL;
        random_graph_init(&r, seed);
        support_ok(plan_create(&p, r.graph, &error), &error);
        check_no_overlap(r.graph, p);
        check_stages(p);
        check_live_nodes(r.graph, p);
        planned += p->bytes;
        for (int i = 0; i < r.graph->n_tensors; i++) {
            const tensor *t = r.graph->tensors[i];
            separate += t->kind == TENSOR_RESULT && p->used[i] ? rounded_bytes(t) : 0;
        }
        plan_destroy(&p);
        random_graph_finish(&r);
    }
    /* a plan that gives each result its own place would pass all else */
    assert_true(planned < separate * 2 / 3);
}

static void chain_needs_two_places(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = new_graph();
    tensor *x = input(g, SHAPE(1000));
    for (int i = 0; i < 20; i++) {
        x = unary(g, x, UNARY_TANH, 0);
    }
    graph_output(g, x);
    plan *p = NULL;
    support_ok(plan_create(&p, g, &error), &error);
    assert_int_equal(p->bytes, 2 * 4032); /* 1,000 floats in units of 64 bytes, read and written */
    plan_destroy(&p);
    plan_destroy(&p);
    graph_destroy(&g);
}

/* Sizes whose sum would pass 2^64 and start again at 0. */
static void sums_of_sizes_do_not_overflow(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = NULL;
    support_ok(graph_create(&g, &error), &error);
    tensor *x = input(g, SHAPE((int64_t)1 << 28, (int64_t)1 << 28)), *sum = x;
    for (int i = 0; i < 80; i++)
        sum = add(g, sum, graph_output(g, unary(g, x, UNARY_TANH, 0)));
    graph_output(g, sum);
    plan *p = NULL;
    assert_int_equal(plan_create(&p, g, &error), OCTET_NO_MEMORY);
    assert_null(p);
    graph_destroy(&g);
}

static void dead_nodes_are_dropped(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = new_graph();
    tensor *x = input(g, SHAPE(10));
    tensor *dead = unary(g, unary(g, x, UNARY_TANH, 0), UNARY_RELU, 0);
    tensor *kept = unary(g, x, UNARY_SILU, 0);
    graph_output(g, graph_reshape(g, kept, SHAPE(2, 5))); /* keeps what the view shows */
    plan *p = NULL;
    support_ok(plan_create(&p, g, &error), &error);
    assert_int_equal(p->n_nodes, 1);
    assert_ptr_equal(p->nodes[0], kept->producer);
    assert_false(p->used[dead->id]);
    assert_int_equal(p->bytes, 64);
    plan_destroy(&p);
    graph_destroy(&g);
}

/* --- gradients of whole graphs --- */

typedef struct ref_run {
    backend *ref;
    program *program;
} ref_run;

static ref_run open_ref(const graph *g, variable *w, const float *values) {
    octet_error error = {0};
    ref_run r = {NULL, NULL};
    support_ok(ref_backend_create(&r.ref, &error), &error);
    if (w) {
        support_ok(backend_allocate(r.ref, w, &error), &error);
        support_ok(backend_write(r.ref, w, 0, variable_elements(w), values, &error), &error);
    }
    support_ok(backend_compile(r.ref, &r.program, g, &error), &error);
    return r;
}

static void close_ref(ref_run *r, variable *w) {
    program_destroy(&r->program);
    if (w) {
        backend_release(r->ref, w);
    }
    backend_destroy(&r->ref);
}

/* loss = sum(w x1) + sum(w x2) through a view + sum(w w): dw = x1 + x2 + 2 w, the same backward
 * whether w is used as it is, through a view, or twice in one op. */
static void gradients_of_all_uses_add_up(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = new_graph();
    variable w = {.name = "w", .rank = 2, .dim = {2, 3}};
    const float values[6] = {1, -2, 3, -4, 5, -6}, a[6] = {1, 1, 2, 3, 5, 8};
    const float b[6] = {0.5f, 0.25f, 0, -1, -2, 7};
    tensor *t = graph_variable(g, &w);
    tensor *x1 = input(g, SHAPE(2, 3)), *x2 = input(g, SHAPE(6));
    tensor *flat = graph_reshape(g, t, SHAPE(6));
    tensor *loss = add(g, dot(g, t, x1), dot(g, unary(g, flat, UNARY_SCALE, 1), x2));
    loss = add(g, loss, dot(g, mul(g, flat, flat), graph_input(g, "ones", DTYPE_F32, SHAPE(6))));
    graph_backward(g, loss);
    support_ok(graph_check(g, &error), &error);
    assert_non_null(t->gradient);
    assert_true(tensor_same_shape(t->gradient, t));
    graph_output(g, t->gradient);
    graph_output(g, x2->gradient);

    ref_run r = open_ref(g, &w, values);
    const float ones[6] = {1, 1, 1, 1, 1, 1};
    double got[6];
    support_ok(program_upload(r.program, x1, a, &error), &error);
    support_ok(program_upload(r.program, x2, b, &error), &error);
    for (int i = 0; i < g->n_tensors; i++) {
        if (g->tensors[i]->kind == TENSOR_INPUT && !strcmp(g->tensors[i]->name, "ones")) {
            support_ok(program_upload(r.program, g->tensors[i], ones, &error), &error);
        }
    }
    support_ok(program_run(r.program, &error), &error);
    ref_program_download_double(r.program, t->gradient, got);
    for (int i = 0; i < 6; i++) { /* small integers and halves: exact */
        assert_true(got[i] == (double)a[i] + (double)b[i] + 2 * (double)values[i]);
    }
    ref_program_download_double(r.program, x2->gradient, got);
    for (int i = 0; i < 6; i++) {
        assert_true(got[i] == (double)values[i]);
    }
    close_ref(&r, &w);
    graph_destroy(&g);
}

/* Constants hold what was put into them whatever runs the graph, are never uploaded, and gradients
 * flow past them. */
static void constants_are_never_uploaded(void **state) {
    (void)state;
    octet_error error = {0};
    const float x[6] = {1, 2, 3, 4, 5, 6};
    for (int kind = 0; kind < 2; kind++) {
        graph *g = new_graph();
        void *rows = NULL, *scales = NULL;
        tensor *from = graph_input(g, "x", DTYPE_F32, SHAPE(3, 2));
        tensor *index = graph_constant(g, "rows", DTYPE_I32, SHAPE(2), &rows);
        tensor *scale = graph_constant(g, "scales", DTYPE_F32, SHAPE(2, 2), &scales);
        memcpy(rows, (const int32_t[]){2, GATHER_NONE}, 2 * sizeof(int32_t));
        memcpy(scales, (const float[]){0.5f, 3, 7, 7}, 4 * sizeof(float));
        tensor *y = graph_output(g, mul(g, gather(g, from, NULL, index), scale));
        graph_backward(g, dot(g, y, y));
        assert_null(index->gradient);
        graph_output(g, from->gradient);
        backend *b = NULL;
        if (kind)
            support_ok(ref_backend_create(&b, &error), &error);
        else
            b = graph_run_cpu(1, CPU_AVX512);
        program *p = graph_run_compile(b, g);
        for (int run = 0; run < 2; run++)
            graph_run(p, 1, (feed[]){{from, x}});
        float *got = graph_run_result(p, y), *slope = graph_run_result(p, from->gradient);
        const float expected[4] = {2.5f, 18, 0, 0}, slopes[6] = {0, 0, 0, 0, 2.5f, 108};
        assert_memory_equal(got, expected, sizeof expected);
        assert_memory_equal(slope, slopes, sizeof slopes);
        free(got);
        free(slope);
        program_destroy(&p);
        graph_destroy(&g);
        backend_destroy(&b);
    }
}

/* Integers, constants, states and what the loss does not hang on have no gradient. */
static void gradient_is_only_where_it_belongs(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = new_graph();
    variable table = {.name = "table", .rank = 2, .dim = {10, 3}};
    variable s = {.name = "s", .kind = VARIABLE_STATE, .rank = 2, .dim = {4, 3}};
    tensor *index = integers(g, SHAPE(4)), *unused = input(g, SHAPE(4, 3));
    tensor *rows = gather(g, graph_variable(g, &table), NULL, index);
    tensor *beside = unary(g, unused, UNARY_TANH, 0);
    tensor *loss = dot(g, rows, graph_variable(g, &s));
    graph_backward(g, loss);
    support_ok(graph_check(g, &error), &error);
    assert_non_null(graph_variable(g, &table)->gradient);
    assert_non_null(rows->gradient);
    assert_null(index->gradient);
    assert_null(unused->gradient);
    assert_null(beside->gradient);
    graph_destroy(&g);
}

static void backward_refuses_by_name(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = new_graph();
    graph_backward(g, input(g, SHAPE(2, 3))); /* not one element */
    assert_int_equal(graph_check(g, &error), OCTET_ERROR);
    support_contains(error.text, "[2,3]");
    graph_destroy(&g);

    g = new_graph();
    tensor *q = input(g, SHAPE(1, 2, 1, 4));
    tensor *o = attention(g, NULL, q, q, q, integers(g, SHAPE(1, 2)), 1);
    graph_backward(g, dot(g, o, o));
    assert_int_equal(graph_check(g, &error), OCTET_ERROR);
    support_contains(error.text, "attention");
    support_contains(error.text, "lse");
    graph_destroy(&g);

    /* an op without a gradient that the loss hangs on, but no parameter or input hangs before */
    g = new_graph();
    variable s = {.name = "s", .kind = VARIABLE_STATE, .rank = 2, .dim = {4, 3}};
    variable w = {.name = "w", .rank = 2, .dim = {4, 3}};
    tensor *summed = sum_rows(g, graph_variable(g, &s));
    graph_backward(g, dot(g, summed, sum_rows(g, graph_variable(g, &s))));
    support_ok(graph_check(g, &error), &error);
    graph_backward(g, dot(g, summed, sum_rows(g, graph_variable(g, &w))));
    assert_int_equal(graph_check(g, &error), OCTET_ERROR);
    support_contains(error.text, "sum_rows");
    graph_destroy(&g);
}

/* --- backends --- */

static void running_records_and_allocates_nothing(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = new_graph();
    variable w = {.name = "w", .rank = 2, .dim = {3, 4}};
    float values[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, x[8] = {1, 0, 0, 0, 0, 1, 0, 0};
    tensor *in = input(g, SHAPE(2, 4));
    tensor *y = graph_output(g, linear(g, in, graph_variable(g, &w)));
    ref_run r = open_ref(g, &w, values);
    const ref_counts before = ref_backend_counts(r.ref);
    for (int i = 0; i < 3; i++) {
        float got[6];
        const float expected[6] = {1, 5, 9, 2, 6, 10};
        support_ok(program_upload(r.program, in, x, &error), &error);
        support_ok(program_run(r.program, &error), &error);
        support_ok(program_download(r.program, y, got, &error), &error);
        assert_memory_equal(got, expected, sizeof got);
    }
    const ref_counts after = ref_backend_counts(r.ref);
    assert_int_equal(before.compiles, 1);
    assert_int_equal(after.compiles, before.compiles);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.uploads, before.uploads + 3);
    assert_int_equal(after.downloads, before.downloads + 3);
    assert_int_equal(after.runs, before.runs + 3);
    assert_int_equal(after.nodes, before.nodes + 3);
    assert_true(program_bytes(r.program) >= sizeof x + 6 * sizeof(float));
    close_ref(&r, &w);
    graph_destroy(&g);
}

static void ranges_of_variables_are_checked(void **state) {
    (void)state;
    octet_error error = {0};
    backend *ref = NULL;
    variable v = {.name = "embedding", .rank = 2, .dim = {3, 4}};
    float values[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, got[5];
    support_ok(ref_backend_create(&ref, &error), &error);
    support_ok(backend_allocate(ref, &v, &error), &error);
    const uint64_t version = v.version;
    support_ok(backend_write(ref, &v, 0, 12, values, &error), &error);
    assert_true(v.version > version);
    support_ok(backend_write(ref, &v, 12, 0, values, &error), &error);
    support_ok(backend_read(ref, &v, 5, 5, got, &error), &error);
    assert_memory_equal(got, values + 5, sizeof got);
    static const int64_t wrong[][2] = {{-1, 2}, {0, 13}, {12, 1}, {13, 0}, {0, -1}, {INT64_MAX, 2}};
    for (int i = 0; i < COUNT(wrong); i++) {
        memset(&error, 0, sizeof error);
        assert_int_equal(backend_write(ref, &v, wrong[i][0], wrong[i][1], values, &error),
                         OCTET_ERROR);
        support_contains(error.text, "embedding");
        assert_int_equal(backend_read(ref, &v, wrong[i][0], wrong[i][1], got, NULL), OCTET_ERROR);
    }
    backend_release(ref, &v);
    backend_release(ref, &v); /* without memory */
    assert_null(v.memory);
    backend_destroy(&ref);
    backend_destroy(&ref);
    program *none = NULL;
    program_destroy(&none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variable_is_one_tensor),
        cmocka_unit_test(reshape_is_free),
        cmocka_unit_test(in_place_ops_alias_their_variable),
        cmocka_unit_test(plan_keeps_living_results_apart),
        cmocka_unit_test(chain_needs_two_places),
        cmocka_unit_test(sums_of_sizes_do_not_overflow),
        cmocka_unit_test(dead_nodes_are_dropped),
        cmocka_unit_test(gradients_of_all_uses_add_up),
        cmocka_unit_test(constants_are_never_uploaded),
        cmocka_unit_test(gradient_is_only_where_it_belongs),
        cmocka_unit_test(backward_refuses_by_name),
        cmocka_unit_test(running_records_and_allocates_nothing),
        cmocka_unit_test(ranges_of_variables_are_checked),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
