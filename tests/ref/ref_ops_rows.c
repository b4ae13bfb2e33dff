/* ref_ops_rows.c: ops that move rows (gather, scatter, store) or rotate them, in double. */
#include "ref_ops.h"

/* y[..,C] from x[N,C], start[S,C] or NULL, index[..]. */
void ref_gather(const ref_call *c) {
    const tensor *x = c->node->input[0], *start = c->node->input[1], *index = c->node->input[2];
    const int64_t rows = tensor_elements(index), C = tensor_columns(x);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t i = (int64_t)c->in[2][r];
        const double *source = NULL;
        if (i >= 0 && i < tensor_rows(x)) {
            source = c->in[0] + i * C;
        } else if (i < 0 && i != GATHER_NONE && start && -1 - i < tensor_rows(start)) {
            source = c->in[1] + (-1 - i) * C;
        }
        for (int64_t j = 0; j < C; j++) {
            c->out[0][r * C + j] = source ? source[j] : 0;
        }
    }
}

/* y[..,C] from x[N,C], index[..,U]. */
void ref_gather_sum(const ref_call *c) {
    const tensor *x = c->node->input[0], *index = c->node->input[1];
    const int64_t rows = tensor_rows(index), U = tensor_columns(index), C = tensor_columns(x);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < C; j++) {
            double sum = 0;
            for (int64_t u = 0; u < U; u++) {
                const int64_t i = (int64_t)c->in[1][r * U + u];
                sum += i >= 0 && i < tensor_rows(x) ? c->in[0][i * C + j] : 0;
            }
            c->out[0][r * C + j] = sum;
        }
    }
}

/* y[n,C] from dy[..,C], index[..], `each` for every row of dy. */
void ref_scatter(const ref_call *c) {
    const int64_t rows = tensor_elements(c->node->input[1]), C = tensor_columns(c->node->input[0]);
    const int64_t n = tensor_rows(c->node->output[0]), each = c->node->params.scatter.each;
    for (int64_t i = 0; i < n * C; i++) {
        c->out[0][i] = 0;
    }
    for (int64_t r = 0; r < rows; r++) {
        int64_t i = (int64_t)c->in[1][r];
        if (i == GATHER_NONE) {
            continue;
        }
        if (c->node->params.scatter.from_start) {
            i = -1 - i;
        }
        if (i >= 0 && i < n) {
            for (int64_t j = 0; j < C; j++) {
                c->out[0][i * C + j] += c->in[0][r / each * C + j];
            }
        }
    }
}

/* x[B,T,H,D], table[B,T,D] = cos[D/2] then sin[D/2]; pair i is i and i + D/2, or 2i and 2i + 1. */
void ref_rope(const ref_call *c) {
    const tensor *x = c->node->input[0];
    const int64_t rows = x->dim[0] * x->dim[1], H = x->dim[2], D = x->dim[3];
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t h = 0; h < H; h++) {
            const double *u = c->in[0] + (r * H + h) * D;
            double *y = c->out[0] + (r * H + h) * D;
            for (int64_t i = 0; i < D / 2; i++) {
                const double cosine = c->in[1][r * D + i];
                const double sine =
                    c->in[1][r * D + D / 2 + i] * (c->node->params.rope.inverse ? -1 : 1);
                const int neighbours = c->node->params.rope.neighbours;
                const int64_t a = neighbours ? 2 * i : i, b = neighbours ? 2 * i + 1 : i + D / 2;
                y[a] = u[a] * cosine - u[b] * sine;
                y[b] = u[a] * sine + u[b] * cosine;
            }
        }
    }
}

/* state[S,R,...], x[B,T,...], slot[B], pos[B], count[B]; in place. Of store_first rows below R
 * only.
 */
void ref_store(const ref_call *c) {
    const tensor *state = c->node->input[0], *x = c->node->input[1];
    const int64_t R = state->dim[1], B = x->dim[0], T = x->dim[1];
    const int64_t width = tensor_elements(x) / (B * T);
    for (int64_t b = 0; b < B; b++) {
        const int64_t slot = (int64_t)c->in[2][b], pos = (int64_t)c->in[3][b];
        for (int64_t t = 0; t < T && t < (int64_t)c->in[4][b]; t++) {
            if (c->node->params.store.first && pos + t >= R) {
                break;
            }
            double *row = c->out[0] + (slot * R + (pos + t) % R) * width;
            for (int64_t i = 0; i < width; i++) {
                row[i] = c->in[1][(b * T + t) * width + i];
            }
        }
    }
}

/* x[B,T,C], first[B,T]; channels from ceil(C/2) on are those of the row before, or after. With
 * start row 0 is before every row that begins a sequence. */
void ref_shift(const ref_call *c) {
    const tensor *x = c->node->input[0];
    const int64_t T = x->dim[1], C = x->dim[2], n = tensor_elements(x);
    const int inverse = c->node->params.shift.inverse;
    for (int64_t i = 0; i < n; i++) {
        const int64_t t = i / C % T, b = i / C / T;
        const int64_t later = inverse ? t + 1 : t; /* of the two rows that meet */
        const int meet = later > 0 && later < T && c->in[1][b * T + later] < (double)later;
        if (i % C < (C + 1) / 2) {
            c->out[0][i] = c->in[0][i];
        } else {
            c->out[0][i] = meet ? c->in[0][inverse ? i + C : i - C] : 0;
        }
    }
    for (int64_t i = 0; i < n && c->node->params.shift.start; i++) {
        const int64_t t = i / C % T, b = i / C / T, zero = b * T * C + i % C;
        if (i % C < (C + 1) / 2 || t == 0 || c->in[1][b * T + t] < (double)t) {
            continue;
        }
        if (inverse) {
            c->out[0][zero] += c->in[0][i];
        } else {
            c->out[0][i] = c->in[0][zero];
        }
    }
}

/* x[B,T,C], state[S,R,1,C], slot[B], pos[B], count[B], first[B,T], with start first rows[S,R',1,C].
 */
void ref_shift_cached(const ref_call *c) {
    const tensor *x = c->node->input[0];
    const int64_t T = x->dim[1], C = x->dim[2], R = c->node->input[1]->dim[1];
    const int64_t n = tensor_elements(x);
    for (int64_t i = 0; i < n; i++) {
        const int64_t t = i / C % T, b = i / C / T;
        const int64_t slot = (int64_t)c->in[2][b], row = (int64_t)c->in[3][b] + t;
        double y = i % C < (C + 1) / 2 ? c->in[0][i] : 0;
        if (i % C >= (C + 1) / 2 && row > 0 && c->in[5][b * T + t] < (double)row) {
            y = c->in[1][(slot * R + (row - 1) % R) * C + i % C];
        } else if (i % C >= (C + 1) / 2 && row > 0 && c->node->params.shift.start) {
            y = c->in[6][slot * c->node->input[6]->dim[1] * C + i % C];
        }
        c->out[0][i] = t < (int64_t)c->in[4][b] ? y : 0;
    }
}
