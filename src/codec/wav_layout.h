/* wav_layout.h: where in a WAV file the samples lie, from its first bytes alone.
 *
 * For a coder that keeps every byte anyway: nothing is trusted, nothing has to be whole, and a file
 * that lies costs ratio, not bytes. What has to be right for decoding is audio_sniff's. */
#ifndef CODEC_WAV_LAYOUT_H
#define CODEC_WAV_LAYOUT_H

#include "base/error.h"
#include "codec/audio_format.h"

typedef struct wav_layout {
    audio_format format; /* of the samples; frames is 0 */
    int big_endian;
    size_t first;   /* where the samples begin, at most as many bytes as were looked at */
    uint64_t bytes; /* of samples, whole frames; UINT64_MAX: to the end */
} wav_layout;

/* head[n]: the file's first bytes. OCTET_CORRUPT: not WAV of a format that is read, or no samples
 * begin among these bytes. */
octet_status wav_layout_read(wav_layout *out, const uint8_t *head, size_t n, const char *name,
                             octet_error *error);

#endif
