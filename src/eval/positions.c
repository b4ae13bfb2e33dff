/* positions.c: see positions.h.
 *
 * One point a place, joined by a line that leaves out places where no byte stood; the mean over
 * all bytes as a line across. The course inside the innermost patch repeats along the outermost. */
#include "eval/positions.h"

#include <inttypes.h>
#include <math.h>

#include "base/svg.h"

enum { MOST_DOTS = 64 /* places drawn as dots too */ };

void positions_add(octet_positions *to, int64_t offset, const float *bits, size_t n) {
    int64_t place = offset % to->patch;
    for (size_t i = 0; i < n; i++) {
        to->bytes[place]++;
        to->bits[place] += (double)bits[i];
        place = place + 1 < to->patch ? place + 1 : 0;
    }
}

static double mean_of(const octet_positions *p, int64_t place) {
    return p->bits[place] / (double)p->bytes[place];
}

static void include(svg_range *y, const octet_positions *p) {
    for (int64_t i = 0; i < p->patch; i++) {
        if (!p->bytes[i])
            continue;
        y->low = fmin(y->low, mean_of(p, i));
        y->high = fmax(y->high, mean_of(p, i));
    }
}

/* The means of p over `places` places; p may repeat. */
static void put_course(svg *d, const svg_axes *a, const octet_positions *p, int64_t places,
                       const char *kind) {
    const char *begin = "M";
    svg_put(d, "<path class=\"line %s\" stroke-width=\"2\" d=\"", kind);
    for (int64_t i = 0; i < places; i++) {
        if (p->bytes[i % p->patch])
            svg_put(d, "%s%.1f %.1f", begin, svg_x(a, (double)i),
                    svg_y(a, mean_of(p, i % p->patch)));
        begin = p->bytes[i % p->patch] ? "L" : "M";
    }
    svg_put(d, "\"/>\n");
}

static void put_dots(svg *d, const svg_axes *a, const octet_positions *p) {
    for (int64_t i = 0; i < p->patch && p->patch <= MOST_DOTS; i++)
        if (p->bytes[i])
            svg_put(d, "<circle class=\"trained\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n",
                    svg_x(a, (double)i), svg_y(a, mean_of(p, i)));
}

static void put_mean(svg *d, const svg_axes *a, double mean) {
    double at = svg_y(a, mean);
    svg_put(d, "<path class=\"axis\" stroke-dasharray=\"4 4\" d=\"M%d %.1fH%d\"/>\n", SVG_LEFT, at,
            SVG_RIGHT);
    svg_put(d, "<text class=\"dim\" x=\"%d\" y=\"%.1f\" font-weight=\"600\">%.3f</text>\n",
            SVG_RIGHT + 9, at + 4, mean);
}

static void put_legend(svg *d, int64_t inner) {
    svg_put(d,
            "<path class=\"line train\" stroke-width=\"2\" d=\"M522 42h22\"/>"
            "<circle class=\"trained\" cx=\"533\" cy=\"42\" r=\"3.5\"/>"
            "<text class=\"dim\" x=\"552\" y=\"46\">outermost patch</text>\n"
            "<path class=\"line valid\" stroke-width=\"2\" d=\"M656 42h22\"/>"
            "<text class=\"dim\" x=\"686\" y=\"46\">inside patches of %" PRId64 "</text>\n",
            inner);
}

/* inner may be NULL. */
static void put_picture(svg *d, const octet_positions *outer, const octet_positions *inner) {
    int64_t bytes = 0;
    double bits = 0;
    svg_range y = {INFINITY, -INFINITY};
    for (int64_t i = 0; i < outer->patch; i++) {
        bytes += outer->bytes[i];
        bits += outer->bits[i];
    }
    if (!bytes) {
        svg_nothing(d, "No byte has been scored");
        return;
    }
    include(&y, outer);
    if (inner)
        include(&y, inner);
    double last = outer->patch > 1 ? (double)(outer->patch - 1) : 1;
    const svg_axes axes = {{0, last}, svg_margin(y)};
    svg_headline(d, "Bits per byte by position in the patch");
    svg_put(d, "%" PRId64 " bytes in patches of %" PRId64 "</text>\n", bytes, outer->patch);
    svg_y_axis(d, &axes);
    svg_x_axis(d, &axes, 1, 1);
    svg_put(d, "position</text>\n");
    put_mean(d, &axes, bits / (double)bytes);
    if (inner) {
        put_legend(d, inner->patch);
        put_course(d, &axes, inner, outer->patch, "valid");
    }
    put_course(d, &axes, outer, outer->patch, "train");
    put_dots(d, &axes, outer);
}

octet_status positions_draw(const octet_positions *outer, const octet_positions *inner,
                            const char *path, octet_error *error) {
    svg d;
    if (inner && inner->patch == outer->patch)
        inner = NULL;
    octet_status status = svg_begin(&d, path, "Bits per byte by position in the patch", error);
    if (status)
        return status;
    put_picture(&d, outer, inner);
    return svg_end(&d);
}
