/* config_check.c: see config_check.h.
 *
 * Each value is in its range already. Levels are taken from the last up: the bytes of a unit are
 * then known to divide the width below, and no product of patches can overflow. */
#include "model/config_check.h"

#include <inttypes.h>
#include <string.h>

#include "mixer/mixer.h"
#include "patch/ngrams.h"

enum { EMBED_ROPE_MAX = 1 << 20 }; /* cosines and sines that a graph holds */
static const int64_t PARAMETERS_MAX = (int64_t)1 << 40;

static octet_status check_heads(config_level *l, int s, const char *name, octet_error *error) {
    if (l->kv_heads == CONFIG_DERIVED)
        l->kv_heads = l->heads;
    if (l->heads % l->kv_heads)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].kv_heads: %" PRId64 " does not divide heads %" PRId64,
                         name, s, l->kv_heads, l->heads);
    if (l->head_size == CONFIG_DERIVED) {
        if (l->dim % l->heads)
            return error_set(error, OCTET_ERROR,
                             "%s: levels[%d].heads: %" PRId64 " does not divide dim %" PRId64, name,
                             s, l->heads, l->dim);
        l->head_size = l->dim / l->heads;
        if (l->head_size < 2 || l->head_size > 512 || l->head_size % 2)
            return error_set(error, OCTET_ERROR,
                             "%s: levels[%d].heads: dim %" PRId64 " / heads %" PRId64
                             " gives head_size %" PRId64 ", an even number from 2 to 512 is needed",
                             name, s, l->dim, l->heads, l->head_size);
    }
    if (l->head_size % 2)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].head_size: %" PRId64 " is odd, an even number is needed",
                         name, s, l->head_size);
    return OCTET_OK;
}

/* Keeps the shortest list that gives the first `n` the same. */
static void shorten_list(config_list *list, int64_t n) {
    int32_t shortest = 1;
    for (int64_t i = 0; i < n && shortest < list->n; i++)
        if (config_of_layer(list, i) != list->value[i % shortest]) {
            shortest++;
            i = -1;
        }
    memset(list->value + shortest, 0, (size_t)(list->n - shortest) * sizeof *list->value);
    list->n = shortest;
}

/* Refuses more items than layers. */
static octet_status check_list(config_list *list, const char *key, int64_t layers, int s,
                               const char *name, octet_error *error) {
    if (list->n > 1 && list->n > layers)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].%s: %" PRId32 " items for %" PRId64 " layers", name, s,
                         key, list->n, layers);
    shorten_list(list, layers);
    return OCTET_OK;
}

/* Layers with equal rules of seeing share an input. */
static int count_rules(const config_level *l) {
    int n = 0;
    for (int64_t i = 0; i < l->layers; i++) {
        int64_t k = 0;
        while (config_of_layer(&l->window, k) != config_of_layer(&l->window, i) ||
               config_of_layer(&l->block_local, k) != config_of_layer(&l->block_local, i))
            k++;
        n += k == i;
    }
    return n;
}

/* A row loses sight of the first ones only where windows or blocks end, and below the outermost
 * level, where groups do. */
static octet_status check_sinks(const config_level *l, int s, const char *name,
                                octet_error *error) {
    int limits = 0;
    for (int64_t i = 0; i < l->layers; i++)
        limits |= config_of_layer(&l->window, i) || config_of_layer(&l->block_local, i);
    if (!l->sinks || (s == 0 && limits))
        return OCTET_OK;
    return error_set(error, OCTET_ERROR, "%s: levels[%d].sinks: %" PRId64 " is given, but %s", name,
                     s, l->sinks,
                     s ? "only the outermost level can have sinks"
                       : "without a window or block_local all rows see the first ones");
}

static octet_status check_seeing(config *c, int s, const char *name, octet_error *error) {
    config_level *l = &c->level[s];
    int64_t group = s ? c->level[s - 1].patch : 0;
    if (l->cross_patch > group)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].cross_patch: %" PRId64 " is more than the %" PRId64
                         " rows of a group%s",
                         name, s, l->cross_patch, group, s ? "" : " (this level has no groups)");
    octet_status status = check_list(&l->window, "window", l->layers, s, name, error);
    if (!status)
        status = check_list(&l->block_local, "block_local", l->layers, s, name, error);
    if (!status && count_rules(l) > LEVEL_LAYER_RULES)
        status =
            error_set(error, OCTET_ERROR,
                      "%s: levels[%d].window: %d different pairs of window and block_local are "
                      "more than %d",
                      name, s, count_rules(l), LEVEL_LAYER_RULES);
    return status ? status : check_sinks(l, s, name, error);
}

/* What would tie a row of the outermost level to the beginning of the stream. The levels below see
 * little more than their group. */
static octet_status check_endless(const config *c, const char *name, octet_error *error) {
    const config_level *l = &c->level[0];
    if (!c->endless)
        return OCTET_OK;
    if (config_learned_positions(l))
        return error_set(error, OCTET_ERROR,
                         "%s: endless: levels[0].positions is \"learned\": a table has an end",
                         name);
    for (int64_t i = 0; i < l->layers; i++)
        if (!config_of_layer(&l->window, i) && !config_of_layer(&l->block_local, i))
            return error_set(error, OCTET_ERROR,
                             "%s: endless: levels[0].window is 0 for layer %" PRId64
                             ": without a window or block_local it sees all rows before it",
                             name, i);
    return OCTET_OK;
}

/* Neither what looks back from every byte goes with the other embedders, nor does dim bound the
 * bytes of their units. */
static octet_status check_embedder(const config *c, int s, const char *name, octet_error *error) {
    const config_level *l = &c->level[s];
    int64_t unit = config_unit_bytes(c, s);
    if (l->embedder != EMBEDDER_CONCAT && unit > c->context)
        return error_set(error, OCTET_ERROR,
                         "%s: context: %" PRId64 " is less than the %" PRId64 " bytes of a patch",
                         name, c->context, unit);
    if (l->embedder == EMBEDDER_ONE_HOT && unit > INT32_MAX / c->vocabulary)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].embedder: %" PRId64 " bytes of %" PRId64
                         " symbols are more than 2^31 rows of a table",
                         name, s, unit, c->vocabulary);
    if (l->conv_encoder && s == c->n_levels - 1)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].conv_encoder: true is given, but the last level has no "
                         "patches",
                         name, s);
    if (l->embedder != EMBEDDER_CONCAT && (l->conv_encoder || l->ngrams))
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].embedder: \"%s\" does not go with %s, \"concat\" does",
                         name, s, l->embedder == EMBEDDER_NORMED ? "normed" : "one-hot",
                         l->conv_encoder ? "conv_encoder true" : "ngrams");
    int64_t places = s ? c->level[s - 1].patch : c->context / unit;
    if (!l->embed_rope)
        return OCTET_OK;
    if (l->dim % 2)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].embed_rope: dim %" PRId64 " is odd, pairs are needed",
                         name, s, l->dim);
    if (places > EMBED_ROPE_MAX / l->dim || c->endless || c->rows == LAYOUT_BGPT)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].embed_rope: %" PRId64 " positions of dim %" PRId64
                         "%s, at most %d numbers and no end are possible, and not layout \"bgpt\"",
                         name, s, places, l->dim, c->endless ? ", endless" : "", EMBED_ROPE_MAX);
    return OCTET_OK;
}

/* The bytes of a unit are embedded side by side in dim, and a slice of dim feeds each unit of the
 * next level, unless other parts do that: what is cut must divide dim. */
static octet_status check_cuts(const config *c, int s, const char *name, octet_error *error) {
    const config_level *l = &c->level[s];
    int64_t unit = config_unit_bytes(c, s);
    int has_slices = l->split == SPLIT_SLICES && c->rows != LAYOUT_BGPT;
    if (l->embedder == EMBEDDER_CONCAT && l->dim % unit)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].dim: %" PRId64 " is not a multiple of the %" PRId64
                         " bytes of a patch",
                         name, s, l->dim, unit);
    if (has_slices && l->dim % l->patch)
        return error_set(error, OCTET_ERROR,
                         "%s: levels[%d].dim: %" PRId64 " is not a multiple of patch %" PRId64,
                         name, s, l->dim, l->patch);
    return OCTET_OK;
}

static octet_status check_level(config *c, int s, const char *name, octet_error *error) {
    config_level *l = &c->level[s];
    octet_status status = check_heads(l, s, name, error);
    if (!status)
        status = check_list(&l->mixer, "mixer", l->layers, s, name, error);
    if (status)
        return status;
    if (l->mlp_width == CONFIG_DERIVED)
        l->mlp_width = l->mlp == MLP_SWIGLU ? (8 * l->dim + 47) / 48 * 16 : 4 * l->dim;
    status = check_cuts(c, s, name, error);
    return status ? status : check_embedder(c, s, name, error);
}

/* Windows begin at whole outermost patches, so the tables' turns must too. A tied head has one
 * table.
 */
static octet_status check_planes(const config *c, const char *name, octet_error *error) {
    int64_t unit = config_unit_bytes(c, 0);
    for (int s = 0; s < c->n_levels; s++) {
        const config_level *l = &c->level[s];
        const char *against = NULL;
        if (l->planes == 1)
            continue;
        if (unit % l->planes)
            return error_set(error, OCTET_ERROR,
                             "%s: levels[%d].planes: %" PRId64
                             " does not divide the outermost patch of %" PRId64 " bytes",
                             name, s, l->planes, unit);
        if (c->zero_pad || l->embedder == EMBEDDER_ONE_HOT)
            against =
                c->zero_pad ? "zero_pad" : "embedder \"one-hot\", which has a table for each byte";
        else if (c->tied_head && s + 1 == c->n_levels)
            against = "tied_head at the last level";
        if (against)
            return error_set(error, OCTET_ERROR,
                             "%s: levels[%d].planes: %" PRId64 " does not go with %s", name, s,
                             l->planes, against);
    }
    return OCTET_OK;
}

/* What the layouts of other programs leave out, and what they need. */
static octet_status check_layout(config *c, const char *name, octet_error *error) {
    const char *layout = c->rows == LAYOUT_BGPT ? "bgpt" : "lucidrains", *key = NULL;
    int64_t unit = config_unit_bytes(c, 0);
    if (c->rows == LAYOUT_PAPER && c->start_symbols.n == 1 && !c->start_symbols.value[0])
        return OCTET_OK;
    if (c->rows != LAYOUT_BGPT && (c->start_symbols.n > 1 || c->start_symbols.value[0]))
        return error_set(error, OCTET_ERROR,
                         "%s: start_symbols: these are given, but layout is not \"bgpt\"", name);
    if (c->zero_pad || c->endless)
        key = c->zero_pad ? "zero_pad" : "endless";
    for (int s = 0; s < c->n_levels && !key; s++)
        key = c->level[s].cross_patch    ? "cross_patch"
              : c->level[s].conv_encoder ? "conv_encoder"
                                         : NULL;
    if (key)
        return error_set(error, OCTET_ERROR, "%s: layout: \"%s\" does not go with %s", name, layout,
                         key);
    if (c->rows == LAYOUT_LUCIDRAINS)
        return OCTET_OK;
    if (c->start_symbols.n > 1 && c->start_symbols.n > unit)
        return error_set(error, OCTET_ERROR,
                         "%s: start_symbols: %" PRId32 " items for a patch of %" PRId64 " bytes",
                         name, c->start_symbols.n, unit);
    shorten_list(&c->start_symbols, unit);
    for (int32_t i = 0; i < c->start_symbols.n; i++)
        if (c->start_symbols.value[i] >= c->vocabulary)
            return error_set(error, OCTET_ERROR,
                             "%s: start_symbols[%" PRId32 "]: %" PRId32
                             " is not below vocabulary %" PRId64,
                             name, i, c->start_symbols.value[i], c->vocabulary);
    for (int s = 0; s + 1 < c->n_levels; s++) {
        const config_level *l = &c->level[s];
        if (l->split != SPLIT_SLICES)
            return error_set(error, OCTET_ERROR,
                             "%s: levels[%d].split: \"full\" is given, but layout \"bgpt\" splits "
                             "nothing",
                             name, s);
        if (l->dim != l[1].dim)
            return error_set(error, OCTET_ERROR,
                             "%s: levels[%d].dim: %" PRId64 " is not the %" PRId64
                             " of the next level, which layout \"bgpt\" needs",
                             name, s, l->dim, l[1].dim);
    }
    return OCTET_OK;
}

static octet_status check_context(config *c, const char *name, octet_error *error) {
    int64_t unit = config_unit_bytes(c, 0);
    if (c->context % unit)
        return error_set(error, OCTET_ERROR,
                         "%s: context: %" PRId64 " is not a multiple of the %" PRId64
                         " bytes of a patch",
                         name, c->context, unit);
    if (c->keep == CONFIG_DERIVED)
        c->keep = c->context / 2 / unit * unit;
    if (c->keep % unit)
        return error_set(error, OCTET_ERROR,
                         "%s: keep: %" PRId64 " is not a multiple of the %" PRId64
                         " bytes of a patch",
                         name, c->keep, unit);
    if (c->keep >= c->context)
        return error_set(error, OCTET_ERROR, "%s: keep: %" PRId64 " is not below context %" PRId64,
                         name, c->keep, c->context);
    return OCTET_OK;
}

static octet_status check_train(config_train *t, const char *name, octet_error *error) {
    int is_muon = t->optimizer == OPTIMIZER_MUON;
    if (t->lr == CONFIG_DERIVED)
        t->lr = is_muon ? 0.008 : 0.002;
    if (t->weight_decay == CONFIG_DERIVED)
        t->weight_decay = is_muon ? 0 : 0.1;
    if (t->batch % t->micro_batches)
        return error_set(error, OCTET_ERROR,
                         "%s: train.micro_batches: %" PRId64 " does not divide batch %" PRId64,
                         name, t->micro_batches, t->batch);
    return OCTET_OK;
}

/* Sums and products of non-negative numbers that stay at INT64_MAX instead of overflowing. */
static int64_t sum(int64_t a, int64_t b) {
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static int64_t product(int64_t a, int64_t b) {
    return a != 0 && b > INT64_MAX / a ? INT64_MAX : a * b;
}

static int64_t linear_weights(int64_t out, int64_t in, int bias) {
    return sum(product(out, in), bias ? out : 0);
}

static int64_t norm_weights(const config_level *l) {
    return l->bias && l->norm == CONFIG_NORM_LAYER ? 2 * l->dim : l->dim;
}

/* Weights of one block: attention with its norm, MLP with its norm; without value residual. */
static int64_t block_weights(const config_level *l) {
    int64_t q = l->heads * l->head_size, kv = l->kv_heads * l->head_size;
    int64_t n = sum(linear_weights(q, l->dim, l->bias), linear_weights(l->dim, q, l->bias));
    n = sum(n, product(2, linear_weights(kv, l->dim, l->bias)));
    n = sum(n, l->qk_norm ? l->heads : 0);
    int64_t up = linear_weights(l->mlp_width, l->dim, l->bias || l->mlp_bias);
    n = sum(n, product(l->mlp == MLP_SWIGLU ? 2 : 1, up));
    n = sum(n, linear_weights(l->dim, l->mlp_width, l->bias || l->mlp_bias));
    n = sum(n, l->x0_mix ? 2 : 0);
    return sum(n, 2 * norm_weights(l));
}

/* Weights of the n-grams and of the encoder, whose filters see 3, 5 and 7 bytes of width dim. */
static int64_t look_back_weights(const config_level *l, int64_t dim) {
    const ngram_set set = {l->ngrams, l->ngram_rows};
    int64_t n = product(ngram_table_rows(&set) + dim * ngram_count(&set), l->ngram_width);
    return sum(n, l->conv_encoder ? product(3 + 5 + 7, dim * dim) : 0);
}

/* Tables of bytes, starts, and what embeds a unit from them. */
static int64_t embedder_weights(const config *c, int s) {
    const config_level *l = &c->level[s];
    int64_t unit = config_unit_bytes(c, s), width = c->level[c->n_levels - 1].dim;
    int64_t n = c->zero_pad || c->rows == LAYOUT_BGPT ? 0 : l->dim;
    int64_t symbols = c->vocabulary * l->planes;
    if (l->embedder == EMBEDDER_CONCAT)
        return sum(sum(n, product(symbols, l->dim / unit)), look_back_weights(l, l->dim / unit));
    if (l->embedder == EMBEDDER_ONE_HOT)
        return sum(sum(n, l->dim), product(product(unit, c->vocabulary), l->dim));
    n = sum(n, product(symbols, width));
    n = sum(n, product(2, product(unit, width)));
    n = sum(n, linear_weights(l->dim, product(unit, width), 1));
    return sum(n, 2 * l->dim);
}

static int64_t split_weights(const config *c, int s) {
    const config_level *l = &c->level[s];
    if (c->rows == LAYOUT_BGPT)
        return 0;
    if (l->split == SPLIT_FULL)
        return linear_weights(product(l->patch, l[1].dim), l->dim, 1);
    return product(l[1].dim, l->dim / l->patch);
}

/* Two for every block with values but the first. */
static int64_t value_weights(const config_level *l) {
    int64_t n = 0;
    for (int64_t i = 0; i < l->layers && l->value_residual; i++)
        n += mixer_at((int)config_of_layer(&l->mixer, i))->has_values;
    return n ? 2 * (n - 1) : 0;
}

int64_t config_weights(const config *c) {
    int64_t n = 0;
    for (int s = 0; s < c->n_levels; s++) {
        const config_level *l = &c->level[s];
        int64_t unit = config_unit_bytes(c, s);
        n = sum(n, embedder_weights(c, s));
        int64_t places = s ? c->level[s - 1].patch : c->context / unit;
        n = sum(n, config_learned_positions(l) ? product(places, l->dim) : 0);
        n = sum(n, product(l->layers, block_weights(l)));
        n = sum(n, value_weights(l));
        n = sum(n, norm_weights(l));
        if (s < c->n_levels - 1)
            n = sum(n, split_weights(c, s));
        else
            n = sum(n, c->tied_head ? 0 : product(c->vocabulary, l->dim));
    }
    return sum(n, c->head_bias ? c->vocabulary : 0);
}

static octet_status check_end_symbol(const config *c, const char *name, octet_error *error) {
    if (c->end_symbol == -1 || (c->end_symbol >= 256 && c->end_symbol < c->vocabulary))
        return OCTET_OK;
    return error_set(error, OCTET_ERROR,
                     "%s: end_symbol: %" PRId64
                     " is neither -1 nor from 256 to below vocabulary %" PRId64,
                     name, c->end_symbol, c->vocabulary);
}

octet_status config_check(config *c, const char *name, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int s = c->n_levels - 1; s >= 0 && !status; s--)
        status = check_level(c, s, name, error);
    for (int s = 0; s < c->n_levels && !status; s++)
        status = check_seeing(c, s, name, error);
    if (!status)
        status = check_planes(c, name, error);
    if (!status)
        status = check_layout(c, name, error);
    if (!status)
        status = check_end_symbol(c, name, error);
    if (!status)
        status = check_endless(c, name, error);
    if (!status)
        status = check_context(c, name, error);
    if (!status)
        status = config_check_codec(c, name, error);
    if (!status)
        status = check_train(&c->train, name, error);
    if (status)
        return status;
    int64_t n = config_weights(c);
    if (n > PARAMETERS_MAX)
        return error_set(error, OCTET_ERROR,
                         "%s: levels: %" PRId64 " parameters in all are more than the limit of "
                         "%" PRId64,
                         name, n, PARAMETERS_MAX);
    return OCTET_OK;
}
