/* audio_bad.h: audio files that mean harm, or only lie, made from good ones.
 *
 * A row says from which file it is made, what is changed, and how reading it must end. Places are
 * given by text that stands in the file (the name of a chunk) and a distance from it. */
#ifndef TESTS_AUDIO_BAD_H
#define TESTS_AUDIO_BAD_H

#include "audio_make.h"
#include "octet/status.h"

typedef enum audio_base {
    BASE_NONE, /* nothing: the row brings its own bytes */
    BASE_WAV_U8,
    BASE_WAV_S16,
    BASE_WAV_S24,
    BASE_WAV_S32,
    BASE_WAV_F32,
    BASE_WAV_F64,
    BASE_WAV_ULAW,
    BASE_WAV_ALAW,
    BASE_WAVEX,
    BASE_RF64,
    BASE_RIFX,
    BASE_AIFF_S16,
    BASE_AIFF_S24,
    BASE_AIFC_F32,
    BASE_AIFC_SOWT,
    BASE_AU_S16,
    BASE_AU_F64,
    BASE_AU_LITTLE,
    BASE_FLAC16,
    BASE_FLAC24,
    BASE_OGG,
    BASE_OPUS,
    BASE_MP3,
    AUDIO_BASES
} audio_base;

/* A good file of 3,000 frames of 2 channels at 16 kHz. */
audio_file audio_base_make(audio_base base);

typedef enum audio_damage {
    DAMAGE_KEEP,   /* only the first `number` bytes stay; below 0: all but the last */
    DAMAGE_HALF,   /* only the first half stays */
    DAMAGE_LITTLE, /* the n bytes at the place become `number` */
    DAMAGE_BIG,    /* likewise, the most significant first */
    DAMAGE_PAGE,   /* as DAMAGE_LITTLE; then Ogg pages get their right checksums */
    DAMAGE_TEXT,   /* the bytes at the place become text[n] */
    DAMAGE_INSERT, /* text[n] goes in before the place */
    DAMAGE_REMOVE, /* n bytes from the place on go */
    DAMAGE_ZEROS,  /* `number` zero bytes behind the end */
    DAMAGE_DOUBLE  /* the file twice */
} audio_damage;

typedef struct audio_bad {
    const char *name;
    audio_base base;
    audio_damage edit;
    const char *anchor; /* the first occurrence of this text; NULL: the file's start */
    int delta, n;
    int64_t number;
    const char *text;
    octet_status status;
    const char *says; /* a part of the message */
} audio_bad;

extern const audio_bad audio_bads[];
extern const int audio_bads_count;

audio_file audio_bad_make(const audio_bad *row);

#endif
