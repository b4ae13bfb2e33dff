/* api_needs.h: what coding and decoding take, held against what is allowed. */
#ifndef API_API_NEEDS_H
#define API_API_NEEDS_H

#include "api/api.h"

/* OCTET_ERROR if decoding `streams` at once, of blocks of so many bytes, with OCTET_MIXED and so
 * on, takes more than `allowed` (0: no limit), with both and with what would be within. `name` is
 * what the message calls the file. */
octet_status needs_decoding(const octet_model *m, uint32_t streams, uint64_t block_bytes, int with,
                            int64_t allowed, const char *name, octet_error *error);

/* The same for coding in streams of `each` bytes. */
octet_status needs_coding(const octet_model *m, size_t block_bytes, size_t each, int with,
                          int64_t allowed, const char *name, octet_error *error);

/* Bytes that coding takes. */
octet_status needs_coding_bytes(int64_t *bytes, const octet_model *m, size_t block_bytes,
                                size_t each, int with, octet_error *error);

#endif
