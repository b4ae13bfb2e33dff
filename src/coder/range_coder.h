/* range_coder.h: bytes from intervals of frequencies and back (Martin 1979; the carry is handled as
 * Subbotin's and LZMA's coders do: bytes that a carry may still change are counted, not written).
 *
 * The range has 56 bits and never falls below 2^48, so that a table of 2^24 loses less than 2^-24
 * of it. Encoder and decoder are plain state without memory of their own; errors are sticky. */
#ifndef CODER_RANGE_CODER_H
#define CODER_RANGE_CODER_H

#include <stddef.h>
#include <stdint.h>

typedef struct range_encoder {
    uint8_t *data; /* malloc'd; grows; the caller frees it */
    size_t size, capacity;
    int failed; /* memory was out */
    uint64_t low, range;
    uint64_t pending; /* bytes 0xff after `held` that a carry would turn to 0 */
    int held;         /* the last byte that is not out yet; -1: none */
} range_encoder;

/* What was written is dropped, its memory kept. */
void range_encoder_start(range_encoder *e);
void range_encoder_start_empty(range_encoder *e); /* the first time */

/* Narrows to [below, below + count) of 2^bits, count >= 1, bits <= 24. */
void range_encode(range_encoder *e, uint32_t below, uint32_t count, int bits);

/* Writes what is left, as few bytes as tell the interval. */
void range_encoder_finish(range_encoder *e);

typedef struct range_decoder {
    const uint8_t *data, *end;
    uint64_t code, range; /* code counts from the interval's lower end */
    size_t past;          /* bytes read past the end, as 0 */
} range_decoder;

void range_decoder_start(range_decoder *d, const uint8_t *data, size_t size);

/* The target in [0, 2^bits) that lies in the encoded interval; then range_decode_take narrows to
 * it. Damaged data give wrong targets, never anything outside. */
uint32_t range_decode_target(range_decoder *d, int bits);
void range_decode_take(range_decoder *d, uint32_t below, uint32_t count, int bits);

#endif
