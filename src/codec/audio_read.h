/* audio_read.h: the samples of an audio file in memory, by libsndfile.
 *
 * Samples are doubles with full scale 1, which hold integers of 32 bits and floats of both sizes
 * exactly. They come in blocks, in order, and the reader says how many there really are. */
#ifndef CODEC_AUDIO_READ_H
#define CODEC_AUDIO_READ_H

#include <stddef.h>

#include "base/error.h"
#include "codec/audio_format.h"
#include "octet/codec.h"

#define AUDIO_BLOCK 8192 /* samples of a block at most, those of all channels together */

typedef struct audio_source {
    const uint8_t *data;
    size_t size;
    const char *name;    /* for messages */
    audio_format format; /* as audio_sniff found it */
} audio_source;

/* Takes n_frames frames of interleaved samples; they are finite. */
typedef octet_status audio_sink(void *context, const double *samples, size_t n_frames,
                                octet_error *error);

/* Decodes in this process. OCTET_CORRUPT: libsndfile refuses it or sees another format, it has
 * fewer frames than it claims, a sample is not finite. */
octet_status audio_read(const audio_source *s, audio_sink *sink, void *context, octet_error *error);

/* The same in a process of its own (sandbox.h); *guard says what holds it. Also OCTET_CORRUPT where
 * the decoder dies, takes too long or answers nonsense. */
octet_status audio_read_guarded(const audio_source *s, audio_sink *sink, void *context,
                                octet_guard *guard, octet_error *error);

#endif
