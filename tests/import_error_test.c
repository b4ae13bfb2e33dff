/* import_error_test.c: what importing asks for and refuses, and the way back: exported models are
 * what they were imported from. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "import_case.h"
#include "support.h"
#include "tiny_model.h"

static octet_error error;
static octet_runtime *runtime;

static const import_case MB3 = {"megabyte-pytorch", "mb3-posrel", "model.safetensors", 1};
static const import_case MB2 = {"megabyte-pytorch", "mb2-rel-v0.2.1", "model.safetensors", 1};
static const import_case MB1 = {"megabyte-pytorch", "mb1", "model.safetensors", 1};
static const import_case ROPE = {"mblm", "two-rope", "weights.pth", 1};
static const import_case BGPT = {"bgpt", "heads1", "weights.safetensors", 1};

/* Where a changed copy of a file goes. */
static const char *scratch(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/octet_import_error_%d", (int)getpid());
    return path;
}

/* Imports with settings that end with NULL: the status, which must not be 0, and both texts. */
static void refused(octet_status status, const char *format, const char *path,
                    const char *const *settings, const char *text) {
    octet_import_params given = {.settings = settings};
    octet_model *m = NULL;
    while (settings && settings[given.n_settings])
        given.n_settings++;
    octet_status found = octet_import(&m, runtime, format, path, &given, &error);
    if (found != status || m)
        fail_msg("status %d (%s), not %d", (int)found, found ? error.text : "imported",
                 (int)status);
    support_contains(error.text, text);
    if (!strstr(error.text, "format \""))
        support_contains(error.text, ": ");
}

#define SETTINGS(...)                                                                              \
    (const char *const[]) {                                                                        \
        __VA_ARGS__, NULL                                                                          \
    }

/* --- settings */

static void test_import_asks_for_all_that_is_missing(void **state) {
    char path[512];
    (void)state;
    import_case_path(path, &MB1, MB1.file);
    refused(OCTET_ERROR, MB1.format, path, NULL, "--set heads=N (heads times dim_head is 16)");
    support_contains(error.text, "--set max_seq_len=N");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("heads=2"), "--set max_seq_len=N");
    assert_null(strstr(error.text, "heads"));
    /* Rotary positions and one head of keys tell the size of heads; positions the outermost length.
     */
    import_case_path(path, &MB2, MB2.file);
    refused(OCTET_ERROR, MB2.format, path, NULL, "--set max_seq_len=N");
    support_contains(error.text, "--set pad_id=0");
    assert_null(strstr(error.text, "heads"));
    import_case_path(path, &MB3, MB3.file);
    refused(OCTET_ERROR, MB3.format, path, NULL, "not in the file: --set pad_id=0");
    refused(OCTET_ERROR, MB3.format, path, SETTINGS("pad_id=256"), "--set version=");
    refused(OCTET_ERROR, MB3.format, path, SETTINGS("version=0.3.2"), "--set pad_id=0");
    import_case_path(path, &ROPE, ROPE.file);
    refused(OCTET_ERROR, ROPE.format, path, NULL, "block[0].pos_emb_type");
    support_contains(error.text, "block[0].attn_num_heads (times attn_head_dims it is 16)");
    support_contains(error.text, "block[1].pos_emb_type");
    assert_null(strstr(error.text, "block[1].attn_num_heads"));
    support_contains(error.text, "--set seq_lens=N");
}

static void test_import_takes_no_setting_that_the_file_contradicts(void **state) {
    static const struct {
        const import_case *c;
        const char *setting, *text;
    } rows[] = {
        {&MB1, "heads=3", "3 heads"},
        {&MB1, "dim=24", "setting dim: 24 is given, the file has [16]"},
        {&MB1, "depth=[2,2]", "setting depth: [2,2] is given, the file has [2]"},
        {&MB1, "num_tokens=257", "setting num_tokens: 257 is given, the file has 256"},
        {&MB1, "pos_emb=true", "setting pos_emb"},
        {&MB1, "ff_mult=2", "setting ff_mult: 2 is given, the file has 64 / 16"},
        {&MB2, "rel_pos=false", "setting rel_pos: false is given"},
        {&MB2, "dim_head=4", "heads of size 4 are set, in the file they are of 8"},
        {&MB2, "heads=4", "4 heads times size 8 is not the 16 rows"},
        {&MB2, "max_seq_len=[6,5]", "setting max_seq_len: [6,5] is given, the file has [?,4]"},
        {&MB3, "max_seq_len=[5,3,4]",
         "setting max_seq_len: [5,3,4] is given, the file has [4,3,4]"},
        {&MB3, "max_seq_len=5", "setting max_seq_len: 5 is given, the file has 4"},
        {&MB3, "pos_emb=false", "setting pos_emb"},
        {&ROPE, "hidden_dims=[24,24]",
         "setting hidden_dims: [24,24] is given, the file has [24,16]"},
        {&ROPE, "block={\"ff_multiplier\":4}", "setting block.ff_multiplier: 4 is given"},
        {&ROPE, "block={\"pos_emb_type\":\"fixed\"}", "setting block.pos_emb_type"},
        {&ROPE, "block=[{},{\"attn_use_rot_embs\":false}]", "setting block[1].attn_use_rot_embs"},
        {&BGPT, "patch_size=16", "setting patch_size: 16 is given, the file has 8"},
        {&BGPT, "patch_length=512", "setting patch_length: 512 is given, the file has 12"},
        {&BGPT, "vocab=128", "setting vocab: 128 is given, the file has 257"},
        {&BGPT, "heads=5", "setting heads: 5 is given"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[512];
        refused(OCTET_ERROR, rows[i].c->format, import_case_path(path, rows[i].c, rows[i].c->file),
                SETTINGS(rows[i].setting), rows[i].text);
    }
}

static void test_import_takes_no_setting_that_it_does_not_know(void **state) {
    char path[512];
    (void)state;
    import_case_path(path, &MB1, MB1.file);
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("head=2"),
            "setting head is none of num_tokens, ");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("extension=txt"), "setting extension is none");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("heads"), "not of the form name=value");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("=2"), "not of the form name=value");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("heads=2", "heads=2"), "given twice");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("heads=two"), "\"two\" is given, an integer");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("heads=-1"), "-1 is given, an integer");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("heads=2.0"), "2.0 is given, an integer");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("rel_pos=1"), "1 is given, true or false");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("version=3"), "3 is given, a text");
    refused(OCTET_ERROR, MB1.format, path, SETTINGS("version=new"), "\"new\" is not like 0.3.6");
    refused(OCTET_CORRUPT, MB1.format, path, SETTINGS("version=0.2.0"), "0.2.1 or later");
    import_case_path(path, &ROPE, ROPE.file);
    refused(OCTET_ERROR, ROPE.format, path, SETTINGS("block={\"heads\":2}"),
            "setting block.heads is none of attn_head_dims, ");
    refused(OCTET_ERROR, ROPE.format, path, SETTINGS("block=[{}]"), "an array of 2");
    refused(OCTET_ERROR, ROPE.format, path, SETTINGS("block=[{},2]"),
            "block[1]: this is no object");
    refused(OCTET_ERROR, ROPE.format, path, SETTINGS("block={\"pos_emb_type\":\"alibi\"}"),
            "\"alibi\" is none of");
    refused(OCTET_CORRUPT, ROPE.format, path,
            SETTINGS("block={\"block_type\":\"transformerEncoder\"}"),
            "\"transformerEncoder\" is set, \"transformer\" is supported");
    refused(OCTET_ERROR, "megabyte", path, NULL,
            "format \"megabyte\" is none of megabyte-pytorch, ");
    refused(OCTET_ERROR, MB1.format, "/tmp/no such file", NULL, "no such file");
}

/* --- files that are not what they should be */

static const char *const SET1[] = {"heads=2", "max_seq_len=24", NULL};
static const char *const SET3[] = {"pad_id=0", NULL};

/* How a copy of a file differs. */
typedef struct change {
    const char *drop;      /* a tensor that is not in it, or NULL */
    const char *from, *to; /* a tensor under another name, or NULL */
    const char *add;       /* one more of one element, or NULL */
    const char *cut;       /* a tensor without its last row, or NULL */
    const char *raise;     /* a tensor whose last element is another, or NULL */
} change;

static void write_changed(const import_case *c, const change *h) {
    char path[512];
    float one = 1;
    safetensors *st = NULL;
    safetensors_writer *w = NULL;
    uint8_t *raised = NULL;
    support_ok(safetensors_open(&st, import_case_path(path, c, c->file), &error), &error);
    support_ok(safetensors_writer_create(&w, &error), &error);
    for (size_t i = 0; i < safetensors_count(st); i++) {
        safetensors_tensor t = *safetensors_at(st, i);
        if (h->drop && !strcmp(t.name, h->drop))
            continue;
        if (h->cut && !strcmp(t.name, h->cut))
            t.bytes -= t.bytes / (size_t)t.dim[0]--;
        if (h->raise && !strcmp(t.name, h->raise)) {
            raised = support_alloc(t.bytes, 1);
            memcpy(raised, t.data, t.bytes);
            memcpy(raised + t.bytes - 4, &one, 4);
            t.data = raised;
        }
        if (h->from && !strcmp(t.name, h->from))
            t.name = h->to;
        support_ok(safetensors_writer_add(w, &t, &error), &error);
    }
    safetensors_tensor more = {.name = h->add,
                               .type = SAFETENSORS_F32,
                               .rank = 1,
                               .dim = {1},
                               .data = (const uint8_t *)&one,
                               .bytes = 4};
    if (h->add)
        support_ok(safetensors_writer_add(w, &more, &error), &error);
    support_ok(safetensors_writer_write(w, scratch(), NULL, &error), &error);
    safetensors_writer_destroy(&w);
    safetensors_close(&st);
    free(raised);
}

static void test_import_accounts_for_every_tensor(void **state) {
    static const struct {
        const import_case *c;
        const char *const *settings;
        change h;
        const char *text;
    } rows[] = {
        {&MB1, SET1, {.add = "extra"}, "tensor extra is of no use"},
        {&MB1, SET1, {.drop = "to_logits.bias"}, "tensor to_logits.bias is missing"},
        {&MB1, SET1, {.drop = "start_tokens.0"}, "tensor start_tokens.0 is missing"},
        {&MB1, SET1, {.drop = "transformers.0.norm.g"}, "tensor transformers.0.norm.g is missing"},
        {&MB1, SET1, {.drop = "transformers.0.layers.0.0.norm.g"}, "no layers"},
        {&MB1,
         SET1,
         {.drop = "transformers.0.layers.1.0.norm.g"},
         "tensor transformers.0.layers.1.0.to_kv.weight is of no use"},
        {&MB1,
         SET1,
         {.cut = "transformers.0.layers.1.1.1.weight"},
         "tensor transformers.0.layers.1.1.1.weight has shape [63,16], [64,16] is needed for "
         "levels.0.blocks.1.mlp.up"},
        {&MB1, SET1, {.cut = "token_embs.0.weight"}, "has shape [255,16], [256,16] is needed"},
        {&MB1,
         SET1,
         {.from = "token_embs.0.weight", .to = "token_emb.weight"},
         "tensor token_emb.weight is of MEGABYTE-pytorch 0.2.0 or older"},
        {&MB3,
         SET3,
         {.from = "to_next_transformer_projections.0.1.weight",
          .to = "to_next_transformer_projections.0.0.weight"},
         "of MEGABYTE-pytorch 0.2.0 or older"},
        {&MB3,
         SET3,
         {.cut = "to_next_transformer_projections.1.1.weight"},
         "has 63 rows, 2 or more times the width 16 of start_tokens.2"},
        {&MB3,
         SET3,
         {.cut = "pos_embs.1.weight"},
         "tensor pos_embs.1.weight has shape [2,24], [3,24] is needed for levels.1.positions"},
        {&MB3,
         SET3,
         {.add = "stage_models.0.layers.0.mixer.A_log"},
         "tensor stage_models.0.layers.0.mixer.A_log is of no use"},
        {&BGPT, NULL, {.add = "classifier.weight"}, "of a classifier"},
        {&BGPT,
         NULL,
         {.raise = "byte_level_decoder.base.lm_head.weight"},
         "are one, but element 16447 is"},
        {&BGPT,
         NULL,
         {.raise = "byte_level_decoder.base.transformer.wte.weight"},
         "are one, but element 16447 is"},
        {&BGPT,
         NULL,
         {.cut = "byte_level_decoder.base.transformer.wpe.weight"},
         "has shape [8,64], [9,64] is needed for levels.1.positions"},
        {&BGPT,
         NULL,
         {.cut = "byte_level_decoder.base.transformer.h.0.attn.c_attn.bias"},
         "has shape [191], [192] is needed for levels.1.blocks.0.attn.wq.bias"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_changed(rows[i].c, &rows[i].h);
        refused(OCTET_CORRUPT, rows[i].c->format, scratch(), rows[i].settings, rows[i].text);
    }
    /* Mamba stages are named, whatever else the file lacks. */
    write_changed(&MB1, &(change){.add = "stage_models.0.layers.0.mixer.A_log"});
    refused(OCTET_CORRUPT, "mblm", scratch(), NULL, "is of a Mamba stage");
    /* Files of another format. */
    write_changed(&MB1, &(change){0});
    refused(OCTET_CORRUPT, "bgpt", scratch(), NULL, "is this a file of bgpt?");
    refused(OCTET_CORRUPT, "notagen", scratch(), NULL, "is this a file of notagen?");
    write_changed(&BGPT, &(change){0});
    refused(OCTET_CORRUPT, "megabyte-pytorch", scratch(), NULL, "is this a file of");
    unlink(scratch());
}

/* What a model can do without, or has any number of: what is skipped, the head that is a table, and
 * the outermost positions, whose number is the context's. */
static int may_change(const char *name, int drop) {
    static const char *const skipped[] = {".attn.bias", ".attn.masked_bias",
                                          "patch_level_decoder.base.wte.weight"};
    static const char *const counted[] = {"pos_embs.0.weight",
                                          "patch_level_decoder.base.wpe.weight"};
    for (int i = 0; i < 3; i++)
        if (strstr(name, skipped[i]))
            return 1;
    for (int i = 0; i < 2 && !drop; i++)
        if (!strcmp(name, counted[i]))
            return 1;
    return drop && strstr(name, "lm_head") != NULL;
}

static void test_import_needs_every_tensor_and_row(void **state) {
    static const char *const set[] = {"pad_id=0", "heads=4", NULL};
    const import_case *const cases[] = {&MB3, &BGPT};
    (void)state;
    for (int i = 0; i < 2; i++) {
        char path[512];
        safetensors *st = NULL;
        import_case_path(path, cases[i], cases[i]->file);
        support_ok(safetensors_open(&st, path, &error), &error);
        for (size_t k = 0; k < 2 * safetensors_count(st); k++) {
            const safetensors_tensor *t = safetensors_at(st, k / 2);
            int drop = k % 2 == 0;
            octet_model *m = NULL;
            octet_import_params given = {.settings = set, .n_settings = i ? 0 : 2};
            if (!drop && (t->rank == 0 || t->dim[0] < 2))
                continue;
            write_changed(cases[i], drop ? &(change){.drop = t->name} : &(change){.cut = t->name});
            octet_status status =
                octet_import(&m, runtime, cases[i]->format, scratch(), &given, &error);
            if ((status == OCTET_OK) != may_change(t->name, drop))
                fail_msg("%s %s: status %d: %s", drop ? "without" : "a row less in", t->name,
                         (int)status, status ? error.text : "imported");
            octet_model_destroy(&m);
        }
        safetensors_close(&st);
    }
    unlink(scratch());
}

/* What was changed above is what made the difference. */
static void test_import_takes_the_unchanged_copies(void **state) {
    static const struct {
        const import_case *c;
        const char *const *settings;
        change h;
    } rows[] = {{&MB1, SET1, {0}},
                {&MB3, SET3, {0}},
                {&BGPT, NULL, {0}},
                {&BGPT, NULL, {.drop = "byte_level_decoder.base.lm_head.weight"}},
                {&BGPT, NULL, {.drop = "patch_level_decoder.base.wte.weight"}}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        octet_model *m = NULL;
        octet_import_params given = {.settings = rows[i].settings};
        while (given.settings && given.settings[given.n_settings])
            given.n_settings++;
        write_changed(rows[i].c, &rows[i].h);
        support_ok(octet_import(&m, runtime, rows[i].c->format, scratch(), &given, &error), &error);
        octet_model_destroy(&m);
    }
    unlink(scratch());
}

static void note(void *context, const char *text) {
    char *all = context;
    size_t used = strlen(all);
    snprintf(all + used, 4096 - used, "%s\n", text);
}

static void test_import_says_what_it_skips(void **state) {
    char path[512], said[4096] = "";
    octet_model *m = NULL;
    (void)state;
    octet_import_params given = {.report = note, .context = said};
    support_ok(
        octet_import(&m, runtime, "bgpt", import_case_path(path, &BGPT, BGPT.file), &given, &error),
        &error);
    octet_model_destroy(&m);
    support_contains(said, "patch_level_decoder.base.h.0.attn.bias: skipped, a causal mask\n");
    support_contains(said, "patch_level_decoder.base.wte.weight: skipped, ");
    support_contains(said, "patch_level_decoder.base.wpe.weight: the last row is left out");
    support_contains(said, "no extension is set");
}

static void test_import_writes_the_first_patch(void **state) {
    static const struct {
        const char *setting, *symbols;
    } rows[] = {
        {"extension=wav", "[119, 97, 118, 256, 256, 256, 256, 256]"},
        {"extension=.tar.gz", "[103, 122, 256, 256, 256, 256, 256, 256]"},
        {"extension=\"\\u00e9\"", "[195, 169, 256, 256, 256, 256, 256, 256]"},
        {"extension=longer than it", "[108, 111, 110, 103, 101, 114, 32, 116]"},
        {"extension=\"\"", "256"},
        {"vocab=257", "256"},
    };
    static const import_case notagen = {"notagen", "small", "weights.safetensors", 1};
    char path[512], text[128];
    octet_model_info info;
    (void)state;
    for (size_t i = 0; i <= sizeof rows / sizeof *rows; i++) {
        int last = i == sizeof rows / sizeof *rows;
        const import_case *c = last ? &notagen : &BGPT;
        const char *setting = last ? "vocab=128" : rows[i].setting;
        octet_import_params given = {.settings = &setting, .n_settings = 1};
        octet_model *m = NULL;
        support_ok(octet_import(&m, runtime, c->format, import_case_path(path, c, c->file), &given,
                                &error),
                   &error);
        octet_model_info_get(m, &info);
        snprintf(text, sizeof text, "\"start_symbols\": %s, ",
                 last ? "[1, 1, 1, 1, 1, 2]" : rows[i].symbols);
        support_contains(info.config, text);
        octet_model_destroy(&m);
    }
}

/* 0.3.1 to 0.3.3 add pad_id's value to inner starts, and to nothing else. */
static void test_import_adds_the_offset_of_some_versions(void **state) {
    static const import_case odd = {"megabyte-pytorch", "mb2-odd-v0.3.2", "model.safetensors", 1};
    char path[512];
    (void)state;
    import_case_path(path, &odd, odd.file);
    octet_model *with = import_case_open(runtime, &odd, path, NULL, 1);
    octet_model *without = import_case_open(runtime, &odd, path, SETTINGS("version=0.3.4"), 0);
    octet_model *given = import_case_open(runtime, &odd, path, SETTINGS("start_offset=256"), 0);
    int differing = 0;
    for (int i = 0; i < with->model->params.n; i++) {
        const variable *v = &with->model->params.list[i]->v;
        size_t n = (size_t)variable_elements(v);
        float *values[3];
        const octet_model *const models[] = {with, without, given};
        for (int k = 0; k < 3; k++) {
            values[k] = support_alloc(n, sizeof **values);
            support_ok(backend_read(models[k]->model->backend, &models[k]->model->params.list[i]->v,
                                    0, (int64_t)n, values[k], &error),
                       &error);
        }
        int moved = !strcmp(v->name, "levels.1.start");
        for (size_t k = 0; k < n; k++)
            assert_true(values[0][k] == values[1][k] + (moved ? 256 : 0));
        assert_memory_equal(values[0], values[2], n * sizeof **values);
        differing += moved;
        for (int k = 0; k < 3; k++)
            free(values[k]);
    }
    assert_int_equal(differing, 1);
    octet_model_destroy(&with);
    octet_model_destroy(&without);
    octet_model_destroy(&given);
}

/* --- the way back */

/* Every tensor of the export is in the file, with its shape and bits, and the reverse; the table of
 * rotary positions to the last place. */
static void compare_files(const char *original, const char *exported) {
    safetensors *a = NULL, *b = NULL;
    support_ok(safetensors_open(&a, original, &error), &error);
    support_ok(safetensors_open(&b, exported, &error), &error);
    assert_int_equal(safetensors_count(a), safetensors_count(b));
    for (size_t i = 0; i < safetensors_count(a); i++) {
        const safetensors_tensor *s = safetensors_at(a, i), *t = safetensors_at(b, i);
        assert_string_equal(s->name, t->name);
        assert_int_equal(s->rank, t->rank);
        assert_memory_equal(s->dim, t->dim, (size_t)s->rank * sizeof *s->dim);
        if (!strstr(s->name, "inv_freq")) {
            assert_memory_equal(s->data, t->data, s->bytes);
            continue;
        }
        for (int64_t k = 0; k < s->dim[0]; k++) {
            float x, y;
            memcpy(&x, s->data + 4 * k, 4);
            memcpy(&y, t->data + 4 * k, 4);
            assert_true(fabsf(x - y) <= 1.2e-7f * x);
        }
    }
    safetensors_close(&a);
    safetensors_close(&b);
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_export_is_what_was_imported(void **state) {
    (void)state;
    int n = 0;
    for (int i = 0; i < IMPORT_N_CASES; i++) {
        const import_case *c = &IMPORT_CASES[i];
        char path[512], side[80], *settings = NULL;
        octet_model_info info[2];
        octet_model *again = NULL;
        if (strcmp(c->format, "megabyte-pytorch") || strstr(c->file, ".pt") ||
            !import_case_is_there(c))
            continue;
        import_case_path(path, c, c->file);
        octet_model *m = import_case_open(runtime, c, path, NULL, 1);
        support_ok(octet_export(m, c->format, scratch(), &settings, &error), &error);
        if (!strstr(c->name, "v0.3.2"))
            compare_files(path, scratch());
        snprintf(side, sizeof side, "%s.json", scratch());
        write_text(side, settings);
        octet_import_params given = {.side = side};
        support_ok(octet_import(&again, runtime, c->format, scratch(), &given, &error), &error);
        octet_model_info_get(m, &info[0]);
        octet_model_info_get(again, &info[1]);
        assert_string_equal(info[0].config, info[1].config);
        assert_string_equal(info[0].fingerprint, info[1].fingerprint);
        free(settings);
        unlink(side);
        octet_model_destroy(&m);
        octet_model_destroy(&again);
        n++;
    }
    unlink(scratch());
    assert_true(n >= 4);
}

/* A model that can be exported, but for one key. */
static const char PLAIN[] =
    "{\"context\": 24, \"layout\": \"lucidrains\", \"tied_head\": false, \"head_bias\": true,"
    " %s \"levels\": [{\"dim\": 24, \"layers\": 1, \"heads\": 2, \"head_size\": 8, \"patch\": 4,"
    " \"mlp\": \"gelu\", \"mlp_bias\": true, \"qk_norm\": false, \"token_shift\": true,"
    " \"norm_epsilon\": 1e-16, \"embedder\": \"normed\", \"split\": \"full\","
    " \"positions\": \"rope\" %s}, {\"dim\": 16, \"layers\": 1, \"heads\": 2, \"head_size\": 8,"
    " \"mlp\": \"gelu\", \"mlp_bias\": true, \"qk_norm\": false, \"token_shift\": true,"
    " \"norm_epsilon\": 1e-16 %s}]}";

static octet_status export_plain(const char *model_key, const char *first, const char *second) {
    char text[2048];
    octet_model *m = NULL;
    snprintf(text, sizeof text, PLAIN, model_key, first, second);
    support_ok(octet_model_create(&m, runtime, text, "plain", 1, &error), &error);
    octet_status status = octet_export(m, "megabyte-pytorch", scratch(), NULL, &error);
    octet_model_destroy(&m);
    return status;
}

static void test_export_refuses_what_it_cannot_say(void **state) {
    static const struct {
        const char *model_key, *first, *second, *text;
    } rows[] = {
        {"\"softcap\": 15,", "", "", "softcap is 15, megabyte-pytorch has 0"},
        {"", ", \"window\": 3", "", "levels[0].window is 3, megabyte-pytorch has 0"},
        {"", "", ", \"rope_base\": 500", "levels[1].rope_base is 500, megabyte-pytorch has 10000"},
        {"", "", ", \"norm\": \"layer\"",
         "levels[1].norm is \"layer\", megabyte-pytorch has \"rms\""},
        {"", "", ", \"bias\": true", "levels[1].bias is true, megabyte-pytorch has false"},
        {"", "", ", \"positions\": \"none\"", "levels[1].positions is \"none\", "},
        {"", "", ", \"kv_heads\": 1", "levels[1].kv_heads is 1"},
        {"", "", ", \"mlp_width\": 32", "levels[1].mlp_width is 32 of dim 16"},
        {"", "", ", \"x0_mix\": true", "levels[1].x0_mix is true"},
        {"", "", ", \"embed_rope\": true", "levels[1].embed_rope is true"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char first[64] = "", second[128] = "";
        unlink(scratch());
        strcpy(first, rows[i].first);
        /* The second level has rotary positions too, unless the row says otherwise. */
        snprintf(second, sizeof second, "%s%s",
                 strstr(rows[i].second, "positions") ? "" : ", \"positions\": \"rope\"",
                 rows[i].second);
        assert_int_equal(export_plain(rows[i].model_key, first, second), OCTET_ERROR);
        support_contains(error.text, rows[i].text);
        assert_int_equal(access(scratch(), F_OK), -1);
    }
    support_ok(export_plain("", "", ", \"positions\": \"rope\""), &error);
    unlink(scratch());
    octet_model *m = NULL;
    support_ok(octet_model_create(&m, runtime, tiny_json(TINY_PAPER), "tiny", 1, &error), &error);
    assert_int_equal(octet_export(m, "megabyte-pytorch", scratch(), NULL, &error), OCTET_ERROR);
    assert_int_equal(octet_export(m, "bgpt", scratch(), NULL, &error), OCTET_ERROR);
    support_contains(error.text, "megabyte-pytorch only");
    octet_model_destroy(&m);
}

static int open_runtime(void **state) {
    (void)state;
    runtime = import_case_runtime();
    return 0;
}

static int close_runtime(void **state) {
    (void)state;
    octet_runtime_destroy(&runtime);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import_asks_for_all_that_is_missing),
        cmocka_unit_test(test_import_takes_no_setting_that_the_file_contradicts),
        cmocka_unit_test(test_import_takes_no_setting_that_it_does_not_know),
        cmocka_unit_test(test_import_accounts_for_every_tensor),
        cmocka_unit_test(test_import_needs_every_tensor_and_row),
        cmocka_unit_test(test_import_takes_the_unchanged_copies),
        cmocka_unit_test(test_import_says_what_it_skips),
        cmocka_unit_test(test_import_writes_the_first_patch),
        cmocka_unit_test(test_import_adds_the_offset_of_some_versions),
        cmocka_unit_test(test_export_is_what_was_imported),
        cmocka_unit_test(test_export_refuses_what_it_cannot_say),
    };
    return cmocka_run_group_tests(tests, open_runtime, close_runtime);
}
