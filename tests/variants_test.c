/* variants_test.c: every option with 1, 2, 3 and 4 levels, from one table, under one contract.
 *
 * For each variant: a stream read byte by byte on the plain C kernels is the yardstick. All
 * instruction sets with other numbers of threads, whole feeds, random pieces, scoring, batches
 * whose lanes join and leave, and streams saved and restored at every place in a patch give its
 * bits. Changing a byte changes nothing before it. The gradient is held against finite differences
 * in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/config_check.h"
#include "ref_backend.h"
#include "session_case.h"
#include "support.h"
#include "tiny_model.h"
#include "whole_case.h"

static octet_error error;

#define SEED 31

/* Keys of the model, of levels above the bytes, and of the last level. */
typedef struct option_row {
    const char *name, *top, *above, *last;
    int least, most;   /* levels that it makes sense with */
    const char *outer; /* keys of the outermost level alone */
} option_row;

static const option_row options[] = {
    {"plain", "", "", "", 1, 4, ""},
    {"paper block", "\"zero_pad\": true, ",
     ", \"positions\": \"learned\", \"mlp\": \"relu\", \"norm\": \"layer\", \"bias\": true, "
     "\"qk_norm\": false",
     ", \"positions\": \"learned\", \"mlp\": \"relu\", \"norm\": \"layer\", \"bias\": true, "
     "\"qk_norm\": false",
     1, 4, ""},
    {"no positions", "", ", \"positions\": \"none\"", ", \"positions\": \"none\"", 1, 4, ""},
    {"alibi", "", ", \"positions\": \"alibi\"", ", \"positions\": \"alibi\"", 1, 4, ""},
    {"rope scale", "", ", \"rope_scale\": 2.5, \"rope_base\": 500", ", \"rope_scale\": 1.5", 1, 4,
     ""},
    {"shared keys", "", ", \"kv_heads\": 1", ", \"kv_heads\": 1, \"mlp\": \"swiglu\"", 1, 4, ""},
    {"symbols", "\"vocabulary\": 259, \"tied_head\": false, \"softcap\": 12, ", "", "", 1, 4, ""},
    {"windows", "", ", \"window\": [3, 0]", ", \"window\": 5", 1, 4, ""},
    {"blocks", "", ", \"block_local\": 3", ", \"block_local\": 4", 1, 4, ""},
    {"sinks", "", ", \"window\": 3", ", \"window\": 5", 1, 4, ", \"sinks\": 2"},
    {"endless", "\"endless\": true, ", ", \"window\": 3", ", \"window\": 5", 1, 4, ""},
    {"cross-patch", "", "", ", \"cross_patch\": 2", 2, 4, ""},
    {"convolutions", "", ", \"conv_encoder\": true", "", 2, 4, ""},
    {"n-grams", "", ", \"ngrams\": [2], \"ngram_rows\": 64, \"ngram_width\": 4",
     ", \"ngrams\": [2, 3], \"ngram_rows\": 64, \"ngram_width\": 4", 1, 4, ""},
    {"input mix", "", ", \"x0_mix\": true", ", \"x0_mix\": true", 1, 4, ""},
    {"value residual", "", ", \"value_residual\": true", ", \"value_residual\": true", 1, 4, ""},
    {"token shift", "", ", \"token_shift\": true", ", \"token_shift\": true", 1, 4, ""},
    {"dropout", "", ", \"dropout\": 0.3", ", \"dropout\": 0.1", 1, 4, ""},
    {"leaky", "", ", \"mlp\": \"leaky-relu2\"", ", \"mlp\": \"gelu-tanh\"", 1, 4, ""},
    {"head bias", "\"head_bias\": true, \"tied_head\": false, ", ", \"mlp_bias\": true", "", 1, 4,
     ""},
    {"norm epsilon", "", ", \"norm_epsilon\": 1e-16", ", \"norm_epsilon\": 0.01", 1, 4, ""},
    {"both positions", "", ", \"positions\": \"learned-rope\"", ", \"positions\": \"learned-rope\"",
     1, 4, ""},
    {"turned units", "", ", \"embed_rope\": true", ", \"embed_rope\": true", 1, 4, ""},
    {"planes", "\"tied_head\": false, ", ", \"planes\": 2, \"conv_encoder\": true",
     ", \"planes\": 2", 2, 4, ""},
    {"normed planes", "", ", \"planes\": 2, \"embedder\": \"normed\"", "", 2, 3, ""},
    {"normed units", "", ", \"embedder\": \"normed\"", "", 2, 4, ""},
    {"one-hot units", "", ", \"embedder\": \"one-hot\"", "", 2, 4, ""},
    {"full split", "", ", \"split\": \"full\"", "", 2, 4, ""},
    {"own starts", "\"layout\": \"lucidrains\", ", "", "", 1, 4, ""},
    {"own starts, windows", "\"layout\": \"lucidrains\", ",
     ", \"window\": 3, \"positions\": \"alibi\"", ", \"window\": 2, \"positions\": \"learned\"", 1,
     4, ""},
    {"MEGABYTE-pytorch", "\"layout\": \"lucidrains\", \"tied_head\": false, \"head_bias\": true, ",
     ", \"embedder\": \"normed\", \"split\": \"full\", \"positions\": \"learned-rope\", "
     "\"norm_epsilon\": 1e-16, \"token_shift\": true, \"mlp\": \"gelu\", \"mlp_bias\": true, "
     "\"qk_norm\": false, \"kv_heads\": 1",
     ", \"token_shift\": true, \"mlp\": \"gelu\", \"mlp_bias\": true, \"qk_norm\": false", 1, 4,
     ""},
    {"MBLM", "\"layout\": \"lucidrains\", \"vocabulary\": 257, ",
     ", \"embedder\": \"normed\", \"split\": \"full\", \"embed_rope\": true, \"token_shift\": true",
     "", 1, 4, ""},
    {"given patch", "\"layout\": \"bgpt\", \"vocabulary\": 257, \"start_symbols\": [116, 256], ",
     "", "", 2, 4, ""},
    {"bGPT", "\"layout\": \"bgpt\", \"vocabulary\": 257, \"start_symbols\": [116, 256], ",
     ", \"embedder\": \"one-hot\", \"positions\": \"learned\", \"norm\": \"layer\", "
     "\"bias\": true, \"qk_norm\": false, \"mlp\": \"gelu-tanh\"",
     ", \"positions\": \"learned\", \"norm\": \"layer\", \"bias\": true, "
     "\"qk_norm\": false, \"mlp\": \"gelu-tanh\"",
     2, 4, ""},
    {"all of the recipe", "\"softcap\": 20, \"tied_head\": false, ",
     ", \"ngrams\": [2, 3], \"ngram_rows\": 64, \"ngram_width\": 4, \"x0_mix\": true, "
     "\"value_residual\": true, \"conv_encoder\": true, \"window\": [4, 0]",
     ", \"ngrams\": [3], \"ngram_rows\": 64, \"ngram_width\": 4, \"x0_mix\": true, "
     "\"value_residual\": true, \"cross_patch\": 2",
     2, 4, ""},
};

/* The levels: context 24 bytes in patches of 12, 4 or 2. */
static void write_json(char *out, size_t size, const option_row *o, int levels) {
    static const char *const shapes[4] = {
        "\"dim\": 16, \"heads\": 2",
        "\"dim\": 16, \"heads\": 2",
        "\"dim\": 24, \"heads\": 2",
        "\"dim\": 24, \"heads\": 3",
    };
    static const int patches[4][4] = {{0}, {4, 0}, {3, 2, 0}, {2, 3, 2, 0}};
    const int equal = strstr(o->top, "bgpt") != NULL; /* its levels have one width */
    size_t n = (size_t)snprintf(out, size, "{\"context\": 24, %s\"levels\": [", o->top);
    for (int s = 0; s < levels; s++) {
        int last = s + 1 == levels;
        n += (size_t)snprintf(out + n, size - n, "%s{%s, \"layers\": 2, \"zero_init\": false",
                              s ? ", " : "", shapes[equal ? 2 : levels - 1 - s]);
        if (!last)
            n += (size_t)snprintf(out + n, size - n, ", \"patch\": %d", patches[levels - 1][s]);
        n += (size_t)snprintf(out + n, size - n, "%s%s}", last ? o->last : o->above,
                              s ? "" : o->outer);
    }
    snprintf(out + n, size - n, "]}");
}

/* --- the contract */

/* Saved at every place of two outermost patches at the start and around the end of the context,
 * restored into a session with other streams, the stream goes on with the same bits. */
static void check_saved(const yardstick *y, const model *m) {
    const int64_t patch = m->shape[0].unit_bytes, context = m->config.context;
    session *s = case_session(m, 1), *t = case_session(m, 3);
    case_join(t);
    int from = case_join(s), to = case_join(t);
    size_t size = session_save_bytes(s);
    void *saved = support_alloc(size, 1);
    for (int64_t at = 0; at < (int64_t)y->n - patch - 1; at++) {
        if (at < 2 * patch || (at > context - patch && at < context + patch)) {
            float bits;
            support_ok(session_save(s, from, saved, size, &error), &error);
            support_ok(session_restore(t, to, saved, size, &error), &error);
            case_check_logits(y, t, to);
            for (int64_t k = at; k <= at + patch; k++) {
                case_feed(t, to, y->bytes + k, 1, &bits);
                assert_memory_equal(&bits, &y->bits[k], sizeof bits);
            }
        }
        case_feed(s, from, y->bytes + at, 1, NULL);
    }
    free(saved);
    session_destroy(&s);
    session_destroy(&t);
}

static void check_bits(const char *json, int64_t context) {
    static const int threads[CPU_ISAS] = {1, 2, 5, 3};
    backend *b = tiny_backend(1, CPU_SCALAR);
    model *m = tiny_model_of(b, json, SEED);
    yardstick y = case_measure(m, (size_t)(context * 5 / 2 + 5), 3);
    model_destroy(&m);
    backend_destroy(&b);
    for (int isa = CPU_SCALAR; isa < CPU_ISAS; isa++) {
        b = tiny_backend(threads[isa], (cpu_isa)isa);
        m = tiny_model_of(b, json, SEED);
        yardstick other = case_measure(m, y.n, 3);
        assert_memory_equal(other.logits, y.logits,
                            (y.n + 1) * (size_t)y.vocabulary * sizeof *y.logits);
        case_release(&other);
        case_check_whole(&y, m);
        case_check_score(&y, m, y.n);
        case_check_pieces(&y, m, (uint64_t)isa);
        if (isa + 1 == CPU_ISAS) {
            case_check_batch(m, 7, 60, 5);
            check_saved(&y, m);
        }
        model_destroy(&m);
        backend_destroy(&b);
    }
    case_release(&y);
}

static void contract(void **state) {
    const char *json = *state;
    backend *b = tiny_backend(2, CPU_AVX512), *ref = NULL;
    support_ok(ref_backend_create(&ref, &error), &error);
    model *m = tiny_model_of(b, json, SEED), *twin = tiny_model_of(ref, json, SEED);
    assert_int_equal(config_weights(&m->config), params_count(&m->params));
    check_bits(json, m->config.context);
    whole_check_causal(m);
    whole_check_gradient(twin, 3);
    model_destroy(&m);
    model_destroy(&twin);
    backend_destroy(&b);
    backend_destroy(&ref);
}

enum { MOST_VARIANTS = 4 * sizeof options / sizeof *options, JSON_BYTES = 2048 };

int main(void) {
    static struct CMUnitTest tests[MOST_VARIANTS];
    static char names[MOST_VARIANTS][64], json[MOST_VARIANTS][JSON_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        for (int levels = options[i].least; levels <= options[i].most; levels++, n++) {
            snprintf(names[n], sizeof names[n], "%s, %d level%s", options[i].name, levels,
                     levels > 1 ? "s" : "");
            write_json(json[n], JSON_BYTES, &options[i], levels);
            tests[n] = (struct CMUnitTest){names[n], contract, NULL, NULL, json[n]};
        }
    return _cmocka_run_group_tests("variants", tests, n, NULL, NULL);
}
