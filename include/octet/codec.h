/* codec.h: media to bytes and back.
 *
 * A codec turns media into the bytes that a model reads, and such bytes into media. Its samples are
 * interleaved, so that a patch of k frames holds whole frames of all channels. What is lost on the
 * way is counted and handed to the caller. Audio files are read by libsndfile in a process of their
 * own that can only compute and answer (see octet_guard).
 *
 * Codecs:
 *   raw, text  the bytes as they are
 *   pcm16      each sample two bytes, the most significant first, two's complement
 *   pcm8       each sample one byte, linear, 128 is zero
 *   mulaw8     each sample one byte, G.711 mu-law
 *   image      pixels of 8 bits, grey or red, green, blue: row by row, or in square blocks: block
 *              by block in rows, the pixels of a block row by row, so that a patch of the model may
 *              be a block (the patch scan of Yu et al. 2023)
 *   records    a file cut into records of equal size, each filled up to whole patches; a shorter
 *              last one is filled up to whole patches too
 *
 * Rounding: with full scale 1, pcm16 is the integer nearest to 32768 x and pcm8 that nearest to
 * 128 x, ties to even, cut to [-32768, 32767] and [-128, 127]; mulaw8 is the code whose interval in
 * G.711's table holds 8192 |x|, values from 8159 on are cut, and of its two zeros 255 is written
 * for 0. There is no dither. Integers of b bits
 * are x times 2^(b-1): 16 bits and fewer pass pcm16 without loss.
 *
 * Encoded files are a header of OCTET_MEDIA_HEADER bytes and the bytes. All numbers are
 * little-endian, all names are padded with zeros:
 *    0  8  "octetenc"               36  8  sample format of the source
 *    8  4  version, 1               44  4  1: lossless, else 0
 *   12  4  rate in Hz               48  8  frames; with raw and text, bytes
 *   16  4  channels                 56  8  XXH3-64 of bytes 0 to 55
 *   20  8  codec
 *   28  8  container of the source
 * With raw and text, rate and channels are 0 and both names of the source are empty.
 * With image, 12 holds the width, 16 one byte of channels, 18 two bytes of the blocks' side (1:
 * rows), frames are pixels. With records, 12 holds a record's bytes, 16 two bytes of the patch, 18
 * one byte that fills up, frames are bytes of the source; the rest of these eight bytes is 0.
 *
 * Images are PNM (P5 and P6, 8 bits) or PNG, read by libpng as audio is by libsndfile. Pixels are
 * taken as they are stored. PNG of fewer bits and with palettes is widened without loss; 16 bits
 * are rounded to 8 and opacity is dropped, and both are counted. */
#ifndef OCTET_CODEC_H
#define OCTET_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "octet/status.h"

#define OCTET_MEDIA_HEADER 64
#define OCTET_MEDIA_CHANNELS 8    /* at most */
#define OCTET_MEDIA_RATE_MIN 1000 /* Hz */
#define OCTET_MEDIA_RATE_MAX 384000
#define OCTET_MEDIA_BYTES ((size_t)2 << 30) /* of a file that is read, at most */
#define OCTET_IMAGE_SIDE 65535              /* pixels, at most */
#define OCTET_IMAGE_BYTES ((size_t)1 << 28) /* of an image's pixels, at most */
#define OCTET_BLOCK_SIDE 4096               /* pixels, at most */
#define OCTET_RECORD_BYTES (1 << 24)        /* at most; of a patch 65,535 */

/* Calls visit(context, name, about) for each codec, about one line. */
void octet_codecs_list(void (*visit)(void *context, const char *name, const char *about),
                       void *context);

/* What encoded bytes are: the header's content. */
typedef struct octet_media {
    char codec[8];     /* names end with a zero byte, as C strings do */
    char container[8]; /* of the source: wav, aiff, au, flac, ogg, opus, mp3; pgm, ppm, png; "" if
                          none */
    char samples[8];   /* of the source: s8 u8 s16 s24 s32 f32 f64 ulaw alaw vorbis opus mp3 */
    int32_t rate_hz, channels;
    int64_t frames;   /* samples of each channel; pixels of an image; else bytes of the source */
    int32_t lossless; /* 1: the bytes give back exactly the source's samples */
    int32_t width, block;                /* of an image, in pixels; 0 with other codecs */
    int32_t record_bytes, patch, filler; /* of records; 0 with other codecs */
} octet_media;

/* What was lost. */
typedef struct octet_losses {
    int64_t clipped; /* samples beyond the codec's range */
    int64_t rounded; /* samples in range that the codec does not hold exactly, after mixing and
                        resampling */
    int32_t source_bits, codec_bits;    /* of a sample; 0: not linear integers */
    int32_t rate_from, rate_to;         /* Hz; equal: not resampled */
    int32_t channels_from, channels_to; /* fewer: averaged; more: copied */
    int64_t transparent;                /* pixels that were not opaque */
} octet_losses;

/* What stood between the decoder of foreign formats and the rest of the system. */
typedef enum octet_guard {
    OCTET_GUARD_NONE,    /* nothing: switched off, or nothing foreign was decoded */
    OCTET_GUARD_PROCESS, /* a process with limits on memory and time that cannot open files or
                            sockets; the kernel refused more */
    OCTET_GUARD_FILTER   /* also a filter (seccomp): it computes, asks for memory, answers, ends */
} octet_guard;

/* What is 0 is as by default; what the codec has no use for must be. */
typedef struct octet_encode_params {
    const char *codec;  /* NULL (default): image for what begins like an image, else pcm16 */
    int rate_hz;        /* 0 (default): the source's; else 1,000 to 384,000: resampled by
                           libsamplerate (best sinc), at most 256-fold */
    int channels;       /* 0 (default): the source's; 1: their average; 2 to 8: copies of a single
                           one. Of an image: 1 or 3, three are never averaged */
    double max_seconds; /* longer audio is refused; 0 (default): 3,600 */
    int no_sandbox;     /* 1: decode in this process. Default 0 */
    int width, height;  /* of an image: 0 (default): any; else images of another size are refused */
    int block;        /* of an image: side of the blocks, which divides both sides; 0 and 1: rows */
    int record_bytes; /* of records: 1 to OCTET_RECORD_BYTES; needed */
    int patch;        /* of records: each becomes whole patches; 0 is 1 */
    int filler;       /* of records: the byte that fills up */
} octet_encode_params;

typedef struct octet_encoded {
    octet_media media;
    octet_losses losses;
    octet_guard guard;
    uint8_t *bytes; /* size bytes without the header; see octet_encoded_free */
    size_t size;
} octet_encoded;

/* Encodes a file ("-" is standard input), or bytes in memory that errors call `name`. params may be
 * NULL. The result is all zeros after a failure. OCTET_ERROR: cannot be read, above a limit that
 * the caller sets, a codec, rate or number of channels that there is not; OCTET_CORRUPT: no audio
 * in a format that is read, damaged, or outside the limits above. Thread-safe; forks. */
octet_status octet_encode_file(octet_encoded *out, const char *path,
                               const octet_encode_params *params, octet_error *error);
octet_status octet_encode_memory(octet_encoded *out, const void *data, size_t size,
                                 const char *name, const octet_encode_params *params,
                                 octet_error *error);

/* Accepts what is all zeros and leaves it so. */
void octet_encoded_free(octet_encoded *encoded);

/* Writes the header, and reads one. OCTET_CORRUPT: too short, no header, another version, damaged,
 * values that no encoder writes, or `size`, the whole file, is not what the header says. */
void octet_media_write(uint8_t out[OCTET_MEDIA_HEADER], const octet_media *media);
octet_status octet_media_read(octet_media *out, const void *data, size_t size, const char *name,
                              octet_error *error);

/* Fills *out for bytes without a header. OCTET_ERROR: the codec, rate or number of channels does
 * not exist (raw and text have neither), or a codec of images or records; OCTET_CORRUPT: not a
 * whole number of frames. */
octet_status octet_media_describe(octet_media *out, const char *codec, int rate_hz, int channels,
                                  size_t size, octet_error *error);

/* The same for every codec: codec, rate_hz, channels, width, height, block, record_bytes and patch
 * of *params. An image needs its width, height and channels. Of records without a header it is not
 * known how much of a last one is there to fill up: all of it counts. OCTET_CORRUPT also: an image
 * of another number of bytes, records of a broken patch. */
octet_status octet_media_describe_as(octet_media *out, const octet_encode_params *params,
                                     size_t size, octet_error *error);

/* Media from encoded bytes. container: wav, aiff, au, flac, ogg (Vorbis, lossy), pcm (the samples
 * alone, 16-bit little-endian); NULL: the source's if it has none of its own losses, else wav. The
 * samples have the source's format if the media is lossless and the container has it, else the
 * codec's. With raw, text and records the bytes are the source's and container must be NULL. Images
 * become png, or ppm (pgm where they are grey; pnm is either); NULL: what the source was, else pnm.
 * OCTET_ERROR: a
 * container that cannot hold the media. *out is NULL after a failure, else see
 * octet_decoded_free. */
octet_status octet_decode_memory(uint8_t **out, size_t *out_size, const octet_media *media,
                                 const uint8_t *bytes, const char *container, octet_error *error);

/* Accepts NULL. */
void octet_decoded_free(uint8_t *data);

/* The same into a file ("-" is standard output), which appears when it is whole. */
octet_status octet_decode_file(const char *path, const octet_media *media, const uint8_t *bytes,
                               const char *container, octet_error *error);

/* The container that a file's first bytes are the signature of: wav, aiff, au, flac, ogg (also with
 * Opus inside), mp3 with a tag in front; NULL: none of them. */
const char *octet_media_signature(const void *head, size_t n);

#endif
