/* config_keys.c: see config_keys.h. A new key is a row here, its field in config.h, and what ties
 * it to others in config_check.c. */
#include "model/config_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config_check.h"
#include "patch/ngrams.h"

/* Flags are int; choices are enums, which are stored as int; a set of small numbers is an int whose
 * bits are its members. */
_Static_assert(sizeof(config_mlp) == sizeof(int) && sizeof(config_norm) == sizeof(int) &&
                   sizeof(config_positions) == sizeof(int) &&
                   sizeof(config_optimizer) == sizeof(int) &&
                   sizeof(config_embedder) == sizeof(int) && sizeof(config_split) == sizeof(int) &&
                   sizeof(config_rows) == sizeof(int) && sizeof(config_codec) == sizeof(int),
               "enums are stored as int");

static const char *const MLP_NAMES[] = {"relu",   "relu2",       "gelu", "gelu-tanh",
                                        "swiglu", "leaky-relu2", NULL};
static const char *const NORM_NAMES[] = {"rms", "layer", NULL};
static const char *const POSITION_NAMES[] = {"learned", "rope",         "none",
                                             "alibi",   "learned-rope", NULL};
static const char *const EMBEDDER_NAMES[] = {"concat", "normed", "one-hot", NULL};
static const char *const SPLIT_NAMES[] = {"slices", "full", NULL};
static const char *const CODEC_NAMES[] = {"raw",   "pcm8",    "mulaw8", "pcm16",
                                          "image", "records", NULL};
static const char *const LAYOUT_NAMES[] = {"paper", "lucidrains", "bgpt", NULL};
static const char *const OPTIMIZER_NAMES[] = {"adamw", "muon", NULL};

#define ROW(type, field, kind, ...)                                                                \
    { #field, kind, offsetof(type, field), __VA_ARGS__ }
#define INTEGER(type, field, low, high, standard, rules)                                           \
    ROW(type, field, KEY_INTEGER, low, high, standard, rules, NULL)
#define REAL(type, field, low, high, standard, rules)                                              \
    ROW(type, field, KEY_REAL, low, high, standard, rules, NULL)
#define LIST(type, field, low, high, standard)                                                     \
    ROW(type, field, KEY_LIST, low, high, standard, 0, NULL)
#define FLAG(type, field, standard) ROW(type, field, KEY_FLAG, 0, 1, standard, 0, NULL)
#define CHOICE(type, field, names, standard) ROW(type, field, KEY_CHOICE, 0, 0, standard, 0, names)
#define SET(type, field, low, high) ROW(type, field, KEY_SET, low, high, 0, 0, NULL)

static const config_key MODEL_KEYS[] = {
    INTEGER(config, context, 1, 1 << 24, 0, REQUIRED),
    INTEGER(config, keep, 0, 1 << 24, CONFIG_DERIVED, 0),
    INTEGER(config, vocabulary, 2, 65536, 256, 0),
    FLAG(config, tied_head, 1),
    FLAG(config, zero_pad, 0),
    FLAG(config, endless, 0),
    REAL(config, softcap, 0, 1000, 0, 0),
    REAL(config, init_scale, 0.001, 10, 1, 0),
    {"layout", KEY_CHOICE, offsetof(config, rows), 0, 0, LAYOUT_PAPER, 0, LAYOUT_NAMES},
    LIST(config, start_symbols, 0, 65535, 0),
    FLAG(config, head_bias, 0),
    INTEGER(config, end_symbol, -1, 65535, -1, 0),
    CHOICE(config, codec, CODEC_NAMES, CODEC_RAW),
    INTEGER(config, rate_hz, 0, 384000, 0, 0),
    INTEGER(config, channels, 0, 8, 0, 0),
    INTEGER(config, image_width, 0, 65535, 0, 0),
    INTEGER(config, image_height, 0, 65535, 0, 0),
    INTEGER(config, image_block, 1, 4096, 1, 0),
    INTEGER(config, record_bytes, 0, 1 << 24, 0, 0),
    INTEGER(config, record_filler, 0, 255, 0, 0),
};

static const config_key LEVEL_KEYS[] = {
    INTEGER(config_level, dim, 4, 16384, 0, REQUIRED),
    INTEGER(config_level, layers, 0, CONFIG_MAX_LAYERS, 0, REQUIRED),
    INTEGER(config_level, heads, 1, 256, 0, REQUIRED),
    INTEGER(config_level, kv_heads, 1, 256, CONFIG_DERIVED, 0),
    INTEGER(config_level, head_size, 2, 512, CONFIG_DERIVED, 0),
    INTEGER(config_level, patch, 2, 1024, 1, 0), /* read_level: required or refused */
    INTEGER(config_level, cross_patch, 0, 1024, 0, 0),
    LIST(config_level, window, 0, 1 << 24, 0),
    LIST(config_level, block_local, 0, 1 << 24, 0),
    INTEGER(config_level, sinks, 0, 1024, 0, 0),
    INTEGER(config_level, mlp_width, 1, 65536, CONFIG_DERIVED, 0),
    CHOICE(config_level, mlp, MLP_NAMES, MLP_RELU2),
    CHOICE(config_level, norm, NORM_NAMES, CONFIG_NORM_RMS),
    FLAG(config_level, bias, 0),
    CHOICE(config_level, positions, POSITION_NAMES, POSITIONS_ROPE),
    REAL(config_level, rope_base, 1, 1e9, 10000, ABOVE_LOW),
    REAL(config_level, rope_scale, 1, 1e6, 1, 0),
    FLAG(config_level, qk_norm, 1),
    FLAG(config_level, zero_init, 1),
    SET(config_level, ngrams, 2, NGRAM_MAX),
    INTEGER(config_level, ngram_rows, 1, 1 << 24, 16384, 0),
    INTEGER(config_level, ngram_width, 1, 1024, 32, 0),
    FLAG(config_level, conv_encoder, 0),
    ROW(config_level, mixer, KEY_MIXERS, 0, 0, 0, 0, NULL),
    FLAG(config_level, x0_mix, 0),
    FLAG(config_level, value_residual, 0),
    FLAG(config_level, token_shift, 0),
    REAL(config_level, dropout, 0, 1, 0, BELOW_HIGH),
    CHOICE(config_level, embedder, EMBEDDER_NAMES, EMBEDDER_CONCAT),
    INTEGER(config_level, planes, 1, 1024, 1, 0),
    CHOICE(config_level, split, SPLIT_NAMES, SPLIT_SLICES),
    FLAG(config_level, embed_rope, 0),
    FLAG(config_level, mlp_bias, 0),
    REAL(config_level, norm_epsilon, 1e-30, 0.1, 1e-5, 0),
};

static const config_key TRAIN_KEYS[] = {
    CHOICE(config_train, optimizer, OPTIMIZER_NAMES, OPTIMIZER_MUON),
    INTEGER(config_train, batch, 1, 65536, 16, 0),
    INTEGER(config_train, micro_batches, 1, 65536, 1, 0),
    INTEGER(config_train, steps, 1, 1e9, 1000, 0),
    REAL(config_train, lr, 0, 10, CONFIG_DERIVED, 0),
    REAL(config_train, muon_lr, 0, 10, 0.02, 0),
    INTEGER(config_train, warmup, 0, 1e9, 20, 0),
    REAL(config_train, decay, 0, 1, 0.6, 0),
    REAL(config_train, final_lr, 0, 1, 0, 0),
    REAL(config_train, weight_decay, 0, 10, CONFIG_DERIVED, 0),
    REAL(config_train, beta1, 0, 1, 0.9, BELOW_HIGH),
    REAL(config_train, beta2, 0, 1, 0.95, BELOW_HIGH),
    REAL(config_train, epsilon, 1e-30, 1, 1e-10, 0),
    REAL(config_train, momentum, 0, 1, 0.95, BELOW_HIGH),
    REAL(config_train, clip, 0, 1e9, 1, 0),
    REAL(config_train, mean, 0, 1, 0.04, 0),
};

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const char *const NO_NAMES[] = {NULL};
static const char *const MODEL_NESTED[] = {"levels", "train", NULL};
const config_layout CONFIG_MODEL = {MODEL_KEYS, COUNT(MODEL_KEYS), MODEL_NESTED};
const config_layout CONFIG_LEVEL = {LEVEL_KEYS, COUNT(LEVEL_KEYS), NO_NAMES};
const config_layout CONFIG_TRAIN = {TRAIN_KEYS, COUNT(TRAIN_KEYS), NO_NAMES};

void config_key_store(const config_key *k, void *target, double value) {
    char *at = (char *)target + k->offset;
    if (k->kind == KEY_INTEGER) {
        int64_t number = (int64_t)value;
        memcpy(at, &number, sizeof number);
    } else if (k->kind == KEY_REAL) {
        memcpy(at, &value, sizeof value);
    } else if (k->kind == KEY_LIST || k->kind == KEY_MIXERS) {
        config_list list = {1, {(int32_t)value}};
        memcpy(at, &list, sizeof list);
    } else {
        int number = (int)value;
        memcpy(at, &number, sizeof number);
    }
}

void config_number_text(char out[32], double value) {
    char digits[40];
    int precision = 1;
    if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value) {
        snprintf(out, 32, "%" PRId64, (int64_t)value);
        return;
    }
    do
        snprintf(digits, sizeof digits, "%.*g", precision, value);
    while (strtod(digits, NULL) != value && ++precision <= 17);
    size_t n = 0;
    for (const char *c = digits; *c != '\0' && n < 31; c++) {
        if (strchr("0123456789+-e", *c))
            out[n++] = *c;
        else if (n == 0 || out[n - 1] != '.')
            out[n++] = '.';
    }
    out[n] = '\0';
}
