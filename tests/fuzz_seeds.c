/* fuzz_seeds.c: writes what the libFuzzer targets start from: fuzz_seeds FOLDER makes
 * FOLDER/config, FOLDER/checkpoint, FOLDER/stream, FOLDER/foreign and FOLDER/audio (which must be
 * there) and the dictionary FOLDER/dictionary: every key that a configuration writes, so that it
 * never lacks one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audio_bad.h"
#include "bad_models.h"
#include "infer/session_core.h"
#include "model/checkpoint.h"
#include "support.h"
#include "tiny_model.h"
#include "torch_file.h"

static const char *folder;
static int n_written;

static void put(const char *kind, const void *bytes, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%03d", folder, kind, n_written++);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_configs(void) {
    static const char *const names[] = {"tiny.json", "demo.json", "bench-a.json", "bench-b.json",
                                        "models/text.json"};
    for (int i = 0; i < 5; i++) {
        char *text = bad_sample(names[i]);
        put("config", text, strlen(text));
        free(text);
    }
    for (int i = 0; i <= TINY_WIDE; i++)
        put("config", tiny_json(i), strlen(tiny_json(i)));
}

/* Every quoted text of a configuration that states every key, once or more. */
static void write_dictionary(void) {
    static const char *const words[] = {"learned", "none",  "relu",  "gelu",  "gelu-tanh",
                                        "swiglu",  "layer", "adamw", "false", "16777216"};
    char path[512];
    octet_error error = {0};
    config c;
    snprintf(path, sizeof path, "%s/dictionary", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    support_ok(config_parse(&c, tiny_json(TINY_PAPER), strlen(tiny_json(TINY_PAPER)), "x", &error),
               &error);
    char *text = config_text(&c);
    assert_non_null(text);
    for (const char *at = text; (at = strchr(at, '"'));) {
        const char *end = strchr(at + 1, '"');
        fprintf(f, "\"\\\"%.*s\\\"\"\n", (int)(end - at - 1), at + 1);
        at = end + 1;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        fprintf(f, "\"%s\"\n", words[i]);
    free(text);
    assert_int_equal(fclose(f), 0);
}

/* Small files: the smaller, the more of them a minute sees. */
static void write_models(backend *b) {
    static const char *const configs[] = {
        "{\"context\": 8, \"levels\": [{\"dim\": 4, \"layers\": 1, \"heads\": 1}]}",
        "{\"context\": 8, \"zero_pad\": true, \"levels\": ["
        "{\"dim\": 4, \"layers\": 1, \"heads\": 1, \"patch\": 2, \"mlp\": \"swiglu\"},"
        "{\"dim\": 4, \"layers\": 0, \"heads\": 2, \"positions\": \"learned\"}]}",
        "{\"context\": 16, \"tied_head\": false, \"softcap\": 15, \"levels\": ["
        "{\"dim\": 4, \"layers\": 1, \"heads\": 1, \"patch\": 4, \"norm\": \"layer\","
        " \"bias\": true, \"qk_norm\": false}, {\"dim\": 4, \"layers\": 1, \"heads\": 1}]}",
    };
    for (int i = 0; i < 6; i++) {
        bad_bytes good = bad_good_model(b, configs[i / 2], i % 2);
        put("checkpoint", good.data, good.size);
        free(good.data);
    }
}

static void write_streams(backend *b) {
    octet_error error = {0};
    session *s;
    int stream;
    uint8_t text[200];
    model *m = tiny_model(b, TINY_THREE, 11);
    tiny_bytes(text, sizeof text, 1);
    support_ok(checkpoint_fingerprint(m, &error), &error);
    support_ok(session_create(&s, m, 1, -1, &error), &error);
    support_ok(session_join(s, &stream, &error), &error);
    size_t size = session_save_bytes(s);
    uint8_t *saved = support_alloc(size, 1);
    for (size_t n = 0; n < sizeof text; n += 25) {
        octet_feed f = {stream, text + n, 25, NULL};
        support_ok(session_save(s, stream, saved, size, &error), &error);
        put("stream", saved, size);
        support_ok(session_feed(s, &f, 1, &error), &error);
    }
    free(saved);
    session_destroy(&s);
    model_destroy(&m);
}

static void write_archives(void) {
    for (int i = 0; i < 2 * TORCH_STYLES; i++) {
        torch_member members[TORCH_MEMBERS];
        if (i < TORCH_STYLES)
            torch_good(members);
        else
            torch_training(members);
        bad_bytes file = torch_zip(members, TORCH_MEMBERS, (torch_style)(i % TORCH_STYLES));
        put("foreign", file.data, file.size);
        free(file.data);
    }
}

static void write_audio(void) {
    for (int base = BASE_NONE + 1; base < IMAGE_BASES; base++) {
        audio_file file = audio_base_make((audio_base)base);
        put("audio", file.data, file.size);
        audio_free(&file);
    }
}

static void write_all(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    write_audio();
    write_configs();
    write_dictionary();
    write_models(b);
    write_streams(b);
    write_archives();
    backend_destroy(&b);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(write_all)};
    if (argc != 2) {
        fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
        return 1;
    }
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
