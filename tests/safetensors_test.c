/* safetensors_test.c: what is written is read back, and nothing else is read.
 *
 * Bad files are made in code: the length prefix (A1), the JSON header (A2), the tensor records
 * (A3). Every buffer handed to the reader is a block of exactly its size from malloc, so that the
 * address sanitizer sees any access beside it. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/safetensors.h"

#define LENGTH(a) (sizeof(a) / sizeof(a)[0])

enum { PATH_SIZE = 64, PREFIX = 8 };

static char folder[] = "/tmp/octet-safetensors-XXXXXX";
static char path_a[PATH_SIZE];
static char path_b[PATH_SIZE];
static char path_fifo[PATH_SIZE];

typedef struct buffer {
    uint8_t *data;
    size_t size;
} buffer;

static buffer make_buffer(size_t size) {
    const buffer b = {calloc(1, size > 0 ? size : 1), size};
    assert_non_null(b.data);
    return b;
}

/* A file of the prefix `length`, the header's text and n zero bytes of data. */
static buffer make_file(uint64_t length, const char *text, size_t text_bytes, size_t n_data) {
    const buffer b = make_buffer(PREFIX + text_bytes + n_data);
    for (int i = 0; i < PREFIX; i++) {
        b.data[i] = (uint8_t)(length >> (8 * i));
    }
    if (text_bytes > 0) {
        memcpy(b.data + PREFIX, text, text_bytes);
    }
    return b;
}

static void save(const char *path, buffer b) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b.data, 1, b.size, f), b.size);
    assert_int_equal(fclose(f), 0);
}

static buffer load(const char *path) {
    file_bytes file;
    assert_int_equal(file_read(&file, path, SIZE_MAX, NULL), OCTET_OK);
    const buffer b = make_buffer(file.size);
    memcpy(b.data, file.data, file.size);
    file_close(&file);
    return b;
}

/* Both ways to open must refuse the bytes as corrupt, say `part`, and name the file. */
static void expect_corrupt(const char *what, buffer b, const char *part) {
    octet_error error = {0};
    safetensors *st = (safetensors *)b.data;
    octet_status status = safetensors_open_memory(&st, "bad", b.data, b.size, &error);
    if (status != OCTET_CORRUPT || strstr(error.text, part) == NULL ||
        strncmp(error.text, "bad: ", 5) != 0) {
        fail_msg("%s: in memory: status %d, \"%s\" does not say \"%s\"", what, (int)status,
                 status == OCTET_OK ? "" : error.text, part);
    }
    assert_null(st);
    save(path_b, b);
    error = (octet_error){0};
    status = safetensors_open(&st, path_b, &error);
    if (status != OCTET_CORRUPT || strstr(error.text, part) == NULL ||
        strncmp(error.text, path_b, strlen(path_b)) != 0) {
        fail_msg("%s: on disk: status %d, \"%s\" does not say \"%s\"", what, (int)status,
                 status == OCTET_OK ? "" : error.text, part);
    }
    assert_null(st);
}

static safetensors *expect_good(const char *what, buffer b) {
    octet_error error = {0};
    safetensors *st;
    if (safetensors_open_memory(&st, "good", b.data, b.size, &error) != OCTET_OK) {
        fail_msg("%s: %s", what, error.text);
    }
    return st;
}

/* ---------------------------------------------------------------------------------------------- */
/* Good files */

static void ok(octet_status status, const octet_error *error) {
    if (status != OCTET_OK) {
        fail_msg("%s", error->text);
    }
}

typedef struct source {
    const uint8_t *data;
    uint64_t next; /* where the next piece must start */
    int passes;
} source;

static octet_status fill_piece(void *context, uint64_t offset, void *out, size_t bytes,
                               octet_error *error) {
    source *s = context;
    if (offset == 0) {
        s->next = 0;
        s->passes++;
    }
    if (offset != s->next || bytes > 1 << 20) {
        return error_set(error, OCTET_ERROR, "piece out of order");
    }
    memcpy(out, s->data + offset, bytes);
    s->next = offset + bytes;
    return OCTET_OK;
}

static const uint8_t *numbers(void) {
    static uint8_t bytes[3 << 20];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 2654435761u >> 11);
    }
    return bytes;
}

/* Several types, an empty tensor, a scalar, an odd number of bytes; `order` permutes the calls. */
static const safetensors_tensor samples[] = {
    {"local.0.attn.wq", SAFETENSORS_F32, 2, {5, 3}, NULL, 60},
    {"global.0.attn.wq", SAFETENSORS_BF16, 2, {7, 11}, NULL, 154},
    {"tokens", SAFETENSORS_U8, 1, {13}, NULL, 13},
    {"step", SAFETENSORS_I64, 0, {0}, NULL, 8},
    {"empty", SAFETENSORS_F32, 3, {4, 0, 2}, NULL, 0},
    {"rank.8", SAFETENSORS_I8, 8, {1, 2, 1, 3, 1, 1, 5, 1}, NULL, 30},
    {"gr\xc3\xb6\xc3\x9f"
     "e \"\\/",
     SAFETENSORS_F16,
     1,
     {1},
     NULL,
     2},
};

static void write_samples(const char *path, size_t rotate, char hash[33]) {
    octet_error error = {0};
    safetensors_writer *w;
    ok(safetensors_writer_create(&w, &error), &error);
    for (size_t i = 0; i < LENGTH(samples); i++) {
        const size_t k = (i + rotate) % LENGTH(samples);
        safetensors_tensor t = samples[k];
        t.data = numbers() + 1 + 1000 * k; /* odd addresses */
        ok(safetensors_writer_add(w, &t, &error), &error);
    }
    const char *pairs[][2] = {
        {"format", "octet"}, {"config", "{\"context\": 8}\n\t\x01"}, {"", "empty key"}, {"e", ""}};
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        const size_t k = (i + rotate) % LENGTH(pairs);
        ok(safetensors_writer_metadata(w, pairs[k][0], pairs[k][1], &error), &error);
    }
    ok(safetensors_writer_write(w, path, hash, &error), &error);
    safetensors_writer_destroy(&w);
    assert_null(w);
    safetensors_writer_destroy(&w);
}

static void check_samples(const safetensors *st) {
    assert_int_equal(safetensors_count(st), LENGTH(samples));
    for (size_t k = 0; k < LENGTH(samples); k++) {
        const safetensors_tensor *t = safetensors_find(st, samples[k].name);
        assert_non_null(t);
        assert_string_equal(t->name, samples[k].name);
        assert_int_equal(t->type, samples[k].type);
        assert_int_equal(t->rank, samples[k].rank);
        assert_memory_equal(t->dim, samples[k].dim, sizeof t->dim);
        assert_int_equal(t->bytes, samples[k].bytes);
        if (t->bytes > 0) {
            assert_memory_equal(t->data, numbers() + 1 + 1000 * k, t->bytes);
        }
    }
    for (size_t i = 1; i < safetensors_count(st); i++) {
        assert_true(strcmp(safetensors_at(st, i - 1)->name, safetensors_at(st, i)->name) < 0);
    }
    assert_null(safetensors_find(st, "absent"));
    assert_string_equal(safetensors_metadata(st, "format"), "octet");
    assert_string_equal(safetensors_metadata(st, "config"), "{\"context\": 8}\n\t\x01");
    assert_string_equal(safetensors_metadata(st, ""), "empty key");
    assert_string_equal(safetensors_metadata(st, "e"), "");
    assert_null(safetensors_metadata(st, "absent"));
    assert_int_equal(safetensors_metadata_count(st), 5); /* with the checksum */
}

static void round_trip(void **state) {
    (void)state;
    char hash[33] = "";
    write_samples(path_a, 0, hash);
    octet_error error = {0};
    safetensors *st;
    ok(safetensors_open(&st, path_a, &error), &error);
    check_samples(st);
    assert_true(safetensors_verified(st));
    assert_string_equal(safetensors_hash(st), hash);
    assert_string_equal(safetensors_metadata(st, SAFETENSORS_CHECKSUM), hash);
    const char *key;
    const char *value;
    safetensors_metadata_at(st, 0, &key, &value);
    assert_string_equal(key, "");
    safetensors_close(&st);
    assert_null(st);
    safetensors_close(&st);

    const buffer file = load(path_a);
    st = expect_good("samples", file);
    check_samples(st);
    safetensors_close(&st);
    free(file.data);
}

/* The same content in any order of calls, and through a pipe, is the same file. */
static void output_depends_on_content_alone(void **state) {
    (void)state;
    write_samples(path_a, 0, NULL);
    const buffer first = load(path_a);
    for (size_t rotate = 1; rotate < LENGTH(samples); rotate++) {
        write_samples(path_b, rotate, NULL);
        const buffer other = load(path_b);
        assert_int_equal(other.size, first.size);
        assert_memory_equal(other.data, first.data, first.size);
        free(other.data);
    }
    free(first.data);
}

/* Every byte that a text can hold comes back, whatever its escape. */
static void metadata_keeps_every_byte(void **state) {
    (void)state;
    char all[0x80];
    for (int c = 1; c < 0x80; c++) {
        all[c - 1] = (char)c;
    }
    all[0x7f] = '\0';
    octet_error error = {0};
    safetensors_writer *w;
    ok(safetensors_writer_create(&w, &error), &error);
    ok(safetensors_writer_metadata(w, all, all, &error), &error);
    ok(safetensors_writer_write(w, path_a, NULL, &error), &error);
    safetensors_writer_destroy(&w);
    safetensors *st;
    ok(safetensors_open(&st, path_a, &error), &error);
    assert_non_null(safetensors_metadata(st, all));
    assert_string_equal(safetensors_metadata(st, all), all);
    safetensors_close(&st);
}

/* Every tensor stands at a multiple of its element's size, as torch wants it. */
static void tensors_are_aligned_in_the_file(void **state) {
    (void)state;
    write_samples(path_a, 3, NULL);
    const buffer file = load(path_a);
    safetensors *st = expect_good("samples", file);
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const safetensors_tensor *t = safetensors_at(st, i);
        if (t->bytes > 0) {
            const size_t at = (size_t)(t->data - file.data);
            assert_int_equal(at % safetensors_type_bytes(t->type), 0);
        }
    }
    safetensors_close(&st);
    free(file.data);
}

/* Data asked for in pieces gives the same file as data in memory, also across pieces' borders. */
static void streamed_data_is_the_same(void **state) {
    (void)state;
    static const int64_t sizes[] = {0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20};
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        octet_error error = {0};
        char hash[2][33];
        const char *paths[] = {path_a, path_b};
        for (int streamed = 0; streamed < 2; streamed++) {
            safetensors_writer *w;
            ok(safetensors_writer_create(&w, &error), &error);
            safetensors_tensor t = {.name = "t", .type = SAFETENSORS_U8, .rank = 1};
            t.dim[0] = sizes[i];
            t.bytes = (size_t)sizes[i];
            source s = {.data = numbers()};
            t.data = streamed ? NULL : s.data;
            ok(streamed ? safetensors_writer_add_stream(w, &t, fill_piece, &s, &error)
                        : safetensors_writer_add(w, &t, &error),
               &error);
            ok(safetensors_writer_write(w, paths[streamed], hash[streamed], &error), &error);
            assert_int_equal(s.passes, streamed && sizes[i] > 0 ? 2 : 0);
            safetensors_writer_destroy(&w);
        }
        const buffer a = load(path_a);
        const buffer b = load(path_b);
        assert_string_equal(hash[0], hash[1]);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        free(a.data);
        free(b.data);
    }
}

static octet_status refuse(void *context, uint64_t offset, void *out, size_t bytes,
                           octet_error *error) {
    (void)offset;
    memset(out, 0, bytes);
    int *calls = context;
    return ++*calls < 2 ? OCTET_OK : error_set(error, OCTET_NO_MEMORY, "the device is gone");
}

static void failed_source_leaves_the_old_file(void **state) {
    (void)state;
    write_samples(path_a, 0, NULL);
    octet_error error = {0};
    safetensors_writer *w;
    ok(safetensors_writer_create(&w, &error), &error);
    const safetensors_tensor t = {"t", SAFETENSORS_U8, 1, {4}, NULL, 4};
    int calls = 0;
    ok(safetensors_writer_add_stream(w, &t, refuse, &calls, &error), &error);
    assert_int_equal(safetensors_writer_write(w, path_a, NULL, &error), OCTET_NO_MEMORY);
    assert_string_equal(error.text, "the device is gone");
    assert_int_equal(calls, 2); /* in the second pass, with the file half written */
    safetensors_writer_destroy(&w);
    safetensors *st;
    ok(safetensors_open(&st, path_a, &error), &error);
    check_samples(st);
    safetensors_close(&st);
}

static void writer_refuses_what_the_reader_would(void **state) {
    (void)state;
    octet_error error = {0};
    safetensors_writer *w;
    ok(safetensors_writer_create(&w, &error), &error);
    static const uint8_t zero[8] = {0};
    char long_name[258];
    memset(long_name, 'n', 257);
    long_name[257] = '\0';
    const safetensors_tensor bad[] = {
        {"", SAFETENSORS_U8, 1, {1}, zero, 1},
        {long_name, SAFETENSORS_U8, 1, {1}, zero, 1},
        {"a\nb", SAFETENSORS_U8, 1, {1}, zero, 1},
        {"a\xff", SAFETENSORS_U8, 1, {1}, zero, 1},
        {"__metadata__", SAFETENSORS_U8, 1, {1}, zero, 1},
        {"t", SAFETENSORS_TYPES, 1, {1}, zero, 1},
        {"t", SAFETENSORS_U8, 9, {1}, zero, 1},
        {"t", SAFETENSORS_U8, -1, {1}, zero, 1},
        {"t", SAFETENSORS_U8, 1, {-1}, zero, 1},
        {"t", SAFETENSORS_F32, 1, {1}, zero, 1},
        {"t", SAFETENSORS_U8, 2, {INT64_MAX, 3}, zero, 1},
        {"t", SAFETENSORS_U8, 1, {1}, NULL, 1},
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        assert_int_equal(safetensors_writer_add(w, &bad[i], &error), OCTET_ERROR);
    }
    assert_int_equal(safetensors_writer_metadata(w, SAFETENSORS_CHECKSUM, "x", &error),
                     OCTET_ERROR);
    static const char *const bad_text[] = {"\xc0\x80",
                                           "\xc1\xbf",
                                           "\xe0\x9f\xbf",
                                           "\xed\xa0\x80",
                                           "\xed\xbf\xbf",
                                           "\xf0\x8f\xbf\xbf",
                                           "\xf4\x90\x80\x80",
                                           "\xf5\x80\x80\x80",
                                           "\x80",
                                           "\xff",
                                           "\xc3",
                                           "\xe2\x82",
                                           "\xe2\x82z",
                                           "\xc3\xc3"};
    for (size_t i = 0; i < LENGTH(bad_text); i++) {
        assert_int_equal(safetensors_writer_metadata(w, "k", bad_text[i], &error), OCTET_ERROR);
        assert_int_equal(safetensors_writer_metadata(w, bad_text[i], "v", &error), OCTET_ERROR);
    }
    ok(safetensors_writer_metadata(w, "utf-8",
                                   "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"
                                   "\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                                   &error),
       &error);
    ok(safetensors_writer_metadata(w, "k", "v", &error), &error);
    assert_int_equal(safetensors_writer_metadata(w, "k", "w", &error), OCTET_ERROR);
    long_name[256] = '\0'; /* 256 bytes are allowed */
    const safetensors_tensor good = {long_name, SAFETENSORS_U8, 1, {1}, zero, 1};
    ok(safetensors_writer_add(w, &good, &error), &error);
    ok(safetensors_writer_write(w, path_a, NULL, &error), &error);
    safetensors *st; /* the reader takes all that was taken */
    ok(safetensors_open(&st, path_a, &error), &error);
    assert_non_null(safetensors_find(st, long_name));
    safetensors_close(&st);
    ok(safetensors_writer_add(w, &good, &error), &error);
    assert_int_equal(safetensors_writer_write(w, path_a, NULL, &error), OCTET_ERROR);
    assert_non_null(strstr(error.text, "two tensors have the name"));
    safetensors_writer_destroy(&w);
}

/* Files of other programs: no checksum, other order, no metadata, spaces, escapes. */
static void foreign_files_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n_data;
        size_t n_tensors;
    } cases[] = {
        {"{}", 0, 0},
        {"{}      ", 0, 0},
        {"{ \"__metadata__\" : { } }", 0, 0},
        {"{\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[2,6]},"
         "\"a\":{\"shape\":[2],\"data_offsets\":[0,2],\"dtype\":\"U8\"}}",
         6, 2},
        {"{\"\\u0061\":{\"dtype\":\"BOOL\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, 1},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const size_t bytes = strlen(cases[i].text);
        const buffer b = make_file(bytes, cases[i].text, bytes, cases[i].n_data);
        safetensors *st = expect_good(cases[i].text, b);
        assert_int_equal(safetensors_count(st), cases[i].n_tensors);
        assert_false(safetensors_verified(st));
        assert_int_equal(strlen(safetensors_hash(st)), 32);
        if (i == 3) { /* not where F32 is aligned */
            assert_ptr_equal(safetensors_find(st, "b")->data, b.data + PREFIX + bytes + 2);
            assert_ptr_equal(safetensors_find(st, "a")->data, b.data + PREFIX + bytes);
        }
        safetensors_close(&st);
        free(b.data);
    }
}

/* ---------------------------------------------------------------------------------------------- */
/* Bad files */

#define GOOD_HEADER "{\"t\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}"

static void bad_prefix_or_size(void **state) {
    (void)state;
    const char *text = GOOD_HEADER;
    const size_t n = strlen(text);
    for (size_t size = 0; size < PREFIX; size++) {
        const buffer b = make_buffer(size);
        expect_corrupt("short file", b, "ends in the header length");
        free(b.data);
    }
    const struct {
        const char *what;
        uint64_t length;
        size_t text_bytes;
        size_t n_data;
        const char *part;
    } cases[] = {
        {"prefix alone, 0", 0, 0, 0, "the header length is 0, not between 2 and 16777216"},
        {"0", 0, n, 4, "the header length is 0, not between"},
        {"1", 1, n, 4, "the header length is 1, not between"},
        {"file", n + 4 + 8, n, 4, "follow it"},
        {"one too many", n + 5, n, 4, "follow it"},
        {"all", n + 4, n, 4, "byte 0x00 at header byte"},
        {"one into the data", n + 1, n, 4, "byte 0x00 at header byte"},
        {"one short", n - 1, n, 4, "not JSON"},
        {"2^31", (uint64_t)1 << 31, n, 4, "the header length is 2147483648, not between"},
        {"2^63", (uint64_t)1 << 63, n, 4, "the header length is 9223372036854775808, not"},
        {"2^64 - 1", UINT64_MAX, n, 4, "the header length is 18446744073709551615, not"},
        {"above the limit", SAFETENSORS_HEADER_BYTES + 1, n, 4, "16777217, not between 2 and"},
        {"the limit", SAFETENSORS_HEADER_BYTES, n, 4, "is 16777216, but "},
        {"header alone", n, n, 0, "ends at data byte 4, the file holds 0"},
        {"data one short", n, n, 3, "ends at data byte 4, the file holds 3"},
        {"data one long", n, n, 5, "end at data byte 4, the file holds 5"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const buffer b = make_file(cases[i].length, text, cases[i].text_bytes, cases[i].n_data);
        expect_corrupt(cases[i].what, b, cases[i].part);
        free(b.data);
    }
}

typedef struct bad_header {
    const char *text;
    size_t n_data;
    const char *part;
} bad_header;

static void expect_bad_headers(const bad_header *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const size_t bytes = strlen(cases[i].text);
        const buffer b = make_file(bytes, cases[i].text, bytes, cases[i].n_data);
        expect_corrupt(cases[i].text, b, cases[i].part);
        free(b.data);
    }
}

/* A record "t" with the given dtype, shape and offsets. */
#define RECORD(dtype, shape, offsets)                                                              \
    "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void bad_json(void **state) {
    (void)state;
    static const bad_header cases[] = {
        {"[]", 0, "starts with byte 0x5b"},
        {" {}", 0, "starts with byte 0x20"},
        {"\xef\xbb\xbf{}", 0, "starts with byte 0xef"},
        {"null", 0, "starts with byte 0x6e"},
        {"{}\n", 0, "byte 0x0a at header byte 2"},
        {"{}x", 0, "byte 0x78 at header byte 2"},
        {"{}{}", 0, "byte 0x7b at header byte 2"},
        {"{},", 0, "byte 0x2c at header byte 2"},
        {"{", 0, "not between"},
        {"{ ", 0, "not JSON"},
        {"{]", 0, "not JSON"},
        {"{\"t", 0, "not JSON"},
        {"{\"t\\", 0, "not JSON"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},}", 4, "not JSON"},
        {RECORD("\"U8\"", "[4,]", "[0,4]"), 4, "not JSON"},
        {"{/* no */}", 0, "not JSON"},
        {"{\"\x80\":0}", 0, "not JSON"},
        {"{\"\xc0\xaf\":0}", 0, "not JSON"},
        {"{\"\xed\xa0\x80\":0}", 0, "not JSON"},
        {"{\"\xf4\x90\x80\x80\":0}", 0, "not JSON"},
        {"{\"\\ud800\":0}", 0, "not JSON"},
        {"{\"a\\u0000\":0}", 0, "not JSON"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}", 0, "not JSON"},
        {"{\"__metadata__\":{\"a\":\"1\",\"\\u0061\":\"1\"}}", 0, "not JSON"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "not JSON"},
        {RECORD("\"U8\"", "[04]", "[0,4]"), 4, "not JSON"},
        {RECORD("\"U8\"", "[9223372036854775808]", "[0,4]"), 4, "not JSON"},
        {RECORD("\"U8\"", "[1e400]", "[0,4]"), 4, "not JSON"},
        {RECORD("\"U8\"", "[NaN]", "[0,4]"), 4, "not JSON"},
        {RECORD("\"U8\"", "[4.0]", "[0,4]"), 4, "shape[0] is not an integer"},
        {RECORD("\"U8\"", "[4]", "[0,4e0]"), 4, "not an array of two integers"},
    };
    expect_bad_headers(cases, LENGTH(cases));
    const buffer nul = make_file(3, "{}", 3, 0);
    expect_corrupt("NUL after the object", nul, "byte 0x00 at header byte 2");
    free(nul.data);
}

/* `n` times `unit` between a start and an end. */
static buffer repeated(const char *before, const char *unit, size_t n, const char *after) {
    const size_t unit_bytes = strlen(unit);
    const size_t bytes = strlen(before) + n * unit_bytes + strlen(after);
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    char *at = text + sprintf(text, "%s", before);
    for (size_t i = 0; i < n; i++, at += unit_bytes) {
        memcpy(at, unit, unit_bytes);
    }
    sprintf(at, "%s", after);
    const buffer b = make_file(bytes, text, bytes, 0);
    free(text);
    return b;
}

/* Headers that cost a parser stack or memory are refused before it sees them. */
static void bad_depth_and_numbers(void **state) {
    (void)state;
    buffer b = repeated("{\"t\":", "[", 32, "");
    expect_corrupt("depth 33", b, "nested deeper than 32 at header byte 36");
    free(b.data);
    b = repeated("{\"t\":", "[", 31, "]");
    expect_corrupt("depth 32, unclosed", b, "not JSON");
    free(b.data);
    b = repeated("{\"t\":", "[", 2049, "");
    expect_corrupt("depth 2049", b, "nested deeper than 32");
    free(b.data);
    b = repeated("{\"t\":", "[", 1000000, "");
    expect_corrupt("depth 10^6", b, "nested deeper than 32");
    free(b.data);
    b = repeated("{\"t\":", "{\"a\":", 1000000, "");
    expect_corrupt("objects", b, "nested deeper than 32");
    free(b.data);
    b = repeated("{\"t\":[", "[],", 2000000, "0]}");
    expect_corrupt("two million arrays", b, "too many values");
    free(b.data);
    b = repeated("{\"t\":[", "1,", 2000000, "0]}");
    expect_corrupt("two million numbers", b, "too many values");
    free(b.data);
    b = repeated("{\"t\":{\"dtype\":\"U8\",\"shape\":[", "1,", 1000000, "1]}}");
    expect_corrupt("rank 10^6", b, "has no data_offsets");
    free(b.data);
}

static void too_many_tensors(void **state) {
    (void)state;
    enum { RECORD_MOST = 64 };
    for (int excess = 0; excess < 2; excess++) {
        const size_t n = SAFETENSORS_TENSORS + (size_t)excess;
        char *text = malloc(n * RECORD_MOST + 2);
        assert_non_null(text);
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++) {
            bytes += (size_t)sprintf(text + bytes,
                                     "%s\"%zu\":{\"dtype\":\"U8\",\"shape\":[0],"
                                     "\"data_offsets\":[0,0]}",
                                     i == 0 ? "{" : ",", i);
        }
        text[bytes++] = '}';
        const buffer b = make_file(bytes, text, bytes, 0);
        if (excess) {
            expect_corrupt("one too many tensors", b, "65537 tensors, above the limit of 65536");
        } else {
            safetensors *st = expect_good("as many tensors as allowed", b);
            assert_int_equal(safetensors_count(st), n);
            assert_non_null(safetensors_find(st, "65535"));
            safetensors_close(&st);
        }
        free(b.data);
        free(text);
    }
}

#define TENSOR(name, begin, end, size)                                                             \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" size "],\"data_offsets\":[" begin "," end "]}"

static void bad_records(void **state) {
    (void)state;
    static const bad_header cases[] = {
        {"{\"t\":{\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "has no dtype"},
        {"{\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,4]}}", 4, "has no shape"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[4]}}", 4, "has no data_offsets"},
        {"{\"t\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":0}}", 4, "besides"},
        {"{\"t\":[]}", 0, "its record is not an object"},
        {"{\"t\":null}", 0, "its record is not an object"},
        {RECORD("8", "[4]", "[0,4]"), 4, "dtype is not a string"},
        {RECORD("null", "[4]", "[0,4]"), 4, "dtype is not a string"},
        {RECORD("\"U8\"", "4", "[0,4]"), 4, "shape is not an array"},
        {RECORD("\"U8\"", "{}", "[0,4]"), 4, "shape is not an array"},
        {RECORD("\"U8\"", "[\"4\"]", "[0,4]"), 4, "shape[0] is not an integer"},
        {RECORD("\"U8\"", "[4]", "4"), 4, "data_offsets is not an array"},
        {RECORD("\"U8\"", "[4]", "{\"a\":0,\"b\":4}"), 4, "data_offsets is not an array"},
        {RECORD("\"U8\"", "[4]", "[4]"), 4, "data_offsets is not an array"},
        {RECORD("\"U8\"", "[4]", "[0,4,4]"), 4, "data_offsets is not an array"},
        {RECORD("\"U8\"", "[4]", "[0,\"4\"]"), 4, "data_offsets is not an array"},
        {RECORD("\"U8\"", "[4]", "[null,4]"), 4, "data_offsets is not an array"},
        {RECORD("\"U9\"", "[4]", "[0,4]"), 4, "unknown dtype \"U9\""},
        {RECORD("\"u8\"", "[4]", "[0,4]"), 4, "unknown dtype \"u8\""},
        {RECORD("\"\"", "[4]", "[0,4]"), 4, "unknown dtype \"\""},
        {RECORD("\"U8\"", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), 4, "rank 9 is above the limit of 8"},
        {RECORD("\"U8\"", "[-1]", "[0,4]"), 4, "shape[0] is -1, below 0"},
        {RECORD("\"U8\"", "[0]", "[0,4]"), 4, "hold 4 bytes, the shape needs 0"},
        {RECORD("\"U8\"", "[2147483648]", "[0,4]"), 4, "needs 2147483648"},
        {RECORD("\"U8\"", "[9223372036854775807]", "[0,4]"), 4, "needs 9223372036854775807"},
        {RECORD("\"U8\"", "[4294967296,4294967296]", "[0,0]"), 0, "overflows"},
        {RECORD("\"U8\"", "[4294967297,4294967296,4294967296,4]", "[0,4]"), 4, "overflows"},
        {RECORD("\"U8\"", "[0,4294967296,4294967296]", "[0,0]"), 0, "overflows"},
        {RECORD("\"F64\"", "[2305843009213693952]", "[0,0]"), 0, "overflows"},
        {RECORD("\"F32\"", "[4611686018427387905]", "[0,4]"), 4, "overflows"},
        {RECORD("\"F32\"", "[4]", "[0,4]"), 4, "hold 4 bytes, the shape needs 16"},
        {RECORD("\"U8\"", "[4]", "[4,0]"), 4, "data_offsets 4 to 0 are no range"},
        {RECORD("\"U8\"", "[4]", "[-4,0]"), 4, "data_offsets -4 to 0 are no range"},
        {RECORD("\"U8\"", "[4]", "[-9223372036854775808,9223372036854775807]"), 4, "no range"},
        {RECORD("\"U8\"", "[5]", "[0,5]"), 4, "ends at data byte 5, the file holds 4"},
        {RECORD("\"U8\"", "[3]", "[0,3]"), 4, "end at data byte 3, the file holds 4"},
        {RECORD("\"U8\"", "[4]", "[9223372036854775803,9223372036854775807]"), 4, "ends at data"},
        {"{" TENSOR("a", "0", "4", "4") "," TENSOR("b", "0", "4", "4") "}", 4, "(overlap)"},
        {"{" TENSOR("a", "0", "3", "3") "," TENSOR("b", "2", "4", "2") "}", 4, "(overlap)"},
        {"{" TENSOR("a", "0", "4", "4") "," TENSOR("b", "1", "3", "2") "}", 4, "(overlap)"},
        {"{" TENSOR("a", "0", "4", "4") "," TENSOR("b", "2", "2", "0") "}", 4, "(overlap)"},
        {"{" TENSOR("a", "0", "1", "1") "," TENSOR("b", "2", "4", "2") "}", 4, "(hole)"},
        {"{" TENSOR("a", "1", "4", "3") "}", 4, "(hole)"},
        {"{" TENSOR("a", "0", "2", "2") "," TENSOR("a", "2", "4", "2") "}", 4, "not JSON"},
        {"{" TENSOR("", "0", "4", "4") "}", 4, "is empty"},
        {"{" TENSOR("a\\nb", "0", "4", "4") "}", 4, "control character"},
        {"{" TENSOR("a\x7f", "0", "4", "4") "}", 4, "control character"},
        {"{" TENSOR("a\xc2\x9b", "0", "4", "4") "}", 4, "control character"},
        {"{" TENSOR("../a", "0", "4", "4") "}", 4, "holds \"../\""},
        {"{}", 4, "end at data byte 0, the file holds 4"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "metadata \"a\" is not a string"},
        {"{\"__metadata__\":{\"a\":{}}}", 0, "metadata \"a\" is not a string"},
        {"{\"__metadata__\":{\"xxh3_128\":\"\"}}", 0, "the file says "},
        {"{\"__metadata__\":{\"xxh3_128\":\"00000000000000000000000000000000\"}}", 0,
         "the file says 00000000000000000000000000000000"},
    };
    expect_bad_headers(cases, LENGTH(cases));

    const buffer name =
        repeated("{\"", "n", 257, "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    expect_corrupt("name of 257 bytes", name, "is longer than 256 bytes");
    free(name.data);
}

static void missing_files_are_errors(void **state) {
    (void)state;
    octet_error error = {0};
    safetensors *st;
    assert_int_equal(safetensors_open(&st, "/nonexistent/model", &error), OCTET_ERROR);
    assert_null(st);
    assert_string_equal(error.text, "/nonexistent/model: cannot open: No such file or directory");
    assert_int_equal(safetensors_open(&st, folder, &error), OCTET_ERROR);
    assert_non_null(strstr(error.text, "is a directory"));
    assert_int_equal(safetensors_open(&st, "/dev/zero", &error), OCTET_CORRUPT);
    assert_non_null(strstr(error.text, "the header length is 0"));
}

/* ---------------------------------------------------------------------------------------------- */
/* Damage */

/* A file of about 64 KiB, cut at every 64 bytes, in memory and (sparser) on disk. */
static void every_truncation_is_refused(void **state) {
    (void)state;
    octet_error error = {0};
    safetensors_writer *w;
    ok(safetensors_writer_create(&w, &error), &error);
    const safetensors_tensor t = {"t", SAFETENSORS_F32, 2, {128, 128}, numbers(), 65536};
    ok(safetensors_writer_add(w, &t, &error), &error);
    ok(safetensors_writer_write(w, path_a, NULL, &error), &error);
    safetensors_writer_destroy(&w);
    const buffer whole = load(path_a);
    for (size_t size = 0; size < whole.size; size += size < 512 ? 1 : 64) {
        const buffer cut = make_buffer(size);
        memcpy(cut.data, whole.data, size);
        safetensors *st;
        assert_int_equal(safetensors_open_memory(&st, "cut", cut.data, size, NULL), OCTET_CORRUPT);
        assert_null(st);
        if (size % 1024 == 0 || size < 300) {
            save(path_b, cut);
            assert_int_equal(safetensors_open(&st, path_b, NULL), OCTET_CORRUPT);
        }
        free(cut.data);
    }
    free(whole.data);
}

/* The metadata but for the checksum's own pair, and all tensors, are those of `good`; one pair
 * under a damaged key may be there in the checksum's place. */
static void assert_same_but_unverified(const safetensors *st, const safetensors *good) {
    assert_false(safetensors_verified(st));
    assert_null(safetensors_metadata(st, SAFETENSORS_CHECKSUM));
    assert_int_equal(safetensors_metadata_count(st), safetensors_metadata_count(good));
    for (size_t i = 0; i < safetensors_metadata_count(good); i++) {
        const char *key;
        const char *value;
        safetensors_metadata_at(good, i, &key, &value);
        if (strcmp(key, SAFETENSORS_CHECKSUM) != 0) {
            assert_string_equal(safetensors_metadata(st, key), value);
        }
    }
    assert_int_equal(safetensors_count(st), safetensors_count(good));
    for (size_t i = 0; i < safetensors_count(good); i++) {
        const safetensors_tensor *a = safetensors_at(st, i);
        const safetensors_tensor *b = safetensors_at(good, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->rank, b->rank);
        assert_memory_equal(a->dim, b->dim, sizeof a->dim);
        assert_int_equal(a->bytes, b->bytes);
        assert_memory_equal(a->data, b->data, a->bytes);
    }
}

/* Every single-bit flip is refused, but for those that rename the checksum's key to another one:
 * they leave a whole file without a checksum, which safetensors_verified tells. */
static void every_bit_flip_is_refused(void **state) {
    (void)state;
    write_samples(path_a, 0, NULL);
    const buffer file = load(path_a);
    safetensors *good = expect_good("samples", file);
    size_t key_at = 0;
    const size_t key_bytes = strlen(SAFETENSORS_CHECKSUM);
    while (memcmp(file.data + key_at, "\"" SAFETENSORS_CHECKSUM "\"", key_bytes + 2) != 0) {
        key_at++;
        assert_true(key_at + key_bytes + 2 < file.size);
    }
    for (size_t bit = 0; bit < 8 * file.size; bit++) {
        const buffer flipped = make_buffer(file.size);
        memcpy(flipped.data, file.data, file.size);
        flipped.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        octet_error error = {0};
        safetensors *st;
        const octet_status status =
            safetensors_open_memory(&st, "flipped", flipped.data, flipped.size, &error);
        if (status == OCTET_OK) {
            if (bit / 8 <= key_at || bit / 8 > key_at + key_bytes) {
                fail_msg("bit %zu of byte %zu makes no difference", bit % 8, bit / 8);
            }
            assert_same_but_unverified(st, good);
        } else {
            assert_int_equal(status, OCTET_CORRUPT);
            assert_true(strlen(error.text) > 9);
        }
        safetensors_close(&st);
        free(flipped.data);
    }
    safetensors_close(&good);
    free(file.data);
}

typedef struct feeder {
    buffer b;
} feeder;

static void *feed(void *argument) {
    const feeder *f = argument;
    const int fd = open(path_fifo, O_WRONLY);
    size_t at = 0;
    while (fd >= 0 && at < f->b.size) {
        const ssize_t n = write(fd, f->b.data + at, f->b.size - at);
        if (n <= 0) {
            break; /* the reader has seen enough */
        }
        at += (size_t)n;
    }
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

static octet_status open_fifo(safetensors **st, buffer b, octet_error *error) {
    feeder f = {b};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, feed, &f), 0);
    const octet_status status = safetensors_open(st, path_fifo, error);
    pthread_join(thread, NULL);
    return status;
}

/* A pipe has no size to check against: what the header says is believed byte by byte. */
static void pipes_are_read_and_checked(void **state) {
    (void)state;
    assert_int_equal(mkfifo(path_fifo, 0600), 0);
    octet_error error = {0};
    safetensors *st;

    safetensors_writer *w;
    ok(safetensors_writer_create(&w, &error), &error);
    const safetensors_tensor t = {"t", SAFETENSORS_U8, 1, {3 << 20}, numbers(), 3 << 20};
    ok(safetensors_writer_add(w, &t, &error), &error);
    ok(safetensors_writer_write(w, path_a, NULL, &error), &error);
    safetensors_writer_destroy(&w);
    buffer b = load(path_a);
    ok(open_fifo(&st, b, &error), &error);
    assert_memory_equal(safetensors_find(st, "t")->data, numbers(), 3 << 20);
    safetensors_close(&st);
    b.size--;
    assert_int_equal(open_fifo(&st, b, &error), OCTET_CORRUPT);
    assert_non_null(strstr(error.text, "ends in the data: 3145727 of 3145728 bytes"));
    free(b.data);

    const char *text = RECORD("\"U8\"", "[4611686018427387904]", "[0,4611686018427387904]");
    b = make_file(strlen(text), text, strlen(text), 4);
    assert_int_equal(open_fifo(&st, b, &error), OCTET_CORRUPT);
    assert_non_null(strstr(error.text, "ends in the data: 4 of 4611686018427387904 bytes"));
    free(b.data);

    text = GOOD_HEADER;
    b = make_file(strlen(text), text, strlen(text), 5);
    assert_int_equal(open_fifo(&st, b, &error), OCTET_CORRUPT);
    assert_non_null(strstr(error.text, "bytes follow the data's 4"));
    b.size = PREFIX + 10;
    assert_int_equal(open_fifo(&st, b, &error), OCTET_CORRUPT);
    assert_non_null(strstr(error.text, "ends in the header: 10 of "));
    free(b.data);
}

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* the reader closes a FIFO early */
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(path_a, sizeof path_a, "%s/a", folder);
    snprintf(path_b, sizeof path_b, "%s/b", folder);
    snprintf(path_fifo, sizeof path_fifo, "%s/fifo", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path_a);
    unlink(path_b);
    unlink(path_fifo);
    return rmdir(folder); /* fails if anything else was left */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(output_depends_on_content_alone),
        cmocka_unit_test(metadata_keeps_every_byte),
        cmocka_unit_test(tensors_are_aligned_in_the_file),
        cmocka_unit_test(streamed_data_is_the_same),
        cmocka_unit_test(failed_source_leaves_the_old_file),
        cmocka_unit_test(writer_refuses_what_the_reader_would),
        cmocka_unit_test(foreign_files_are_read),
        cmocka_unit_test(bad_prefix_or_size),
        cmocka_unit_test(bad_json),
        cmocka_unit_test(bad_depth_and_numbers),
        cmocka_unit_test(too_many_tensors),
        cmocka_unit_test(bad_records),
        cmocka_unit_test(missing_files_are_errors),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_bit_flip_is_refused),
        cmocka_unit_test(pipes_are_read_and_checked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
