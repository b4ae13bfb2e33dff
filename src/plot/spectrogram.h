/* spectrogram.h: the power of a sound by time and frequency, as an image. */
#ifndef PLOT_SPECTROGRAM_H
#define PLOT_SPECTROGRAM_H

#include <stdint.h>

#include "base/error.h"

typedef struct sound {
    const float *x; /* [n], full scale 1 */
    int64_t n;
    int rate_hz;
} sound;

/* db[rows, columns], the highest frequency in row 0: decibels under a sine of full scale, -INFINITY
 * where there is no sound or no such frequency. The image is `seconds` long and top_hz high. The
 * window is the power of two from 20 ms up, Hann; a column is the mean of up to 8 of them. */
octet_status spectrogram_make(float *db, int columns, int rows, const sound *s, double seconds,
                              double top_hz, octet_error *error);

/* rgb[n, 3]: from `high` decibels, bright, down to `range` below, dark; nothing is grey. */
void spectrogram_paint(uint8_t *rgb, const float *db, int n, double high, double range);

#endif
