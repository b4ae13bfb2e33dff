/* svg.c: see svg.h. */
#include "base/svg.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TICKS = 12 };

/* --- the file */

static void flush(svg *d) {
    if (!d->status && d->n)
        d->status = file_writer_write(d->writer, d->buffer, d->n, d->error);
    d->n = 0;
}

void svg_put(svg *d, const char *format, ...) {
    char text[2048]; /* more than any one piece */
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof text) {
        d->status = error_set(d->error, OCTET_ERROR, "picture: a piece of %d bytes", n);
        return;
    }
    if (d->n + (size_t)n > sizeof d->buffer)
        flush(d);
    memcpy(d->buffer + d->n, text, (size_t)n);
    d->n += (size_t)n;
}

static void put_head(svg *d, const char *title, int height) {
    svg_put(d,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', "
            "sans-serif\" font-size=\"12\">\n<title>%s</title>\n",
            SVG_WIDTH, height, SVG_WIDTH, height, title);
    svg_put(
        d,
        "<style>\n"
        ".paper{fill:#ffffff} .text{fill:#1f2328} .dim{fill:#656d76} .grid{stroke:#e4e7eb}\n"
        ".axis{stroke:#9aa1a9} .line{fill:none;stroke-linejoin:round;stroke-linecap:round}\n"
        ".each{stroke:#2f6fdb;opacity:.35} .band{fill:#2f6fdb;opacity:.16} .train{stroke:#2f6fdb}\n"
        ".valid{stroke:#d9480f} .dot{fill:#d9480f;stroke:#ffffff} .trained{fill:#2f6fdb}\n"
        ".validated{fill:#d9480f}\n"
        "@media (prefers-color-scheme: dark) {\n"
        ".paper{fill:#15181c} .text{fill:#e6e8eb} .dim{fill:#9aa3ad} .grid{stroke:#2a2f36}\n"
        ".axis{stroke:#5b636d} .each{stroke:#6ea8ff} .band{fill:#6ea8ff;opacity:.20} "
        ".train{stroke:#6ea8ff}\n"
        ".valid{stroke:#ff9559} .dot{fill:#ff9559;stroke:#15181c} .trained{fill:#6ea8ff}\n"
        ".validated{fill:#ff9559}\n"
        "}\n</style>\n");
    svg_put(d, "<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", SVG_WIDTH, height);
}

octet_status svg_begin(svg *d, const char *path, const char *title, octet_error *error) {
    return svg_begin_tall(d, path, title, SVG_HEIGHT, error);
}

octet_status svg_begin_tall(svg *d, const char *path, const char *title, int height,
                            octet_error *error) {
    d->error = error;
    d->n = 0;
    d->status = file_writer_create(&d->writer, path, error);
    if (!d->status)
        put_head(d, title, height);
    return d->status;
}

octet_status svg_end(svg *d) {
    svg_put(d, "</svg>\n");
    flush(d);
    if (!d->status)
        d->status = file_writer_commit(&d->writer, d->error);
    file_writer_abandon(&d->writer);
    return d->status;
}

/* --- axes */

double svg_x(const svg_axes *a, double x) {
    return SVG_LEFT + (SVG_RIGHT - SVG_LEFT) * (x - a->x.low) / (a->x.high - a->x.low);
}

double svg_y(const svg_axes *a, double y) {
    double pixel = SVG_BOTTOM - (SVG_BOTTOM - SVG_TOP) * (y - a->y.low) / (a->y.high - a->y.low);
    return pixel > -1000 ? pixel : -1000;
}

svg_range svg_margin(svg_range y) {
    double margin = 0.04 * (y.high - y.low);
    margin = margin > 0.02 ? margin : 0.02;
    return (svg_range){y.low > margin ? y.low - margin : 0, y.high + margin};
}

double svg_tick_step(const svg_range *r, int most) {
    double wanted = (r->high - r->low) / most, power = pow(10, floor(log10(wanted)));
    double digit = wanted / power;
    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

void svg_headline(svg *d, const char *text) {
    svg_put(d,
            "<text class=\"text\" x=\"%d\" y=\"27\" font-size=\"15\" font-weight=\"600\">%s"
            "</text>\n<text class=\"dim\" x=\"%d\" y=\"46\">",
            SVG_LEFT, text, SVG_LEFT);
}

void svg_y_axis(svg *d, const svg_axes *a) {
    double step = svg_tick_step(&a->y, 7);
    int decimals = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    for (double y = ceil(a->y.low / step) * step; y <= a->y.high; y += step) {
        double at = svg_y(a, y);
        svg_put(d, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", SVG_LEFT, at, SVG_RIGHT);
        svg_put(d, "<text class=\"dim\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>\n",
                SVG_LEFT - 10, at + 4, decimals, y);
    }
}

void svg_x_axis(svg *d, const svg_axes *a, double unit, double least) {
    const svg_range scaled = {0, a->x.high / unit};
    double step = svg_tick_step(&scaled, MOST_TICKS - 3);
    step = step > least ? step : least;
    for (int i = 0; i <= MOST_TICKS && i * step <= scaled.high * 1.000001; i++) {
        double at = svg_x(a, i * step * unit);
        svg_put(d, "<path class=\"axis\" d=\"M%.1f %dv5\"/>", at, SVG_BOTTOM);
        svg_put(d, "<text class=\"dim\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.10g</text>\n",
                at, SVG_BOTTOM + 20, i * step);
    }
    svg_put(d, "<path class=\"axis\" d=\"M%d %dH%d\"/>\n", SVG_LEFT, SVG_BOTTOM, SVG_RIGHT);
    svg_put(d, "<text class=\"dim\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
            (SVG_LEFT + SVG_RIGHT) / 2, SVG_BOTTOM + 44);
}

void svg_frame(svg *d) {
    svg_put(d,
            "<clipPath id=\"frame\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>"
            "</clipPath>\n<g clip-path=\"url(#frame)\">\n",
            SVG_LEFT, SVG_TOP - 6, SVG_RIGHT - SVG_LEFT + 6, SVG_BOTTOM - SVG_TOP + 6);
}

void svg_frame_end(svg *d) {
    svg_put(d, "</g>\n");
}

void svg_nothing(svg *d, const char *text) {
    svg_put(d,
            "<text class=\"dim\" x=\"%d\" y=\"%d\" font-size=\"15\" text-anchor=\"middle\">%s"
            "</text>\n",
            SVG_WIDTH / 2, SVG_HEIGHT / 2, text);
}
