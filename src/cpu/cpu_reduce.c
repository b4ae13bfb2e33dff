/* cpu_reduce.c: sums over rows or over everything: sum_rows, dot_heads, dot; and norm_factor, which
 * follows dot. Phase 0 sums each block of rows (or of elements) by itself into the workspace, phase
 * 1 adds the blocks in ascending order, so the result does not hang on who summed which block. */
#include <math.h>

#include "cpu/cpu.h"

#define COST_SUM 2.0 /* an element that is read and added */

static int64_t blocks_of(int64_t n, int64_t block) {
    return (n + block - 1) / block;
}

/* --- sum_rows: workspace [blocks, C] --------------------------------------------------------- */

static int sum_rows_tasks(const cpu_call *c, int phase) {
    const tensor *x = c->node->input[0];
    const int64_t columns = tensor_columns(x);
    const int64_t blocks = blocks_of(tensor_rows(x), ROW_BLOCK);
    if (phase == 0)
        return cpu_tasks(c, blocks, COST_SUM * (double)(ROW_BLOCK * columns));
    return cpu_tasks(c, columns, COST_SUM * (double)blocks);
}

static void sum_rows_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)lane;
    const tensor *x = c->node->input[0];
    const int64_t rows = tensor_rows(x), columns = tensor_columns(x);
    const int64_t blocks = blocks_of(rows, ROW_BLOCK);
    float *partial = c->workspace;
    int64_t begin, end;
    if (phase == 1) {
        cpu_range(columns, 16, task, n_tasks, &begin, &end);
        c->kernels->rows.sum((float *)c->out[0] + begin, partial + begin, blocks, end - begin,
                             columns);
        return;
    }
    cpu_range(blocks, 1, task, n_tasks, &begin, &end);
    for (int64_t b = begin; b < end; b++) {
        const int64_t row = b * ROW_BLOCK;
        const int64_t n = rows - row < ROW_BLOCK ? rows - row : ROW_BLOCK;
        c->kernels->rows.sum(partial + b * columns, (const float *)c->in[0] + row * columns, n,
                             columns, columns);
    }
}

static size_t sum_rows_workspace(const node *n, int n_lanes) {
    (void)n_lanes;
    const tensor *x = n->input[0];
    return (size_t)(blocks_of(tensor_rows(x), ROW_BLOCK) * tensor_columns(x)) * sizeof(float);
}

const cpu_op cpu_sum_rows = {
    .n_phases = 2,
    .tasks = sum_rows_tasks,
    .run = sum_rows_run,
    .workspace = sum_rows_workspace,
};

/* --- dot_heads: workspace [blocks, H] -------------------------------------------------------- */

static int64_t head_rows(const tensor *a) {
    const int64_t heads = a->dim[a->rank - 2];
    return heads > 0 ? tensor_rows(a) / heads : 0;
}

static int dot_heads_tasks(const cpu_call *c, int phase) {
    const tensor *a = c->node->input[0];
    const int64_t size = a->dim[a->rank - 2] * tensor_columns(a);
    if (phase == 1)
        return 1;
    return cpu_tasks(c, blocks_of(head_rows(a), ROW_BLOCK),
                     2 * COST_SUM * (double)(ROW_BLOCK * size));
}

static void dot_heads_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)lane;
    const tensor *a = c->node->input[0];
    const int64_t heads = a->dim[a->rank - 2], size = tensor_columns(a);
    const int64_t rows = head_rows(a), blocks = blocks_of(rows, ROW_BLOCK);
    float *partial = c->workspace;
    if (phase == 1) {
        c->kernels->rows.sum(c->out[0], partial, blocks, heads, heads);
        return;
    }
    int64_t begin, end;
    cpu_range(blocks, 1, task, n_tasks, &begin, &end);
    for (int64_t b = begin; b < end; b++) {
        const int64_t row = b * ROW_BLOCK, at = row * heads * size;
        const int64_t n = rows - row < ROW_BLOCK ? rows - row : ROW_BLOCK;
        c->kernels->rows.dot_heads(partial + b * heads, (const float *)c->in[0] + at,
                                   (const float *)c->in[1] + at, n, heads, size);
    }
}

static size_t dot_heads_workspace(const node *n, int n_lanes) {
    (void)n_lanes;
    const tensor *a = n->input[0];
    return (size_t)(blocks_of(head_rows(a), ROW_BLOCK) * a->dim[a->rank - 2]) * sizeof(float);
}

const cpu_op cpu_dot_heads = {
    .n_phases = 2,
    .tasks = dot_heads_tasks,
    .run = dot_heads_run,
    .workspace = dot_heads_workspace,
};

/* --- dot: workspace [blocks] ----------------------------------------------------------------- */

static int dot_tasks(const cpu_call *c, int phase) {
    if (phase == 1)
        return 1;
    return cpu_tasks(c, blocks_of(tensor_elements(c->node->input[0]), DOT_BLOCK),
                     2 * COST_SUM * DOT_BLOCK);
}

static void dot_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)lane;
    const int64_t elements = tensor_elements(c->node->input[0]);
    const int64_t blocks = blocks_of(elements, DOT_BLOCK);
    float *partial = c->workspace;
    if (phase == 1) {
        float sum = 0.0f;
        for (int64_t b = 0; b < blocks; b++)
            sum += partial[b];
        *(float *)c->out[0] = sum;
        return;
    }
    int64_t begin, end;
    cpu_range(blocks, 1, task, n_tasks, &begin, &end);
    for (int64_t b = begin; b < end; b++) {
        const int64_t at = b * DOT_BLOCK;
        const int64_t n = elements - at < DOT_BLOCK ? elements - at : DOT_BLOCK;
        partial[b] =
            c->kernels->rows.dot((const float *)c->in[0] + at, (const float *)c->in[1] + at, n);
    }
}

static size_t dot_workspace(const node *n, int n_lanes) {
    (void)n_lanes;
    return (size_t)blocks_of(tensor_elements(n->input[0]), DOT_BLOCK) * sizeof(float);
}

const cpu_op cpu_dot = {
    .n_phases = 2, .tasks = dot_tasks, .run = dot_run, .workspace = dot_workspace};

/* --- norm_factor ----------------------------------------------------------------------------- */

static int one_task(const cpu_call *c, int phase) {
    (void)c;
    (void)phase;
    return 1;
}

static void norm_factor_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)task;
    (void)n_tasks;
    (void)lane;
    const float root = sqrtf(*(const float *)c->in[0]), limit = c->node->params.factor.c;
    float factor;
    if (c->node->params.factor.kind == FACTOR_INVERSE) {
        factor = 1.0f / (root + limit);
    } else {
        factor = limit / (root + 1e-6f);
        factor = factor > 1.0f ? 1.0f : factor; /* a NaN stays one */
    }
    *(float *)c->out[0] = factor;
}

const cpu_op cpu_norm_factor = {.n_phases = 1, .tasks = one_task, .run = norm_factor_run};
