/* mutate_foreign.c: see mutate_foreign.h. */
#include "mutate_foreign.h"

#include <stdlib.h>
#include <string.h>

#include "mutate.h"
#include "support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static int64_t below(uint64_t *seed, uint64_t n) {
    return support_integer(seed, 0, (int64_t)n - 1);
}

static uint64_t some_number(uint64_t *seed) {
    static const uint64_t numbers[] = {0,
                                       1,
                                       2,
                                       3,
                                       8,
                                       255,
                                       65535,
                                       65536,
                                       UINT64_C(1) << 31,
                                       UINT32_MAX,
                                       UINT64_C(1) << 32,
                                       UINT64_C(1) << 62,
                                       INT64_MAX,
                                       UINT64_C(1) << 63,
                                       UINT64_MAX};
    return numbers[below(seed, COUNT(numbers))];
}

/* --- the archive */

/* A number of 2, 4 or 8 bytes near the headers of a member or behind it. */
static void change_header(bad_bytes *file, const torch_found *f, uint64_t *seed) {
    static const int fields[] = {0, 4, 6, 8, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 42};
    int at = fields[below(seed, COUNT(fields))], bytes = 2 << below(seed, 3);
    uint64_t where = f->entry;
    if (below(seed, 3) == 0)
        where = f->local;
    else if (below(seed, 3) == 0 && f->is_whole) {
        where = f->data + f->bytes;
        at = 4 * (int)below(seed, 4);
    }
    if (where < file->size && where + (uint64_t)at < file->size) {
        size_t place = (size_t)where + (size_t)at;
        if (below(seed, 2))
            torch_put(file, place, bytes, some_number(seed));
        else
            file->data[place] += (uint8_t)support_integer(seed, -2, 2);
    }
}

/* Behind the last entry. */
static void change_ends(bad_bytes *file, uint64_t *seed) {
    size_t back = (size_t)support_integer(seed, 1, 98);
    if (back > file->size)
        return;
    if (below(seed, 2))
        file->data[file->size - back] += (uint8_t)support_integer(seed, -2, 2);
    else
        torch_put(file, file->size - back, 2 << below(seed, 3), some_number(seed));
}

/* A letter of the name, in the directory and the header. */
static void change_name(bad_bytes *file, const torch_found *f, uint64_t *seed) {
    static const char letters[] = "/.\\0123ab\n\xff";
    if (!f->is_whole || !f->name_bytes)
        return;
    size_t i = (size_t)below(seed, f->name_bytes);
    char letter = letters[below(seed, sizeof letters - 1)];
    torch_put(file, (size_t)f->entry + 46 + i, 1, (uint8_t)letter);
    torch_put(file, (size_t)f->local + 30 + i, 1, (uint8_t)letter);
}

/* --- data.pkl */

/* The archive with another text in its first member. */
static void write_anew(bad_bytes *file, const torch_found *found, int n, const bad_bytes *text,
                       uint64_t *seed) {
    torch_member members[TORCH_FOUND];
    for (int i = 0; i < n; i++) {
        if (!found[i].is_whole)
            return;
        members[i] = (torch_member){(const char *)file->data + found[i].entry + 46,
                                    (size_t)found[i].name_bytes, file->data + found[i].data,
                                    (size_t)found[i].bytes};
    }
    members[0].data = text->data;
    members[0].bytes = text->size;
    bad_bytes made = torch_zip(members, n, (torch_style)below(seed, TORCH_STYLES));
    free(file->data);
    *file = made;
}

static void change_byte(bad_bytes *text, uint64_t *seed) {
    static const char opcodes[] =
        "(()..GJKKMNQRRX]abcehhjqqrsttu}}\x80\x85\x86\x87\x88\x89\x8ai0\x93";
    size_t at = (size_t)below(seed, text->size);
    int64_t kind = below(seed, 4);
    if (kind == 0)
        text->data[at] ^= (uint8_t)(1u << below(seed, 8));
    else if (kind == 1)
        text->data[at] = (uint8_t)opcodes[below(seed, sizeof opcodes - 1)];
    else if (kind == 2)
        text->data[at] = (uint8_t)some_number(seed);
    else
        text->data[at] += (uint8_t)support_integer(seed, -3, 3);
}

/* The name of a tensor of one letter. */
static void change_letter(bad_bytes *text, uint64_t *seed) {
    static const char letters[] = "wbm.\n\xff";
    static const uint8_t before[] = {'X', 1, 0, 0, 0};
    size_t n = sizeof before;
    for (size_t at = (size_t)below(seed, text->size); at + n < text->size; at++)
        if (!memcmp(text->data + at, before, n) &&
            (text->data[at + n] == 'w' || text->data[at + n] == 'b')) {
            text->data[at + n] = (uint8_t)letters[below(seed, sizeof letters - 1)];
            return;
        }
}

/* An integer of one byte becomes one of eight. */
static void widen_number(bad_bytes *text, uint64_t *seed) {
    uint64_t number = some_number(seed) - (uint64_t)below(seed, 2);
    uint8_t wide[10] = {0x8a, 8};
    size_t at = (size_t)below(seed, text->size);
    while (at + 1 < text->size && text->data[at] != 'K')
        at++;
    if (at + 1 >= text->size)
        return;
    for (int i = 0; i < 8; i++)
        wide[2 + i] = (uint8_t)(number >> (8 * i));
    bad_splice(text, at, 2, wide, sizeof wide);
}

static void change_span(bad_bytes *text, uint64_t *seed) {
    size_t at = (size_t)below(seed, text->size), most = text->size - at;
    size_t n = (size_t)below(seed, most < 80 ? most : 80) + 1;
    uint8_t span[80];
    memcpy(span, text->data + at, n);
    switch (below(seed, 3)) {
    case 0:
        bad_splice(text, at, n, NULL, 0);
        break;
    case 1:
        bad_splice(text, at, 0, span, n);
        break;
    default:
        bad_splice(text, (size_t)below(seed, text->size), 0, span, n);
    }
}

static void change_pickle(bad_bytes *file, const torch_found *found, int n, uint64_t *seed) {
    if (!found[0].is_whole || !found[0].bytes)
        return;
    bad_bytes text = {file->data + found[0].data, (size_t)found[0].bytes};
    if (below(seed, 2)) {
        if (below(seed, 8))
            change_byte(&text, seed);
        else
            change_letter(&text, seed);
        return;
    }
    bad_bytes copy = {support_alloc(text.size, 1), text.size};
    memcpy(copy.data, text.data, text.size);
    if (below(seed, 2))
        widen_number(&copy, seed);
    else
        change_span(&copy, seed);
    write_anew(file, found, n, &copy, seed);
    free(copy.data);
}

static void mutate_once(bad_bytes *file, uint64_t *seed) {
    torch_found found[TORCH_FOUND];
    int n = torch_find(file, found, TORCH_FOUND);
    int64_t kind = below(seed, 12);
    if (n == 0 || kind == 0)
        mutate_bytes(file, seed);
    else if (kind == 1)
        change_ends(file, seed);
    else if (kind == 2)
        change_name(file, &found[below(seed, (uint64_t)n)], seed);
    else if (kind <= 4)
        change_header(file, &found[below(seed, (uint64_t)n)], seed);
    else
        change_pickle(file, found, n, seed);
}

void mutate_foreign(bad_bytes *file, uint64_t *seed) {
    for (int64_t left = support_integer(seed, 1, 3); left > 0 && file->size > 0; left--)
        mutate_once(file, seed);
}
