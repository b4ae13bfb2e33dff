/* safetensors_content.h: what the files of the reader and the writer of safetensors share: an
 * open file, the rules on names and sizes, and the checksum of the content. Not for other modules.
 */
#ifndef MODEL_SAFETENSORS_CONTENT_H
#define MODEL_SAFETENSORS_CONTENT_H

#include <jansson.h>

#include "model/safetensors.h"

#define CONTENT_METADATA "__metadata__"
#define CONTENT_SIZE_UNKNOWN UINT64_MAX

/* A metadata pair; the texts belong to the JSON. */
typedef struct content_pair {
    const char *key;
    const char *value;
} content_pair;

/* An open file. */
struct safetensors {
    char *label;             /* for messages */
    json_t *header;          /* owns the names and metadata */
    uint8_t *owned;          /* data from malloc; NULL where the caller owns it */
    uint64_t data_bytes;     /* where the last tensor ends */
    uint64_t *begin;         /* [n_tensors], until the data is attached */
    safetensors_tensor *all; /* by name */
    size_t n_tensors;
    content_pair *metadata; /* by key */
    size_t n_metadata;
    bool verified;
    char hash[33];
};

/* Parses and checks the header's text of a file with `data_bytes` of data (CONTENT_SIZE_UNKNOWN: a
 * pipe). Fills in all of *st but the data pointers and the checksum; on failure what is there stays
 * for safetensors_close. */
octet_status content_parse_header(safetensors *st, const char *text, size_t bytes,
                                  uint64_t data_bytes, octet_error *error);

/* What is wrong with a tensor's name, as the end of a sentence; NULL when nothing is. */
const char *content_name_fault(const char *name);

/* Valid UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool content_is_utf8(const char *text);

/* *bytes = the product of the dimensions and the type's size; false where it passes INT64_MAX, also
 * where a dimension of 0 would hide that. Dimensions must not be negative. */
bool content_bytes(uint64_t *bytes, safetensors_type type, int rank, const int64_t *dim);

/* The checksum's state. Feed in this order: the number of metadata pairs, the pairs in ascending
 * order of their keys, the number of tensors, each tensor in ascending order of names followed by
 * its data. Numbers enter as 8 little-endian bytes, texts with their length before them, so no two
 * contents feed the same bytes. */
typedef struct content_hash content_hash;

octet_status content_hash_create(content_hash **out, octet_error *error);
void content_hash_destroy(content_hash **h);
void content_hash_number(content_hash *h, uint64_t number);
void content_hash_text(content_hash *h, const char *text);
void content_hash_tensor(content_hash *h, const safetensors_tensor *tensor);
void content_hash_data(content_hash *h, const void *data, size_t bytes);
void content_hash_digest(const content_hash *h, char hex[33]);

#endif
