/* cost_test.c: train/cost.h and model/presets.h: what a configuration is said to cost is what it
 * costs, and the paper's models have the paper's sizes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "graph/plan.h"
#include "graph/planner.h"
#include "infer/session_parts.h"
#include "model/config_check.h"
#include "model/presets.h"
#include "support.h"
#include "tiny_model.h"
#include "train/cost.h"
#include "train/step.h"

static octet_error error;

/* --- the paper's models */

/* Table 15 of the paper, typed in apart from presets.c: widths, layers, patch, context, batch. The
 * width of two models is the nearest that their patch of 12 divides. Last, rows of the patch before
 * that local layers see: the paper says where there are any, but not how many. */
typedef struct paper_row {
    const char *name;
    int64_t dim, layers, patch, next_dim, next_layers, context, batch, cross;
} paper_row;

static const paper_row rows[] = {
    {"text", 2048, 14, 8, 1024, 18, 8192, 48, 8},
    {"text-no-local", 2560, 20, 4, 1024, 0, 8192, 48, 0},
    {"text-no-global", 2048, 0, 8, 1024, 24, 8192, 192, 8},
    {"text-no-cross", 2048, 17, 8, 1024, 24, 8192, 48, 0},
    {"text-cnn", 2048, 13, 8, 1024, 18, 8192, 48, 8},
    {"text-flat", 1024, 22, 0, 0, 0, 1024, 72, 0},
    {"image64", 2556, 32, 12, 1024, 24, 12288, 2, 12},
    {"image64-equal", 2052, 24, 12, 2048, 24, 12288, 256, 12},
    {"image64-flat", 1536, 24, 0, 0, 0, 2048, 256, 0},
    {"image256", 768, 12, 192, 768, 12, 196608, 16, 192},
    {"image256-no-cross", 768, 12, 192, 768, 15, 196608, 16, 0},
    {"image256-flat", 768, 6, 0, 0, 0, 1024, 16, 0},
    {"image640", 768, 12, 192, 768, 8, 1228800, 32, 192},
    {"image640-flat", 768, 8, 0, 0, 0, 1024, 32, 0},
    {"audio", 1024, 24, 32, 768, 12, 524288, 256, 32},
    {"audio-no-cross", 1024, 24, 32, 768, 14, 524288, 256, 0},
    {"audio-flat", 768, 13, 0, 0, 0, 1024, 256, 0},
};

enum { V = 256, ROWS = sizeof rows / sizeof *rows };

static config read_preset(const char *name) {
    char text[PRESET_TEXT];
    config c;
    support_ok(preset_text(text, name, &error), &error);
    support_ok(config_parse(&c, text, strlen(text), name, &error), &error);
    return c;
}

/* 12 L D^2; with heads that do not fill the width, Q = heads x head size: L (4 D Q + 8 D^2). */
static int64_t blocks(const config_level *l) {
    return l->layers * (4 * l->dim * l->heads * l->head_size + 8 * l->dim * l->dim);
}

/* Beside them: a bias for each output of the six matrices, two layer norms a block, a last one. */
static int64_t small(const config_level *l) {
    int64_t q = l->heads * l->head_size;
    return l->layers * (3 * q + l->dim + 4 * l->dim + l->dim + 4 * l->dim) + 2 * l->dim;
}

/* Filters of 3, 5 and 7 bytes of width D_G. */
static int64_t encoder(const paper_row *r) {
    int64_t d_g = r->patch ? r->dim / r->patch : 0;
    return strcmp(r->name, "text-cnn") == 0 ? (3 + 5 + 7) * d_g * d_g : 0;
}

/* V D_G + T D_G + P D_G + D_G D_L + V D_L + D_L + P D_L, and the blocks of both levels. */
static int64_t parameters(const paper_row *r, const config *c) {
    const config_level *g = &c->level[0], *l = &c->level[1];
    if (!r->patch)
        return (V + r->context + 1) * r->dim + blocks(g) + small(g);
    int64_t d_g = r->dim / r->patch, d_l = r->next_dim;
    return (V + r->context + r->patch) * d_g + d_g * d_l + (V + 1 + r->patch) * d_l + blocks(g) +
           small(g) + blocks(l) + small(l) + encoder(r);
}

/* (24 L_g D^2 + 2 L_g D (K + 1)) / P + 24 L_l D_L^2 + 2 L_l D_L (P + 1) + 2 D_G D_L + 2 D_L V, and
 * 4 L_l D_L r in all patches but the first. */
static double forward_flops(const paper_row *r, const config *c) {
    const config_level *g = &c->level[0], *l = &c->level[1];
    double q = (double)(g->heads * g->head_size * g->layers);
    if (!r->patch)
        return 2 * (double)blocks(g) + 2 * q * (double)(r->context + 1) + 2 * (double)r->dim * V;
    double p = (double)r->patch, d_g = (double)r->dim / p, d_l = (double)r->next_dim;
    double patches = (double)r->context / p, across = (double)r->cross * (patches - 1) / patches;
    return (2 * (double)blocks(g) + 2 * q * (patches + 1)) / p + 2 * (double)blocks(l) +
           2 * (double)r->next_layers * d_l * (p + 1 + 2 * across) + 2 * d_g * d_l + 2 * d_l * V +
           2 * (double)encoder(r);
}

static void presets_have_the_papers_sizes(void **state) {
    (void)state;
    const char *about;
    for (int i = 0; i < ROWS; i++) {
        const paper_row *r = &rows[i];
        octet_budget b;
        assert_string_equal(preset_name(i, &about), r->name);
        config c = read_preset(r->name);
        assert_int_equal(c.context, r->context);
        assert_int_equal(c.train.batch, r->batch);
        assert_int_equal(c.level[0].dim, r->dim);
        assert_int_equal(c.level[0].layers, r->layers);
        assert_int_equal(c.level[0].conv_encoder, encoder(r) > 0);
        assert_int_equal(c.level[0].cross_patch, 0);
        assert_int_equal(c.level[1].cross_patch, r->cross);
        support_ok(cost_of(&b, &c, &error), &error);
        assert_int_equal(b.parameters, parameters(r, &c));
        assert_int_equal(b.block_weights,
                         blocks(&c.level[0]) + (r->patch ? blocks(&c.level[1]) : 0));
        if (r->dim % 128 == 0) {
            assert_int_equal(b.level[0].block_weights, 12 * r->layers * r->dim * r->dim);
            assert_int_equal(b.level[1].block_weights,
                             12 * r->next_layers * r->next_dim * r->next_dim);
        }
        double expected = forward_flops(r, &c);
        assert_true(fabs(b.forward_flops - expected) < 1e-9 * expected); /* sums in another order */
        assert_true(b.training_flops == 3 * b.forward_flops);
    }
    assert_null(preset_name(ROWS, &about));
    assert_null(preset_name(-1, &about));
}

/* The nominal names against true weights, in millions, as worked out from the paper. */
static void presets_true_sizes(void **state) {
    (void)state;
    const struct {
        const char *name;
        int level;
        double millions;
    } known[] = {{"text", 0, 704.6},         {"text", 1, 226.5},
                 {"image640", 0, 84.9},      {"text-no-global", 1, 302},
                 {"image64-equal", 1, 1208}, {"image256-flat", 0, 42.5}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        octet_budget b;
        config c = read_preset(known[i].name);
        support_ok(cost_of(&b, &c, &error), &error);
        double millions = (double)b.level[known[i].level].block_weights / 1e6;
        assert_true(fabs(millions - known[i].millions) < 0.5);
    }
}

static void presets_are_the_papers_block(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        config c = read_preset(rows[i].name);
        assert_true(c.tied_head && !c.zero_pad && c.softcap == 0);
        assert_true(fabs(c.init_scale / sqrt((double)c.level[0].dim) - 0.006) < 0.0003);
        for (int s = 0; s < c.n_levels; s++) {
            const config_level *l = &c.level[s];
            assert_true(l->mlp == MLP_RELU && l->mlp_width == 4 * l->dim);
            assert_true(l->norm == CONFIG_NORM_LAYER && l->bias && !l->qk_norm && !l->zero_init);
            assert_true(l->positions == POSITIONS_LEARNED && l->dropout == 0.1);
            assert_int_equal(l->kv_heads, l->heads);
        }
        assert_true(c.train.optimizer == OPTIMIZER_ADAMW && c.train.beta1 == 0.9 &&
                    c.train.beta2 == 0.98 && c.train.clip == 1 && c.train.warmup == 500 &&
                    c.train.decay == 1 && c.train.final_lr == 0 && c.train.weight_decay == 0.1);
    }
    char text[PRESET_TEXT];
    assert_int_equal(preset_text(text, "texts", &error), OCTET_ERROR);
    support_contains(error.text, "texts");
}

/* 11 GB of weights are weighed in a twentieth of that, whatever checks the memory. */
static void cost_takes_no_memory(void **state) {
    (void)state;
    struct rusage before, after;
    octet_budget b;
    config c = read_preset("image64");
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    support_ok(cost_of(&b, &c, &error), &error);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(b.run.weights > 11000000000);
    assert_true((after.ru_maxrss - before.ru_maxrss) * 1024 < b.run.weights / 20);
}

/* --- counted by hand */

/* Width 4, one head of 4, a hidden width of 16: 192 weights a block, a head of 1,024 weights, and
 * 16 operations for each key that a row sees. */
#define FOUR "\"dim\": 4, \"heads\": 1"

static void flops_are_those_counted_by_hand(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double flops;
    } known[] = {
        /* rows see 1 2 3 4 5 6 7 8 */
        {"{\"context\": 8, \"levels\": [{" FOUR ", \"layers\": 1}]}",
         2 * (192 + 1024) + 16 * 36 / 8.0},
        /* 1 2 3 3 3 3 3 3, and all in the second of three layers */
        {"{\"context\": 8, \"levels\": [{" FOUR ", \"layers\": 3, \"window\": [3, 0]}]}",
         2 * (3 * 192 + 1024) + 16 * (21 + 36 + 21) / 8.0},
        /* two sinks beside the window: 1 2 3 4 5 5 5 5 */
        {"{\"context\": 8, \"levels\": [{" FOUR ", \"layers\": 1, \"window\": 3, \"sinks\": 2}]}",
         2 * (192 + 1024) + 16 * 30 / 8.0},
        /* the window where a stream has no end */
        {"{\"context\": 8, \"endless\": true, \"levels\": [{" FOUR
         ", \"layers\": 1, \"window\": 3}]}",
         2 * (192 + 1024) + 16 * 21 / 8.0},
        /* 1 2 3 4 5 1 2 3; with a window too 1 2 3 3 3 1 2 3 */
        {"{\"context\": 8, \"levels\": [{" FOUR
         ", \"layers\": 2, \"window\": [0, 3], \"block_local\": 5}]}",
         2 * (2 * 192 + 1024) + 16 * (21 + 18) / 8.0},
        /* above 1 2 3 4 every second byte, below 1 2 1 2 1 2 1 2; the split's weights are 8 */
        {"{\"context\": 8, \"levels\": [{" FOUR ", \"layers\": 1, \"patch\": 2}, {" FOUR
         ", \"layers\": 1}]}",
         2 * (192 / 2.0 + 8 + 192 + 1024) + 16 * 10 / 8.0 + 16 * 12 / 8.0},
        /* below 1 2 2 3 2 3 2 3 */
        {"{\"context\": 8, \"levels\": [{" FOUR ", \"layers\": 1, \"patch\": 2}, {" FOUR
         ", \"layers\": 1, \"cross_patch\": 1}]}",
         2 * (192 / 2.0 + 8 + 192 + 1024) + 16 * 10 / 8.0 + 16 * 18 / 8.0},
        /* across two rows, but no more than three in all: 1 2 3 3 3 3 3 3; token shift sees no keys
         */
        {"{\"context\": 8, \"levels\": [{" FOUR ", \"layers\": 0, \"patch\": 2}, {" FOUR
         ", \"layers\": 1, \"cross_patch\": 2, \"window\": 3, \"token_shift\": true}]}",
         2 * (8 + 192 + 1024) + 16 * 21 / 8.0},
        /* at every byte: filters of 3, 5 and 7 by 2 by 2, projections of two n-grams of 5 to 2, and
         * of one of 3 to 4 */
        {"{\"context\": 8, \"levels\": [{" FOUR
         ", \"layers\": 0, \"patch\": 2, \"conv_encoder\": true, \"ngrams\": [2, 3], "
         "\"ngram_width\": 5}, {" FOUR ", \"layers\": 0, \"ngrams\": [4], \"ngram_width\": 3}]}",
         2 * (15 * 4 + 2 * 5 * 2 + 3 * 4 + 8 + 1024)},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        octet_budget b;
        config c;
        support_ok(config_parse(&c, known[i].text, strlen(known[i].text), "by hand", &error),
                   &error);
        support_ok(cost_of(&b, &c, &error), &error);
        assert_true(b.forward_flops == known[i].flops); /* sums of eighths are exact */
        assert_true(b.training_flops == 3 * known[i].flops);
    }
}

/* --- against what is made on a device */

static int64_t bytes_of_variable(const variable *v) {
    return v->rank ? variable_elements(v) * (int64_t)sizeof(float) : 0;
}

static int64_t graph_bytes(const level_graph *l) {
    plan *p = NULL;
    support_ok(plan_create(&p, l->graph, &error), &error);
    size_t bytes = p->bytes;
    for (int i = 0; i < l->graph->n_tensors; i++)
        if (l->graph->tensors[i]->kind == TENSOR_INPUT)
            bytes += tensor_bytes(l->graph->tensors[i]);
    assert_true(bytes <= program_bytes(l->program));
    plan_destroy(&p);
    return (int64_t)bytes;
}

static void check_run(const octet_budget *b, const model *m) {
    session *s = NULL;
    int64_t states = 0, work = 0;
    support_ok(session_create(&s, m, 1, -1, &error), &error);
    for (int i = 0; i < s->n_levels; i++) {
        const session_level *l = &s->level[i];
        for (int k = 0; k < l->n_states; k++)
            states += bytes_of_variable(&l->states[k]);
        states += bytes_of_variable(&l->split);
        for (int k = 0; k < l->n_steps; k++)
            work += graph_bytes(&l->step[k]);
        for (int k = 0; k < l->n_blocks; k++)
            work += graph_bytes(&l->block[k]);
    }
    assert_int_equal(b->run.weights, params_count(&m->params) * (int64_t)sizeof(float));
    assert_int_equal(b->run.states, states);
    assert_int_equal(b->run.work, work);
    /* every matrix and the head, once */
    int64_t matrices = variable_elements(m->local.head);
    for (int i = 0; i < m->params.n; i++)
        if (m->params.list[i]->group == PARAM_MATRIX)
            matrices += variable_elements(&m->params.list[i]->v);
    assert_int_equal(b->run.packed, matrices * (int64_t)sizeof(float));
    assert_int_equal(b->run.total, b->run.weights + b->run.packed + b->run.states + b->run.work);
    session_destroy(&s);
}

static void check_training(const octet_budget *b, model *m) {
    const config_train *t = &m->config.train;
    optimizer o;
    step_graph *step = NULL;
    int64_t moments = 0;
    support_ok(optimizer_create(&o, &m->params, t, &error), &error);
    for (int i = 0; i < o.state.n; i++)
        moments += bytes_of_variable(&o.state.list[i]->v);
    support_ok(step_create(&step, m, &o, t->batch, t->micro_batches, &error), &error);
    assert_int_equal(b->train.moments, moments);
    assert_int_equal(b->train.weights, 2 * b->run.weights);
    assert_int_equal(b->train.gradients, b->run.weights);
    /* the device adds the workspace of its kernels */
    assert_true((size_t)b->train.work <= step_bytes(step));
    assert_true(b->train.work > b->train.gradients);
    /* of the live weights and of those that are validated */
    assert_int_equal(b->train.packed, 2 * b->run.packed);
    assert_int_equal(b->train.total,
                     b->train.weights + b->train.packed + b->train.moments + b->train.work);
    step_destroy(&step);
    optimizer_finish(&o);
}

static void cost_is_what_it_costs(void **state) {
    (void)state;
    for (int i = 0; i < TINY_CONFIGS; i++) {
        backend *cpu = tiny_backend(1, CPU_AVX512);
        model *m = tiny_model(cpu, i, 1);
        octet_budget b;
        support_ok(cost_of(&b, &m->config, &error), &error);
        assert_int_equal(b.parameters, params_count(&m->params));
        assert_int_equal(b.parameters, config_weights(&m->config));
        assert_int_equal(b.levels, m->config.n_levels);
        check_run(&b, m);
        check_training(&b, m);
        model_destroy(&m);
        backend_destroy(&cpu);
    }
}

/* --- the planner */

static void planner_holds_no_values(void **state) {
    (void)state;
    backend *b = NULL;
    model *m = NULL;
    config c;
    float value = 0;
    support_ok(
        config_parse(&c, tiny_json(TINY_PAPER), strlen(tiny_json(TINY_PAPER)), "tiny", &error),
        &error);
    support_ok(planner_create(&b, &error), &error);
    support_ok(model_outline(&m, b, &c, &error), &error);
    assert_int_equal(planner_total(b).parameters, params_count(&m->params) * 4);
    variable *v = &m->params.list[0]->v;
    assert_int_equal(backend_read(b, v, 0, 1, &value, &error), OCTET_ERROR);
    support_contains(error.text, v->name);
    assert_int_equal(backend_write(b, v, 0, 1, &value, &error), OCTET_ERROR);
    graph *g = NULL;
    program *p = NULL;
    support_ok(graph_create(&g, &error), &error);
    tensor *x = graph_input(g, "x", DTYPE_F32, 2, (int64_t[]){3, v->dim[1]});
    tensor *y = graph_output(g, linear(g, x, graph_variable(g, v)));
    support_ok(backend_compile(b, &p, g, &error), &error);
    assert_int_equal(planner_total(b).packed, bytes_of_variable(v));
    assert_int_equal(planner_total(b).programs, program_bytes(p));
    assert_true(program_bytes(p) >= tensor_bytes(x) + tensor_bytes(y));
    assert_int_equal(program_upload(p, x, &value, &error), OCTET_ERROR);
    assert_int_equal(program_run(p, &error), OCTET_ERROR);
    assert_int_equal(program_download(p, y, &value, &error), OCTET_ERROR);
    program_destroy(&p);
    graph_destroy(&g);
    model_destroy(&m);
    planner_bytes left = planner_total(b), none = {0};
    assert_memory_equal(&left, &none, sizeof none);
    backend_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cost_takes_no_memory),
        cmocka_unit_test(presets_have_the_papers_sizes),
        cmocka_unit_test(presets_true_sizes),
        cmocka_unit_test(presets_are_the_papers_block),
        cmocka_unit_test(cost_is_what_it_costs),
        cmocka_unit_test(planner_holds_no_values),
        cmocka_unit_test(flops_are_those_counted_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
