/* checkpoint_test.c: models on disk: what is written is read back to the bit, and everything else
 * is refused with the right code and a message that names the file and the place. */
#include <math.h>
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
#include "model/checkpoint.h"
#include "support.h"
#include "tiny_model.h"

static char folder[] = "/tmp/octet_checkpoint_XXXXXX";
static char path[128];
static backend *cpu;

static int set_up(void **state) {
    (void)state;
    cpu = tiny_backend(1, CPU_AVX512);
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    backend_destroy(&cpu);
    return rmdir(folder);
}

static void put_bytes(const uint8_t *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Opening must fail with that code and a text that names the file and holds `part`. */
static void refused(octet_status wanted, const char *part) {
    octet_error error = {0};
    model *m = NULL;
    octet_status status = checkpoint_open(&m, cpu, path, &error);
    assert_null(m);
    if (status != wanted)
        print_error("%s: %s\n", part, error.text);
    assert_int_equal(status, wanted);
    support_contains(error.text, path);
    support_contains(error.text, part);
}

static void round_trip(void **state) {
    (void)state;
    octet_error error = {0};
    for (int index = 0; index < TINY_CONFIGS; index++) {
        for (int bf16 = 0; bf16 < 2; bf16++) {
            model *first = tiny_model(cpu, index, 3), *second;
            support_ok(checkpoint_fingerprint(first, &error), &error);
            support_ok(checkpoint_write(first, NULL, NULL, 0, bf16, path, &error), &error);
            support_ok(checkpoint_open(&second, cpu, path, &error), &error);
            assert_string_equal(first->text, second->text);
            assert_int_equal(strcmp(first->fingerprint, second->fingerprint) == 0, !bf16);
            /* What bf16 has rounded once stays as it is. */
            support_ok(checkpoint_write(second, NULL, NULL, 0, bf16, path, &error), &error);
            model_destroy(&first);
            support_ok(checkpoint_open(&first, cpu, path, &error), &error);
            assert_string_equal(first->fingerprint, second->fingerprint);
            model_destroy(&first);
            model_destroy(&second);
        }
    }
}

#define SIZES "\"dim\": 16, \"layers\": 2, \"heads\": 2"

/* The object "train" and defaults that are given change nothing; other keys do. The literal
 * is there to see a change: saved streams hold it. */
static void fingerprint_is_of_the_model(void **state) {
    (void)state;
    octet_error error = {0};
    static const char *const texts[] = {
        "{\"context\": 32, \"levels\": [{" SIZES "}]}",
        "{\"context\": 32, \"endless\": false, \"levels\": [{" SIZES
        ", \"window\": 0, \"dropout\": 0}], \"train\": {\"steps\": 7, \"mean\": 0}}",
        "{\"context\": 32, \"levels\": [{" SIZES ", \"window\": 5}]}"};
    static const char known[] = "5019b2fff3782108dcd1ce17e55f6118";
    for (int i = 0; i < 3; i++) {
        model *m = tiny_model_of(cpu, texts[i], 3);
        support_ok(checkpoint_fingerprint(m, &error), &error);
        if (i < 2)
            assert_string_equal(m->fingerprint, known);
        else
            assert_string_not_equal(m->fingerprint, known);
        model_destroy(&m);
    }
}

/* --- damage */

static file_bytes whole_file(void) {
    octet_error error = {0};
    file_bytes whole;
    model *m = tiny_model(cpu, TINY_FLAT, 3);
    support_ok(checkpoint_write(m, NULL, NULL, 0, 1, path, &error), &error);
    model_destroy(&m);
    support_ok(file_read(&whole, path, 1 << 24, &error), &error);
    return whole;
}

static void truncated(void **state) {
    (void)state;
    file_bytes whole = whole_file();
    size_t step = getenv("OCTET_TEST_ALL") && *getenv("OCTET_TEST_ALL") ? 1 : 64;
    for (size_t n = 0; n < whole.size; n += step) {
        put_bytes(whole.data, n);
        refused(OCTET_CORRUPT, "");
    }
    file_close(&whole);
}

/* Every byte of the header and a sample of the data, one flipped bit each. */
static void flipped(void **state) {
    (void)state;
    octet_error error = {0};
    file_bytes whole = whole_file();
    uint8_t *bytes = support_alloc(whole.size, 1);
    uint64_t seed = 5;
    memcpy(bytes, whole.data, whole.size);
    for (size_t at = 0; at < whole.size; at += at < 2048 ? 1 : 97) {
        uint8_t bit = (uint8_t)(1u << support_integer(&seed, 0, 7));
        model *m = NULL;
        bytes[at] ^= bit;
        put_bytes(bytes, whole.size);
        assert_int_not_equal(checkpoint_open(&m, cpu, path, &error), OCTET_OK);
        assert_null(m);
        bytes[at] ^= bit;
    }
    free(bytes);
    file_close(&whole);
}

/* --- well-formed files that mean something wrong */

typedef struct forgery {
    const char *drop;                      /* tensor to leave out */
    const char *reshape;                   /* tensor whose dimensions are swapped */
    const char *retype;                    /* tensor that says it is I32 */
    const char *poison;                    /* tensor whose last element becomes `value` */
    const char *extra;                     /* name of a tensor to add */
    const char *format, *version, *config; /* instead of the true ones */
    float value;
} forgery;

static void forge_tensor(safetensors_writer *w, const safetensors_tensor *t, const forgery *f,
                         uint8_t *copy) {
    octet_error error = {0};
    safetensors_tensor made = *t;
    memcpy(copy, t->data, t->bytes);
    made.data = copy;
    if (f->drop && !strcmp(f->drop, t->name))
        return;
    if (f->reshape && !strcmp(f->reshape, t->name)) {
        made.dim[0] = t->dim[1];
        made.dim[1] = t->dim[0];
    }
    if (f->retype && !strcmp(f->retype, t->name))
        made.type = SAFETENSORS_I32;
    if (f->poison && !strcmp(f->poison, t->name))
        memcpy(copy + t->bytes - sizeof f->value, &f->value, sizeof f->value);
    support_ok(safetensors_writer_add(w, &made, &error), &error);
}

static void forge(const forgery *f) {
    octet_error error = {0};
    safetensors *st;
    safetensors_writer *w;
    static const uint8_t zeros[4];
    model *m = tiny_model(cpu, TINY_FLAT, 3);
    support_ok(checkpoint_write(m, NULL, NULL, 0, 0, path, &error), &error);
    model_destroy(&m);
    support_ok(safetensors_open(&st, path, &error), &error);
    support_ok(safetensors_writer_create(&w, &error), &error);
    const char *keys[] = {"format", "version", "config"};
    const char *values[] = {f->format, f->version, f->config};
    for (int i = 0; i < 3; i++) {
        const char *value = values[i] ? values[i] : safetensors_metadata(st, keys[i]);
        support_ok(safetensors_writer_metadata(w, keys[i], value, &error), &error);
    }
    uint8_t **copies = support_alloc(safetensors_count(st), sizeof *copies);
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const safetensors_tensor *t = safetensors_at(st, i);
        copies[i] = support_alloc(t->bytes + 1, 1);
        forge_tensor(w, t, f, copies[i]);
    }
    safetensors_tensor extra = {.name = f->extra,
                                .type = SAFETENSORS_F32,
                                .rank = 1,
                                .dim = {1},
                                .data = zeros,
                                .bytes = 4};
    if (f->extra)
        support_ok(safetensors_writer_add(w, &extra, &error), &error);
    support_ok(safetensors_writer_write(w, path, NULL, &error), &error);
    for (size_t i = 0; i < safetensors_count(st); i++)
        free(copies[i]);
    free(copies);
    safetensors_writer_destroy(&w);
    safetensors_close(&st);
}

static void wrong_meaning(void **state) {
    (void)state;
    static const char wq[] = "levels.0.blocks.0.mlp.up";
    static const struct {
        forgery f;
        octet_status status;
        const char *part;
    } rows[] = {
        {{.drop = wq}, OCTET_WRONG_MODEL, wq},
        {{.reshape = wq}, OCTET_WRONG_MODEL, wq},
        {{.retype = wq}, OCTET_WRONG_MODEL, "I32"},
        {{.extra = "levels.9.what"}, OCTET_WRONG_MODEL, "levels.9.what"},
        {{.poison = wq, .value = NAN}, OCTET_CORRUPT, "nan"},
        {{.poison = wq, .value = INFINITY}, OCTET_CORRUPT, "inf"},
        {{.poison = wq, .value = -INFINITY}, OCTET_CORRUPT, "-inf"},
        {{.format = "pt"}, OCTET_CORRUPT, "pt"},
        {{.version = "2"}, OCTET_CORRUPT, "version 2"},
        {{.config = "{"}, OCTET_CORRUPT, ""},
        {{.config = "{}"}, OCTET_CORRUPT, "context"},
        {{.config = "{\"context\": 64, \"levels\": [{\"dim\": 8, \"layers\": 1, \"heads\": 3}]}"},
         OCTET_CORRUPT,
         "heads"},
        {{.config = "{\"context\": 64, \"levels\": [{\"dim\": 8, \"layers\": 1, \"heads\": 1}]}"},
         OCTET_WRONG_MODEL,
         "levels.0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        forge(&rows[i].f);
        refused(rows[i].status, rows[i].part);
    }
    forge(&(forgery){.extra = "optimizer.m.anything"});
    octet_error error = {0};
    model *m;
    support_ok(checkpoint_open(&m, cpu, path, &error), &error);
    model_destroy(&m);
}

static void missing(void **state) {
    (void)state;
    unlink(path);
    refused(OCTET_ERROR, "No such file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(truncated),
        cmocka_unit_test(flipped),    cmocka_unit_test(wrong_meaning),
        cmocka_unit_test(missing),    cmocka_unit_test(fingerprint_is_of_the_model),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
