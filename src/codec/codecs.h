/* codecs.h: the registry of codecs.
 *
 * An audio codec is two functions on samples, each sample for itself: the rest (files, channels,
 * rates, headers) is the same for all. One without functions hands bytes through as they are. */
#ifndef CODEC_CODECS_H
#define CODEC_CODECS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct codec_counts {
    int64_t clipped; /* samples beyond the range */
    int64_t rounded; /* samples in range whose value changed */
} codec_counts;

typedef struct codec {
    const char *name, *about;
    int sample_bytes; /* 0: no samples, the bytes as they are */
    int bits;         /* of a linear sample; 0: not linear */

    /* n finite samples, full scale 1, to n * sample_bytes bytes; adds to *counts. */
    void (*encode)(uint8_t *out, const double *x, size_t n, codec_counts *counts);

    /* And back: the exact value of each code, as 16-bit integers. */
    void (*decode)(int16_t *out, const uint8_t *bytes, size_t n);
} codec;

extern const codec codec_pcm16, codec_pcm8, codec_mulaw8;

/* The codec of that name; NULL: none. */
const codec *codec_find(const char *name);

/* The same; OCTET_ERROR names those that there are. */
octet_status codec_get(const codec **out, const char *name, octet_error *error);

/* Number `index`; NULL after the last. */
const codec *codec_at(int index);

#endif
