/* data_test.c: training data: every byte once an epoch, whatever the sizes; orders that are
 * permutations and pure functions of the seed; what is held out stays out; folders; errors.
 *
 * Most tests train on bytes 0, 1, 2, ...: a window then says itself where it comes from. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "support.h"
#include "train/data.h"

enum { LARGEST = 256 };

static data *open_count(int64_t n, int64_t context, uint64_t seed) {
    static uint8_t count[LARGEST];
    octet_error error;
    data *d;
    for (int i = 0; i < LARGEST; i++)
        count[i] = (uint8_t)i;
    support_ok(data_open_memory(&d, count, (size_t)n, context, seed, &error), &error);
    return d;
}

/* Reads a window, checks that it is a run of consecutive bytes, and returns its length. */
static size_t window_at(const data *d, uint64_t index, int64_t context, int *start) {
    uint8_t bytes[LARGEST + 2];
    memset(bytes, 0xEE, sizeof bytes);
    size_t n = data_window(d, index, bytes + 1);
    assert_in_range(n, 1, context);
    assert_int_equal(bytes[0], 0xEE); /* nothing is written outside */
    assert_int_equal(bytes[1 + n], 0xEE);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bytes[1 + i], bytes[1] + i);
    *start = bytes[1];
    return n;
}

/* --- windows ------------------------------------------------------------------------------ */

/* In each epoch windows cover every byte exactly once, and all but the first and last of a part are
 * whole; their number is the one that data.h states. */
static void check_epochs(int64_t n, int64_t context, int epochs) {
    data *d = open_count(n, context, (uint64_t)(n * 1000 + context));
    uint64_t windows = data_epoch_windows(d);
    int64_t stated = n / context + 1 + (n >= 8 * context && n % context > context / 2);
    if (n <= context)
        stated = 1;
    else if (context == 1)
        stated = n;
    assert_int_equal(windows, stated);
    assert_int_equal(data_train_bytes(d), n);
    assert_int_equal(data_valid_files(d), 0);
    for (int e = 0; e < epochs; e++) {
        int seen[LARGEST] = {0};
        for (uint64_t i = 0; i < windows; i++) {
            int start;
            size_t length = window_at(d, (uint64_t)e * windows + i, context, &start);
            assert_true(start + (int64_t)length <= n);
            if (start > 0 && start + (int64_t)length < n)
                assert_int_equal(length, context);
            for (size_t k = 0; k < length; k++)
                seen[start + (int)k]++;
        }
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(seen[i], 1);
    }
    data_close(&d);
    assert_null(d);
}

static void every_byte_is_in_one_window_an_epoch(void **state) {
    (void)state;
    static const int64_t contexts[] = {1, 2, 3, 4, 7, 15, 16, 17, 64, 200};
    for (size_t c = 0; c < sizeof contexts / sizeof contexts[0]; c++)
        for (int64_t n = 1; n < LARGEST - 1; n++)
            check_epochs(n, contexts[c], 3);
}

/* Over many epochs the grid takes every shift that is allowed, about equally often. */
static void grids_differ_between_epochs(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{100, 16}, {200, 16}, {204, 16}, {35, 16}, {192, 16}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int64_t n = sizes[s][0], context = sizes[s][1];
        enum { EPOCHS = 3000 };
        int first[LARGEST] = {0}, kinds = 0;
        data *d = open_count(n, context, 5);
        uint64_t windows = data_epoch_windows(d);
        for (uint64_t i = 0; i < windows * EPOCHS; i++) {
            int start;
            size_t length = window_at(d, i, context, &start);
            if (start == 0)
                first[length]++;
        }
        int64_t low = n - ((int64_t)windows - 1) * context;
        int64_t high = n - ((int64_t)windows - 2) * context - 1;
        low = low > 1 ? low : 1;
        high = high < context ? high : context;
        assert_true(n < 8 * context || high - low + 1 >= context / 2);
        for (int i = 0; i < LARGEST; i++) {
            kinds += first[i] > 0;
            if (i < low || i > high)
                assert_int_equal(first[i], 0);
        }
        assert_int_equal(kinds, high - low + 1);
        /* Counts are binomial: six standard deviations, and the draws are fixed by the seed. */
        double expected = (double)EPOCHS / kinds;
        for (int64_t i = low; i <= high; i++) {
            double off = first[i] - expected;
            assert_true(off * off <= 36 * expected);
        }
        data_close(&d);
    }
}

/* The window that comes first in an epoch is any of them, about equally often, and neighbours in
 * the data are rarely neighbours in time. */
static void orders_are_shuffled(void **state) {
    (void)state;
    enum { EPOCHS = 4000 };
    for (int64_t n = 2; n <= 40; n += n < 6 ? 1 : 17) {
        int64_t context = 2; /* n windows */
        data *d = open_count(2 * n - 1, context, 11);
        uint64_t windows = data_epoch_windows(d);
        double expected = (double)EPOCHS / (double)windows;
        int at_front[LARGEST] = {0};
        int64_t in_order = 0;
        for (int e = 0; e < EPOCHS; e++) {
            int last = -9;
            for (uint64_t i = 0; i < windows; i++) {
                int start;
                window_at(d, (uint64_t)e * windows + i, context, &start);
                int window = (start + 1) / 2;
                at_front[window] += i == 0;
                in_order += window == last + 1;
                last = window;
            }
        }
        for (uint64_t i = 0; i < windows; i++) {
            double off = at_front[i] - expected;
            assert_true(off * off <= 36 * expected);
        }
        /* windows - 1 pairs follow each other with probability 1 / windows each. */
        double pairs = (double)(windows - 1) * EPOCHS / (double)windows;
        assert_true((in_order - pairs) * (in_order - pairs) <= 36 * pairs);
        data_close(&d);
    }
}

static void windows_are_pure_functions_of_seed_and_index(void **state) {
    (void)state;
    data *a = open_count(250, 16, 1), *b = open_count(250, 16, 1), *other = open_count(250, 16, 2);
    uint64_t windows = data_epoch_windows(a), random = 3;
    int differ = 0, epochs_differ = 0, start_a, start_b;
    for (int i = 0; i < 2000; i++) {
        uint64_t index = support_random(&random) % 1000000007u;
        size_t n = window_at(a, index, 16, &start_a);
        assert_int_equal(window_at(b, index, 16, &start_b), n);
        assert_int_equal(start_a, start_b);
        window_at(other, index, 16, &start_b);
        differ += start_a != start_b;
        window_at(a, index + windows, 16, &start_b);
        epochs_differ += start_a != start_b;
    }
    assert_true(differ > 1500 && epochs_differ > 1500);
    window_at(a, UINT64_MAX, 16, &start_a); /* the last index is an index */
    data_close(&a);
    data_close(&b);
    data_close(&other);
}

/* Windows of 32-bit numbers in order, so that larger data say where a window comes from. */
static void large_data_are_covered(void **state) {
    (void)state;
    enum { N = 1 << 20, CONTEXT = 1000 };
    uint8_t *bytes = support_alloc(N, 1), *window = support_alloc(CONTEXT, 1);
    uint8_t *seen = support_alloc(N, 1);
    octet_error error;
    data *d;
    for (uint32_t i = 0; i < N; i++)
        bytes[i] = (uint8_t)(i / 4 >> (8 * (i % 4)));
    support_ok(data_open_memory(&d, bytes, N, CONTEXT, 77, &error), &error);
    uint64_t windows = data_epoch_windows(d);
    assert_int_equal(windows, N / CONTEXT + 2); /* 576 bytes are left over: more than half */
    size_t whole = 0, total = 0;
    for (uint64_t i = 0; i < windows; i++) {
        size_t n = data_window(d, windows * 9 + i, window);
        total += n;
        if (n < CONTEXT)
            continue;
        whole++;
        /* One of four alignments gives numbers that agree with the bytes there. */
        for (uint32_t shift = 0; shift < 4; shift++) {
            const uint8_t *w = window + shift;
            uint32_t number = w[0] | (uint32_t)w[1] << 8 | (uint32_t)w[2] << 16;
            uint32_t start = number * 4 - shift;
            if (w[3] == 0 && start <= N - CONTEXT && !memcmp(bytes + start, window, CONTEXT)) {
                for (uint32_t k = 0; k < CONTEXT; k++)
                    assert_int_equal(seen[start + k]++, 0);
                break;
            }
            assert_int_not_equal(shift, 3);
        }
    }
    assert_int_equal(total, N);
    assert_int_equal(whole, windows - 2);
    data_close(&d);
    free(bytes);
    free(window);
    free(seen);
}

/* --- files -------------------------------------------------------------------------------- */

typedef struct folder {
    char path[64];
} folder;

static int make_folder(void **state) {
    folder *f = support_alloc(1, sizeof *f);
    strcpy(f->path, "/tmp/octet_data_XXXXXX");
    *state = f;
    return mkdtemp(f->path) ? 0 : -1;
}

static int remove_folder(void **state) {
    folder *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", f->path);
    int failed = system(command);
    free(f);
    return failed;
}

/* The name in the folder, in one of a few buffers that take turns. */
static const char *in_folder(const folder *f, const char *name) {
    static char buffers[16][160];
    static int next;
    char *b = buffers[next++ % 16];
    snprintf(b, sizeof buffers[0], "%s/%s", f->path, name);
    return b;
}

/* Writes n bytes that count up from `first`. */
static const char *write_count(const folder *f, const char *name, int first, int n) {
    const char *path = in_folder(f, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < n; i++)
        assert_int_not_equal(fputc((first + i) & 0xFF, file), EOF);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void make(const folder *f, const char *name) {
    assert_int_equal(mkdir(in_folder(f, name), 0700), 0);
}

static data *open_paths(const char *const *paths, size_t n, int64_t context) {
    octet_error error;
    data *d;
    support_ok(data_open(&d,
                         &(data_source){.paths = paths, .n_paths = n, .valid = NULL, .n_valid = 0},
                         context, 1, &error),
               &error);
    return d;
}

/* Every file's tail of the stated size is validation data, in order, and the windows of an epoch
 * hold all other bytes once. */
static void check_held_out(const folder *f, const int *sizes, const int *held, int n,
                           int64_t context) {
    const char *paths[8] = {NULL};
    char name[16];
    int seen[LARGEST] = {0}, first = 0, part = 0;
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "h%d", i);
        paths[i] = write_count(f, name, first, sizes[i]);
        first += sizes[i];
    }
    data *d = open_paths(paths, (size_t)n, context);
    first = 0;
    for (int i = 0; i < n; i++) {
        size_t bytes;
        first += sizes[i];
        if (held[i] == 0)
            continue;
        const uint8_t *valid = data_valid_part(d, (size_t)part++, &bytes);
        assert_int_equal(bytes, held[i]);
        for (size_t k = 0; k < bytes; k++) {
            assert_int_equal(valid[k], first - held[i] + (int)k);
            seen[valid[k]]++;
        }
    }
    assert_int_equal(data_valid_files(d), part);
    for (uint64_t i = 0; i < data_epoch_windows(d); i++) {
        int start;
        size_t length = window_at(d, i, context, &start);
        for (size_t k = 0; k < length; k++)
            seen[start + (int)k]++;
        int end = 0; /* of the file that holds the start */
        for (int s = 0; s < n && end <= start; s++)
            end += sizes[s];
        assert_true(start + (int)length <= end);
    }
    for (int i = 0; i < first; i++)
        assert_int_equal(seen[i], 1);
    data_close(&d);
}

static void tails_are_held_out(void **state) {
    check_held_out(*state, (int[]){100}, (int[]){5}, 1, 4);
    check_held_out(*state, (int[]){100, 19, 1, 60}, (int[]){5, 0, 0, 3}, 4, 3);
    check_held_out(*state, (int[]){80, 79, 81}, (int[]){10, 3, 10}, 3, 10); /* eight contexts */
    check_held_out(*state, (int[]){1, 1, 1}, (int[]){0, 0, 0}, 3, 64);
    check_held_out(*state, (int[]){255}, (int[]){31}, 1, 31);
    check_held_out(*state, (int[]){0, 40, 0}, (int[]){0, 2, 0}, 3, 64); /* empty files */
}

static void large_tails_stop_at_two_mebibytes(void **state) {
    const folder *f = *state;
    enum { N = 45 << 20 };
    const char *path = in_folder(f, "sparse");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(truncate(path, N), 0);
    size_t n;
    data *d = open_paths(&path, 1, 1024);
    data_valid_part(d, 0, &n);
    assert_int_equal(n, 2 << 20);
    assert_int_equal(data_train_bytes(d), N - (2 << 20));
    data_close(&d);
    d = open_paths(&path, 1, 4 << 20); /* a context is more */
    data_valid_part(d, 0, &n);
    assert_int_equal(n, 4 << 20);
    data_close(&d);
    assert_int_equal(remove(path), 0);
}

static void validation_files_leave_training_files_whole(void **state) {
    const folder *f = *state;
    const char *train[] = {write_count(f, "t", 0, 200)};
    const char *valid[] = {write_count(f, "v", 200, 30), write_count(f, "v2", 230, 3)};
    octet_error error;
    data *d;
    size_t n;
    support_ok(data_open(&d,
                         &(data_source){.paths = train, .n_paths = 1, .valid = valid, .n_valid = 2},
                         8, 1, &error),
               &error);
    assert_int_equal(data_train_bytes(d), 200);
    assert_int_equal(data_valid_files(d), 2);
    assert_int_equal(data_valid_part(d, 0, &n)[0], 200);
    assert_int_equal(n, 30);
    assert_int_equal(data_valid_part(d, 1, &n)[0], 230);
    assert_int_equal(n, 3);
    data_close(&d);
}

/* With `align` all windows begin at its multiples and every byte is still in one of them; what is
 * held out leaves whole ones; over the epochs the grid takes every place that there is. */
static void aligned_windows_begin_where_they_must(void **state) {
    const folder *f = *state;
    static const int64_t aligns[] = {2, 3, 12};
    for (int64_t i = 0; i < 9; i++)
        for (int n = 1; n < 250; n += 1 + n / 40) {
            const int64_t align = aligns[i / 3], context = align * (i % 3 * 2 + 1);
            const char *path = write_count(f, "aligned", 0, n);
            data_source source = {.paths = &path, .n_paths = 1, .align = align};
            octet_error error;
            data *d;
            int firsts[LARGEST] = {0}, kinds = 0;
            support_ok(data_open(&d, &source, context, 7, &error), &error);
            const uint64_t windows = data_epoch_windows(d);
            const int trained = (int)data_train_bytes(d);
            assert_true(trained == n || trained % align == 0);
            for (uint64_t k = 0; k < 40 * windows; k++) {
                static int seen[LARGEST];
                int start;
                const size_t length = window_at(d, k, context, &start);
                if (k % windows == 0)
                    memset(seen, 0, sizeof seen);
                assert_int_equal(start % align, 0);
                for (size_t b = 0; b < length; b++)
                    assert_int_equal(seen[start + (int)b]++, 0);
                kinds += start == 0 && !firsts[length]++;
                for (int b = 0; b < trained && k % windows == windows - 1; b++)
                    assert_int_equal(seen[b], 1);
            }
            assert_true(kinds >= (trained >= 4 * context ? (int)(context / align) / 2 : 1));
            data_close(&d);
        }
}

static void whole_files_are_held_out(void **state) {
    const folder *f = *state;
    octet_error error;
    data *d;
    make(f, "whole");
    for (int i = 0; i < 31; i++) {
        char name[16];
        snprintf(name, sizeof name, "whole/%02d", i);
        write_count(f, name, i, 5);
    }
    const char *folder_path = in_folder(f, "whole");
    data_source source = {.paths = &folder_path, .n_paths = 1, .whole_files = 1};
    support_ok(data_open(&d, &source, 5, 7, &error), &error);
    assert_int_equal(data_valid_files(d), 2);
    assert_int_equal(data_train_bytes(d), 29 * 5);
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        assert_int_equal(data_valid_part(d, i, &n)[0], 10 + 20 * i);
        assert_int_equal(n, 5);
    }
    data_close(&d);
}

/* Order is seen through files of one byte each and a context that makes one window of each. */
static void folders_are_read_in_byte_order(void **state) {
    const folder *f = *state;
    static const char *const names[] = {"d/B",   "d/a.b/x",    "d/a/x",
                                        "d/a-b", "d/\xc3\xa4", "d/z/y/x"};
    make(f, "d");
    make(f, "d/a");
    make(f, "d/a.b");
    make(f, "d/z");
    make(f, "d/z/y");
    make(f, "d/.hidden");
    make(f, "d/empty");
    for (int i = 0; i < 6; i++)
        write_count(f, names[i], i, 1);
    write_count(f, "d/.x", 90, 1);
    write_count(f, "d/.hidden/x", 91, 1);
    write_count(f, "d/nothing", 92, 0);
    write_count(f, "outside", 50, 1);
    assert_int_equal(symlink("../outside", in_folder(f, "d/link")), 0);
    assert_int_equal(symlink("..", in_folder(f, "d/loop")), 0);
    assert_int_equal(mkfifo(in_folder(f, "d/fifo"), 0600), 0);
    /* B < a < a-b < a.b < link < z < \xc3; a folder stands where its name does. */
    static const uint8_t expected[] = {0, 2, 3, 1, 50, 5, 4};
    octet_error error;
    data *d;
    const char *path[] = {in_folder(f, "d")}, *train[] = {in_folder(f, "outside")};
    support_ok(data_open(&d,
                         &(data_source){.paths = train, .n_paths = 1, .valid = path, .n_valid = 1},
                         1, 1, &error),
               &error);
    assert_int_equal(data_valid_files(d), sizeof expected);
    for (size_t i = 0; i < sizeof expected; i++) {
        size_t n;
        assert_int_equal(data_valid_part(d, i, &n)[0], expected[i]);
        assert_int_equal(n, 1);
    }
    data_close(&d);
    const char *slash[] = {in_folder(f, "d/"), in_folder(f, "d/B")};
    d = open_paths(slash, 2, 1);
    assert_int_equal(data_train_bytes(d), sizeof expected + 1);
    data_close(&d);
}

static void fingerprints_tell_contents_not_names(void **state) {
    const folder *f = *state;
    const char *a = write_count(f, "fa", 0, 200), *same = write_count(f, "fb", 0, 200);
    const char *shorter = write_count(f, "fc", 0, 199), *shifted = write_count(f, "fd", 1, 200);
    const char *lists[][2] = {{a, NULL},    {shorter, NULL}, {shifted, NULL},
                              {a, shorter}, {shorter, a},    {a, a}};
    uint64_t prints[8];
    size_t n = 0;
    data *d;
    octet_error error;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        d = open_paths(lists[i], lists[i][1] ? 2 : 1, 16);
        prints[n++] = data_fingerprint(d);
        data_close(&d);
    }
    support_ok(data_open(&d,
                         &(data_source){.paths = &a, .n_paths = 1, .valid = &shorter, .n_valid = 1},
                         16, 1, &error),
               &error);
    prints[n++] = data_fingerprint(d);
    data_close(&d);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(prints[i] != prints[k]);
    d = open_paths(&same, 1, 16);
    assert_true(data_fingerprint(d) == prints[0]);
    data_close(&d);
    /* Sizes count too: these have equal ends. */
    uint8_t *zeros = support_alloc(20001, 1);
    for (size_t i = 0; i < 2; i++) {
        support_ok(data_open_memory(&d, zeros, 20000 + i, 16, 1, &error), &error);
        prints[i] = data_fingerprint(d);
        data_close(&d);
    }
    assert_true(prints[0] != prints[1]);
    free(zeros);
}

static void errors_name_the_paths(void **state) {
    const folder *f = *state;
    const char *empty = write_count(f, "e0", 0, 0), *full = write_count(f, "e1", 0, 9);
    const char *missing = in_folder(f, "not-there"), *many[64];
    octet_error error;
    data *d;
    assert_int_equal(
        data_open(&d, &(data_source){.paths = &missing, .n_paths = 1, .valid = NULL, .n_valid = 0},
                  8, 1, &error),
        OCTET_ERROR);
    assert_null(d);
    assert_non_null(strstr(error.text, missing));
    assert_int_equal(
        data_open(&d, &(data_source){.paths = &full, .n_paths = 1, .valid = &missing, .n_valid = 1},
                  8, 1, &error),
        OCTET_ERROR);
    assert_null(d);
    assert_non_null(strstr(error.text, missing));
    assert_int_equal(
        data_open(&d, &(data_source){.paths = &empty, .n_paths = 1, .valid = NULL, .n_valid = 0}, 8,
                  1, &error),
        OCTET_ERROR);
    assert_non_null(strstr(error.text, "no bytes of training data in "));
    assert_non_null(strstr(error.text, empty));
    assert_int_equal(
        data_open(&d, &(data_source){.paths = &full, .n_paths = 1, .valid = &empty, .n_valid = 1},
                  8, 1, &error),
        OCTET_ERROR);
    assert_null(d);
    assert_non_null(strstr(error.text, "no bytes of validation data in "));
    assert_int_equal(
        data_open(&d, &(data_source){.paths = NULL, .n_paths = 0, .valid = NULL, .n_valid = 0}, 8,
                  1, &error),
        OCTET_ERROR);
    for (int i = 0; i < 64; i++)
        many[i] = empty;
    assert_int_equal(
        data_open(&d, &(data_source){.paths = many, .n_paths = 64, .valid = NULL, .n_valid = 0}, 8,
                  1, &error),
        OCTET_ERROR);
    assert_non_null(strstr(error.text, " more"));
    assert_int_equal(data_open_memory(&d, NULL, 0, 8, 1, &error), OCTET_ERROR);
    assert_null(d);
    make(f, "broken");
    assert_int_equal(symlink("nowhere", in_folder(f, "broken/link")), 0);
    const char *broken = in_folder(f, "broken");
    assert_int_equal(
        data_open(&d, &(data_source){.paths = &broken, .n_paths = 1, .valid = NULL, .n_valid = 0},
                  8, 1, &error),
        OCTET_ERROR);
    assert_non_null(strstr(error.text, "broken/link: cannot open"));
    data_close(&d);
    data_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_in_one_window_an_epoch),
        cmocka_unit_test(grids_differ_between_epochs),
        cmocka_unit_test(orders_are_shuffled),
        cmocka_unit_test(windows_are_pure_functions_of_seed_and_index),
        cmocka_unit_test(large_data_are_covered),
        cmocka_unit_test(tails_are_held_out),
        cmocka_unit_test(large_tails_stop_at_two_mebibytes),
        cmocka_unit_test(validation_files_leave_training_files_whole),
        cmocka_unit_test(aligned_windows_begin_where_they_must),
        cmocka_unit_test(whole_files_are_held_out),
        cmocka_unit_test(folders_are_read_in_byte_order),
        cmocka_unit_test(fingerprints_tell_contents_not_names),
        cmocka_unit_test(errors_name_the_paths),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
