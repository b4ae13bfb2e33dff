/* import_export.c: a model as a file of MEGABYTE-pytorch: the importer's moves, the other way.
 *
 * The format has no words for most of a configuration: every key must have the value that the
 * format stands for, or one that it can say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exact.h"
#include "model/import_megabyte.h"
#include "model/importer.h"
#include "model/safetensors.h"

/* --- what the format can say */

/* Two levels with nothing given: their text holds the default of every key. */
static const char PLAIN[] = "{\"context\": 2, \"levels\": ["
                            "{\"dim\": 4, \"layers\": 0, \"heads\": 1, \"patch\": 2},"
                            "{\"dim\": 4, \"layers\": 0, \"heads\": 1}]}";

/* Keys that must have another value than by default; those of the last level differ. */
static const char NEEDED[] =
    "{\"layout\": \"lucidrains\", \"tied_head\": false, \"head_bias\": true}";
static const char NEEDED_OUTER[] =
    "{\"mlp\": \"gelu\", \"mlp_bias\": true, \"qk_norm\": false, \"token_shift\": true,"
    " \"norm_epsilon\": 1e-16, \"embedder\": \"normed\", \"split\": \"full\"}";
static const char NEEDED_LAST[] =
    "{\"mlp\": \"gelu\", \"mlp_bias\": true, \"qk_norm\": false, \"token_shift\": true,"
    " \"norm_epsilon\": 1e-16}";

/* Keys that sizes say, and keys of training and of streams, which the weights do not hang on. */
static const char *const FREE[] = {"context",   "keep",    "vocabulary", "init_scale", "levels",
                                   "train",     "dim",     "layers",     "heads",      "kv_heads",
                                   "patch",     "dropout", "head_size",  "mlp_width",  "positions",
                                   "zero_init", NULL};

static int is_free(const char *key) {
    for (int i = 0; FREE[i]; i++)
        if (!strcmp(FREE[i], key))
            return 1;
    return 0;
}

/* "levels[0].mlp is "relu2", the format has "gelu"" */
static void refuse(import_plan *p, const char *place, const char *key, const json_t *found,
                   const json_t *wanted) {
    char *a = json_dumps(found, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    char *b = json_dumps(wanted, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    import_fail(p, OCTET_ERROR, "%s%s is %.60s, %s has %.60s", place, key, a ? a : "?",
                p->format->name, b ? b : "nothing like it");
    free(a);
    free(b);
}

static void check_object(import_plan *p, const char *place, const json_t *object,
                         const json_t *plain, const char *needed_text) {
    const char *key;
    json_t *value, *needed = json_loads(needed_text, 0, NULL);
    if (!needed)
        error_memory(&p->error, p->path, 4096);
    json_object_foreach(needed, key, value) {
        const json_t *found = json_object_get(object, key);
        if (!json_equal(found, value))
            refuse(p, place, key, found, value);
    }
    json_object_foreach((json_t *)object, key, value) {
        const json_t *wanted = json_object_get(plain, key);
        if (!is_free(key) && !json_object_get(needed, key) && !json_equal(value, wanted))
            refuse(p, place, key, value, wanted);
    }
    json_decref(needed);
}

static void check_keys(import_plan *p, const json_t *object, const json_t *plain) {
    const json_t *levels = json_object_get(object, "levels");
    size_t n = json_array_size(levels);
    char place[32];
    check_object(p, "", object, plain, NEEDED);
    for (size_t s = 0; s < n && !p->error.code; s++) {
        snprintf(place, sizeof place, "levels[%zu].", s);
        check_object(p, place, json_array_get(levels, s),
                     json_array_get(json_object_get(plain, "levels"), 0),
                     s + 1 < n ? NEEDED_OUTER : NEEDED_LAST);
    }
}

/* One value for all levels. */
static void check_same(import_plan *p, int s, const char *key, int64_t value, int64_t first) {
    if (value != first)
        import_fail(p, OCTET_ERROR,
                    "levels[%d].%s is %lld, %s has one for all levels: %lld of levels[0]", s, key,
                    (long long)value, p->format->name, (long long)first);
}

static void check_levels(import_plan *p, const config *c, const json_t *object) {
    const config_level *first = &c->level[0];
    const json_t *levels = json_object_get(object, "levels");
    const json_t *positions = json_object_get(json_array_get(levels, 0), "positions");
    for (int s = 0; s < c->n_levels; s++) {
        const config_level *l = &c->level[s];
        const json_t *own = json_object_get(json_array_get(levels, (size_t)s), "positions");
        char place[32];
        snprintf(place, sizeof place, "levels[%d].", s);
        check_same(p, s, "heads", l->heads, first->heads);
        check_same(p, s, "head_size", l->head_size, first->head_size);
        check_same(p, s, "kv_heads", l->kv_heads, first->kv_heads);
        if (l->kv_heads != l->heads && l->kv_heads != 1)
            import_fail(p, OCTET_ERROR, "levels[%d].kv_heads is %lld, %s has 1 or heads, %lld", s,
                        (long long)l->kv_heads, p->format->name, (long long)l->heads);
        if (!l->layers)
            import_fail(p, OCTET_ERROR, "levels[%d].layers is 0, %s has 1 or more", s,
                        p->format->name);
        if (l->mlp_width % l->dim || l->mlp_width / l->dim != first->mlp_width / first->dim)
            import_fail(p, OCTET_ERROR,
                        "levels[%d].mlp_width is %lld of dim %lld, %s has one multiple for all "
                        "levels: %lld of %lld in levels[0]",
                        s, (long long)l->mlp_width, (long long)l->dim, p->format->name,
                        (long long)first->mlp_width, (long long)first->dim);
        if (!strcmp(json_string_value(own), "alibi") || !json_equal(own, positions))
            refuse(p, place, "positions", own, json_equal(own, positions) ? NULL : positions);
    }
}

/* Fills in sizes from a configuration that the format can say. */
static void read_model(import_plan *p, const config *c, megabyte *m) {
    json_t *object = NULL, *plain = NULL;
    config defaults;
    char *text = config_text(c), *plain_text = NULL;
    if (!config_parse(&defaults, PLAIN, strlen(PLAIN), "defaults", &p->error))
        plain_text = config_text(&defaults);
    object = text ? json_loads(text, 0, NULL) : NULL;
    plain = plain_text ? json_loads(plain_text, 0, NULL) : NULL;
    if (!p->error.code && (!object || !plain))
        error_memory(&p->error, p->path, 4096);
    if (!p->error.code)
        check_keys(p, object, plain);
    if (!p->error.code)
        check_levels(p, c, object);
    m->n = c->n_levels;
    m->vocabulary = c->vocabulary;
    for (int s = 0; s < m->n && !p->error.code; s++) {
        const config_level *l = &c->level[s];
        const char *positions = json_string_value(json_object_get(
            json_array_get(json_object_get(object, "levels"), (size_t)s), "positions"));
        m->level[s] = (megabyte_level){.dim = l->dim,
                                       .layers = l->layers,
                                       .hidden = l->mlp_width,
                                       .length = s ? c->level[s - 1].patch
                                                   : c->context / config_unit_bytes(c, 0),
                                       .heads = l->heads,
                                       .head_size = l->head_size,
                                       .kv_heads = l->kv_heads,
                                       .learned = !strncmp(positions, "learned", 7),
                                       .rotary = strstr(positions, "rope") != NULL};
    }
    json_decref(object);
    json_decref(plain);
    free(text);
    free(plain_text);
}

/* --- tensors */

/* A tensor of the file: the parameters of some moves that follow one another, row after row. */
typedef struct piece {
    const model *m;
    const import_move *moves;
    size_t n;
} piece;

static const variable *variable_of(const piece *t, size_t i) {
    return &params_find(&t->m->params, t->moves[i].to)->v;
}

static octet_status fill(void *context, uint64_t offset, void *out, size_t bytes,
                         octet_error *error) {
    const piece *t = context;
    int64_t at = (int64_t)(offset / 4), left = (int64_t)(bytes / 4), begin = 0;
    float *to = out;
    octet_status status = OCTET_OK;
    for (size_t i = 0; i < t->n && left && !status; i++) {
        const variable *v = variable_of(t, i);
        int64_t size = variable_elements(v), first = at - begin;
        begin += size;
        if (first >= size)
            continue;
        int64_t n = size - first < left ? size - first : left;
        status = backend_read(t->m->backend, v, first, n, to, error);
        to += n;
        at += n;
        left -= n;
    }
    return status;
}

static void add_tensor(import_plan *p, safetensors_writer *w, piece *t) {
    safetensors_tensor made = {
        .name = t->moves[0].from, .type = SAFETENSORS_F32, .rank = t->moves[0].rank};
    int64_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += variable_elements(variable_of(t, i));
    const variable *v = variable_of(t, 0);
    made.dim[0] = made.rank == 1 ? n : n / v->dim[1];
    made.dim[1] = made.rank == 1 ? 0 : v->dim[1];
    made.bytes = (size_t)n * 4;
    safetensors_writer_add_stream(w, &made, fill, t, &p->error);
}

/* The table that files with rotary positions hold: how far each pair turns from row to row. */
static void add_turns(import_plan *p, safetensors_writer *w, const megabyte *m, int s) {
    int64_t half = m->level[s].head_size / 2;
    size_t bytes = (size_t)half * sizeof(float);
    float *values = arena_alloc(&p->memory, bytes);
    for (int64_t i = 0; values && i < half; i++)
        values[i] = (float)exact_pow(10000, -(double)i / (double)half);
    safetensors_tensor made = {.name = import_name(p, "transformers.%d.rotary_emb.inv_freq", s),
                               .type = SAFETENSORS_F32,
                               .rank = 1,
                               .dim = {half},
                               .data = (const uint8_t *)values,
                               .bytes = bytes};
    if (!values)
        error_memory(&p->error, p->path, (double)bytes);
    else if (!p->error.code)
        safetensors_writer_add(w, &made, &p->error);
}

static void write_tensors(import_plan *p, const model *m, const megabyte *sizes, const char *path) {
    safetensors_writer *w = NULL;
    piece *pieces = arena_alloc(&p->memory, (p->n_moves + 1) * sizeof *pieces);
    if (!pieces)
        error_memory(&p->error, p->path, (double)p->n_moves * sizeof *pieces);
    if (!p->error.code && !safetensors_writer_create(&w, &p->error))
        safetensors_writer_metadata(w, "format", "pt", &p->error);
    for (size_t i = 0; i < p->n_moves && !p->error.code; i += pieces->n, pieces++) {
        size_t n = 1;
        while (i + n < p->n_moves && !strcmp(p->moves[i + n].from, p->moves[i].from))
            n++;
        *pieces = (piece){m, &p->moves[i], n};
        add_tensor(p, w, pieces);
    }
    for (int s = 0; s < sizes->n && !p->error.code; s++)
        if (sizes->level[s].rotary)
            add_turns(p, w, sizes, s);
    if (!p->error.code)
        safetensors_writer_write(w, path, NULL, &p->error);
    safetensors_writer_destroy(&w);
}

/* --- what the file does not say */

static json_t *list_of(const megabyte *m, size_t offset) {
    json_t *list = json_array();
    for (int s = 0; s < m->n; s++) {
        int64_t value;
        memcpy(&value, (const char *)&m->level[s] + offset, sizeof value);
        (void)json_array_append_new(list, json_integer(value));
    }
    return list;
}

/* The arguments of the constructor, malloc'd. */
static void write_settings(import_plan *p, const megabyte *m, char **out) {
    const megabyte_level *l = &m->level[0];
    json_t *o = json_pack(
        "{s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:b, s:b, s:s}", "num_tokens",
        (json_int_t)m->vocabulary, "dim", list_of(m, offsetof(megabyte_level, dim)), "depth",
        list_of(m, offsetof(megabyte_level, layers)), "max_seq_len",
        list_of(m, offsetof(megabyte_level, length)), "dim_head", (json_int_t)l->head_size, "heads",
        (json_int_t)l->heads, "ff_mult", (json_int_t)(l->hidden / l->dim), "pos_emb", l->learned,
        "rel_pos", l->rotary, "version", l->kv_heads == l->heads ? "0.3.6" : "0.2.1");
    *out = o ? json_dumps(o, 0) : NULL;
    if (!*out)
        error_memory(&p->error, p->path, 4096);
    json_decref(o);
}

octet_status import_export(const model *m, const char *format, const char *path, char **settings,
                           octet_error *error) {
    import_plan p = {.path = "the model", .format = &IMPORT_MEGABYTE};
    megabyte sizes = {0};
    char *text = NULL;
    if (strcmp(format, IMPORT_MEGABYTE.name))
        return error_set(error, OCTET_ERROR, "format \"%.60s\": models are exported to %s only",
                         format, IMPORT_MEGABYTE.name);
    read_model(&p, &m->config, &sizes);
    megabyte_moves(&p, &sizes);
    if (!p.error.code)
        write_settings(&p, &sizes, &text);
    if (!p.error.code)
        write_tensors(&p, m, &sizes, path);
    octet_status status = p.error.code;
    if (status) {
        error_set(error, status, "%s", p.error.text);
        free(text);
        text = NULL;
    }
    if (settings)
        *settings = text;
    else
        free(text);
    free(p.moves);
    arena_finish(&p.memory);
    return status;
}
