/* spectrogram.c: see spectrogram.h. */
#include "plot/spectrogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"

enum { MOST_WINDOWS = 8 }; /* of a column */

static const double WINDOW_SECONDS = 0.02, SILENCE = 1e-12;

typedef struct work {
    int window;
    double *x, *im;       /* [window] */
    double *power, *mean; /* [window / 2 + 1] */
} work;

/* power of the window whose middle is at sample `at`; zeros outside of the sound. */
static void look(const work *w, const sound *s, int64_t at) {
    for (int i = 0; i < w->window; i++) {
        const int64_t t = at - w->window / 2 + i;
        w->x[i] = t >= 0 && t < s->n ? (double)s->x[t] : 0;
    }
    fft_power(w->power, w->x, w->im, w->window);
}

/* The mean of windows that follow each other by half of their length, in samples [from, to). */
static void look_column(const work *w, const sound *s, double from, double to) {
    const int bins = w->window / 2 + 1;
    int n = (int)fmin(2 * (to - from) / w->window, MOST_WINDOWS);
    n = n > 1 ? n : 1;
    memset(w->mean, 0, (size_t)bins * sizeof *w->mean);
    for (int i = 0; i < n; i++) {
        look(w, s, (int64_t)(from + (to - from) * (i + 0.5) / n));
        for (int k = 0; k < bins; k++)
            w->mean[k] += w->power[k] / n;
    }
}

/* The largest power from low to high, in bins; between two bins in proportion. */
static double power_within(const double *mean, int last, double low, double high) {
    const double middle = (low + high) / 2;
    const int first = (int)middle;
    double power = mean[first];
    if (first < last)
        power += (middle - first) * (mean[first + 1] - mean[first]);
    for (int k = (int)ceil(low); k <= last && k < high; k++)
        power = mean[k] > power ? mean[k] : power;
    return power;
}

octet_status spectrogram_make(float *db, int columns, int rows, const sound *s, double seconds,
                              double top_hz, octet_error *error) {
    work w = {.window = 16};
    while (w.window < WINDOW_SECONDS * s->rate_hz)
        w.window *= 2;
    const size_t n = (size_t)w.window;
    w.x = malloc(4 * n * sizeof *w.x);
    if (!w.x)
        return error_memory(error, "spectrogram", 32.0 * (double)n);
    w.im = w.x + n;
    w.power = w.im + n;
    w.mean = w.power + n; /* halves of n and one each */
    const double step = seconds * s->rate_hz / columns, bin = (double)s->rate_hz / w.window;
    for (int i = 0; i < columns; i++) {
        const int heard = i * step < (double)s->n;
        if (heard)
            look_column(&w, s, i * step, (i + 1) * step);
        for (int j = 0; j < rows; j++) {
            const double low = top_hz * (rows - 1 - j) / rows / bin;
            const double high = top_hz * (rows - j) / rows / bin;
            const int last = w.window / 2;
            db[(size_t)j * (size_t)columns + (size_t)i] =
                heard && (low + high) / 2 <= last
                    ? (float)(10 * log10(power_within(w.mean, last, low, high) + SILENCE))
                    : -INFINITY;
        }
    }
    free(w.x);
    return OCTET_OK;
}

void spectrogram_paint(uint8_t *rgb, const float *db, int n, double high, double range) {
    static const double stops[][3] = {{9, 11, 33},    {66, 24, 110},  {171, 49, 104},
                                      {239, 121, 59}, {252, 206, 96}, {255, 252, 226}};
    enum { LAST = sizeof stops / sizeof *stops - 1 };
    for (int i = 0; i < n; i++) {
        double at = LAST * (1 + ((double)db[i] - high) / range);
        at = at > 0 ? at : 0;
        const int stop = at < LAST ? (int)at : LAST - 1;
        const double share = at < LAST ? at - stop : 1;
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] =
                isinf(db[i])
                    ? 0xee
                    : (uint8_t)(stops[stop][c] + share * (stops[stop + 1][c] - stops[stop][c]));
    }
}
