/* bad_models.c: see bad_models.h. How files are taken apart, changed and put together; the rows are
 * in bad_models_rows.c. */
#include "bad_models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "model/checkpoint.h"
#include "support.h"

enum { PREFIX = 8, HASH_DIGITS = 32 };

/* --- stages */

static const struct {
    const char *name;
    octet_status status;
    const char *says[5]; /* parts of its messages */
} stages[STAGES] = {
    [STAGE_SIZE] = {"size", OCTET_CORRUPT, {": the header length is ", "ends in the header len"}},
    [STAGE_HEADER] = {"header",
                      OCTET_CORRUPT,
                      {": the header starts with ", " after the end of the object",
                       ": the header is nested deeper", "holds too many values"}},
    [STAGE_JSON] = {"json",
                    OCTET_CORRUPT,
                    {": the header is not JSON ", ": __metadata__ is ", ": metadata \""}},
    [STAGE_TENSORS] = {"tensors",
                       OCTET_CORRUPT,
                       {": tensor \"", ": the name of tensor ", " tensors, above the limit",
                        ": the tensors end at "}},
    [STAGE_HASH] = {"hash", OCTET_CORRUPT, {": checksum of the content ", ": states no checksum"}},
    [STAGE_WEIGHTS] = {"weights", OCTET_CORRUPT, {", not finite"}},
    [STAGE_SHAPES] = {"shapes", OCTET_WRONG_MODEL, {": tensor "}},
    [STAGE_CONFIG] = {"config", OCTET_CORRUPT, {":"}}, /* its messages have too many forms */
    [STAGE_OPEN] = {"open", OCTET_OK, {""}},
};

const char *bad_stage_name(bad_stage stage) {
    return stages[stage].name;
}

octet_status bad_stage_status(bad_stage stage) {
    return stages[stage].status;
}

static int says(bad_stage stage, const char *text) {
    for (int i = 0; i < 5 && stages[stage].says[i]; i++)
        if (strstr(text, stages[stage].says[i]))
            return 1;
    return 0;
}

bad_stage bad_stage_of(octet_status status, const char *text, const char *label) {
    /* A text may quote what a file says, so that earlier stages are asked first; the
     * configuration's come last. */
    static const bad_stage order[] = {STAGE_SIZE, STAGE_HEADER,  STAGE_JSON,   STAGE_TENSORS,
                                      STAGE_HASH, STAGE_WEIGHTS, STAGE_SHAPES, STAGE_CONFIG};
    if (status == OCTET_OK)
        return STAGE_OPEN;
    if (strncmp(text, label, strlen(label)) || text[strlen(label)] != ':')
        fail_msg("\"%s\" does not begin with \"%s:\"", text, label);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            fail_msg("\"%s\" holds a control character", text);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (stages[order[i]].status == status && says(order[i], text + strlen(label)))
            return order[i];
    fail_msg("status %d, \"%s\": of no stage", (int)status, text);
    return STAGES;
}

/* --- bytes */

void bad_splice(bad_bytes *file, size_t at, size_t removed, const void *with, size_t n) {
    uint8_t *made = support_alloc(file->size - removed + n, 1);
    memcpy(made, file->data, at);
    if (n)
        memcpy(made + at, with, n);
    memcpy(made + at + n, file->data + at + removed, file->size - at - removed);
    free(file->data);
    file->data = made;
    file->size += n - removed;
}

void bad_set_length(bad_bytes *file, uint64_t length) {
    for (int i = 0; i < PREFIX; i++)
        file->data[i] = (uint8_t)(length >> (8 * i));
}

size_t bad_header_bytes(const bad_bytes *file) {
    uint64_t length = 0;
    if (file->size < PREFIX)
        return 0;
    for (int i = 0; i < PREFIX; i++)
        length |= (uint64_t)file->data[i] << (8 * i);
    return length < file->size - PREFIX ? (size_t)length : file->size - PREFIX;
}

static const uint8_t *find(const uint8_t *bytes, size_t n, const char *text) {
    size_t length = strlen(text);
    for (size_t at = 0; at + length <= n; at++)
        if (!memcmp(bytes + at, text, length))
            return bytes + at;
    return NULL;
}

/* The reader itself says what the checksum is. */
int bad_rehash(bad_bytes *file) {
    static const char is[] = "checksum of the content is ", key[] = "\"xxh3_128\":\"";
    octet_error error = {0};
    safetensors *st = NULL;
    octet_status status = safetensors_open_memory(&st, "", file->data, file->size, &error);
    safetensors_close(&st);
    const char *digits = status ? strstr(error.text, is) : NULL;
    size_t header = bad_header_bytes(file);
    const uint8_t *at = digits ? find(file->data + PREFIX, header, key) : NULL;
    if (!at || at + strlen(key) + HASH_DIGITS > file->data + PREFIX + header)
        return status == OCTET_OK;
    memcpy(file->data + (at - file->data) + strlen(key), digits + strlen(is), HASH_DIGITS);
    return 1;
}

/* --- good files */

char *bad_sample(const char *name) {
    octet_error error = {0};
    file_bytes file;
    char path[256];
    snprintf(path, sizeof path, "%s/%s", OCTET_SAMPLES, name);
    support_ok(file_read(&file, path, 1 << 24, &error), &error);
    char *text = support_alloc(file.size + 1, 1);
    memcpy(text, file.data, file.size);
    file_close(&file);
    return text;
}

bad_bytes bad_good_model(backend *b, const char *json, int bf16) {
    octet_error error = {0};
    char path[] = "/tmp/octet_good_XXXXXX";
    file_bytes file;
    config c;
    model *m;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    support_ok(config_parse(&c, json, strlen(json), "good", &error), &error);
    support_ok(model_create(&m, b, &c, &error), &error);
    support_ok(params_reset(&m->params, 3, &error), &error);
    support_ok(checkpoint_write(m, NULL, NULL, 0, bf16, path, &error), &error);
    support_ok(file_read(&file, path, 1 << 24, &error), &error);
    bad_bytes good = {support_alloc(file.size, 1), file.size};
    memcpy(good.data, file.data, file.size);
    file_close(&file);
    unlink(path);
    model_destroy(&m);
    return good;
}

/* --- edits */

#define RECORD "levels.0.split"

/* A file in two parts; `length` is what it will state of the first. */
typedef struct parts {
    bad_bytes header, data;
    uint64_t length;
    int is_stated; /* length holds; else it is the header's */
} parts;

static bad_bytes copy_of(const uint8_t *bytes, size_t n) {
    bad_bytes copy = {support_alloc(n, 1), n};
    if (n)
        memcpy(copy.data, bytes, n);
    return copy;
}

static size_t must_find(const bad_bytes *text, size_t from, const char *what) {
    const uint8_t *at = find(text->data + from, text->size - from, what);
    if (!at)
        fail_msg("\"%s\" does not occur", what);
    return at ? (size_t)(at - text->data) : 0;
}

static void replace(bad_bytes *text, const char *a, const char *b) {
    bad_splice(text, must_find(text, 0, a), strlen(a), b, strlen(b));
}

/* `text` as it stands inside a JSON string. */
static char *escaped(const char *text) {
    char *out = support_alloc(2 * strlen(text) + 1, 1), *at = out;
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *at++ = '\\';
        *at++ = *text;
    }
    return out;
}

static void replace_in_config(bad_bytes *header, const char *a, const char *b) {
    char *from = escaped(a), *to = escaped(b);
    replace(header, from, to);
    free(from);
    free(to);
}

static void set_config(bad_bytes *header, const char *text, size_t n_spaces) {
    static const char key[] = "\"config\":\"";
    size_t from = must_find(header, 0, key) + strlen(key), to = from;
    while (header->data[to] != '"')
        to += header->data[to] == '\\' ? 2 : 1;
    char *value = escaped(text), *spaces = support_alloc(n_spaces, 1);
    memset(spaces, ' ', n_spaces);
    bad_splice(header, from, to - from, spaces, n_spaces);
    bad_splice(header, from, 0, value, strlen(value));
    free(value);
    free(spaces);
}

static void set_repeated(bad_bytes *header, const char *before, const char *unit, size_t n) {
    size_t first = strlen(before), each = strlen(unit);
    free(header->data);
    header->size = first + n * each;
    header->data = support_alloc(header->size, 1);
    memcpy(header->data, before, first);
    for (size_t i = 0; i < n; i++)
        memcpy(header->data + first + i * each, unit, each);
}

/* --- edits of the record */

/* Where the record begins, and *n bytes to its closing brace. */
static size_t find_record(const bad_bytes *header, size_t *n) {
    size_t at = must_find(header, 0, "\"" RECORD "\":{");
    *n = must_find(header, at, "}") + 1 - at;
    return at;
}

/* Where the field's value begins, and its bytes: a string or an array. */
static size_t find_value(const bad_bytes *header, const char *field, size_t *n) {
    char key[64];
    size_t unused;
    snprintf(key, sizeof key, "\"%s\":", field);
    size_t at = must_find(header, find_record(header, &unused), key) + strlen(key);
    *n = must_find(header, at + 1, header->data[at] == '[' ? "]" : "\"") + 1 - at;
    return at;
}

static void set_field(bad_bytes *header, const char *field, const char *value) {
    size_t n, at = find_value(header, field, &n);
    if (value) {
        bad_splice(header, at, n, value, strlen(value));
        return;
    }
    size_t key = strlen(field) + 3; /* quotes and colon */
    int is_first = header->data[at - key - 1] == '{';
    bad_splice(header, at - key - !is_first, key + n + 1, NULL, 0);
}

static void get_range(const bad_bytes *header, long long *begin, long long *end) {
    char text[64] = {0};
    size_t n, at = find_value(header, "data_offsets", &n);
    assert_true(n < sizeof text);
    memcpy(text, header->data + at, n);
    assert_int_equal(sscanf(text, "[%lld,%lld]", begin, end), 2);
}

static void move_range(bad_bytes *header, int64_t begin_by, int64_t end_by) {
    long long begin, end;
    char text[64];
    get_range(header, &begin, &end);
    snprintf(text, sizeof text, "[%lld,%lld]", begin + (long long)begin_by,
             end + (long long)end_by);
    set_field(header, "data_offsets", text);
}

static void set_rank(bad_bytes *header, size_t rank) {
    bad_bytes shape = {NULL, 0};
    set_repeated(&shape, "[1", ",1", rank - 1);
    size_t n, at = find_value(header, "shape", &n);
    bad_splice(header, at, n - 1, shape.data, shape.size); /* the bracket stays */
    free(shape.data);
}

static void add_record(bad_bytes *header, const char *record) {
    size_t n, at = find_record(header, &n);
    bad_splice(header, at, 0, ",", 1);
    bad_splice(header, at, 0, record, strlen(record));
}

static void add_twin(bad_bytes *header, const char *name) {
    size_t n, at = find_record(header, &n), quoted = strlen(RECORD) + 2;
    char *twin = support_alloc(n + strlen(name) + 1, 1);
    sprintf(twin, "\"%s\"%.*s", name, (int)(n - quoted), (const char *)header->data + at + quoted);
    add_record(header, twin);
    free(twin);
}

static void set_weight(parts *p, uint32_t bits) {
    long long begin, end;
    get_range(&p->header, &begin, &end);
    for (int i = 0; i < 4; i++)
        p->data.data[begin + i] = (uint8_t)(bits >> (8 * i));
}

static void edit_record(parts *p, const bad_model *row) {
    bad_bytes *header = &p->header;
    size_t n, at = find_record(header, &n);
    switch (row->edit) {
    case EDIT_FIELD:
        set_field(header, row->a, row->b);
        break;
    case EDIT_RECORD:
        bad_splice(header, at + strlen(RECORD) + 3, n - strlen(RECORD) - 3, row->b, strlen(row->b));
        break;
    case EDIT_NAME:
        bad_splice(header, at + 1, strlen(RECORD), row->b, strlen(row->b));
        break;
    case EDIT_RANK:
        set_rank(header, (size_t)row->n);
        break;
    case EDIT_MORE:
        add_record(header, row->b);
        break;
    case EDIT_TWICE:
        add_twin(header, row->b);
        break;
    case EDIT_WEIGHT:
        set_weight(p, (uint32_t)row->n);
        break;
    default:
        move_range(header, row->edit == EDIT_END ? 0 : row->n,
                   row->edit == EDIT_BEGIN ? 0 : row->n);
    }
}

static void state_length(parts *p, uint64_t length) {
    p->length = length;
    p->is_stated = 1;
}

static void edit_parts(parts *p, const bad_model *row) {
    bad_bytes *header = &p->header;
    size_t n = (size_t)row->n;
    switch (row->edit) {
    case EDIT_LENGTH:
        state_length(p, (uint64_t)row->n);
        break;
    case EDIT_LENGTH_HEADER:
        state_length(p, header->size + (uint64_t)row->n);
        break;
    case EDIT_LENGTH_FILE:
        state_length(p, PREFIX + header->size + p->data.size + (uint64_t)row->n);
        break;
    case EDIT_FRONT:
        bad_splice(header, 0, 0, row->a, strlen(row->a));
        break;
    case EDIT_BACK:
        bad_splice(header, header->size, 0, row->a, n);
        break;
    case EDIT_CUT:
        header->size = row->n < 0 ? header->size - (size_t)-row->n : n;
        break;
    case EDIT_REPEAT:
        set_repeated(header, row->a, row->b, n);
        break;
    case EDIT_TEXT:
        replace(header, row->a, row->b);
        break;
    case EDIT_CONFIG:
        replace_in_config(header, row->a, row->b);
        break;
    case EDIT_CONFIG_ALL:
        set_config(header, row->b, n);
        break;
    default:
        edit_record(p, row);
    }
}

/* --- files */

static void cut_file(bad_bytes *file, const bad_model *row) {
    size_t n = (size_t)row->n;
    if (row->edit == EDIT_HEADER_ONLY)
        n = PREFIX + bad_header_bytes(file);
    else if (row->n < 0)
        n = file->size - (size_t)-row->n;
    bad_splice(file, n, file->size - n, NULL, 0);
}

bad_bytes bad_make(const bad_bytes *good, const bad_model *row) {
    size_t header = bad_header_bytes(good);
    bad_bytes file = copy_of(good->data, good->size);
    if (row->edit == EDIT_KEEP || row->edit == EDIT_HEADER_ONLY) {
        cut_file(&file, row);
        return file;
    }
    if (row->edit == EDIT_GROW) {
        uint8_t *zeros = support_alloc((size_t)row->n, 1);
        bad_splice(&file, file.size, 0, zeros, (size_t)row->n);
        free(zeros);
        return file;
    }
    parts p = {copy_of(good->data + PREFIX, header),
               copy_of(good->data + PREFIX + header, good->size - PREFIX - header), 0, 0};
    while (p.header.data[p.header.size - 1] == ' ')
        p.header.size--;
    edit_parts(&p, row);
    bad_splice(&file, PREFIX, file.size - PREFIX, p.data.data, p.data.size);
    bad_splice(&file, PREFIX, 0, p.header.data, p.header.size);
    bad_set_length(&file, p.is_stated ? p.length : p.header.size);
    free(p.header.data);
    free(p.data.data);
    if (row->stage > STAGE_HASH)
        assert_true(bad_rehash(&file));
    return file;
}
