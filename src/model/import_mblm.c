/* import_mblm.c: files of MBLM (multiscale-byte-lm), a fork of MEGABYTE-pytorch.
 *
 * Names differ, and each level has heads and positions of its own, the settings "block". A level
 * may be of another kind than a causal Transformer: those are refused. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/import_megabyte.h"

/* Stages of other kinds, by what only they have. */
static void refuse_other_stages(import_plan *p) {
    static const char *const signs[] = {"A_log", "in_proj", "conv1d", "dt_bias"};
    for (size_t i = 0; i < foreign_count(p->file) && !p->error.code; i++) {
        const char *name = foreign_at(p->file, i)->name;
        for (size_t k = 0; k < sizeof signs / sizeof *signs; k++)
            if (!strncmp(name, "stage_models.", 13) && strstr(name, signs[k]))
                import_fail(p, OCTET_CORRUPT,
                            "tensor %s is of a Mamba stage; stages of causal Transformers are "
                            "supported",
                            name);
    }
}

/* pos_emb_type; nothing in the file tells "rope" from none. */
static void take_position_kind(import_plan *p, const import_place *at, megabyte_level *l) {
    const char *kind = NULL;
    int is_there = json_object_get(at->object, "pos_emb_type") != NULL;
    import_text(p, at, "pos_emb_type", &kind);
    if (p->error.code)
        return;
    if (kind && strcmp(kind, "fixed") && strcmp(kind, "rope"))
        import_fail(p, OCTET_ERROR,
                    "setting %spos_emb_type: \"%.20s\" is none of \"fixed\", \"rope\", null",
                    at->name, kind);
    if (is_there)
        megabyte_agree_learned(p, at, "pos_emb_type", kind && !strcmp(kind, "fixed"), l->learned);
    else if (!l->learned)
        import_ask(p, "%spos_emb_type (null or \"rope\")", at->name);
    l->embed_rope = kind && !strcmp(kind, "rope");
}

static void take_block(import_plan *p, megabyte *m, int s, const import_place *at) {
    static const char *const known[] = {
        "attn_head_dims", "attn_num_heads", "attn_use_rot_embs", "attn_dropout", "use_flash_attn",
        "ff_multiplier",  "ff_dropout",     "pos_emb_type",      "block_type",   NULL};
    megabyte_level *l = &m->level[s];
    const char *kind = "transformer";
    int64_t heads = 0, size = 0;
    import_settings_known(p, at, known);
    import_text(p, at, "block_type", &kind);
    if (!p->error.code && strcmp(kind, "transformer"))
        import_fail(p, OCTET_CORRUPT,
                    "setting %sblock_type: \"%.40s\" is set, \"transformer\" is supported",
                    at->name, kind);
    import_integer(p, at, "attn_num_heads", &heads);
    import_integer(p, at, "attn_head_dims", &size);
    megabyte_agree_rotary(p, at, "attn_use_rot_embs", l);
    int64_t multiplier = l->hidden / l->dim;
    if (import_integer(p, at, "ff_multiplier", &multiplier) && multiplier * l->dim != l->hidden)
        import_fail(p, OCTET_ERROR,
                    "setting %sff_multiplier: %" PRId64 " is given, the file has %" PRId64
                    " / %" PRId64,
                    at->name, multiplier, l->hidden, l->dim);
    take_position_kind(p, at, l);
    megabyte_cut_heads(p, m, s, heads, size);
    if (!p->error.code && !l->heads)
        import_ask(p, "%sattn_num_heads (times attn_head_dims it is %" PRId64 ")", at->name,
                   l->width);
}

/* "block": an object for all stages, or one for each. */
static void take_blocks(import_plan *p, megabyte *m) {
    const json_t *block = json_object_get(p->settings, "block");
    json_t *none = json_object();
    if (block && !json_is_object(block) &&
        !(json_is_array(block) && json_array_size(block) == (size_t)m->n))
        import_fail(p, OCTET_ERROR, "setting block: an object or an array of %d is needed", m->n);
    for (int s = 0; s < m->n && !p->error.code; s++) {
        const json_t *one = json_is_array(block) ? json_array_get(block, (size_t)s) : block;
        char place[32];
        snprintf(place, sizeof place, json_is_array(block) || !block ? "block[%d]." : "block.", s);
        if (one && !json_is_object(one))
            import_fail(p, OCTET_ERROR, "setting block[%d]: this is no object", s);
        take_block(p, m, s, &(import_place){one ? one : none, place});
    }
    json_decref(none);
}

static void make_mblm(import_plan *p) {
    static const char *const sizes[] = {"num_tokens", "hidden_dims", "num_layers"};
    megabyte m = {.mblm = 1};
    const import_place at = {p->settings, ""};
    refuse_other_stages(p);
    m.old_tables = import_find(p, "token_embs_rev.0.weight") != NULL;
    megabyte_read_sizes(p, &m);
    megabyte_agree_sizes(p, &m, &at, sizes);
    take_blocks(p, &m);
    megabyte_take_lengths(p, &m, &at, "seq_lens");
    if (*p->missing)
        return;
    megabyte_write_config(p, &m);
    megabyte_moves(p, &m);
}

static const char *const MBLM_SETTINGS[] = {"num_tokens",  "pad_token_id",
                                            "hidden_dims", "seq_lens",
                                            "num_layers",  "train_checkpoint_chunks",
                                            "block",       NULL};

static const import_skip MBLM_SKIPS[] = {
    {"stage_models.*.rotary_emb.inv_freq", "a table that follows from the heads' size"},
    {NULL, NULL}};

const import_format IMPORT_MBLM = {"mblm", "MBLM (multiscale-byte-lm), causal Transformer stages",
                                   MBLM_SETTINGS, MBLM_SKIPS, make_mblm};
