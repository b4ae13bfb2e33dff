/* cpu_gather.c: rows by index, or sums of them, and the gradient of that.
 *
 * scatter first sorts the row numbers by output row (a counting sort, which keeps their order);
 * then every output row adds the rows on its list, ascending. Each row of dy is read once, output
 * rows are independent, and no two threads meet. */
#include <string.h>

#include "cpu/cpu.h"

static int gather_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[0], *index = c->node->input[2];
    return cpu_tasks(c, tensor_elements(index), 16.0 + 4.0 * (double)tensor_columns(x));
}

/* The row of x or start that index i names, or NULL. */
static const float *row_of(const cpu_call *c, int64_t i) {
    const tensor *x = c->node->input[0], *start = c->node->input[1];
    const int64_t columns = tensor_columns(x);
    if (i >= 0)
        return i < x->dim[0] ? (const float *)c->in[0] + i * columns : NULL;
    if (i == GATHER_NONE || start == NULL || -1 - i >= start->dim[0])
        return NULL;
    return (const float *)c->in[1] + (-1 - i) * columns;
}

static void gather_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const int32_t *index = c->in[2];
    const int64_t columns = tensor_columns(c->node->input[0]);
    const size_t bytes = (size_t)columns * sizeof(float);
    int64_t begin, end;
    cpu_range(tensor_elements(c->node->input[2]), 1, task, n_tasks, &begin, &end);
    float *y = (float *)c->out[0] + begin * columns;
    for (int64_t r = begin; r < end; r++, y += columns) {
        const float *row = row_of(c, index[r]);
        if (row != NULL)
            memcpy(y, row, bytes);
        else
            memset(y, 0, bytes);
    }
}

const cpu_op cpu_gather = {.n_phases = 1, .tasks = gather_tasks, .run = gather_run};

/* --- gather_sum: workspace for each lane list[U], int32 ----------------------------------------
 */

static int gather_sum_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[0], *index = c->node->input[1];
    return cpu_tasks(c, tensor_rows(index),
                     (double)tensor_columns(index) * (4.0 + 4.0 * (double)tensor_columns(x)));
}

static void gather_sum_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    const int32_t *index = c->in[1];
    const int64_t columns = tensor_columns(c->node->input[0]), n = c->node->input[0]->dim[0];
    const int64_t each = tensor_columns(c->node->input[1]);
    int32_t *list = (int32_t *)c->workspace + lane * each;
    int64_t begin, end;
    cpu_range(tensor_rows(c->node->input[1]), 1, task, n_tasks, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        int64_t count = 0;
        for (int64_t u = 0; u < each; u++)
            if (index[r * each + u] >= 0 && index[r * each + u] < n)
                list[count++] = index[r * each + u];
        c->kernels->rows.sum_listed((float *)c->out[0] + r * columns, c->in[0], list, count,
                                    columns);
    }
}

static size_t gather_sum_workspace(const node *n, int n_lanes) {
    return (size_t)n_lanes * (size_t)tensor_columns(n->input[1]) * sizeof(int32_t);
}

const cpu_op cpu_gather_sum = {
    .n_phases = 1,
    .tasks = gather_sum_tasks,
    .run = gather_sum_run,
    .workspace = gather_sum_workspace,
};

/* --- scatter: workspace first[n + 2], list[rows], both int32 --------------------------------- */

/* The output row of an index, or -1. */
static int64_t target_of(int64_t index, int from_start, int64_t n) {
    int64_t row = from_start ? -1 - index : index;
    return row < n && index != GATHER_NONE ? row : -1;
}

/* Afterwards output row o adds the rows list[first[o] .. first[o + 1]) of dy, ascending. */
static void sort_rows(const cpu_call *c, int32_t *first, int32_t *list) {
    const int32_t *index = c->in[1];
    const int64_t rows = tensor_elements(c->node->input[1]), n = c->node->output[0]->dim[0];
    const int64_t each = c->node->params.scatter.each;
    const int from_start = c->node->params.scatter.from_start;
    /* Counts go two places up, so that after the prefix sum first[o + 1] is where list o begins;
     * filling the lists then moves it to their end. */
    memset(first, 0, (size_t)(n + 2) * sizeof *first);
    for (int64_t r = 0; r < rows; r++) {
        int64_t o = target_of(index[r], from_start, n);
        if (o >= 0)
            first[o + 2]++;
    }
    for (int64_t o = 0; o < n; o++)
        first[o + 2] += first[o + 1];
    for (int64_t r = 0; r < rows; r++) {
        int64_t o = target_of(index[r], from_start, n);
        if (o >= 0)
            list[first[o + 1]++] = (int32_t)(r / each);
    }
}

static int scatter_tasks(const cpu_call *c, int phase) {
    const tensor *dy = c->node->input[0];
    const int64_t n = c->node->output[0]->dim[0], columns = tensor_columns(dy);
    if (phase == 0)
        return 1;
    double rows_each = (double)tensor_elements(c->node->input[1]) / (double)(n > 0 ? n : 1);
    return cpu_tasks(c, n, (1.0 + rows_each) * (16.0 + 4.0 * (double)columns));
}

/* The first output row whose list begins at or after `at` of the lists put end to end: it cuts the
 * output where the work is equal, for some lists are far longer than others. */
static int64_t cut(const int32_t *first, int64_t n, int64_t at) {
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (first[middle] + middle < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void scatter_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)lane;
    const int64_t n = c->node->output[0]->dim[0], columns = tensor_columns(c->node->input[0]);
    int32_t *first = c->workspace, *list = first + n + 2;
    if (phase == 0) {
        sort_rows(c, first, list);
        return;
    }
    const int64_t work = first[n] + n;
    const int64_t begin = cut(first, n, work * task / n_tasks);
    const int64_t end = task + 1 == n_tasks ? n : cut(first, n, work * (task + 1) / n_tasks);
    float *y = c->out[0];
    for (int64_t o = begin; o < end; o++) {
        c->kernels->rows.sum_listed(y + o * columns, c->in[0], list + first[o],
                                    first[o + 1] - first[o], columns);
    }
}

static size_t scatter_workspace(const node *n, int n_lanes) {
    (void)n_lanes;
    return (size_t)(n->output[0]->dim[0] + 2 + tensor_elements(n->input[1])) * sizeof(int32_t);
}

const cpu_op cpu_scatter = {
    .n_phases = 2,
    .tasks = scatter_tasks,
    .run = scatter_run,
    .workspace = scatter_workspace,
};
