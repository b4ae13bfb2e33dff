/* cpu_loss.c: cross entropy of logits and its gradient. Rows are independent; the gradient
 * computes the softmax again, which costs less than keeping it. */
#include "cpu/cpu.h"

#define COST_LOSS 34.0 /* per logit: mostly the exp */

static int loss_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *logits = c->node->input[0];
    return cpu_tasks(c, tensor_rows(logits), COST_LOSS * (double)tensor_columns(logits));
}

static void cross_entropy_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const tensor *logits = c->node->input[0];
    const int64_t columns = tensor_columns(logits);
    int64_t begin, end;
    cpu_range(tensor_rows(logits), 1, task, n_tasks, &begin, &end);
    c->kernels->rows.cross_entropy((float *)c->out[0] + begin,
                                   (const float *)c->in[0] + begin * columns,
                                   (const int32_t *)c->in[1] + begin, end - begin, columns);
}

static void cross_entropy_grad_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const tensor *logits = c->node->input[0];
    const int64_t columns = tensor_columns(logits);
    int64_t begin, end;
    cpu_range(tensor_rows(logits), 1, task, n_tasks, &begin, &end);
    c->kernels->rows.cross_entropy_grad(
        (float *)c->out[0] + begin * columns, (const float *)c->in[0] + begin * columns,
        (const int32_t *)c->in[1] + begin, (const float *)c->in[2] + begin, end - begin, columns);
}

const cpu_op cpu_cross_entropy = {.n_phases = 1, .tasks = loss_tasks, .run = cross_entropy_run};
const cpu_op cpu_cross_entropy_grad = {
    .n_phases = 1, .tasks = loss_tasks, .run = cross_entropy_grad_run};
