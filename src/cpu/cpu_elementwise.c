/* cpu_elementwise.c: ops whose outputs each hang on one element of the big input: add, mul,
 * add_row, mul_scalar, scale_heads, unary and its gradient. Tasks take ranges of elements or rows;
 * nothing is summed. Costs are measured, in the unit of cpu_tasks. */
#include "cpu/cpu.h"

#define GRAIN 64        /* elements: ranges start at whole cache lines */
#define COST_STREAM 4.0 /* an element that is read, touched once and written */

static int stream_tasks(const cpu_call *c, int phase) {
    (void)phase;
    return cpu_tasks(c, tensor_elements(c->node->input[0]), COST_STREAM);
}

static void stream_range(const cpu_call *c, int task, int n_tasks, int64_t *begin, int64_t *n) {
    int64_t end;
    cpu_range(tensor_elements(c->node->input[0]), GRAIN, task, n_tasks, begin, &end);
    *n = end - *begin;
}

static void add_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    int64_t i, n;
    stream_range(c, task, n_tasks, &i, &n);
    c->kernels->rows.add((float *)c->out[0] + i, (const float *)c->in[0] + i,
                         (const float *)c->in[1] + i, n);
}

static void mul_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    int64_t i, n;
    stream_range(c, task, n_tasks, &i, &n);
    c->kernels->rows.mul((float *)c->out[0] + i, (const float *)c->in[0] + i,
                         (const float *)c->in[1] + i, n);
}

static void mul_scalar_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    int64_t i, n;
    stream_range(c, task, n_tasks, &i, &n);
    c->kernels->rows.scale((float *)c->out[0] + i, (const float *)c->in[0] + i,
                           *(const float *)c->in[1], n);
}

const cpu_op cpu_add = {.n_phases = 1, .tasks = stream_tasks, .run = add_run};
const cpu_op cpu_mul = {.n_phases = 1, .tasks = stream_tasks, .run = mul_run};
const cpu_op cpu_mul_scalar = {.n_phases = 1, .tasks = stream_tasks, .run = mul_scalar_run};

/* --- by row ---------------------------------------------------------------------------------- */

static int add_row_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[0];
    return cpu_tasks(c, tensor_rows(x), COST_STREAM * (double)tensor_columns(x));
}

static void add_row_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const tensor *x = c->node->input[0];
    const int64_t columns = tensor_columns(x);
    int64_t begin, end;
    cpu_range(tensor_rows(x), 1, task, n_tasks, &begin, &end);
    c->kernels->rows.add_row((float *)c->out[0] + begin * columns,
                             (const float *)c->in[0] + begin * columns, (const float *)c->in[1],
                             end - begin, columns);
}

const cpu_op cpu_add_row = {.n_phases = 1, .tasks = add_row_tasks, .run = add_row_run};

static int scale_heads_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[0];
    const int64_t heads = x->dim[x->rank - 2], size = tensor_columns(x);
    return cpu_tasks(c, tensor_rows(x) / heads, COST_STREAM * (double)(heads * size));
}

static void scale_heads_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const tensor *x = c->node->input[0];
    const int64_t heads = x->dim[x->rank - 2], size = tensor_columns(x);
    int64_t begin, end;
    cpu_range(tensor_rows(x) / heads, 1, task, n_tasks, &begin, &end);
    c->kernels->rows.scale_heads((float *)c->out[0] + begin * heads * size,
                                 (const float *)c->in[0] + begin * heads * size,
                                 (const float *)c->in[1], end - begin, heads, size);
}

const cpu_op cpu_scale_heads = {.n_phases = 1, .tasks = scale_heads_tasks, .run = scale_heads_run};

/* --- unary ----------------------------------------------------------------------------------- */

static int unary_tasks(const cpu_call *c, int phase) {
    static const double cost[UNARY_KINDS] = {4, 4, 4, 40, 30, 20, 20, 22, 24, 4};
    (void)phase;
    return cpu_tasks(c, tensor_elements(c->node->input[0]), cost[c->node->params.unary.kind]);
}

static void unary_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    int64_t i, n;
    stream_range(c, task, n_tasks, &i, &n);
    const row_kernels *rows = &c->kernels->rows;
    const int kind = c->node->params.unary.kind;
    (c->node->params.unary.newton ? rows->unary_newton : rows->unary)[kind](
        (float *)c->out[0] + i, (const float *)c->in[0] + i, c->node->params.unary.c, n);
}

const cpu_op cpu_unary = {.n_phases = 1, .tasks = unary_tasks, .run = unary_run};

static int unary_grad_tasks(const cpu_call *c, int phase) {
    static const double cost[UNARY_KINDS] = {4, 6, 6, 54, 36, 24, 22, 26, 28, 6};
    (void)phase;
    return cpu_tasks(c, tensor_elements(c->node->input[0]), cost[c->node->params.unary.kind]);
}

static void unary_grad_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    int64_t i, n;
    stream_range(c, task, n_tasks, &i, &n);
    c->kernels->rows.unary_grad[c->node->params.unary.kind](
        (float *)c->out[0] + i, (const float *)c->in[0] + i, (const float *)c->in[1] + i,
        c->node->params.unary.c, n);
}

const cpu_op cpu_unary_grad = {.n_phases = 1, .tasks = unary_grad_tasks, .run = unary_grad_run};
