/* canvas.c: see canvas.h. */
#include "plot/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/png.h"
#include "base/svg.h"
#include "plot/raster.h"

enum { SCALE = 2 }; /* of a PNG */

struct canvas {
    int is_png;
    char *path;
    raster picture; /* of a PNG */
    svg drawing;
    octet_status status;
    octet_error *error;
};

/* Classes of svg.c for lines and for texts, and colours of its light scheme. */
static const struct {
    const char *name;
    uint8_t rgb[3];
} inks[] = {
    [INK_TEXT] = {"text", {0x1f, 0x23, 0x28}},   [INK_DIM] = {"dim", {0x65, 0x6d, 0x76}},
    [INK_GRID] = {"grid", {0xe4, 0xe7, 0xeb}},   [INK_AXIS] = {"axis", {0x9a, 0xa1, 0xa9}},
    [INK_FIRST] = {"train", {0x2f, 0x6f, 0xdb}}, [INK_SECOND] = {"valid", {0xd9, 0x48, 0x0f}}};

octet_status canvas_create(canvas **out, const char *path, int height, const char *title,
                           octet_error *error) {
    const size_t n = strlen(path);
    canvas *c = *out = calloc(1, sizeof *c);
    char *copy = c ? strdup(path) : NULL;
    if (!copy) {
        free(c);
        *out = NULL;
        return error_memory(error, "picture", sizeof *c);
    }
    c->path = copy;
    c->error = error;
    c->is_png = n >= 4 && !strcmp(path + n - 4, ".png");
    c->status = c->is_png ? raster_init(&c->picture, SCALE * SVG_WIDTH, SCALE * height, error)
                          : svg_begin_tall(&c->drawing, path, title, height, error);
    const octet_status status = c->status;
    if (status) {
        free(copy);
        free(c);
        *out = NULL;
    }
    return status;
}

static int scaled(double x) {
    return (int)lround(SCALE * x);
}

void canvas_line(canvas *c, canvas_ink ink, double x0, double y0, double x1, double y1) {
    if (c->is_png)
        raster_fill(&c->picture, inks[ink].rgb, scaled(x0) - 1, scaled(y0) - 1,
                    scaled(x1 - x0) + SCALE, scaled(y1 - y0) + SCALE);
    else
        svg_put(&c->drawing, "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", inks[ink].name,
                x0, y0, x1, y1);
}

/* Names of files may hold anything. */
static void put_escaped(svg *d, const char *text) {
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte == '<' || byte == '>' || byte == '&' || byte == '"')
            svg_put(d, "&#%d;", byte);
        else
            svg_put(d, "%c", byte < 32 || byte > 126 ? '?' : byte);
    }
}

void canvas_text(canvas *c, canvas_ink ink, canvas_anchor anchor, double x, double y,
                 const char *text) {
    static const char *const anchors[] = {"start", "middle", "end"};
    if (c->is_png) {
        const int width = raster_text_width(text);
        raster_text(&c->picture, inks[ink].rgb, scaled(x) - width * (int)anchor / 2, scaled(y),
                    text);
        return;
    }
    svg_put(&c->drawing, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
            inks[ink].name, x, y, anchors[anchor]);
    put_escaped(&c->drawing, text);
    svg_put(&c->drawing, "</text>\n");
}

void canvas_bars(canvas *c, canvas_ink ink, double x, double step, const float *low,
                 const float *high, int n) {
    if (!c->is_png)
        svg_put(&c->drawing, "<path class=\"line %s\" stroke-width=\"%.2f\" d=\"", inks[ink].name,
                step);
    for (int i = 0; i < n; i++) {
        const double top = low[i] < high[i] ? low[i] : high[i], length = fabs(high[i] - low[i]);
        const double tall = length > 0.5 ? length : 0.5;
        if (c->is_png)
            raster_fill(&c->picture, inks[ink].rgb, scaled(x + i * step), scaled(top), 1,
                        scaled(tall));
        else
            svg_put(&c->drawing, "M%.1f %.1fv%.1f", x + i * step, top, tall);
    }
    if (!c->is_png)
        svg_put(&c->drawing, "\"/>\n");
}

void canvas_curve(canvas *c, canvas_ink ink, double x, double step, const float *y, int n) {
    if (!c->is_png)
        svg_put(&c->drawing, "<path class=\"line %s\" d=\"", inks[ink].name);
    for (int i = 0; i < n; i++) {
        const float before = y[i > 0 ? i - 1 : 0], low = fminf(before, y[i]);
        if (c->is_png) /* a step from the last value to this one */
            raster_fill(&c->picture, inks[ink].rgb, scaled(x + i * step), scaled(low) - 1,
                        scaled(step) + 1, scaled(fabsf(before - y[i])) + SCALE);
        else
            svg_put(&c->drawing, "%c%.1f %.1f", i > 0 ? 'L' : 'M', x + i * step, y[i]);
    }
    if (!c->is_png)
        svg_put(&c->drawing, "\"/>\n");
}

static void put_base64(svg *d, const uint8_t *data, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        const uint32_t word = (uint32_t)data[i] << 16 |
                              (uint32_t)(i + 1 < n ? data[i + 1] : 0) << 8 |
                              (i + 2 < n ? data[i + 2] : 0);
        svg_put(d, "%c%c%c%c", digits[word >> 18], digits[word >> 12 & 63],
                i + 1 < n ? digits[word >> 6 & 63] : '=', i + 2 < n ? digits[word & 63] : '=');
    }
}

void canvas_image(canvas *c, double x, double y, const uint8_t *rgb, int columns, int rows) {
    uint8_t *data;
    size_t size;
    if (c->is_png) {
        raster_copy(&c->picture, rgb, scaled(x), scaled(y), columns, rows, SCALE);
        return;
    }
    if (!c->status)
        c->status = png_encode(&data, &size, rgb, columns, rows, c->error);
    if (c->status)
        return;
    svg_put(&c->drawing,
            "<image x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
            "preserveAspectRatio=\"none\" href=\"data:image/png;base64,",
            x, y, (double)columns, (double)rows);
    put_base64(&c->drawing, data, size);
    svg_put(&c->drawing, "\"/>\n");
    free(data);
}

static octet_status write_png(canvas *c) {
    uint8_t *data;
    size_t size;
    file_writer *w = NULL;
    octet_status status =
        png_encode(&data, &size, c->picture.rgb, c->picture.width, c->picture.height, c->error);
    if (status)
        return status;
    status = file_writer_create(&w, c->path, c->error);
    if (!status)
        status = file_writer_write(w, data, size, c->error);
    if (!status)
        status = file_writer_commit(&w, c->error);
    file_writer_abandon(&w);
    free(data);
    return status;
}

octet_status canvas_finish(canvas **c) {
    canvas *d = *c;
    octet_status status = d->status;
    if (d->is_png && !status)
        status = write_png(d);
    if (!d->is_png && status)
        file_writer_abandon(&d->drawing.writer);
    else if (!d->is_png)
        status = svg_end(&d->drawing);
    raster_finish(&d->picture);
    free(d->path);
    free(d);
    *c = NULL;
    return status;
}
