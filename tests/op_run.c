/* op_run.c: one case on one backend. */
#include "op_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ref/ref_backend.h"
#include "support.h"

/* loss = sum of output 0 times random weights. */
static void record_gradients(op_run *r) {
    op_case *c = &r->c;
    const int n_sources = c->n_sources;
    tensor *weights = case_data(c, -1, 1, SHAPE(tensor_elements(c->output[0])));
    r->loss = graph_output(c->graph, dot(c->graph, c->output[0], weights));
    graph_backward(c->graph, r->loss);
    for (int i = 0; i < n_sources && !c->graph->error.code; i++) {
        const case_source *s = &c->source[i];
        if (!s->smooth) {
            continue;
        }
        if (!s->tensor->gradient) {
            fail_msg("%s, case %d: %s has no gradient", r->name, r->index, s->tensor->name);
        }
        if (!tensor_same_shape(s->tensor->gradient, s->tensor)) {
            fail_msg("%s, case %d: the gradient of %s has another shape", r->name, r->index,
                     s->tensor->name);
        }
        r->result[r->n_results++] = graph_output(c->graph, s->tensor->gradient);
    }
}

void op_run_init(op_run *r, const char *name, const op_row *row, int index, int has_gradient) {
    memset(r, 0, sizeof *r);
    r->row = row;
    r->name = name;
    r->index = index;
    op_case_init(&r->c, 1000u + (uint64_t)index);
    row->build(&r->c, index);
    for (int i = 0; i < r->c.n_outputs; i++) {
        if (tensor_storage(r->c.output[i])->kind != TENSOR_VARIABLE) {
            r->result[r->n_results++] = r->c.output[i];
        }
    }
    if (has_gradient && !r->c.is_rough) {
        record_gradients(r);
    }
    octet_error error = {0};
    if (graph_check(r->c.graph, &error)) {
        fail_msg("%s, case %d: %s", name, index, error.text);
    }
}

void op_run_finish(op_run *r) {
    op_case_finish(&r->c);
}

void op_values_finish(op_values *v) {
    for (int i = 0; i < v->n; i++) {
        free(v->data[i]);
    }
    v->n = 0;
}

void op_run_describe(const op_run *r, int i, char *text, size_t size) {
    if (i >= r->n_results) {
        int k = i - r->n_results;
        for (int s = 0; s < r->c.n_sources; s++) {
            if (r->c.source[s].tensor->kind == TENSOR_VARIABLE && k-- == 0) {
                snprintf(text, size, "%s afterwards", r->c.source[s].variable.name);
                return;
            }
        }
    }
    for (int k = 0; k < r->c.n_outputs; k++) {
        if (r->result[i] == r->c.output[k]) {
            snprintf(text, size, "output %d", k);
            return;
        }
    }
    for (int s = 0; s < r->c.n_sources; s++) {
        if (r->c.source[s].tensor->gradient == r->result[i]) {
            snprintf(text, size, "gradient of %s", r->c.source[s].tensor->name);
            return;
        }
    }
    snprintf(text, size, "value %d", i);
}

program *op_run_open(op_run *r, backend *b) {
    octet_error error = {0};
    program *p = NULL;
    for (int i = 0; i < r->c.n_sources; i++) {
        case_source *s = &r->c.source[i];
        if (s->tensor->kind == TENSOR_VARIABLE) {
            support_ok(backend_allocate(b, &s->variable, &error), &error);
        }
    }
    support_ok(backend_compile(b, &p, r->c.graph, &error), &error);
    return p;
}

static void load_source(case_source *s, program *p, const void *data) {
    octet_error error = {0};
    if (s->tensor->kind == TENSOR_VARIABLE) {
        support_ok(backend_write(p->backend, &s->variable, 0, variable_elements(&s->variable), data,
                                 &error),
                   &error);
    } else {
        support_ok(program_upload(p, s->tensor, data, &error), &error);
    }
}

void op_run_load(op_run *r, program *p) {
    for (int i = 0; i < r->c.n_sources; i++) {
        load_source(&r->c.source[i], p, r->c.source[i].data);
    }
}

/* NaN in every float source; indices as they are. */
static void load_poison(op_run *r, program *p) {
    for (int i = 0; i < r->c.n_sources; i++) {
        case_source *s = &r->c.source[i];
        const int is_bf16 = s->tensor->kind == TENSOR_VARIABLE && s->variable.type == DTYPE_BF16;
        const int64_t n = tensor_elements(s->tensor);
        if (s->tensor->type != DTYPE_F32 && !is_bf16) {
            load_source(s, p, s->data);
            continue;
        }
        void *poison = support_alloc((size_t)n, sizeof(float));
        for (int64_t k = 0; k < n; k++) {
            if (is_bf16) {
                ((uint16_t *)poison)[k] = 0x7fc0;
            } else {
                ((float *)poison)[k] = NAN;
            }
        }
        load_source(s, p, poison);
        free(poison);
    }
}

void op_run_close(op_run *r, program *p) {
    backend *b = p->backend;
    program_destroy(&p);
    for (int i = 0; i < r->c.n_sources; i++) {
        if (r->c.source[i].tensor->kind == TENSOR_VARIABLE) {
            backend_release(b, &r->c.source[i].variable);
        }
    }
}

static void *add_values(op_values *v, int64_t count, size_t element) {
    v->count[v->n] = count;
    v->bytes[v->n] = (size_t)count * element;
    v->data[v->n] = support_alloc((size_t)count, element);
    return v->data[v->n++];
}

static void keep_values(op_run *r, program *p, op_values *out) {
    octet_error error = {0};
    out->n = 0;
    for (int i = 0; i < r->n_results; i++) {
        void *data = add_values(out, tensor_elements(r->result[i]), sizeof(float));
        support_ok(program_download(p, r->result[i], data, &error), &error);
        for (int64_t k = 0; r->result[i]->type == DTYPE_I32 && k < out->count[i]; k++) {
            int32_t value;
            memcpy(&value, (float *)data + k, sizeof value);
            ((float *)data)[k] = (float)value;
        }
    }
    for (int i = 0; i < r->c.n_sources; i++) {
        const case_source *s = &r->c.source[i];
        if (s->tensor->kind == TENSOR_VARIABLE) {
            const int64_t n = variable_elements(&s->variable);
            void *data = add_values(out, n, dtype_bytes(s->variable.type));
            support_ok(backend_read(p->backend, &s->variable, 0, n, data, &error), &error);
        }
    }
}

void op_run_values(op_run *r, backend *b, int poisoned, op_values *out) {
    octet_error error = {0};
    program *p = op_run_open(r, b);
    if (poisoned) {
        load_poison(r, p);
        support_ok(program_run(p, &error), &error);
    }
    op_run_load(r, p);
    support_ok(program_run(p, &error), &error);
    keep_values(r, p, out);
    op_run_close(r, p);
}

void op_run_reference(op_run *r, backend *ref, op_values *out) {
    octet_error error = {0};
    program *p = op_run_open(r, ref);
    op_run_load(r, p);
    support_ok(program_run(p, &error), &error);
    out->n = 0;
    for (int i = 0; i < r->n_results; i++) {
        double *data = add_values(out, tensor_elements(r->result[i]), sizeof(double));
        ref_program_download_double(p, r->result[i], data);
    }
    for (int i = 0; i < r->c.n_sources; i++) {
        const case_source *s = &r->c.source[i];
        if (s->tensor->kind == TENSOR_VARIABLE) {
            const int64_t n = variable_elements(&s->variable);
            ref_read_double(ref, &s->variable, 0, n, add_values(out, n, sizeof(double)));
        }
    }
    op_run_close(r, p);
}

/* One value as a double, whatever it was stored as. */
double op_value_at(const op_values *v, int i, int64_t k) {
    if (v->bytes[i] == (size_t)v->count[i] * sizeof(float)) {
        return ((const float *)v->data[i])[k];
    }
    const uint32_t bits = (uint32_t)((const uint16_t *)v->data[i])[k] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void op_values_compare(const op_run *r, const op_values *got, const op_values *ref) {
    char what[128];
    for (int i = 0; i < ref->n; i++) {
        const double *expected = ref->data[i];
        const double largest = support_largest(expected, ref->count[i]);
        assert_int_equal(got->count[i], ref->count[i]);
        for (int64_t k = 0; k < ref->count[i]; k++) {
            const double x = op_value_at(got, i, k);
            const double size = r->c.unit > 0 ? fmax(r->c.unit, fabs(expected[k])) : largest;
            /* the float nearest to the reference is right even where it overflows or underflows */
            const int same = x == (double)(float)expected[k];
            if (!same && !(fabs(x - expected[k]) <= r->c.bound * 0x1p-24 * size)) {
                op_run_describe(r, i, what, sizeof what);
                fail_msg("%s, case %d, %s, element %lld: %.9g, the reference gives %.9g (%.1f of "
                         "%.1f units)",
                         r->name, r->index, what, (long long)k, x, expected[k],
                         fabs(x - expected[k]) / (0x1p-24 * size), r->c.bound);
            }
        }
    }
}

const op_entry op_entries[OP_COUNT] = {
#define ROW(ID, name) {#name, OP_##ID, &test_op_##name},
#define NONE(ID, name, reason) {#name, OP_##ID, &test_op_##name},
    OP_LIST(ROW, NONE)
#undef ROW
#undef NONE
};
