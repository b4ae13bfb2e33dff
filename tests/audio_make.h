/* audio_make.h: audio files for tests, made by libsndfile or by hand. */
#ifndef TESTS_AUDIO_MAKE_H
#define TESTS_AUDIO_MAKE_H

#include <stddef.h>
#include <stdint.h>

typedef struct audio_file {
    uint8_t *data; /* from malloc */
    size_t size;
} audio_file;

/* A file of libsndfile's format; ints are aligned to 32 bits. Where only floats can be written,
 * they become those. */
audio_file audio_make(int format, int rate_hz, int channels, const int32_t *samples,
                      int64_t n_frames);

/* The same from floats, full scale 1. */
audio_file audio_make_floats(int format, int rate_hz, int channels, const double *samples,
                             int64_t n_frames);

/* n seeded samples of so many bits, aligned to 32: a slow wave with noise, and the extremes. */
int32_t *audio_noise(int64_t n, int bits, uint64_t seed);

/* A WAV by hand: header fields as they are given, then n bytes of data. */
typedef struct wav_fields {
    unsigned tag, channels, rate_hz, frame_bytes, bits;
    uint32_t riff_size, data_size;
} wav_fields;

/* The right fields for linear samples of so many bits. */
wav_fields wav_right(int bits, int channels, int rate_hz, size_t data_bytes);
audio_file wav_make(const wav_fields *f, const void *data, size_t n);

/* Replaces `removed` bytes at `at` by n others. */
void audio_splice(audio_file *file, size_t at, size_t removed, const void *with, size_t n);

/* Gives all Ogg pages up to the first damaged one their right checksums, and with stream >= 0 that
 * number. Leaves other files alone. */
void audio_fix_pages(audio_file *file, int stream);

void audio_free(audio_file *file);

#endif
