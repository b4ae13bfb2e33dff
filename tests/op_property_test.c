/* op_property_test.c: what must hold between runs of the CPU backend, to the last bit: a whole and
 * its pieces, a row and its batch, a weight in any form, memory shared or not, and that what a row
 * does not see can not touch it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph_run.h"
#include "op_cases.h"
#include "random_graph.h"
#include "support.h"

/* Every test of this file runs on every instruction set, on two threads. */
static backend *open_backend(int isa) {
    return graph_run_cpu(2, (cpu_isa)isa);
}

/* --- what a row does not see --- */

/* Rows without a target: loss and gradient 0 even where the logits are NaN. */
static void cross_entropy_ignores_rows_without_target(void **state) {
    (void)state;
    enum { ROWS = 7, V = 19 };
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        backend *b = open_backend(isa);
        graph *g = graph_run_new();
        float *x = graph_run_floats(ROWS * V, 20);
        const int32_t target[ROWS] = {3, -1, 0, -1, 18, 7, -1};
        tensor *logits = graph_input(g, "logits", DTYPE_F32, SHAPE(ROWS, V));
        tensor *tt = graph_input(g, "target", DTYPE_I32, SHAPE(ROWS));
        tensor *nll = graph_output(g, cross_entropy(g, logits, tt));
        tensor *d = graph_output(g, cross_entropy_grad(g, logits, tt, nll));
        for (int i = 0; i < ROWS * V; i++) {
            x[i] = target[i / V] < 0 ? NAN : x[i];
        }
        program *p = graph_run_compile(b, g);
        const feed feeds[] = {{logits, x}, {tt, target}};
        graph_run(p, 2, feeds);
        float *loss = graph_run_result(p, nll), *dx = graph_run_result(p, d);
        for (int i = 0; i < ROWS * V; i++) {
            assert_true(target[i / V] < 0 ? loss[i / V] == 0 && dx[i] == 0
                                          : loss[i / V] > 0 && isfinite(dx[i]));
        }
        free(x);
        free(loss);
        free(dx);
        program_destroy(&p);
        graph_destroy(&g);
        backend_destroy(&b);
    }
}

/* --- draws --- */

enum { DRAWN = 40000 };

/* y[DRAWN] = dropout of ones at 0.3. */
static void draw(backend *b, float *y, const int32_t *key, int site, int64_t first) {
    octet_error error = {0};
    graph *g = graph_run_new();
    float *ones = support_alloc(DRAWN, sizeof *ones);
    for (int i = 0; i < DRAWN; i++) {
        ones[i] = 1;
    }
    tensor *x = graph_input(g, "x", DTYPE_F32, SHAPE(DRAWN));
    tensor *k = graph_input(g, "key", DTYPE_I32, SHAPE(3));
    tensor *out = graph_output(g, dropout(g, x, k, 0.3, site, first));
    program *p = graph_run_compile(b, g);
    const feed feeds[] = {{x, ones}, {k, key}};
    graph_run(p, 2, feeds);
    support_ok(program_download(p, out, y, &error), &error);
    free(ones);
    program_destroy(&p);
    graph_destroy(&g);
}

static int count_both(const float *a, const float *b) {
    int n = 0;
    for (int i = 0; i < DRAWN; i++) {
        n += a[i] == 0 && b[i] == 0;
    }
    return n;
}

/* The share that goes is the rate, draws of other keys, sites and elements are independent, and an
 * element draws the same wherever its part of the batch begins. Counts have a standard deviation of
 * at most 92: 5 of them. */
static void dropout_draws_by_place(void **state) {
    (void)state;
    static const int32_t key[3] = {-7, 3, 100}, seed[3] = {-6, 3, 100}, high[3] = {-7, 4, 100},
                         step[3] = {-7, 3, 101};
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        backend *b = open_backend(isa);
        float *first = support_alloc(DRAWN, sizeof *first);
        float *other = support_alloc(DRAWN, sizeof *other);
        draw(b, first, key, 5, 0);
        assert_true(abs(count_both(first, first) - 3 * DRAWN / 10) < 5 * 92);
        for (int i = 0; i < DRAWN; i++) {
            assert_true(first[i] == 0 || fabsf(first[i] - 1 / 0.7f) < 1e-6f);
        }
        for (int i = 0; i < 5; i++) {
            draw(b, other,
                 i == 0   ? seed
                 : i == 1 ? high
                 : i == 2 ? step
                          : key,
                 i == 3 ? 6 : 5, i == 4 ? DRAWN : 0);
            assert_true(abs(count_both(first, other) - 9 * DRAWN / 100) < 5 * 92);
        }
        for (int64_t at = 1; at < 200; at += at < 8 ? 1 : 37) {
            draw(b, other, key, 5, at);
            assert_memory_equal(other, first + at, (size_t)(DRAWN - at) * sizeof *other);
        }
        free(first);
        free(other);
        backend_destroy(&b);
    }
}

/* --- a row and its batch --- */

/* A block of a model on `rows` rows of x: the same bits for a row whatever the others are. */
static float *block_of_rows(backend *b, variable *w1, variable *w2, const float *x, int64_t rows) {
    graph *g = graph_run_new();
    const int64_t width = w1->dim[1];
    tensor *in = graph_input(g, "x", DTYPE_F32, SHAPE(1, rows, width));
    tensor *y = norm(g, in, NULL, NULL, NORM_RMS, 1e-5f);
    y = unary(g, linear(g, y, graph_variable(g, w1)), UNARY_GELU, 0);
    y = add(g, in, matmul(g, y, graph_variable(g, w2), 0, 0));
    y = graph_output(g, norm(g, y, NULL, NULL, NORM_LAYER, 1e-5f));
    const feed feeds[] = {{in, x}};
    float *values = graph_run_once(b, g, y, 1, feeds);
    graph_destroy(&g);
    return values;
}

static void row_does_not_hang_on_its_batch(void **state) {
    (void)state;
    enum { ROWS = 77, WIDTH = 50, INNER = 131 };
    float *x = graph_run_floats(ROWS * WIDTH, 30), *w = graph_run_floats(INNER * WIDTH, 31);
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        backend *b = open_backend(isa);
        variable w1 = {.name = "w1", .rank = 2, .dim = {INNER, WIDTH}}, w2 = w1;
        graph_run_variable(b, &w1, w);
        graph_run_variable(b, &w2, w);
        float *whole = block_of_rows(b, &w1, &w2, x, ROWS);
        for (int64_t first = 0, rows = 1; first < ROWS; first += rows, rows += 2) {
            rows = rows < ROWS - first ? rows : ROWS - first;
            float *part = block_of_rows(b, &w1, &w2, x + first * WIDTH, rows);
            graph_run_assert_same(whole + first * WIDTH, part, rows * WIDTH, "rows of a batch");
            free(part);
        }
        free(whole);
        backend_release(b, &w1);
        backend_release(b, &w2);
        backend_destroy(&b);
    }
    free(x);
    free(w);
}

/* --- a weight in any form --- */

enum { M = 9, K = 70, N = 45 };

static float *times_weight(backend *b, const float *x, tensor *(*make)(graph *, void *),
                           void *context, int transposed) {
    graph *g = graph_run_new();
    tensor *in = graph_input(g, "x", DTYPE_F32, SHAPE(M, K));
    tensor *y = graph_output(g, matmul(g, in, make(g, context), 0, transposed));
    const feed feeds[] = {{in, x}};
    octet_error error = {0};
    support_ok(graph_check(g, &error), &error);
    float *values = graph_run_once(b, g, y, 1, feeds);
    graph_destroy(&g);
    return values;
}

static tensor *as_it_is(graph *g, void *context) {
    return graph_variable(g, context);
}

/* Not a parameter any more: the product of the weight and 1. */
static tensor *as_result(graph *g, void *context) {
    return unary(g, graph_variable(g, context), UNARY_SCALE, 1);
}

/* w[K,N] out of a parameter of any shape with as many elements. */
static tensor *as_view(graph *g, void *context) {
    return graph_reshape(g, graph_variable(g, context), SHAPE(K, N));
}

static void weight_gives_the_same_bits_in_every_form(void **state) {
    (void)state;
    float *x = graph_run_floats(M * K, 40), *w = graph_run_floats(K * N, 41);
    float *turned = support_alloc(K * N, sizeof *turned);
    uint16_t *half = support_alloc(K * N, sizeof *half);
    for (int i = 0; i < K * N; i++) {
        uint32_t bits;
        memcpy(&bits, w + i, 4);
        half[i] = (uint16_t)(bits >> 16); /* values that bf16 holds exactly */
        bits &= 0xffff0000u;
        memcpy(w + i, &bits, 4);
        turned[i % N * K + i / N] = w[i];
    }
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        backend *b = open_backend(isa);
        variable plain = {.name = "plain", .rank = 2, .dim = {K, N}};
        variable other = {.name = "turned", .rank = 2, .dim = {N, K}};
        variable stored = {.name = "bf16", .type = DTYPE_BF16, .rank = 2, .dim = {K, N}};
        variable flat = {.name = "flat", .rank = 1, .dim = {K * N}};
        variable crossed = {.name = "crossed", .rank = 2, .dim = {N, K}};
        graph_run_variable(b, &plain, w);
        graph_run_variable(b, &other, turned);
        graph_run_variable(b, &stored, half);
        graph_run_variable(b, &flat, w);
        graph_run_variable(b, &crossed, w);
        float *y = times_weight(b, x, as_it_is, &plain, 0), *z;
        const struct {
            const char *name;
            variable *v;
            tensor *(*make)(graph *, void *);
            int transposed;
        } forms[] = {{"transposed", &other, as_it_is, 1},
                     {"stored as bf16", &stored, as_it_is, 0},
                     {"result", &plain, as_result, 0},
                     {"transposed result", &other, as_result, 1},
                     {"view of a vector", &flat, as_view, 0},
                     {"view of another matrix", &crossed, as_view, 0},
                     {"again", &plain, as_it_is, 0}};
        for (int i = 0; i < COUNT(forms); i++) {
            z = times_weight(b, x, forms[i].make, forms[i].v, forms[i].transposed);
            graph_run_assert_same(y, z, M * N, forms[i].name);
            free(z);
        }
        free(y);
        variable *all[] = {&plain, &other, &stored, &flat, &crossed};
        for (int i = 0; i < COUNT(all); i++) {
            backend_release(b, all[i]);
        }
        backend_destroy(&b);
    }
    free(x);
    free(w);
    free(turned);
    free(half);
}

/* --- weights that change --- */

/* x w, w being what v holds now, by a weight and a program that are made for it. */
static float *fresh_product(backend *b, const variable *v, const float *x) {
    octet_error error = {0};
    float *now = support_alloc(K * N, sizeof *now);
    support_ok(backend_read(b, v, 0, K * N, now, &error), &error);
    variable copy = {.name = "copy", .rank = 2, .dim = {K, N}};
    graph_run_variable(b, &copy, now);
    float *y = times_weight(b, x, as_it_is, &copy, 0);
    backend_release(b, &copy);
    free(now);
    return y;
}

/* y = x w before w = w - 0.5 u, and y after it where asked for. */
typedef struct update {
    graph *g;
    tensor *x, *u, *hyper, *before, *after;
    program *p;
} update;

static void update_open(update *s, backend *b, variable *v, int with_after) {
    graph *g = s->g = graph_run_new();
    s->x = graph_input(g, "x", DTYPE_F32, SHAPE(M, K));
    s->u = graph_input(g, "u", DTYPE_F32, SHAPE(K, N));
    s->hyper = graph_input(g, "hyper", DTYPE_F32, SHAPE(8));
    s->before = graph_output(g, matmul(g, s->x, graph_variable(g, v), 0, 0));
    tensor *updated = descend(g, graph_variable(g, v), s->u, s->hyper, 1);
    s->after = with_after ? graph_output(g, matmul(g, s->x, updated, 0, 0)) : NULL;
    s->p = graph_run_compile(b, g);
}

static void update_run(const update *s, const float *x, const float *u) {
    const float hyper[8] = {0.5f};
    const feed feeds[] = {{s->x, x}, {s->u, u}, {s->hyper, hyper}};
    graph_run(s->p, 3, feeds);
}

static void update_close(update *s) {
    program_destroy(&s->p);
    graph_destroy(&s->g);
}

static void assert_product(program *p, const tensor *y, const float *expected, const char *what) {
    float *got = graph_run_result(p, y);
    graph_run_assert_same(expected, got, M * N, what);
    free(got);
}

/* Neither the next run of the program that updates nor another program may see the old form. */
static void changed_weight_is_seen_by_the_next_run(void **state) {
    (void)state;
    float *x = graph_run_floats(M * K, 50), *w = graph_run_floats(K * N, 51);
    float *u = graph_run_floats(K * N, 52);
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        octet_error error = {0};
        backend *b = open_backend(isa);
        variable v = {.name = "w", .rank = 2, .dim = {K, N}};
        graph_run_variable(b, &v, w);
        update s, reader;
        update_open(&reader, b, &v, 0);
        update_open(&s, b, &v, 0);
        for (int round = 0; round < 3; round++) {
            float *fresh = fresh_product(b, &v, x);
            update_run(&s, x, u);
            assert_product(s.p, s.before, fresh, "before the update");
            free(fresh);
            fresh = fresh_product(b, &v, x);
            update_run(&reader, x, u);
            assert_product(reader.p, reader.before, fresh, "in another program");
            free(fresh);
            /* a write of a few elements counts, too */
            support_ok(backend_write(b, &v, 77 + round, 3, u, &error), &error);
        }
        update_close(&s);
        update_close(&reader);
        backend_release(b, &v);
        backend_destroy(&b);
    }
    free(x);
    free(w);
    free(u);
}

/* A product that comes after the update in the same graph takes the new weight. */
static void changed_weight_is_seen_in_the_same_run(void **state) {
    (void)state;
    float *x = graph_run_floats(M * K, 53), *w = graph_run_floats(K * N, 54);
    float *u = graph_run_floats(K * N, 55);
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        backend *b = open_backend(isa);
        variable v = {.name = "w", .rank = 2, .dim = {K, N}};
        graph_run_variable(b, &v, w);
        update s;
        update_open(&s, b, &v, 1);
        for (int round = 0; round < 2; round++) {
            float *fresh = fresh_product(b, &v, x);
            update_run(&s, x, u);
            assert_product(s.p, s.before, fresh, "before the update");
            free(fresh);
            fresh = fresh_product(b, &v, x);
            assert_product(s.p, s.after, fresh, "after the update");
            free(fresh);
        }
        update_close(&s);
        backend_release(b, &v);
        backend_destroy(&b);
    }
    free(x);
    free(w);
    free(u);
}

/* --- variables --- */

static void check_variable(backend *b, variable *v, uint64_t seed) {
    octet_error error = {0};
    const int64_t n = variable_elements(v);
    const size_t size = dtype_bytes(v->type);
    unsigned char *mirror = support_alloc((size_t)n, size), *got = support_alloc((size_t)n, size);
    support_ok(backend_allocate(b, v, &error), &error);
    support_ok(backend_read(b, v, 0, n, got, &error), &error);
    assert_memory_equal(got, mirror, (size_t)n * size); /* zeroed */
    for (int i = 0; i < 60; i++) {
        const int64_t first = support_integer(&seed, 0, n - 1);
        const int64_t count = support_integer(&seed, 0, i % 3 ? (n - first) / 20 : n - first);
        for (int64_t k = first; k < first + count; k++) {
            const float x = support_uniform(&seed, -1, 1);
            memcpy(mirror + (size_t)k * size, (const char *)&x + (4 - size), size);
        }
        support_ok(backend_write(b, v, first, count, mirror + (size_t)first * size, &error),
                   &error);
        const int64_t from = support_integer(&seed, 0, n - 1);
        const int64_t read = support_integer(&seed, 0, n - from);
        support_ok(backend_read(b, v, from, read, got, &error), &error);
        assert_memory_equal(got, mirror + (size_t)from * size, (size_t)read * size);
    }
    support_ok(backend_read(b, v, 0, n, got, &error), &error);
    assert_memory_equal(got, mirror, (size_t)n * size);
    backend_release(b, v);
    free(mirror);
    free(got);
}

static void variables_hold_what_is_written(void **state) {
    (void)state;
    backend *b = open_backend(CPU_AVX512);
    variable rows = {.name = "rows", .rank = 4, .dim = {3, 64, 2, 17}, .kind = VARIABLE_STATE};
    variable keys = rows;
    keys.layout = LAYOUT_KEYS;
    variable one = {.name = "one",
                    .rank = 4,
                    .dim = {1, 32, 1, 1},
                    .kind = VARIABLE_STATE,
                    .layout = LAYOUT_KEYS};
    variable half = {.name = "half", .type = DTYPE_BF16, .rank = 2, .dim = {33, 70}};
    check_variable(b, &rows, 60);
    check_variable(b, &keys, 61);
    check_variable(b, &one, 62);
    check_variable(b, &half, 63);
    backend_destroy(&b);
}

/* --- memory --- */

/* Random graphs, planned, against the same graphs in which every result is an output and so has a
 * place of its own; on one thread and on five. */
static void sharing_memory_changes_no_bit(void **state) {
    (void)state;
    static const int thread_counts[2] = {1, 5};
    float *x = graph_run_floats(5 * 16, 70), *content = graph_run_floats(6 * 64 * 64, 71);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        float *y[2][RANDOM_GRAPH_OUTPUTS];
        random_graph r;
        for (int apart = 0; apart < 2; apart++) {
            backend *b = graph_run_cpu(thread_counts[apart], CPU_AVX512);
            random_graph_init(&r, seed);
            for (int i = 0; apart && i < r.graph->n_tensors; i++) {
                if (r.graph->tensors[i]->kind == TENSOR_RESULT) {
                    graph_output(r.graph, r.graph->tensors[i]);
                }
            }
            for (int i = 0; i < r.n_variables; i++) {
                graph_run_variable(b, &r.variable[i], content + i * 64 * 64);
            }
            program *p = graph_run_compile(b, r.graph);
            const int32_t zero = 0, count = 3;
            const feed feeds[] = {{r.input, x}, {r.zero, &zero}, {r.count, &count}};
            graph_run(p, r.zero ? 3 : 1, feeds);
            for (int i = 0; i < r.n_outputs; i++) {
                y[apart][i] = graph_run_result(p, r.output[i]);
            }
            program_destroy(&p);
            for (int i = 0; i < r.n_variables; i++) {
                backend_release(b, &r.variable[i]);
            }
            if (!apart) {
                random_graph_finish(&r);
            }
            backend_destroy(&b);
        }
        for (int i = 0; i < r.n_outputs; i++) {
            graph_run_assert_same(y[0][i], y[1][i], tensor_elements(r.output[i]), "a random graph");
            free(y[0][i]);
            free(y[1][i]);
        }
        random_graph_finish(&r);
    }
    free(x);
    free(content);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropout_draws_by_place),
        cmocka_unit_test(cross_entropy_ignores_rows_without_target),
        cmocka_unit_test(row_does_not_hang_on_its_batch),
        cmocka_unit_test(weight_gives_the_same_bits_in_every_form),
        cmocka_unit_test(changed_weight_is_seen_by_the_next_run),
        cmocka_unit_test(changed_weight_is_seen_in_the_same_run),
        cmocka_unit_test(variables_hold_what_is_written),
        cmocka_unit_test(sharing_memory_changes_no_bit),
    };
    return cmocka_run_group_tests_name("op properties", tests, NULL, NULL);
}
