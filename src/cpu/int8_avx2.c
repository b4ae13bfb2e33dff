/* int8_avx2.c: int8 arithmetic for AVX2.
 *
 * vpmaddubsw saturates at 2^15, which two products of magnitudes up to 127 stay below: |a| times b
 * with the sign of a. The pairs are then added as 32 bits. */
#include <immintrin.h>

#include "cpu/int8_rows.inc"

#define INLINE static inline __attribute__((always_inline))

INLINE __m256i broadcast4(const void *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm256_set1_epi32(four);
}

/* sum + four products each of a, magnitudes `size`, and b. */
INLINE __m256i add_products(__m256i sum, __m256i size, __m256i a, __m256i b) {
    const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(b, a));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

INLINE __m256i load(const void *from) {
    return _mm256_loadu_si256(from);
}

/* Four rows at most of one panel. */
INLINE void tile(const int8_product *p, int64_t m, int64_t panel, const int rows) {
    const int8_weights *w = p->w;
    const int64_t groups = int8_padded(w->k) / 4, column = panel * INT8_PANEL;
    const int8_t *b = w->panels + panel * groups * 64;
    const uint8_t *x = p->x + m * p->stride;
    const __m256i sign = _mm256_set1_epi8(-128);
    __m256i sum[4][2];
    for (int i = 0; i < rows; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_si256();
    for (int64_t g = 0; g < groups; g++, b += 64, x += 4) {
        const __m256i low = load(b), high = load(b + 32);
        for (int i = 0; i < rows; i++) {
            const __m256i a = _mm256_xor_si256(broadcast4(x + i * p->stride), sign);
            const __m256i size = _mm256_abs_epi8(a);
            sum[i][0] = add_products(sum[i][0], size, a, low);
            sum[i][1] = add_products(sum[i][1], size, a, high);
        }
    }
    for (int i = 0; i < rows; i++) {
        const __m256 scale = _mm256_set1_ps(p->x_scale[m + i]);
        float y[INT8_PANEL], *to = p->y + (m + i) * p->y_stride + column;
        for (int h = 0; h < 2; h++)
            _mm256_storeu_ps(
                y + 8 * h,
                _mm256_mul_ps(_mm256_cvtepi32_ps(sum[i][h]),
                              _mm256_mul_ps(scale, _mm256_loadu_ps(w->scale + column + 8 * h))));
        const int64_t left = w->n - column;
        memcpy(to, y, (size_t)(left < INT8_PANEL ? left : INT8_PANEL) * sizeof *y);
    }
}

static void multiply(const int8_product *p) {
    for (int64_t panel = p->panel; panel < p->panel_end; panel++) {
        int64_t m = 0;
        for (; m + 4 <= p->rows; m += 4)
            tile(p, m, panel, 4);
        for (; m < p->rows; m++)
            tile(p, m, panel, 1);
    }
}

INLINE void score_tile(const int8_scores *s, int m, int t, const int rows) {
    const int64_t groups = int8_padded(s->d) / 4;
    const uint8_t *k = s->tiles + t * int8_tile_bytes(s->d);
    const int8_t *q = s->q + m * s->q_stride;
    __m256i sum[4][2];
    for (int i = 0; i < rows; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_si256();
    for (int64_t g = 0; g < groups; g++, k += 64, q += 4) {
        const __m256i low = load(k), high = load(k + 32);
        for (int i = 0; i < rows; i++) {
            const __m256i a = broadcast4(q + i * s->q_stride), size = _mm256_abs_epi8(a);
            sum[i][0] = add_products(sum[i][0], size, a, low);
            sum[i][1] = add_products(sum[i][1], size, a, high);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int h = 0; h < 2; h++) {
            const __m256 scale = _mm256_loadu_ps((const void *)(k + 32 * h));
            const __m256 both = _mm256_mul_ps(_mm256_set1_ps(s->q_scale[m + i]), scale);
            _mm256_storeu_ps(s->score + (m + i) * s->score_stride + t * INT8_PANEL + 8 * h,
                             _mm256_mul_ps(_mm256_cvtepi32_ps(sum[i][h]), both));
        }
}

static void scores(const int8_scores *s) {
    int m = 0;
    for (; m + 4 <= s->rows; m += 4)
        for (int t = 0; t < s->n_tiles; t++)
            score_tile(s, m, t, 4);
    for (; m < s->rows; m++)
        for (int t = 0; t < s->n_tiles; t++)
            score_tile(s, m, t, 1);
}

/* Eight elements from d on of one row; weights are below 128, so pairs do not saturate. */
INLINE void value_tiles(const int8_values *v, int m, int64_t d) {
    const int64_t padded = int8_padded(v->d), bytes = int8_tile_bytes(v->d);
    int32_t *to = v->sum + 2 * m * padded + d;
    const uint8_t *w = v->weights + 2 * m * v->lanes;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i high = load(to), low = load(to + padded);
    for (int t = 0; t < v->n_tiles; t++)
        for (int g = 0; g < 4; g++) {
            const __m256i four = load(v->tiles + t * bytes + 4 * (g * padded + d));
            const uint8_t *of = w + t * INT8_PANEL + 4 * g;
            const __m256i a = _mm256_maddubs_epi16(broadcast4(of), four);
            const __m256i b = _mm256_maddubs_epi16(broadcast4(of + v->lanes), four);
            high = _mm256_add_epi32(high, _mm256_madd_epi16(a, ones));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(b, ones));
        }
    _mm256_storeu_si256((void *)to, high);
    _mm256_storeu_si256((void *)(to + padded), low);
}

/* Elements d to the end of one row. */
static void value_rest(const int8_values *v, int m, int64_t d) {
    const int64_t padded = int8_padded(v->d), bytes = int8_tile_bytes(v->d);
    for (int part = 0; part < 2; part++) {
        int32_t *sum = v->sum + (2 * m + part) * padded;
        const uint8_t *w = v->weights + (2 * m + part) * v->lanes;
        for (int j = 0; j < v->n_tiles * INT8_PANEL; j++) {
            const int8_t *from = (const int8_t *)v->tiles + j / INT8_PANEL * bytes +
                                 j % INT8_PANEL / 4 * 4 * padded + j % 4;
            for (int64_t i = d; i < padded; i++)
                sum[i] += w[j] * from[4 * i];
        }
    }
}

static void add_values(const int8_values *v) {
    const int64_t padded = int8_padded(v->d);
    for (int m = 0; m < v->rows; m++) {
        int64_t d = 0;
        for (; d + 8 <= padded; d += 8)
            value_tiles(v, m, d);
        if (d < padded)
            value_rest(v, m, d);
    }
}

void int8_kernels_avx2(int8_kernels *k) {
    *k = (int8_kernels){.round = round_row,
                        .multiply = multiply,
                        .scores = scores,
                        .soften = soften_row,
                        .add_values = add_values};
}
