/* ref_ops_attention.c: softmax attention, its gradient, and attention over a cache, in double.
 *
 * One helper holds the definition: a query, the rows it sees, and where row j's key and value are.
 * Scores are computed anew in each pass, which needs no memory. */
#include <math.h>
#include <string.h>

#include "ref_ops.h"

/* Keys and values of one head: row j at key + (j mod ring) * stride. */
typedef struct ref_rows {
    const double *key, *value;
    int64_t ring, stride;
    int64_t D;
    double scale, slope; /* slope 0: no linear bias */
    /* rows j < min(sinks, first) are seen too, at sink_key + j * stride */
    const double *sink_key, *sink_value;
    int64_t sinks;
} ref_rows;

/* As the paper has it: heads past a power of two take every second slope of twice as many. */
static double slope_of(const ref_call *c, int64_t h, int64_t H) {
    int64_t n = 1;
    while (2 * n <= H) {
        n *= 2;
    }
    if (!c->node->params.attention.slopes) {
        return 0;
    }
    return h < n ? pow(2, -8.0 * (double)(h + 1) / (double)n) : slope_of(c, 2 * (h - n), 2 * n);
}

static double inner(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* The rows that a row sees which sees those from `first` on: that after j, and with j = -1 the
 * lowest. */
static int64_t next_row(const ref_rows *s, int64_t j, int64_t first) {
    const int64_t before = s->sinks < first ? s->sinks : first;
    return j + 1 < before || j >= first ? j + 1 : first;
}

/* Of the query in row t, which sees rows from `first` on. */
static double score(const ref_rows *s, const double *q, int64_t j, int64_t t, int64_t first) {
    const double *key = j < first ? s->sink_key + j * s->stride : s->key + j % s->ring * s->stride;
    return s->scale * inner(q, key, s->D) - s->slope * (double)(t - j);
}

/* o[D] = softmax over the sinks and rows first..last of the scores, times the values. Returns log
 * sum exp. */
static double attend(double *o, const ref_rows *s, const double *q, int64_t first, int64_t last) {
    double max = -INFINITY, sum = 0;
    for (int64_t j = next_row(s, -1, first); j <= last; j = next_row(s, j, first)) {
        max = fmax(max, score(s, q, j, last, first));
    }
    for (int64_t j = next_row(s, -1, first); j <= last; j = next_row(s, j, first)) {
        sum += exp(score(s, q, j, last, first) - max);
    }
    memset(o, 0, (size_t)s->D * sizeof *o);
    for (int64_t j = next_row(s, -1, first); j <= last; j = next_row(s, j, first)) {
        const double p = exp(score(s, q, j, last, first) - max) / sum;
        const double *v =
            j < first ? s->sink_value + j * s->stride : s->value + j % s->ring * s->stride;
        for (int64_t d = 0; d < s->D; d++) {
            o[d] += p * v[d];
        }
    }
    return max + log(sum);
}

static int64_t from_zero(double first) {
    return first > 0 ? (int64_t)first : 0;
}

/* q[B,T,H,D], k[B,T,G,D], v[B,T,G,D], first[B,T]; o[B,T,H,D], lse[B,T,H] or NULL. */
void ref_attention(const ref_call *c) {
    const tensor *q = c->node->input[0], *k = c->node->input[1];
    const int64_t B = q->dim[0], T = q->dim[1], H = q->dim[2], D = q->dim[3], G = k->dim[2];
    for (int64_t b = 0; b < B; b++) {
        for (int64_t h = 0; h < H; h++) {
            const int64_t head = b * T * G * D + h / (H / G) * D;
            const ref_rows s = {c->in[1] + head,
                                c->in[2] + head,
                                T,
                                G * D,
                                D,
                                c->node->params.attention.scale,
                                slope_of(c, h, H),
                                c->in[1] + head,
                                c->in[2] + head,
                                c->node->params.attention.sinks};
            for (int64_t t = 0; t < T; t++) {
                const int64_t row = (b * T + t) * H + h;
                const double lse = attend(c->out[0] + row * D, &s, c->in[0] + row * D,
                                          from_zero(c->in[3][b * T + t]), t);
                if (c->out[1]) {
                    c->out[1][row] = lse;
                }
            }
        }
    }
}

/* q, k, v, first, o[B,T,H,D], lse[B,T,H], d_o[B,T,H,D]; dq, dk, dv. */
void ref_attention_grad(const ref_call *c) {
    const tensor *q = c->node->input[0], *k = c->node->input[1];
    const int64_t B = q->dim[0], T = q->dim[1], H = q->dim[2], D = q->dim[3], G = k->dim[2];
    const double scale = c->node->params.attention.scale;
    memset(c->out[0], 0, (size_t)tensor_elements(q) * sizeof(double));
    memset(c->out[1], 0, (size_t)tensor_elements(k) * sizeof(double));
    memset(c->out[2], 0, (size_t)tensor_elements(k) * sizeof(double));
    for (int64_t b = 0; b < B; b++) {
        for (int64_t h = 0; h < H; h++) {
            const int64_t head = b * T * G * D + h / (H / G) * D;
            const ref_rows s = {c->in[1] + head,
                                c->in[2] + head,
                                T,
                                G * D,
                                D,
                                scale,
                                slope_of(c, h, H),
                                c->in[1] + head,
                                c->in[2] + head,
                                c->node->params.attention.sinks};
            for (int64_t t = 0; t < T; t++) {
                const int64_t row = (b * T + t) * H + h;
                const double *query = c->in[0] + row * D, *d_o = c->in[6] + row * D;
                const double delta = inner(d_o, c->in[4] + row * D, D);
                const int64_t first = from_zero(c->in[3][b * T + t]);
                for (int64_t j = next_row(&s, -1, first); j <= t; j = next_row(&s, j, first)) {
                    const int64_t at = head + j * G * D;
                    const double p = exp(score(&s, query, j, t, first) - c->in[5][row]);
                    const double ds = p * (inner(d_o, c->in[2] + at, D) - delta);
                    for (int64_t d = 0; d < D; d++) {
                        c->out[0][row * D + d] += scale * ds * c->in[1][at + d];
                        c->out[1][at + d] += scale * ds * query[d];
                        c->out[2][at + d] += p * d_o[d];
                    }
                }
            }
        }
    }
}

/* q[B,T,H,D], keys[S,R,G,D], values[S,R,G,D], slot[B], pos[B], count[B], first[B,T], and with sinks
 * their keys[S,R',G,D] and values. */
void ref_attention_cached(const ref_call *c) {
    const tensor *q = c->node->input[0], *keys = c->node->input[1];
    const int64_t B = q->dim[0], T = q->dim[1], H = q->dim[2], D = q->dim[3];
    const int64_t R = keys->dim[1], G = keys->dim[2];
    for (int64_t b = 0; b < B; b++) {
        const int64_t pos = (int64_t)c->in[4][b], count = (int64_t)c->in[5][b];
        for (int64_t t = 0; t < T; t++) {
            for (int64_t h = 0; h < H; h++) {
                double *o = c->out[0] + ((b * T + t) * H + h) * D;
                if (t >= count) {
                    memset(o, 0, (size_t)D * sizeof *o);
                    continue;
                }
                const int64_t head = (int64_t)c->in[3][b] * R * G * D + h / (H / G) * D;
                ref_rows s = {.key = c->in[1] + head,
                              .value = c->in[2] + head,
                              .ring = R,
                              .stride = G * D,
                              .D = D,
                              .scale = c->node->params.attention.scale,
                              .slope = slope_of(c, h, H),
                              .sinks = c->node->params.attention.sinks};
                if (s.sinks) {
                    const int64_t rows = c->node->input[7]->dim[1];
                    const int64_t at = (int64_t)c->in[3][b] * rows * G * D + h / (H / G) * D;
                    s.sink_key = c->in[7] + at;
                    s.sink_value = c->in[8] + at;
                }
                attend(o, &s, c->in[0] + ((b * T + t) * H + h) * D, from_zero(c->in[6][b * T + t]),
                       pos + t);
            }
        }
    }
}
