/* cpu_dropout.c: dropout. A task draws for the elements that it owns; what an element draws is a
 * function of its number in the batch, so it does not matter who owns it. */
#include "cpu/cpu.h"

#define GRAIN 64
#define COST_DRAW 16.0 /* a quarter of ten rounds, and the element itself */

static int dropout_tasks(const cpu_call *c, int phase) {
    (void)phase;
    return cpu_tasks(c, tensor_elements(c->node->input[0]), COST_DRAW);
}

static void dropout_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const uint32_t *key = c->in[1];
    const op_params *p = &c->node->params;
    const row_dropout d = {.seed = (uint64_t)key[1] << 32 | key[0],
                           .step = key[2],
                           .site = p->dropout.site,
                           .threshold = p->dropout.threshold,
                           .scale = p->dropout.scale};
    const uint64_t first = (uint64_t)p->dropout.first_high << 32 | p->dropout.first_low;
    int64_t begin, end;
    cpu_range(tensor_elements(c->node->input[0]), GRAIN, task, n_tasks, &begin, &end);
    c->kernels->rows.dropout((float *)c->out[0] + begin, (const float *)c->in[0] + begin,
                             first + (uint64_t)begin, end - begin, &d);
}

const cpu_op cpu_dropout = {.n_phases = 1, .tasks = dropout_tasks, .run = dropout_run};
