/* mutate.c: see mutate.h. */
#include "mutate.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define PREFIX 8

static int64_t below(uint64_t *seed, size_t n) {
    return support_integer(seed, 0, (int64_t)n - 1);
}

/* --- anything */

static void flip_bit(bad_bytes *file, size_t from, size_t n, uint64_t *seed) {
    if (n)
        file->data[from + (size_t)below(seed, n)] ^= (uint8_t)(1u << below(seed, 8));
}

static void set_number(bad_bytes *file, size_t at, uint64_t *seed) {
    static const uint64_t numbers[] = {0,
                                       1,
                                       2,
                                       255,
                                       UINT64_C(1) << 16,
                                       UINT64_C(1) << 31,
                                       UINT64_C(1) << 32,
                                       INT64_MAX,
                                       UINT64_C(1) << 63,
                                       UINT64_MAX};
    uint64_t number = numbers[below(seed, COUNT(numbers))];
    for (size_t i = 0; i < 8 && at + i < file->size; i++)
        file->data[at + i] = (uint8_t)(number >> (8 * i));
}

static void set_float(bad_bytes *file, size_t from, uint64_t *seed) {
    static const uint32_t bits[] = {0x7fc00000, 0xffc00001, 0x7f800000, 0xff800000,
                                    0x7f7fffff, 0xff7fffff, 0x00000001, 0x80000000};
    uint32_t value = bits[below(seed, COUNT(bits))];
    if (file->size < from + 4)
        return;
    size_t at = from + 4 * (size_t)below(seed, (file->size - from) / 4);
    for (size_t i = 0; i < 4; i++)
        file->data[at + i] = (uint8_t)(value >> (8 * i));
}

static void move_end(bad_bytes *file, uint64_t *seed) {
    static const uint8_t zeros[16];
    int64_t kind = below(seed, 3);
    if (kind == 0)
        bad_splice(file, file->size, 0, zeros, (size_t)below(seed, 16) + 1);
    else if (kind == 1 && file->size > 16)
        file->size -= (size_t)below(seed, 16) + 1;
    else
        file->size = (size_t)below(seed, file->size) + 1;
    /* so that a reader that passes the end is caught */
    bad_splice(file, 0, 0, NULL, 0);
}

void mutate_bytes(bad_bytes *file, uint64_t *seed) {
    switch (below(seed, 4)) {
    case 0:
        flip_bit(file, 0, file->size, seed);
        break;
    case 1:
        set_number(file, 8 * (size_t)below(seed, file->size / 8 + 1), seed);
        break;
    case 2:
        set_float(file, 0, seed);
        break;
    default:
        move_end(file, seed);
    }
}

/* --- the header of a model; each is handed what bad_header_bytes says */

static void change_number(bad_bytes *file, size_t n, uint64_t *seed) {
    static const char *const numbers[] = {"0",
                                          "-1",
                                          "1",
                                          "2",
                                          "3",
                                          "16",
                                          "255",
                                          "65536",
                                          "2147483648",
                                          "4294967296",
                                          "16777216",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "-9223372036854775808",
                                          "0.5",
                                          "1e9",
                                          "1e400"};
    size_t at = PREFIX + (size_t)below(seed, n), end = PREFIX + n, to;
    while (at < end && !isdigit(file->data[at]))
        at++;
    for (to = at; to < end && isdigit(file->data[to]); to++)
        ;
    const char *number = numbers[below(seed, COUNT(numbers))];
    bad_splice(file, at, to - at, number, strlen(number));
}

/* Replaces one of these by another, the first behind a place. */
static void change_word(bad_bytes *file, size_t n, uint64_t *seed) {
    static const char *const words[] = {
        "true",     "false",      "null",     "learned", "rope",   "none",   "rms",     "layer",
        "relu2",    "swiglu",     "gelu",     "F32",     "BF16",   "I32",    "F64",     "context",
        "keep",     "patch",      "dim",      "heads",   "layers", "format", "version", "octet",
        "config",   "xxh3_128",   "levels.0", "embed",   "split",  "start",  "shape",   "dtype",
        "blocks.0", "optimizer.", "levels",   "train"};
    const char *from = words[below(seed, COUNT(words))], *to = words[below(seed, COUNT(words))];
    size_t length = strlen(from);
    for (size_t at = PREFIX + (size_t)below(seed, n); at + length <= PREFIX + n; at++)
        if (!memcmp(file->data + at, from, length)) {
            bad_splice(file, at, length, to, strlen(to));
            return;
        }
}

static void change_span(bad_bytes *file, size_t n, uint64_t *seed) {
    static const char marks[] = "{}[]\",: \\0-e\x80";
    size_t at = PREFIX + (size_t)below(seed, n), most = PREFIX + n - at;
    size_t length = (size_t)below(seed, most < 64 ? most : 64) + 1;
    char span[64];
    memcpy(span, file->data + at, length);
    switch (below(seed, 4)) {
    case 0:
        bad_splice(file, at, length, NULL, 0);
        break;
    case 1:
        bad_splice(file, at, 0, span, length);
        break;
    case 2:
        bad_splice(file, PREFIX + (size_t)below(seed, n), 0, span, length);
        break;
    default:
        bad_splice(file, at, 0, &marks[below(seed, sizeof marks - 1)], 1);
    }
}

static void change_length(bad_bytes *file, size_t n, uint64_t *seed) {
    if (below(seed, 2))
        set_number(file, 0, seed);
    else
        bad_set_length(file, n + (uint64_t)support_integer(seed, -8, 8));
}

static void change_header(bad_bytes *file, size_t n, uint64_t *seed) {
    size_t before = file->size;
    switch (below(seed, 4)) {
    case 0:
        change_span(file, n, seed);
        break;
    case 1:
        change_word(file, n, seed);
        break;
    default:
        change_number(file, n, seed);
    }
    bad_set_length(file, n + file->size - before);
}

static void mutate_once(bad_bytes *file, uint64_t *seed) {
    size_t n = bad_header_bytes(file);
    switch (below(seed, 12)) {
    case 0:
        flip_bit(file, 0, file->size, seed);
        break;
    case 1:
        flip_bit(file, PREFIX, n, seed);
        break;
    case 2:
        if (file->size >= PREFIX)
            change_length(file, n, seed);
        break;
    case 3:
        move_end(file, seed);
        break;
    case 4:
    case 5:
        set_float(file, PREFIX + n, seed);
        break;
    default:
        if (n)
            change_header(file, n, seed);
    }
}

void mutate_model(bad_bytes *file, uint64_t *seed) {
    for (int64_t left = support_integer(seed, 1, 3); left > 0; left--)
        mutate_once(file, seed);
}
