/* image.h: pictures as bytes: the files that are read, and the order of their pixels.
 *
 * An image in memory is pixels[height, width, channels], 1 channel (grey) or 3 (red, green, blue),
 * 8 bits each, as they are stored: no gamma, no profile. PNM is read by our own reader in this
 * process, PNG by libpng in a process of its own (sandbox.h), after image_sniff has seen that it is
 * one and how large. */
#ifndef CODEC_IMAGE_H
#define CODEC_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "octet/codec.h"

typedef enum image_container { IMAGE_PGM, IMAGE_PPM, IMAGE_PNG, IMAGE_CONTAINERS } image_container;

typedef struct image_format {
    image_container container;
    int32_t width, height;
    int32_t channels;    /* 1 or 3, as it is decoded; of PNG with a palette 3 */
    int32_t source_bits; /* of a sample: 8, 16; less is widened without loss */
    size_t pixels_at;    /* of PNM: where they begin */
} image_format;

typedef struct image_source {
    const uint8_t *data;
    size_t size;
    const char *name;    /* for messages */
    image_format format; /* as image_sniff found it */
} image_source;

/* What decoding PNG lost. */
typedef struct image_losses {
    int64_t rounded;     /* samples of 16 bits that 8 do not hold exactly */
    int64_t transparent; /* pixels that were not opaque; they are now */
} image_losses;

/* Does the file begin like an image of any kind, read or not? */
int image_is(const uint8_t *data, size_t size);

/* OCTET_CORRUPT with the name and the place: no image that is read, cut short, too large, or with
 * more behind its pixels (PNM). */
octet_status image_sniff(image_format *out, const uint8_t *data, size_t size, const char *name,
                         octet_error *error);

/* Its parts for PNG: the signature, and IHDR with a walk over all chunks. */
int image_png_is(const uint8_t *data, size_t size);
octet_status image_png_sniff(image_format *out, const uint8_t *data, size_t size, const char *name,
                             octet_error *error);

/* OCTET_CORRUPT: a side that is not between 1 and OCTET_IMAGE_SIDE, or too many bytes in all. */
octet_status image_limits(const char *name, uint64_t width, uint64_t height, uint64_t channels,
                          octet_error *error);

/* Takes the next row, of width * channels bytes. */
typedef octet_status image_sink(void *context, const uint8_t *row, octet_error *error);

/* Decodes PNG in this process, row by row. OCTET_CORRUPT: libpng refuses it or sees another size.
 */
octet_status image_png_read(const image_source *s, image_sink *sink, void *context,
                            image_losses *losses, octet_error *error);

/* The same in a process of its own; *guard says what holds it. Also OCTET_CORRUPT where it dies,
 * takes too long or answers nonsense. */
octet_status image_png_read_guarded(const image_source *s, image_sink *sink, void *context,
                                    image_losses *losses, octet_guard *guard, octet_error *error);

/* A file from pixels, malloc'd. */
octet_status image_pnm_write(uint8_t **out, size_t *out_size, const uint8_t *pixels, int32_t width,
                             int32_t height, int32_t channels, octet_error *error);
octet_status image_png_write(uint8_t **out, size_t *out_size, const uint8_t *pixels, int32_t width,
                             int32_t height, int32_t channels, octet_error *error);

const char *image_container_name(image_container container);
int image_container_find(const char *name); /* -1: none */

#endif
