/* import_megabyte.c: files of MEGABYTE-pytorch 0.2.1 and later, and what they share with MBLM's.
 *
 * Sizes follow from shapes. What shapes do not tell is asked for: how the rows of to_q are cut into
 * heads, how many units a context has, and what only the constructor's arguments say. The two
 * differ in names, in settings, and in that MBLM's levels each have their own heads and positions.
 */
#include "model/import_megabyte.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- names */

static const char *stack_name(const megabyte *m) {
    return m->mblm ? "stage_models" : "transformers";
}

static const char *tables_name(const megabyte *m) {
    return m->mblm ? "token_embs_rev" : "token_embs";
}

static const char *projections_name(const megabyte *m) {
    return m->mblm ? "to_next_stage_proj" : "to_next_transformer_projections";
}

/* The byte table of a level; they are numbered from the bytes outwards. */
static const char *table_name(import_plan *p, const megabyte *m, int level) {
    int index = m->n - 1 - level;
    if (m->mblm && !m->old_tables)
        return import_name(p, "%s.%d.embedding.weight", tables_name(m), index);
    return import_name(p, index ? "%s.%d.0.weight" : "%s.%d.weight", tables_name(m), index);
}

/* Part 0, 1, 2 of what follows an outer level's byte table: norm, linear, norm. */
static const char *after_name(import_plan *p, const megabyte *m, int level, int part,
                              const char *what) {
    int index = m->n - 1 - level;
    if (m->mblm && !m->old_tables)
        return import_name(p, "%s.%d._post.%d.%s", tables_name(m), index, part + 1, what);
    return import_name(p, "%s.%d.%d.%s", tables_name(m), index, part + 2, what);
}

static const char *projection_name(import_plan *p, const megabyte *m, int level, const char *what) {
    return import_name(p, "%s.%d.1.%s", projections_name(m), level, what);
}

static const char *layer_name(import_plan *p, const megabyte *m, int level, int layer,
                              const char *what) {
    return import_name(p, "%s.%d.layers.%d.%s", stack_name(m), level, layer, what);
}

/* --- moves */

static void layer_moves(import_plan *p, const megabyte *m, int level, int layer) {
    static const struct {
        const char *from, *to;
        int rank;
    } whole[] = {
        {"0.norm.g", "mixer_norm.gain", 1}, {"0.to_q.weight", "attn.wq", 2},
        {"0.to_out.weight", "attn.wo", 2},  {"1.0.g", "mlp_norm.gain", 1},
        {"1.1.weight", "mlp.up", 2},        {"1.1.bias", "mlp.up.bias", 1},
        {"1.4.weight", "mlp.down", 2},      {"1.4.bias", "mlp.down.bias", 1},
    };
    const megabyte_level *l = &m->level[level];
    int64_t keys = l->kv_heads * l->head_size;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        import_whole(p, layer_name(p, m, level, layer, whole[i].from),
                     import_name(p, "levels.%d.blocks.%d.%s", level, layer, whole[i].to),
                     whole[i].rank);
    for (int values = 0; values < 2; values++)
        import_add(p, &(import_move){.from = layer_name(p, m, level, layer, "0.to_kv.weight"),
                                     .to = import_name(p, "levels.%d.blocks.%d.attn.w%c", level,
                                                       layer, values ? 'v' : 'k'),
                                     .rank = 2,
                                     .first = values ? keys : 0,
                                     .lines = 2 * keys});
}

static void embedder_moves(import_plan *p, const megabyte *m, int level) {
    static const char *const norms[] = {"embed_norm", "embed_linear", "embed_last_norm"};
    import_whole(p, table_name(p, m, level), import_name(p, "levels.%d.embed", level), 2);
    for (int i = 0; i < 3 && level + 1 < m->n; i++) {
        import_whole(p, after_name(p, m, level, i, "weight"),
                     import_name(p, "levels.%d.%s%s", level, norms[i], i == 1 ? "" : ".gain"),
                     i == 1 ? 2 : 1);
        import_whole(p, after_name(p, m, level, i, "bias"),
                     import_name(p, "levels.%d.%s.bias", level, norms[i]), 1);
    }
    import_add(p, &(import_move){.from = import_name(p, "start_tokens.%d", level),
                                 .to = import_name(p, "levels.%d.start", level),
                                 .rank = 1,
                                 .offset = level ? m->offset : 0});
    if (m->level[level].learned)
        import_whole(p, import_name(p, "pos_embs.%d.weight", level),
                     import_name(p, "levels.%d.positions", level), 2);
}

void megabyte_moves(import_plan *p, const megabyte *m) {
    for (int s = 0; s < m->n; s++) {
        embedder_moves(p, m, s);
        for (int i = 0; i < m->level[s].layers && !p->error.code; i++)
            layer_moves(p, m, s, i);
        import_whole(p, import_name(p, "%s.%d.norm.g", stack_name(m), s),
                     import_name(p, "levels.%d.last_norm.gain", s), 1);
        if (s + 1 == m->n)
            break;
        import_whole(p, projection_name(p, m, s, "weight"), import_name(p, "levels.%d.split", s),
                     2);
        import_whole(p, projection_name(p, m, s, "bias"), import_name(p, "levels.%d.split.bias", s),
                     1);
    }
    import_whole(p, "to_logits.weight", import_name(p, "levels.%d.head", m->n - 1), 2);
    import_whole(p, "to_logits.bias", import_name(p, "levels.%d.head.bias", m->n - 1), 1);
}

/* --- sizes from shapes */

static int64_t rows_of(import_plan *p, const char *name) {
    const foreign_tensor *t = import_need(p, name, 2);
    return t ? t->dim[0] : 1;
}

static void read_level(import_plan *p, megabyte *m, int s) {
    megabyte_level *l = &m->level[s];
    const foreign_tensor *start = import_need(p, import_name(p, "start_tokens.%d", s), 1);
    const char *positions = import_name(p, "pos_embs.%d.weight", s);
    l->dim = start ? start->dim[0] : 1;
    l->layers = import_count(p, import_name(p, "%s.%d.layers.", stack_name(m), s), ".0.norm.g",
                             CONFIG_MAX_LAYERS);
    l->learned = import_find(p, positions) != NULL;
    if (l->learned && !s)
        l->length = rows_of(p, positions);
    const char *turns = import_name(p, "%s.%d.rotary_emb.inv_freq", stack_name(m), s);
    if (import_find(p, turns)) {
        const foreign_tensor *t = import_need(p, turns, 1);
        l->rotary = 1;
        l->head_size = t ? 2 * t->dim[0] : 0;
    }
    if (!l->layers && !p->error.code)
        import_fail(p, OCTET_CORRUPT, "%s.%d: no layers of a causal Transformer are there",
                    stack_name(m), s);
    l->width = rows_of(p, layer_name(p, m, s, 0, "0.to_q.weight"));
    l->keys = rows_of(p, layer_name(p, m, s, 0, "0.to_kv.weight"));
    l->hidden = rows_of(p, layer_name(p, m, s, 0, "1.1.weight"));
}

/* The rows of a projection are the units of the next level, each of its width. */
static void read_length(import_plan *p, megabyte *m, int s) {
    const char *name = projection_name(p, m, s, "weight");
    int64_t rows = rows_of(p, name), dim = m->level[s + 1].dim;
    if (!p->error.code && (rows % dim || rows == dim))
        import_fail(p, OCTET_CORRUPT,
                    "tensor %s has %" PRId64 " rows, 2 or more times the width %" PRId64
                    " of start_tokens.%d are needed",
                    name, rows, dim, s + 1);
    m->level[s + 1].length = rows / dim;
}

void megabyte_read_sizes(import_plan *p, megabyte *m) {
    m->n = import_count(p, "start_tokens.", "", CONFIG_MAX_LEVELS);
    if (!m->n)
        import_need(p, "start_tokens.0", 1);
    m->vocabulary = rows_of(p, "to_logits.weight");
    for (int s = 0; s < m->n; s++)
        read_level(p, m, s);
    for (int s = 0; s + 1 < m->n; s++)
        read_length(p, m, s);
}

/* Files before 0.2.1 have other equations. */
static void refuse_old(import_plan *p) {
    static const char *const signs[] = {"token_emb.weight", "to_next_transformer_projections.0.0.",
                                        "patch_embedders.", "patch_embedder."};
    for (size_t i = 0; i < foreign_count(p->file) && !p->error.code; i++)
        for (size_t k = 0; k < sizeof signs / sizeof *signs; k++)
            if (!strncmp(foreign_at(p->file, i)->name, signs[k], strlen(signs[k])))
                import_fail(p, OCTET_CORRUPT,
                            "tensor %s is of MEGABYTE-pytorch 0.2.0 or older, 0.2.1 is needed",
                            foreign_at(p->file, i)->name);
}

/* --- heads */

void megabyte_cut_heads(import_plan *p, megabyte *m, int s, int64_t heads, int64_t size) {
    megabyte_level *l = &m->level[s];
    int shares = l->keys != 2 * l->width;
    int64_t known = shares ? l->keys / 2 : l->head_size;
    if (l->keys % 2)
        import_fail(p, OCTET_CORRUPT,
                    "tensor %s.%d.layers.0.0.to_kv.weight has %" PRId64
                    " rows, an even number is needed",
                    stack_name(m), s, l->keys);
    if (known && size && known != size)
        import_fail(p, OCTET_ERROR,
                    "level %d: heads of size %" PRId64 " are set, in the file they are of %" PRId64,
                    s, size, known);
    size = known ? known : size;
    if (!size && heads && l->width % heads == 0)
        size = l->width / heads;
    if (!heads && size && l->width % size == 0)
        heads = l->width / size;
    if ((heads || size) && import_product(heads, size) != l->width)
        import_fail(p, OCTET_ERROR,
                    "level %d: %" PRId64 " heads times size %" PRId64 " is not the %" PRId64
                    " rows of to_q",
                    s, heads, size, l->width);
    l->heads = heads;
    l->head_size = size;
    l->kv_heads = shares ? 1 : heads;
}

void megabyte_agree_rotary(import_plan *p, const import_place *at, const char *name,
                           megabyte_level *l) {
    int wanted = l->rotary;
    if (import_flag(p, at, name, &wanted) && l->rotary && !wanted)
        import_fail(p, OCTET_ERROR,
                    "setting %s%s: false is given, the file has rotary_emb.inv_freq", at->name,
                    name);
    l->rotary = wanted;
}

void megabyte_agree_learned(import_plan *p, const import_place *at, const char *name, int given,
                            int found) {
    if (given != found)
        import_fail(p, OCTET_ERROR, "setting %s%s: learned positions are %s, the file has %s",
                    at->name, name, given ? "asked for" : "denied", found ? "pos_embs" : "none");
}

/* --- the configuration */

static const char *positions_of(const megabyte_level *l) {
    if (l->learned)
        return l->rotary ? "learned-rope" : "learned";
    return l->rotary ? "rope" : "none";
}

static void write_level(import_plan *p, const megabyte *m, int s) {
    const megabyte_level *l = &m->level[s];
    int is_last = s + 1 == m->n;
    json_t *o = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:b, s:s, s:b, s:b, s:b, s:s, s:b, s:f}", "dim",
        (json_int_t)l->dim, "layers", (json_int_t)l->layers, "heads", (json_int_t)l->heads,
        "kv_heads", (json_int_t)l->kv_heads, "head_size", (json_int_t)l->head_size, "mlp_width",
        (json_int_t)l->hidden, "mlp", "gelu", "norm", "rms", "mlp_bias", 1, "positions",
        positions_of(l), "qk_norm", 0, "zero_init", 0, "token_shift", 1, "embedder",
        is_last ? "concat" : "normed", "embed_rope", l->embed_rope, "norm_epsilon",
        MEGABYTE_EPSILON);
    if (!is_last && o) {
        import_set(p, o, "patch", json_integer(m->level[s + 1].length));
        import_set(p, o, "split", json_string("full"));
    }
    if (p->error.code)
        json_decref(o);
    else if (json_array_append_new(p->levels, o))
        error_memory(&p->error, p->path, 4096);
}

void megabyte_write_config(import_plan *p, const megabyte *m) {
    int64_t context = 1;
    for (int s = 0; s < m->n; s++)
        context = import_product(context, m->level[s].length);
    import_set(p, p->config, "context", json_integer(context));
    import_set(p, p->config, "vocabulary", json_integer(m->vocabulary));
    import_set(p, p->config, "layout", json_string("lucidrains"));
    import_set(p, p->config, "tied_head", json_false());
    import_set(p, p->config, "head_bias", json_true());
    for (int s = 0; s < m->n; s++)
        write_level(p, m, s);
}

/* --- settings */

void megabyte_agree_sizes(import_plan *p, const megabyte *m, const import_place *at,
                          const char *const names[3]) {
    int64_t dims[CONFIG_MAX_LEVELS], depths[CONFIG_MAX_LEVELS];
    for (int s = 0; s < m->n; s++) {
        dims[s] = m->level[s].dim;
        depths[s] = m->level[s].layers;
    }
    import_agree(p, at, names[0], m->vocabulary);
    import_agree_list(p, at, names[1], dims, m->n, -1);
    import_agree_list(p, at, names[2], depths, m->n, -1);
}

void megabyte_take_lengths(import_plan *p, megabyte *m, const import_place *at, const char *name) {
    int64_t lengths[CONFIG_MAX_LEVELS];
    json_t *given = json_object_get(at->object, name);
    for (int s = 0; s < m->n; s++)
        lengths[s] = m->level[s].length;
    int is_list = json_is_array(given);
    if (is_list || m->n == 1)
        import_agree_list(p, at, name, lengths, m->n, lengths[0] ? -1 : 0);
    else if (lengths[0])
        import_agree(p, at, name, lengths[0]);
    if (is_list && !p->error.code && !lengths[0])
        lengths[0] = json_integer_value(json_array_get(given, 0));
    else if (!lengths[0])
        import_integer(p, at, name, &lengths[0]);
    m->level[0].length = lengths[0];
    if (!lengths[0])
        import_ask(p, "--set %s=N (the outermost level's length)", name);
}

/* --- MEGABYTE-pytorch */

/* 3006 for "0.3.6"; 0 when it is not set. */
static int read_version(import_plan *p, const import_place *at) {
    const char *text = NULL;
    unsigned part[3] = {0};
    if (!import_text(p, at, "version", &text))
        return 0;
    int n = sscanf(text, "%3u.%3u.%3u", &part[0], &part[1], &part[2]);
    int version = (int)(part[0] * 1000000 + part[1] * 1000 + part[2]);
    if (n < 2)
        import_fail(p, OCTET_ERROR, "setting version: \"%.20s\" is not like 0.3.6", text);
    else if (version < 2001)
        import_fail(p, OCTET_CORRUPT, "version %.20s is set, 0.2.1 or later is needed", text);
    return version;
}

/* What 0.3.1 to 0.3.3 add to every channel of an inner start: the value of pad_id. */
static void take_offset(import_plan *p, megabyte *m, const import_place *at) {
    int version = read_version(p, at), adds = version >= 3001 && version <= 3003;
    int64_t pad = 0;
    double offset = 0;
    int has_pad = import_integer(p, at, "pad_id", &pad);
    int has_offset = import_real(p, at, "start_offset", &offset);
    if (p->error.code || m->n == 1)
        return;
    if (has_offset && version && has_pad && offset != (adds ? (double)pad : 0))
        import_fail(p, OCTET_ERROR,
                    "setting start_offset: %g is given, with this version and pad_id it is %g",
                    offset, adds ? (double)pad : 0);
    else if (!has_offset && !has_pad && (adds || !version))
        import_ask(p, "--set pad_id=0 (its library's default)");
    else if (!has_offset && pad && !version)
        import_ask(p, "--set version=0.3.6 (0.3.1 to 0.3.3 added pad_id to inner starts)");
    m->offset = (float)(has_offset ? offset : adds ? (double)pad : 0);
    if (m->offset != 0)
        import_note(p, "start_tokens: %g is added below the outermost level", (double)m->offset);
}

static void ask_heads(import_plan *p, const megabyte *m) {
    int64_t width = m->level[0].width;
    if (width % 64 == 0)
        import_ask(p, "--set heads=%" PRId64 " (with dim_head=64, its library's default)",
                   width / 64);
    else
        import_ask(p, "--set heads=N (heads times dim_head is %" PRId64 ")", width);
}

/* The constructor has one kind of positions for all levels. */
static void check_alike(import_plan *p, const megabyte *m) {
    const megabyte_level *first = &m->level[0];
    for (int s = 1; s < m->n; s++) {
        const megabyte_level *l = &m->level[s];
        const char *what = l->learned != first->learned ? "pos_embs" : "rotary_emb.inv_freq";
        int here = l->learned != first->learned ? l->learned : l->rotary;
        if (l->learned != first->learned || l->rotary != first->rotary)
            import_fail(p, OCTET_CORRUPT, "%s of level %d are %s, those of level 0 are %s", what, s,
                        here ? "there" : "missing", here ? "missing" : "there");
    }
}

static void make_megabyte(import_plan *p) {
    static const char *const sizes[] = {"num_tokens", "dim", "depth"};
    megabyte m = {0};
    int64_t heads = 0, size = 0;
    int pos_emb;
    double ff_mult = 0;
    const import_place at = {p->settings, ""};
    refuse_old(p);
    megabyte_read_sizes(p, &m);
    check_alike(p, &m);
    megabyte_agree_sizes(p, &m, &at, sizes);
    import_integer(p, &at, "heads", &heads);
    import_integer(p, &at, "dim_head", &size);
    int has_mult = import_real(p, &at, "ff_mult", &ff_mult);
    for (int s = 0; s < m.n && !p->error.code; s++) {
        megabyte_level *l = &m.level[s];
        megabyte_agree_rotary(p, &at, "rel_pos", l);
        if (import_flag(p, &at, "pos_emb", &pos_emb))
            megabyte_agree_learned(p, &at, "pos_emb", pos_emb, l->learned);
        double hidden = (double)l->dim * ff_mult;
        if (has_mult && !(hidden >= (double)l->hidden && hidden < (double)l->hidden + 1))
            import_fail(p, OCTET_ERROR,
                        "setting ff_mult: %g is given, the file has %" PRId64 " / %" PRId64,
                        ff_mult, l->hidden, l->dim);
        megabyte_cut_heads(p, &m, s, heads, size);
    }
    if (!p->error.code && !m.level[0].heads)
        ask_heads(p, &m);
    megabyte_take_lengths(p, &m, &at, "max_seq_len");
    take_offset(p, &m, &at);
    if (*p->missing)
        return;
    megabyte_write_config(p, &m);
    megabyte_moves(p, &m);
}

static const char *const MEGABYTE_SETTINGS[] = {
    "num_tokens", "dim",          "depth",   "max_seq_len", "dim_head",   "heads",
    "ff_mult",    "pad_id",       "rel_pos", "pos_emb",     "flash_attn", "attn_dropout",
    "ff_dropout", "start_offset", "version", NULL};

static const import_skip MEGABYTE_SKIPS[] = {
    {"transformers.*.rotary_emb.inv_freq", "a table that follows from the heads' size"},
    {NULL, NULL}};

const import_format IMPORT_MEGABYTE = {"megabyte-pytorch", "MEGABYTE-pytorch 0.2.1 and later",
                                       MEGABYTE_SETTINGS, MEGABYTE_SKIPS, make_megabyte};
