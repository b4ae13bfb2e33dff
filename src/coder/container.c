/* container.c: see container.h. */
#include "coder/container.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

/* The first byte is no text, the last two catch transfers that change line ends. */
static const uint8_t MAGIC[8] = {0x8f, 'o', 'c', 't', 'e', 't', '\r', '\n'};
static const uint8_t FOOTER[8] = {'\n', '\r', 't', 'e', 't', 'c', 'o', 0x8f};

static void put(uint8_t **at, uint64_t x, int bytes) {
    for (int i = 0; i < bytes; i++)
        *(*at)++ = (uint8_t)(x >> (8 * i));
}

static uint64_t get(const uint8_t **at, int bytes) {
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++)
        x |= (uint64_t) * (*at)++ << (8 * i);
    return x;
}

uint64_t container_hash(const void *bytes, size_t n) {
    return XXH3_64bits(bytes, n);
}

int container_is_one(const uint8_t *bytes, size_t n) {
    return n >= sizeof MAGIC && memcmp(bytes, MAGIC, sizeof MAGIC) == 0;
}

int container_is_coded(const container_block *b) {
    return b->kind == CONTAINER_CODED || b->kind == CONTAINER_SWAPPED;
}

size_t container_stream_bytes(uint64_t content, uint32_t streams, uint32_t frame) {
    const size_t each = (size_t)((content + streams - 1) / streams);
    return (each + frame - 1) / frame * frame;
}

#define CONTAINER_MIXED 1 /* the flag */

/* --- header: magic, version u16, flags u16, profile u32, fingerprint, keep u32, adapts u32, frame
 * u32 (0: 1), rate u32, codec [8], hash */

void container_put_header(uint8_t out[CONTAINER_HEADER_BYTES], const container_header *h) {
    uint8_t *at = out;
    memset(out, 0, CONTAINER_HEADER_BYTES);
    memcpy(at, MAGIC, sizeof MAGIC);
    at += sizeof MAGIC;
    put(&at, CONTAINER_VERSION, 2);
    put(&at, h->mixed ? CONTAINER_MIXED : 0, 2);
    put(&at, h->profile, 4);
    memcpy(at, h->fingerprint, sizeof h->fingerprint);
    at += sizeof h->fingerprint;
    put(&at, h->keep, 4);
    put(&at, h->adapts, 4);
    put(&at, h->frame > 1 ? h->frame : 0, 4);
    put(&at, h->rate_hz, 4);
    memcpy(at, h->codec, strnlen(h->codec, 8));
    at = out + CONTAINER_HEADER_BYTES - 8;
    put(&at, container_hash(out, CONTAINER_HEADER_BYTES - 8), 8);
}

/* A codec's name: small letters and digits, then zeros only; none without a rate. */
static int get_codec(container_header *h, const uint8_t *at) {
    memset(h->codec, 0, sizeof h->codec);
    memcpy(h->codec, at, 8);
    const size_t n = strlen(h->codec);
    for (size_t i = n; i < 8; i++)
        if (at[i])
            return 0;
    return strspn(h->codec, "abcdefghijklmnopqrstuvwxyz0123456789") == n && !n == !h->rate_hz;
}

octet_status container_get_header(container_header *h, const uint8_t in[CONTAINER_HEADER_BYTES],
                                  const char *name, octet_error *error) {
    const uint8_t *at = in + CONTAINER_HEADER_BYTES - 8;
    if (!container_is_one(in, CONTAINER_HEADER_BYTES))
        return error_set(error, OCTET_CORRUPT, "%s: this is no compressed file of octet", name);
    const uint64_t hash = get(&at, 8), is = container_hash(in, CONTAINER_HEADER_BYTES - 8);
    at = in + sizeof MAGIC;
    const uint64_t version = get(&at, 2), flags = get(&at, 2);
    if (hash != is)
        return error_set(error, OCTET_CORRUPT,
                         "%s: the header's checksum is %016" PRIx64 ", it says %016" PRIx64, name,
                         is, hash);
    if (version != CONTAINER_VERSION || flags & ~(uint64_t)CONTAINER_MIXED)
        return error_set(error, OCTET_CORRUPT,
                         "%s: format version %" PRIu64 " with flags %" PRIx64
                         " is not known, %d with flags %x is",
                         name, version, flags, CONTAINER_VERSION, CONTAINER_MIXED);
    h->mixed = flags != 0;
    h->profile = (uint32_t)get(&at, 4);
    memcpy(h->fingerprint, at, sizeof h->fingerprint);
    at += sizeof h->fingerprint;
    h->keep = get(&at, 4);
    h->adapts = (uint32_t)get(&at, 4);
    if (h->profile < CONTAINER_F32 || h->profile > CONTAINER_INT8)
        return error_set(error, OCTET_CORRUPT,
                         "%s: arithmetic profile %" PRIu32 " is not known, %d and %d are", name,
                         h->profile, CONTAINER_F32, CONTAINER_INT8);
    const uint64_t frame = get(&at, 4);
    h->frame = frame ? (uint32_t)frame : 1;
    h->rate_hz = (uint32_t)get(&at, 4);
    if (frame == 1 || frame > CONTAINER_FRAME_MOST || !get_codec(h, at))
        return error_set(error, OCTET_CORRUPT, "%s: the header has samples that no writer makes",
                         name);
    return OCTET_OK;
}

/* --- block: "octB", kind u32, streams u32, payload u32, number u64, offset u64, content u64,
 * hash of the payload u64, of the content u64, of all this u64 */

void container_put_block(uint8_t out[CONTAINER_BLOCK_BYTES], const container_block *b) {
    uint8_t *at = out;
    memcpy(at, "octB", 4);
    at += 4;
    put(&at, b->kind, 4);
    put(&at, b->streams, 4);
    put(&at, b->payload, 4);
    put(&at, b->number, 8);
    put(&at, b->offset, 8);
    put(&at, b->content, 8);
    put(&at, b->payload_hash, 8);
    put(&at, b->content_hash, 8);
    put(&at, container_hash(out, CONTAINER_BLOCK_BYTES - 8), 8);
}

/* What no writer makes. */
static const char *what_is_wrong(const container_block *b) {
    if (b->kind == CONTAINER_END) {
        if (b->streams || b->payload > CONTAINER_INDEX_MOST ||
            b->payload != b->number * CONTAINER_ENTRY_BYTES)
            return "an index of another length";
        return b->content == b->offset ? NULL : "a length that is not that of its blocks";
    }
    if (!container_is_coded(b) && b->kind != CONTAINER_STORED)
        return "an unknown kind";
    if (b->content < 1 || b->content > CONTAINER_BLOCK_MOST)
        return "a content of no possible length";
    if (b->kind == CONTAINER_STORED && (b->streams || b->payload != b->content))
        return "a content of another length than what is stored";
    if (container_is_coded(b) &&
        (b->payload >= b->content || b->streams < 1 || b->streams > CONTAINER_STREAMS_MOST ||
         b->streams > b->content || b->payload < 4 * b->streams))
        return "streams that do not fit";
    return b->offset <= UINT64_MAX - b->content ? NULL : "an impossible offset";
}

octet_status container_get_block(container_block *b, const uint8_t in[CONTAINER_BLOCK_BYTES],
                                 uint64_t position, const char *name, octet_error *error) {
    const uint8_t *at = in + 4;
    if (memcmp(in, "octB", 4) != 0)
        return error_set(error, OCTET_CORRUPT, "%s: byte %" PRIu64 ": no block begins here", name,
                         position);
    b->kind = (uint32_t)get(&at, 4);
    b->streams = (uint32_t)get(&at, 4);
    b->payload = (uint32_t)get(&at, 4);
    b->number = get(&at, 8);
    b->offset = get(&at, 8);
    b->content = get(&at, 8);
    b->payload_hash = get(&at, 8);
    b->content_hash = get(&at, 8);
    const uint64_t hash = get(&at, 8), is = container_hash(in, CONTAINER_BLOCK_BYTES - 8);
    if (hash != is)
        return error_set(error, OCTET_CORRUPT,
                         "%s: byte %" PRIu64 ": the block header's checksum is %016" PRIx64
                         ", it says %016" PRIx64,
                         name, position, is, hash);
    const char *wrong = what_is_wrong(b);
    if (wrong)
        return error_set(error, OCTET_CORRUPT, "%s: byte %" PRIu64 ": the block header has %s",
                         name, position, wrong);
    return OCTET_OK;
}

/* --- index and footer */

void container_put_entry(uint8_t out[CONTAINER_ENTRY_BYTES], const container_entry *e) {
    put(&out, e->position, 8);
    put(&out, e->content, 8);
}

void container_get_entry(container_entry *e, const uint8_t in[CONTAINER_ENTRY_BYTES]) {
    e->position = get(&in, 8);
    e->content = get(&in, 8);
}

void container_put_footer(uint8_t out[CONTAINER_FOOTER_BYTES], uint64_t end_position) {
    put(&out, end_position, 8);
    memcpy(out, FOOTER, sizeof FOOTER);
}

octet_status container_get_footer(uint64_t *end_position, const uint8_t in[CONTAINER_FOOTER_BYTES],
                                  const char *name, octet_error *error) {
    if (memcmp(in + 8, FOOTER, sizeof FOOTER) != 0)
        return error_set(error, OCTET_CORRUPT, "%s: the file does not end as it should: is it cut?",
                         name);
    *end_position = get(&in, 8);
    return OCTET_OK;
}
