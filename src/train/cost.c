/* cost.c: see cost.h. */
#include "train/cost.h"

#include <stdlib.h>
#include <string.h>

#include "graph/planner.h"
#include "infer/session_core.h"
#include "train/step.h"

_Static_assert(OCTET_MAX_LEVELS == CONFIG_MAX_LEVELS, "the public limit is the configuration's");

static void count_weights(octet_budget *out, const model *m) {
    for (int i = 0; i < m->params.n; i++) {
        const param *p = m->params.list[i];
        octet_budget_level *l = &out->level[atoi(p->v.name + strlen("levels."))];
        int64_t n = variable_elements(&p->v);
        l->parameters += n;
        if (p->group == PARAM_MATRIX && strstr(p->v.name, ".blocks."))
            l->block_weights += n;
    }
    for (int s = 0; s < out->levels; s++) {
        out->parameters += out->level[s].parameters;
        out->block_weights += out->level[s].block_weights;
    }
}

/* Keys that a row sees under a rule, its own included, on average over a window of the context. */
static double mean_keys(const model *m, int level, int rule) {
    const level_shape *shape = &m->shape[level];
    int64_t rows = model_window_rows(m, level), sum = 0;
    int64_t sinks = shape->shared_start ? 1 : m->config.level[level].sinks;
    for (int64_t n = 0; n < rows; n++) {
        int64_t first = row_first(shape, &shape->rule[rule], n);
        sum += n - first + 1 + (sinks < first ? sinks : first);
    }
    return (double)sum / (double)rows;
}

/* Scores and weighted sums: 4 H D for each key that a row sees, in every layer. */
static double attention_flops(const model *m, int level) {
    const config_level *l = &m->config.level[level];
    const block_stack *stack = model_stack(m, level);
    double keys[LEVEL_MAX_RULES], sum = 0;
    for (int k = 0; k < m->shape[level].n_rules; k++)
        keys[k] = mean_keys(m, level, k);
    for (int i = 0; i < stack->n_blocks; i++)
        sum += keys[stack->blocks[i].mixer->rule];
    return 4 * sum * (double)(l->heads * l->head_size) / (double)m->shape[level].unit_bytes;
}

static void describe(octet_budget *out, const model *m) {
    const config *c = &m->config;
    out->context = c->context;
    out->keep = c->keep;
    out->patch = m->shape[0].unit_bytes;
    out->batch = c->train.batch;
    out->vocabulary = (int)c->vocabulary;
    out->levels = c->n_levels;
    out->endless = c->endless;
    out->forward_flops = 2 * model_weights_per_byte(m);
    for (int s = 0; s < c->n_levels; s++) {
        out->level[s].dim = c->level[s].dim;
        out->level[s].layers = c->level[s].layers;
        out->level[s].unit_bytes = m->shape[s].unit_bytes;
        out->forward_flops += attention_flops(m, s);
    }
    out->training_flops = 3 * out->forward_flops;
    count_weights(out, m);
}

static void add_up(octet_budget_memory *use) {
    use->total = use->weights + use->packed + use->states + use->moments + use->work;
}

static octet_status measure_run(octet_budget_memory *use, const model *m, octet_error *error) {
    session *s = NULL;
    octet_status status = session_create(&s, m, 1, -1, error);
    if (status)
        return status;
    planner_bytes all = planner_total(m->backend);
    use->weights = (int64_t)all.parameters;
    use->packed = (int64_t)all.packed;
    use->states = (int64_t)all.states;
    use->work = (int64_t)all.programs;
    add_up(use);
    session_destroy(&s);
    return OCTET_OK;
}

/* The trainer validates a second model, which is packed as for running. */
static octet_status measure_training(octet_budget_memory *use, const octet_budget_memory *running,
                                     model *m, octet_error *error) {
    const config_train *t = &m->config.train;
    optimizer o;
    size_t work;
    octet_status status = optimizer_create(&o, &m->params, t, error);
    if (status)
        return status;
    status = step_measure(&work, m, &o, t->batch, t->micro_batches, error);
    planner_bytes all = planner_total(m->backend);
    use->weights = 2 * running->weights;
    use->packed = (int64_t)all.packed + running->packed;
    use->moments = (int64_t)all.parameters - running->weights;
    use->gradients = running->weights;
    use->work = (int64_t)work;
    add_up(use);
    optimizer_finish(&o);
    return status;
}

octet_status cost_of(octet_budget *out, const config *c, octet_error *error) {
    backend *planner = NULL;
    model *m = NULL;
    memset(out, 0, sizeof *out);
    octet_status status = planner_create(&planner, error);
    if (!status)
        status = model_outline(&m, planner, c, error);
    if (!status) {
        describe(out, m);
        status = measure_run(&out->run, m, error);
    }
    if (!status)
        status = measure_training(&out->train, &out->run, m, error);
    model_destroy(&m);
    backend_destroy(&planner);
    return status;
}

octet_status cost_check_training(const backend *b, const config *c, octet_error *error) {
    const double memory = (double)backend_memory(b);
    octet_budget budget;
    octet_status status = memory > 0 ? cost_of(&budget, c, error) : OCTET_OK;
    if (status || !(memory > 0))
        return status;
    /* a device reads weights as they are */
    const double bytes = (double)(budget.train.total - budget.train.packed);
    if (bytes <= memory)
        return OCTET_OK;
    return error_set(error, OCTET_NO_MEMORY,
                     "training needs %.1f MB, %.1f MB of them for the weights, and the device has "
                     "%.1f MB: a smaller batch, or more micro_batches, needs less",
                     bytes / 1e6, (double)budget.train.weights / 1e6, memory / 1e6);
}
