/* data.c: see data.h.
 *
 * Everything random hangs on (seed, PHILOX_DATA, epoch, draw): the high half of a draw's position
 * says what it is for, a round of the Feistel network or the shift of a part. */
#define _POSIX_C_SOURCE 200809L
#include "train/data.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/philox.h"

enum { ROUNDS = 8, SHIFT = 255 }; /* draws: rounds 0 to ROUNDS - 1, and the shift */

enum {
    HELD_SHARE = 20,    /* one in 20 bytes is held out */
    HELD_MAX = 2 << 20, /* but no more than this */
    HELD_FIRST = 10,    /* of whole files, which gives one in HELD_SHARE */
    HELD_CONTEXTS = 8,  /* contexts of a file that must give one */
    ROOMY = 8,          /* contexts of a part that may have one window more */
    FINGERPRINT_ENDS = 4096,
    STREAM_MAX = 1 << 30 /* bytes taken from a pipe */
};

/* Consecutive bytes of one file. */
typedef struct data_part {
    const uint8_t *bytes;
    int64_t n;     /* at least 1 */
    int64_t first; /* windows of the parts before it */
} data_part;

typedef struct data_parts {
    data_part *list;
    int n, capacity;
    int64_t bytes, windows; /* of all parts; windows only of training parts */
} data_parts;

struct data {
    file_bytes *files; /* those that are not empty, open */
    int n_files, files_capacity;
    data_parts train, valid;
    int64_t context, align;
    uint64_t seed;
    uint64_t fingerprint;
};

/* The list with room for one more element; NULL when memory is out: the list is as it was then. */
static void *grow(void *list, int n, int *capacity, size_t size, octet_error *error) {
    if (n < *capacity)
        return list;
    int doubled = n ? 2 * n : 16;
    void *p = n <= INT32_MAX / 2 ? realloc(list, (size_t)doubled * size) : NULL;
    if (!p)
        error_memory(error, "list of data files", (double)n * 2 * (double)size);
    else
        *capacity = doubled;
    return p;
}

static octet_status add_part(data_parts *parts, const uint8_t *bytes, int64_t n, int64_t windows,
                             octet_error *error) {
    data_part *list = grow(parts->list, parts->n, &parts->capacity, sizeof *list, error);
    if (!list)
        return OCTET_NO_MEMORY;
    parts->list = list;
    list[parts->n++] = (data_part){bytes, n, parts->windows};
    parts->bytes += n;
    parts->windows += windows;
    return OCTET_OK;
}

/* --- windows --------------------------------------------------------------------------- */

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Windows of a training part, see data.h. With contexts of `align` bytes there is nothing to shift.
 */
static int64_t train_windows(int64_t n, int64_t context, int64_t align) {
    int64_t whole = n / context, rest = n % context;
    if (n <= context)
        return 1;
    if (context == align)
        return whole + (rest > 0);
    return whole + 1 + (whole >= ROOMY && rest > context / 2);
}

/* Four random words for one purpose of an epoch. Epochs count modulo 2^32. */
static void draw(uint32_t out[4], const data *d, int64_t epoch, uint32_t what, uint32_t value) {
    philox(out, d->seed, PHILOX_DATA, (uint32_t)epoch, (uint64_t)what << 32 | value);
}

/* Length of the first of `windows` > 1 windows of a part: uniform among those that leave the last
 * one 1 to context bytes, and multiples of `align`. */
static int64_t first_length(const data *d, int part, int64_t windows, int64_t epoch) {
    int64_t n = d->train.list[part].n;
    int64_t low = larger(1, n - (windows - 1) * d->context);
    int64_t high = smaller(d->context, n - (windows - 2) * d->context - 1);
    uint32_t words[4];
    draw(words, d, epoch, SHIFT, (uint32_t)part);
    low = (low + d->align - 1) / d->align;
    high /= d->align;
    uint64_t range = (uint64_t)(high - low + 1); /* below 2^32: the bias is below 2^-8 of a word */
    return d->align * (low + (int64_t)((uint64_t)words[0] * range >> 32));
}

/* The image of index in [0, n) under the epoch's permutation: a Feistel network on 2 `half` bits is
 * a bijection of [0, 4^half), and following it from a point below n back to one below n keeps it
 * one (cycle walking; Black and Rogaway 2002). At most 4 steps on average, as 4^half < 4 n. */
static int64_t permute(const data *d, int64_t epoch, int64_t index, int64_t n) {
    int half = 1;
    while (half < 31 && n > (int64_t)1 << (2 * half))
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    uint64_t x = (uint64_t)index;
    do {
        uint64_t left = x >> half, right = x & mask;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            uint32_t words[4];
            draw(words, d, epoch, round, (uint32_t)right);
            uint64_t mixed = left ^ (words[0] & mask);
            left = right;
            right = mixed;
        }
        x = left << half | right;
    } while (x >= (uint64_t)n);
    return (int64_t)x;
}

/* The part that holds a window. */
static int find_part(const data_parts *parts, int64_t window) {
    int low = 0, high = parts->n - 1;
    while (low < high) {
        int middle = low + (high - low + 1) / 2;
        if (parts->list[middle].first <= window)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

size_t data_window(const data *d, uint64_t index, uint8_t *out) {
    const data_parts *parts = &d->train;
    int64_t epoch = (int64_t)(index / (uint64_t)parts->windows);
    int64_t window = permute(d, epoch, (int64_t)(index % (uint64_t)parts->windows), parts->windows);
    int i = find_part(parts, window);
    const data_part *part = &parts->list[i];
    int64_t end = i + 1 < parts->n ? parts->list[i + 1].first : parts->windows;
    int64_t windows = end - part->first, k = window - part->first, start = 0, n = part->n;
    if (windows > 1) {
        int64_t length = first_length(d, i, windows, epoch);
        start = k ? length + (k - 1) * d->context : 0;
        n = k ? smaller(d->context, part->n - start) : length;
    }
    memcpy(out, part->bytes + start, (size_t)n);
    return (size_t)n;
}

uint64_t data_epoch_windows(const data *d) {
    return (uint64_t)d->train.windows;
}

uint64_t data_train_bytes(const data *d) {
    return (uint64_t)d->train.bytes;
}

size_t data_valid_files(const data *d) {
    return (size_t)d->valid.n;
}

const uint8_t *data_valid_part(const data *d, size_t i, size_t *n) {
    *n = (size_t)d->valid.list[i].n;
    return d->valid.list[i].bytes;
}

/* --- files ----------------------------------------------------------------------------- */

/* Bytes at the end of a training file of n bytes that are held out; the others are whole `align`.
 */
static int64_t held_out(int64_t n, const data *d) {
    int64_t held = smaller(n / HELD_SHARE, HELD_MAX);
    if (held < d->context && n / HELD_CONTEXTS >= d->context)
        held = d->context;
    return held > 0 ? held + (n - held) % d->align : 0;
}

/* What the files of a call to add_path are for. */
typedef struct opening {
    data *d;
    const data_source *source; /* NULL for bytes in memory */
    int is_valid;              /* files for validation */
    int hold_out;              /* training files give a tail, or some of them all */
    octet_error *error;
} opening;

static octet_status add_bytes(const opening *o, const uint8_t *bytes, int64_t n) {
    data *d = o->d;
    int is_whole = o->source && o->source->whole_files;
    if (o->is_valid || (o->hold_out && is_whole && d->n_files % HELD_SHARE == HELD_FIRST + 1))
        return add_part(&d->valid, bytes, n, 0, o->error);
    int64_t held = o->hold_out && !is_whole ? held_out(n, d) : 0;
    octet_status status = add_part(&d->train, bytes, n - held,
                                   train_windows(n - held, d->context, d->align), o->error);
    if (status || held == 0)
        return status;
    return add_part(&d->valid, bytes + n - held, held, 0, o->error);
}

static octet_status add_file(const opening *o, const char *path, size_t limit) {
    data *d = o->d;
    file_bytes *files = grow(d->files, d->n_files, &d->files_capacity, sizeof *files, o->error);
    if (!files)
        return OCTET_NO_MEMORY;
    d->files = files;
    file_bytes *file = &d->files[d->n_files];
    octet_status status = o->source->load
                              ? o->source->load(o->source->context, file, path, o->error)
                              : file_open(file, path, limit, o->error);
    if (status || file->size == 0) {
        file_close(file);
        return status;
    }
    d->n_files++;
    return add_bytes(o, file->data, (int64_t)file->size);
}

static octet_status fail_path(const char *path, const char *what, octet_error *error) {
    int code = errno;
    return error_set(error, code == ENOMEM ? OCTET_NO_MEMORY : OCTET_ERROR, "%s: %s: %s", path,
                     what, strerror(code));
}

typedef struct entries {
    char **names;
    int n, capacity;
} entries;

static void entries_finish(entries *e) {
    for (int i = 0; i < e->n; i++)
        free(e->names[i]);
    free(e->names);
}

/* strcmp compares as unsigned char: byte order in every locale. */
static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static octet_status add_entry(entries *e, const char *path, const char *name, octet_error *error) {
    char **names = grow(e->names, e->n, &e->capacity, sizeof *names, error);
    if (!names)
        return OCTET_NO_MEMORY;
    e->names = names;
    size_t bytes = strlen(path) + strlen(name) + 2;
    char *full = malloc(bytes);
    if (!full)
        return error_memory(error, path, (double)bytes);
    const char *slash = path[0] && path[strlen(path) - 1] == '/' ? "" : "/";
    snprintf(full, bytes, "%s%s%s", path, slash, name);
    names[e->n++] = full;
    return OCTET_OK;
}

/* "directory/name" of every entry that is not hidden, sorted. */
static octet_status read_entries(entries *e, const char *path, octet_error *error) {
    DIR *directory = opendir(path);
    octet_status status = OCTET_OK;
    if (!directory)
        return fail_path(path, "cannot open", error);
    while (!status) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            if (errno)
                status = fail_path(path, "cannot read", error);
            break;
        }
        if (entry->d_name[0] == '.')
            continue;
        status = add_entry(e, path, entry->d_name, error);
    }
    (void)closedir(directory);
    if (e->n)
        qsort(e->names, (size_t)e->n, sizeof *e->names, compare_names);
    return status;
}

/* Links to directories are not followed, so the recursion ends where paths become too long. */
static octet_status add_directory(const opening *o, const char *path) {
    entries e = {0};
    octet_status status = read_entries(&e, path, o->error);
    for (int i = 0; i < e.n && !status; i++) {
        const char *name = e.names[i];
        struct stat link, info;
        if (lstat(name, &link) != 0 || stat(name, &info) != 0)
            status = fail_path(name, "cannot open", o->error);
        else if (S_ISREG(info.st_mode))
            status = add_file(o, name, SIZE_MAX);
        else if (S_ISDIR(link.st_mode))
            status = add_directory(o, name);
    }
    entries_finish(&e);
    return status;
}

/* A path that was asked for by name may also be a pipe. */
static octet_status add_path(const opening *o, const char *path) {
    struct stat info;
    if (strcmp(path, "-") == 0)
        return add_file(o, path, STREAM_MAX);
    if (stat(path, &info) != 0)
        return fail_path(path, "cannot open", o->error);
    if (S_ISDIR(info.st_mode))
        return add_directory(o, path);
    return add_file(o, path, S_ISREG(info.st_mode) ? SIZE_MAX : STREAM_MAX);
}

static octet_status fail_empty(const char *what, const char *const *paths, size_t n,
                               octet_error *error) {
    char list[400];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        size_t needed = strlen(paths[i]) + 2;
        if (used + needed + 16 > sizeof list) {
            snprintf(list + used, sizeof list - used, "%s%zu more", used ? ", " : "", n - i);
            break;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", paths[i]);
    }
    return error_set(error, OCTET_ERROR, "no bytes of %s data in %s", what, n ? list : "no paths");
}

static octet_status add_paths(const opening *o, const char *const *paths, size_t n) {
    octet_status status = OCTET_OK;
    for (size_t i = 0; i < n && !status; i++)
        status = add_path(o, paths[i]);
    const data_parts *parts = o->is_valid ? &o->d->valid : &o->d->train;
    if (!status && parts->bytes == 0)
        status = fail_empty(o->is_valid ? "validation" : "training", paths, n, o->error);
    return status;
}

/* --- the whole ------------------------------------------------------------------------- */

static uint64_t hash_parts(const data_parts *parts, uint64_t hash) {
    for (int i = -1; i < parts->n; i++) {
        /* The number of parts, then each one's size, in the same bytes on every machine. */
        uint64_t value = (uint64_t)(i < 0 ? parts->n : parts->list[i].n);
        uint8_t bytes[8];
        for (int k = 0; k < 8; k++)
            bytes[k] = (uint8_t)(value >> (8 * k));
        hash = XXH3_64bits_withSeed(bytes, sizeof bytes, hash);
        if (i < 0)
            continue;
        const data_part *part = &parts->list[i];
        int64_t n = smaller(part->n, FINGERPRINT_ENDS);
        hash = XXH3_64bits_withSeed(part->bytes, (size_t)n, hash);
        hash = XXH3_64bits_withSeed(part->bytes + part->n - n, (size_t)n, hash);
    }
    return hash;
}

uint64_t data_fingerprint(const data *d) {
    return d->fingerprint;
}

static octet_status create(data **out, int64_t context, uint64_t seed, octet_error *error) {
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_memory(error, "data", sizeof **out);
    (*out)->context = context;
    (*out)->align = 1;
    (*out)->seed = seed;
    return OCTET_OK;
}

/* Ends opening: with the fingerprint, or with nothing. */
static octet_status finish(data **out, octet_status status) {
    if (status)
        data_close(out);
    else
        (*out)->fingerprint = hash_parts(&(*out)->valid, hash_parts(&(*out)->train, 0));
    return status;
}

octet_status data_open(data **out, const data_source *source, int64_t context, uint64_t seed,
                       octet_error *error) {
    octet_status status = create(out, context, seed, error);
    opening o = {.d = *out, .source = source, .hold_out = source->n_valid == 0, .error = error};
    if (!status && source->align > 1)
        (*out)->align = source->align;
    if (!status)
        status = add_paths(&o, source->paths, source->n_paths);
    if (!status && source->n_valid) {
        o.is_valid = 1;
        status = add_paths(&o, source->valid, source->n_valid);
    }
    return finish(out, status);
}

octet_status data_open_memory(data **out, const uint8_t *bytes, size_t n, int64_t context,
                              uint64_t seed, octet_error *error) {
    *out = NULL;
    if (n == 0)
        return error_set(error, OCTET_ERROR, "0 bytes are given to train on");
    octet_status status = create(out, context, seed, error);
    opening o = {.d = *out, .error = error};
    if (!status)
        status = add_bytes(&o, bytes, (int64_t)n);
    return finish(out, status);
}

void data_close(data **d) {
    if (!d || !*d)
        return;
    for (int i = 0; i < (*d)->n_files; i++)
        file_close(&(*d)->files[i]);
    free((*d)->files);
    free((*d)->train.list);
    free((*d)->valid.list);
    free(*d);
    *d = NULL;
}
