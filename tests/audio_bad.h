/* audio_bad.h: audio files and images that mean harm, or only lie, made from good ones.
 *
 * A row says from which file it is made, what is changed, and how reading it must end. Places are
 * given by text that stands in the file (the name of a chunk) and a distance from it. */
#ifndef TESTS_AUDIO_BAD_H
#define TESTS_AUDIO_BAD_H

#include "image_make.h"
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
    AUDIO_BASES,
    BASE_PGM = AUDIO_BASES,
    BASE_PPM,
    BASE_PNG_GREY1,
    BASE_PNG_GREY8,
    BASE_PNG_GREY16,
    BASE_PNG_RGB8,
    BASE_PNG_RGB16,
    BASE_PNG_PALETTE,
    BASE_PNG_GREY_OPACITY,
    BASE_PNG_RGB_OPACITY,
    BASE_PNG_KEY,        /* one colour is clear */
    BASE_PNG_INTERLACED, /* RGB */
    IMAGE_BASES
} audio_base;

/* A good file: 3,000 frames of 2 channels at 16 kHz; 37 x 23 pixels. */
audio_file audio_base_make(audio_base base);

typedef enum audio_damage {
    DAMAGE_KEEP,   /* only the first `number` bytes stay; below 0: all but the last */
    DAMAGE_HALF,   /* only the first half stays */
    DAMAGE_LITTLE, /* the n bytes at the place become `number` */
    DAMAGE_BIG,    /* likewise, the most significant first */
    DAMAGE_PAGE,   /* as DAMAGE_LITTLE; then Ogg pages get their right checksums */
    DAMAGE_CHUNK,  /* as DAMAGE_BIG; then PNG chunks get their right checksums */
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

/* The rows that a test program is linked with. */
typedef struct audio_bad_corpus {
    const audio_bad *rows;
    int n, least_refused;
    const char *codec; /* for the encoder; NULL: its default */
    int sample_bytes;
    audio_base first, last; /* to damage at random */
    int read_one_in;        /* of those, at least, so that decoders are reached */
} audio_bad_corpus;

extern const audio_bad_corpus audio_bads;

/* For tables of rows: a number or bytes at a place, the first bytes of a file, a file as it is. */
#define BAD_NUMBER(name, base, edit, anchor, delta, n, number, status, says)                       \
    { name, base, edit, anchor, delta, n, number, NULL, status, says }
#define BAD_BYTES(name, base, edit, anchor, delta, text, status, says)                             \
    { name, base, edit, anchor, delta, sizeof text - 1, 0, text, status, says }
#define BAD_KEEP(name, base, number, status, says)                                                 \
    { name, base, DAMAGE_KEEP, NULL, 0, 0, number, NULL, status, says }
#define BAD_ONLY(name, text, says)                                                                 \
    { name, BASE_NONE, DAMAGE_INSERT, NULL, 0, sizeof text - 1, 0, text, OCTET_CORRUPT, says }

/* Every format: as it is; cut behind its signature, in the middle, by one byte. */
#define BAD_FORMAT(name, base, cut12, cut_half, cut1)                                              \
    BAD_KEEP(name, base, 0x7fffffff, OCTET_OK, ""),                                                \
        BAD_KEEP(name ": 12 bytes", base, 12, OCTET_CORRUPT, cut12),                               \
        {name ": half", base, DAMAGE_HALF, NULL, 0, 0, 0, NULL, OCTET_CORRUPT, cut_half},          \
        BAD_KEEP(name ": one byte short", base, -1, OCTET_CORRUPT, cut1)

audio_file audio_bad_make(const audio_bad *row);

#endif
