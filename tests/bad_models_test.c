/* bad_models_test.c: every file of the corpus ends where it must: with the right code, one line
 * that names the file and the place, little memory and little time; in the library and in the
 * program. */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "bad_models.h"
#include "memory_cap.h"
#include "octet/octet.h"
#include "support.h"
#include "tiny_model.h"

/* Opening holds the file, its weights as floats (twice a bf16 file), one tensor more, and what the
 * header's JSON takes, which is up to 25 times its text; besides, a rotary table of up to 4 MiB a
 * level, and the names of as many as 30,000 tensors. */
#define CONSTANT_BYTES ((size_t)16 << 20)
#define BYTES_PER_BYTE 32

/* Of the processor, for a file of a few MiB at most, also with sanitizers. */
#define SECONDS 10

/* Of address space, for the program. Sanitizers take terabytes of it. */
#define PROGRAM_BYTES ((rlim_t)512 << 20)
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static char folder[] = "/tmp/octet_bad_XXXXXX";
static char path[64], text_path[64], out_path[64], err_path[64], octet_path[4096];
static bad_bytes good;

static void put_file(const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state) {
    (void)state;
    backend *b = tiny_backend(1, CPU_SCALAR);
    char *json = bad_sample("tiny.json");
    good = bad_good_model(b, json, 0);
    free(json);
    backend_destroy(&b);
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(text_path, sizeof text_path, "%s/text", folder);
    snprintf(out_path, sizeof out_path, "%s/out", folder);
    snprintf(err_path, sizeof err_path, "%s/err", folder);
    put_file(text_path, "some text\n", 10);
    /* The program lies in the folder above the tests'. */
    ssize_t n = readlink("/proc/self/exe", octet_path, sizeof octet_path - 16);
    assert_true(n > 0);
    octet_path[n] = '\0';
    *strrchr(octet_path, '/') = '\0';
    strcpy(strrchr(octet_path, '/'), "/octet");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(good.data);
    unlink(path);
    unlink(text_path);
    unlink(out_path);
    unlink(err_path);
    return rmdir(folder);
}

static void write_row(const bad_model *row, size_t *size) {
    bad_bytes file = bad_make(&good, row);
    put_file(path, file.data, file.size);
    *size = file.size;
    free(file.data);
}

/* --- the library */

static void open_row(octet_runtime *runtime, const bad_model *row) {
    octet_error error = {0};
    octet_model *m = NULL;
    size_t size, peak;
    write_row(row, &size);
    size_t most = CONSTANT_BYTES + BYTES_PER_BYTE * size;
    clock_t begun = clock();
    memory_cap_begin(most);
    octet_status status = octet_model_open(&m, runtime, path, &error);
    int refused = memory_cap_end(&peak);
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    octet_model_destroy(&m);
    if (refused)
        fail_msg("%s: %zu bytes of file need more than %zu bytes of memory", row->name, size, most);
    bad_stage stage = bad_stage_of(status, error.text, path);
    if (stage != row->stage || !strstr(status ? error.text : "", row->message))
        fail_msg("%s: ends at %s, not at %s with \"%s\": %s", row->name, bad_stage_name(stage),
                 bad_stage_name(row->stage), row->message, error.text);
    if (seconds > SECONDS)
        fail_msg("%s: took %.1f s", row->name, seconds);
}

static void files_end_where_they_must(void **state) {
    (void)state;
    octet_error error = {0};
    octet_runtime *runtime;
    octet_runtime_params where = {.threads = 1};
    int count[STAGES] = {0};
    support_ok(octet_runtime_create(&runtime, &where, &error), &error);
    for (int i = 0; i < bad_models_count; i++) {
        open_row(runtime, &bad_models[i]);
        count[bad_models[i].stage]++;
    }
    octet_runtime_destroy(&runtime);
    print_message("%d files:", bad_models_count);
    for (int i = 0; i < STAGES; i++) {
        print_message(" %s %d", bad_stage_name((bad_stage)i), count[i]);
        assert_true(count[i] > 0);
    }
    print_message("\n");
}

/* --- the program */

static int run_program(const char *const *argv) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        int out = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        struct rlimit most = {PROGRAM_BYTES, PROGRAM_BYTES};
        if (out < 0 || err < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
            _exit(99);
        if (!SANITIZED && setrlimit(RLIMIT_AS, &most))
            _exit(99);
        execv(octet_path, (char *const *)argv);
        _exit(99);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status))
        fail_msg("%s ended by signal %d", argv[1], WTERMSIG(status));
    return WEXITSTATUS(status);
}

static size_t read_text(const char *name, char *out, size_t size) {
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, size - 1, f);
    out[n] = '\0';
    fclose(f);
    return n;
}

/* "octet COMMAND -m MODEL ..." ends with that code; one line of error, or a result and none. */
static void expect_program(const char *what, const char *command, const char *file, int code) {
    const char *argv[] = {
        "octet", command, "-m", file, "--threads", "1", strcmp(command, "score") ? NULL : text_path,
        NULL};
    char out[4096], err[4096], begin[128];
    int got = run_program(argv);
    size_t n_out = read_text(out_path, out, sizeof out);
    size_t n_err = read_text(err_path, err, sizeof err);
    if (got != code)
        fail_msg("%s: octet %s exits with %d, not %d: %s", what, command, got, code, err);
    if (!code) {
        assert_true(n_out > 0 && n_err == 0);
        return;
    }
    snprintf(begin, sizeof begin, "octet %s: ", command);
    if (n_out || strncmp(err, begin, strlen(begin)) || strchr(err, '\n') != err + n_err - 1)
        fail_msg("%s: octet %s prints \"%s\" and \"%s\"", what, command, out, err);
}

static void program_refuses_them(void **state) {
    (void)state;
    for (int i = 0; i < bad_models_count; i++) {
        size_t size;
        int code = (int)bad_stage_status(bad_models[i].stage);
        write_row(&bad_models[i], &size);
        expect_program(bad_models[i].name, "info", path, code);
        if (code && i % 4 == 0)
            expect_program(bad_models[i].name, "score", path, code);
    }
}

/* Models that open: what they say of a text is a number or an error. */
static void program_runs_the_odd_ones(void **state) {
    (void)state;
    for (int i = 0; i < bad_models_count; i++) {
        const bad_model *row = &bad_models[i];
        size_t size;
        if (row->stage != STAGE_OPEN)
            continue;
        write_row(row, &size);
        int overflows = row->edit == EDIT_WEIGHT && row->n > 1;
        expect_program(row->name, "score", path, overflows ? OCTET_CORRUPT : 0);
    }
}

static void program_refuses_what_is_no_file(void **state) {
    (void)state;
    expect_program("zeros without end", "info", "/dev/zero", OCTET_CORRUPT);
    expect_program("nothing", "info", "/dev/null", OCTET_CORRUPT);
    expect_program("a folder", "info", "/dev", OCTET_ERROR);
    unlink(path);
    assert_int_equal(symlink(path, path), 0);
    expect_program("a loop of links", "info", path, OCTET_ERROR);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_end_where_they_must),
        cmocka_unit_test(program_refuses_them),
        cmocka_unit_test(program_runs_the_odd_ones),
        cmocka_unit_test(program_refuses_what_is_no_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
