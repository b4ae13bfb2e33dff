/* raster.h: a picture of 8-bit RGB in memory. What lies outside of it is not drawn. */
#ifndef PLOT_RASTER_H
#define PLOT_RASTER_H

#include <stdint.h>

#include "base/error.h"

typedef struct raster {
    int width, height;
    uint8_t *rgb; /* [height, width, 3], white at first */
} raster;

octet_status raster_init(raster *r, int width, int height, octet_error *error);
void raster_finish(raster *r);

void raster_fill(raster *r, const uint8_t rgb[3], int x, int y, int width, int height);
/* rgb[height, width, 3], each of its pixels `scale` wide and high. */
void raster_copy(raster *r, const uint8_t *rgb, int x, int y, int width, int height, int scale);

/* Small capitals, whose foot stands at y. What there is no letter for is a blank. */
void raster_text(raster *r, const uint8_t rgb[3], int x, int y, const char *text);
int raster_text_width(const char *text);

#endif
