/* api_transfer.h: what coding and decoding a file share, for api_compress.c and api_decompress.c.
 */
#ifndef API_API_TRANSFER_H
#define API_API_TRANSFER_H

#include <xxhash.h>

#include "api/api.h"
#include "coder/container.h"

/* One file: the io and where in both its sides it stands. */
typedef struct transfer {
    const octet_io *io;
    octet_compress_report report;
    uint64_t position;   /* bytes of the compressed side */
    XXH3_state_t *whole; /* of the content */
    container_entry *entries;
    size_t n_entries, entries_capacity;
} transfer;

octet_status transfer_start(transfer *t, const octet_io *io, octet_error *error);
void transfer_finish(transfer *t);

/* Notes where the block begins. */
octet_status transfer_add(transfer *t, const container_block *b, uint64_t position,
                          octet_error *error);

/* A block is through; content may be NULL when nobody has it. */
void transfer_count(transfer *t, const container_block *b, const uint8_t *content);

/* OCTET_STOPPED once the caller's flag is set. */
octet_status transfer_stopped(const transfer *t, octet_error *error);

/* The two bytes of each pair change places; a last one alone stays. */
void transfer_swap(uint8_t *bytes, size_t n);

octet_status transfer_fingerprint(uint8_t out[16], octet_model *m, octet_error *error);
void transfer_fingerprint_text(char out[33], const uint8_t bytes[16]);

#endif
