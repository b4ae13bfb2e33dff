/* cpu_case.c: see cpu_case.h. */
#include "cpu_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

#define EPSILON 0x1p-24

static tensor *new_tensor(cpu_case *c, dtype type, int64_t rows, int64_t columns) {
    tensor *t = &c->tensors[c->n_tensors++];
    *t = (tensor){.type = type, .rank = rows > 0 ? 2 : 1, .dim = {rows, columns}};
    if (rows == 0)
        t->dim[0] = columns;
    return t;
}

static size_t bytes_of(const tensor *t) {
    return (size_t)tensor_elements(t) * 4;
}

float *cpu_case_input(cpu_case *c, dtype type, int64_t rows, int64_t columns) {
    int i = c->n.n_inputs++;
    c->n.input[i] = new_tensor(c, type, rows, columns);
    c->data[i] = support_alloc((size_t)tensor_elements(c->n.input[i]), 4);
    return c->data[i];
}

float *cpu_case_random(cpu_case *c, int64_t rows, int64_t columns, float low, float high) {
    static uint64_t state = 7;
    float *x = cpu_case_input(c, DTYPE_F32, rows, columns);
    support_fill(x, (rows ? rows : 1) * columns, low, high, &state);
    return x;
}

void cpu_case_output(cpu_case *c, int64_t rows, int64_t columns) {
    int i = c->n.n_outputs++;
    c->n.output[i] = new_tensor(c, DTYPE_F32, rows, columns);
    c->place[i] = -1;
}

void cpu_case_in_place(cpu_case *c, int of_input) {
    int i = c->n.n_outputs++;
    c->n.output[i] = c->n.input[of_input];
    c->place[i] = of_input;
}

void cpu_case_finish(cpu_case *c) {
    for (int i = 0; i < NODE_MAX_INPUTS; i++)
        free(c->data[i]);
    for (int i = 0; i < NODE_MAX_OUTPUTS; i++)
        free(c->out[i]);
}

/* Runs all phases, the tasks backwards, in_place variables in copies. out[] receives new memory. */
static void run_variant(const cpu_case *c, const cpu_op *row, cpu_isa isa, int n_tasks,
                        float *out[NODE_MAX_OUTPUTS]) {
    cpu_call call = {.node = &c->n, .kernels = cpu_kernels_get(isa), .n_lanes = 1};
    for (int i = 0; i < c->n.n_inputs; i++)
        call.in[i] = c->data[i];
    for (int i = 0; i < c->n.n_outputs; i++) {
        out[i] = NULL;
        if (c->n.output[i] == NULL)
            continue;
        size_t bytes = bytes_of(c->n.output[i]);
        out[i] = support_alloc(bytes, 1);
        memset(out[i], 0xff, bytes);
        if (c->place[i] >= 0) {
            memcpy(out[i], c->data[c->place[i]], bytes);
            call.in[c->place[i]] = out[i];
        }
        call.out[i] = out[i];
    }
    size_t bytes = row->workspace ? row->workspace(&c->n, call.n_lanes) : 0;
    call.workspace = support_alloc(bytes, 1);
    memset(call.workspace, 0xff, bytes);
    for (int phase = 0; phase < row->n_phases; phase++) {
        int n = row->tasks(&call, phase) == 0 ? 0 : n_tasks;
        if (n > 0 && phase == c->serial_phase)
            n = 1;
        for (int task = n - 1; task >= 0; task--)
            row->run(&call, phase, task, n, 0);
    }
    free(call.workspace);
}

/* Runs all variants; keeps the first, which is scalar and one task, in c->out. */
void cpu_case_run(cpu_case *c, const cpu_op *row) {
    static const int n_tasks[] = {1, 2, 5, 64};
    for (int isa = 0; isa <= (int)cpu_detect(); isa++) {
        for (int k = 0; k < 4; k++) {
            float *out[NODE_MAX_OUTPUTS] = {NULL};
            int first = isa == 0 && k == 0;
            run_variant(c, row, (cpu_isa)isa, n_tasks[k], first ? c->out : out);
            for (int i = 0; i < c->n.n_outputs && !first; i++) {
                if (out[i] == NULL)
                    continue;
                if (memcmp(out[i], c->out[i], bytes_of(c->n.output[i])) != 0)
                    fail_msg("output %d: %s with %d tasks differs", i,
                             cpu_kernels_get((cpu_isa)isa)->name, n_tasks[k]);
                free(out[i]);
            }
        }
    }
}

void cpu_case_close(const char *what, int64_t i, double got, double want, double magnitude) {
    if (!(fabs(got - want) <= EPSILON * magnitude + 1e-37))
        fail_msg("%s, element %lld: %.9g is not %.9g (allowed %.3g)", what, (long long)i, got, want,
                 EPSILON * magnitude);
}

cpu_case cpu_case_new(void) {
    return (cpu_case){.serial_phase = -1, .place = {-1, -1, -1}};
}

static const int64_t widths[] = {1, 15, 16, 17, 64, 255, 256, 257};
static const int64_t heights[] = {1, 3, 64, 65, 130};
#define WIDTHS (sizeof widths / sizeof widths[0])
#define HEIGHTS (sizeof heights / sizeof heights[0])

void cpu_case_shapes(cpu_shape_test *test) {
    for (size_t i = 0; i < HEIGHTS; i++) {
        for (size_t j = 0; j < WIDTHS; j++)
            test(heights[i], widths[j]);
    }
}
