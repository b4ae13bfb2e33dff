/* cpu_norm.c: RMS and layer norm over the last dimension, and their gradient. A row is normalised
 * by itself. dgain and dbias are sums over rows, so norm_grad leaves a partial sum for each block
 * of rows in the workspace and adds the blocks in ascending order, as sum_rows does. */
#include <string.h>

#include "cpu/cpu.h"

#define COST_NORM 10.0 /* per element */
#define COST_GRAD 24.0

static row_norm params_of(const cpu_call *c, const void *bias) {
    return (row_norm){
        .gain = c->in[1],
        .bias = bias,
        .columns = tensor_columns(c->node->input[0]),
        .kind = c->node->params.norm.kind,
        .epsilon = c->node->params.norm.epsilon,
        .newton = c->node->params.norm.newton,
    };
}

static int norm_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[0];
    return cpu_tasks(c, tensor_rows(x), COST_NORM * (double)tensor_columns(x));
}

static void norm_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const row_norm params = params_of(c, c->in[2]);
    int64_t begin, end;
    cpu_range(tensor_rows(c->node->input[0]), 1, task, n_tasks, &begin, &end);
    c->kernels->rows.norm((float *)c->out[0] + begin * params.columns,
                          (const float *)c->in[0] + begin * params.columns, end - begin, &params);
}

const cpu_op cpu_norm = {.n_phases = 1, .tasks = norm_tasks, .run = norm_run};

/* --- gradient: workspace dgain[blocks,C], then dbias[blocks,C] ------------------------------- */

static int64_t blocks_of(const tensor *x) {
    return (tensor_rows(x) + ROW_BLOCK - 1) / ROW_BLOCK;
}

static int norm_grad_tasks(const cpu_call *c, int phase) {
    const tensor *x = c->node->input[0];
    const int64_t columns = tensor_columns(x), blocks = blocks_of(x);
    if (phase == 0)
        return cpu_tasks(c, blocks, COST_GRAD * (double)(ROW_BLOCK * columns));
    if (c->out[1] == NULL && c->out[2] == NULL)
        return 0;
    return cpu_tasks(c, columns, 4.0 * (double)blocks);
}

/* The sums of the blocks, added up for a range of columns. */
static void combine(const cpu_call *c, int task, int n_tasks) {
    const tensor *x = c->node->input[0];
    const int64_t columns = tensor_columns(x), blocks = blocks_of(x);
    int64_t begin, end;
    cpu_range(columns, 16, task, n_tasks, &begin, &end);
    for (int i = 0; i < 2; i++) {
        if (c->out[1 + i] == NULL)
            continue;
        const float *partial = (const float *)c->workspace + i * blocks * columns;
        c->kernels->rows.sum((float *)c->out[1 + i] + begin, partial + begin, blocks, end - begin,
                             columns);
    }
}

static void norm_grad_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)lane;
    if (phase == 1) {
        combine(c, task, n_tasks);
        return;
    }
    const row_norm params = params_of(c, NULL);
    const tensor *x = c->node->input[0];
    const int64_t rows = tensor_rows(x), columns = params.columns, blocks = blocks_of(x);
    float *partial = c->workspace;
    int64_t begin, end;
    cpu_range(blocks, 1, task, n_tasks, &begin, &end);
    for (int64_t b = begin; b < end; b++) {
        const int64_t row = b * ROW_BLOCK, at = row * columns;
        const int64_t n = rows - row < ROW_BLOCK ? rows - row : ROW_BLOCK;
        row_norm_sums sums = {NULL, NULL};
        if (c->out[1] != NULL) {
            sums.dgain = partial + b * columns;
            memset(sums.dgain, 0, (size_t)columns * sizeof(float));
        }
        if (c->out[2] != NULL) {
            sums.dbias = partial + (blocks + b) * columns;
            memset(sums.dbias, 0, (size_t)columns * sizeof(float));
        }
        c->kernels->rows.norm_grad((float *)c->out[0] + at, (const float *)c->in[0] + at,
                                   (const float *)c->in[2] + at, n, &params, &sums);
    }
}

static size_t norm_grad_workspace(const node *n, int n_lanes) {
    (void)n_lanes;
    const tensor *x = n->input[0];
    return (size_t)(2 * blocks_of(x) * tensor_columns(x)) * sizeof(float);
}

const cpu_op cpu_norm_grad = {
    .n_phases = 2,
    .tasks = norm_grad_tasks,
    .run = norm_grad_run,
    .workspace = norm_grad_workspace,
};
