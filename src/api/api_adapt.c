/* api_adapt.c: see api_adapt.h. */
#include "api/api_adapt.h"

#include <math.h>
#include <stdlib.h>

#include "graph/planner.h"

/* Of a run whose end is not known: the schedule stays on its plateau. */
#define STEPS 1000000000

void adapter_destroy(adapter **out) {
    adapter *a = out ? *out : NULL;
    if (!a)
        return;
    step_destroy(&a->step_graph);
    optimizer_finish(&a->optimizer);
    model_destroy(&a->model);
    free(a);
    *out = NULL;
}

/* The configuration's training, but for the rates, which keep their ratio, and what belongs to a
 * run with an end. */
static config adapting(const config *c, uint32_t rate) {
    config own = *c;
    config_train *t = &own.train;
    const double peak = t->optimizer == OPTIMIZER_MUON ? t->muon_lr : t->lr;
    const double scale = (double)rate * 1e-6 / peak;
    t->lr *= scale;
    t->muon_lr *= scale;
    t->warmup = 0;
    t->mean = 0;
    t->weight_decay = 0;
    for (int i = 0; i < own.n_levels; i++)
        own.level[i].dropout = 0;
    return own;
}

octet_status adapter_create(adapter **out, const model *m, size_t streams, uint32_t rate,
                            octet_error *error) {
    adapter *a = *out = calloc(1, sizeof *a);
    if (!a)
        return error_memory(error, "adapter", sizeof *a);
    a->batch = streams < ADAPT_BATCH ? streams : ADAPT_BATCH;
    const config c = adapting(&m->config, rate);
    octet_status status = model_create(&a->model, m->backend, &c, error);
    if (!status)
        a->model->arithmetic = m->arithmetic; /* of reading: training takes no notice */
    if (!status)
        status = params_copy(&a->model->params, &m->params, error);
    if (!status)
        status = optimizer_create(&a->optimizer, &a->model->params, &a->model->config.train, error);
    if (!status)
        status = step_create(&a->step_graph, a->model, &a->optimizer, (int64_t)a->batch,
                             (int64_t)a->batch, error);
    if (status)
        adapter_destroy(out);
    return status;
}

octet_status adapter_bytes(int64_t *bytes, const config *c, size_t streams, octet_error *error) {
    const int64_t batch = streams < ADAPT_BATCH ? (int64_t)streams : ADAPT_BATCH;
    const config own = adapting(c, 1);
    backend *planner = NULL;
    model *m = NULL;
    optimizer o = {0};
    size_t step = 0;
    octet_status status = planner_create(&planner, error);
    if (!status)
        status = model_outline(&m, planner, &own, error);
    if (!status)
        status = optimizer_create(&o, &m->params, &m->config.train, error);
    if (!status)
        status = step_measure(&step, m, &o, batch, batch, error);
    if (!status) {
        const planner_bytes all = planner_total(planner);
        *bytes = (int64_t)(all.parameters + all.packed + step);
    }
    optimizer_finish(&o);
    model_destroy(&m);
    backend_destroy(&planner);
    return status;
}

octet_status adapter_learn(adapter *a, const window_text *texts, size_t n, int64_t round,
                           octet_error *error) {
    const int64_t context = a->model->config.context, begin = round * context;
    octet_status status = OCTET_OK;
    for (size_t i = 0; i < n && !status; i += a->batch) {
        step_result result;
        int64_t bytes = 0;
        for (size_t k = 0; k < a->batch; k++) {
            const int64_t left = i + k < n ? texts[i + k].n - begin : 0;
            const int64_t here = left < 0 ? 0 : left < context ? left : context;
            step_set_window(a->step_graph, (int64_t)k, here ? texts[i + k].bytes + begin : NULL,
                            here);
            bytes += here;
        }
        if (!bytes)
            continue;
        status = step_run(a->step_graph, a->step++, STEPS, &result, error);
        if (!status && (!isfinite(result.loss_bits) || !isfinite(result.gradient_norm)))
            status =
                error_set(error, OCTET_CORRUPT,
                          "learning step %lld: loss %g, gradient norm %g: a lower rate may help",
                          (long long)a->step, result.loss_bits, result.gradient_norm);
    }
    return status;
}
