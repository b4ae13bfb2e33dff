/* cpu_linear_int8.c: the op y[..,O] = x[..,I] w[O,I]^T of rows rounded to integers.
 *
 * A task rounds a block of rows of x in scratch of its lane and multiplies it while the cache holds
 * it. With few rows tasks share out the panels of w instead, and each rounds the rows for itself. A
 * w that is no parameter is packed first. Several w share the rounded rows. */
#include "cpu/cpu.h"

#define ROWS 48 /* of a block */

typedef struct shape {
    int64_t rows, k;
    int64_t stride;  /* bytes of a rounded row */
    int64_t panels;  /* of all weights */
    int64_t outputs; /* columns of all results */
    int n_weights;
} shape;

static int64_t panels_of(const tensor *w) {
    return (tensor_rows(w) + INT8_PANEL - 1) / INT8_PANEL;
}

static shape shape_of(const node *n) {
    shape s = {.rows = tensor_rows(n->input[0]), .k = tensor_columns(n->input[0])};
    s.stride = (s.k + 63) / 64 * 64;
    s.n_weights = n->n_inputs - 1;
    for (int i = 0; i < s.n_weights; i++) {
        s.panels += panels_of(n->input[1 + i]);
        s.outputs += tensor_rows(n->input[1 + i]);
    }
    return s;
}

static size_t lane_bytes(const shape *s) {
    const int64_t rows = s->rows < ROWS ? s->rows : ROWS;
    return (size_t)(rows * s->stride) + 64 * ((size_t)rows * sizeof(float) / 64 + 1);
}

/* Of weights before `weight` that are no parameters: those have their packed form already. */
static size_t packed_bytes(const node *n, int weight) {
    size_t bytes = 0;
    for (int i = 0; i < weight; i++) {
        const tensor *w = n->input[1 + i];
        const variable *v = tensor_storage(w)->variable;
        if (!v || v->kind != VARIABLE_PARAMETER)
            bytes += (int8_weights_bytes(tensor_rows(w), tensor_columns(w)) + 63) / 64 * 64;
    }
    return bytes;
}

static size_t workspace(const node *n, int n_lanes) {
    const shape s = shape_of(n);
    return packed_bytes(n, s.n_weights) + (size_t)n_lanes * lane_bytes(&s);
}

/* Whether tasks share out rows, or panels. */
static int by_rows(const shape *s, int n_tasks) {
    return s->rows >= 12 * (int64_t)n_tasks || s->rows >= s->panels;
}

static int tasks(const cpu_call *c, int phase) {
    const shape s = shape_of(c->node);
    if (phase == 0)
        return packed_bytes(c->node, s.n_weights) ? cpu_tasks(c, s.panels, 64.0 * (double)s.k) : 0;
    const double cost = (double)s.rows * (double)s.k * (double)(s.outputs + 64) / 4;
    const int64_t most = s.rows > s.panels ? s.rows : s.panels;
    return cpu_tasks(c, most, cost / (double)(most > 0 ? most : 1));
}

/* Packs, or multiplies the n rows in scratch, which begin at row m: those of panels [begin, end) of
 * all weights that are of weight i. */
static void run_weight(const cpu_call *c, const shape *s, int i, int64_t begin, int64_t end,
                       int64_t m, int64_t n, const uint8_t *x) {
    const tensor *w = c->node->input[1 + i];
    const int64_t outputs = tensor_rows(w), panels = panels_of(w);
    const void *form = c->packed_int8[i];
    begin = begin > 0 ? begin : 0;
    end = end < panels ? end : panels;
    if (begin >= end)
        return;
    if (!form)
        form = (uint8_t *)c->workspace + packed_bytes(c->node, i);
    if (x == NULL) {
        if (!c->packed_int8[i])
            int8_weights_pack((void *)(uintptr_t)form, c->in[1 + i], outputs, s->k, begin, end);
        return;
    }
    const int8_weights weights = int8_weights_of(form, outputs, s->k);
    const int64_t most = s->rows < ROWS ? s->rows : ROWS;
    const int8_product p = {.y = (float *)c->out[i] + m * outputs,
                            .y_stride = outputs,
                            .x = x,
                            .x_scale = (const void *)(x + most * s->stride),
                            .rows = n,
                            .stride = s->stride,
                            .w = &weights,
                            .panel = begin,
                            .panel_end = end};
    c->kernels->int8.multiply(&p);
}

static void run_weights(const cpu_call *c, const shape *s, const int64_t *panels, int64_t m,
                        int64_t n, const uint8_t *x) {
    int64_t before = 0;
    for (int i = 0; i < s->n_weights; i++) {
        run_weight(c, s, i, panels[0] - before, panels[1] - before, m, n, x);
        before += panels_of(c->node->input[1 + i]);
    }
}

static void run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    const shape s = shape_of(c->node);
    int64_t rows[2] = {0, s.rows}, panels[2] = {0, s.panels};
    if (phase == 1 && by_rows(&s, n_tasks))
        cpu_range(s.rows, 6, task, n_tasks, &rows[0], &rows[1]);
    else
        cpu_range(s.panels, phase == 1 ? 2 : 1, task, n_tasks, &panels[0], &panels[1]);
    if (phase == 0) {
        run_weights(c, &s, panels, 0, 0, NULL);
        return;
    }
    if (panels[0] >= panels[1])
        return;
    uint8_t *x = (uint8_t *)c->workspace + packed_bytes(c->node, s.n_weights) +
                 (size_t)lane * lane_bytes(&s);
    float *scale = (void *)(x + (s.rows < ROWS ? s.rows : ROWS) * s.stride);
    for (int64_t m = rows[0]; m < rows[1]; m += ROWS) {
        const int64_t n = rows[1] - m < ROWS ? rows[1] - m : ROWS;
        for (int64_t i = 0; i < n; i++)
            scale[i] = c->kernels->int8.round(x + i * s.stride,
                                              (const float *)c->in[0] + (m + i) * s.k, s.k, 128);
        run_weights(c, &s, panels, m, n, x);
    }
}

const cpu_op cpu_linear_int8 = {.n_phases = 2, .tasks = tasks, .run = run, .workspace = workspace};
