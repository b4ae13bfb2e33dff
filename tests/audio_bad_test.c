/* audio_bad_test.c, for audio and for images: every file of the corpus ends as its row says, with
 * one line, little memory and little time, in the library and in the program; what fails leaves
 * nothing behind. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "audio_bad.h"
#include "memory_cap.h"
#include "octet/octet.h"
#include "support.h"

/* The converter's buffers; the bytes, which double as they grow, for MP3 and Ogg many times the
 * file's size. */
#define CONSTANT_BYTES ((size_t)1 << 20)
#define BYTES_PER_BYTE 32

#define SECONDS 10

static char folder[] = "/tmp/octet_audio_XXXXXX";
static char path[64], out_path[64], err_path[64], octet_path[4096];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- the library */

/* What is wrong with how a row ends; NULL: nothing. */
static const char *judge(const audio_bad *row, const octet_encoded *e, octet_status status,
                         const octet_error *error) {
    if (status != row->status)
        return "another status";
    if (!status)
        return e->size == (size_t)audio_bads.sample_bytes * (size_t)e->media.frames *
                              (size_t)e->media.channels
                   ? NULL
                   : "bytes";
    if (!strstr(error->text, row->says))
        return "another message";
    if (strncmp(error->text, "x: ", 3) || strchr(error->text, '\n') || e->bytes)
        return "no line of its own, or bytes";
    return strstr(error->text, "the decoder ") ? "the decoder ended" : NULL;
}

/* Returns 0, or 1 after a message. */
static int check_row(const audio_bad *row) {
    audio_file f = audio_bad_make(row);
    octet_error error = {0};
    octet_encoded e;
    const octet_encode_params params = {.codec = audio_bads.codec};
    size_t peak;
    double begun = now();
    memory_cap_begin(CONSTANT_BYTES + BYTES_PER_BYTE * f.size);
    octet_status status = octet_encode_memory(&e, f.data, f.size, "x", &params, &error);
    const char *wrong = memory_cap_end(&peak) ? "too much memory" : judge(row, &e, status, &error);
    if (now() - begun > SECONDS)
        wrong = "too long";
    if (wrong)
        print_error("%s: %s: status %d, \"%s\", not %d, \"%s\"\n", row->name, wrong, (int)status,
                    error.text, (int)row->status, row->says);
    octet_encoded_free(&e);
    audio_free(&f);
    return wrong != NULL;
}

static void files_end_where_they_must(void **state) {
    (void)state;
    int taken = 0, wrong = 0;
    for (int i = 0; i < audio_bads.n; i++) {
        wrong += check_row(&audio_bads.rows[i]);
        taken += audio_bads.rows[i].status == OCTET_OK;
    }
    print_message("%d files, %d of them are read\n", audio_bads.n, taken);
    assert_int_equal(wrong, 0);
    assert_true(audio_bads.n - taken >= audio_bads.least_refused);
}

/* --- the program */

static int run_program(const char *const *argv) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        int err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int null = open("/dev/null", O_WRONLY);
        if (err < 0 || null < 0 || dup2(null, 1) < 0 || dup2(err, 2) < 0)
            _exit(99);
        execv(octet_path, (char *const *)argv);
        _exit(99);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status))
        fail_msg("the program ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int count_files(void) {
    DIR *list = opendir(folder);
    int n = 0;
    assert_non_null(list);
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list))
        n += entry->d_name[0] != '.';
    closedir(list);
    return n;
}

static void program_leaves_nothing(void **state) {
    (void)state;
    int wrong = 0;
    for (int i = 0; i < audio_bads.n; i++) {
        const audio_bad *row = &audio_bads.rows[i];
        const char *codec = audio_bads.codec ? audio_bads.codec : "pcm16";
        const char *argv[] = {"octet", "encode", path,      "-o",  out_path,
                              "-q",    "--raw",  "--codec", codec, NULL};
        audio_file f = audio_bad_make(row);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(f.data, 1, f.size, file), f.size);
        assert_int_equal(fclose(file), 0);
        audio_free(&f);
        int code = run_program(argv);
        char err[4096];
        file = fopen(err_path, "rb");
        assert_non_null(file);
        size_t n = fread(err, 1, sizeof err - 1, file);
        err[n] = '\0';
        fclose(file);
        int is_line = !strncmp(err, "octet encode: ", 14) && strchr(err, '\n') == err + n - 1;
        int right =
            code == (int)row->status && is_line == (code != 0) && count_files() == (code ? 2 : 3);
        if (!right)
            print_error("%s: exit code %d, \"%s\", %d files\n", row->name, code, err,
                        count_files());
        wrong += !right;
        (void)unlink(out_path);
    }
    assert_int_equal(wrong, 0);
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/in", folder);
    snprintf(out_path, sizeof out_path, "%s/out", folder);
    snprintf(err_path, sizeof err_path, "%s/err", folder);
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
    unlink(path);
    unlink(out_path);
    unlink(err_path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_end_where_they_must),
        cmocka_unit_test(program_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
