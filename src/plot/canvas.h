/* canvas.h: the few things that pictures of sound are made of, as an SVG or as a PNG: straight
 * lines, bars, a curve, an image, short texts.
 *
 * Positions are in pixels of a picture SVG_WIDTH wide. The PNG has twice as many, no anti-aliasing
 * and small capitals only, on light paper; the SVG is that of svg.h. */
#ifndef PLOT_CANVAS_H
#define PLOT_CANVAS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct canvas canvas;

typedef enum canvas_ink {
    INK_TEXT,
    INK_DIM, /* of texts */
    INK_GRID,
    INK_AXIS,  /* of lines */
    INK_FIRST, /* the sound, */
    INK_SECOND /* and what is marked */
} canvas_ink;

typedef enum canvas_anchor { ANCHOR_LEFT, ANCHOR_MIDDLE, ANCHOR_RIGHT } canvas_anchor;

/* A PNG where path ends in ".png", else an SVG. title is for those who hear the picture. */
octet_status canvas_create(canvas **out, const char *path, int height, const char *title,
                           octet_error *error);

/* Failures are kept until canvas_finish. Lines are horizontal or vertical. */
void canvas_line(canvas *c, canvas_ink ink, double x0, double y0, double x1, double y1);
void canvas_text(canvas *c, canvas_ink ink, canvas_anchor anchor, double x, double y,
                 const char *text);

/* n vertical bars from low[i] to high[i], at x, x + step, ... */
void canvas_bars(canvas *c, canvas_ink ink, double x, double step, const float *low,
                 const float *high, int n);

/* Through y[n] at x, x + step, ... */
void canvas_curve(canvas *c, canvas_ink ink, double x, double step, const float *y, int n);

/* rgb[rows, columns, 3] with its corner at x, y; its pixels are the picture's. */
void canvas_image(canvas *c, double x, double y, const uint8_t *rgb, int columns, int rows);

/* Writes the file crash-safely. Sets *c to NULL. */
octet_status canvas_finish(canvas **c);

#endif
