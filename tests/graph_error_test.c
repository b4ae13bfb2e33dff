/* graph_error_test.c: the errors of recording: what they name, that the first is kept, and that no
 * constructor takes shapes or types that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/plan.h"
#include "op_cases.h"
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

/* Attention over a cache as it should be. */
static tensor *cached(graph *g, tensor *q, variable *keys, variable *rows) {
    tensor *lane = integers(g, SHAPE(2));
    return attention_cached(g, q, graph_variable(g, keys), graph_variable(g, rows), lane, lane,
                            lane, integers(g, SHAPE(2, 5)), 1);
}

static void error_names_op_shapes_and_variable(void **state) {
    (void)state;
    octet_error error = {0};
    graph *g = new_graph();
    variable w = {.name = "levels.0.blocks.3.wq", .rank = 2, .dim = {640, 512}};
    assert_null(linear(g, input(g, SHAPE(8, 32, 256)), graph_variable(g, &w)));
    assert_int_equal(graph_check(g, &error), OCTET_ERROR);
    support_contains(error.text, "does not take");
    support_contains(error.text, "levels.0.blocks.3.wq");
    support_contains(error.text, "[640,512]");
    support_contains(error.text, "[8,32,256]");
    assert_true(!strncmp(error.text, "linear", 6) || !strncmp(error.text, "matmul", 6));
    graph_destroy(&g);
}

static void first_error_is_kept(void **state) {
    (void)state;
    octet_error first = {0}, later = {0}, compiled = {0};
    graph *g = new_graph();
    tensor *a = input(g, SHAPE(2, 3)), *b = input(g, SHAPE(3, 3));
    assert_int_equal(graph_check(g, &first), OCTET_OK);
    assert_null(add(g, a, b));
    assert_int_equal(graph_check(g, &first), OCTET_ERROR);
    support_contains(first.text, "add");
    const int nodes = g->n_nodes;
    assert_null(unary(g, a, UNARY_TANH, 0)); /* would be right by itself */
    assert_null(matmul(g, a, a, 0, 0));      /* would be wrong in another way */
    assert_null(input(g, SHAPE(1)));
    assert_null(graph_reshape(g, a, SHAPE(6)));
    assert_null(add(g, NULL, NULL));
    graph_backward(g, a);
    graph_output(g, NULL);
    assert_int_equal(g->n_nodes, nodes);
    assert_int_equal(graph_check(g, &later), OCTET_ERROR);
    assert_string_equal(first.text, later.text);
    assert_int_equal(graph_check(g, NULL), OCTET_ERROR);

    plan *p = NULL;
    assert_int_equal(plan_create(&p, g, &compiled), OCTET_ERROR);
    assert_string_equal(first.text, compiled.text);
    assert_null(p);
    backend *ref = NULL;
    program *refused = NULL;
    support_ok(ref_backend_create(&ref, &compiled), &compiled);
    memset(&compiled, 0, sizeof compiled);
    assert_int_equal(backend_compile(ref, &refused, g, &compiled), OCTET_ERROR);
    assert_string_equal(first.text, compiled.text);
    assert_null(refused);
    backend_destroy(&ref);
    graph_destroy(&g);
}

/* Every constructor with shapes, types or layouts that do not fit, one wrong thing at a time; rows
 * and keys are states of the same shape in either layout. Returns the name of the op that the error
 * must begin with, NULL past the last. */
static const char *record_wrong(graph *g, variable *rows, variable *keys, int which) {
    tensor *m34 = input(g, SHAPE(3, 4)), *m43 = input(g, SHAPE(4, 3)), *v3 = input(g, SHAPE(3));
    tensor *x4 = input(g, SHAPE(2, 5, 4, 6)), *i25 = integers(g, SHAPE(2, 5));
    tensor *i2 = integers(g, SHAPE(2)), *i3 = integers(g, SHAPE(3)), *out[3];
    tensor *cache = input(g, SHAPE(3, 32, 4, 6)), *one = input(g, SHAPE(1)),
           *h = input(g, SHAPE(8));
    switch (which) {
    case 0:
        matmul(g, m34, m34, 0, 0);
        return "matmul";
    case 1:
        matmul(g, m34, m43, 1, 0);
        return "matmul";
    case 2:
        mul(g, m34, m43);
        return "mul";
    case 3:
        add_row(g, m34, v3);
        return "add_row";
    case 4:
        unary_grad(g, m34, m43, UNARY_RELU, 0);
        return "unary_grad";
    case 5:
        norm(g, m34, v3, NULL, NORM_RMS, 0);
        return "norm";
    case 6:
        norm(g, m34, NULL, v3, NORM_RMS, 0);
        return "norm";
    case 7:
        norm_grad(g, &out[0], NULL, NULL, m34, NULL, m43, NORM_RMS, 0);
        return "norm_grad";
    case 8:
        scale_heads(g, x4, v3);
        return "scale_heads";
    case 9:
        dot_heads(g, m34, m43);
        return "dot_heads";
    case 10:
        gather(g, m34, m43, i2);
        return "gather";
    case 11:
        gather(g, m34, NULL, v3); /* f32 indices */
        return "gather";
    case 12:
        scatter(g, m34, i2, 5, 0);
        return "scatter";
    case 13:
        rope(g, x4, input(g, SHAPE(2, 5, 4)), 0);
        return "rope";
    case 14:
        rope(g, input(g, SHAPE(2, 5, 4, 3)), input(g, SHAPE(2, 5, 3)), 0); /* odd */
        return "rope";
    case 15:
        attention(g, NULL, x4, x4, input(g, SHAPE(2, 5, 2, 6)), i25, 1);
        return "attention";
    case 16: /* three key heads do not divide four heads */
        attention(g, NULL, x4, input(g, SHAPE(2, 5, 3, 6)), input(g, SHAPE(2, 5, 3, 6)), i25, 1);
        return "attention";
    case 17:
        attention(g, NULL, x4, x4, x4, i2, 1);
        return "attention";
    case 18:
        attention_cached(g, x4, cache, cache, i3, i2, i2, i25, 1);
        return "attention_cached";
    case 19: /* a ring of 33 rows */
        attention_cached(g, x4, input(g, SHAPE(3, 33, 4, 6)), input(g, SHAPE(3, 33, 4, 6)), i2, i2,
                         i2, i25, 1);
        return "attention_cached";
    case 20:
        store(g, cache, input(g, SHAPE(2, 5, 4, 7)), i2, i2, i2);
        return "store";
    case 21:
        store(g, cache, x4, i2, i3, i2);
        return "store";
    case 22:
        cross_entropy(g, m34, i2);
        return "cross_entropy";
    case 23:
        cross_entropy_grad(g, m34, i3, h);
        return "cross_entropy_grad";
    case 24:
        dot(g, m34, v3);
        return "dot";
    case 25:
        mul_scalar(g, m34, v3);
        return "mul_scalar";
    case 26:
        norm_factor(g, v3, FACTOR_CLIP, 1);
        return "norm_factor";
    case 27:
        adamw(g, m34, m34, m34, m43, one, h);
        return "adamw";
    case 28:
        momentum(g, m34, m34, one, v3, 0);
        return "momentum";
    case 29:
        descend(g, m34, m43, h, 1);
        return "descend";
    case 30:
        lerp(g, m34, m34, v3);
        return "lerp";
    case 31:
        graph_reshape(g, m34, SHAPE(5, 2));
        return "reshape";
    case 32: /* types: an i32 is not a float */
        add(g, i2, i2);
        return "add";
    case 33:
        unary(g, i25, UNARY_RELU, 0);
        return "unary";
    case 34:
        matmul(g, i25, input(g, SHAPE(5, 2)), 0, 0);
        return "matmul";
    case 35:
        cross_entropy(g, m34, v3);
        return "cross_entropy";
    case 36:
        attention(g, NULL, x4, x4, x4, input(g, SHAPE(2, 5)), 1);
        return "attention";
    case 37: /* keys that are not kept as keys: a backend would read another order */
        attention_cached(g, x4, graph_variable(g, rows), graph_variable(g, rows), i2, i2, i2, i25,
                         1);
        return "attention_cached";
    case 38:
        attention_cached(g, x4, graph_variable(g, keys), graph_variable(g, keys), i2, i2, i2, i25,
                         1);
        return "attention_cached";
    case 39:
        unary(g, graph_variable(g, keys), UNARY_TANH, 0);
        return "unary";
    case 40: /* no result of an op, and of another op */
        attention_slopes(g, x4);
        return "attention_slopes";
    case 41:
        attention_slopes(g, add(g, x4, x4));
        return "attention_slopes";
    case 42: /* more rows than an index can count */
        scatter(g, input(g, SHAPE(1LL << 31, 2)), integers(g, SHAPE(1LL << 31)), 5, 0);
        return "scatter";
    case 43:
        shift(g, input(g, SHAPE(2, 5, 6)), i2, 0);
        return "shift";
    case 44:
        shift(g, x4, i25, 0);
        return "shift";
    case 45: /* channels of 4 x 6 in the state, of 6 in x */
        shift_cached(g, input(g, SHAPE(2, 5, 6)), graph_variable(g, rows), i2, i2, i2, i25);
        return "shift_cached";
    case 46: /* not a state */
        shift_cached(g, input(g, SHAPE(2, 5, 6)), input(g, SHAPE(3, 32, 1, 6)), i2, i2, i2, i25);
        return "shift_cached";
    case 47:
        dropout(g, m34, i2, 0.5, 0, 0);
        return "dropout";
    case 48:
        dropout(g, m34, i3, 1, 0, 0);
        return "dropout";
    case 49:
        dropout(g, m34, i3, 0.5, DROPOUT_SITES, 0);
        return "dropout";
    case 50: /* no result of attention; a cache's keys where none is; a cache without any */
        attention_sinks(g, add(g, x4, x4), 4, NULL, NULL);
        return "attention_sinks";
    case 51:
        attention_sinks(g, attention(g, NULL, x4, x4, x4, i25, 1), 4, graph_variable(g, keys),
                        graph_variable(g, rows));
        return "attention_sinks";
    case 52:
        attention_sinks(g, cached(g, x4, keys, rows), 4, NULL, NULL);
        return "attention_sinks";
    case 53: /* more than are kept; fewer than none; kept in the other layout; older than they are
              */
        attention_sinks(g, cached(g, x4, keys, rows), 33, graph_variable(g, keys),
                        graph_variable(g, rows));
        return "attention_sinks";
    case 54:
        attention_sinks(g, attention(g, NULL, x4, x4, x4, i25, 1), -1, NULL, NULL);
        return "attention_sinks";
    case 55:
        attention_sinks(g, cached(g, x4, keys, rows), 4, graph_variable(g, rows),
                        graph_variable(g, keys));
        return "attention_sinks";
    case 56: {
        tensor *o = cached(g, x4, keys, rows);
        attention_sinks(g, o, 4, store_first(g, graph_variable(g, keys), x4, i2, i2, i2),
                        graph_variable(g, rows));
        return "attention_sinks";
    }
    case 57: /* one base too few; three settings; an end that is no logit */
        draw_symbol(g, m34, v3, m34, i2, -1);
        return "draw_symbol";
    case 58:
        draw_symbol(g, m34, v3, m43, i3, -1);
        return "draw_symbol";
    case 59:
        draw_symbol(g, m34, v3, m34, i3, 4);
        return "draw_symbol";
    default:
        return NULL;
    }
}

static void every_op_refuses_what_does_not_fit(void **state) {
    (void)state;
    for (int i = 0;; i++) {
        octet_error error = {0};
        graph *g = new_graph();
        variable rows = {.name = "rows", .rank = 4, .dim = {3, 32, 4, 6}, .kind = VARIABLE_STATE};
        variable keys = rows;
        keys.layout = LAYOUT_KEYS;
        const char *name = record_wrong(g, &rows, &keys, i);
        if (name && (graph_check(g, &error) != OCTET_ERROR ||
                     strncmp(error.text, name, strlen(name)) != 0)) {
            fail_msg("wrong call %d of %s: \"%s\"", i, name, error.text);
        }
        graph_destroy(&g);
        if (!name) {
            assert_true(i > 30);
            return;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_names_op_shapes_and_variable),
        cmocka_unit_test(first_error_is_kept),
        cmocka_unit_test(every_op_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests_name("graph errors", tests, NULL, NULL);
}
