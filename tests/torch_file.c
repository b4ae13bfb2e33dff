/* torch_file.c: see torch_file.h. */
#include "torch_file.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "support.h"

#define LOCAL_MARK 0x04034b50u
#define ENTRY_MARK 0x02014b50u
#define TAIL_MARK 0x08074b50u

enum { ALIGNMENT = 64, WIDE = 28 };

/* --- writing */

void torch_add(torch_bytes *o, const void *bytes, size_t n) {
    if (o->size + n > o->capacity) {
        o->capacity = 2 * (o->size + n) + 256;
        uint8_t *larger = support_alloc(o->capacity, 1);
        if (o->size)
            memcpy(larger, o->data, o->size);
        free(o->data);
        o->data = larger;
    }
    if (n)
        memcpy(o->data + o->size, bytes, n);
    o->size += n;
}

static void put(torch_bytes *o, int bytes, uint64_t number) {
    for (int i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(number >> (8 * i));
        torch_add(o, &byte, 1);
    }
}

static void put_wide(torch_bytes *o, int n, const uint64_t *numbers) {
    put(o, 2, 1);
    put(o, 2, (uint64_t)(8 * n));
    for (int i = 0; i < n; i++)
        put(o, 8, numbers[i]);
}

/* Header, data and what follows them; returns the CRC. */
static uint32_t put_member(torch_bytes *o, const torch_member *m, torch_style style) {
    uint32_t crc = (uint32_t)crc32_z(0, m->data, m->bytes);
    int later = style != TORCH_SIMPLE;
    size_t extra = style == TORCH_WIDE ? WIDE : 0;
    const uint64_t wide[] = {m->bytes, 0, o->size}; /* PyTorch knows no stored size here */
    size_t padding = (o->size + 30 + m->name_bytes + extra + 4) % ALIGNMENT;
    padding = later ? 4 + (ALIGNMENT - padding) % ALIGNMENT : 0;
    put(o, 4, LOCAL_MARK);
    put(o, 2, 0);
    put(o, 2, later ? 0x808 : 0);
    put(o, 6, 0); /* method, time, date */
    put(o, 4, later ? 0 : crc);
    put(o, 4, later ? 0 : m->bytes);
    put(o, 4, later ? 0 : m->bytes);
    put(o, 2, m->name_bytes);
    put(o, 2, extra + padding);
    torch_add(o, m->name, m->name_bytes);
    if (extra)
        put_wide(o, 3, wide);
    if (padding) {
        torch_add(o, "FB", 2);
        put(o, 2, padding - 4);
        for (size_t i = 4; i < padding; i++)
            put(o, 1, 'Z');
    }
    torch_add(o, m->data, m->bytes);
    if (later) {
        put(o, 4, TAIL_MARK);
        put(o, 4, crc);
        put(o, extra ? 8 : 4, m->bytes);
        put(o, extra ? 8 : 4, m->bytes);
    }
    return crc;
}

static void put_entry(torch_bytes *o, const torch_member *m, torch_style style, uint32_t crc,
                      uint64_t offset) {
    const uint64_t wide[] = {m->bytes, m->bytes, offset};
    int is_wide = style == TORCH_WIDE;
    put(o, 4, ENTRY_MARK);
    put(o, 4, 0);
    put(o, 2, style == TORCH_SIMPLE ? 0 : 0x808);
    put(o, 6, 0);
    put(o, 4, crc);
    put(o, 4, is_wide ? UINT32_MAX : m->bytes);
    put(o, 4, is_wide ? UINT32_MAX : m->bytes);
    put(o, 2, m->name_bytes);
    put(o, 2, is_wide ? WIDE : 0);
    put(o, 2, 0);
    put(o, 8, 0); /* disk and attributes */
    put(o, 4, is_wide ? UINT32_MAX : offset);
    torch_add(o, m->name, m->name_bytes);
    if (is_wide)
        put_wide(o, 3, wide);
}

static void put_ends(torch_bytes *o, int n, torch_style style, uint64_t directory) {
    uint64_t bytes = o->size - directory, end = o->size;
    int is_wide = style == TORCH_WIDE;
    if (style != TORCH_SIMPLE) {
        put(o, 4, 0x06064b50);
        put(o, 8, 44);
        put(o, 4, 0x2d001e);
        put(o, 8, 0);
        put(o, 8, (uint64_t)n);
        put(o, 8, (uint64_t)n);
        put(o, 8, bytes);
        put(o, 8, directory);
        put(o, 4, 0x07064b50);
        put(o, 4, 0);
        put(o, 8, end);
        put(o, 4, 1);
    }
    put(o, 4, 0x06054b50);
    put(o, 4, 0);
    put(o, 2, is_wide || n > UINT16_MAX ? UINT16_MAX : (uint64_t)n);
    put(o, 2, is_wide || n > UINT16_MAX ? UINT16_MAX : (uint64_t)n);
    put(o, 4, is_wide ? UINT32_MAX : bytes);
    put(o, 4, is_wide ? UINT32_MAX : directory);
    put(o, 2, 0);
}

bad_bytes torch_zip(const torch_member *members, int n, torch_style style) {
    torch_bytes o = {0};
    uint32_t *crc = support_alloc((size_t)n + 1, sizeof *crc);
    uint64_t *offset = support_alloc((size_t)n + 1, sizeof *offset);
    for (int i = 0; i < n; i++) {
        offset[i] = o.size;
        crc[i] = put_member(&o, &members[i], style);
    }
    uint64_t directory = o.size;
    for (int i = 0; i < n; i++)
        put_entry(&o, &members[i], style, crc[i], offset[i]);
    put_ends(&o, n, style, directory);
    free(crc);
    free(offset);
    /* exactly as large as it is, so that a reader that passes the end is caught */
    bad_bytes file = {support_alloc(o.size, 1), o.size};
    memcpy(file.data, o.data, o.size);
    free(o.data);
    return file;
}

/* --- places */

static uint64_t get(const uint8_t *at, int bytes) {
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++)
        number |= (uint64_t)at[i] << (8 * i);
    return number;
}

void torch_put(bad_bytes *file, size_t at, int bytes, uint64_t number) {
    for (int i = 0; i < bytes && at + (size_t)i < file->size; i++)
        file->data[at + (size_t)i] = (uint8_t)(number >> (8 * i));
}

static int is_simple(const bad_bytes *file) {
    return get(file->data + file->size - 42, 4) != 0x07064b50;
}

int torch_count(const bad_bytes *file) {
    const uint8_t *end = file->data + file->size;
    return (int)(is_simple(file) ? get(end - 12, 2) : get(end - 98 + 32, 8));
}

/* A number of an entry: in it, or in its zip64 block of three. */
static uint64_t entry_number(const uint8_t *entry, int at, int wide) {
    uint64_t number = get(entry + at, 4);
    return number == UINT32_MAX ? get(entry + 46 + get(entry + 28, 2) + 4 + 8 * wide, 8) : number;
}

size_t torch_place(const bad_bytes *file, torch_part part, int i) {
    const uint8_t *end = file->data + file->size;
    size_t at = (size_t)(is_simple(file) ? get(end - 6, 4) : get(end - 98 + 48, 8));
    if (part >= TORCH_END64)
        return file->size - (part == TORCH_END64 ? 98 : part == TORCH_LOCATOR ? 42 : 22);
    for (; i > 0; i--)
        at += 46 + get(file->data + at + 28, 2) + get(file->data + at + 30, 2);
    const uint8_t *entry = file->data + at;
    size_t local = entry_number(entry, 42, 2);
    const uint8_t *header = file->data + local;
    size_t data = local + 30 + get(header + 26, 2) + get(header + 28, 2);
    return part == TORCH_ENTRY   ? at
           : part == TORCH_LOCAL ? local
           : part == TORCH_NAME  ? local + 30
           : part == TORCH_DATA  ? data
                                 : data + entry_number(entry, 24, 0);
}

/* --- archives that may be damaged: nothing is read outside of them */

static uint64_t number_at(const bad_bytes *file, uint64_t at, int bytes) {
    int inside = at <= file->size && file->size - at >= (size_t)bytes;
    return inside ? get(file->data + at, bytes) : 0;
}

static uint64_t find_directory(const bad_bytes *file) {
    for (size_t back = 22; back <= file->size && back < 256; back++)
        if (number_at(file, file->size - back, 4) == 0x06054b50) {
            uint64_t at = number_at(file, file->size - back + 16, 4);
            int is_wide = back <= file->size - 76 && at == UINT32_MAX;
            return is_wide ? number_at(file, file->size - back - 28, 8) : at;
        }
    return file->size;
}

int torch_find(const bad_bytes *file, torch_found *found, int most) {
    int n = 0;
    uint64_t at = find_directory(file);
    while (n < most && number_at(file, at, 4) == ENTRY_MARK) {
        torch_found *f = &found[n++];
        uint64_t names = number_at(file, at + 28, 2), extra = number_at(file, at + 30, 2);
        int is_wide = number_at(file, at + 42, 4) == UINT32_MAX;
        uint64_t wide = at + 46 + names + 4;
        f->entry = at;
        f->local = is_wide ? number_at(file, wide + 16, 8) : number_at(file, at + 42, 4);
        f->bytes = is_wide ? number_at(file, wide, 8) : number_at(file, at + 24, 4);
        f->data = f->local > file->size ? file->size
                                        : f->local + 30 + number_at(file, f->local + 26, 2) +
                                              number_at(file, f->local + 28, 2);
        f->is_whole = f->data <= file->size && f->bytes <= file->size - f->data &&
                      at + 46 + names <= file->size;
        f->name_bytes = names;
        at += 46 + names + extra + number_at(file, at + 32, 2);
    }
    return n;
}

int torch_fix_crcs(bad_bytes *file) {
    torch_found found[TORCH_FOUND];
    int n = torch_find(file, found, TORCH_FOUND), n_fixed = 0;
    for (int i = 0; i < n; i++) {
        const torch_found *f = &found[i];
        if (!f->is_whole)
            continue;
        uint32_t crc = (uint32_t)crc32_z(0, file->data + f->data, (size_t)f->bytes);
        torch_put(file, (size_t)f->entry + 16, 4, crc);
        if (number_at(file, f->entry + 8, 2) & 8)
            torch_put(file, (size_t)(f->data + f->bytes) + 4, 4, crc);
        else
            torch_put(file, (size_t)f->local + 14, 4, crc);
        n_fixed++;
    }
    return n_fixed;
}

/* --- pickles */

void torch_add_text(torch_bytes *o, const char *text, size_t n) {
    put(o, 1, 'X');
    put(o, 4, n);
    torch_add(o, text, n);
}

void torch_add_integer(torch_bytes *o, int64_t value) {
    put(o, 2, 0x088a); /* LONG1 of 8 bytes */
    put(o, 8, (uint64_t)value);
}

static void add_tuple(torch_bytes *o, int n, const int64_t *values) {
    put(o, 1, '(');
    for (int i = 0; i < n; i++)
        torch_add_integer(o, values[i]);
    put(o, 1, 't');
}

void torch_add_tensor(torch_bytes *o, const torch_tensor *t) {
    TORCH_ADD(o, "ctorch._utils\n_rebuild_tensor_v2\n((" TORCH_X("\7", "storage") "ctorch\n");
    torch_add(o, t->type, strlen(t->type));
    TORCH_ADD(o, "Storage\n");
    torch_add_text(o, t->key, strlen(t->key));
    TORCH_ADD(o, TORCH_X("\6", "cuda:0"));
    torch_add_integer(o, t->elements);
    TORCH_ADD(o, "tQ");
    torch_add_integer(o, t->offset);
    add_tuple(o, t->rank, t->dim);
    add_tuple(o, t->rank, t->stride);
    TORCH_ADD(o, "\x89" TORCH_DICT "tR");
}

/* --- a good one */

void torch_good(torch_member members[TORCH_MEMBERS]) {
    static const char text[] = TORCH_GOOD;
    static const float w[] = {1, -2, 0.5f, 3, 4, -0.25f}, b[] = {7};
    const torch_member good[TORCH_MEMBERS] = {
        [TORCH_PICKLE] = {"a/data.pkl", 10, text, sizeof text - 1},
        [TORCH_BYTEORDER] = {"a/byteorder", 11, "little", 6},
        [TORCH_DATA_0] = {"a/data/0", 8, w, sizeof w},
        [TORCH_DATA_1] = {"a/data/1", 8, b, sizeof b},
        [TORCH_VERSION] = {"a/version", 9, "3\n", 2},
    };
    memcpy(members, good, sizeof good);
}

void torch_training(torch_member members[TORCH_MEMBERS]) {
#define PUT(n) "q" n
    static const char text[] =
        "\x80\2}" PUT("\0") "(" TORCH_X("\5", "model") PUT("\1")
            TORCH_DICT PUT("\2") "(" TORCH_X("\10", "module.w") PUT("\3") TORCH_W PUT("\4")
                TORCH_X("\1", "b")
                    TORCH_B TORCH_X("\4", "tied") "h\4u}" TORCH_X("\11", "_metadata") "}sb" TORCH_X(
                        "\11",
                        "optimizer") "}(" TORCH_X("\5",
                                                  "state") "}(K\0}(" TORCH_X("\4",
                                                                             "step") "K\7" TORCH_X("\7",
                                                                                                   "exp_avg")
                        TORCH_B "uK\1}u" TORCH_X("\14", "param_groups") "]}(" TORCH_X("\2", "lr") "G\x3f\x1a\x36\xe2\xeb\x1c\x43\x2d" TORCH_X(
                            "\5",
                            "betas") "G\x3f\xec\xcc\xcc\xcc\xcc\xcc\xcdG\x3f\xef\xae\x14\x7a\xe1"
                                     "\x47\xae\x86" TORCH_X(
                                         "\6",
                                         "params") "](K\0K\1eua"
                                                   "u" TORCH_X(
                                                       "\5",
                                                       "epoc"
                                                       "h") "M\1\1" TORCH_X("\4",
                                                                            "best") "N" TORCH_X("\5",
                                                                                                "st"
                                                                                                "ep"
                                                                                                "s") "\x8a\5\0"
                                                                                                     "\0\0\0"
                                                                                                     "\1" TORCH_X(
                                                                                                         "\4",
                                                                                                         "done") "\x88u.";
    torch_good(members);
    members[TORCH_PICKLE].data = text;
    members[TORCH_PICKLE].bytes = sizeof text - 1;
}
