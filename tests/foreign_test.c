/* foreign_test.c: checkpoints that PyTorch wrote are read as an independent reader reads them, and
 * crafted ones as their layout says. The lists in data/torch are the work of Python's own pickle
 * and zlib. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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

/* --- crafted archives */

/* The archive of one tensor "t" over the bytes of storage 0. */
static foreign *open_tensor(const torch_tensor *t, const void *data, size_t bytes,
                            bad_bytes *file) {
    foreign *f;
    torch_bytes text = {0};
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    TORCH_ADD(&text, "\x80\2}(" TORCH_X("\1", "t"));
    torch_add_tensor(&text, t);
    TORCH_ADD(&text, "u.");
    members[TORCH_PICKLE].data = text.data;
    members[TORCH_PICKLE].bytes = text.size;
    members[TORCH_DATA_0].data = data;
    members[TORCH_DATA_0].bytes = bytes;
    *file = torch_zip(members, TORCH_MEMBERS, TORCH_PLAIN);
    free(text.data);
    support_ok(foreign_open_memory(&f, "x", file->data, file->size, &error), &error);
    return f;
}

static void expect_values(const torch_tensor *t, const void *data, size_t bytes, int n,
                          const float *expected) {
    bad_bytes file;
    float got[64];
    foreign *f = open_tensor(t, data, bytes, &file);
    const foreign_tensor *read = foreign_find(f, "t");
    memset(got, 0xee, sizeof got);
    assert_non_null(read);
    support_ok(foreign_read(got, f, read, &error), &error);
    assert_memory_equal(got, expected, (size_t)n * sizeof *got);
    foreign_close(&f);
    free(file.data);
}

static void styles_of_archives_are_alike(void **state) {
    (void)state;
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    for (int style = 0; style < TORCH_STYLES; style++) {
        foreign *f;
        float w[6], b[1];
        bad_bytes file = torch_zip(members, TORCH_MEMBERS, (torch_style)style);
        support_ok(foreign_open_memory(&f, "x", file.data, file.size, &error), &error);
        assert_int_equal(foreign_count(f), 2);
        support_ok(foreign_read(w, f, foreign_find(f, "w"), &error), &error);
        support_ok(foreign_read(b, f, foreign_find(f, "b"), &error), &error);
        assert_memory_equal(w, members[TORCH_DATA_0].data, sizeof w);
        assert_memory_equal(b, members[TORCH_DATA_1].data, sizeof b);
        foreign_close(&f);
        free(file.data);
    }
}

/* What is beside the model is passed over; of two names of a tensor both stay. */
static void trainings_are_read(void **state) {
    (void)state;
    torch_member members[TORCH_MEMBERS];
    foreign *f;
    float w[6], tied[6];
    torch_training(members);
    bad_bytes file = torch_zip(members, TORCH_MEMBERS, TORCH_PLAIN);
    support_ok(foreign_open_memory(&f, "x", file.data, file.size, &error), &error);
    assert_int_equal(foreign_count(f), 3);
    assert_string_equal(foreign_at(f, 0)->name, "b");
    support_ok(foreign_read(w, f, foreign_find(f, "w"), &error), &error);
    support_ok(foreign_read(tied, f, foreign_find(f, "tied"), &error), &error);
    assert_memory_equal(w, members[TORCH_DATA_0].data, sizeof w);
    assert_memory_equal(w, tied, sizeof w);
    foreign_close(&f);
    free(file.data);
}

static void strides_are_followed(void **state) {
    (void)state;
    static const float data[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    static const struct {
        torch_tensor t;
        int n;
        float values[12];
    } rows[] = {
        {{"Float", "0", 12, 0, 2, {3, 4}, {4, 1}}, 12, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
        {{"Float", "0", 12, 0, 2, {4, 3}, {1, 4}}, 12, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
        {{"Float", "0", 12, 5, 1, {3}, {2}}, 3, {5, 7, 9}},
        {{"Float", "0", 12, 5, 1, {4}, {2}}, 4, {5, 7, 9, 11}},
        {{"Float", "0", 12, 11, 0, {0}, {0}}, 1, {11}},
        {{"Float", "0", 12, 11, 3, {1, 1, 1}, {0, INT64_MAX, 7}}, 1, {11}},
        {{"Float", "0", 12, 2, 2, {2, 3}, {0, 1}}, 6, {2, 3, 4, 2, 3, 4}},
        {{"Float", "0", 12, 1, 2, {3, 3}, {1, 1}}, 9, {1, 2, 3, 2, 3, 4, 3, 4, 5}},
        {{"Float", "0", 12, 0, 3, {2, 2, 3}, {1, 6, 2}},
         12,
         {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}},
        {{"Float", "0", 12, 0, 8, {1, 2, 1, 2, 1, 3, 1, 1}, {9, 6, 9, 3, 9, 1, 9, 9}},
         12,
         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
        {{"Float", "0", 12, 12, 2, {0, 5}, {5, 1}}, 0, {0}},
        {{"Float", "0", 12, 0, 2, {1 << 30, 0}, {1, 1}}, 0, {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_values(&rows[i].t, data, sizeof data, rows[i].n, rows[i].values);
}

/* Rounding to float: halfway to the even one, in both directions, and below the smallest. */
static void doubles_round_to_even(void **state) {
    (void)state;
    const double data[] = {1 + 0x1p-24,  1 + 3 * 0x1p-24, 1 + 0x1p-24 + 0x1p-50,
                           -1 - 0x1p-24, 0x1p-149,        0x1p-150,
                           0x1.8p-149,   0x1.fffffefp127, -0.0};
    const float expected[] = {1, 1 + 0x1p-22f, 1 + 0x1p-23f,    -1,   0x1p-149f,
                              0, 0x1p-148f,    0x1.fffffep127f, -0.0f};
    const torch_tensor t = {"Double", "0", 9, 0, 1, {9}, {1}};
    expect_values(&t, data, sizeof data, 9, expected);
}

/* All finite values of both kinds of 16 bits. */
static void halves_are_exact(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        int exponent_bits = kind ? 8 : 5, n = 0;
        uint16_t *data = support_alloc(65536, sizeof *data);
        for (int bits = 0; bits < 65536; bits++)
            if ((bits >> (15 - exponent_bits) & ((1 << exponent_bits) - 1)) !=
                (1 << exponent_bits) - 1)
                data[n++] = (uint16_t)bits;
        torch_tensor t = {kind ? "BFloat16" : "Half", "0", n, 0, 1, {n}, {1}};
        bad_bytes file;
        float *got = support_alloc((size_t)n, sizeof *got);
        foreign *f = open_tensor(&t, data, (size_t)n * sizeof *data, &file);
        support_ok(foreign_read(got, f, foreign_find(f, "t"), &error), &error);
        for (int i = 0; i < n; i++) {
            int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
            int exponent = data[i] >> fraction_bits & ((1 << exponent_bits) - 1);
            int fraction = data[i] & ((1 << fraction_bits) - 1);
            double value = ldexp(exponent ? fraction + (1 << fraction_bits) : fraction,
                                 (exponent ? exponent : 1) - bias - fraction_bits);
            float expected = (float)(data[i] >> 15 ? -value : value);
            assert_memory_equal(&got[i], &expected, sizeof expected);
        }
        foreign_close(&f);
        free(file.data);
        free(data);
        free(got);
    }
}

static void other_types_are_not_read(void **state) {
    (void)state;
    static const struct {
        const char *storage, *type;
        int bytes;
    } types[] = {{"Byte", "U8", 1},   {"Char", "I8", 1}, {"Bool", "BOOL", 1},
                 {"Short", "I16", 2}, {"Int", "I32", 4}, {"Long", "I64", 8}};
    static const uint8_t data[8];
    for (int i = 0; i < 6; i++) {
        float out = 0;
        bad_bytes file;
        torch_tensor t = {types[i].storage, "0", 8 / types[i].bytes, 0, 0, {0}, {0}};
        foreign *f = open_tensor(&t, data, sizeof data, &file);
        assert_string_equal(safetensors_type_name(foreign_at(f, 0)->type), types[i].type);
        assert_int_equal(foreign_read(&out, f, foreign_at(f, 0), &error), OCTET_CORRUPT);
        support_contains(error.text, types[i].type);
        foreign_close(&f);
        free(file.data);
    }
}

static void what_is_not_finite_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *type, *says;
        uint64_t bits;
        int bytes;
    } rows[] = {
        {"Float", "nan", 0x7fc00000, 4},
        {"Float", "inf", 0x7f800000, 4},
        {"Float", "-inf", 0xff800000, 4},
        {"Half", "inf", 0x7c00, 2},
        {"Half", "-inf", 0xfc00, 2},
        {"Half", "nan", 0x7c01, 2},
        {"BFloat16", "inf", 0x7f80, 2},
        {"BFloat16", "nan", 0x7fc1, 2},
        {"Double", "inf", 0x7ff0000000000000, 8},
        {"Double", "nan", 0x7ff8000000000000, 8},
        {"Double", "1e+300", 0x7e37e43c8800759c, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float out[3];
        bad_bytes file;
        uint8_t data[24] = {0};
        torch_tensor t = {rows[i].type, "0", 3, 0, 1, {3}, {1}};
        for (int k = 0; k < rows[i].bytes; k++)
            data[2 * rows[i].bytes + k] = (uint8_t)(rows[i].bits >> (8 * k));
        foreign *f = open_tensor(&t, data, 3 * (size_t)rows[i].bytes, &file);
        assert_int_equal(foreign_read(out, f, foreign_at(f, 0), &error), OCTET_CORRUPT);
        support_contains(error.text, "x: tensor \"t\": element 2 is ");
        support_contains(error.text, rows[i].says);
        foreign_close(&f);
        free(file.data);
    }
}

/* --- what holds the state dict */

static foreign *open_pickle(const void *text, size_t bytes, bad_bytes *file) {
    foreign *f;
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    members[TORCH_PICKLE].data = text;
    members[TORCH_PICKLE].bytes = bytes;
    *file = torch_zip(members, TORCH_MEMBERS, TORCH_PLAIN);
    support_ok(foreign_open_memory(&f, "x", file->data, file->size, &error), &error);
    return f;
}

#define ROW(names, text)                                                                           \
    { names, text, sizeof(text) - 1 }

static void wrappers_and_prefixes_are_taken_off(void **state) {
    (void)state;
    static const struct {
        const char *names, *text;
        size_t bytes;
    } rows[] = {
        ROW("b w ", TORCH_GOOD),
        ROW("w ", "\x80\2}" TORCH_X("\5", "model") "}" TORCH_X("\1", "w") TORCH_W "ss."),
        ROW("w ", "\x80\2}" TORCH_X("\5", "MODEL") "}" TORCH_X("\1", "w") TORCH_W "ss."),
        ROW("w ", "\x80\2}(" TORCH_X("\5", "epoch") "K\3" TORCH_X("\12", "state_dict") "}" TORCH_X(
                      "\1", "w") TORCH_W "su."),
        ROW("w ", "\x80\2}(" TORCH_X("\5", "MODEL") "}" TORCH_X("\1", "w") TORCH_W
            "s" TORCH_X("\4", "LOSS") "G\x7f\xf8\0\0\0\0\0\0u."),
        ROW("model ", "\x80\2}" TORCH_X("\5", "model") TORCH_W "s."),
        ROW("w ", "\x80\2}" TORCH_X("\10", "module.w") TORCH_W "s."),
        ROW("w ", "\x80\2}" TORCH_X("\37", "_orig_mod.module.model.module.w") TORCH_W "s."),
        ROW("modules.w ", "\x80\2}" TORCH_X("\11", "modules.w") TORCH_W "s."),
        ROW("a.model.w ", "\x80\2}" TORCH_X("\11", "a.model.w") TORCH_W "s."),
        ROW("p ", "\x80\2}" TORCH_X("\1", "p") "ctorch._utils\n_rebuild_parameter\n(" TORCH_W
                                               "\x88" TORCH_DICT "tRs."),
        ROW("a b ", "\x80\2}(" TORCH_X("\1", "b") TORCH_W "q\0" TORCH_X("\1", "a") "h\0u."),
        ROW("w ", "\x80\2" TORCH_DICT "(" TORCH_X("\1", "w") TORCH_W
            "u}" TORCH_X("\11", "_metadata") "}sb."),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bad_bytes file;
        char names[64] = "";
        foreign *f = open_pickle(rows[i].text, rows[i].bytes, &file);
        for (size_t k = 0; k < foreign_count(f); k++) {
            strcat(names, foreign_at(f, k)->name);
            strcat(names, " ");
        }
        assert_string_equal(names, rows[i].names);
        foreign_close(&f);
        free(file.data);
    }
}

/* Tied weights: views of one storage, both at the same bytes. */
static void storages_may_be_shared(void **state) {
    (void)state;
    static const char text[] = "\x80\2}(" TORCH_X("\1", "a") TORCH_W TORCH_X("\1", "b")
        TORCH_TENSOR(TORCH_S0, "K\2", "K\4\x85", "K\1\x85") "u.";
    bad_bytes file;
    float a[6], b[4];
    foreign *f = open_pickle(text, sizeof text - 1, &file);
    support_ok(foreign_read(a, f, foreign_find(f, "a"), &error), &error);
    support_ok(foreign_read(b, f, foreign_find(f, "b"), &error), &error);
    assert_memory_equal(a + 2, b, sizeof b);
    assert_ptr_equal(foreign_find(f, "a")->data + 8, foreign_find(f, "b")->data);
    foreign_close(&f);
    free(file.data);
}

/* As many tensors as may be, and many more entries beside them: in little time. */
static void many_tensors_are_read_fast(void **state) {
    (void)state;
    enum { BESIDE = 200000 };
    torch_bytes text = {0};
    bad_bytes file;
    char name[16];
    clock_t begun = clock();
    TORCH_ADD(&text, "\x80\2}(" TORCH_X("\5", "model") "}(");
    for (int i = 0; i < SAFETENSORS_TENSORS; i++) {
        int n = snprintf(name, sizeof name, "t%d", i * 7919 % SAFETENSORS_TENSORS);
        torch_add_text(&text, name, (size_t)n);
        TORCH_ADD(&text, TORCH_W);
    }
    TORCH_ADD(&text, "u" TORCH_X("\11", "optimizer") "}(");
    for (int i = 0; i < BESIDE; i++) {
        torch_add_integer(&text, i);
        TORCH_ADD(&text, TORCH_B);
    }
    TORCH_ADD(&text, "uu.");
    foreign *f = open_pickle(text.data, text.size, &file);
    assert_int_equal(foreign_count(f), SAFETENSORS_TENSORS);
    for (size_t i = 1; i < foreign_count(f); i++)
        assert_true(strcmp(foreign_at(f, i - 1)->name, foreign_at(f, i)->name) < 0);
    assert_non_null(foreign_find(f, "t12345"));
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    print_message("%zu bytes of pickle: %.2f s\n", text.size, seconds);
    assert_true(seconds < 10);
    foreign_close(&f);
    free(file.data);
    free(text.data);
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
        cmocka_unit_test(styles_of_archives_are_alike),
        cmocka_unit_test(trainings_are_read),
        cmocka_unit_test(strides_are_followed),
        cmocka_unit_test(doubles_round_to_even),
        cmocka_unit_test(halves_are_exact),
        cmocka_unit_test(other_types_are_not_read),
        cmocka_unit_test(what_is_not_finite_is_refused),
        cmocka_unit_test(wrappers_and_prefixes_are_taken_off),
        cmocka_unit_test(storages_may_be_shared),
        cmocka_unit_test(many_tensors_are_read_fast),
        cmocka_unit_test(names_of_safetensors_lose_prefixes_too),
        cmocka_unit_test(what_is_no_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
