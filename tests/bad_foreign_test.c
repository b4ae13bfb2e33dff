/* bad_foreign_test.c: every file of the corpus ends where it must, in little memory and time; and
 * neither the end of an archive nor any bit of it can be another one without notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "bad_foreign.h"
#include "memory_cap.h"
#include "model/foreign.h"
#include "support.h"

/* What model/pickle.h says of a pickle, a copy of the file itself (foreign_open) and its index; and
 * besides what so many tensors take as may be, however few bytes name them. */
#define BYTES_PER_BYTE 34
#define CONSTANT_BYTES 4096
#define TENSORS_BYTES ((size_t)SAFETENSORS_TENSORS * (sizeof(foreign_tensor) + 8))

/* Files without a size are read in pieces (base/file.c). */
#define FIRST_READ 65536

/* Of the processor, for a file of a few MiB at most, also with sanitizers. */
#define SECONDS 10

static octet_error error;
static char path[] = "/tmp/octet_foreign_XXXXXX";

static int set_up(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state) {
    (void)state;
    return unlink(path);
}

static void put_file(const bad_bytes *file) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file->data, 1, file->size, f), file->size);
    assert_int_equal(fclose(f), 0);
}

/* --- the corpus */

static int n_wrong;

static void check_row(const bad_foreign *row, octet_status status, const char *label) {
    foreign_stage stage = foreign_stage_of(status, error.text, label);
    if (stage == row->stage && strstr(error.text, row->message))
        return;
    print_message("%s: ends at %s, not at %s with \"%s\": %s\n", row->name,
                  foreign_stage_name(stage), foreign_stage_name(row->stage), row->message,
                  status ? error.text : "");
    n_wrong++;
}

/* Returns the memory that it took. */
static size_t open_row(const bad_foreign *row, size_t *size) {
    foreign *f = NULL;
    size_t peak;
    bad_bytes file = bad_foreign_make(row);
    size_t most = CONSTANT_BYTES + BYTES_PER_BYTE * file.size;
    most += row->stage == FOREIGN_NAMES && row->edit == FOREIGN_REPEAT ? TENSORS_BYTES : 0;
    most += file.size ? 0 : FIRST_READ;
    put_file(&file);
    clock_t begun = clock();
    memory_cap_begin(most);
    octet_status status = foreign_open(&f, path, &error);
    int refused = memory_cap_end(&peak);
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    foreign_close(&f);
    if (refused)
        fail_msg("%s: %zu bytes of file need more than %zu bytes", row->name, file.size, most);
    check_row(row, status, path);
    if (seconds > SECONDS)
        fail_msg("%s: took %.1f s", row->name, seconds);
    check_row(row, foreign_open_memory(&f, "x", file.data, file.size, &error), "x");
    foreign_close(&f);
    *size = file.size;
    free(file.data);
    return peak;
}

static void run_rows(const bad_foreign *rows, int n, int count[FOREIGN_STAGES]) {
    double largest = 0;
    const char *name = "none";
    for (int i = 0; i < n; i++) {
        size_t size, peak = open_row(&rows[i], &size);
        count[rows[i].stage]++;
        if (size > 65536 && (double)peak / (double)size > largest) {
            largest = (double)peak / (double)size;
            name = rows[i].name;
        }
    }
    if (largest > 0)
        print_message("most memory: %.1f times the file (%s)\n", largest, name);
}

static void files_end_where_they_must(void **state) {
    (void)state;
    int count[FOREIGN_STAGES] = {0};
    run_rows(bad_foreign_pickles, bad_foreign_pickles_count, count);
    run_rows(bad_foreign_zips, bad_foreign_zips_count, count);
    print_message("%d files:", bad_foreign_pickles_count + bad_foreign_zips_count);
    for (int i = 0; i < FOREIGN_OPEN; i++) {
        print_message(" %s %d", foreign_stage_name((foreign_stage)i), count[i]);
        assert_true(count[i] > 0);
    }
    print_message("\n");
    assert_int_equal(n_wrong, 0);
}

/* No two rows make the same file: a row that lost its fault would be one of a good file. */
static void rows_differ(void **state) {
    (void)state;
    int n = bad_foreign_pickles_count + bad_foreign_zips_count, n_alike = 0;
    bad_bytes *files = support_alloc((size_t)n, sizeof *files);
    for (int i = 0; i < n; i++) {
        const bad_foreign *row = i < bad_foreign_pickles_count
                                     ? &bad_foreign_pickles[i]
                                     : &bad_foreign_zips[i - bad_foreign_pickles_count];
        if (row->n > 65536 && row->edit != FOREIGN_BOMB && row->edit < FOREIGN_NUMBER)
            continue;
        files[i] = bad_foreign_make(row);
        for (int k = 0; k < i; k++)
            if (files[k].data && files[k].size == files[i].size &&
                !memcmp(files[k].data, files[i].data, files[i].size)) {
                print_message("%s: the file of row %d\n", row->name, k);
                n_alike++;
            }
    }
    for (int i = 0; i < n; i++)
        free(files[i].data);
    free(files);
    assert_int_equal(n_alike, 0);
}

/* Every byte that a pickle may hold as its only opcode. */
static void opcodes_are_known_or_refused(void **state) {
    (void)state;
    int n_refused = 0;
    for (int code = 0; code < 256; code++) {
        char text[] = {(char)0x80, 2, (char)code, '.'};
        bad_foreign row = {.edit = FOREIGN_TEXT, .a = text, .a_bytes = sizeof text};
        foreign *f = NULL;
        bad_bytes file = bad_foreign_make(&row);
        assert_int_equal(foreign_open_memory(&f, "x", file.data, file.size, &error), OCTET_CORRUPT);
        n_refused += strstr(error.text, "opcode ") || strstr(error.text, "is not an opcode");
        free(file.data);
    }
    assert_int_equal(n_refused, 256 - 31);
}

/* --- all ends and all bits */

static void archives_cut_anywhere_are_refused(void **state) {
    (void)state;
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    for (int style = 0; style < TORCH_STYLES; style++) {
        bad_bytes file = torch_zip(members, TORCH_MEMBERS, (torch_style)style);
        for (size_t n = 0; n < file.size; n++) {
            foreign *f = NULL;
            uint8_t *cut = support_alloc(n + 1, 1); /* so that reading beyond it is seen */
            uint8_t *end = realloc(cut, n ? n : 1);
            memcpy(end, file.data, n);
            octet_status status = foreign_open_memory(&f, "x", end, n, &error);
            (void)foreign_stage_of(status, error.text, "x");
            assert_int_equal(status, OCTET_CORRUPT);
            free(end);
        }
        free(file.data);
    }
}

static int same_tensors(const foreign *f, const float *w, const float *b) {
    const foreign_tensor *t[2] = {foreign_find(f, "w"), foreign_find(f, "b")};
    float got[7];
    if (foreign_count(f) != 2 || !t[0] || !t[1] || t[0]->rank != 2 || t[0]->dim[0] != 2 ||
        t[0]->dim[1] != 3 || t[1]->rank != 1 || t[1]->dim[0] != 1)
        return 0;
    support_ok(foreign_read(got, f, t[0], &error), &error);
    support_ok(foreign_read(got + 6, f, t[1], &error), &error);
    return !memcmp(got, w, 6 * sizeof *w) && !memcmp(got + 6, b, sizeof *b);
}

/* Some bits say nothing: dates, versions, attributes, padding. */
static void no_single_bit_changes_what_is_read(void **state) {
    (void)state;
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    for (int style = 0; style < TORCH_STYLES; style++) {
        bad_bytes file = torch_zip(members, TORCH_MEMBERS, (torch_style)style);
        size_t n_open = 0;
        for (size_t bit = 0; bit < 8 * file.size; bit++) {
            foreign *f = NULL;
            file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            octet_status status = foreign_open_memory(&f, "x", file.data, file.size, &error);
            (void)foreign_stage_of(status, error.text, "x");
            n_open += !status;
            if (!status && !same_tensors(f, members[TORCH_DATA_0].data, members[TORCH_DATA_1].data))
                fail_msg("byte %zu bit %zu", bit / 8, bit % 8);
            foreign_close(&f);
            file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        print_message("%zu of %zu bits are free\n", n_open, 8 * file.size);
        assert_true(n_open > 0 && n_open < 4 * file.size);
        free(file.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_end_where_they_must),
        cmocka_unit_test(rows_differ),
        cmocka_unit_test(opcodes_are_known_or_refused),
        cmocka_unit_test(archives_cut_anywhere_are_refused),
        cmocka_unit_test(no_single_bit_changes_what_is_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
