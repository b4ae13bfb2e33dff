/* foreign_test.c: checkpoints that PyTorch wrote are read as an independent reader reads them. The
 * lists in data/torch are the work of Python's own pickle and zlib. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "model/foreign.h"
#include "support.h"
#include "torch_file.h"

static octet_error error;

static foreign *open_file(const char *name) {
    foreign *f;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TORCH_DATA_FOLDER, name);
    support_ok(foreign_open(&f, path, &error), &error);
    return f;
}

static file_bytes read_file(const char *name) {
    file_bytes file;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TORCH_DATA_FOLDER, name);
    support_ok(file_read(&file, path, 1 << 24, &error), &error);
    return file;
}

static int64_t elements_of(const foreign_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

/* The elements one after the other; free them. */
static uint8_t *contiguous(const foreign_tensor *t, size_t *bytes) {
    size_t each = safetensors_type_bytes(t->type), n = (size_t)elements_of(t);
    uint8_t *out = support_alloc(n * each + 1, 1);
    for (size_t i = 0; i < n; i++) {
        size_t rest = i, at = 0;
        for (int k = t->rank - 1; k >= 0; k--) {
            at += rest % (size_t)t->dim[k] * (size_t)t->stride[k];
            rest /= (size_t)t->dim[k];
        }
        memcpy(out + i * each, t->data + at * each, each);
    }
    *bytes = n * each;
    return out;
}

/* --- lists: name, type, size, stride, storage, offset, CRC-32 of the elements */

typedef struct listed {
    char name[128], type[8], size[64], stride[64], storage[8];
    unsigned long offset, crc;
} listed;

static int read_listed(listed *l, FILE *f) {
    return fscanf(f, "%127s %7s %63s %63s %7s %lu %lx", l->name, l->type, l->size, l->stride,
                  l->storage, &l->offset, &l->crc) == 7;
}

static void write_integers(char *text, size_t bytes, int n, const int64_t *values) {
    size_t used = 0;
    snprintf(text, bytes, "-");
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%lld", i ? "," : "",
                                 (long long)values[i]);
}

static FILE *open_list(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TORCH_DATA_FOLDER, name);
    FILE *list = fopen(path, "r");
    assert_non_null(list);
    return list;
}

/* All but the elements. The lists are in the order of names. */
static void compare_layout(const foreign_tensor *t, const listed *l) {
    char size[64], stride[64];
    write_integers(size, sizeof size, t->rank, t->dim);
    write_integers(stride, sizeof stride, t->rank, t->stride);
    assert_string_equal(t->name, l->name);
    assert_string_equal(safetensors_type_name(t->type), l->type);
    assert_string_equal(size, l->size);
    assert_string_equal(stride, l->stride);
}

static void files_hold_what_python_finds(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"mb1/model.pt", "mb1/model.txt"},
        {"mb2-odd/model.pt", "mb2-odd/model.txt"},
        {"two-rot-fixed/weights.pth", "two-rot-fixed/weights.txt"},
        {"two-rot-fixed/weights-v0.4.0-names.pth", "two-rot-fixed/weights-v0.4.0-names.txt"}};
    for (int i = 0; i < 4; i++) {
        foreign *f = open_file(names[i][0]);
        FILE *list = open_list(names[i][1]);
        listed l;
        size_t n = 0, bytes;
        for (; read_listed(&l, list); n++) {
            const foreign_tensor *t = foreign_at(f, n);
            compare_layout(t, &l);
            uint8_t *data = contiguous(t, &bytes);
            assert_int_equal(crc32_z(0, data, bytes), l.crc);
            free(data);
            assert_ptr_equal(foreign_find(f, l.name), t);
        }
        assert_true(n > 20);
        assert_int_equal(foreign_count(f), n);
        assert_null(foreign_find(f, "no such tensor"));
        fclose(list);
        foreign_close(&f);
    }
}

/* The same model in both formats. */
static void archives_equal_safetensors(void **state) {
    (void)state;
    static const char *const names[][2] = {{"mb1/model.pt", "mb1/model.safetensors"},
                                           {"mb2-odd/model.pt", "mb2-odd/model.safetensors"}};
    for (int i = 0; i < 2; i++) {
        foreign *f = open_file(names[i][0]), *g = open_file(names[i][1]);
        assert_int_equal(foreign_count(f), foreign_count(g));
        for (size_t k = 0; k < foreign_count(f); k++) {
            const foreign_tensor *a = foreign_at(f, k), *b = foreign_at(g, k);
            size_t n = (size_t)elements_of(a), bytes[2];
            uint8_t *data[2] = {contiguous(a, &bytes[0]), contiguous(b, &bytes[1])};
            float *values[2] = {support_alloc(n, sizeof(float)), support_alloc(n, sizeof(float))};
            assert_string_equal(a->name, b->name);
            assert_int_equal(a->type, b->type);
            assert_int_equal(a->rank, b->rank);
            assert_memory_equal(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
            assert_int_equal(bytes[0], bytes[1]);
            assert_memory_equal(data[0], data[1], bytes[0]);
            support_ok(foreign_read(values[0], f, a, &error), &error);
            support_ok(foreign_read(values[1], g, b, &error), &error);
            assert_memory_equal(values[0], values[1], n * sizeof(float));
            assert_memory_equal(values[0], data[0], bytes[0]); /* they are F32, contiguous */
            for (int j = 0; j < 2; j++) {
                free(data[j]);
                free(values[j]);
            }
        }
        foreign_close(&f);
        foreign_close(&g);
    }
}

/* MBLM renamed what embeds bytes. */
static void old_name(char out[128], const char *name) {
    static const char prefix[] = "token_embs_rev.";
    int level, index, read = 0;
    snprintf(out, 128, "%s", name);
    if (sscanf(name, "token_embs_rev.%d._post.%d.%n", &level, &index, &read) == 2 && read)
        snprintf(out, 128, "%s%d.%d.%s", prefix, level, index + 1, name + read);
    else if (sscanf(name, "token_embs_rev.%d.embedding.weight%n", &level, &read) == 1 && read)
        snprintf(out, 128, level ? "%s%d.0.weight" : "%s%d.weight", prefix, level);
}

static void renamed_tensors_are_the_same(void **state) {
    (void)state;
    foreign *f = open_file("two-rot-fixed/weights.pth"),
            *g = open_file("two-rot-fixed/weights-v0.4.0-names.pth");
    int renamed = 0;
    assert_int_equal(foreign_count(f), foreign_count(g));
    for (size_t k = 0; k < foreign_count(f); k++) {
        char name[128];
        const foreign_tensor *a = foreign_at(f, k), *b;
        size_t bytes[2];
        old_name(name, a->name);
        renamed += strcmp(name, a->name) != 0;
        b = foreign_find(g, name);
        assert_non_null(b);
        uint8_t *x = contiguous(a, &bytes[0]), *y = contiguous(b, &bytes[1]);
        assert_int_equal(bytes[0], bytes[1]);
        assert_memory_equal(x, y, bytes[0]);
        free(x);
        free(y);
    }
    assert_int_equal(renamed, 8);
    foreign_close(&f);
    foreign_close(&g);
}

/* --- checkpoints of trainings: data.pkl is real, the storages are not */

enum { STORAGES_MOST = 512 };

typedef struct training {
    bad_bytes file;
    torch_member members[STORAGES_MOST];
    char names[STORAGES_MOST][32];
    int n;
} training;

static void build_training(training *c, const char *folder, const file_bytes *text) {
    char path[64], key[16];
    unsigned long bytes;
    uint64_t seed = 1;
    snprintf(path, sizeof path, "%s/storages.txt", folder);
    FILE *list = open_list(path);
    *c = (training){.n = 2};
    c->members[0] = (torch_member){"weights/data.pkl", 16, text->data, text->size};
    c->members[1] = (torch_member){"weights/version", 15, "3\n", 2};
    while (fscanf(list, "%15s %lu", key, &bytes) == 2) {
        assert_true(c->n < STORAGES_MOST);
        float *data = support_alloc(bytes / sizeof(float) + 1, sizeof(float));
        support_fill(data, (int64_t)(bytes / sizeof(float)), -1, 1, &seed);
        snprintf(c->names[c->n], sizeof c->names[c->n], "weights/data/%s", key);
        c->members[c->n] = (torch_member){c->names[c->n], strlen(c->names[c->n]), data, bytes};
        c->n++;
    }
    fclose(list);
    c->file = torch_zip(c->members, c->n, TORCH_PLAIN);
}

static void destroy_training(training *c) {
    for (int i = 2; i < c->n; i++)
        free((void *)(uintptr_t)c->members[i].data);
    free(c->file.data);
}

static int find_member(const training *c, const char *key) {
    char name[32];
    snprintf(name, sizeof name, "weights/data/%s", key);
    for (int i = 2; i < c->n; i++)
        if (!strcmp(c->names[i], name))
            return i;
    fail_msg("no storage %s", key);
    return 0;
}

static void compare_training(const training *c, const char *folder, uint8_t *used) {
    foreign *f;
    listed l;
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/tensors.txt", folder);
    FILE *list = open_list(path);
    support_ok(foreign_open_memory(&f, "x", c->file.data, c->file.size, &error), &error);
    for (; read_listed(&l, list); n++) {
        const foreign_tensor *t = foreign_at(f, n);
        int member = find_member(c, l.storage);
        compare_layout(t, &l);
        assert_ptr_equal(t->data, c->file.data + torch_place(&c->file, TORCH_DATA, member) +
                                      l.offset * safetensors_type_bytes(t->type));
        used[member] = 1;
    }
    assert_int_equal(foreign_count(f), n);
    fclose(list);
    foreign_close(&f);
}

/* Optimizers, schedules and counters are passed over: their storages are not even looked at, while
 * damage to one that is used is seen. */
static void checkpoints_of_trainings_are_read(void **state) {
    (void)state;
    static const char *const folders[] = {"bgpt", "notagen"};
    static const int n_unused[] = {180, 160}; /* at least */
    for (int i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/data.pkl", folders[i]);
        file_bytes text = read_file(path);
        training c;
        uint8_t used[STORAGES_MOST] = {0};
        int unused = 0;
        build_training(&c, folders[i], &text);
        compare_training(&c, folders[i], used);
        for (int k = 2; k < c.n; k++) {
            foreign *f = NULL;
            size_t at = torch_place(&c.file, TORCH_DATA, k);
            c.file.data[at] ^= 1;
            octet_status status = foreign_open_memory(&f, "x", c.file.data, c.file.size, &error);
            c.file.data[at] ^= 1;
            assert_int_equal(status, used[k] ? OCTET_CORRUPT : OCTET_OK);
            unused += !used[k];
            foreign_close(&f);
        }
        print_message("%s: %d of %d storages are used\n", folders[i], c.n - 2 - unused, c.n - 2);
        assert_true(unused >= n_unused[i]);
        destroy_training(&c);
        file_close(&text);
    }
}

/* --- files */

static void names_of_safetensors_lose_prefixes_too(void **state) {
    (void)state;
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    static const safetensors_tensor tensors[] = {
        {"module.model.w", SAFETENSORS_F32, 2, {2, 3}, (const uint8_t *)data, sizeof data},
        {"none", SAFETENSORS_F16, 3, {2, 0, 3}, (const uint8_t *)data, 0}};
    char path[] = "/tmp/octet_foreign_XXXXXX";
    safetensors_writer *w;
    foreign *f;
    float got[6];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    support_ok(safetensors_writer_create(&w, &error), &error);
    for (int i = 0; i < 2; i++)
        support_ok(safetensors_writer_add(w, &tensors[i], &error), &error);
    support_ok(safetensors_writer_write(w, path, NULL, &error), &error);
    safetensors_writer_destroy(&w);
    support_ok(foreign_open(&f, path, &error), &error);
    assert_int_equal(foreign_count(f), 2);
    const foreign_tensor *t = foreign_find(f, "w");
    assert_non_null(t);
    assert_int_equal(t->stride[0], 3);
    assert_int_equal(t->stride[1], 1);
    support_ok(foreign_read(got, f, t, &error), &error);
    assert_memory_equal(got, data, sizeof data);
    support_ok(foreign_read(NULL, f, foreign_find(f, "none"), &error), &error);
    foreign_close(&f);
    unlink(path);
}

static void expect_open(const char *path, octet_status status, const char *says) {
    foreign *f = (foreign *)path;
    assert_int_equal(foreign_open(&f, path, &error), status);
    assert_null(f);
    assert_int_equal(strncmp(error.text, path, strlen(path)), 0);
    support_contains(error.text, says);
}

static void what_is_no_file_is_an_error(void **state) {
    (void)state;
    char path[] = "/tmp/octet_foreign_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    expect_open(path, OCTET_CORRUPT, "0 bytes");
    unlink(path);
    expect_open(path, OCTET_ERROR, "cannot open");
    expect_open("/tmp", OCTET_ERROR, "is a directory");
    expect_open("/dev/zero", OCTET_ERROR, "not a regular file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_hold_what_python_finds),
        cmocka_unit_test(archives_equal_safetensors),
        cmocka_unit_test(renamed_tensors_are_the_same),
        cmocka_unit_test(checkpoints_of_trainings_are_read),
        cmocka_unit_test(names_of_safetensors_lose_prefixes_too),
        cmocka_unit_test(what_is_no_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
