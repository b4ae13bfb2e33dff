/* foreign_crafted_test.c: archives of torch.save made for a purpose are read as their layout says:
 * strides, types, names, wrappers, sizes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "model/foreign.h"
#include "support.h"
#include "torch_file.h"

static octet_error error;

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

int main(void) {
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
