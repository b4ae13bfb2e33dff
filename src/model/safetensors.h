/* safetensors.h: reading and writing of tensor files in the safetensors format.
 *
 * A file is an 8-byte little-endian length, a JSON header of that length, and the tensors' bytes.
 * The reader trusts nothing: a file is read into memory and checked whole before the first byte of
 * a tensor is handed out. The writer's output is a pure function of the content, and it stores an
 * XXH3-128 of the content in the metadata, which the reader verifies. Format:
 * https://github.com/huggingface/safetensors (README, "Format"). */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Limits on files, read and written. */
#define SAFETENSORS_HEADER_BYTES (16u << 20)
#define SAFETENSORS_TENSORS 65536
#define SAFETENSORS_RANK 8
#define SAFETENSORS_NAME_BYTES 256
#define SAFETENSORS_DEPTH 32

/* The metadata key of the checksum, 32 lower-case hexadecimal digits. */
#define SAFETENSORS_CHECKSUM "xxh3_128"

typedef enum safetensors_type {
    SAFETENSORS_BOOL,
    SAFETENSORS_U8,
    SAFETENSORS_I8,
    SAFETENSORS_F8_E5M2,
    SAFETENSORS_F8_E4M3,
    SAFETENSORS_I16,
    SAFETENSORS_U16,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_I32,
    SAFETENSORS_U32,
    SAFETENSORS_F32,
    SAFETENSORS_I64,
    SAFETENSORS_U64,
    SAFETENSORS_F64,
    SAFETENSORS_TYPES /* how many there are */
} safetensors_type;

/* The name in the file ("BF16") and the bytes of one element. */
const char *safetensors_type_name(safetensors_type type);
size_t safetensors_type_bytes(safetensors_type type);

typedef struct safetensors_tensor {
    const char *name; /* UTF-8, 1 to 256 bytes, no control characters */
    safetensors_type type;
    int rank; /* 0 (one element) to 8 */
    int64_t dim[SAFETENSORS_RANK];
    const uint8_t *data; /* row-major, little-endian, at any address: read it by memcpy */
    size_t bytes;        /* exactly the product of dim times the type's bytes; may be 0 */
} safetensors_tensor;

/* An open file. Immutable, so that threads may share it; its pointers live until it is closed. */
typedef struct safetensors safetensors;

/* Reads and checks `path` ("-" is standard input). Memory is bounded by the header limit and by
 * what the file really holds. OCTET_ERROR: missing or unreadable. OCTET_CORRUPT: anything else,
 * with the place and both values. */
octet_status safetensors_open(safetensors **out, const char *path, octet_error *error);

/* The same for bytes in memory, which must outlive *out; `label` names them in messages. */
octet_status safetensors_open_memory(safetensors **out, const char *label, const uint8_t *bytes,
                                     size_t size, octet_error *error);

/* Accepts NULL; sets *st to NULL. */
void safetensors_close(safetensors **st);

/* Tensors in ascending order of their names (as bytes); index in [0, count). */
size_t safetensors_count(const safetensors *st);
const safetensors_tensor *safetensors_at(const safetensors *st, size_t index);

/* NULL when there is none of that name. */
const safetensors_tensor *safetensors_find(const safetensors *st, const char *name);

/* The value of a metadata key or NULL; all of them in ascending order of their keys. */
const char *safetensors_metadata(const safetensors *st, const char *key);
size_t safetensors_metadata_count(const safetensors *st);
void safetensors_metadata_at(const safetensors *st, size_t index, const char **key,
                             const char **value);

/* The checksum over the content, whether or not the file states it: XXH3-128 over the metadata
 * (but for the checksum itself) and the tensors' names, types, shapes and bytes, both in ascending
 * order, so that it does not depend on where a file keeps them. 32 digits. */
const char *safetensors_hash(const safetensors *st);

/* Whether the file states its checksum (it is right then). Files of Octet do. */
bool safetensors_verified(const safetensors *st);

/* Collects what is to be written. */
typedef struct safetensors_writer safetensors_writer;

octet_status safetensors_writer_create(safetensors_writer **out, octet_error *error);

/* Accepts NULL; sets *w to NULL. */
void safetensors_writer_destroy(safetensors_writer **w);

/* Adds a pair of UTF-8 texts, copied. A key that is there or is the checksum's is an error. */
octet_status safetensors_writer_metadata(safetensors_writer *w, const char *key, const char *value,
                                         octet_error *error);

/* Adds a tensor. Name and shape are copied, the data must stay until the file is written. */
octet_status safetensors_writer_add(safetensors_writer *w, const safetensors_tensor *tensor,
                                    octet_error *error);

/* Puts `bytes` bytes from `offset` of a tensor into `out`. */
typedef octet_status safetensors_fill(void *context, uint64_t offset, void *out, size_t bytes,
                                      octet_error *error);

/* Adds a tensor whose data is asked for in pieces of at most 1 MiB, in ascending order, twice:
 * once for the checksum and once for the file. tensor->data is not used. */
octet_status safetensors_writer_add_stream(safetensors_writer *w, const safetensors_tensor *tensor,
                                           safetensors_fill *fill, void *context,
                                           octet_error *error);

/* Replaces `path`, crash-safe (base/file.h). The data is ordered by element size, largest first,
 * then by name, so that every tensor is aligned to its elements. `hash`, unless NULL, receives the
 * checksum. The writer can be used again. */
octet_status safetensors_writer_write(safetensors_writer *w, const char *path, char hash[33],
                                      octet_error *error);

#endif
