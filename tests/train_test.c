/* train_test.c: training by the public interface: one checkpoint for any number of threads and any
 * instruction set, stopping and resuming, micro-batches, the schedule, and learning itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "octet/octet.h"
#include "train/optimizer.h"

#define STEPS 30

static const char small[] = "{\"context\": 64, \"levels\": ["
                            "{\"dim\": 48, \"layers\": 1, \"heads\": 2, \"patch\": 4},"
                            "{\"dim\": 24, \"layers\": 1, \"heads\": 2}],"
                            "\"train\": {\"batch\": 4, \"micro_batches\": %d, \"steps\": %d,"
                            "\"optimizer\": \"%s\", \"warmup\": 3, \"mean\": 0.2}}";

/* The last level alone, and three levels, with all that looks back. */
static const char flat_back[] =
    "{\"context\": 64, \"levels\": [{\"dim\": 24, \"layers\": 1,"
    "\"heads\": 2, \"ngrams\": [2, 3], \"ngram_rows\": 100, \"ngram_width\": 4}],"
    "\"train\": {\"batch\": 4, \"micro_batches\": %d, \"steps\": %d,"
    "\"optimizer\": \"%s\", \"warmup\": 3, \"mean\": 0.2}}";
static const char deep_back[] =
    "{\"context\": 64, \"levels\": ["
    "{\"dim\": 64, \"layers\": 1, \"heads\": 2, \"patch\": 4, \"conv_encoder\": true},"
    "{\"dim\": 32, \"layers\": 1, \"heads\": 2, \"patch\": 2, \"conv_encoder\": true,"
    "\"ngrams\": [3, 8], \"ngram_rows\": 50, \"ngram_width\": 9},"
    "{\"dim\": 24, \"layers\": 1, \"heads\": 2, \"ngrams\": [4], \"ngram_rows\": 1000}],"
    "\"train\": {\"batch\": 4, \"micro_batches\": %d, \"steps\": %d,"
    "\"optimizer\": \"%s\", \"warmup\": 3, \"mean\": 0.2}}";

/* One, two and three levels with every option of the block. */
static const char *const with_options[] = {
    "{\"context\": 32, \"levels\": ["
    "{\"dim\": 24, \"layers\": 3, \"heads\": 2, \"x0_mix\": true, \"value_residual\": true,"
    " \"token_shift\": true, \"mlp\": \"leaky-relu2\", \"dropout\": 0.1}],"
    "\"train\": {\"batch\": 8, \"micro_batches\": %d, \"steps\": %d,"
    "\"optimizer\": \"%s\", \"warmup\": 3, \"mean\": 0.2}}",

    "{\"context\": 64, \"levels\": ["
    "{\"dim\": 48, \"layers\": 2, \"heads\": 2, \"patch\": 4, \"value_residual\": true,"
    " \"dropout\": 0.2},"
    "{\"dim\": 23, \"layers\": 1, \"heads\": 2, \"head_size\": 8, \"token_shift\": true,"
    " \"x0_mix\": true, \"dropout\": 0.3}],"
    "\"train\": {\"batch\": 4, \"micro_batches\": %d, \"steps\": %d,"
    "\"optimizer\": \"%s\", \"warmup\": 3, \"mean\": 0.2}}",

    "{\"context\": 48, \"levels\": ["
    "{\"dim\": 24, \"layers\": 1, \"heads\": 2, \"patch\": 2, \"token_shift\": true},"
    "{\"dim\": 24, \"layers\": 2, \"heads\": 2, \"patch\": 3, \"value_residual\": true,"
    " \"dropout\": 0.1},"
    "{\"dim\": 16, \"layers\": 1, \"heads\": 2, \"x0_mix\": true, \"mlp\": \"leaky-relu2\"}],"
    "\"train\": {\"batch\": 4, \"micro_batches\": %d, \"steps\": %d,"
    "\"optimizer\": \"%s\", \"warmup\": 3, \"mean\": 0.2}}"};

typedef struct place {
    char folder[64], config[96], text[96], run[96];
} place;

static void write_file(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Text with something to learn: words from a small set. */
static size_t make_text(char *out, size_t n) {
    static const char *const words[] = {"patch ", "byte ", "octet ", "model ", "stream\n"};
    uint32_t seed = 7;
    size_t at = 0;
    while (at + 8 < n) {
        seed = seed * 1664525u + 1013904223u;
        const char *word = words[(seed >> 24) % 5];
        memcpy(out + at, word, strlen(word));
        at += strlen(word);
    }
    return at;
}

/* format: a configuration with room for micro-batches, steps and the optimizer. */
static void place_create(place *p, const char *format, const char *method, int micro_batches,
                         int steps) {
    char text[20000], json[1024];
    strcpy(p->folder, "/tmp/octet_train_XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->config, sizeof p->config, "%s/c.json", p->folder);
    snprintf(p->text, sizeof p->text, "%s/text", p->folder);
    snprintf(p->run, sizeof p->run, "%s/run", p->folder);
    write_file(p->text, text, make_text(text, sizeof text));
    int n = snprintf(json, sizeof json, format, micro_batches, steps, method);
    write_file(p->config, json, (size_t)n);
}

static void remove_run(const place *p) {
    static const char *const names[] = {"last.safetensors", "best.safetensors", "log.jsonl",
                                        "curves.svg"};
    char path[160];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", p->run, names[i]);
        unlink(path);
    }
    rmdir(p->run);
}

static void place_remove(const place *p) {
    remove_run(p);
    unlink(p->config);
    unlink(p->text);
    rmdir(p->folder);
}

typedef struct watch {
    int stop_at; /* step at which the stop flag is set; 0: never */
    volatile int stop;
    double first, last;
    int steps;
} watch;

static void on_event(void *context, const octet_train_event *e) {
    watch *w = context;
    if (e->kind != OCTET_TRAIN_STEP)
        return;
    if (w->steps++ == 0)
        w->first = e->bpb;
    w->last = e->bpb;
    if (w->stop_at && e->step == w->stop_at)
        w->stop = 1;
}

/* One run; the caller frees the bytes of its last checkpoint. */
static file_bytes train(const place *p, int threads, const char *cpu, watch *w, int resume,
                        octet_status wanted) {
    const char *data[] = {p->text};
    octet_runtime *runtime;
    octet_error error = {0};
    octet_runtime_params where = {.threads = threads, .cpu = cpu};
    assert_int_equal(octet_runtime_create(&runtime, &where, &error), OCTET_OK);
    octet_train_params how = {.data = data,
                              .n_data = 1,
                              .config = p->config,
                              .out = p->run,
                              .warmup = -1,
                              .seed = 5,
                              .resume = resume,
                              .valid_every = 7,
                              .valid_bytes = 500,
                              .stop = &w->stop};
    octet_status status = octet_train(runtime, &how, on_event, w, &error);
    if (status != wanted)
        print_error("%s\n", error.text);
    assert_int_equal(status, wanted);
    octet_runtime_destroy(&runtime);
    char path[160];
    file_bytes last;
    snprintf(path, sizeof path, "%s/last.safetensors", p->run);
    assert_int_equal(file_read(&last, path, 1 << 24, &error), OCTET_OK);
    return last;
}

static void assert_same(const file_bytes *a, const file_bytes *b) {
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->data, b->data, a->size);
}

static void same_checkpoint_everywhere(const char *format, const char *method, int micro_batches) {
    static const struct {
        int threads;
        const char *cpu;
    } rows[] = {{2, NULL}, {5, NULL}, {1, "scalar"}, {2, "scalar"}, {1, "avx2"}, {1, "avx512"}};
    place p;
    place_create(&p, format, method, micro_batches, STEPS);
    watch w = {0};
    file_bytes first = train(&p, 1, NULL, &w, 0, OCTET_OK);
    assert_int_equal(w.steps, STEPS);
    remove_run(&p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        watch again = {0};
        file_bytes other = train(&p, rows[i].threads, rows[i].cpu, &again, 0, OCTET_OK);
        assert_same(&first, &other);
        file_close(&other);
        remove_run(&p);
    }
    file_close(&first);
    place_remove(&p);
}

static void train_muon_same_bits(void **state) {
    (void)state;
    same_checkpoint_everywhere(small, "muon", 1);
}

static void train_adamw_same_bits(void **state) {
    (void)state;
    same_checkpoint_everywhere(small, "adamw", 4);
}

static void train_back_same_bits(void **state) {
    (void)state;
    same_checkpoint_everywhere(flat_back, "adamw", 2);
    same_checkpoint_everywhere(deep_back, "muon", 2);
}

static void train_options_same_bits(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        same_checkpoint_everywhere(with_options[i], i == 1 ? "adamw" : "muon", 1 << i);
}

static void resumed_same_bits(const char *format) {
    place p;
    place_create(&p, format, "muon", 2, STEPS);
    watch whole = {0};
    file_bytes first = train(&p, 2, NULL, &whole, 0, OCTET_OK);
    remove_run(&p);
    for (int at = 1; at < STEPS; at += 9) {
        watch cut = {.stop_at = at}, rest = {0}, finished = {0};
        file_bytes half = train(&p, 2, NULL, &cut, 0, OCTET_STOPPED);
        assert_int_equal(cut.steps, at);
        file_bytes second = train(&p, 1, NULL, &rest, 1, OCTET_OK);
        assert_int_equal(rest.steps, STEPS - at);
        assert_same(&first, &second);
        file_bytes third = train(&p, 1, NULL, &finished, 1, OCTET_OK);
        assert_int_equal(finished.steps, 0);
        assert_same(&first, &third);
        file_close(&half);
        file_close(&second);
        file_close(&third);
        remove_run(&p);
    }
    file_close(&first);
    place_remove(&p);
}

static void train_resumed_same_bits(void **state) {
    (void)state;
    resumed_same_bits(small);
}

static void train_options_resumed_same_bits(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        resumed_same_bits(with_options[i]);
}

/* The rate reaches training: none, some, and so much that the blocks are as good as gone. */
static void train_dropout_counts(void **state) {
    (void)state;
    static const char format[] = "{\"context\": 64, \"levels\": ["
                                 "{\"dim\": 24, \"layers\": 1, \"heads\": 2, \"dropout\": %s}],"
                                 "\"train\": {\"batch\": 4, \"micro_batches\": %%d, \"steps\": %%d,"
                                 "\"optimizer\": \"%%s\", \"warmup\": 0}}";
    static const char *const rates[] = {"0", "0.1", "0.99"};
    double first[3], last[3];
    for (int i = 0; i < 3; i++) {
        char text[512];
        place p;
        watch w = {0};
        snprintf(text, sizeof text, format, rates[i]);
        place_create(&p, text, "muon", 1, 60);
        file_bytes end = train(&p, 2, NULL, &w, 0, OCTET_OK);
        first[i] = w.first;
        last[i] = w.last;
        file_close(&end);
        place_remove(&p);
    }
    /* Blocks add nothing at first, so that there is nothing to drop in step 0. */
    assert_true(first[0] == first[1] && first[1] == first[2]);
    assert_true(last[0] != last[1]);
    /* With next to nothing left of the blocks each byte is guessed from the one before it. */
    assert_true(last[2] > last[0] + 0.3);
}

/* What is dropped hangs on the window's place in the batch, not on the parts that it is cut into:
 * the loss of the first step agrees but for the order of its sum, some 1e-7 of it. Draws that begin
 * anew in each part would change it by more than 1e-3. */
static void train_dropout_ignores_micro_batches(void **state) {
    (void)state;
    static const char format[] =
        "{\"context\": 64, \"levels\": [{\"dim\": 24, \"layers\": 1, \"heads\": 2,"
        " \"zero_init\": false, \"dropout\": 0.5}],"
        "\"train\": {\"batch\": 4, \"micro_batches\": %d, \"steps\": %d, \"optimizer\": \"%s\"}}";
    double first[3];
    for (int i = 0; i < 3; i++) {
        place p;
        watch w = {0};
        place_create(&p, format, "muon", 1 << i, 1);
        file_bytes end = train(&p, 1, NULL, &w, 0, OCTET_OK);
        first[i] = w.first;
        file_close(&end);
        place_remove(&p);
    }
    assert_true(first[1] > first[0] - 1e-5 && first[1] < first[0] + 1e-5);
    assert_true(first[2] > first[0] - 1e-5 && first[2] < first[0] + 1e-5);
}

/* The words' entropy is log2(5) bits a word of about 6 bytes: a model that learns gets far below
 * the 3 bits of letter frequencies. */
static void train_learns(void **state) {
    (void)state;
    static const char *const optimizers[] = {"muon", "adamw"};
    for (int i = 0; i < 2; i++) {
        place p;
        place_create(&p, small, optimizers[i], 1, 150);
        watch w = {0};
        file_bytes last = train(&p, 0, NULL, &w, 0, OCTET_OK);
        assert_true(w.first > 6);
        print_message("%s: %.3f to %.3f bits per byte\n", optimizers[i], w.first, w.last);
        assert_true(w.last < 2);
        file_close(&last);
        place_remove(&p);
    }
}

static void schedule_reaches_its_end(void **state) {
    (void)state;
    config_train c = {.lr = 1,
                      .muon_lr = 2,
                      .warmup = 10,
                      .decay = 0.5,
                      .final_lr = 0.1,
                      .momentum = 0.95,
                      .mean = 0.1};
    assert_true(schedule_at(&c, 0, 100).lr < 0.2);
    assert_true(schedule_at(&c, 30, 100).lr == 1);
    assert_true(schedule_at(&c, 30, 100).muon_lr == 2);
    double last = schedule_at(&c, 99, 100).lr;
    assert_true(last > 0.0999 && last < 0.1001);
    for (int64_t step = 51; step < 100; step++)
        assert_true(schedule_at(&c, step, 100).lr <= schedule_at(&c, step - 1, 100).lr);
    assert_true(schedule_at(&c, 40, 100).mean_weight == 1);
    assert_true(schedule_at(&c, 99, 100).mean_weight == 0.1);
}

static octet_status train_with(const place *p, octet_train_params *how, octet_error *error) {
    octet_runtime *runtime;
    assert_int_equal(octet_runtime_create(&runtime, NULL, error), OCTET_OK);
    how->out = p->run;
    octet_status status = octet_train(runtime, how, NULL, NULL, error);
    octet_runtime_destroy(&runtime);
    return status;
}

static void train_bad_input(void **state) {
    (void)state;
    place p;
    octet_error error = {0};
    place_create(&p, small, "muon", 1, STEPS);
    const char *data[] = {p.text}, *missing[] = {"/nonexistent/text"};
    octet_train_params how = {.data = missing, .n_data = 1, .config = p.config, .warmup = -1};
    assert_int_equal(train_with(&p, &how, &error), OCTET_ERROR);
    assert_non_null(strstr(error.text, "/nonexistent/text"));
    how.data = data;
    how.config = NULL;
    assert_int_equal(train_with(&p, &how, &error), OCTET_ERROR);
    how.config = p.config;
    how.steps = 2;
    assert_int_equal(train_with(&p, &how, &error), OCTET_OK);
    assert_int_equal(train_with(&p, &how, &error), OCTET_ERROR);
    assert_non_null(strstr(error.text, "--resume"));
    how.resume = 1;
    how.seed = 9;
    assert_int_equal(train_with(&p, &how, &error), OCTET_ERROR);
    assert_non_null(strstr(error.text, "seed"));
    place_remove(&p);
    place_create(&p,
                 "{\"context\": 32, \"vocabulary\": 64, \"levels\": ["
                 "{\"dim\": 16, \"layers\": 1, \"heads\": 2}]}",
                 "muon", 1, STEPS);
    how = (octet_train_params){.data = data, .n_data = 1, .config = p.config, .warmup = -1};
    assert_int_equal(train_with(&p, &how, &error), OCTET_ERROR);
    assert_non_null(strstr(error.text, "the vocabulary is 64 symbols"));
    place_remove(&p);
}

static void read_file(const char *path, file_bytes *out) {
    octet_error error = {0};
    assert_int_equal(file_read(out, path, 1 << 24, &error), OCTET_OK);
}

/* Bits per byte that the first step of a run from `model` starts at; 0 where it is refused. */
static double first_loss(const place *p, octet_train_params *how, octet_status wanted,
                         octet_error *error) {
    octet_runtime *runtime;
    watch w = {.stop_at = 1};
    how->stop = &w.stop;
    assert_int_equal(octet_runtime_create(&runtime, &(octet_runtime_params){.threads = 2}, error),
                     OCTET_OK);
    octet_status status = octet_train(runtime, how, on_event, &w, error);
    octet_runtime_destroy(&runtime);
    if (status != wanted)
        print_error("%s\n", error->text);
    assert_int_equal(status, wanted);
    remove_run(p);
    return w.first;
}

/* A run from a model starts where that model stands, under its configuration or another one of the
 * same weights, and its bits depend on the model alone. */
static void train_from_a_model(void **state) {
    (void)state;
    place p;
    char model[160], other[160];
    octet_error error = {0};
    watch w = {0};
    place_create(&p, small, "muon", 1, STEPS);
    file_bytes last = train(&p, 2, NULL, &w, 0, OCTET_OK);
    file_close(&last);
    snprintf(model, sizeof model, "%s.model", p.run);
    snprintf(other, sizeof other, "%s.other", p.run);
    char from[160];
    snprintf(from, sizeof from, "%s/last.safetensors", p.run);
    assert_int_equal(rename(from, model), 0);
    remove_run(&p);

    const char *data[] = {p.text};
    octet_train_params how = {
        .data = data, .n_data = 1, .out = p.run, .from = model, .warmup = -1, .seed = 5};
    const double own = first_loss(&p, &how, OCTET_STOPPED, &error);
    assert_true(own < w.first - 0.5 && own < w.last + 0.5);
    how.config = p.config;
    assert_true(first_loss(&p, &how, OCTET_STOPPED, &error) == own);
    how.from = NULL;
    assert_true(first_loss(&p, &how, OCTET_STOPPED, &error) == w.first);

    /* Other shapes, a weight too few, one too many. */
    static const struct {
        const char *from, *to, *message;
    } rows[] = {{"\"dim\": 24", "\"dim\": 20", "shape"},
                {"\"layers\": 1, \"heads\": 2}", "\"layers\": 2, \"heads\": 2}", "is missing"},
                {"\"layers\": 1, \"heads\": 2}", "\"layers\": 0, \"heads\": 2}", "has no place"}};
    how.from = model;
    how.config = other;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1024], changed[1024];
        snprintf(text, sizeof text, small, 1, STEPS, "muon");
        const char *at = strstr(text, rows[i].from);
        assert_non_null(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, rows[i].to,
                 at + strlen(rows[i].from));
        FILE *f = fopen(other, "w");
        assert_non_null(f);
        assert_true(fputs(changed, f) >= 0 && fclose(f) == 0);
        (void)first_loss(&p, &how, OCTET_WRONG_MODEL, &error);
        assert_non_null(strstr(error.text, model));
        if (!strstr(error.text, rows[i].message))
            fail_msg("%s", error.text);
    }

    /* A run that goes on does not read the model again. */
    how.config = NULL;
    how.stop = NULL;
    how.steps = 3;
    assert_int_equal(train_with(&p, &how, &error), OCTET_OK);
    file_bytes whole, again;
    read_file(from, &whole);
    how.resume = 1;
    how.from = "/nonexistent";
    assert_int_equal(train_with(&p, &how, &error), OCTET_OK);
    read_file(from, &again);
    assert_same(&whole, &again);
    file_close(&whole);
    file_close(&again);
    unlink(model);
    unlink(other);
    place_remove(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_muon_same_bits),
        cmocka_unit_test(train_adamw_same_bits),
        cmocka_unit_test(train_back_same_bits),
        cmocka_unit_test(train_options_same_bits),
        cmocka_unit_test(train_options_resumed_same_bits),
        cmocka_unit_test(train_resumed_same_bits),
        cmocka_unit_test(train_learns),
        cmocka_unit_test(train_dropout_counts),
        cmocka_unit_test(train_dropout_ignores_micro_batches),
        cmocka_unit_test(schedule_reaches_its_end),
        cmocka_unit_test(train_from_a_model),
        cmocka_unit_test(train_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
