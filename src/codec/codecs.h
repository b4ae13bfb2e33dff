/* codecs.h: the registry of codecs.
 *
 * An audio codec is two functions on samples, each sample for itself: the rest (files, channels,
 * rates, headers) is the same for all. Another codec takes a file as a whole. One without either
 * hands bytes through as they are. */
#ifndef CODEC_CODECS_H
#define CODEC_CODECS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "octet/codec.h"

typedef struct codec_counts {
    int64_t clipped; /* samples beyond the range */
    int64_t rounded; /* samples in range whose value changed */
} codec_counts;

/* A codec of whole files. */
typedef struct codec_whole {
    /* As encode_memory and decode_memory; out is all zeros but for the codec's name. */
    octet_status (*encode)(octet_encoded *out, const uint8_t *data, size_t size, const char *name,
                           const octet_encode_params *params, octet_error *error);
    octet_status (*decode)(uint8_t **out, size_t *out_size, const octet_media *media,
                           const uint8_t *bytes, const char *container, octet_error *error);

    /* What the header holds instead of rate and channels, little-endian, and back: returns 0, or -1
     * where no encoder writes that. */
    void (*pack)(uint8_t at[8], const octet_media *media);
    int (*unpack)(octet_media *media, const uint8_t at[8]);

    /* Bytes that the description stands for; UINT64_MAX: it describes nothing. */
    uint64_t (*coded_bytes)(const octet_media *media);

    /* As octet_media_describe_as. */
    octet_status (*describe)(octet_media *out, const octet_encode_params *params, size_t size,
                             octet_error *error);
} codec_whole;

typedef struct codec {
    const char *name, *about;
    int sample_bytes; /* 0: no samples */
    int bits;         /* of a linear sample; 0: not linear */

    /* n finite samples, full scale 1, to n * sample_bytes bytes; adds to *counts. */
    void (*encode)(uint8_t *out, const double *x, size_t n, codec_counts *counts);

    /* And back: the exact value of each code, as 16-bit integers. */
    void (*decode)(int16_t *out, const uint8_t *bytes, size_t n);

    const codec_whole *whole; /* NULL: a codec of samples, or the bytes as they are */
} codec;

extern const codec codec_pcm16, codec_pcm8, codec_mulaw8, codec_image, codec_records;

/* The codec of that name; NULL: none. */
const codec *codec_find(const char *name);

/* The same; OCTET_ERROR names those that there are. */
octet_status codec_get(const codec **out, const char *name, octet_error *error);

/* Number `index`; NULL after the last. */
const codec *codec_at(int index);

#endif
