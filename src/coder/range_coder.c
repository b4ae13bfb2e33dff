/* range_coder.c: see range_coder.h. */
#include "coder/range_coder.h"

#include <stdlib.h>

#define TOP ((uint64_t)1 << 56)
#define LEAST ((uint64_t)1 << 48)

void range_encoder_start(range_encoder *e) {
    e->size = 0;
    e->low = 0;
    e->range = TOP - 1;
    e->pending = 0;
    e->held = -1;
}

void range_encoder_start_empty(range_encoder *e) {
    e->data = NULL;
    e->capacity = 0;
    e->failed = 0;
    range_encoder_start(e);
}

static void put(range_encoder *e, uint8_t byte) {
    if (e->size == e->capacity) {
        size_t capacity = e->capacity ? 2 * e->capacity : 4096;
        uint8_t *larger = e->failed ? NULL : realloc(e->data, capacity);
        if (!larger) {
            e->failed = 1;
            return;
        }
        e->data = larger;
        e->capacity = capacity;
    }
    e->data[e->size++] = byte;
}

/* The upper byte of low goes out, or waits for a carry. */
static void shift(range_encoder *e) {
    const int carry = (int)(e->low >> 56), byte = (int)(e->low >> 48 & 0xff);
    if (byte == 0xff && !carry) {
        e->pending++;
    } else {
        if (e->held >= 0)
            put(e, (uint8_t)(e->held + carry));
        for (; e->pending; e->pending--)
            put(e, (uint8_t)(0xff + carry));
        e->held = byte;
    }
    e->low = (e->low & (LEAST - 1)) << 8;
}

void range_encode(range_encoder *e, uint32_t below, uint32_t count, int bits) {
    const uint64_t unit = e->range >> bits;
    e->low += unit * below;
    /* the last interval takes what the division left over */
    e->range = below + count == (uint32_t)1 << bits ? e->range - unit * below : unit * count;
    for (; e->range < LEAST; e->range <<= 8)
        shift(e);
}

void range_encoder_finish(range_encoder *e) {
    /* Of the numbers in [low, low + range) the one with the most zero bits at its end: zeros past
     * the end are what the decoder reads, so they need not be written. */
    const uint64_t last = e->low + e->range - 1;
    uint64_t mask = TOP - 1;
    while (mask && (last & ~mask) < e->low)
        mask >>= 1;
    e->low = last & ~mask;
    for (int i = 0; i < 8; i++)
        shift(e);
    while (e->size && !e->data[e->size - 1])
        e->size--;
}

static uint64_t next(range_decoder *d) {
    if (d->data < d->end)
        return *d->data++;
    d->past++;
    return 0;
}

void range_decoder_start(range_decoder *d, const uint8_t *data, size_t size) {
    d->data = data;
    d->end = data + size;
    d->past = 0;
    d->range = TOP - 1;
    d->code = 0;
    for (int i = 0; i < 7; i++)
        d->code = d->code << 8 | next(d);
}

uint32_t range_decode_target(range_decoder *d, int bits) {
    const uint64_t target = d->code / (d->range >> bits), most = ((uint64_t)1 << bits) - 1;
    return (uint32_t)(target < most ? target : most);
}

void range_decode_take(range_decoder *d, uint32_t below, uint32_t count, int bits) {
    const uint64_t unit = d->range >> bits;
    d->code -= unit * below;
    d->range = below + count == (uint32_t)1 << bits ? d->range - unit * below : unit * count;
    for (; d->range < LEAST; d->range <<= 8)
        d->code = d->code << 8 | next(d);
}
