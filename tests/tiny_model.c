/* tiny_model.c: see tiny_model.h. */
#include "tiny_model.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

static const char *const configs[TINY_CONFIGS + 1] = {
    "{\"context\": 32, \"levels\": ["
    "{\"dim\": 16, \"layers\": 2, \"heads\": 2, \"zero_init\": false}]}",

    "{\"context\": 64, \"zero_pad\": true, \"levels\": ["
    "{\"dim\": 32, \"layers\": 2, \"heads\": 2, \"patch\": 4, \"positions\": \"learned\","
    " \"zero_init\": false},"
    "{\"dim\": 16, \"layers\": 2, \"heads\": 2, \"kv_heads\": 1, \"mlp\": \"swiglu\","
    " \"zero_init\": false}]}",

    "{\"context\": 48, \"keep\": 8, \"levels\": ["
    "{\"dim\": 32, \"layers\": 1, \"heads\": 2, \"patch\": 4, \"zero_init\": false},"
    "{\"dim\": 24, \"layers\": 1, \"heads\": 3, \"patch\": 2, \"positions\": \"learned\","
    " \"mlp\": \"gelu-tanh\", \"zero_init\": false},"
    "{\"dim\": 12, \"layers\": 1, \"heads\": 1, \"qk_norm\": false, \"zero_init\": false}]}",

    "{\"context\": 36, \"keep\": 24, \"vocabulary\": 260, \"tied_head\": false, \"softcap\": 15,"
    " \"levels\": ["
    "{\"dim\": 24, \"layers\": 1, \"heads\": 2, \"patch\": 3, \"norm\": \"layer\", \"bias\": true,"
    " \"mlp\": \"gelu\", \"positions\": \"none\", \"zero_init\": false},"
    "{\"dim\": 20, \"layers\": 1, \"heads\": 2, \"norm\": \"layer\", \"bias\": true,"
    " \"mlp\": \"gelu\", \"positions\": \"learned\", \"zero_init\": false}]}",

    "{\"context\": 144, \"keep\": 48, \"levels\": ["
    "{\"dim\": 24, \"layers\": 1, \"heads\": 6, \"kv_heads\": 3, \"patch\": 4,"
    " \"positions\": \"alibi\", \"zero_init\": false},"
    "{\"dim\": 12, \"layers\": 1, \"heads\": 1, \"rope_scale\": 3.5, \"zero_init\": false}]}",

    "{\"context\": 96, \"levels\": ["
    "{\"dim\": 32, \"layers\": 3, \"heads\": 2, \"patch\": 4, \"window\": [3, 0],"
    " \"block_local\": [0, 5], \"zero_init\": false},"
    "{\"dim\": 16, \"layers\": 2, \"heads\": 2, \"window\": [0, 2], \"zero_init\": false}]}",

    "{\"context\": 48, \"keep\": 16, \"levels\": ["
    "{\"dim\": 32, \"layers\": 1, \"heads\": 2, \"patch\": 4, \"zero_init\": false},"
    "{\"dim\": 24, \"layers\": 2, \"heads\": 3, \"patch\": 2, \"cross_patch\": 3,"
    " \"zero_init\": false},"
    "{\"dim\": 12, \"layers\": 3, \"heads\": 1, \"positions\": \"learned\", \"cross_patch\": 2,"
    " \"zero_init\": false}]}",

    "{\"context\": 32, \"endless\": true, \"levels\": ["
    "{\"dim\": 32, \"layers\": 2, \"heads\": 2, \"patch\": 4, \"window\": [3, 5],"
    " \"zero_init\": false},"
    "{\"dim\": 16, \"layers\": 2, \"heads\": 2, \"cross_patch\": 2, \"zero_init\": false}]}",

    "{\"context\": 32, \"keep\": 10, \"levels\": ["
    "{\"dim\": 16, \"layers\": 1, \"heads\": 2, \"ngrams\": [2, 3, 8], \"ngram_rows\": 37,"
    " \"ngram_width\": 3, \"zero_init\": false}]}",

    "{\"context\": 64, \"zero_pad\": true, \"levels\": ["
    "{\"dim\": 24, \"layers\": 1, \"heads\": 2, \"patch\": 4, \"positions\": \"learned\","
    " \"conv_encoder\": true, \"ngrams\": [3, 4], \"ngram_rows\": 50, \"ngram_width\": 2,"
    " \"zero_init\": false},"
    "{\"dim\": 16, \"layers\": 1, \"heads\": 2, \"ngrams\": [3], \"ngram_rows\": 20,"
    " \"ngram_width\": 5, \"zero_init\": false}]}",

    "{\"context\": 48, \"keep\": 8, \"vocabulary\": 300, \"levels\": ["
    "{\"dim\": 32, \"layers\": 1, \"heads\": 2, \"patch\": 4, \"conv_encoder\": true,"
    " \"zero_init\": false},"
    "{\"dim\": 24, \"layers\": 1, \"heads\": 3, \"patch\": 2, \"positions\": \"learned\","
    " \"conv_encoder\": true, \"ngrams\": [5], \"ngram_rows\": 30, \"ngram_width\": 4,"
    " \"zero_init\": false},"
    "{\"dim\": 12, \"layers\": 1, \"heads\": 1, \"ngrams\": [4, 6], \"ngram_rows\": 16,"
    " \"ngram_width\": 1, \"zero_init\": false}]}",

    "{\"context\": 96, \"levels\": ["
    "{\"dim\": 15, \"layers\": 3, \"heads\": 2, \"head_size\": 6, \"mlp\": \"leaky-relu2\","
    " \"mlp_width\": 20, \"x0_mix\": true, \"value_residual\": true, \"token_shift\": true,"
    " \"dropout\": 0.3, \"zero_init\": false}]}",

    "{\"context\": 48, \"levels\": ["
    "{\"dim\": 24, \"layers\": 2, \"heads\": 2, \"kv_heads\": 1, \"patch\": 4,"
    " \"mixer\": [\"attention\"], \"value_residual\": true, \"token_shift\": true,"
    " \"zero_init\": false},"
    "{\"dim\": 12, \"layers\": 2, \"heads\": 1, \"mlp_width\": 20, \"x0_mix\": true,"
    " \"value_residual\": true, \"dropout\": 0.5, \"zero_init\": false}]}",

    "{\"context\": 36, \"keep\": 12, \"levels\": ["
    "{\"dim\": 24, \"layers\": 1, \"heads\": 2, \"patch\": 2, \"x0_mix\": true,"
    " \"dropout\": 0.2, \"zero_init\": false},"
    "{\"dim\": 18, \"layers\": 2, \"heads\": 1, \"head_size\": 8, \"patch\": 3,"
    " \"mlp_width\": 24, \"value_residual\": true, \"dropout\": 0.1, \"zero_init\": false},"
    "{\"dim\": 13, \"layers\": 1, \"heads\": 1, \"head_size\": 8, \"token_shift\": true,"
    " \"norm\": \"layer\", \"bias\": true, \"positions\": \"none\", \"mlp\": \"leaky-relu2\","
    " \"zero_init\": false}]}",

    "{\"context\": 96, \"keep\": 24, \"levels\": ["
    "{\"dim\": 24, \"layers\": 3, \"heads\": 2, \"patch\": 4, \"conv_encoder\": true,"
    " \"value_residual\": true, \"x0_mix\": true, \"window\": [4, 0, 2], \"zero_init\": false},"
    "{\"dim\": 16, \"layers\": 2, \"heads\": 2, \"value_residual\": true, \"x0_mix\": true,"
    " \"window\": 3, \"dropout\": 0.2, \"zero_init\": false}]}",

    "{\"context\": 32, \"endless\": true, \"levels\": ["
    "{\"dim\": 32, \"layers\": 2, \"heads\": 2, \"patch\": 4, \"window\": [3, 2],"
    " \"ngrams\": [2, 8], \"ngram_rows\": 40, \"ngram_width\": 3, \"token_shift\": true,"
    " \"zero_init\": false},"
    "{\"dim\": 16, \"layers\": 2, \"heads\": 2, \"cross_patch\": 2, \"token_shift\": true,"
    " \"ngrams\": [3], \"ngram_rows\": 20, \"ngram_width\": 5, \"zero_init\": false}]}",

    "{\"context\": 144, \"keep\": 40, \"levels\": ["
    "{\"dim\": 16, \"layers\": 3, \"heads\": 4, \"kv_heads\": 2, \"patch\": 2,"
    " \"window\": [3, 0, 0], \"block_local\": [0, 0, 5], \"sinks\": 37, \"zero_init\": false},"
    "{\"dim\": 12, \"layers\": 1, \"heads\": 1, \"zero_init\": false}]}",

    "{\"context\": 32, \"endless\": true, \"levels\": ["
    "{\"dim\": 32, \"layers\": 2, \"heads\": 2, \"patch\": 4, \"window\": [3, 5], \"sinks\": 2,"
    " \"positions\": \"alibi\", \"token_shift\": true, \"zero_init\": false},"
    "{\"dim\": 16, \"layers\": 2, \"heads\": 2, \"cross_patch\": 2, \"zero_init\": false}]}",

    "{\"context\": 320, \"keep\": 160, \"levels\": ["
    "{\"dim\": 16, \"layers\": 1, \"heads\": 1, \"patch\": 4, \"zero_init\": false},"
    "{\"dim\": 12, \"layers\": 1, \"heads\": 1, \"zero_init\": false}]}",

    "{\"context\": 1040, \"vocabulary\": 65536, \"levels\": ["
    "{\"dim\": 8, \"layers\": 1, \"heads\": 1, \"patch\": 2, \"zero_init\": false},"
    "{\"dim\": 4, \"layers\": 1, \"heads\": 1, \"zero_init\": false}]}",
};

const char *tiny_json(int index) {
    return configs[index];
}

backend *tiny_backend(int threads, cpu_isa cap) {
    octet_error error = {0};
    backend *b = NULL;
    cpu_backend_params wanted = {.n_threads = threads, .cap = cap};
    support_ok(cpu_backend_create(&b, &wanted, &error), &error);
    return b;
}

/* Adds to every parameter that starts as a constant or so small that little would hang on it. */
static void stir(model *m, uint64_t seed) {
    octet_error error = {0};
    for (int i = 0; i < m->params.n; i++) {
        param *p = m->params.list[i];
        if (p->group == PARAM_MATRIX)
            continue;
        int64_t n = variable_elements(&p->v);
        float *values = support_alloc((size_t)n, sizeof *values);
        float *noise = support_alloc((size_t)n, sizeof *noise);
        uint64_t state = seed * 1000 + (uint64_t)i;
        float size = p->group == PARAM_VECTOR ? 0.2f : 0.6f;
        support_fill(noise, n, -size, size, &state);
        support_ok(backend_read(m->backend, &p->v, 0, n, values, &error), &error);
        for (int64_t k = 0; k < n; k++)
            values[k] += noise[k];
        support_ok(backend_write(m->backend, &p->v, 0, n, values, &error), &error);
        free(values);
        free(noise);
    }
}

model *tiny_model(backend *b, int index, uint64_t seed) {
    return tiny_model_of(b, configs[index], seed);
}

model *tiny_model_of(backend *b, const char *json, uint64_t seed) {
    octet_error error = {0};
    config c;
    model *m = NULL;
    support_ok(config_parse(&c, json, strlen(json), "tiny", &error), &error);
    support_ok(model_create(&m, b, &c, &error), &error);
    support_ok(params_reset(&m->params, seed, &error), &error);
    stir(m, seed);
    return m;
}

void tiny_bytes(uint8_t *out, size_t n, uint64_t seed) {
    uint64_t state = seed;
    for (size_t i = 0; i < n; i++) {
        int64_t kind = support_integer(&state, 0, 3);
        if (kind == 0 || i < 8)
            out[i] = (uint8_t)support_integer(&state, 0, 255);
        else if (kind == 1)
            out[i] = out[i - 1];
        else
            out[i] = out[i - (size_t)support_integer(&state, 1, 8)];
    }
}
