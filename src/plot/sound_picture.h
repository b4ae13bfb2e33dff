/* sound_picture.h: sounds below one another: waveform, spectrogram, and what a model made of them.
 */
#ifndef PLOT_SOUND_PICTURE_H
#define PLOT_SOUND_PICTURE_H

#include "plot/spectrogram.h"

typedef struct sound_track {
    const char *title;
    sound sound;
    const float *bits; /* [n_bits] of each frame that a model read; NULL: none */
    int64_t n_bits;
    int bits_rate_hz;
} sound_track;

/* All tracks share their axes: seconds, amplitude, frequency, decibels, bits. mark: seconds from
 * which on sounds have another colour, behind a line; < 0: none. */
octet_status sound_picture_draw(const sound_track *tracks, int n, double mark, const char *path,
                                octet_error *error);

#endif
