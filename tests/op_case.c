/* op_case.c: building and freeing one case of an op's test row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "op_cases.h"
#include "support.h"

void op_case_init(op_case *c, uint64_t seed) {
    octet_error error = {0};
    memset(c, 0, sizeof *c);
    c->random = seed;
    c->bound = 8;
    support_ok(graph_create(&c->graph, &error), &error);
}

void op_case_finish(op_case *c) {
    for (int i = 0; i < c->n_sources; i++) {
        free(c->source[i].data);
    }
    graph_destroy(&c->graph);
}

static case_source *next_source(op_case *c) {
    assert_true(c->n_sources < OP_CASE_SOURCES);
    return &c->source[c->n_sources++];
}

tensor *case_input(op_case *c, float low, float high, int rank, const int64_t *dim) {
    tensor *t = case_data(c, low, high, rank, dim);
    c->source[c->n_sources - 1].smooth = 1;
    return t;
}

tensor *case_data(op_case *c, float low, float high, int rank, const int64_t *dim) {
    static const char *const names[OP_CASE_SOURCES] = {"s0", "s1", "s2", "s3", "s4",
                                                       "s5", "s6", "s7", "s8", "s9"};
    case_source *s = next_source(c);
    s->tensor = graph_input(c->graph, names[c->n_sources - 1], DTYPE_F32, rank, dim);
    assert_non_null(s->tensor);
    const int64_t n = tensor_elements(s->tensor);
    s->data = support_alloc((size_t)n, sizeof(float));
    support_fill(s->data, n, low, high, &c->random);
    return s->tensor;
}

static case_source *add_variable(op_case *c, variable_kind kind, dtype type, int rank,
                                 const int64_t *dim) {
    case_source *s = next_source(c);
    snprintf(s->variable.name, sizeof s->variable.name, "v%d", c->n_sources - 1);
    s->variable.type = type;
    s->variable.kind = kind;
    s->variable.rank = rank;
    memcpy(s->variable.dim, dim, (size_t)rank * sizeof *dim);
    s->tensor = graph_variable(c->graph, &s->variable);
    assert_non_null(s->tensor);
    s->data = support_alloc((size_t)variable_elements(&s->variable), dtype_bytes(type));
    return s;
}

tensor *case_parameter(op_case *c, dtype type, float low, float high, int rank,
                       const int64_t *dim) {
    case_source *s = add_variable(c, VARIABLE_PARAMETER, type, rank, dim);
    const int64_t n = variable_elements(&s->variable);
    s->smooth = 1;
    for (int64_t i = 0; i < n; i++) {
        const float x = support_uniform(&c->random, low, high);
        if (type == DTYPE_BF16) { /* cutting the low half gives some bf16 near x */
            uint32_t bits;
            memcpy(&bits, &x, 4);
            ((uint16_t *)s->data)[i] = (uint16_t)(bits >> 16);
        } else {
            ((float *)s->data)[i] = x;
        }
    }
    return s->tensor;
}

tensor *case_state(op_case *c, variable_layout layout, float low, float high, int rank,
                   const int64_t *dim) {
    case_source *s = add_variable(c, VARIABLE_STATE, DTYPE_F32, rank, dim);
    s->variable.layout = layout;
    support_fill(s->data, variable_elements(&s->variable), low, high, &c->random);
    return s->tensor;
}

tensor *case_integers(op_case *c, int32_t low, int32_t high, int rank, const int64_t *dim) {
    case_source *s = next_source(c);
    s->tensor = graph_input(c->graph, "integers", DTYPE_I32, rank, dim);
    assert_non_null(s->tensor);
    const int64_t n = tensor_elements(s->tensor);
    s->data = support_alloc((size_t)n, sizeof(int32_t));
    for (int64_t i = 0; i < n; i++) {
        ((int32_t *)s->data)[i] = (int32_t)support_integer(&c->random, low, high);
    }
    return s->tensor;
}

float *case_floats(op_case *c) {
    return c->source[c->n_sources - 1].data;
}

int32_t *case_values(op_case *c) {
    return c->source[c->n_sources - 1].data;
}

int case_pick(int *index, int n) {
    const int picked = *index % n;
    *index /= n;
    return picked;
}

void case_output(op_case *c, tensor *t) {
    if (t) {
        assert_true(c->n_outputs < OP_CASE_OUTPUTS);
        /* An updated variable is read, not downloaded. */
        const int updated = tensor_storage(t)->kind == TENSOR_VARIABLE;
        c->output[c->n_outputs++] = updated ? t : graph_output(c->graph, t);
    }
}
