/* safetensors_writer.c: collects tensors and writes them as one crash-safe file.
 *
 * What is written depends on the content alone: not on the order in which it was added, nor on
 * time, host or path. Two passes over the data: by name for the checksum, which the header states,
 * and by element size for the file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/safetensors.h"
#include "model/safetensors_content.h"

enum { PIECE_BYTES = 1 << 20, HEADER_ALIGN = 8, HASH_SIZE = 33 };

typedef struct entry {
    safetensors_tensor tensor; /* owns its name */
    safetensors_fill *fill;    /* NULL: tensor.data */
    void *context;
} entry;

typedef struct owned_pair {
    char *key;
    char *value;
} owned_pair;

struct safetensors_writer {
    entry *entries;
    size_t n_entries;
    size_t entries_capacity;
    owned_pair *metadata;
    size_t n_metadata;
    size_t metadata_capacity;
    uint64_t data_bytes;
};

octet_status safetensors_writer_create(safetensors_writer **out, octet_error *error) {
    *out = calloc(1, sizeof **out);
    return *out != NULL ? OCTET_OK : error_memory(error, "a file's contents", sizeof **out);
}

void safetensors_writer_destroy(safetensors_writer **w) {
    safetensors_writer *dead = *w;
    *w = NULL;
    if (dead == NULL) {
        return;
    }
    for (size_t i = 0; i < dead->n_entries; i++) {
        free((char *)dead->entries[i].tensor.name);
    }
    for (size_t i = 0; i < dead->n_metadata; i++) {
        free(dead->metadata[i].key);
        free(dead->metadata[i].value);
    }
    free(dead->entries);
    free(dead->metadata);
    free(dead);
}

/* Room for one more element in a growing array of n; the array, perhaps moved, or NULL. */
static void *make_room(void *array, size_t n, size_t *capacity, size_t element_bytes) {
    if (n < *capacity) {
        return array;
    }
    const size_t larger = *capacity == 0 ? 16 : *capacity * 2;
    if (larger > SIZE_MAX / 2 / element_bytes) {
        return NULL;
    }
    void *moved = realloc(array, larger * element_bytes);
    if (moved != NULL) {
        *capacity = larger;
    }
    return moved;
}

static char *copy_text(const char *text) {
    const size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

octet_status safetensors_writer_metadata(safetensors_writer *w, const char *key, const char *value,
                                         octet_error *error) {
    if (strcmp(key, SAFETENSORS_CHECKSUM) == 0) {
        return error_set(error, OCTET_ERROR, "metadata \"%s\" is the checksum's", key);
    }
    if (!content_is_utf8(key) || !content_is_utf8(value)) {
        return error_set(error, OCTET_ERROR, "metadata \"%.64s\" is not UTF-8", key);
    }
    for (size_t i = 0; i < w->n_metadata; i++) {
        if (strcmp(w->metadata[i].key, key) == 0) {
            return error_set(error, OCTET_ERROR, "metadata \"%.64s\" is there already", key);
        }
    }
    owned_pair *room =
        make_room(w->metadata, w->n_metadata, &w->metadata_capacity, sizeof *w->metadata);
    if (room == NULL) {
        return error_memory(error, "metadata", (double)(w->n_metadata + 1) * sizeof *room);
    }
    w->metadata = room;
    const owned_pair pair = {copy_text(key), copy_text(value)};
    if (pair.key == NULL || pair.value == NULL) {
        free(pair.key);
        free(pair.value);
        return error_memory(error, "metadata", (double)(strlen(key) + strlen(value) + 2));
    }
    w->metadata[w->n_metadata++] = pair;
    return OCTET_OK;
}

/* Our own mistakes as errors: what the reader would refuse is never written. */
static octet_status check_tensor(const safetensors_writer *w, const safetensors_tensor *t,
                                 octet_error *error) {
    const char *fault = content_name_fault(t->name);
    if (fault == NULL && (strcmp(t->name, CONTENT_METADATA) == 0 || !content_is_utf8(t->name))) {
        fault = "is reserved or not UTF-8";
    }
    if (fault != NULL) {
        return error_set(error, OCTET_ERROR, "the name of tensor \"%.64s\" %s", t->name, fault);
    }
    if ((int)t->type < 0 || t->type >= SAFETENSORS_TYPES || t->rank < 0 ||
        t->rank > SAFETENSORS_RANK) {
        return error_set(error, OCTET_ERROR, "tensor \"%.64s\" has type %d and rank %d", t->name,
                         (int)t->type, t->rank);
    }
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] < 0) {
            return error_set(error, OCTET_ERROR, "tensor \"%.64s\": shape[%d] is %lld", t->name, i,
                             (long long)t->dim[i]);
        }
    }
    uint64_t bytes;
    if (!content_bytes(&bytes, t->type, t->rank, t->dim) || bytes != t->bytes ||
        bytes > (uint64_t)INT64_MAX - w->data_bytes) {
        return error_set(error, OCTET_ERROR, "tensor \"%.64s\" of %zu bytes does not fit its shape",
                         t->name, t->bytes);
    }
    if (w->n_entries == SAFETENSORS_TENSORS) {
        return error_set(error, OCTET_ERROR, "tensor \"%.64s\" is above the limit of %d", t->name,
                         SAFETENSORS_TENSORS);
    }
    return OCTET_OK;
}

octet_status safetensors_writer_add_stream(safetensors_writer *w, const safetensors_tensor *tensor,
                                           safetensors_fill *fill, void *context,
                                           octet_error *error) {
    const octet_status status = check_tensor(w, tensor, error);
    if (status != OCTET_OK) {
        return status;
    }
    entry *room = make_room(w->entries, w->n_entries, &w->entries_capacity, sizeof *w->entries);
    if (room == NULL) {
        return error_memory(error, "tensor records", (double)(w->n_entries + 1) * sizeof *room);
    }
    w->entries = room;
    entry *e = &w->entries[w->n_entries];
    *e = (entry){.tensor = *tensor, .fill = fill, .context = context};
    e->tensor.name = copy_text(tensor->name);
    if (e->tensor.name == NULL) {
        return error_memory(error, "a tensor's name", (double)strlen(tensor->name) + 1);
    }
    w->n_entries++;
    w->data_bytes += tensor->bytes;
    return OCTET_OK;
}

octet_status safetensors_writer_add(safetensors_writer *w, const safetensors_tensor *tensor,
                                    octet_error *error) {
    if (tensor->data == NULL && tensor->bytes > 0) {
        return error_set(error, OCTET_ERROR, "tensor \"%.64s\" has no data", tensor->name);
    }
    return safetensors_writer_add_stream(w, tensor, NULL, NULL, error);
}

/* Where a pass over the data sends it: one of the two is NULL. */
typedef struct sink {
    content_hash *hash;
    file_writer *file;
    uint8_t *piece; /* [PIECE_BYTES], for data that is asked for */
} sink;

static octet_status send_bytes(const sink *to, const void *data, size_t bytes, octet_error *error) {
    if (to->hash != NULL) {
        content_hash_data(to->hash, data, bytes);
        return OCTET_OK;
    }
    return file_writer_write(to->file, data, bytes, error);
}

static octet_status send_tensor(const sink *to, const entry *e, octet_error *error) {
    const size_t total = e->tensor.bytes;
    if (e->fill == NULL) {
        return total > 0 ? send_bytes(to, e->tensor.data, total, error) : OCTET_OK;
    }
    octet_status status = OCTET_OK;
    for (size_t at = 0; at < total && status == OCTET_OK; at += PIECE_BYTES) {
        const size_t bytes = total - at < PIECE_BYTES ? total - at : PIECE_BYTES;
        status = e->fill(e->context, at, to->piece, bytes, error);
        if (status == OCTET_OK) {
            status = send_bytes(to, to->piece, bytes, error);
        }
    }
    return status;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const entry *)a)->tensor.name, ((const entry *)b)->tensor.name);
}

static int compare_layout(const void *a, const void *b) {
    const size_t x = safetensors_type_bytes(((const entry *)a)->tensor.type);
    const size_t y = safetensors_type_bytes(((const entry *)b)->tensor.type);
    return x != y ? (x < y) - (x > y) : compare_names(a, b);
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(((const owned_pair *)a)->key, ((const owned_pair *)b)->key);
}

/* First pass; leaves entries and metadata sorted by name. */
static octet_status hash_content(safetensors_writer *w, uint8_t *piece, char hex[HASH_SIZE],
                                 octet_error *error) {
    if (w->n_entries > 0) {
        qsort(w->entries, w->n_entries, sizeof *w->entries, compare_names);
    }
    if (w->n_metadata > 0) {
        qsort(w->metadata, w->n_metadata, sizeof *w->metadata, compare_keys);
    }
    content_hash *hash;
    octet_status status = content_hash_create(&hash, error);
    if (status != OCTET_OK) {
        return status;
    }
    content_hash_number(hash, w->n_metadata);
    for (size_t i = 0; i < w->n_metadata; i++) {
        content_hash_text(hash, w->metadata[i].key);
        content_hash_text(hash, w->metadata[i].value);
    }
    content_hash_number(hash, w->n_entries);
    const sink to = {.hash = hash, .piece = piece};
    for (size_t i = 0; i < w->n_entries && status == OCTET_OK; i++) {
        const entry *e = &w->entries[i];
        if (i > 0 && compare_names(e - 1, e) == 0) {
            status = error_set(error, OCTET_ERROR, "two tensors have the name \"%.64s\"",
                               e->tensor.name);
        } else {
            content_hash_tensor(hash, &e->tensor);
            status = send_tensor(&to, e, error);
        }
    }
    content_hash_digest(hash, hex);
    content_hash_destroy(&hash);
    return status;
}

/* Text that grows; a failed allocation is kept and shows at the end. */
typedef struct text {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
} text;

static void append(text *t, const char *bytes, size_t n) {
    if (t->failed) {
        return;
    }
    if (n > t->capacity - t->size) {
        const size_t larger = 2 * (t->capacity + n) + 1024;
        char *moved = realloc(t->data, larger);
        if (moved == NULL) {
            t->failed = true;
            return;
        }
        t->data = moved;
        t->capacity = larger;
    }
    memcpy(t->data + t->size, bytes, n);
    t->size += n;
}

static void append_text(text *t, const char *string) {
    append(t, string, strlen(string));
}

static void append_number(text *t, uint64_t number) {
    char digits[24];
    append(t, digits, (size_t)snprintf(digits, sizeof digits, "%" PRIu64, number));
}

/* A JSON string of valid UTF-8. */
static void append_quoted(text *t, const char *string) {
    static const char special[] = "\"\\\n\t\r";
    static const char letters[] = "\"\\ntr";
    append_text(t, "\"");
    for (const char *c = string; *c != '\0'; c++) {
        const char *found = strchr(special, *c);
        char escape[8] = {'\\', '\0'};
        if (found != NULL) {
            escape[1] = letters[found - special];
            append(t, escape, 2);
        } else if ((unsigned char)*c < 0x20) {
            append(t, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*c));
        } else {
            append(t, c, 1);
        }
    }
    append_text(t, "\"");
}

/* ,"NAME":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]} */
static void append_tensor(text *t, const safetensors_tensor *tensor, uint64_t begin) {
    append_text(t, ",");
    append_quoted(t, tensor->name);
    append_text(t, ":{\"dtype\":\"");
    append_text(t, safetensors_type_name(tensor->type));
    append_text(t, "\",\"shape\":[");
    for (int i = 0; i < tensor->rank; i++) {
        append_text(t, i > 0 ? "," : "");
        append_number(t, (uint64_t)tensor->dim[i]);
    }
    append_text(t, "],\"data_offsets\":[");
    append_number(t, begin);
    append_text(t, ",");
    append_number(t, begin + tensor->bytes);
    append_text(t, "]}");
}

/* The header, filled up with spaces to a multiple of 8 bytes. Not by jansson, whose writer drops
 * bytes without a word where an allocation fails. */
static void append_header(text *t, const safetensors_writer *w, const char *hash) {
    append_text(t, "{\"" CONTENT_METADATA "\":{");
    for (size_t i = 0; i < w->n_metadata; i++) {
        append_quoted(t, w->metadata[i].key);
        append_text(t, ":");
        append_quoted(t, w->metadata[i].value);
        append_text(t, ",");
    }
    append_text(t, "\"" SAFETENSORS_CHECKSUM "\":\"");
    append_text(t, hash);
    append_text(t, "\"}");
    uint64_t begin = 0;
    for (size_t i = 0; i < w->n_entries; i++) {
        append_tensor(t, &w->entries[i].tensor, begin);
        begin += w->entries[i].tensor.bytes;
    }
    append_text(t, "}");
    while (t->size % HEADER_ALIGN != 0 && !t->failed) {
        append_text(t, " ");
    }
}

static octet_status write_header(const safetensors_writer *w, file_writer *file, const char *hash,
                                 octet_error *error) {
    text t = {0};
    append_header(&t, w, hash);
    octet_status status = OCTET_OK;
    if (t.failed) {
        status = error_memory(error, "a header", (double)t.size);
    } else if (t.size > SAFETENSORS_HEADER_BYTES) {
        status = error_set(error, OCTET_ERROR, "the header of %zu bytes is above the limit of %u",
                           t.size, SAFETENSORS_HEADER_BYTES);
    }
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++) {
        prefix[i] = (uint8_t)((uint64_t)t.size >> (8 * i));
    }
    if (status == OCTET_OK) {
        status = file_writer_write(file, prefix, sizeof prefix, error);
    }
    if (status == OCTET_OK) {
        status = file_writer_write(file, t.data, t.size, error);
    }
    free(t.data);
    return status;
}

static octet_status write_content(safetensors_writer *w, uint8_t *piece, const char *path,
                                  char hash[HASH_SIZE], octet_error *error) {
    octet_status status = hash_content(w, piece, hash, error);
    file_writer *file = NULL;
    if (status == OCTET_OK) {
        status = file_writer_create(&file, path, error);
    }
    if (status == OCTET_OK) {
        if (w->n_entries > 0) {
            qsort(w->entries, w->n_entries, sizeof *w->entries, compare_layout);
        }
        status = write_header(w, file, hash, error);
    }
    const sink to = {.file = file, .piece = piece};
    for (size_t i = 0; i < w->n_entries && status == OCTET_OK; i++) {
        status = send_tensor(&to, &w->entries[i], error);
    }
    if (status == OCTET_OK) {
        status = file_writer_commit(&file, error);
    }
    file_writer_abandon(&file);
    return status;
}

octet_status safetensors_writer_write(safetensors_writer *w, const char *path, char hash[HASH_SIZE],
                                      octet_error *error) {
    char own_hash[HASH_SIZE];
    uint8_t *piece = malloc(PIECE_BYTES);
    if (piece == NULL) {
        return error_memory(error, path, PIECE_BYTES);
    }
    const octet_status status =
        write_content(w, piece, path, hash != NULL ? hash : own_hash, error);
    free(piece);
    return status;
}
