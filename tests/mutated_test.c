/* mutated_test.c: model files, saved streams and checkpoints of runs with random damage, half of
 * them with their checksum made right again: no crash, the right code, bounded memory and time, and
 * what is refused changes nothing. OCTET_TEST_ALL runs 100,000 models. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "base/file.h"
#include "memory_cap.h"
#include "model/checkpoint.h"
#include "mutate.h"
#include "octet/octet.h"
#include "session_case.h"
#include "support.h"
#include "tiny_model.h"

/* As in bad_models_test.c; these files have small headers. */
#define OPEN_BYTES ((size_t)16 << 20)
#define BYTES_PER_BYTE 32
#define SECONDS 10

/* A model that opens may still need much memory to run: it claims a context of 2^24 bytes. */
#define RUN_BYTES ((size_t)64 << 20)

#define GOOD_MODELS (TINY_CONFIGS + 2)

static octet_error error;

static int how_many(int few, int all) {
    const char *wanted = getenv("OCTET_TEST_ALL");
    return wanted && *wanted ? all : few;
}

static bad_bytes copy_of(const bad_bytes *from) {
    bad_bytes copy = {support_alloc(from->size, 1), from->size};
    memcpy(copy.data, from->data, from->size);
    return copy;
}

/* --- models */

/* Whatever it has read, a model gives numbers, or says that it cannot. */
static void run_model(const model *m) {
    static const uint8_t text[] = "some text";
    session *s = NULL;
    size_t peak;
    int stream = 0;
    double bits;
    memory_cap_begin(RUN_BYTES);
    octet_status status = session_create(&s, m, 2, -1, &error);
    if (!status)
        status = session_join(s, &stream, &error);
    octet_feed f = {0, text, sizeof text, NULL};
    octet_sampling sampling = {.temperature = 1};
    uint8_t byte;
    if (!status)
        status = session_feed(s, &f, 1, &error);
    if (!status)
        status = session_sample(s, stream, &sampling, &byte, &error);
    session_destroy(&s);
    octet_status scored = score_windows(m, text, sizeof text, NULL, &bits, &error);
    int refused = memory_cap_end(&peak);
    if (status && !(status == OCTET_ERROR || (status == OCTET_NO_MEMORY && refused)))
        fail_msg("a mutated model ends with %d: %s", (int)status, error.text);
    if (scored && !(scored == OCTET_CORRUPT || (scored == OCTET_NO_MEMORY && refused)))
        fail_msg("a mutated model is scored with %d: %s", (int)scored, error.text);
    assert_true(scored || isfinite(bits));
}

static bad_stage open_mutated(backend *b, const bad_bytes *file, int run) {
    model *m = NULL;
    size_t peak, most = OPEN_BYTES + BYTES_PER_BYTE * file->size;
    clock_t begun = clock();
    memory_cap_begin(most);
    octet_status status = checkpoint_open_memory(&m, b, "x", file->data, file->size, &error);
    int refused = memory_cap_end(&peak);
    if (refused)
        fail_msg("%zu bytes of file need more than %zu of memory", file->size, most);
    bad_stage stage = bad_stage_of(status, error.text, "x");
    assert_int_equal(m != NULL, stage == STAGE_OPEN);
    if (m && run)
        run_model(m);
    model_destroy(&m);
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    if (seconds > SECONDS)
        fail_msg("%zu bytes of file took %.1f s", file->size, seconds);
    return stage;
}

/* A damaged copy; with `rehash`, one that can be read so far that it has a checksum. */
static bad_bytes mutated(const bad_bytes *good, uint64_t *seed, int rehash) {
    for (;;) {
        bad_bytes file = copy_of(good);
        mutate_model(&file, seed);
        if (!rehash || bad_rehash(&file))
            return file;
        free(file.data);
    }
}

static void print_counts(const char *what, int n, const int count[STAGES]) {
    int reached = n;
    print_message("%-22s %6d:", what, n);
    for (int i = 0; i < STAGES; i++) {
        print_message(" %s %d", bad_stage_name((bad_stage)i), reached);
        reached -= count[i];
    }
    print_message(" reached\n");
}

static void models_survive(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_AVX512);
    char *json = bad_sample("tiny.json");
    bad_bytes good[GOOD_MODELS] = {bad_good_model(b, json, 0), bad_good_model(b, json, 1)};
    for (int i = 0; i < TINY_CONFIGS; i++)
        good[2 + i] = bad_good_model(b, tiny_json(i), i % 2);
    int n = how_many(4000, 100000), count[2][STAGES] = {{0}}, of[2] = {0}, opened = 0;
    for (int i = 0; i < n; i++) {
        uint64_t seed = (uint64_t)i;
        int rehashed = i % 2;
        bad_bytes file = mutated(&good[(i / 2) % GOOD_MODELS], &seed, rehashed);
        bad_stage stage = open_mutated(b, &file, opened % 8 == 0);
        opened += stage == STAGE_OPEN;
        count[rehashed][stage]++;
        of[rehashed]++;
        free(file.data);
    }
    print_counts("checksum as it was", of[0], count[0]);
    print_counts("checksum made right", of[1], count[1]);
    for (int i = 0; i < STAGES; i++)
        if (count[0][i] + count[1][i] == 0)
            fail_msg("no file ended at stage %s", bad_stage_name((bad_stage)i));
    for (int i = 0; i < GOOD_MODELS; i++)
        free(good[i].data);
    free(json);
    backend_destroy(&b);
}

/* --- saved streams */

enum { WINDOW = 40, LATER = 9 };

static void resum(bad_bytes *saved) {
    if (saved->size < 8)
        return;
    uint64_t sum = XXH3_64bits(saved->data, saved->size - 8);
    for (int i = 0; i < 8; i++)
        saved->data[saved->size - 8 + (size_t)i] = (uint8_t)(sum >> (8 * i));
}

/* What a restore may say, in the order of its checks. */
static const char *const stream_says[] = {"not a saved stream", " of version ", " bytes of ",
                                          "checksum does not",  " of model ",   " keeps ",
                                          " at position "};
#define STREAM_SAYS (int)(sizeof stream_says / sizeof *stream_says)

static int saying_of(octet_status status) {
    int i = 0;
    while (i < STREAM_SAYS && status && !strstr(error.text, stream_says[i]))
        i++;
    if (!status)
        return STREAM_SAYS;
    if (i == STREAM_SAYS || status != (i == 4 || i == 5 ? OCTET_WRONG_MODEL : OCTET_CORRUPT))
        fail_msg("a saved stream ends with %d: %s", (int)status, error.text);
    return i;
}

/* Headers that random damage seldom makes: numbers of 8 bytes at 8 version, 16 size, 56 model, 64
 * keep, 72 position. */
static void change_saved_header(bad_bytes *saved, uint64_t *seed) {
    static const size_t places[] = {8, 16, 56, 64, 72, 72};
    size_t at = places[support_integer(seed, 0, 5)];
    uint64_t number =
        support_random(seed) >> (support_integer(seed, 0, 1) * support_integer(seed, 0, 63));
    for (size_t i = 0; i < 8 && at + i < saved->size; i++)
        saved->data[at + i] = (uint8_t)(number >> (8 * i));
}

typedef struct stream_case {
    session *s;
    yardstick y;
    bad_bytes saved;
    int from, to, beside;
} stream_case;

/* A stream with hostile numbers goes on, beside one that must not notice. */
static void go_on(stream_case *c) {
    octet_sampling sampling = {.temperature = 1};
    uint8_t byte;
    float bits;
    for (int k = 0; k < LATER; k++) {
        const uint8_t next = c->y.bytes[WINDOW + k];
        octet_feed f[] = {{c->to, &next, 1, NULL}, {c->beside, &next, 1, &bits}};
        octet_status status = session_feed(c->s, f, 2, &error);
        if (status) /* only at the very last position that can be counted */
            assert_true(session_position(c->s, c->to) > INT64_MAX - LATER);
        if (status)
            break;
        assert_memory_equal(&bits, &c->y.bits[WINDOW + k], sizeof bits);
        status = session_sample(c->s, c->to, &sampling, &byte, &error);
        assert_true(status == OCTET_OK || status == OCTET_ERROR);
    }
    support_ok(session_restore(c->s, c->to, c->saved.data, c->saved.size, &error), &error);
    support_ok(session_restore(c->s, c->beside, c->saved.data, c->saved.size, &error), &error);
}

static int restore_mutated(stream_case *c, uint64_t *seed, int summed) {
    bad_bytes file = copy_of(&c->saved);
    if (support_integer(seed, 0, 1))
        change_saved_header(&file, seed);
    else
        mutate_bytes(&file, seed);
    if (summed)
        resum(&file);
    int same = file.size == c->saved.size && !memcmp(file.data, c->saved.data, file.size);
    octet_status status = session_restore(c->s, c->to, file.data, file.size, &error);
    free(file.data);
    int saying = saying_of(status);
    if (!status && !summed && !same)
        fail_msg("a damaged stream was taken");
    if (status) {
        assert_int_equal(session_position(c->s, c->to), WINDOW);
        case_check_logits(&c->y, c->s, c->to);
    } else {
        go_on(c);
    }
    return saying;
}

static void streams_survive(void **state) {
    (void)state;
    int n = how_many(300, 6000), count[2][8] = {{0}};
    for (int index = 0; index < TINY_CONFIGS; index++) {
        backend *b = tiny_backend(1, CPU_AVX512);
        model *m = tiny_model(b, index, 11);
        support_ok(checkpoint_fingerprint(m, &error), &error);
        stream_case c = {.s = case_session(m, 3), .y = case_measure(m, WINDOW + LATER + 1, 9)};
        c.from = case_join(c.s);
        c.to = case_join(c.s);
        c.beside = case_join(c.s);
        case_feed(c.s, c.from, c.y.bytes, WINDOW, NULL);
        c.saved.size = session_save_bytes(c.s);
        c.saved.data = support_alloc(c.saved.size, 1);
        support_ok(session_save(c.s, c.from, c.saved.data, c.saved.size, &error), &error);
        support_ok(session_restore(c.s, c.to, c.saved.data, c.saved.size, &error), &error);
        support_ok(session_restore(c.s, c.beside, c.saved.data, c.saved.size, &error), &error);
        for (int i = 0; i < n; i++) {
            uint64_t seed = (uint64_t)(index * n + i);
            count[i % 2][restore_mutated(&c, &seed, i % 2)]++;
        }
        free(c.saved.data);
        case_release(&c.y);
        session_destroy(&c.s);
        model_destroy(&m);
        backend_destroy(&b);
    }
    for (int i = 0; i <= STREAM_SAYS; i++) {
        const char *what = i < STREAM_SAYS ? stream_says[i] : "restored";
        print_message("%-20s %5d, %5d with a right checksum\n", what, count[0][i], count[1][i]);
        if (i < STREAM_SAYS && count[0][i] + count[1][i] == 0)
            fail_msg("no stream ended at \"%s\"", what);
    }
    assert_true(count[1][STREAM_SAYS] > 0);
}

/* --- checkpoints of training runs */

static const char run_config[] = "{\"context\": 16, \"levels\": ["
                                 "{\"dim\": 8, \"layers\": 1, \"heads\": 1, \"patch\": 2},"
                                 "{\"dim\": 4, \"layers\": 0, \"heads\": 1}],"
                                 "\"train\": {\"batch\": 2, \"steps\": 9, \"mean\": 0.5}}";

typedef struct run_case {
    char folder[32], good_path[64], bad_path[64], check_path[64];
    octet_runtime *runtime;
    octet_trainer *trainer;
    bad_bytes good; /* a checkpoint, and what the trainer holds */
} run_case;

static bad_bytes read_bytes(const char *path) {
    file_bytes file;
    support_ok(file_read(&file, path, 1 << 24, &error), &error);
    bad_bytes bytes = {support_alloc(file.size, 1), file.size};
    memcpy(bytes.data, file.data, file.size);
    file_close(&file);
    return bytes;
}

static void run_begin(run_case *c, const uint8_t *text, size_t n) {
    octet_runtime_params where = {.threads = 1};
    double bpb;
    strcpy(c->folder, "/tmp/octet_mutated_XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    snprintf(c->good_path, sizeof c->good_path, "%s/good", c->folder);
    snprintf(c->bad_path, sizeof c->bad_path, "%s/bad", c->folder);
    snprintf(c->check_path, sizeof c->check_path, "%s/check", c->folder);
    support_ok(octet_runtime_create(&c->runtime, &where, &error), &error);
    support_ok(octet_trainer_create(&c->trainer, c->runtime, run_config, text, n, 0, 9, 7, &error),
               &error);
    for (int i = 0; i < 3; i++)
        support_ok(octet_trainer_step(c->trainer, &bpb, &error), &error);
    support_ok(octet_trainer_save(c->trainer, c->good_path, &error), &error);
    c->good = read_bytes(c->good_path);
}

static void run_end(run_case *c) {
    octet_trainer_destroy(&c->trainer);
    octet_runtime_destroy(&c->runtime);
    free(c->good.data);
    unlink(c->good_path);
    unlink(c->bad_path);
    unlink(c->check_path);
    assert_int_equal(rmdir(c->folder), 0);
}

/* Loads the file; when it is refused, the trainer must hold what it held. Only some are looked at:
 * a checkpoint is written through to the disk. */
static octet_status run_load(run_case *c, const bad_bytes *file, int look) {
    FILE *f = fopen(c->bad_path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file->data, 1, file->size, f), file->size);
    assert_int_equal(fclose(f), 0);
    octet_status status = octet_trainer_load(c->trainer, c->bad_path, &error);
    if (!status)
        return status;
    support_contains(error.text, c->bad_path);
    if (!look)
        return status;
    support_ok(octet_trainer_save(c->trainer, c->check_path, &error), &error);
    bad_bytes now = read_bytes(c->check_path);
    assert_int_equal(now.size, c->good.size);
    assert_memory_equal(now.data, c->good.data, now.size);
    free(now.data);
    return status;
}

/* What was taken can be trained on, saved and dropped. */
static void run_use(run_case *c) {
    double bpb;
    octet_status status = octet_trainer_step(c->trainer, &bpb, &error);
    assert_true(status == OCTET_OK || status == OCTET_ERROR);
    support_ok(octet_trainer_load(c->trainer, c->good_path, &error), &error);
}

/* Replaces the value of a metadata key. */
static bad_bytes with_value(const bad_bytes *good, const char *key, const char *value) {
    char quoted[32];
    bad_bytes file = copy_of(good);
    snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
    size_t n = bad_header_bytes(good), length = strlen(quoted), at = 8;
    while (memcmp(file.data + at, quoted, length)) {
        at++;
        assert_true(at + length < 8 + n);
    }
    at += length;
    size_t old = (size_t)((uint8_t *)memchr(file.data + at, '"', n) - file.data) - at;
    bad_splice(&file, at, old, value, strlen(value));
    bad_set_length(&file, n - old + strlen(value));
    assert_true(bad_rehash(&file));
    return file;
}

static void runs_refuse_values(void **state) {
    (void)state;
    static const struct {
        const char *key, *value;
        octet_status status;
    } rows[] = {
        {"step", "-1", OCTET_CORRUPT},
        {"step", "", OCTET_CORRUPT},
        {"step", "3x", OCTET_CORRUPT},
        {"step", "10", OCTET_CORRUPT}, /* of 9 */
        {"step", "9223372036854775806", OCTET_CORRUPT},
        {"step", "9223372036854775808", OCTET_CORRUPT},
        {"step", "9", OCTET_OK},
        {"steps", "9223372036854775807", OCTET_CORRUPT},
        {"steps", "2", OCTET_CORRUPT}, /* after 3 */
        {"steps", "1000000000", OCTET_OK},
        {"bytes", "9223372036854775807", OCTET_CORRUPT},
        {"bytes", "-5", OCTET_CORRUPT},
        {"best_bpb", "nan", OCTET_CORRUPT},
        {"best_bpb", "inf", OCTET_CORRUPT},
        {"best_bpb", "-1", OCTET_CORRUPT},
        {"best_bpb", "", OCTET_CORRUPT},
        {"best_bpb", "2.5", OCTET_OK},
        {"seed", "8", OCTET_ERROR},
        {"seed", "-7", OCTET_ERROR},
        {"data", "0000000000000000", OCTET_ERROR},
        {"version", "9", OCTET_CORRUPT},
        {"format", "pt", OCTET_CORRUPT},
    };
    uint8_t text[500];
    run_case c;
    tiny_bytes(text, sizeof text, 4);
    run_begin(&c, text, sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bad_bytes file = with_value(&c.good, rows[i].key, rows[i].value);
        octet_status status = run_load(&c, &file, 1);
        if (status != rows[i].status)
            fail_msg("%s \"%s\": %d, not %d", rows[i].key, rows[i].value, (int)status,
                     (int)rows[i].status);
        if (!status)
            run_use(&c);
        free(file.data);
    }
    run_end(&c);
}

static void runs_survive(void **state) {
    (void)state;
    int n = how_many(600, 10000), count[2][OCTET_STOPPED + 1] = {{0}};
    uint8_t text[500];
    run_case c;
    tiny_bytes(text, sizeof text, 4);
    run_begin(&c, text, sizeof text);
    for (int i = 0; i < n; i++) {
        uint64_t seed = (uint64_t)i;
        int rehashed = i % 2;
        bad_bytes file = mutated(&c.good, &seed, rehashed);
        int same = file.size == c.good.size && !memcmp(file.data, c.good.data, file.size);
        octet_status status = run_load(&c, &file, i % 7 == 0);
        free(file.data);
        assert_in_range(status, OCTET_OK, OCTET_WRONG_MODEL);
        count[rehashed][status]++;
        if (!status && !rehashed && !same)
            fail_msg("file %d: a damaged checkpoint was taken", i);
        if (!status)
            run_use(&c);
    }
    run_end(&c);
    for (int k = 0; k < 2; k++)
        print_message("checkpoints, checksum %-11s taken %d, another run's %d, corrupt %d, wrong "
                      "tensors %d\n",
                      k ? "made right:" : "as it was:", count[k][OCTET_OK], count[k][OCTET_ERROR],
                      count[k][OCTET_CORRUPT], count[k][OCTET_WRONG_MODEL]);
    assert_true(count[0][OCTET_CORRUPT] > 0);
    for (int status = OCTET_OK; status <= OCTET_WRONG_MODEL; status++)
        assert_true(status == OCTET_WARNING || count[1][status] > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_survive),
        cmocka_unit_test(streams_survive),
        cmocka_unit_test(runs_refuse_values),
        cmocka_unit_test(runs_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
