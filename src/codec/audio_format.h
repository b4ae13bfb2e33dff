/* audio_format.h: the containers and sample formats that are read and written, and their names. */
#ifndef CODEC_AUDIO_FORMAT_H
#define CODEC_AUDIO_FORMAT_H

#include <stddef.h>
#include <stdint.h>

typedef enum audio_container {
    AUDIO_WAV,
    AUDIO_AIFF,
    AUDIO_AU,
    AUDIO_FLAC,
    AUDIO_OGG, /* with Vorbis inside */
    AUDIO_OPUS,
    AUDIO_MP3,
    AUDIO_CONTAINERS
} audio_container;

typedef enum audio_samples {
    AUDIO_S8,
    AUDIO_U8,
    AUDIO_S16,
    AUDIO_S24,
    AUDIO_S32,
    AUDIO_F32,
    AUDIO_F64,
    AUDIO_ULAW,
    AUDIO_ALAW,
    AUDIO_VORBIS,
    AUDIO_OPUS_SAMPLES,
    AUDIO_MP3_SAMPLES,
    AUDIO_SAMPLES
} audio_samples;

typedef struct audio_format {
    audio_container container;
    audio_samples samples;
    int rate_hz, channels;
    int64_t frames;   /* -1: not known before the end */
    size_t patch_at;  /* four bytes of the file that the decoder sees as patch; 0: none */
    uint8_t patch[4]; /* the length of data that did not know its own */
} audio_format;

/* Names as in octet_media; -1: no such name. */
const char *audio_container_name(audio_container container);
const char *audio_samples_name(audio_samples samples);
int audio_container_find(const char *name);
int audio_samples_find(const char *name);

/* Bits of a linear integer; 0: it is none. */
int audio_samples_bits(audio_samples samples);

/* Bytes of a sample; 0: compressed. */
int audio_samples_bytes(audio_samples samples);

/* Does libsndfile hand these out as integers without loss? The others as floats. */
int audio_samples_are_integers(audio_samples samples);

/* Is the container made to give back what was put in? */
int audio_container_is_lossless(audio_container container);

/* As libsndfile numbers them: the type and the subtype. */
int audio_container_code(audio_container container);
int audio_samples_code(audio_samples samples);

#endif
