/* mutated_foreign_test.c: archives of torch.save with random damage, half of them with their CRCs
 * made right again: no crash, the right code, bounded memory and time. OCTET_TEST_ALL runs 20,000.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "bad_foreign.h"
#include "memory_cap.h"
#include "model/foreign.h"
#include "mutate_foreign.h"
#include "support.h"

/* As in bad_foreign_test.c. */
#define BYTES_PER_BYTE 34
#define CONSTANT_BYTES 4096
#define SECONDS 10

#define GOOD_FILES (2 * TORCH_STYLES)

static octet_error error;

static void make_good(bad_bytes good[GOOD_FILES]) {
    torch_member members[TORCH_MEMBERS];
    for (int i = 0; i < GOOD_FILES; i++) {
        if (i < TORCH_STYLES)
            torch_good(members);
        else
            torch_training(members);
        good[i] = torch_zip(members, TORCH_MEMBERS, (torch_style)(i % TORCH_STYLES));
    }
}

/* Every tensor: its elements lie in the file, and are numbers or refused. Returns how many were
 * read. */
static int read_all(const foreign *f, size_t file_bytes) {
    int n_read = 0;
    for (size_t i = 0; i < foreign_count(f); i++) {
        const foreign_tensor *t = foreign_at(f, i);
        size_t n = 1;
        for (int k = 0; k < t->rank; k++)
            n *= (size_t)t->dim[k];
        assert_true(n <= file_bytes);
        float *out = support_alloc(n + 1, sizeof *out);
        octet_status status = foreign_read(out, f, t, &error);
        if (status)
            assert_int_equal(foreign_stage_of(status, error.text, "x"), FOREIGN_TENSORS);
        for (size_t k = 0; k < n && !status; k++)
            assert_true(isfinite(out[k]));
        n_read += !status;
        free(out);
    }
    return n_read;
}

static foreign_stage open_mutated(const bad_bytes *file, int *n_read) {
    foreign *f = NULL;
    size_t peak, most = CONSTANT_BYTES + BYTES_PER_BYTE * file->size;
    clock_t begun = clock();
    memory_cap_begin(most);
    octet_status status = foreign_open_memory(&f, "x", file->data, file->size, &error);
    int refused = memory_cap_end(&peak);
    if (refused)
        fail_msg("%zu bytes of file need more than %zu of memory", file->size, most);
    foreign_stage stage = foreign_stage_of(status, error.text, "x");
    assert_int_equal(f != NULL, stage == FOREIGN_OPEN);
    if (f)
        *n_read += read_all(f, file->size);
    foreign_close(&f);
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    if (seconds > SECONDS)
        fail_msg("%zu bytes of file took %.1f s", file->size, seconds);
    return stage;
}

static void print_counts(const char *what, int n, const int count[FOREIGN_STAGES], int n_read) {
    int reached = n;
    print_message("%s %6d:", what, n);
    for (int i = 0; i < FOREIGN_STAGES; i++) {
        print_message(" %s %d", foreign_stage_name((foreign_stage)i), reached);
        reached -= count[i];
    }
    print_message(" reached; %d tensors read\n", n_read);
}

static void archives_survive(void **state) {
    (void)state;
    const char *wanted = getenv("OCTET_TEST_ALL");
    int n = wanted && *wanted ? 20000 : 1000;
    int count[2][FOREIGN_STAGES] = {{0}}, of[2] = {0}, n_read[2] = {0};
    bad_bytes good[GOOD_FILES];
    make_good(good);
    for (int i = 0; i < n; i++) {
        uint64_t seed = (uint64_t)i;
        int fixed = i % 2;
        const bad_bytes *from = &good[i / 2 % GOOD_FILES];
        bad_bytes file = {support_alloc(from->size, 1), from->size};
        memcpy(file.data, from->data, from->size);
        mutate_foreign(&file, &seed);
        if (fixed)
            (void)torch_fix_crcs(&file);
        count[fixed][open_mutated(&file, &n_read[fixed])]++;
        of[fixed]++;
        free(file.data);
    }
    print_counts("CRCs as they were", of[0], count[0], n_read[0]);
    print_counts("CRCs made right  ", of[1], count[1], n_read[1]);
    for (int i = 0; i < FOREIGN_STAGES; i++)
        if (count[0][i] + count[1][i] == 0)
            fail_msg("no file ended at stage %s", foreign_stage_name((foreign_stage)i));
    for (int i = 0; i < GOOD_FILES; i++)
        free(good[i].data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(archives_survive)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
