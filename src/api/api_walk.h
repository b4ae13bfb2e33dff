/* api_walk.h: a way through a compressed file, for api_decompress.c; and over damage. */
#ifndef API_API_WALK_H
#define API_API_WALK_H

#include "api/api_expand.h"

typedef struct walk {
    transfer t;
    expander x; /* its model NULL: only checksums are looked at */
    uint64_t first, end, most;
    uint8_t header[CONTAINER_BLOCK_BYTES];
    uint8_t *content, *payload;
    size_t content_capacity, payload_capacity;
    void (*lost)(void *context, uint64_t first, uint64_t end, const char *why); /* or NULL */
    void *lost_context;
    uint64_t n_lost, lost_bytes; /* calls of lost so far, and bytes of content */
    uint64_t number;             /* of the next block, over damage */
    uint8_t *ahead;              /* [ahead_n], read and given back: comes before the input */
    size_t ahead_at, ahead_n, ahead_capacity;
} walk;

octet_status walk_start(walk *w, const octet_io *io, octet_error *error);
void walk_finish(walk *w);

/* The next n bytes of the file; OCTET_CORRUPT if it ends before. walk_some is content with less. */
octet_status walk_take(walk *w, void *bytes, size_t n, octet_error *error);
octet_status walk_some(walk *w, void *bytes, size_t n, size_t *got, octet_error *error);

/* Makes *bytes hold n. */
octet_status walk_room(uint8_t **bytes, size_t *capacity, size_t n, const char *what,
                       octet_error *error);

typedef octet_status walk_block(walk *w, const container_block *b, octet_error *error);
typedef octet_status walk_end(walk *w, const container_block *b, uint64_t position,
                              octet_error *error);

/* Content from where the walk stands up to `end` is lost: told, and written as zeros. */
octet_status walk_lose(walk *w, uint64_t end, const char *why, octet_error *error);

/* Reads all blocks that are whole, wherever they stand, in their order; what lies between is lost.
 */
octet_status walk_recover(walk *w, walk_block *read_block, walk_end *read_end, octet_error *error);

#endif
