/* safetensors.c: the reader. Nothing in a file is believed before it is checked.
 *
 * The length prefix is checked against limit and file, the header by safetensors_header.c; only
 * then is the data read, whole, and its checksum verified. */
#include "model/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/safetensors_content.h"

enum { PREFIX_BYTES = 8, FIRST_READ = 1 << 20 };

static octet_status compute_hash(safetensors *st, octet_error *error) {
    content_hash *hash;
    const octet_status status = content_hash_create(&hash, error);
    if (status != OCTET_OK) {
        return status;
    }
    const bool stated = safetensors_metadata(st, SAFETENSORS_CHECKSUM) != NULL;
    content_hash_number(hash, st->n_metadata - stated);
    for (size_t i = 0; i < st->n_metadata; i++) {
        if (strcmp(st->metadata[i].key, SAFETENSORS_CHECKSUM) != 0) {
            content_hash_text(hash, st->metadata[i].key);
            content_hash_text(hash, st->metadata[i].value);
        }
    }
    content_hash_number(hash, st->n_tensors);
    for (size_t i = 0; i < st->n_tensors; i++) {
        content_hash_tensor(hash, &st->all[i]);
        content_hash_data(hash, st->all[i].data, st->all[i].bytes);
    }
    content_hash_digest(hash, st->hash);
    content_hash_destroy(&hash);
    return OCTET_OK;
}

static octet_status attach_data(safetensors *st, const uint8_t *data, octet_error *error) {
    static const uint8_t nothing[1] = {0};
    for (size_t i = 0; i < st->n_tensors; i++) {
        st->all[i].data = st->all[i].bytes > 0 ? data + st->begin[i] : nothing;
    }
    free(st->begin);
    st->begin = NULL;
    const octet_status status = compute_hash(st, error);
    const char *stated = safetensors_metadata(st, SAFETENSORS_CHECKSUM);
    if (status != OCTET_OK || stated == NULL) {
        return status;
    }
    if (strcmp(stated, st->hash) != 0) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: checksum of the content is %s, the file says %.40s", st->label,
                         st->hash, stated);
    }
    st->verified = true;
    return OCTET_OK;
}

/* Checks the length prefix against the limit and the `left` bytes that follow it. */
static octet_status parse_prefix(size_t *header_bytes, const safetensors *st, const uint8_t *prefix,
                                 uint64_t left, octet_error *error) {
    uint64_t bytes = 0;
    for (int i = 0; i < PREFIX_BYTES; i++) {
        bytes |= (uint64_t)prefix[i] << (8 * i);
    }
    if (bytes < 2 || bytes > SAFETENSORS_HEADER_BYTES) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: the header length is %llu, not between 2 and %u", st->label,
                         (unsigned long long)bytes, SAFETENSORS_HEADER_BYTES);
    }
    if (left != CONTENT_SIZE_UNKNOWN && bytes > left) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: the header length is %llu, but %llu bytes follow it", st->label,
                         (unsigned long long)bytes, (unsigned long long)left);
    }
    *header_bytes = (size_t)bytes;
    return OCTET_OK;
}

static octet_status cut_short(const safetensors *st, const char *what, uint64_t want, uint64_t got,
                              octet_error *error) {
    return error_set(error, OCTET_CORRUPT, "%s: the file ends in the %s: %llu of %llu bytes",
                     st->label, what, (unsigned long long)got, (unsigned long long)want);
}

/* Reads the data of st->data_bytes bytes and checks that nothing follows. Memory grows with what
 * has come, unless the file's size has vouched for it. */
static octet_status read_data(safetensors *st, file_reader *file, bool size_known,
                              octet_error *error) {
    const size_t total = (size_t)st->data_bytes;
    size_t capacity = size_known || total < FIRST_READ ? total : FIRST_READ;
    size_t size = 0;
    for (;;) {
        uint8_t *larger = realloc(st->owned, capacity + 1); /* 1: shows what follows */
        if (larger == NULL) {
            return error_memory(error, st->label, (double)capacity);
        }
        st->owned = larger;
        const size_t want = capacity + (capacity == total) - size;
        size_t got;
        const octet_status status = file_reader_read(file, st->owned + size, want, &got, error);
        if (status != OCTET_OK) {
            return status;
        }
        size += got;
        if (got < want || capacity == total) {
            break;
        }
        capacity = capacity < total / 2 ? capacity * 2 : total;
    }
    if (size < total) {
        return cut_short(st, "data", total, size, error);
    }
    if (size > total) {
        return error_set(error, OCTET_CORRUPT, "%s: bytes follow the data's %zu", st->label, total);
    }
    return OCTET_OK;
}

static octet_status read_file(safetensors *st, file_reader *file, octet_error *error) {
    uint8_t prefix[PREFIX_BYTES];
    size_t got;
    octet_status status = file_reader_read(file, prefix, sizeof prefix, &got, error);
    if (status != OCTET_OK) {
        return status;
    }
    if (got < sizeof prefix) {
        return cut_short(st, "header length", sizeof prefix, got, error);
    }
    const uint64_t left = file_reader_left(file);
    size_t header_bytes = 0;
    status = parse_prefix(&header_bytes, st, prefix, left, error);
    if (status != OCTET_OK) {
        return status;
    }
    char *text = malloc(header_bytes);
    if (text == NULL) {
        return error_memory(error, st->label, (double)header_bytes);
    }
    status = file_reader_read(file, text, header_bytes, &got, error);
    if (status == OCTET_OK && got < header_bytes) {
        status = cut_short(st, "header", header_bytes, got, error);
    }
    const bool known = left != CONTENT_SIZE_UNKNOWN;
    if (status == OCTET_OK) {
        status =
            content_parse_header(st, text, header_bytes, known ? left - header_bytes : left, error);
    }
    free(text);
    if (status == OCTET_OK) {
        status = read_data(st, file, known, error);
    }
    return status == OCTET_OK ? attach_data(st, st->owned, error) : status;
}

static octet_status create(safetensors **out, const char *label, octet_error *error) {
    const size_t bytes = strlen(label) + 1;
    *out = calloc(1, sizeof **out);
    char *copy = malloc(bytes);
    if (*out == NULL || copy == NULL) {
        free(*out);
        free(copy);
        *out = NULL;
        return error_memory(error, label, (double)(sizeof **out + bytes));
    }
    memcpy(copy, label, bytes);
    (*out)->label = copy;
    return OCTET_OK;
}

octet_status safetensors_open(safetensors **out, const char *path, octet_error *error) {
    *out = NULL;
    file_reader *file;
    octet_status status = file_reader_create(&file, path, error);
    if (status != OCTET_OK) {
        return status;
    }
    safetensors *st = NULL;
    status = create(&st, strcmp(path, "-") == 0 ? "standard input" : path, error);
    if (status == OCTET_OK) {
        status = read_file(st, file, error);
    }
    file_reader_destroy(&file);
    if (status != OCTET_OK) {
        safetensors_close(&st);
    }
    *out = st;
    return status;
}

static octet_status read_memory(safetensors *st, const uint8_t *bytes, size_t size,
                                octet_error *error) {
    if (size < PREFIX_BYTES) {
        return cut_short(st, "header length", PREFIX_BYTES, size, error);
    }
    size_t header_bytes = 0;
    const size_t left = size - PREFIX_BYTES;
    octet_status status = parse_prefix(&header_bytes, st, bytes, left, error);
    if (status == OCTET_OK) {
        status = content_parse_header(st, (const char *)bytes + PREFIX_BYTES, header_bytes,
                                      left - header_bytes, error);
    }
    if (status == OCTET_OK) {
        status = attach_data(st, bytes + PREFIX_BYTES + header_bytes, error);
    }
    return status;
}

octet_status safetensors_open_memory(safetensors **out, const char *label, const uint8_t *bytes,
                                     size_t size, octet_error *error) {
    octet_status status = create(out, label, error);
    if (status == OCTET_OK) {
        status = read_memory(*out, bytes, size, error);
    }
    if (status != OCTET_OK) {
        safetensors_close(out);
    }
    return status;
}

void safetensors_close(safetensors **st) {
    safetensors *dead = *st;
    *st = NULL;
    if (dead == NULL) {
        return;
    }
    json_decref(dead->header);
    free(dead->owned);
    free(dead->begin);
    free(dead->all);
    free(dead->metadata);
    free(dead->label);
    free(dead);
}

size_t safetensors_count(const safetensors *st) {
    return st->n_tensors;
}

const safetensors_tensor *safetensors_at(const safetensors *st, size_t index) {
    return &st->all[index];
}

static int compare_key_to_tensor(const void *key, const void *tensor) {
    return strcmp(key, ((const safetensors_tensor *)tensor)->name);
}

const safetensors_tensor *safetensors_find(const safetensors *st, const char *name) {
    return bsearch(name, st->all, st->n_tensors, sizeof *st->all, compare_key_to_tensor);
}

static int compare_key_to_pair(const void *key, const void *entry) {
    return strcmp(key, ((const content_pair *)entry)->key);
}

const char *safetensors_metadata(const safetensors *st, const char *key) {
    if (st->n_metadata == 0) {
        return NULL;
    }
    const content_pair *entry =
        bsearch(key, st->metadata, st->n_metadata, sizeof *entry, compare_key_to_pair);
    return entry != NULL ? entry->value : NULL;
}

size_t safetensors_metadata_count(const safetensors *st) {
    return st->n_metadata;
}

void safetensors_metadata_at(const safetensors *st, size_t index, const char **key,
                             const char **value) {
    *key = st->metadata[index].key;
    *value = st->metadata[index].value;
}

const char *safetensors_hash(const safetensors *st) {
    return st->hash;
}

bool safetensors_verified(const safetensors *st) {
    return st->verified;
}
