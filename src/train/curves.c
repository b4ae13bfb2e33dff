/* curves.c: see curves.h.
 *
 * Read every sample, smooth, thin out, then write the picture front to back: frame and ticks, the
 * faint steps, the two lines, the legend. */
#include "train/curves.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/svg.h"

#define LINE_BYTES 1024 /* longer lines are none of ours */

enum {
    MOST_EACH = 400,     /* steps drawn one by one; more become a band of ... */
    BUCKETS = 200,       /* ... so many parts */
    SMOOTH_POINTS = 300, /* of the smoothed line */
    VALID_POINTS = 200,  /* of the validation line */
    MOST_DOTS = 60       /* validations drawn as dots too */
};

/* One line of the log. */
typedef struct sample {
    int64_t step;
    double bytes; /* trained on, up to and with this step */
    double bpb;
    double smooth; /* of steps */
} sample;

typedef struct series {
    sample *list;
    size_t n, capacity;
} series;

typedef struct curves {
    series steps, valid;
    double bytes;
    svg_axes axes;
    int by_steps; /* the log does not tell bytes: x is steps */
} curves;

/* --- reading */

static octet_status append(series *s, sample value, octet_error *error) {
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 256;
        sample *list = realloc(s->list, capacity * sizeof *list);
        if (!list)
            return error_memory(error, "curves", (double)(capacity * sizeof *list));
        s->list = list;
        s->capacity = capacity;
    }
    s->list[s->n++] = value;
    return OCTET_OK;
}

/* The finite number of "key" in a line; false when there is none. */
static int number(const char *line, const char *key, double *out) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(line, quoted);
    if (!at)
        return 0;
    char *end;
    at += strlen(quoted);
    *out = strtod(at, &end);
    return end != at && (*end == ',' || *end == '}') && isfinite(*out);
}

/* A line that is not whole, or whose step was there already, is passed over. */
static octet_status take_line(curves *c, const char *line, octet_error *error) {
    size_t length = strlen(line);
    double step, bpb, bytes = 0;
    if (!length || line[0] != '{' || line[length - 1] != '}')
        return OCTET_OK;
    if (!number(line, "step", &step) || !(step >= 0 && step < 9e15))
        return OCTET_OK;
    int is_step = number(line, "bpb", &bpb);
    if ((!is_step && !number(line, "valid_bpb", &bpb)) || !(bpb >= 0 && bpb < 1e6))
        return OCTET_OK;
    series *to = is_step ? &c->steps : &c->valid;
    if (to->n && (int64_t)step <= to->list[to->n - 1].step)
        return OCTET_OK;
    if (is_step && number(line, "bytes", &bytes) && bytes > 0 && bytes < 1e18)
        c->bytes += bytes;
    return append(to, (sample){(int64_t)step, c->bytes, bpb, bpb}, error);
}

static octet_status read_log(curves *c, const char *path, octet_error *error) {
    file_bytes text;
    char line[LINE_BYTES];
    octet_status status = file_read(&text, path, SIZE_MAX / 2, error);
    if (status)
        return status;
    for (size_t at = 0; at < text.size && !status;) {
        const uint8_t *end = memchr(text.data + at, '\n', text.size - at);
        if (!end)
            break;
        size_t length = (size_t)(end - text.data) - at;
        if (length < sizeof line) {
            memcpy(line, text.data + at, length);
            line[length] = '\0';
            status = take_line(c, line, error);
        }
        at += length + 1;
    }
    file_close(&text);
    return status;
}

/* An exponential mean whose window grows with the step, so that it follows the steep start and
 * still calms the end: at step t the last t / 10 steps, at most a 50th of the run. */
static void smooth(series *s) {
    double mean = 0;
    for (size_t i = 0; i < s->n; i++) {
        double window = (double)i / 10, most = (double)s->n / 50;
        window = 1 + (window < most ? window : most);
        mean += (s->list[i].bpb - mean) / window;
        s->list[i].smooth = mean;
    }
}

/* --- axes */

static double x_of(const curves *c, const sample *s) {
    return c->by_steps ? (double)s->step : s->bytes;
}

static void include(svg_range *r, double value) {
    r->low = value < r->low ? value : r->low;
    r->high = value > r->high ? value : r->high;
}

/* Both axes. The first steps, at up to 8 bits, would press everything else to the floor: the top is
 * where the smoothed course stands after 5% of the run; what lies above is cut off. */
static void choose_ranges(curves *c) {
    const series *s = &c->steps, *v = &c->valid;
    svg_range y = {INFINITY, -INFINITY}, *x = &c->axes.x;
    c->by_steps = c->bytes <= 0;
    *x = (svg_range){0, 0};
    for (size_t i = 0; i < s->n; i++) {
        include(x, x_of(c, &s->list[i]));
        y.low = s->list[i].bpb < y.low ? s->list[i].bpb : y.low;
        if (i >= s->n / 20)
            include(&y, s->list[i].smooth);
    }
    for (size_t i = 0; i < v->n; i++) {
        include(x, x_of(c, &v->list[i]));
        include(&y, v->list[i].bpb);
    }
    c->axes.y = svg_margin(y);
    if (x->high <= 0)
        x->high = 1;
}

/* --- writing */

/* What bytes are counted in on the axis. */
static double unit_of(double bytes, const char **name) {
    static const char *const names[] = {"bytes", "kB", "MB", "GB", "TB"};
    double unit = 1;
    int i = 0;
    for (; i < 4 && bytes >= 2000 * unit; i++)
        unit *= 1000;
    *name = names[i];
    return unit;
}

static void put_axes(svg *d, const curves *c) {
    const char *name;
    double unit = unit_of(c->axes.x.high, &name);
    svg_y_axis(d, &c->axes);
    svg_x_axis(d, &c->axes, unit, 0);
    if (c->by_steps)
        svg_put(d, unit > 1 ? "steps (%.0f)</text>\n" : "steps</text>\n", unit);
    else
        svg_put(d, "%s trained on</text>\n", name);
}

static void put_point(svg *d, const curves *c, const sample *s, double bpb, int first) {
    svg_put(d, "%s%.1f %.1f", first ? "" : "L", svg_x(&c->axes, x_of(c, s)), svg_y(&c->axes, bpb));
}

/* The lowest and the highest step of part b of BUCKETS equal parts, so that no spike is lost. */
static void extremes(const series *s, size_t b, size_t *low, size_t *high) {
    size_t begin = b * s->n / BUCKETS, end = (b + 1) * s->n / BUCKETS;
    *low = *high = begin;
    for (size_t i = begin; i < end; i++) {
        *low = s->list[i].bpb < s->list[*low].bpb ? i : *low;
        *high = s->list[i].bpb > s->list[*high].bpb ? i : *high;
    }
}

/* Every step: a line while there are few, else the band that they fill. */
static void put_each(svg *d, const curves *c) {
    const series *s = &c->steps;
    size_t low, high;
    if (s->n <= MOST_EACH) {
        svg_put(d, "<path class=\"line each\" d=\"M");
        for (size_t i = 0; i < s->n; i++)
            put_point(d, c, &s->list[i], s->list[i].bpb, i == 0);
        svg_put(d, "\"/>\n");
        return;
    }
    svg_put(d, "<path class=\"band\" d=\"M");
    for (size_t b = 0; b < BUCKETS; b++) {
        extremes(s, b, &low, &high);
        put_point(d, c, &s->list[high], s->list[high].bpb, b == 0);
    }
    for (size_t b = BUCKETS; b-- > 0;) {
        extremes(s, b, &low, &high);
        put_point(d, c, &s->list[low], s->list[low].bpb, 0);
    }
    svg_put(d, "Z\"/>\n");
}

/* The k-th of n points when at most `most` are kept: evenly, the first and the last among them. */
static size_t kept_index(size_t k, size_t kept, size_t n) {
    return kept > 1 ? k * (n - 1) / (kept - 1) : 0;
}

static void put_line(svg *d, const curves *c, const series *s, size_t most, const char *kind) {
    size_t kept = s->n < most ? s->n : most;
    if (!s->n)
        return;
    svg_put(d, "<path class=\"line %s\" stroke-width=\"2\" d=\"M", kind);
    for (size_t k = 0; k < kept; k++) {
        const sample *at = &s->list[kept_index(k, kept, s->n)];
        put_point(d, c, at, at->smooth, k == 0);
    }
    svg_put(d, "\"/>\n");
}

static void put_dots(svg *d, const curves *c) {
    const series *v = &c->valid;
    size_t kept = v->n < VALID_POINTS ? v->n : VALID_POINTS;
    if (kept > MOST_DOTS)
        return;
    for (size_t k = 0; k < kept; k++) {
        const sample *at = &v->list[kept_index(k, kept, v->n)];
        svg_put(d, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n",
                svg_x(&c->axes, x_of(c, at)), svg_y(&c->axes, at->bpb));
    }
}

static void put_legend(svg *d, int is_band) {
    svg_put(d, is_band ? "<path class=\"band\" d=\"M442 36h22v12h-22Z\"/>"
                       : "<path class=\"line each\" d=\"M442 42l5 -5 6 8 6 -7 5 4\"/>");
    svg_put(d, "<text class=\"dim\" x=\"472\" y=\"46\">each step</text>\n"
               "<path class=\"line train\" stroke-width=\"2\" d=\"M546 42h22\"/>"
               "<text class=\"dim\" x=\"576\" y=\"46\">training, smoothed</text>\n"
               "<path class=\"line valid\" stroke-width=\"2\" d=\"M704 42h22\"/>"
               "<circle class=\"dot\" cx=\"715\" cy=\"42\" r=\"3.5\"/>"
               "<text class=\"dim\" x=\"734\" y=\"46\">validation</text>\n");
}

/* The last values stand at the right, at their heights but apart. */
static void put_last_values(svg *d, const curves *c) {
    const series *s = &c->steps, *v = &c->valid;
    double trained = s->n ? svg_y(&c->axes, s->list[s->n - 1].smooth) : 0;
    double validated = v->n ? svg_y(&c->axes, v->list[v->n - 1].bpb) : 0;
    double apart = 15 - fabs(trained - validated);
    if (s->n && v->n && apart > 0) {
        int up = trained <= validated;
        trained += up ? -apart / 2 : apart / 2;
        validated += up ? apart / 2 : -apart / 2;
    }
    if (s->n)
        svg_put(d, "<text class=\"trained\" x=\"%d\" y=\"%.1f\" font-weight=\"600\">%.3f</text>\n",
                SVG_RIGHT + 9, trained + 4, s->list[s->n - 1].smooth);
    if (v->n)
        svg_put(d,
                "<text class=\"validated\" x=\"%d\" y=\"%.1f\" font-weight=\"600\">%.3f</text>\n",
                SVG_RIGHT + 9, validated + 4, v->list[v->n - 1].bpb);
}

static void put_title(svg *d, const curves *c) {
    const series *s = &c->steps, *v = &c->valid;
    const sample *last = s->n ? &s->list[s->n - 1] : NULL;
    size_t best = 0;
    svg_headline(d, "Bits per byte");
    for (size_t i = 1; i < v->n; i++)
        best = v->list[i].bpb < v->list[best].bpb ? i : best;
    if (last)
        svg_put(d, "step %" PRId64, last->step);
    if (v->n)
        svg_put(d, "%slowest validation %.4f at step %" PRId64, last ? ", " : "", v->list[best].bpb,
                v->list[best].step);
    svg_put(d, "</text>\n");
}

static void put_picture(svg *d, const curves *c) {
    if (!c->steps.n && !c->valid.n) {
        svg_nothing(d, "No step has been logged yet");
        return;
    }
    put_title(d, c);
    put_legend(d, c->steps.n > MOST_EACH);
    put_axes(d, c);
    svg_frame(d);
    if (c->steps.n)
        put_each(d, c);
    put_line(d, c, &c->steps, SMOOTH_POINTS, "train");
    put_line(d, c, &c->valid, VALID_POINTS, "valid");
    put_dots(d, c);
    svg_frame_end(d);
    put_last_values(d, c);
}

octet_status curves_write(const char *log_path, const char *svg_path, octet_error *error) {
    curves c = {.bytes = 0};
    octet_status status = read_log(&c, log_path, error);
    if (!status) {
        smooth(&c.steps);
        choose_ranges(&c);
        svg d;
        status = svg_begin(&d, svg_path, "Bits per byte during training", error);
        if (!status) {
            put_picture(&d, &c);
            status = svg_end(&d);
        }
    }
    free(c.steps.list);
    free(c.valid.list);
    return status;
}
