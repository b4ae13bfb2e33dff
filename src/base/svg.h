/* svg.h: what pictures of curves share: an SVG of 860 x 460 pixels with a title, a frame with axes,
 * and the way to a file.
 *
 * A picture holds everything it needs and follows the light or dark scheme of whoever views it.
 * Positions are in pixels with one decimal. Lines are of class "line train" or "line valid", with
 * "trained", "validated" and "dot" to fill what belongs to them. */
#ifndef BASE_SVG_H
#define BASE_SVG_H

#include "base/file.h"

enum {
    SVG_WIDTH = 860,
    SVG_HEIGHT = 460,
    SVG_LEFT = 64, /* of the frame */
    SVG_RIGHT = 790,
    SVG_TOP = 72,
    SVG_BOTTOM = 400
};

/* A picture being written, by way of a buffer; status is sticky. */
typedef struct svg {
    file_writer *writer;
    octet_status status;
    octet_error *error;
    size_t n;
    char buffer[4096];
} svg;

/* Starts to replace the file crash-safely. title is for those who hear the picture. */
octet_status svg_begin(svg *d, const char *path, const char *title, octet_error *error);

/* The same with another height. */
octet_status svg_begin_tall(svg *d, const char *path, const char *title, int height,
                            octet_error *error);

/* Ends the picture: the file is whole, or as it was. */
octet_status svg_end(svg *d);

/* A piece of up to 2,047 bytes. */
void svg_put(svg *d, const char *format, ...) ERROR_FORMAT(2, 3);

typedef struct svg_range {
    double low, high;
} svg_range;

typedef struct svg_axes {
    svg_range x, y;
} svg_axes;

/* Where values stand. Far above the frame is as good as farther. */
double svg_x(const svg_axes *a, double x);
double svg_y(const svg_axes *a, double y);

/* The range of y with a margin, never below 0: values are not negative. */
svg_range svg_margin(svg_range y);

/* The least of 1, 2, 5 times a power of ten that makes at most `most` steps of the range. */
double svg_tick_step(const svg_range *r, int most);

/* The headline, and the open <text> of the line below it, which the caller fills and closes. */
void svg_headline(svg *d, const char *text);

/* Lines across the frame with their values. */
void svg_y_axis(svg *d, const svg_axes *a);

/* Ticks from 0 at least `least` apart, counted in `unit`s of x, and the open <text> of the name
 * below them. */
void svg_x_axis(svg *d, const svg_axes *a, double unit, double least);

/* What is drawn between the two is cut off at the frame. */
void svg_frame(svg *d);
void svg_frame_end(svg *d);

/* A picture without values. */
void svg_nothing(svg *d, const char *text);

#endif
