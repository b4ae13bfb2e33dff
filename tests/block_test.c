/* block_test.c: stacks of mixers of different kinds: what each block is made with, what it carries
 * between calls, and who takes whose values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mixer/block.h"
#include "mixer/mixer_attention.h"
#include "op_cases.h"
#include "support.h"
#include "tiny_model.h"

#define DIM 8

/* A mixer without values: y = x w^T, and one state. */
typedef struct plain_mixer {
    mixer base;
    linear_layer w;
} plain_mixer;

static const mixer_kind plain;

static mixer *plain_create(params *p, const char *prefix, const mixer_params *m) {
    plain_mixer *made = arena_alloc(&p->memory, sizeof *made);
    assert_non_null(made);
    assert_false(m->value_residual);
    made->base.kind = &plain;
    made->base.rule = m->rule;
    linear_create(&made->w, p, prefix, "plain.w", m->dim, m->dim, 0, 1);
    return &made->base;
}

static void plain_state(const mixer *m, int index, mixer_state_spec *out) {
    (void)m;
    assert_int_equal(index, 0);
    assert_int_equal(out->reach, 0);
    out->name = "plain";
    out->reach = 3;
    out->d1 = out->d2 = 1;
}

static tensor *plain_forward(graph *g, const mixer *m, tensor *x, const level_rows *rows,
                             variable *const *states) {
    (void)rows;
    (void)states;
    return linear_forward(g, &((const plain_mixer *)m)->w, x);
}

static const mixer_kind plain = {.name = "plain",
                                 .create = plain_create,
                                 .n_states = 1,
                                 .state = plain_state,
                                 .forward = plain_forward};

static const mixer_kind *const kinds[] = {&plain, &mixer_attention, &plain, &mixer_attention,
                                          &mixer_attention};
#define BLOCKS COUNT(kinds)

static block_params options(int all) {
    return (block_params){
        .kinds = kinds,
        .mixer = {.dim = DIM,
                  .heads = 2,
                  .kv_heads = 1,
                  .head_size = 4,
                  .value_residual = all,
                  .scale = 1,
                  .output_scale = 1},
        .mlp = {.width = DIM,
                .hidden = 12,
                .activation = UNARY_LEAKY_RELU2,
                .scale = 1,
                .down_scale = 1},
        .norm = NORM_RMS,
        .x0_mix = all,
        .token_shift = all,
        .first_site = 512,
    };
}

static int has(const params *p, int index, const char *name) {
    char full[96];
    snprintf(full, sizeof full, "s.blocks.%d.%s", index, name);
    return params_find(p, full) != NULL;
}

static void stack_of_different_kinds(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    for (int all = 0; all < 2; all++) {
        params p;
        block_stack s;
        block_params m = options(all);
        params_init(&p, b);
        block_stack_create(&s, &p, "s", BLOCKS, &m);
        assert_int_equal(p.error.code, OCTET_OK);
        for (int i = 0; i < BLOCKS; i++) {
            const block *made = &s.blocks[i];
            assert_ptr_equal(made->mixer->kind, kinds[i]);
            assert_int_equal(has(&p, i, "plain.w"), kinds[i] == &plain);
            assert_int_equal(has(&p, i, "attn.wv"), kinds[i] == &mixer_attention);
            /* block 1 is the first with values */
            assert_int_equal(has(&p, i, "attn.values.own"), all && i >= 3);
            assert_int_equal(has(&p, i, "attn.values.first"), all && i >= 3);
            assert_int_equal(has(&p, i, "x0_mix.x"), all);
            assert_int_equal(has(&p, i, "x0_mix.x0"), all);
            assert_int_equal(made->site, 512 + 2 * i);
        }
        params_finish(&p);
    }
    backend_destroy(&b);
}

static void states_in_order(void **state) {
    (void)state;
    static const char *const names[2][4] = {{"plain", "mixer_shift", "mlp_shift", NULL},
                                            {"keys", "values", "mixer_shift", "mlp_shift"}};
    static const int rules[] = {3, 0, 1, 1, 4};
    backend *b = tiny_backend(1, CPU_AVX512);
    for (int all = 0; all < 2; all++) {
        params p;
        block_stack s;
        block_params m = options(all);
        m.rules = rules;
        m.shift_rule = 5;
        params_init(&p, b);
        block_stack_create(&s, &p, "s", BLOCKS, &m);
        for (int i = 0; i < BLOCKS; i++) {
            int own = kinds[i]->n_states, n = block_states(&s.blocks[i]);
            assert_int_equal(n, own + 2 * all);
            for (int k = 0; k < n; k++) {
                mixer_state_spec spec;
                memset(&spec, 0x55, sizeof spec);
                block_state(&s.blocks[i], k, &spec);
                assert_string_equal(spec.name, names[own - 1][k]);
                assert_int_equal(spec.reach, k < own && kinds[i] == &plain ? 3 : 0);
                assert_int_equal(spec.rule, k < own ? rules[i] : 5);
                if (k >= own)
                    assert_true(spec.d1 == 1 && spec.d2 == DIM && spec.layout == LAYOUT_ROWS);
            }
        }
        params_finish(&p);
    }
    backend_destroy(&b);
}

/* The loss hangs on every parameter: a share of values that nothing mixes would have no gradient.
 */
static void every_parameter_counts(void **state) {
    (void)state;
    octet_error error = {0};
    backend *b = tiny_backend(1, CPU_AVX512);
    params p;
    block_stack s;
    block_params m = options(1);
    params_init(&p, b);
    block_stack_create(&s, &p, "s", BLOCKS, &m);
    graph *g = NULL;
    support_ok(graph_create(&g, &error), &error);
    level_rows rows = {.batch = 2, .rows = 5};
    rows.first[0] = graph_input(g, "first", DTYPE_I32, SHAPE(2, 5));
    tensor *x = graph_input(g, "x", DTYPE_F32, SHAPE(2, 5, DIM));
    tensor *y = block_stack_forward(g, &s, x, &rows, NULL);
    graph_backward(g, dot(g, y, y));
    support_ok(graph_check(g, &error), &error);
    assert_null(rows.values); /* the caller's plan is as it was */
    for (int i = 0; i < p.n; i++)
        if (!graph_variable(g, &p.list[i]->v)->gradient)
            fail_msg("%s has no gradient", p.list[i]->v.name);
    graph_destroy(&g);
    params_finish(&p);
    backend_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stack_of_different_kinds),
        cmocka_unit_test(states_in_order),
        cmocka_unit_test(every_parameter_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
