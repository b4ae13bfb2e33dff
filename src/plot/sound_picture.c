/* sound_picture.c: see sound_picture.h. */
#include "plot/sound_picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/svg.h"
#include "plot/canvas.h"

/* Pixels, from the top of a track. */
enum {
    LEFT = SVG_LEFT,
    RIGHT = 840,
    WIDTH = RIGHT - LEFT,
    COLUMNS = 2 * WIDTH, /* of waveforms and curves */
    TITLE = 24,
    WAVE = 70,
    GAP = 6,
    WIDE_GAP = 16,
    SPECTRUM = 140,
    BITS = 56,
    BETWEEN = 14,
    BOTTOM = 46
};

static const double RANGE_DB = 75, SMOOTH_SECONDS = 0.02, COLUMN = (double)WIDTH / COLUMNS;

typedef struct picture {
    canvas *canvas;
    const sound_track *tracks;
    int n;
    double mark, seconds, loudest, top_hz, high_db, most_bits;
    float *db; /* [n, SPECTRUM, WIDTH] */
    float *low, *high;
    uint8_t *rgb;
} picture;

enum { PIXELS = SPECTRUM * WIDTH };

static double x_of(const picture *p, double seconds) {
    return LEFT + WIDTH * seconds / p->seconds;
}

/* Values of a column: its frames, or the nearest one. */
static void span_of(int64_t *from, int64_t *to, const picture *p, int column, int rate_hz,
                    int64_t n, double wide) {
    const double step = p->seconds * rate_hz / COLUMNS;
    const double more = fmax(0, wide * rate_hz - step) / 2;
    *from = (int64_t)fmax(0, column * step - more);
    *to = (int64_t)fmin((double)n, (column + 1) * step + more);
    if (*to <= *from && *from < n)
        *to = *from + 1;
}

static int columns_of(const picture *p, int64_t n, int rate_hz) {
    const double columns = ceil((double)n / rate_hz / p->seconds * COLUMNS);
    return columns < COLUMNS ? (int)columns : COLUMNS;
}

/* --- the tracks */

static void draw_wave(picture *p, const sound *s, double top) {
    const int columns = columns_of(p, s->n, s->rate_hz);
    const double middle = top + WAVE / 2.0, scale = WAVE / 2.0 / p->loudest;
    const int marked = p->mark < 0 ? columns : (int)lround(p->mark / p->seconds * COLUMNS);
    const int first = marked < columns ? marked : columns;
    float before = s->n > 0 ? s->x[0] : 0; /* bars touch */
    for (int i = 0; i < columns; i++) {
        int64_t from, to;
        span_of(&from, &to, p, i, s->rate_hz, s->n, 0);
        float low = before, high = before;
        for (int64_t t = from; t < to; t++) {
            low = fminf(low, s->x[t]);
            high = fmaxf(high, s->x[t]);
        }
        before = from < to ? s->x[to - 1] : 0;
        p->low[i] = (float)(middle - scale * (double)high);
        p->high[i] = (float)(middle - scale * (double)low);
    }
    canvas_line(p->canvas, INK_GRID, LEFT, middle, RIGHT, middle);
    canvas_bars(p->canvas, INK_FIRST, LEFT, COLUMN, p->low, p->high, first);
    canvas_bars(p->canvas, INK_SECOND, LEFT + first * COLUMN, COLUMN, p->low + first,
                p->high + first, columns - first);
}

static void draw_spectrum(picture *p, const float *db, double top) {
    const svg_range khz = {0, p->top_hz / 1000};
    const double step = svg_tick_step(&khz, 4);
    char text[32];
    spectrogram_paint(p->rgb, db, PIXELS, p->high_db, RANGE_DB);
    canvas_image(p->canvas, LEFT, top, p->rgb, WIDTH, SPECTRUM);
    for (double f = 0; f <= khz.high * 1.000001; f += step) {
        const double y = top + SPECTRUM * (1 - f / khz.high);
        snprintf(text, sizeof text, f + step > khz.high * 1.000001 ? "%.10g kHz" : "%.10g", f);
        canvas_line(p->canvas, INK_AXIS, LEFT - 4, y, LEFT, y);
        canvas_text(p->canvas, INK_DIM, ANCHOR_RIGHT, LEFT - 8, y + 4, text);
    }
}

static void draw_bits(picture *p, const sound_track *t, double top) {
    const int columns = columns_of(p, t->n_bits, t->bits_rate_hz);
    char text[32];
    for (int i = 0; i < columns; i++) {
        int64_t from, to;
        double sum = 0;
        span_of(&from, &to, p, i, t->bits_rate_hz, t->n_bits, SMOOTH_SECONDS);
        for (int64_t k = from; k < to; k++)
            sum += (double)t->bits[k];
        p->low[i] = (float)(top + BITS * (1 - sum / (double)(to - from) / p->most_bits));
    }
    for (int i = 0; i <= 1; i++) {
        snprintf(text, sizeof text, i ? "%.10g bit" : "%.10g", i * p->most_bits);
        canvas_line(p->canvas, INK_GRID, LEFT, top + BITS * (1 - i), RIGHT, top + BITS * (1 - i));
        canvas_text(p->canvas, INK_DIM, ANCHOR_RIGHT, LEFT - 8, top + BITS * (1 - i) + 4, text);
    }
    canvas_curve(p->canvas, INK_FIRST, LEFT, COLUMN, p->low, columns);
}

static int track_height(const sound_track *t) {
    return TITLE + WAVE + GAP + SPECTRUM + (t->bits ? WIDE_GAP + BITS : 0) + BETWEEN;
}

static void draw_track(picture *p, int i, double top) {
    const sound_track *t = &p->tracks[i];
    const double wave = top + TITLE, spectrum = wave + WAVE + GAP;
    canvas_text(p->canvas, INK_TEXT, ANCHOR_LEFT, LEFT, top + TITLE - 8, t->title);
    draw_wave(p, &t->sound, wave);
    draw_spectrum(p, p->db + (size_t)i * PIXELS, spectrum);
    if (t->bits)
        draw_bits(p, t, spectrum + SPECTRUM + WIDE_GAP);
    if (p->mark >= 0 && p->mark <= p->seconds)
        canvas_line(p->canvas, INK_SECOND, x_of(p, p->mark), wave, x_of(p, p->mark),
                    top + track_height(t) - BETWEEN);
}

static void draw_seconds(picture *p, double top) {
    const svg_range range = {0, p->seconds};
    const double step = svg_tick_step(&range, 10);
    char text[32];
    canvas_line(p->canvas, INK_AXIS, LEFT, top, RIGHT, top);
    for (int i = 0; i * step <= p->seconds * 1.000001; i++) {
        const double x = x_of(p, i * step);
        snprintf(text, sizeof text, i ? "%.10g" : "%.10g s", i * step);
        canvas_line(p->canvas, INK_AXIS, x, top, x, top + 5);
        canvas_text(p->canvas, INK_DIM, ANCHOR_MIDDLE, x, top + 20, text);
    }
}

/* --- the picture */

/* The axes that all share. A sound without frames is a second of nothing. */
static void measure(picture *p) {
    p->loudest = 1e-4;
    for (int i = 0; i < p->n; i++) {
        const sound_track *t = &p->tracks[i];
        p->seconds = fmax(p->seconds, (double)t->sound.n / t->sound.rate_hz);
        p->top_hz = fmax(p->top_hz, t->sound.rate_hz / 2.0);
        for (int64_t k = 0; k < t->sound.n; k++)
            p->loudest = fmax(p->loudest, fabs((double)t->sound.x[k]));
    }
    p->seconds = p->seconds > 0 ? p->seconds : 1;
}

static octet_status analyse(picture *p, octet_error *error) {
    double high = -INFINITY;
    octet_status status = OCTET_OK;
    for (int i = 0; i < p->n && !status; i++) {
        float *db = p->db + (size_t)i * PIXELS;
        status = spectrogram_make(db, WIDTH, SPECTRUM, &p->tracks[i].sound, p->seconds, p->top_hz,
                                  error);
        for (int k = 0; k < PIXELS && !status; k++)
            high = fmax(high, (double)db[k]);
    }
    p->high_db = isfinite(high) ? fmax(high, -100) : 0;
    return status;
}

/* The axis of bits ends at the next whole one above every smoothed value. */
static void measure_bits(picture *p) {
    double most = 1;
    for (int i = 0; i < p->n; i++) {
        const sound_track *t = &p->tracks[i];
        const int64_t wide = (int64_t)(SMOOTH_SECONDS * t->bits_rate_hz) + 1;
        double sum = 0;
        for (int64_t k = 0; t->bits && k < t->n_bits; k++) {
            sum += (double)t->bits[k] - (k >= wide ? (double)t->bits[k - wide] : 0);
            most = fmax(most, sum / (double)(k < wide ? k + 1 : wide));
        }
    }
    p->most_bits = ceil(most);
}

static octet_status draw(picture *p, const char *path, octet_error *error) {
    int height = BOTTOM;
    for (int i = 0; i < p->n; i++)
        height += track_height(&p->tracks[i]);
    octet_status status = canvas_create(&p->canvas, path, height, "Sounds", error);
    if (status)
        return status;
    int top = 0;
    for (int i = 0; i < p->n; i++) {
        draw_track(p, i, top);
        top += track_height(&p->tracks[i]);
    }
    draw_seconds(p, top - BETWEEN + GAP);
    return canvas_finish(&p->canvas);
}

octet_status sound_picture_draw(const sound_track *tracks, int n, double mark, const char *path,
                                octet_error *error) {
    picture p = {.tracks = tracks, .n = n, .mark = mark};
    p.db = malloc((size_t)n * PIXELS * sizeof *p.db);
    p.low = malloc(2 * COLUMNS * sizeof *p.low);
    p.rgb = malloc(3 * PIXELS);
    octet_status status = OCTET_OK;
    if (!p.db || !p.low || !p.rgb)
        status = error_memory(error, "picture", (double)n * PIXELS * sizeof *p.db);
    p.high = p.low ? p.low + COLUMNS : NULL;
    measure(&p);
    measure_bits(&p);
    if (!status)
        status = analyse(&p, error);
    if (!status)
        status = draw(&p, path, error);
    free(p.db);
    free(p.low);
    free(p.rgb);
    return status;
}
