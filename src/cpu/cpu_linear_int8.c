/* cpu_linear_int8.c: the op y[..,O] = x[..,I] w[O,I]^T of rows rounded to integers.
 *
 * A task rounds a block of rows of x in scratch of its lane and multiplies it while the cache holds
 * it. With few rows tasks share out the panels of w instead, and each rounds the rows for itself. A
 * w that is no parameter is packed first. */
#include "cpu/cpu.h"

#define ROWS 48 /* of a block */

typedef struct shape {
    int64_t rows, k, n, panels;
    int64_t stride; /* bytes of a rounded row */
} shape;

static shape shape_of(const node *n) {
    shape s = {.rows = tensor_rows(n->input[0]), .k = tensor_columns(n->input[0])};
    s.n = tensor_rows(n->input[1]);
    s.panels = (s.n + INT8_PANEL - 1) / INT8_PANEL;
    s.stride = (s.k + 63) / 64 * 64;
    return s;
}

static size_t lane_bytes(const shape *s) {
    const int64_t rows = s->rows < ROWS ? s->rows : ROWS;
    return (size_t)(rows * s->stride) + 64 * ((size_t)rows * sizeof(float) / 64 + 1);
}

/* Parameters have their packed form; the row asks before that is known. */
static size_t workspace(const node *n, int n_lanes) {
    const shape s = shape_of(n);
    const tensor *w = tensor_storage(n->input[1]);
    const size_t packed = w->variable && w->variable->kind == VARIABLE_PARAMETER
                              ? 0
                              : int8_weights_bytes(s.n, s.k);
    return packed + (size_t)n_lanes * lane_bytes(&s);
}

/* Whether tasks share out rows, or panels. */
static int by_rows(const shape *s, int n_tasks) {
    return s->rows >= 12 * (int64_t)n_tasks || s->rows >= s->panels;
}

static int tasks(const cpu_call *c, int phase) {
    const shape s = shape_of(c->node);
    if (phase == 0)
        return c->packed_int8 ? 0 : cpu_tasks(c, s.panels, 64.0 * (double)s.k);
    const double cost = (double)s.rows * (double)s.k * (double)(s.n + 64) / 4;
    const int64_t most = s.rows > s.panels ? s.rows : s.panels;
    return cpu_tasks(c, most, cost / (double)(most > 0 ? most : 1));
}

static void multiply(const cpu_call *c, const shape *s, const int8_weights *w, uint8_t *scratch,
                     const int64_t *rows, const int64_t *panels) {
    const int8_kernels *kernels = &c->kernels->int8;
    const int64_t most = s->rows < ROWS ? s->rows : ROWS;
    float *scale = (void *)(scratch + most * s->stride);
    for (int64_t m = rows[0]; m < rows[1]; m += ROWS) {
        const int64_t n = rows[1] - m < ROWS ? rows[1] - m : ROWS;
        for (int64_t i = 0; i < n; i++)
            scale[i] = kernels->round(scratch + i * s->stride,
                                      (const float *)c->in[0] + (m + i) * s->k, s->k, 128);
        const int8_product p = {.y = (float *)c->out[0] + m * s->n,
                                .y_stride = s->n,
                                .x = scratch,
                                .x_scale = scale,
                                .rows = n,
                                .stride = s->stride,
                                .w = w,
                                .panel = panels[0],
                                .panel_end = panels[1]};
        kernels->multiply(&p);
    }
}

static void run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    const shape s = shape_of(c->node);
    uint8_t *scratch = c->workspace;
    const void *form = c->packed_int8;
    int64_t rows[2] = {0, s.rows}, panels[2] = {0, s.panels};
    if (!form) {
        form = scratch;
        scratch += int8_weights_bytes(s.n, s.k);
    }
    if (phase == 0) {
        cpu_range(s.panels, 1, task, n_tasks, &panels[0], &panels[1]);
        int8_weights_pack(c->workspace, c->in[1], s.n, s.k, panels[0], panels[1]);
        return;
    }
    const int8_weights w = int8_weights_of(form, s.n, s.k);
    if (by_rows(&s, n_tasks))
        cpu_range(s.rows, 6, task, n_tasks, &rows[0], &rows[1]);
    else
        cpu_range(s.panels, 2, task, n_tasks, &panels[0], &panels[1]);
    if (rows[0] < rows[1] && panels[0] < panels[1])
        multiply(c, &s, &w, scratch + (size_t)lane * lane_bytes(&s), rows, panels);
}

const cpu_op cpu_linear_int8 = {.n_phases = 2, .tasks = tasks, .run = run, .workspace = workspace};
