/* import_gpt2.c: files of bGPT and of NotaGen: a GPT-2 over patches, and one over the bytes of
 * each.
 *
 * GPT-2's linear layers are stored [in, out]. Its last positions are rows that no prediction sees:
 * the last patch of a context predicts nothing, and neither does the last byte of a patch; they are
 * left out. A stream begins after its first patch, which is given: the file type's name in bGPT, a
 * mark in NotaGen. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/config.h"
#include "model/import_plan.h"

#define PATCHES "patch_level_decoder."

/* What differs. */
typedef struct gpt2_kind {
    const char *inner;  /* of the bytes' tensors, which continue "base.transformer." */
    int64_t vocabulary; /* as published: the first patch's symbols are of it */
} gpt2_kind;

typedef struct gpt2 {
    const gpt2_kind *kind;
    int64_t dim, vocabulary, patch, patches; /* bytes in a patch, patches in a context */
    int64_t layers[2], hidden[2], heads;
} gpt2;

/* --- moves */

static void block_moves(import_plan *p, const gpt2 *m, const char *stack, int level, int layer) {
    static const struct {
        const char *from, *to;
    } norms[] = {{"ln_1", "mixer_norm"}, {"ln_2", "mlp_norm"}},
      layers[] = {{"attn.c_proj", "attn.wo"}, {"mlp.c_fc", "mlp.up"}, {"mlp.c_proj", "mlp.down"}};
    static const char *const thirds[] = {"attn.wq", "attn.wk", "attn.wv"};
    const char *from = import_name(p, "%sh.%d", stack, layer);
    const char *to = import_name(p, "levels.%d.blocks.%d", level, layer);
    for (int i = 0; i < 2; i++) {
        import_whole(p, import_name(p, "%s.%s.weight", from, norms[i].from),
                     import_name(p, "%s.%s.gain", to, norms[i].to), 1);
        import_whole(p, import_name(p, "%s.%s.bias", from, norms[i].from),
                     import_name(p, "%s.%s.bias", to, norms[i].to), 1);
    }
    for (int i = 0; i < 3; i++) {
        import_add(p, &(import_move){.from = import_name(p, "%s.%s.weight", from, layers[i].from),
                                     .to = import_name(p, "%s.%s", to, layers[i].to),
                                     .rank = 2,
                                     .transposed = 1});
        import_whole(p, import_name(p, "%s.%s.bias", from, layers[i].from),
                     import_name(p, "%s.%s.bias", to, layers[i].to), 1);
    }
    for (int i = 0; i < 3; i++) {
        import_add(p, &(import_move){.from = import_name(p, "%s.attn.c_attn.weight", from),
                                     .to = import_name(p, "%s.%s", to, thirds[i]),
                                     .rank = 2,
                                     .first = i * m->dim,
                                     .lines = 3 * m->dim,
                                     .transposed = 1});
        import_add(p, &(import_move){.from = import_name(p, "%s.attn.c_attn.bias", from),
                                     .to = import_name(p, "%s.%s.bias", to, thirds[i]),
                                     .rank = 1,
                                     .first = i * m->dim,
                                     .lines = 3 * m->dim});
    }
}

static void level_moves(import_plan *p, const gpt2 *m, const char *stack, int level) {
    import_add(p, &(import_move){.from = import_name(p, "%swpe.weight", stack),
                                 .to = import_name(p, "levels.%d.positions", level),
                                 .rank = 2,
                                 .lines = level ? m->patch + 1 : m->patches});
    import_note(p, "%swpe.weight: the last row is left out, no prediction sees it", stack);
    for (int i = 0; i < m->layers[level] && !p->error.code; i++)
        block_moves(p, m, stack, level, i);
    import_whole(p, import_name(p, "%sln_f.weight", stack),
                 import_name(p, "levels.%d.last_norm.gain", level), 1);
    import_whole(p, import_name(p, "%sln_f.bias", stack),
                 import_name(p, "levels.%d.last_norm.bias", level), 1);
}

static void moves(import_plan *p, const gpt2 *m) {
    const char *inner = import_name(p, "%sbase.transformer.", m->kind->inner);
    import_add(p, &(import_move){.from = PATCHES "patch_embedding.weight",
                                 .to = "levels.0.embed",
                                 .rank = 2,
                                 .transposed = 1});
    import_whole(p, PATCHES "patch_embedding.bias", "levels.0.embed.bias", 1);
    import_whole(p, import_name(p, "%swte.weight", inner), "levels.1.embed", 2);
    level_moves(p, m, PATCHES "base.", 0);
    level_moves(p, m, inner, 1);
    p->tied[0] = import_name(p, "%sbase.lm_head.weight", m->kind->inner);
    p->tied[1] = import_name(p, "%swte.weight", inner);
}

/* --- the configuration */

static void write_level(import_plan *p, const gpt2 *m, int level) {
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:I, s:s, s:s, s:b, s:s, s:b, s:b, s:s, s:f}", "dim",
                  (json_int_t)m->dim, "layers", (json_int_t)m->layers[level], "heads",
                  (json_int_t)m->heads, "mlp_width", (json_int_t)m->hidden[level], "mlp",
                  "gelu-tanh", "norm", "layer", "bias", 1, "positions", "learned", "qk_norm", 0,
                  "zero_init", 0, "embedder", level ? "concat" : "one-hot", "norm_epsilon", 1e-5);
    if (!level && o)
        import_set(p, o, "patch", json_integer(m->patch));
    if (p->error.code)
        json_decref(o);
    else if (json_array_append_new(p->levels, o))
        error_memory(&p->error, p->path, 4096);
}

static void write_config(import_plan *p, const gpt2 *m, json_t *start) {
    import_set(p, p->config, "context", json_integer(import_product(m->patches - 1, m->patch)));
    import_set(p, p->config, "vocabulary", json_integer(m->vocabulary));
    import_set(p, p->config, "layout", json_string("bgpt"));
    import_set(p, p->config, "start_symbols", start);
    if (m->vocabulary > 256) /* 256 fills up the last patch: the first one ends the file */
        import_set(p, p->config, "end_symbol", json_integer(256));
    import_set(p, p->config, "tied_head", json_true());
    for (int s = 0; s < 2; s++)
        write_level(p, m, s);
}

/* --- sizes */

static void read_level(import_plan *p, gpt2 *m, const char *stack, int level) {
    const char *first = import_name(p, "%sh.0.mlp.c_fc.weight", stack);
    m->layers[level] =
        import_count(p, import_name(p, "%sh.", stack), ".ln_1.weight", CONFIG_MAX_LAYERS);
    const foreign_tensor *t = m->layers[level] ? import_need(p, first, 2) : NULL;
    m->hidden[level] = t ? t->dim[1] : 1;
}

static void read_sizes(import_plan *p, gpt2 *m) {
    const char *inner = import_name(p, "%sbase.transformer.", m->kind->inner);
    if (import_find(p, "classifier.weight"))
        import_fail(p, OCTET_CORRUPT,
                    "tensor classifier.weight is of a classifier, which predicts no bytes");
    const foreign_tensor *table = import_need(p, import_name(p, "%swte.weight", inner), 2);
    const foreign_tensor *embedding = import_need(p, PATCHES "patch_embedding.weight", 2);
    const foreign_tensor *places = import_need(p, PATCHES "base.wpe.weight", 2);
    if (p->error.code)
        return;
    m->vocabulary = table->dim[0];
    m->dim = embedding->dim[0];
    m->patches = places->dim[0];
    m->patch = embedding->dim[1] / m->vocabulary;
    if (m->vocabulary != m->kind->vocabulary)
        import_fail(p, OCTET_CORRUPT, "tensor %s has %" PRId64 " rows, %s has %" PRId64 " symbols",
                    table->name, m->vocabulary, p->format->name, m->kind->vocabulary);
    else if (embedding->dim[1] % m->vocabulary)
        import_fail(p, OCTET_CORRUPT,
                    "tensor %s has %" PRId64 " columns, a multiple of the %" PRId64
                    " symbols is needed",
                    embedding->name, embedding->dim[1], m->vocabulary);
    read_level(p, m, PATCHES "base.", 0);
    read_level(p, m, inner, 1);
}

static void take_settings(import_plan *p, gpt2 *m) {
    const import_place at = {p->settings, ""};
    import_agree(p, &at, "patch_size", m->patch);
    import_agree(p, &at, "patch_length", m->patches);
    import_agree(p, &at, "hidden_size", m->dim);
    import_agree(p, &at, "patch_layers", m->layers[0]);
    import_agree(p, &at, "byte_layers", m->layers[1]);
    import_agree(p, &at, "vocab", m->vocabulary);
    int is_set = import_integer(p, &at, "heads", &m->heads);
    if (!is_set && m->dim % 64 == 0)
        m->heads = m->dim / 64;
    else if (!is_set)
        import_ask(p, "--set heads=N (of width 64 there are none, the width is %" PRId64 ")",
                   m->dim);
    else if (!m->heads || m->dim % m->heads)
        import_fail(p, OCTET_ERROR,
                    "setting heads: %" PRId64 " is given, it does not divide the width %" PRId64,
                    m->heads, m->dim);
}

/* `first` symbols, then `rest`, in all a patch; NULL after an error. */
static json_t *first_patch(import_plan *p, const gpt2 *m, const uint8_t *first, size_t n,
                           int rest) {
    json_t *list = p->error.code ? NULL : json_array();
    for (int64_t i = 0; list && i < m->patch && i <= CONFIG_MAX_LAYERS; i++)
        if (json_array_append_new(list, json_integer((size_t)i < n ? first[i] : rest))) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

/* --- the formats */

static const gpt2_kind BGPT = {"byte_level_decoder.", 257};
static const gpt2_kind NOTAGEN = {"char_level_decoder.", 128};

static void make_bgpt(import_plan *p) {
    gpt2 m = {.kind = &BGPT};
    const char *extension = "";
    read_sizes(p, &m);
    take_settings(p, &m);
    if (!import_text(p, &(import_place){p->settings, ""}, "extension", &extension))
        import_note(p, "no extension is set: streams begin with a patch of 256");
    const char *dot = strrchr(extension, '.');
    extension = dot ? dot + 1 : extension;
    if (*p->missing || p->error.code)
        return;
    write_config(p, &m, first_patch(p, &m, (const uint8_t *)extension, strlen(extension), 256));
    moves(p, &m);
}

static void make_notagen(import_plan *p) {
    gpt2 m = {.kind = &NOTAGEN};
    read_sizes(p, &m);
    take_settings(p, &m);
    if (*p->missing || p->error.code)
        return;
    json_t *start = first_patch(p, &m, NULL, 0, 1);
    if (start && json_array_set_new(start, json_array_size(start) - 1, json_integer(2)))
        error_memory(&p->error, p->path, 64);
    write_config(p, &m, start);
    moves(p, &m);
}

static const char *const BGPT_SETTINGS[] = {"patch_size",   "patch_length", "hidden_size",
                                            "patch_layers", "byte_layers",  "heads",
                                            "vocab",        "extension",    NULL};
static const char *const NOTAGEN_SETTINGS[] = {
    "patch_size",  "patch_length", "hidden_size", "patch_layers",
    "byte_layers", "heads",        "vocab",       NULL};

static const import_skip SKIPS[] = {
    {"*.attn.bias", "a causal mask"},
    {"*.attn.masked_bias", "what a causal mask puts in"},
    {PATCHES "base.wte.weight", "a byte table that patches do not use"},
    {NULL, NULL}};

const import_format IMPORT_BGPT = {"bgpt", "bGPT, models that generate", BGPT_SETTINGS, SKIPS,
                                   make_bgpt};
const import_format IMPORT_NOTAGEN = {"notagen", "NotaGen", NOTAGEN_SETTINGS, SKIPS, make_notagen};
