/* audio_sniff.h: what an audio file says it is, read before any library sees it.
 *
 * Only what is on the list of audio_format.h goes on to be decoded; other formats, and other
 * contents of the same containers (ADPCM in WAV), are refused by name. Sizes that the file states
 * are held against what is there. */
#ifndef CODEC_AUDIO_SNIFF_H
#define CODEC_AUDIO_SNIFF_H

#include <stddef.h>

#include "base/error.h"
#include "codec/audio_format.h"

/* OCTET_CORRUPT with the name and the place: no audio that is read, cut short, outside the limits
 * of rate and channels. */
octet_status audio_sniff(audio_format *out, const uint8_t *data, size_t size, const char *name,
                         octet_error *error);

/* A file in memory, and where complaints go. */
typedef struct sniffer {
    const uint8_t *data;
    size_t size;
    const char *name;
    octet_error *error;
} sniffer;

/* The parts of audio_sniff, by container; the signature was seen and the file has 12 bytes. */
octet_status sniff_wav(audio_format *out, const sniffer *s);
octet_status sniff_aiff(audio_format *out, const sniffer *s);
octet_status sniff_ogg(audio_format *out, const sniffer *s);
octet_status sniff_mp3(audio_format *out, const sniffer *s);

/* Refuses what is outside the limits. */
octet_status sniff_limits(const sniffer *s, uint64_t rate_hz, uint64_t channels);

/* *out = bytes / frame_bytes; refuses a frame that is cut. */
octet_status sniff_frames(int64_t *out, const sniffer *s, uint64_t bytes, uint64_t frame_bytes);

/* A number of n <= 8 bytes. */
uint64_t sniff_little(const uint8_t *at, int n);
uint64_t sniff_big(const uint8_t *at, int n);

#endif
