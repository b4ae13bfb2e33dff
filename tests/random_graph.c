/* random_graph.c: draws ops one after the other over a pool of matrices of five rows. */
#include "random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

#define ROWS 5
#define STEPS 40

typedef struct builder {
    random_graph *r;
    uint64_t random;
    tensor *pool[STEPS + 1];
    int n_pool;
} builder;

static tensor *parameter(builder *b, int64_t rows, int64_t columns) {
    random_graph *r = b->r;
    for (int i = 0; i < r->n_variables; i++) { /* an old one where it fits: it is used twice */
        variable *v = &r->variable[i];
        if (v->kind == VARIABLE_PARAMETER && v->dim[0] == rows && v->dim[1] == columns) {
            return graph_variable(r->graph, v);
        }
    }
    if (r->n_variables == RANDOM_GRAPH_VARIABLES) {
        return NULL;
    }
    variable *v = &r->variable[r->n_variables++];
    snprintf(v->name, sizeof v->name, "w%d", r->n_variables);
    v->rank = 2;
    v->dim[0] = rows;
    v->dim[1] = columns;
    return graph_variable(r->graph, v);
}

static tensor *any(builder *b) {
    /* mostly recent ones, so that chains get deep, sometimes old ones, so that they live long */
    const int recent = support_integer(&b->random, 0, 3) > 0;
    const int64_t low = recent && b->n_pool > 4 ? b->n_pool - 4 : 0;
    return b->pool[support_integer(&b->random, low, b->n_pool - 1)];
}

/* One more op; NULL when the draw does not fit. */
static tensor *step(builder *b) {
    static const int64_t columns[] = {3, 16, 17, 40};
    graph *g = b->r->graph;
    tensor *x = any(b), *y = any(b), *w;
    const int64_t C = tensor_columns(x);
    switch (support_integer(&b->random, 0, 7)) {
    case 0:
        return unary(g, x, UNARY_TANH, 0);
    case 1:
        return tensor_same_shape(x, y) ? add(g, x, y) : NULL;
    case 2:
        return tensor_same_shape(x, y) ? unary(g, mul(g, x, y), UNARY_TANH, 0) : NULL;
    case 3:
        w = parameter(b, columns[support_integer(&b->random, 0, 3)], C);
        return w ? unary(g, linear(g, x, w), UNARY_SCALE, 0.3f) : NULL;
    case 4:
        return norm(g, x, NULL, NULL, NORM_RMS, 1e-2f);
    case 5: /* through another shape and back */
        x = graph_reshape(g, x, 1, (const int64_t[]){ROWS * C});
        x = unary(g, x, UNARY_SIGMOID, 0);
        return graph_reshape(g, x, 2, (const int64_t[]){ROWS, C});
    case 6: /* y^T x, small inner size */
        x = matmul(g, y, matmul(g, y, x, 1, 0), 0, 0);
        return norm(g, x, NULL, NULL, NORM_LAYER, 1);
    default: { /* a scalar in the middle */
        tensor *s = dot(g, x, x);
        return mul_scalar(g, y, unary(g, s, UNARY_TANH, 0));
    }
    }
}

static void output(random_graph *r, tensor *t) {
    if (r->n_outputs < RANDOM_GRAPH_OUTPUTS) {
        r->output[r->n_outputs++] = graph_output(r->graph, t);
    }
}

/* The last result goes into a state, which is read again. */
static tensor *through_state(builder *b, tensor *x) {
    random_graph *r = b->r;
    if (r->n_variables == RANDOM_GRAPH_VARIABLES) {
        return NULL;
    }
    variable *v = &r->variable[r->n_variables++];
    const int64_t C = tensor_columns(x), one[] = {1};
    *v = (variable){.name = "state", .kind = VARIABLE_STATE, .rank = 3, .dim = {1, ROWS + 2, C}};
    graph *g = r->graph;
    r->zero = graph_input(g, "zero", DTYPE_I32, 1, one);
    r->count = graph_input(g, "count", DTYPE_I32, 1, one);
    tensor *before = unary(g, graph_variable(g, v), UNARY_SCALE, 2); /* reads the old content */
    tensor *rows = graph_reshape(g, x, 3, (const int64_t[]){1, ROWS, C});
    tensor *after = store(g, graph_variable(g, v), rows, r->zero, r->zero, r->count);
    return add(g, before, unary(g, after, UNARY_SCALE, 3));
}

void random_graph_init(random_graph *r, uint64_t seed) {
    octet_error error = {0};
    memset(r, 0, sizeof *r);
    support_ok(graph_create(&r->graph, &error), &error);
    builder b = {.r = r, .random = seed};
    r->input = graph_input(r->graph, "x", DTYPE_F32, 2, (const int64_t[]){ROWS, 16});
    b.pool[b.n_pool++] = r->input;
    for (int i = 0; i < STEPS; i++) {
        tensor *t = step(&b);
        if (t) {
            b.pool[b.n_pool++] = t;
        }
        if (t && support_integer(&b.random, 0, 9) == 0 && r->n_outputs < 4) {
            output(r, t);
        }
    }
    tensor *last = b.pool[b.n_pool - 1];
    tensor *loss = dot(r->graph, last, last);
    output(r, loss);
    graph_backward(r->graph, loss);
    if (r->input->gradient) {
        output(r, r->input->gradient);
    }
    for (int i = 0; i < r->n_variables; i++) {
        tensor *w = graph_variable(r->graph, &r->variable[i]);
        if (w && w->gradient) {
            output(r, w->gradient);
        }
    }
    tensor *kept = through_state(&b, last);
    if (kept) {
        output(r, kept);
    }
    support_ok(graph_check(r->graph, &error), &error);
}

void random_graph_finish(random_graph *r) {
    graph_destroy(&r->graph);
}
