/* config_test.c: configurations: defaults, round trips, and about two hundred texts that must be
 * refused with a message that names the key and its place. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>
#include <jansson.h>

#include "model/config.h"
#include "support.h"

#define LEVEL_0 "\"dim\": 16, \"layers\": 1, \"heads\": 2, \"patch\": 4"
#define LEVEL_1 "\"dim\": 8, \"layers\": 1, \"heads\": 2"
#define SMALL "{\"context\": 64, \"levels\": [{" LEVEL_0 "}, {" LEVEL_1 "}]}"

static octet_status parse(config *c, const char *text, octet_error *error) {
    memset(error, 0, sizeof *error);
    return config_parse(c, text, strlen(text), "x.json", error);
}

static void parse_ok(config *c, const char *text) {
    octet_error error;
    support_ok(parse(c, text, &error), &error);
}

/* --- good texts --------------------------------------------------------------------------- */

static void defaults_are_those_documented(void **state) {
    (void)state;
    config c;
    parse_ok(&c, SMALL);
    assert_int_equal(c.context, 64);
    assert_int_equal(c.keep, 32);
    assert_int_equal(c.vocabulary, 256);
    assert_true(c.tied_head && !c.zero_pad);
    assert_true(c.softcap == 0 && c.init_scale == 1 && !c.endless);
    assert_int_equal(c.n_levels, 2);
    const config_level *l = &c.level[0];
    assert_int_equal(l->dim, 16);
    assert_int_equal(l->layers, 1);
    assert_int_equal(l->heads, 2);
    assert_int_equal(l->kv_heads, 2);
    assert_int_equal(l->head_size, 8);
    assert_int_equal(l->patch, 4);
    assert_int_equal(l->mlp_width, 64);
    assert_true(l->mlp == MLP_RELU2 && l->norm == CONFIG_NORM_RMS);
    assert_true(!l->bias && l->positions == POSITIONS_ROPE && l->rope_base == 10000);
    assert_true(l->rope_scale == 1);
    assert_true(l->qk_norm && l->zero_init && l->cross_patch == 0 && !l->conv_encoder);
    assert_true(l->ngrams == 0 && l->ngram_rows == 16384 && l->ngram_width == 32);
    assert_true(l->window.n == 1 && l->window.value[0] == 0);
    assert_true(l->block_local.n == 1 && l->block_local.value[0] == 0 && l->sinks == 0);
    assert_true(l->mixer.n == 1 && l->mixer.value[0] == 0);
    assert_true(!l->x0_mix && !l->value_residual && !l->token_shift && l->dropout == 0);
    assert_int_equal(c.level[1].patch, 1);
    assert_int_equal(c.level[1].head_size, 4);
    const config_train *t = &c.train;
    assert_true(t->optimizer == OPTIMIZER_MUON && t->batch == 16 && t->micro_batches == 1);
    assert_true(t->steps == 1000 && t->lr == 0.008 && t->muon_lr == 0.02 && t->warmup == 20);
    assert_true(t->decay == 0.6 && t->final_lr == 0 && t->weight_decay == 0);
    assert_true(t->beta1 == 0.9 && t->beta2 == 0.95 && t->epsilon == 1e-10);
    assert_true(t->momentum == 0.95 && t->clip == 1 && t->mean == 0.04);
}

static void defaults_follow_other_keys(void **state) {
    (void)state;
    config c;
    parse_ok(&c, "{\"context\": 64, \"levels\": [{\"dim\": 100, \"layers\": 0, \"heads\": 5, "
                 "\"mlp\": \"swiglu\"}], \"train\": {\"optimizer\": \"adamw\"}}");
    assert_int_equal(c.level[0].mlp_width, 272); /* 266.7 up to a multiple of 16 */
    assert_int_equal(c.level[0].head_size, 20);
    assert_int_equal(c.level[0].patch, 1);
    assert_true(c.train.lr == 0.002 && c.train.weight_decay == 0.1);
    parse_ok(&c, "{\"context\": 64, \"levels\": [{\"dim\": 96, \"layers\": 0, \"heads\": 5, "
                 "\"head_size\": 6, \"mlp\": \"swiglu\"}]}");
    assert_int_equal(c.level[0].mlp_width, 256); /* 8/3 of 96 exactly */
    assert_int_equal(c.level[0].head_size, 6);   /* given: heads need not divide dim */
    /* Half of 60 is no multiple of 12; one patch leaves nothing to keep. */
    const char *text = "{\"context\": %d, \"levels\": [{\"dim\": 24, \"layers\": 1, \"heads\": 2, "
                       "\"patch\": 12}, {" LEVEL_1 "}]}";
    char buffer[256];
    snprintf(buffer, sizeof buffer, text, 60);
    parse_ok(&c, buffer);
    assert_int_equal(c.keep, 24);
    snprintf(buffer, sizeof buffer, text, 12);
    parse_ok(&c, buffer);
    assert_int_equal(c.keep, 0);
}

static void units_multiply_from_the_last_level(void **state) {
    (void)state;
    config c;
    parse_ok(&c,
             "{\"context\": 96, \"levels\": [{\"dim\": 48, \"layers\": 1, \"heads\": 2, "
             "\"patch\": 2}, {\"dim\": 24, \"layers\": 1, \"heads\": 2, \"patch\": 3}, {" LEVEL_0
             "}, {" LEVEL_1 "}]}");
    assert_int_equal(config_unit_bytes(&c, 0), 24);
    assert_int_equal(config_unit_bytes(&c, 1), 12);
    assert_int_equal(config_unit_bytes(&c, 2), 4);
    assert_int_equal(config_unit_bytes(&c, 3), 1);
}

static void check_round_trip(const config *c) {
    octet_error error;
    config again;
    char *text = config_text(c);
    assert_non_null(text);
    support_ok(config_parse(&again, text, strlen(text), "text", &error), &error);
    assert_memory_equal(&again, c, sizeof *c); /* both were zeroed: padding is equal too */
    char *text_again = config_text(&again);
    assert_string_equal(text, text_again);
    free(text_again);
    free(text);
}

static const char *const EVERY_KEY =
    "{\"context\": 48, \"keep\": 12, \"vocabulary\": 300, \"tied_head\": false, \"zero_pad\": true,"
    "\"endless\": false,"
    "\"softcap\": 15.5, \"init_scale\": 0.3, \"levels\": [{\"dim\": 24, \"layers\": 3, \"heads\": "
    "4,"
    "\"kv_heads\": 2, \"head_size\": 10, \"patch\": 3, \"window\": [9, 0], \"block_local\": 5, "
    "\"sinks\": 6, \"mlp_width\": 7, \"mlp\": \"gelu-tanh\", "
    "\"norm\": \"layer\", \"bias\": true, \"positions\": \"learned\", \"rope_base\": 12345.678, "
    "\"rope_scale\": 2.5, \"qk_norm\": false, \"zero_init\": false, \"ngrams\": [2, 4, 8], "
    "\"ngram_rows\": 99, \"ngram_width\": 7, \"conv_encoder\": true, "
    "\"mixer\": [\"attention\"], \"x0_mix\": true, "
    "\"value_residual\": true, \"token_shift\": true, \"dropout\": 0.25}, {" LEVEL_0
    ", \"cross_patch\": 2}, {" LEVEL_1 "}], \"train\": "
    "{\"optimizer\": \"adamw\", \"batch\": 12, \"micro_batches\": 3, \"steps\": 77, \"lr\": 0.1, "
    "\"muon_lr\": 0.7, \"warmup\": 0, \"decay\": 0.25, \"final_lr\": 0.01, \"weight_decay\": 0.2, "
    "\"beta1\": 0, \"beta2\": 0.999, \"epsilon\": 1e-8, \"momentum\": 0.5, \"clip\": 0, "
    "\"mean\": 1}}";

static void every_key_is_read_and_written(void **state) {
    (void)state;
    config c;
    parse_ok(&c, EVERY_KEY);
    assert_true(c.keep == 12 && c.vocabulary == 300 && !c.tied_head && c.zero_pad);
    assert_true(c.softcap == 15.5 && c.init_scale == 0.3);
    const config_level *l = &c.level[0];
    assert_true(l->layers == 3 && l->heads == 4 && l->kv_heads == 2 && l->head_size == 10);
    assert_true(l->patch == 3 && l->mlp_width == 7 && l->mlp == MLP_GELU_TANH && l->bias);
    assert_true(l->norm == CONFIG_NORM_LAYER && l->positions == POSITIONS_LEARNED);
    assert_true(l->rope_base == 12345.678 && l->rope_scale == 2.5 && !l->qk_norm && !l->zero_init);
    assert_true(l->window.n == 2 && l->window.value[0] == 9 && l->window.value[1] == 0);
    assert_true(l->block_local.n == 1 && l->block_local.value[0] == 5 && l->sinks == 6);
    assert_true(l->cross_patch == 0 && c.level[1].cross_patch == 2 && l->conv_encoder);
    assert_true(l->ngrams == (1 << 2 | 1 << 4 | 1 << 8));
    assert_true(l->ngram_rows == 99 && l->ngram_width == 7);
    assert_true(l->mixer.n == 1 && l->mixer.value[0] == 0);
    assert_true(l->x0_mix && l->value_residual && l->token_shift && l->dropout == 0.25);
    assert_true(!c.level[1].x0_mix && !c.level[1].token_shift && c.level[1].dropout == 0);
    const config_train *t = &c.train;
    assert_true(t->optimizer == OPTIMIZER_ADAMW && t->batch == 12 && t->micro_batches == 3);
    assert_true(t->steps == 77 && t->lr == 0.1 && t->muon_lr == 0.7 && t->warmup == 0);
    assert_true(t->decay == 0.25 && t->final_lr == 0.01 && t->weight_decay == 0.2);
    assert_true(t->beta1 == 0 && t->beta2 == 0.999 && t->epsilon == 1e-8);
    assert_true(t->momentum == 0.5 && t->clip == 0 && t->mean == 1);
    check_round_trip(&c);
    parse_ok(&c, "{\"context\": 8, \"endless\": true, \"levels\": [{" LEVEL_1 ", \"window\": 4}]}");
    assert_true(c.endless);
    check_round_trip(&c);
}

/* Equal configurations, however written, give equal text. */
static void text_is_normal(void **state) {
    (void)state;
    config a, b;
    parse_ok(&a, SMALL);
    parse_ok(&b,
             "\n{\"train\":{\"clip\":1.0,\"lr\":8e-3, \"mean\": 0.04},\"levels\":[{\"patch\":4,"
             "\"heads\":2,\"layers\":1,\"dim\":16,\"mlp\":\"relu\\u0032\",\"zero_init\":true},"
             "{" LEVEL_1 ",\"rope_base\":1e4}],\"softcap\":-0.0,\"keep\":32,\"context\":64}\r\n ");
    assert_memory_equal(&a, &b, sizeof a); /* -0 is 0 */
    char *text_a = config_text(&a), *text_b = config_text(&b);
    assert_string_equal(text_a, text_b);
    assert_non_null(strstr(text_a, "{\"context\": 64, \"keep\": 32, \"vocabulary\": 256, "));
    assert_non_null(strstr(text_a, "\"rope_base\": 10000, \"rope_scale\": 1, "));
    assert_non_null(strstr(text_a, "\"ngrams\": [], "));
    assert_non_null(strstr(text_a, "\"epsilon\": 1e-10, "));
    assert_non_null(strstr(text_a, "\"mean\": 0.04}}"));
    free(text_a);
    free(text_b);
    check_round_trip(&a);
}

/* A list is for its layers what the shortest that repeats to the same is. */
static void lists_are_normal(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int layers, n;
        const char *normal;
    } list[] = {
        {"7", 5, 1, "\"window\": 7, "},
        {"[7]", 5, 1, "\"window\": 7, "},
        {"[7, 7, 7]", 3, 1, "\"window\": 7, "},
        {"[7, 0, 7, 0]", 4, 2, "\"window\": [7, 0], "},
        {"[7, 0, 7, 0, 7]", 5, 2, "\"window\": [7, 0], "},
        {"[7, 0, 7]", 5, 3, "\"window\": [7, 0, 7], "},
        {"[7, 7, 0, 7]", 4, 3, "\"window\": [7, 7, 0], "},
        {"[7, 7, 0, 7]", 8, 4, "\"window\": [7, 7, 0, 7], "},
        {"[16777216, 1]", 2, 2, "\"window\": [16777216, 1], "},
        {"3", 0, 1, "\"window\": 3, "},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char text[512];
        config c;
        snprintf(text, sizeof text,
                 "{\"context\": 8, \"levels\": [{\"dim\": 8, \"layers\": %d, \"heads\": 1, "
                 "\"window\": %s}]}",
                 list[i].layers, list[i].text);
        parse_ok(&c, text);
        assert_int_equal(c.level[0].window.n, list[i].n);
        char *normal = config_text(&c);
        assert_non_null(strstr(normal, list[i].normal));
        free(normal);
        check_round_trip(&c);
    }
    config c;
    parse_ok(&c, "{\"context\": 8, \"levels\": [{\"dim\": 8, \"layers\": 5, \"heads\": 1, "
                 "\"window\": [1, 2, 3]}]}");
    for (int i = 0; i < 5; i++)
        assert_int_equal(config_of_layer(&c.level[0].window, i), 1 + i % 3);
}

/* The shortest list that gives every layer its mixer is what is written. */
static void mixers_are_named_once(void **state) {
    (void)state;
    static const char *const lists[] = {"\"attention\"", "[\"attention\"]",
                                        "[\"attention\", \"attention\"]",
                                        "[\"attention\", \"attention\", \"attention\"]"};
    char *first = NULL;
    for (int i = 0; i < 4; i++) {
        char text[256];
        config c;
        snprintf(text, sizeof text,
                 "{\"context\": 64, \"levels\": [{\"dim\": 8, \"layers\": 3, \"heads\": 2, "
                 "\"mixer\": %s}]}",
                 lists[i]);
        parse_ok(&c, text);
        assert_int_equal(c.level[0].mixer.n, 1);
        check_round_trip(&c);
        char *written = config_text(&c);
        assert_non_null(strstr(written, "\"mixer\": \"attention\", "));
        if (first)
            assert_string_equal(first, written);
        free(first);
        first = written;
    }
    free(first);
}

static double any_real(uint64_t *random, double low, double high) {
    return low + (high - low) * ((double)(support_random(random) >> 11) * 0x1p-53);
}

static void random_configurations_round_trip(void **state) {
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 300; i++) {
        config c;
        parse_ok(&c, SMALL);
        config_level *l = &c.level[i % 2];
        l->dim = 4 * support_integer(&random, 1, 4096);
        l->kv_heads = support_integer(&random, 1, 16);
        l->heads = l->kv_heads * support_integer(&random, 1, 16);
        l->head_size = 2 * support_integer(&random, 1, 256);
        l->mlp_width = support_integer(&random, 1, 65536);
        l->mlp = (config_mlp)support_integer(&random, MLP_RELU, MLP_LEAKY_RELU2);
        l->positions =
            (config_positions)support_integer(&random, POSITIONS_LEARNED, POSITIONS_ALIBI);
        l->norm = (config_norm)support_integer(&random, CONFIG_NORM_RMS, CONFIG_NORM_LAYER);
        l->rope_base = any_real(&random, 1.5, 1e9);
        l->rope_scale = any_real(&random, 1, 1e6);
        l->ngrams = (int)support_integer(&random, 0, 127) << 2;
        l->ngram_rows = support_integer(&random, 1, 1 << 24);
        l->x0_mix = (int)support_integer(&random, 0, 1);
        l->value_residual = (int)support_integer(&random, 0, 1);
        l->token_shift = (int)support_integer(&random, 0, 1);
        l->dropout = any_real(&random, 0, 1);
        c.init_scale = any_real(&random, 0.001, 10);
        c.train.lr = any_real(&random, 0, 1) * any_real(&random, 0, 1e-6);
        c.train.beta1 = any_real(&random, 0, 1);
        c.train.epsilon = any_real(&random, 1e-30, 1e-20);
        c.train.clip = any_real(&random, 0, 1e9);
        check_round_trip(&c);
    }
}

/* --- identity ----------------------------------------------------------------------------- */

/* A literal, since saved streams of other versions hold hashes of it. */
static void identity_is_this_text(void **state) {
    (void)state;
    static const char small[] =
        "{\"context\": 64, \"keep\": 32, \"levels\": [{\"dim\": 16, \"layers\": 1, \"heads\": 2, "
        "\"kv_heads\": 2, \"head_size\": 8, \"patch\": 4, \"mlp_width\": 64}, {\"dim\": 8, "
        "\"layers\": 1, \"heads\": 2, \"kv_heads\": 2, \"head_size\": 4, \"mlp_width\": 32}]}";
    static const char every[] =
        "{\"context\": 48, \"keep\": 12, \"vocabulary\": 300, \"tied_head\": false, \"zero_pad\": "
        "true, \"softcap\": 15.5, \"init_scale\": 0.3, \"levels\": [{\"dim\": 24, \"layers\": 3, "
        "\"heads\": 4, \"kv_heads\": 2, \"head_size\": 10, \"patch\": 3, \"window\": [9, 0], "
        "\"block_local\": 5, \"sinks\": 6, \"mlp_width\": 7, \"mlp\": \"gelu-tanh\", \"norm\": "
        "\"layer\", "
        "\"bias\": "
        "true, \"positions\": \"learned\", \"rope_base\": 12345.678, \"rope_scale\": 2.5, "
        "\"qk_norm\": false, \"zero_init\": false, \"ngrams\": [2, 4, 8], \"ngram_rows\": 99, "
        "\"ngram_width\": 7, \"conv_encoder\": true, \"x0_mix\": true, \"value_residual\": true, "
        "\"token_shift\": true, \"dropout\": 0.25}, {\"dim\": 16, \"layers\": 1, \"heads\": 2, "
        "\"kv_heads\": 2, \"head_size\": 8, \"patch\": 4, \"cross_patch\": 2, \"mlp_width\": 64}, "
        "{\"dim\": 8, \"layers\": 1, \"heads\": 2, \"kv_heads\": 2, \"head_size\": 4, "
        "\"mlp_width\": "
        "32}]}";
    config c;
    parse_ok(&c, SMALL);
    char *text = config_identity(&c);
    assert_string_equal(text, small);
    free(text);
    parse_ok(&c, EVERY_KEY);
    text = config_identity(&c);
    assert_string_equal(text, every);
    free(text);
}

/* One that may be endless. */
#define BOUND "{\"context\": 64, \"levels\": [{" LEVEL_0 ", \"window\": 8}, {" LEVEL_1 "}]}"

/* Of BOUND with one key of one of its objects given; level -1: that of the model. NULL key: none.
 */
static char *identity_with(int level, const char *key, const char *value) {
    config c;
    json_t *root = json_loads(BOUND, 0, NULL);
    json_t *object =
        level < 0 ? root : json_array_get(json_object_get(root, "levels"), (size_t)level);
    if (key)
        assert_int_equal(json_object_set_new(object, key, json_loads(value, JSON_DECODE_ANY, NULL)),
                         0);
    char *text = json_dumps(root, 0);
    json_decref(root);
    parse_ok(&c, text);
    free(text);
    text = config_identity(&c);
    assert_non_null(text);
    return text;
}

/* A value that is not the key's in BOUND, for every key of a model and of levels. */
static const struct {
    int level;
    const char *key, *value;
} others[] = {
    {-1, "context", "128"},
    {-1, "keep", "16"},
    {-1, "vocabulary", "257"},
    {-1, "tied_head", "false"},
    {-1, "zero_pad", "true"},
    {-1, "endless", "true"},
    {-1, "softcap", "30"},
    {-1, "init_scale", "0.5"},
    {-1, "layout", "\"lucidrains\""},
    {-1, "head_bias", "true"},
    {0, "dim", "32"},
    {0, "layers", "0"},
    {0, "heads", "4"},
    {0, "kv_heads", "1"},
    {0, "head_size", "4"},
    {0, "patch", "2"},
    {1, "cross_patch", "1"},
    {0, "window", "4"},
    {0, "block_local", "4"},
    {0, "sinks", "2"},
    {0, "mlp_width", "63"},
    {0, "mlp", "\"relu\""},
    {0, "norm", "\"layer\""},
    {0, "bias", "true"},
    {0, "positions", "\"alibi\""},
    {0, "rope_base", "10000.5"},
    {0, "rope_scale", "2"},
    {0, "qk_norm", "false"},
    {0, "zero_init", "false"},
    {0, "ngrams", "[3]"},
    {0, "ngram_rows", "16383"},
    {0, "ngram_width", "31"},
    {0, "conv_encoder", "true"},
    {0, "x0_mix", "true"},
    {0, "value_residual", "true"},
    {0, "token_shift", "true"},
    {0, "dropout", "0.5"},
    {0, "embedder", "\"normed\""},
    {0, "planes", "4"},
    {0, "split", "\"full\""},
    {0, "embed_rope", "true"},
    {0, "mlp_bias", "true"},
    {0, "norm_epsilon", "1e-6"},
};

enum { OTHERS = sizeof others / sizeof *others };

static int has_other(const char *key) {
    for (int i = 0; i < OTHERS; i++)
        if (strcmp(others[i].key, key) == 0)
            return 1;
    return 0;
}

/* Two that differ in one key have different identities, and no key that there is was forgotten
 * here; but the only mixer, which has no other, symbols that need another layout or a larger
 * vocabulary, and the codec and its keys (codecs_have_their_keys). */
static void every_key_of_a_model_is_in_its_identity(void **state) {
    (void)state;
    char *text[OTHERS + 1];
    text[OTHERS] = identity_with(-1, NULL, NULL);
    for (int i = 0; i < OTHERS; i++)
        text[i] = identity_with(others[i].level, others[i].key, others[i].value);
    for (int i = 0; i <= OTHERS; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(text[i], text[k]);
    for (int i = 0; i <= OTHERS; i++)
        free(text[i]);
    config c;
    const char *key;
    json_t *value;
    parse_ok(&c, BOUND);
    char *all = config_text(&c);
    json_t *root = json_loads(all, 0, NULL);
    json_object_foreach(root, key, value)
        assert_true(has_other(key) || !strcmp(key, "levels") || !strcmp(key, "train") ||
                    !strcmp(key, "start_symbols") || !strcmp(key, "end_symbol") ||
                    !strcmp(key, "codec") || !strcmp(key, "rate_hz") || !strcmp(key, "channels") ||
                    !strncmp(key, "image_", 6) || !strncmp(key, "record_", 7));
    json_object_foreach(json_array_get(json_object_get(root, "levels"), 0), key, value)
        assert_true(has_other(key) || !strcmp(key, "mixer"));
    json_decref(root);
    free(all);
}

/* A model of two levels with a patch of 12 bytes. */
static octet_status parse_codec(config *c, const char *keys, octet_error *error) {
    char text[512];
    snprintf(text, sizeof text,
             "{\"context\": 96, %s, \"levels\": [{\"dim\": 24, \"layers\": 1, \"heads\": 2, "
             "\"patch\": 12}, {" LEVEL_1 "}]}",
             keys);
    return config_parse(c, text, strlen(text), "x", error);
}

static void codecs_have_their_keys(void **state) {
    (void)state;
#define SIZE "\"image_width\": 8, \"image_height\": 4"
    static const char *const good[] = {
        "\"codec\": \"pcm16\", \"rate_hz\": 8000, \"channels\": 2",
        "\"codec\": \"image\", " SIZE ", \"channels\": 3",
        "\"codec\": \"image\", " SIZE ", \"channels\": 1, \"image_block\": 2",
        "\"codec\": \"image\", " SIZE ", \"channels\": 3, \"image_block\": 2",
        "\"codec\": \"image\", " SIZE ", \"channels\": 3, \"image_block\": 4",
        "\"codec\": \"records\", \"record_bytes\": 7",
        "\"codec\": \"records\", \"record_bytes\": 7, \"record_filler\": 255",
        "\"codec\": \"records\", \"record_bytes\": 8",
    };
    static const char *const bad[][2] = {
        {"\"rate_hz\": 8000", "codec \"raw\" has neither"},
        {"\"channels\": 1", "codec \"raw\" has neither"},
        {"\"image_width\": 8", "image_width 8, image_height 0, image_block 1: codec \"raw\""},
        {"\"image_block\": 2", "codec \"raw\" has none of them"},
        {"\"record_bytes\": 8", "record_bytes 8, record_filler 0: codec \"raw\" has neither"},
        {"\"codec\": \"pcm8\", \"channels\": 1", "codec \"pcm8\" needs 1000"},
        {"\"codec\": \"pcm8\", \"rate_hz\": 8000, \"channels\": 5", "a frame of 5 bytes"},
        {"\"codec\": \"pcm8\", \"rate_hz\": 8000, \"channels\": 1, " SIZE, "\"pcm8\" has none"},
        {"\"codec\": \"pcm8\", \"rate_hz\": 8000, \"channels\": 1, \"record_filler\": 1",
         "codec \"pcm8\" has neither"},
        {"\"codec\": \"image\", " SIZE, "channels 0: codec \"image\" needs"},
        {"\"codec\": \"image\", " SIZE ", \"channels\": 2", "channels 2: codec \"image\" needs"},
        {"\"codec\": \"image\", \"image_width\": 8, \"channels\": 1", "image_height 0"},
        {"\"codec\": \"image\", " SIZE ", \"channels\": 1, \"image_block\": 3",
         "image_block: 3 does not divide 8 x 4"},
        {"\"codec\": \"image\", " SIZE ", \"channels\": 3, \"rate_hz\": 8000", "has no rate"},
        {"\"codec\": \"image\", \"image_width\": 9, \"image_height\": 9, \"channels\": 1, "
         "\"image_block\": 3",
         "blocks of 9 bytes are no whole patches of 12"},
        {"\"codec\": \"image\", " SIZE ", \"channels\": 3, \"record_bytes\": 8", "has neither"},
        {"\"codec\": \"records\"", "record_bytes 0, an outermost patch of 12"},
        {"\"codec\": \"records\", \"record_bytes\": 8, \"channels\": 1", "has neither"},
        {"\"codec\": \"records\", \"record_bytes\": 8, " SIZE, "has none of them"},
    };
#undef SIZE
    enum { N = sizeof good / sizeof *good };
    char *identity[N + 1];
    octet_error error;
    config c;
    parse_ok(&c, BOUND);
    identity[N] = config_identity(&c);
    for (int i = 0; i < N; i++) {
        support_ok(parse_codec(&c, good[i], &error), &error);
        check_round_trip(&c);
        identity[i] = config_identity(&c);
    }
    for (int i = 0; i <= N; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(identity[i], identity[k]);
    for (int i = 0; i <= N; i++)
        free(identity[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse_codec(&c, bad[i][0], &error), OCTET_ERROR);
        support_contains(error.text, bad[i][1]);
    }
}

/* Defaults may be given, and training may differ. The identity reads back as all the rest. */
static void identity_is_of_the_model(void **state) {
    (void)state;
    static const char *const texts[] = {SMALL, EVERY_KEY};
    for (int i = 0; i < 2; i++) {
        config c, given, read;
        parse_ok(&c, texts[i]);
        char *all = config_text(&c), *identity = config_identity(&c);
        parse_ok(&given, all);
        given.train = (config_train){.optimizer = OPTIMIZER_ADAMW, .batch = 7, .lr = 0.5};
        char *same = config_identity(&given);
        assert_string_equal(same, identity);
        parse_ok(&read, identity);
        read.train = c.train;
        assert_memory_equal(&read, &c, sizeof c);
        free(same);
        free(identity);
        free(all);
    }
}

/* --- bad texts ---------------------------------------------------------------------------- */

typedef enum bad_place { RAW, MODEL, OUTER, LAST, TRAIN } bad_place;

/* `content` is put into the small configuration: the members of the object at `place` (RAW: the
 * whole text); with a leading '+' they are added to those of the small one. */
typedef struct bad_text {
    bad_place place;
    const char *content, *message;
} bad_text;

static void write_bad(char *out, size_t size, const bad_text *bad) {
    const char *part[] = {NULL, "\"context\": 64", LEVEL_0, LEVEL_1, ""};
    char members[1024];
    if (bad->place == RAW) {
        snprintf(out, size, "%s", bad->content);
        return;
    }
    if (bad->content[0] == '+')
        snprintf(members, sizeof members, "%s%s%s", part[bad->place],
                 bad->place == TRAIN ? "" : ", ", bad->content + 1);
    else
        snprintf(members, sizeof members, "%s", bad->content);
    part[bad->place] = members;
    snprintf(out, size, "{%s%s\"levels\": [{%s}, {%s}], \"train\": {%s}}", part[MODEL],
             part[MODEL][0] ? ", " : "", part[OUTER], part[LAST], part[TRAIN]);
}

static void check_bad(const bad_text *list, size_t n) {
    char text[4096];
    for (size_t i = 0; i < n; i++) {
        octet_error error;
        config c;
        write_bad(text, sizeof text, &list[i]);
        octet_status status = parse(&c, text, &error);
        if (status != OCTET_ERROR || error.code != OCTET_ERROR)
            fail_msg("%s: status %d", text, (int)status);
        if (strncmp(error.text, "x.json", 6) != 0 || !strstr(error.text, list[i].message))
            fail_msg("%s\n  says     %s\n  expected %s", text, error.text, list[i].message);
        config zero;
        memset(&zero, 0, sizeof zero);
        assert_memory_equal(&c, &zero, sizeof c);
    }
}

#define CHECK_BAD(list) check_bad(list, sizeof(list) / sizeof(list)[0])

static const bad_text BAD_KEYS[] = {
    {MODEL, "+\"layres\": 3", "x.json: unknown key \"layres\""},
    {OUTER, "+\"layres\": 3", "x.json: unknown key \"layres\" in levels[0]"},
    {LAST, "+\"layres\": 3", "x.json: unknown key \"layres\" in levels[1]"},
    {LAST, "+\"Dim\": 3", "unknown key \"Dim\" in levels[1]"},
    {LAST, "+\"\": 3", "unknown key \"\" in levels[1]"},
    {LAST, "+\"batch\": 3", "unknown key \"batch\" in levels[1]"},
    {TRAIN, "+\"dim\": 3", "unknown key \"dim\" in train"},
    {MODEL, "+\"dim\": 3", "unknown key \"dim\""},
    {MODEL, "+\"\\u001b[31m\": 3", "unknown key \"?[31m\""},
    {MODEL, "+\"levels.dim\": 3", "unknown key \"levels.dim\""},
    {MODEL, "", "x.json: context: this key is missing"},
    {OUTER, "\"layers\": 1, \"heads\": 1, \"patch\": 4", "levels[0].dim: this key is missing"},
    {OUTER, "\"dim\": 16, \"heads\": 1, \"patch\": 4", "levels[0].layers: this key is missing"},
    {LAST, "\"dim\": 16, \"layers\": 1", "levels[1].heads: this key is missing"},
    {OUTER, LEVEL_1, "levels[0].patch: this key is missing"},
    {LAST, LEVEL_0, "levels[1].patch: 4 is given, but the last level has no patches"},
    {RAW, "{}", "context: this key is missing"},
    {RAW, "{\"context\": 64}", "levels: this key is missing"},
    {RAW, "{\"context\": 64, \"levels\": []}", "levels: 0 levels are outside 1 to 8"},
    {RAW, "{\"context\": 64, \"levels\": [{},{},{},{},{},{},{},{},{}]}", "9 levels are outside 1"},
    {RAW, "{\"context\": 64, \"levels\": {}}", "levels: this is an object, an array is needed"},
    {RAW, "{\"context\": 64, \"levels\": null}", "levels: null has no value, an array is needed"},
    {RAW, "{\"context\": 64, \"levels\": [3]}", "levels[0]: 3 is an integer, an object is needed"},
    {RAW, "{\"context\": 64, \"levels\": [{" LEVEL_0 "}, []]}",
     "levels[1]: this is an array, an object is needed"},
    {RAW, "{\"context\": 64, \"levels\": [{" LEVEL_1 "}], \"train\": []}",
     "train: this is an array, an object is needed"},
    {RAW, "{\"context\": 64, \"levels\": [{" LEVEL_1 "}], \"train\": null}", "train: null"},
    {RAW, "[]", "this is an array, an object is needed"},
};

static const bad_text BAD_TYPES[] = {
    {MODEL, "\"context\": \"64\"", "context: \"64\" is a string, an integer is needed"},
    {MODEL, "\"context\": 64.0", "context: 64.0 is a real number, an integer is needed"},
    {MODEL, "\"context\": null", "context: null has no value, an integer is needed"},
    {MODEL, "\"context\": true", "context: true is a boolean, an integer is needed"},
    {MODEL, "\"context\": [64]", "context: this is an array, an integer is needed"},
    {MODEL, "\"context\": {}", "context: this is an object, an integer is needed"},
    {MODEL, "+\"tied_head\": 1", "tied_head: 1 is an integer, true or false is needed"},
    {MODEL, "+\"zero_pad\": \"no\"", "zero_pad: \"no\" is a string, true or false is needed"},
    {MODEL, "+\"softcap\": \"15\"", "softcap: \"15\" is a string, a number is needed"},
    {MODEL, "+\"softcap\": false", "softcap: false is a boolean, a number is needed"},
    {OUTER, "\"dim\": \"256\", \"layers\": 1, \"heads\": 1, \"patch\": 4",
     "x.json: levels[0].dim: \"256\" is a string, an integer is needed"},
    {OUTER, "\"dim\": 16.5, \"layers\": 1, \"heads\": 1, \"patch\": 4",
     "levels[0].dim: 16.5 is a real"},
    {LAST, "+\"kv_heads\": null", "levels[1].kv_heads: null has no value, an integer"},
    {LAST, "+\"bias\": 0", "levels[1].bias: 0 is an integer, true or false"},
    {LAST, "+\"mlp\": 2", "levels[1].mlp: 2 is an integer, a string is needed"},
    {LAST, "+\"mlp\": \"silu\"",
     "levels[1].mlp: \"silu\" is none of \"relu\", \"relu2\", \"gelu\", \"gelu-tanh\", \"swiglu\""},
    {LAST, "+\"mlp\": \"silu\"", "\"swiglu\", \"leaky-relu2\""},
    {LAST, "+\"mixer\": \"mamba\"", "levels[1].mixer: \"mamba\" is none of \"attention\""},
    {LAST, "+\"mixer\": \"Attention\"", "levels[1].mixer: \"Attention\" is none of \"attention\""},
    {LAST, "+\"mixer\": \"\"", "levels[1].mixer: \"\" is none of \"attention\""},
    {LAST, "+\"mixer\": 0", "levels[1].mixer: 0 is an integer, a string is needed"},
    {LAST, "+\"mixer\": {}", "levels[1].mixer: this is an object, a string is needed"},
    {LAST, "+\"mixer\": [\"attention\", 1]", "levels[1].mixer[1]: 1 is an integer, a string"},
    {LAST, "+\"mixer\": [\"x\"]", "levels[1].mixer[0]: \"x\" is none of \"attention\""},
    {LAST, "+\"mixer\": [[\"attention\"]]", "levels[1].mixer[0]: this is an array, a string"},
    {LAST, "+\"mixer\": []", "levels[1].mixer: 0 items are outside 1 to 256"},
    {OUTER, "+\"x0_mix\": 1", "levels[0].x0_mix: 1 is an integer, true or false"},
    {OUTER, "+\"value_residual\": \"yes\"", "levels[0].value_residual: \"yes\" is a string, true"},
    {OUTER, "+\"token_shift\": 0.5", "levels[0].token_shift: 0.5 is a real number, true or false"},
    {OUTER, "+\"dropout\": true", "levels[0].dropout: true is a boolean, a number is needed"},
    {LAST, "+\"mlp\": \"RELU\"", "levels[1].mlp: \"RELU\" is none of"},
    {LAST, "+\"mlp\": \"\"", "levels[1].mlp: \"\" is none of"},
    {LAST, "+\"window\": \"8\"", "levels[1].window: \"8\" is a string, an integer is needed"},
    {LAST, "+\"window\": [8.0]", "levels[1].window[0]: 8.0 is a real number, an integer is needed"},
    {LAST, "+\"window\": [[8]]", "levels[1].window[0]: this is an array, an integer is needed"},
    {LAST, "+\"block_local\": [-1]", "levels[1].block_local[0]: -1 is outside 0 to 16777216"},
    {MODEL, "+\"endless\": 1", "endless: 1 is an integer, true or false is needed"},
    {LAST, "+\"ngrams\": 3", "levels[1].ngrams: 3 is an integer, an array is needed"},
    {LAST, "+\"ngrams\": {}", "levels[1].ngrams: this is an object, an array is needed"},
    {LAST, "+\"ngrams\": [\"3\"]", "ngrams: \"3\" is a string, an integer is needed"},
    {LAST, "+\"ngrams\": [3.0]", "ngrams: 3.0 is a real number, an integer is needed"},
    {LAST, "+\"ngrams\": [1]", "levels[1].ngrams: 1 is outside 2 to 8"},
    {OUTER, "+\"ngrams\": [2, 9]", "levels[0].ngrams: 9 is outside 2 to 8"},
    {OUTER, "+\"ngrams\": [-9223372036854775808]", "-9223372036854775808 is outside 2 to 8"},
    {LAST, "+\"ngrams\": [3, 3]", "ngrams: 3 after 3, ascending numbers are needed"},
    {LAST, "+\"ngrams\": [2, 4, 3]", "ngrams: 3 after 4, ascending numbers are needed"},
    {LAST, "+\"conv_encoder\": 1", "conv_encoder: 1 is an integer, true or false is needed"},
    {LAST, "+\"norm\": \"batch\"", "levels[1].norm: \"batch\" is none of \"rms\", \"layer\""},
    {LAST, "+\"positions\": \"sine\"", "positions: \"sine\" is none of \"learned\", \"rope\", \""},
    {TRAIN, "+\"optimizer\": \"sgd\"", "train.optimizer: \"sgd\" is none of \"adamw\", \"muon\""},
    {TRAIN, "+\"optimizer\": true", "train.optimizer: true is a boolean, a string"},
    {TRAIN, "+\"batch\": 16.0", "train.batch: 16.0 is a real number, an integer"},
    {TRAIN, "+\"lr\": \"fast\"", "train.lr: \"fast\" is a string, a number is needed"},
    {TRAIN, "+\"lr\": [0.1]", "train.lr: this is an array, a number is needed"},
};

static const bad_text BAD_SIZES[] = {
    {OUTER, "\"dim\": 16, \"layers\": 1, \"heads\": 3, \"patch\": 4",
     "x.json: levels[0].heads: 3 does not divide dim 16"},
    {LAST, "\"dim\": 10, \"layers\": 1, \"heads\": 2",
     "dim 10 / heads 2 gives head_size 5, an even"},
    {LAST, "\"dim\": 4, \"layers\": 1, \"heads\": 4", "dim 4 / heads 4 gives head_size 1, an even"},
    {LAST, "\"dim\": 1024, \"layers\": 1, \"heads\": 1", "gives head_size 1024, an even"},
    {LAST, "+\"head_size\": 3", "levels[1].head_size: 3 is odd, an even number is needed"},
    {LAST, "\"dim\": 8, \"layers\": 1, \"heads\": 4, \"kv_heads\": 3",
     "levels[1].kv_heads: 3 does not divide heads 4"},
    {LAST, "\"dim\": 8, \"layers\": 1, \"heads\": 2, \"kv_heads\": 4",
     "levels[1].kv_heads: 4 does not divide heads 2"},
    {OUTER, "\"dim\": 18, \"layers\": 1, \"heads\": 1, \"patch\": 4",
     "levels[0].dim: 18 is not a multiple of the 4 bytes of a patch"},
    {RAW,
     "{\"context\": 64, \"levels\": [{" LEVEL_0 "}, {" LEVEL_0 "}, {" LEVEL_0 "}, {" LEVEL_1 "}]}",
     "levels[0].dim: 16 is not a multiple of the 64 bytes of a patch"},
    /* Patches whose product passes 2^63: refused at the first width that is too small. */
    {RAW,
     "{\"context\": 64, \"levels\": ["
     "{\"dim\":1024,\"layers\":1,\"heads\":2,\"patch\":1024},"
     "{\"dim\":1024,\"layers\":1,\"heads\":2,\"patch\":1024},"
     "{\"dim\":1024,\"layers\":1,\"heads\":2,\"patch\":1024},"
     "{\"dim\":1024,\"layers\":1,\"heads\":2,\"patch\":1024},"
     "{\"dim\":1024,\"layers\":1,\"heads\":2,\"patch\":1024},"
     "{\"dim\":1024,\"layers\":1,\"heads\":2,\"patch\":1024},"
     "{\"dim\":1024,\"layers\":1,\"heads\":2,\"patch\":1024},{" LEVEL_1 "}]}",
     "levels[5].dim: 1024 is not a multiple of the 1048576 bytes of a patch"},
    {LAST, "+\"mixer\": [\"attention\", \"attention\"]",
     "x.json: levels[1].mixer: 2 items for 1 layers"},
    {MODEL, "\"context\": 63", "context: 63 is not a multiple of the 4 bytes of a patch"},
    {MODEL, "\"context\": 2", "context: 2 is not a multiple of the 4 bytes of a patch"},
    {MODEL, "+\"keep\": 30", "keep: 30 is not a multiple of the 4 bytes of a patch"},
    {MODEL, "+\"keep\": 64", "keep: 64 is not below context 64"},
    {MODEL, "+\"keep\": 128", "keep: 128 is not below context 64"},
    {LAST, "+\"cross_patch\": 5", "levels[1].cross_patch: 5 is more than the 4 rows of a group"},
    {OUTER, "+\"cross_patch\": 1",
     "levels[0].cross_patch: 1 is more than the 0 rows of a group (this level has no groups)"},
    {LAST, "+\"window\": [3, 4]", "levels[1].window: 2 items for 1 layers"},
    {LAST, "+\"block_local\": [3, 4, 5]", "levels[1].block_local: 3 items for 1 layers"},
    {LAST, "+\"window\": []", "levels[1].window: 0 items are outside 1 to 256"},
    {RAW,
     "{\"context\": 64, \"levels\": [{\"dim\": 8, \"layers\": 17, \"heads\": 1, \"window\": "
     "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}]}",
     "levels[0].window: 17 different pairs of window and block_local are more than 16"},
    {MODEL, "+\"endless\": true", "endless: levels[0].window is 0 for layer 0: without a window"},
    {RAW,
     "{\"context\": 64, \"endless\": true, \"levels\": [{\"dim\": 8, \"layers\": 2, \"heads\": 1, "
     "\"window\": [4, 0], \"block_local\": [0, 0]}]}",
     "endless: levels[0].window is 0 for layer 1: without a window or block_local it sees all"},
    {RAW,
     "{\"context\": 64, \"endless\": true, \"levels\": [{\"dim\": 8, \"layers\": 2, \"heads\": 1, "
     "\"window\": 4, \"positions\": \"learned\"}]}",
     "endless: levels[0].positions is \"learned\": a table has an end"},
    {OUTER, "+\"sinks\": 4",
     "levels[0].sinks: 4 is given, but without a window or block_local all rows see the first "
     "ones"},
    {OUTER, "+\"sinks\": 1025, \"window\": 4", "levels[0].sinks: 1025 is outside 0 to 1024"},
    {OUTER, "+\"sinks\": -1, \"window\": 4", "levels[0].sinks: -1 is outside 0 to 1024"},
    {LAST, "+\"window\": 2, \"sinks\": 3",
     "levels[1].sinks: 3 is given, but only the outermost level can have sinks"},
    {TRAIN, "+\"micro_batches\": 5", "train.micro_batches: 5 does not divide batch 16"},
    {TRAIN, "+\"micro_batches\": 32", "train.micro_batches: 32 does not divide batch 16"},
    {RAW,
     "{\"context\": 64, \"levels\": [{\"dim\": 16384, \"layers\": 256, \"heads\": 256, "
     "\"head_size\": 512, \"mlp_width\": 65536}]}",
     "levels: 2748791750656 parameters in all are more than the limit of 1099511627776"},
    /* That, seven tables of 1,024 columns, and a projection of each onto the width. */
    {RAW,
     "{\"context\": 64, \"levels\": [{\"dim\": 16384, \"layers\": 256, \"heads\": 256, "
     "\"head_size\": 512, \"mlp_width\": 65536, \"ngrams\": [2, 3, 4, 5, 6, 7, 8], "
     "\"ngram_rows\": 16777216, \"ngram_width\": 1024}]}",
     "levels: 2852055522304 parameters in all are more than the limit of 1099511627776"},
    /* And with a level below it instead, an encoder over bytes of 8,192. */
    {RAW,
     "{\"context\": 64, \"levels\": [{\"dim\": 16384, \"layers\": 256, \"heads\": 256, "
     "\"head_size\": 512, \"mlp_width\": 65536, \"patch\": 2, \"conv_encoder\": true}, {" LEVEL_1
     "}]}",
     "levels: 2749796354850 parameters in all are more than the limit of 1099511627776"},
    {LAST, "+\"conv_encoder\": true",
     "levels[1].conv_encoder: true is given, but the last level has no patches"},
};

static const bad_text BAD_SYNTAX[] = {
    {RAW, "", "x.json:1:0: "},
    {RAW, " ", "x.json:1:1: "},
    {RAW, "#", "x.json:1:1: "},
    {RAW, "3", "x.json:1:1: "},
    {RAW, "\"context\"", "x.json:1:9: "},
    {RAW, "null", "x.json:1:4: "},
    {RAW, "{", "x.json:1:1: "},
    {RAW, "{\"context\": 64", "x.json:1:14: "},
    {RAW, "{\"context\": 64,}", "x.json:1:16: "},
    {RAW, "{\"context\" 64}", "x.json:1:13: "},
    {RAW, "{context: 64}", "x.json:1:8: "},
    {RAW, "{'context': 64}", "x.json:1:2: "},
    {RAW, "{\"context\": 64]", "x.json:1:15: "},
    {RAW, "[[[}", "x.json:1:4: "},
    {RAW, "]]]]", "x.json:1:1: "},
    {RAW, SMALL "x", "x.json:1:"},
    {RAW, SMALL ",", "end of file expected near ','"},
    {RAW, SMALL SMALL, "end of file expected near '{'"},
    {RAW, SMALL "\n// comment", "x.json:2:1: end of file expected"},
    {RAW, "/* comment */" SMALL, "x.json:1:1: "},
    {RAW, "\xEF\xBB\xBF" SMALL, "x.json:1:1: "},
    {RAW, "{\n \"context\": 64,\n \"context\": 64}", "x.json:3:10: duplicate key \"context\""},
    {OUTER, "+\"dim\": 256", "duplicate key \"dim\""},
    {LAST, "+\"d\\u0069m\": 256", "duplicate key"},
    {MODEL, "+\"levels\": []", "duplicate key \"levels\""},
    {MODEL, "\"context\": 064", "x.json:1:"},
    {MODEL, "\"context\": +64", "x.json:1:"},
    {MODEL, "\"context\": 0x40", "x.json:1:"},
    {MODEL, "\"context\": 1e400", "real number overflow"},
    {MODEL, "\"context\": 9223372036854775808", "too big integer"},
    {MODEL, "\"context\": -9223372036854775809", "too big negative integer"},
    {MODEL, "\"context\": NaN", "x.json:1:"},
    {MODEL, "\"context\": Infinity", "x.json:1:"},
    {MODEL, "+\"softcap\": .5", "x.json:1:"},
    {MODEL, "+\"softcap\": 5.", "x.json:1:"},
    {MODEL, "+\"a\\u0000b\": 1", "x.json:1:"},
    {MODEL, "+\"\\ud800\": 1", "x.json:1:"},
    {MODEL, "+\"\\udc00\": 1", "x.json:1:"},
    {MODEL, "+\"\\x41\": 1", "invalid escape"},
    {MODEL, "+\"a\nb\": 1", "unexpected newline"},
    {MODEL, "+\"\x1b[31m\": 1", "control character 0x1b"},
    {MODEL, "+\"\xff\": 1", "unable to decode byte 0xff"},
    {MODEL, "+\"\xc0\xaf\": 1", "unable to decode byte 0xc0"},         /* overlong */
    {MODEL, "+\"\xed\xa0\x80\": 1", "unable to decode byte 0xed"},     /* surrogate */
    {MODEL, "+\"\xf4\x90\x80\x80\": 1", "unable to decode byte 0xf4"}, /* above U+10FFFF */
    {MODEL, "+\"\xe2\x82\": 1", "unable to decode byte 0xe2"},         /* cut short */
    {MODEL, "+\"unterminated: 1", "x.json:1:"},
};

static void bad_keys_are_named(void **state) {
    (void)state;
    CHECK_BAD(BAD_KEYS);
}

static void bad_types_are_named(void **state) {
    (void)state;
    CHECK_BAD(BAD_TYPES);
}

static void bad_sizes_are_named_with_both_values(void **state) {
    (void)state;
    CHECK_BAD(BAD_SIZES);
}

static void bad_syntax_has_a_place(void **state) {
    (void)state;
    CHECK_BAD(BAD_SYNTAX);
}

/* One key and its range as the header states it: both ends pass the range check, the neighbours
 * outside are refused. A key whose end is excluded has it as the neighbour. */
typedef struct bounds {
    bad_place place;
    const char *name, *below, *low, *high, *above;
} bounds;

static const bounds BOUNDS[] = {
    {MODEL, "context", "0", "1", "16777216", "16777217"},
    {MODEL, "keep", "-1", "0", "16777216", "16777217"},
    {MODEL, "vocabulary", "1", "2", "65536", "65537"},
    {MODEL, "rate_hz", "-1", "0", "384000", "384001"},
    {MODEL, "channels", "-1", "0", "8", "9"},
    {MODEL, "softcap", "-0.001", "0", "1000", "1000.1"},
    {MODEL, "init_scale", "0.00099", "0.001", "10", "10.01"},
    {LAST, "dim", "3", "4", "16384", "16385"},
    {LAST, "layers", "-1", "0", "256", "257"},
    {LAST, "heads", "0", "1", "256", "257"},
    {LAST, "kv_heads", "0", "1", "256", "257"},
    {LAST, "head_size", "1", "2", "512", "513"},
    {OUTER, "patch", "1", "2", "1024", "1025"},
    {LAST, "cross_patch", "-1", "0", "1024", "1025"},
    {LAST, "window", "-1", "0", "16777216", "16777217"},
    {LAST, "block_local", "-1", "0", "16777216", "16777217"},
    {LAST, "mlp_width", "0", "1", "65536", "65537"},
    {LAST, "rope_base", "1", "1.0000001", "1e9", "1000000001"},
    {LAST, "rope_scale", "0.999", "1", "1000000", "1000001"},
    {LAST, "ngram_rows", "0", "1", "16777216", "16777217"},
    {LAST, "ngram_width", "0", "1", "1024", "1025"},
    {LAST, "dropout", "-0.1", "0", "0.999999", "1"},
    {LAST, "planes", "0", "1", "1024", "1025"},
    {LAST, "norm_epsilon", "0", "1e-30", "0.1", "0.11"},
    {TRAIN, "batch", "0", "1", "65536", "65537"},
    {TRAIN, "micro_batches", "0", "1", "65536", "2147483648"},
    {TRAIN, "steps", "0", "1", "1000000000", "9223372036854775807"},
    {TRAIN, "lr", "-1e-9", "0", "10", "10.1"},
    {TRAIN, "muon_lr", "-1", "0", "10", "11"},
    {TRAIN, "warmup", "-9223372036854775808", "0", "1000000000", "1000000001"},
    {TRAIN, "decay", "-0.1", "0", "1", "1.0000001"},
    {TRAIN, "final_lr", "-0.1", "0", "1", "1e300"},
    {TRAIN, "weight_decay", "-0.1", "0", "10", "10.5"},
    {TRAIN, "beta1", "-0.1", "0", "0.9999", "1"},
    {TRAIN, "beta2", "-0.1", "0", "0.9999", "1.0"},
    {TRAIN, "epsilon", "0", "1e-30", "1", "1.5"},
    {TRAIN, "momentum", "-0.1", "0", "0.9999", "1"},
    {TRAIN, "clip", "-1", "0", "1e9", "1e10"},
    {TRAIN, "mean", "-0.5", "0", "1", "2"},
};

/* Parses with the key set to value; returns whether its range was the complaint. */
static int is_outside(const bounds *b, const char *value) {
    static const char *const prefix[] = {"", "", "levels[0].", "levels[1].", "train."};
    char members[256], text[1024], expected[128];
    const char *rest = "";
    if (b->place == MODEL && strcmp(b->name, "context") != 0)
        rest = ", \"context\": 64";
    else if (b->place == OUTER)
        rest = ", \"dim\": 16, \"layers\": 1, \"heads\": 2";
    else if (b->place == LAST && strcmp(b->name, "dim") == 0)
        rest = ", \"layers\": 1, \"heads\": 2";
    else if (b->place == LAST && strcmp(b->name, "layers") == 0)
        rest = ", \"dim\": 8, \"heads\": 2";
    else if (b->place == LAST && strcmp(b->name, "heads") == 0)
        rest = ", \"dim\": 8, \"layers\": 1";
    else if (b->place == LAST)
        rest = ", " LEVEL_1;
    snprintf(members, sizeof members, "\"%s\": %s%s", b->name, value, rest);
    write_bad(text, sizeof text, &(bad_text){b->place, members, NULL});
    snprintf(expected, sizeof expected, "x.json: %s%s: ", prefix[b->place], b->name);
    config c;
    octet_error error;
    if (parse(&c, text, &error) == OCTET_OK)
        return 0;
    if (strstr(error.text, " is outside ") == NULL)
        return 0; /* in its range, but against another key */
    if (strncmp(error.text, expected, strlen(expected)) != 0)
        fail_msg("%s\n  says     %s\n  expected %s", text, error.text, expected);
    return 1;
}

static void ranges_hold_at_both_ends(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof BOUNDS / sizeof BOUNDS[0]; i++) {
        const bounds *b = &BOUNDS[i];
        if (!is_outside(b, b->below) || !is_outside(b, b->above))
            fail_msg("%s: %s or %s was not refused", b->name, b->below, b->above);
        if (is_outside(b, b->low) || is_outside(b, b->high))
            fail_msg("%s: %s or %s was refused", b->name, b->low, b->high);
    }
}

static void nul_bytes_are_refused(void **state) {
    (void)state;
    char text[512];
    config c;
    octet_error error;
    size_t n = strlen(SMALL);
    memcpy(text, SMALL, n + 1);
    assert_int_equal(config_parse(&c, text, n + 1, "x.json", &error), OCTET_ERROR);
    assert_non_null(strstr(error.text, "x.json:1:"));
    text[1] = '\0';
    assert_int_equal(config_parse(&c, text, n, "x.json", &error), OCTET_ERROR);
    assert_int_equal(config_parse(&c, NULL, 0, "x.json", &error), OCTET_ERROR);
    assert_int_equal(config_parse(&c, NULL, 0, "x.json", NULL), OCTET_ERROR);
}

/* Every truncation, and every change of one byte, ends with a status and never with a crash; what
 * is accepted writes itself. */
static void damaged_texts_are_survived(void **state) {
    (void)state;
    size_t n = strlen(EVERY_KEY);
    char *text = support_alloc(n, 1);
    octet_error error;
    config c;
    for (size_t cut = 0; cut < n; cut++) {
        char *exact = support_alloc(cut + 1, 1); /* so that reading past the end shows */
        memcpy(exact, EVERY_KEY, cut);
        assert_int_equal(config_parse(&c, exact, cut, "x.json", &error), OCTET_ERROR);
        free(exact);
    }
    uint64_t random = 2;
    int accepted = 0;
    for (int i = 0; i < 4000; i++) {
        memcpy(text, EVERY_KEY, n);
        text[support_integer(&random, 0, (int64_t)n - 1)] ^=
            (char)(1 << support_integer(&random, 0, 7));
        if (config_parse(&c, text, n, "x.json", &error) == OCTET_OK) {
            check_round_trip(&c);
            accepted++;
        }
    }
    assert_true(accepted > 0 && accepted < 2000); /* some digits may change, most bytes may not */
    free(text);
}

static void deep_and_large_texts_are_refused_before_parsing(void **state) {
    (void)state;
    size_t n = 1 << 20;
    char *text = support_alloc(n + 1, 1);
    config c;
    octet_error error;
    memset(text, '[', n + 1);
    assert_int_equal(config_parse(&c, text, n, "x.json", &error), OCTET_ERROR);
    assert_string_equal(error.text, "x.json:1:33: nested deeper than the limit of 32");
    for (size_t i = 0; i < n; i++)
        text[i] = "{\"a\":"[i % 5];
    assert_int_equal(config_parse(&c, text, n, "x.json", &error), OCTET_ERROR);
    assert_string_equal(error.text, "x.json:1:161: nested deeper than the limit of 32");
    /* 32 levels reach the parser; brackets and quotes inside strings do not count. */
    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    assert_int_equal(config_parse(&c, text, 64, "x.json", &error), OCTET_ERROR);
    assert_string_equal(error.text, "x.json: this is an array, an object is needed");
    n = (size_t)sprintf(text, "{\n\"\\\"%040d\\\\\": 1}", 0);
    memset(text + 5, '[', 40);
    assert_int_equal(config_parse(&c, text, n, "x.json", &error), OCTET_ERROR);
    assert_non_null(strstr(error.text, "unknown key \"\"[[[["));
    /* Exactly 1 MiB passes, one byte more does not. */
    n = 1 << 20;
    memset(text, ' ', n + 1);
    memcpy(text, SMALL, strlen(SMALL));
    support_ok(config_parse(&c, text, n, "x.json", &error), &error);
    assert_int_equal(config_parse(&c, text, n + 1, "x.json", &error), OCTET_ERROR);
    assert_string_equal(error.text, "x.json: 1048577 bytes are more than the limit of 1048576");
    free(text);
}

/* Errors quote at most a part of what a text says and never half a character. */
static void long_names_are_cut(void **state) {
    (void)state;
    char text[4096];
    config c;
    octet_error error;
    for (int shift = 0; shift < 3; shift++) {
        size_t n = (size_t)sprintf(text, "{\"%.*s", shift, "aaa");
        for (int i = 0; i < 600; i++)
            n += (size_t)sprintf(text + n, "\xe2\x82\xac");
        sprintf(text + n, "\": 1}");
        assert_int_equal(parse(&c, text, &error), OCTET_ERROR);
        assert_true(strlen(error.text) < 100);
        assert_non_null(strstr(error.text, "\xe2\x82\xac...\""));
    }
}

/* --- files -------------------------------------------------------------------------------- */

static void files_are_read_and_named(void **state) {
    (void)state;
    char path[] = "/tmp/octet_config_XXXXXX";
    config c, expected;
    octet_error error;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(SMALL, 1, strlen(SMALL), f), strlen(SMALL));
    assert_int_equal(fclose(f), 0);
    support_ok(config_read(&c, path, &error), &error);
    parse_ok(&expected, SMALL);
    assert_memory_equal(&c, &expected, sizeof c);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(config_read(&c, path, &error), OCTET_ERROR);
    assert_int_equal(strncmp(error.text, path, strlen(path)), 0);
    assert_int_equal(remove(path), 0);
    assert_int_equal(config_read(&c, path, &error), OCTET_ERROR);
    assert_int_equal(strncmp(error.text, path, strlen(path)), 0);
    assert_int_equal(config_read(&c, "/tmp", &error), OCTET_ERROR);
    assert_int_equal(config_read(&c, "/dev/zero", &error), OCTET_ERROR);
}

static void windows_begin_with_whole_frames(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        int64_t step;
    } rows[] = {
        {"\"codec\": \"raw\"", 1},
        {"\"codec\": \"pcm8\", \"rate_hz\": 8000, \"channels\": 1", 1},
        {"\"codec\": \"mulaw8\", \"rate_hz\": 8000, \"channels\": 3", 3},
        {"\"codec\": \"pcm16\", \"rate_hz\": 8000, \"channels\": 2", 4},
        {"\"codec\": \"image\", \"image_width\": 8, \"image_height\": 4, \"channels\": 1", 12},
        {"\"codec\": \"records\", \"record_bytes\": 7", 12}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        config c;
        octet_error error = {0};
        assert_int_equal(parse_codec(&c, rows[i].keys, &error), OCTET_OK);
        assert_int_equal(config_window_step(&c), rows[i].step);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_documented),
        cmocka_unit_test(defaults_follow_other_keys),
        cmocka_unit_test(units_multiply_from_the_last_level),
        cmocka_unit_test(every_key_is_read_and_written),
        cmocka_unit_test(text_is_normal),
        cmocka_unit_test(lists_are_normal),
        cmocka_unit_test(mixers_are_named_once),
        cmocka_unit_test(random_configurations_round_trip),
        cmocka_unit_test(identity_is_this_text),
        cmocka_unit_test(every_key_of_a_model_is_in_its_identity),
        cmocka_unit_test(codecs_have_their_keys),
        cmocka_unit_test(windows_begin_with_whole_frames),
        cmocka_unit_test(identity_is_of_the_model),
        cmocka_unit_test(bad_keys_are_named),
        cmocka_unit_test(bad_types_are_named),
        cmocka_unit_test(bad_sizes_are_named_with_both_values),
        cmocka_unit_test(bad_syntax_has_a_place),
        cmocka_unit_test(ranges_hold_at_both_ends),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(damaged_texts_are_survived),
        cmocka_unit_test(deep_and_large_texts_are_refused_before_parsing),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(files_are_read_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
