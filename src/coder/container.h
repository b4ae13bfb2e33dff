/* container.h: the bytes around the coded ones: FORMAT.md as structs.
 *
 * A file is a header, blocks that stand each for themselves, and an end with an index. Every part
 * carries a checksum that is verified before anything in it is believed. Numbers are
 * little-endian. */
#ifndef CODER_CONTAINER_H
#define CODER_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CONTAINER_HEADER_BYTES 64
#define CONTAINER_BLOCK_BYTES 64
#define CONTAINER_ENTRY_BYTES 16
#define CONTAINER_FOOTER_BYTES 16
#define CONTAINER_VERSION 1

/* Limits of what a reader takes. */
#define CONTAINER_BLOCK_MOST (1u << 26) /* bytes of content */
#define CONTAINER_STREAMS_MOST 4096u
#define CONTAINER_TOGETHER_MOST 256u    /* streams of a block that is mixed or adapted to */
#define CONTAINER_FRAME_MOST 64u        /* bytes */
#define CONTAINER_INDEX_MOST (1u << 26) /* bytes of an index */

typedef enum container_profile { CONTAINER_F32 = 1, CONTAINER_INT8 = 2 } container_profile;

typedef struct container_header {
    uint8_t fingerprint[16]; /* of the model */
    uint32_t profile;
    int mixed;        /* coded by context_mix.h */
    uint32_t adapts;  /* the rate at which the model learns, in millionths; 0: not at all */
    uint64_t keep;    /* of the sessions that read the streams */
    uint32_t frame;   /* streams begin at multiples of this; 1 where no frames are known */
    uint32_t rate_hz; /* of samples; 0: there are none */
    char codec[9];    /* of samples, as the model names it; "" */
} container_header;

typedef enum container_kind {
    CONTAINER_CODED = 1, /* sizes of the streams, u32 each, then the streams */
    CONTAINER_STORED,    /* the content as it is */
    CONTAINER_END,       /* the index; content and hash are of the whole file */
    CONTAINER_SWAPPED    /* as CODED, each pair of bytes in the other order: 16-bit samples */
} container_kind;

typedef struct container_block {
    uint32_t kind, streams;
    uint64_t number;  /* blocks before */
    uint64_t offset;  /* bytes of content before */
    uint64_t content; /* bytes of content; of END: in all */
    uint32_t payload; /* bytes that follow */
    uint64_t payload_hash, content_hash;
} container_block;

/* Where a block lies. */
typedef struct container_entry {
    uint64_t position; /* of its header in the file */
    uint64_t content;
} container_entry;

void container_put_header(uint8_t out[CONTAINER_HEADER_BYTES], const container_header *h);
void container_put_block(uint8_t out[CONTAINER_BLOCK_BYTES], const container_block *b);
void container_put_entry(uint8_t out[CONTAINER_ENTRY_BYTES], const container_entry *e);
void container_put_footer(uint8_t out[CONTAINER_FOOTER_BYTES], uint64_t end_position);

/* Whether a file that begins so is one of these, whatever its version. */
int container_is_one(const uint8_t *bytes, size_t n);

/* OCTET_CORRUPT, with `name` and what is wrong. Of a block: everything in it agrees and is within
 * limits; position is where it stands, for messages. */
octet_status container_get_header(container_header *h, const uint8_t in[CONTAINER_HEADER_BYTES],
                                  const char *name, octet_error *error);
octet_status container_get_block(container_block *b, const uint8_t in[CONTAINER_BLOCK_BYTES],
                                 uint64_t position, const char *name, octet_error *error);
void container_get_entry(container_entry *e, const uint8_t in[CONTAINER_ENTRY_BYTES]);
octet_status container_get_footer(uint64_t *end_position, const uint8_t in[CONTAINER_FOOTER_BYTES],
                                  const char *name, octet_error *error);

/* Whether a block's payload is streams. */
int container_is_coded(const container_block *b);

/* Bytes of content in every stream of a block but the last, which may have fewer. */
size_t container_stream_bytes(uint64_t content, uint32_t streams, uint32_t frame);

/* The hash of payloads and of contents. */
uint64_t container_hash(const void *bytes, size_t n);

#endif
