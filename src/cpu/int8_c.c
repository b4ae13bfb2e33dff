/* int8_c.c: int8 arithmetic in plain C, the specification of its bits, and the form of weights. */
#include "cpu/int8_rows.inc"

static void multiply_c(const int8_product *p) {
    const int8_weights *w = p->w;
    const int64_t groups = int8_padded(w->k) / 4;
    for (int64_t panel = p->panel; panel < p->panel_end; panel++) {
        const int64_t column = panel * INT8_PANEL, left = w->n - column;
        const int width = left < INT8_PANEL ? (int)left : INT8_PANEL;
        const int8_t *from = w->panels + panel * groups * 4 * INT8_PANEL;
        for (int64_t m = 0; m < p->rows; m++) {
            int32_t sum[INT8_PANEL] = {0};
            const uint8_t *x = p->x + m * p->stride;
            for (int64_t g = 0; g < groups; g++)
                for (int j = 0; j < INT8_PANEL; j++)
                    for (int i = 0; i < 4; i++)
                        sum[j] += (x[4 * g + i] - 128) * from[(g * INT8_PANEL + j) * 4 + i];
            for (int j = 0; j < width; j++)
                p->y[m * p->y_stride + column + j] =
                    (float)sum[j] * (p->x_scale[m] * w->scale[column + j]);
        }
    }
}

static void scores_c(const int8_scores *s) {
    const int64_t groups = int8_padded(s->d) / 4;
    for (int t = 0; t < s->n_tiles; t++) {
        const uint8_t *tile = s->tiles + t * int8_tile_bytes(s->d);
        const int8_t *k = (const int8_t *)tile;
        float scale[INT8_PANEL];
        memcpy(scale, tile + groups * 4 * INT8_PANEL, sizeof scale);
        for (int m = 0; m < s->rows; m++) {
            const int8_t *q = s->q + m * s->q_stride;
            float *score = s->score + m * s->score_stride + t * INT8_PANEL;
            int32_t sum[INT8_PANEL] = {0};
            for (int64_t g = 0; g < groups; g++)
                for (int j = 0; j < INT8_PANEL; j++)
                    for (int i = 0; i < 4; i++)
                        sum[j] += q[4 * g + i] * k[(g * INT8_PANEL + j) * 4 + i];
            for (int j = 0; j < INT8_PANEL; j++)
                score[j] = (float)sum[j] * (s->q_scale[m] * scale[j]);
        }
    }
}

static void add_values_c(const int8_values *v) {
    const int64_t d = int8_padded(v->d);
    for (int t = 0; t < v->n_tiles; t++) {
        const int8_t *tile = (const int8_t *)v->tiles + t * int8_tile_bytes(v->d);
        for (int m = 0; m < 2 * v->rows; m++) {
            const uint8_t *w = v->weights + m * v->lanes + t * INT8_PANEL;
            int32_t *sum = v->sum + m * d;
            for (int j = 0; j < INT8_PANEL; j++)
                for (int64_t i = 0; i < d; i++)
                    sum[i] += w[j] * tile[(j / 4 * d + i) * 4 + j % 4];
        }
    }
}

void int8_kernels_c(int8_kernels *k) {
    *k = (int8_kernels){.round = round_row,
                        .multiply = multiply_c,
                        .scores = scores_c,
                        .soften = soften_row,
                        .add_values = add_values_c};
}

void int8_tile_put(uint8_t *tile, int64_t d, int lane, int values, const uint8_t *q, float scale) {
    const int64_t padded = int8_padded(d);
    memcpy(tile + INT8_PANEL * padded + lane * (int64_t)sizeof scale, &scale, sizeof scale);
    if (values) {
        uint8_t *to = tile + lane / 4 * 4 * padded + lane % 4;
        for (int64_t i = 0; i < padded; i++)
            to[4 * i] = q[i];
    } else {
        for (int64_t i = 0; i < padded; i += 4)
            memcpy(tile + i * INT8_PANEL + 4 * lane, q + i, 4);
    }
}

/* --- weights: panels, then scales, then sums ------------------------------------------------- */

static int64_t panels_of(int64_t n) {
    return (n + INT8_PANEL - 1) / INT8_PANEL;
}

static int64_t panel_bytes(int64_t k) {
    return int8_padded(k) * INT8_PANEL;
}

size_t int8_weights_bytes(int64_t n, int64_t k) {
    return (size_t)(panels_of(n) * (panel_bytes(k) + INT8_PANEL * 8));
}

int8_weights int8_weights_of(const void *form, int64_t n, int64_t k) {
    const int8_t *panels = form;
    const void *scale = panels + panels_of(n) * panel_bytes(k);
    const float *scales = scale;
    const void *sum = scales + panels_of(n) * INT8_PANEL;
    return (int8_weights){panels, scales, sum, k, n};
}

void int8_weights_pack(void *form, const float *w, int64_t n, int64_t k, int64_t panel,
                       int64_t panel_end) {
    int8_t *panels = form;
    float *scale = (void *)(panels + panels_of(n) * panel_bytes(k));
    int32_t *sum = (void *)(scale + panels_of(n) * INT8_PANEL);
    memset(panels + panel * panel_bytes(k), 0, (size_t)((panel_end - panel) * panel_bytes(k)));
    for (int64_t row = panel * INT8_PANEL; row < panel_end * INT8_PANEL; row++) {
        int8_t *to = panels + row / INT8_PANEL * panel_bytes(k) + row % INT8_PANEL * 4;
        float inverse = 0.0f;
        sum[row] = 0;
        scale[row] = row < n ? scale_of(&inverse, largest_bits(w + row * k, k)) : 0.0f;
        for (int64_t i = 0; i < k && inverse != 0.0f; i++) {
            const float t = w[row * k + i] * inverse + MAGIC;
            const int8_t q = (int8_t)(exact_bits(t) - exact_bits(MAGIC));
            to[i / 4 * 4 * INT8_PANEL + i % 4] = q;
            sum[row] += q;
        }
    }
}
