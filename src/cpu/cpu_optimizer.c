/* cpu_optimizer.c: the steps that update variables in place: adamw, momentum, descend, lerp. Every
 * element is by itself; hyper[8] and factor[1] are tensors, so that a schedule
 * needs no new graph. */
#include "cpu/cpu.h"

#define GRAIN 64 /* elements */

static void range_of(const cpu_call *c, int task, int n_tasks, int64_t *begin, int64_t *n) {
    int64_t end;
    cpu_range(tensor_elements(c->node->input[0]), GRAIN, task, n_tasks, begin, &end);
    *n = end - *begin;
}

static int adamw_tasks(const cpu_call *c, int phase) {
    (void)phase;
    return cpu_tasks(c, tensor_elements(c->node->input[0]), 30.0);
}

static void adamw_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    int64_t i, n;
    range_of(c, task, n_tasks, &i, &n);
    c->kernels->rows.adamw((float *)c->in[0] + i, (float *)c->in[2] + i, (float *)c->in[3] + i,
                           (const float *)c->in[1] + i, *(const float *)c->in[4], c->in[5], n);
}

const cpu_op cpu_adamw = {.n_phases = 1, .tasks = adamw_tasks, .run = adamw_run};

static int stream_tasks(const cpu_call *c, int phase) {
    (void)phase;
    return cpu_tasks(c, tensor_elements(c->node->input[0]), 6.0);
}

static void momentum_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const float *hyper = c->in[3];
    int64_t i, n;
    range_of(c, task, n_tasks, &i, &n);
    c->kernels->rows.momentum((float *)c->out[0] + i, (float *)c->in[0] + i,
                              (const float *)c->in[1] + i, *(const float *)c->in[2], hyper[1],
                              c->node->params.momentum.nesterov, n);
}

const cpu_op cpu_momentum = {.n_phases = 1, .tasks = stream_tasks, .run = momentum_run};

static void descend_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const float *hyper = c->in[2];
    int64_t i, n;
    range_of(c, task, n_tasks, &i, &n);
    c->kernels->rows.descend((float *)c->in[0] + i, (const float *)c->in[1] + i,
                             1.0f - hyper[0] * hyper[4],
                             hyper[0] * c->node->params.descend.multiplier, n);
}

const cpu_op cpu_descend = {.n_phases = 1, .tasks = stream_tasks, .run = descend_run};

static void lerp_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    int64_t i, n;
    range_of(c, task, n_tasks, &i, &n);
    c->kernels->rows.lerp((float *)c->in[0] + i, (const float *)c->in[1] + i,
                          *(const float *)c->in[2], n);
}

const cpu_op cpu_lerp = {.n_phases = 1, .tasks = stream_tasks, .run = lerp_run};
