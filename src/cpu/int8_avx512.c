/* int8_avx512.c: int8 arithmetic for AVX-512 with VNNI.
 *
 * vpdpbusd adds four products of a byte without sign and one with sign to each of 16 sums, without
 * saturation. Rows of x come as integers + 128, so 128 times the sum of the weights is taken off;
 * of keys the sign bit is turned over, so 128 times the sum of q is. */
#include <immintrin.h>

#define INT8_SCALARS_ONLY
#include "cpu/int8_rows.inc"

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 6, PANELS = 4 };

INLINE __m512i broadcast4(const void *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return _mm512_set1_epi32(four);
}

/* A compiler that knows the instruction as a built-in moves its sum about. */
INLINE __m512i add_products(__m512i sum, __m512i a, __m512i b) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

INLINE __mmask16 mask_of(int64_t n) {
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1u);
}

/* rows x (panels of 16 columns); constants where it is inlined. */
INLINE void tile(const int8_product *p, int64_t m, int64_t panel, const int rows,
                 const int panels) {
    const int8_weights *w = p->w;
    const int64_t groups = int8_padded(w->k) / 4, panel_bytes = groups * 64;
    const int8_t *b = w->panels + panel * panel_bytes;
    const uint8_t *x = p->x + m * p->stride;
    __m512i sum[ROWS][PANELS];
    UNROLL
    for (int j = 0; j < panels; j++) {
        const __m512i of_weights = _mm512_loadu_si512(w->sum + (panel + j) * INT8_PANEL);
        const __m512i start =
            _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(of_weights, 7));
        UNROLL
        for (int i = 0; i < rows; i++)
            sum[i][j] = start;
    }
    for (int64_t g = 0; g < groups; g++, b += 64, x += 4) {
        __m512i four[PANELS];
        UNROLL
        for (int j = 0; j < panels; j++)
            four[j] = _mm512_loadu_si512(b + j * panel_bytes);
        UNROLL
        for (int i = 0; i < rows; i++) {
            const __m512i a = broadcast4(x + i * p->stride);
            UNROLL
            for (int j = 0; j < panels; j++)
                sum[i][j] = add_products(sum[i][j], a, four[j]);
        }
    }
    UNROLL
    for (int j = 0; j < panels; j++) {
        const int64_t column = (panel + j) * INT8_PANEL;
        const __mmask16 mask = mask_of(w->n - column);
        const __m512 scale = _mm512_loadu_ps(w->scale + column);
        UNROLL
        for (int i = 0; i < rows; i++) {
            const __m512 both = _mm512_mul_ps(_mm512_set1_ps(p->x_scale[m + i]), scale);
            const __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[i][j]), both);
            _mm512_mask_storeu_ps(p->y + (m + i) * p->y_stride + column, mask, y);
        }
    }
}

#define TILES(P)                                                                                   \
    static void tiles_##P(const int8_product *p, int64_t panel) {                                  \
        int64_t m = 0;                                                                             \
        for (; m + 6 <= p->rows; m += 6)                                                           \
            tile(p, m, panel, 6, P);                                                               \
        switch (p->rows - m) {                                                                     \
        case 5:                                                                                    \
            tile(p, m, panel, 5, P);                                                               \
            break;                                                                                 \
        case 4:                                                                                    \
            tile(p, m, panel, 4, P);                                                               \
            break;                                                                                 \
        case 3:                                                                                    \
            tile(p, m, panel, 3, P);                                                               \
            break;                                                                                 \
        case 2:                                                                                    \
            tile(p, m, panel, 2, P);                                                               \
            break;                                                                                 \
        case 1:                                                                                    \
            tile(p, m, panel, 1, P);                                                               \
            break;                                                                                 \
        default:                                                                                   \
            break;                                                                                 \
        }                                                                                          \
    }
TILES(4)
TILES(2)
TILES(1)

void int8_multiply_avx512(const int8_product *p) {
    int64_t panel = p->panel;
    for (; panel + 4 <= p->panel_end; panel += 4)
        tiles_4(p, panel);
    for (; panel + 2 <= p->panel_end; panel += 2)
        tiles_2(p, panel);
    for (; panel < p->panel_end; panel++)
        tiles_1(p, panel);
}

/* --- rounding: as int8_rows.inc, where adding MAGIC is what the conversion does -----------------
 */

/* Integers of 16 elements. */
INLINE __m512i rounded(const float *x, __m512 factor) {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), factor));
}

static float round_avx512(uint8_t *q, const float *x, int64_t n, uint8_t bias) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    /* 16 elements of 8 bits: packing leaves quarters of each vector side by side */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i most = _mm512_setzero_si512();
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        most = _mm512_max_epu32(most, _mm512_and_si512(_mm512_loadu_si512(x + i), magnitude));
    if (i < n)
        most = _mm512_max_epu32(
            most, _mm512_and_si512(_mm512_maskz_loadu_epi32(mask_of(n - i), x + i), magnitude));
    float inverse;
    const float scale = scale_of(&inverse, _mm512_reduce_max_epu32(most));
    for (i = n; i < int8_padded(n); i++)
        q[i] = bias;
    if (inverse == 0.0f) {
        memset(q, bias, (size_t)n);
        return scale;
    }
    const __m512 factor = _mm512_set1_ps(inverse);
    const __m512i more = _mm512_set1_epi8((char)bias);
    for (i = 0; i + 64 <= n; i += 64) {
        const __m512i a = _mm512_packs_epi32(rounded(x + i, factor), rounded(x + i + 16, factor));
        const __m512i b =
            _mm512_packs_epi32(rounded(x + i + 32, factor), rounded(x + i + 48, factor));
        const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(a, b));
        _mm512_storeu_si512(q + i, _mm512_add_epi8(bytes, more));
    }
    for (; i < n; i += 16) {
        const __mmask16 mask = mask_of(n - i);
        const __m512 y = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factor);
        const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(y));
        _mm_mask_storeu_epi8(q + i, mask, _mm_add_epi8(bytes, _mm512_castsi512_si128(more)));
    }
    return scale;
}

/* --- attention ------------------------------------------------------------------------------- */

/* rows x (tiles of 16 keys). */
INLINE void score_tiles(const int8_scores *s, int m, int t, const int rows, const int tiles) {
    const int64_t groups = int8_padded(s->d) / 4, bytes = int8_tile_bytes(s->d);
    const uint8_t *k = s->tiles + t * bytes;
    const int8_t *q = s->q + m * s->q_stride;
    const __m512i sign = _mm512_set1_epi8(-128), ones = _mm512_set1_epi8(1);
    __m512i sum[4][4], of_q[4];
    UNROLL
    for (int i = 0; i < rows; i++) {
        of_q[i] = _mm512_setzero_si512();
        UNROLL
        for (int j = 0; j < tiles; j++)
            sum[i][j] = _mm512_setzero_si512();
    }
    for (int64_t g = 0; g < groups; g++, k += 64, q += 4) {
        __m512i four[4];
        UNROLL
        for (int j = 0; j < tiles; j++)
            four[j] = _mm512_xor_si512(_mm512_loadu_si512(k + j * bytes), sign);
        UNROLL
        for (int i = 0; i < rows; i++) {
            const __m512i a = broadcast4(q + i * s->q_stride);
            of_q[i] = add_products(of_q[i], ones, a);
            UNROLL
            for (int j = 0; j < tiles; j++)
                sum[i][j] = add_products(sum[i][j], four[j], a);
        }
    }
    UNROLL
    for (int j = 0; j < tiles; j++) {
        const __m512 scale =
            _mm512_loadu_ps((const void *)(s->tiles + (t + j) * bytes + groups * 64));
        UNROLL
        for (int i = 0; i < rows; i++) {
            const __m512i exact = _mm512_sub_epi32(sum[i][j], _mm512_slli_epi32(of_q[i], 7));
            const __m512 both = _mm512_mul_ps(_mm512_set1_ps(s->q_scale[m + i]), scale);
            _mm512_storeu_ps(s->score + (m + i) * s->score_stride + (t + j) * INT8_PANEL,
                             _mm512_mul_ps(_mm512_cvtepi32_ps(exact), both));
        }
    }
}

static void scores(const int8_scores *s) {
    int m = 0;
    for (; m + 4 <= s->rows; m += 4) {
        int t = 0;
        for (; t + 4 <= s->n_tiles; t += 4)
            score_tiles(s, m, t, 4, 4);
        for (; t < s->n_tiles; t++)
            score_tiles(s, m, t, 4, 1);
    }
    for (; m < s->rows; m++) {
        int t = 0;
        for (; t + 4 <= s->n_tiles; t += 4)
            score_tiles(s, m, t, 1, 4);
        for (; t < s->n_tiles; t++)
            score_tiles(s, m, t, 1, 1);
    }
}

/* rows x (vectors of 16 elements from d on). */
INLINE void value_tiles(const int8_values *v, int m, int64_t d, const int rows, const int vectors,
                        __mmask16 last) {
    const int64_t padded = int8_padded(v->d), bytes = int8_tile_bytes(v->d);
    __m512i sum[8][4];
    UNROLL
    for (int i = 0; i < 2 * rows; i++)
        UNROLL
    for (int j = 0; j < vectors; j++)
        sum[i][j] = _mm512_maskz_loadu_epi32(j + 1 < vectors ? 0xffff : last,
                                             v->sum + (2 * m + i) * padded + d + 16 * j);
    for (int t = 0; t < v->n_tiles; t++) {
        const uint8_t *from = v->tiles + t * bytes + 4 * d;
        const uint8_t *w = v->weights + 2 * m * v->lanes + t * INT8_PANEL;
        for (int g = 0; g < 4; g++, from += 4 * padded, w += 4) {
            __m512i four[4];
            UNROLL
            for (int j = 0; j < vectors; j++)
                four[j] = _mm512_maskz_loadu_epi32(j + 1 < vectors ? 0xffff : last, from + 64 * j);
            UNROLL
            for (int i = 0; i < 2 * rows; i++) {
                const __m512i a = broadcast4(w + i * v->lanes);
                UNROLL
                for (int j = 0; j < vectors; j++)
                    sum[i][j] = add_products(sum[i][j], a, four[j]);
            }
        }
    }
    UNROLL
    for (int i = 0; i < 2 * rows; i++)
        UNROLL
    for (int j = 0; j < vectors; j++)
        _mm512_mask_storeu_epi32(v->sum + (2 * m + i) * padded + d + 16 * j,
                                 j + 1 < vectors ? 0xffff : last, sum[i][j]);
}

static void add_values(const int8_values *v) {
    const int64_t padded = int8_padded(v->d);
    for (int64_t d = 0; d < padded; d += 64) {
        const int64_t left = padded - d;
        int m = 0;
        if (left >= 64) {
            for (; m + 2 <= v->rows; m += 2)
                value_tiles(v, m, d, 2, 4, 0xffff);
            for (; m < v->rows; m++)
                value_tiles(v, m, d, 1, 4, 0xffff);
            continue;
        }
        for (int64_t e = d; e < padded; e += 16) {
            for (m = 0; m + 4 <= v->rows; m += 4)
                value_tiles(v, m, e, 4, 1, mask_of(padded - e));
            for (; m < v->rows; m++)
                value_tiles(v, m, e, 1, 1, mask_of(padded - e));
        }
    }
}

/* Lanes i and i+8, then i and i+4, i+2, i+1. */
INLINE float tree_sum(__m512 v) {
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

/* exact_exp of x <= 0 or NaN. The product n 0.693359375 is exact, so that its fused difference
 * rounds alike. */
INLINE __m512 negative_exp(__m512 x) {
    const __m512 magic = _mm512_set1_ps(MAGIC);
    const __m512 t = _mm512_add_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), magic);
    const __m512 n = _mm512_sub_ps(t, magic);
    const __m512 r = _mm512_sub_ps(_mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x),
                                   _mm512_mul_ps(n, _mm512_set1_ps(-2.12194440e-4f)));
    __m512 q = _mm512_set1_ps(1.9875691500e-4f);
    q = _mm512_add_ps(_mm512_mul_ps(q, r), _mm512_set1_ps(1.3981999507e-3f));
    q = _mm512_add_ps(_mm512_mul_ps(q, r), _mm512_set1_ps(8.3334519073e-3f));
    q = _mm512_add_ps(_mm512_mul_ps(q, r), _mm512_set1_ps(4.1665795894e-2f));
    q = _mm512_add_ps(_mm512_mul_ps(q, r), _mm512_set1_ps(1.6666665459e-1f));
    q = _mm512_add_ps(_mm512_mul_ps(q, r), _mm512_set1_ps(5.0000001201e-1f));
    const __m512 y = _mm512_add_ps(_mm512_add_ps(_mm512_mul_ps(q, _mm512_mul_ps(r, r)), r),
                                   _mm512_set1_ps(1.0f));
    const __m512i p = _mm512_maskz_add_epi32(
        _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.3365402f), _CMP_NLT_UQ), _mm512_castps_si512(y),
        _mm512_slli_epi32(_mm512_castps_si512(t), 23));
    return _mm512_mask_mov_ps(_mm512_castsi512_ps(p), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
}

static float soften_avx512(const int8_softmax *x) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff), low = _mm512_set1_epi32(127);
    const int lanes = x->lanes;
    float *s = x->score;
    hide_unseen(x);
    __m512 top = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
    for (int i = 0; i < lanes; i += 16)
        top = _mm512_max_ps(_mm512_loadu_ps(s + i), top);
    const __m512 max = _mm512_set1_ps(_mm512_reduce_max_ps(top));
    __m512i most = _mm512_setzero_si512();
    for (int i = 0; i < lanes; i += 16) {
        const __m512 p = negative_exp(_mm512_sub_ps(_mm512_loadu_ps(s + i), max));
        const __mmask16 some = _mm512_cmp_ps_mask(p, _mm512_setzero_ps(), _CMP_GT_OQ);
        const __m512 w = _mm512_maskz_mul_ps(some, p, _mm512_loadu_ps(x->scale + i));
        sum = _mm512_add_ps(sum, p);
        most = _mm512_max_epu32(most, _mm512_and_si512(_mm512_castps_si512(w), magnitude));
        _mm512_storeu_ps(s + i, w);
    }
    float inverse;
    const float factor = factor_of(&inverse, _mm512_reduce_max_epu32(most), tree_sum(sum));
    const __m512 by = _mm512_set1_ps(inverse);
    for (int i = 0; i < lanes; i += 16) {
        const __m512i w = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(s + i), by));
        const __m512i high = _mm512_and_si512(_mm512_srli_epi32(w, 7), low);
        _mm_storeu_si128((void *)(x->high + i), _mm512_cvtepi32_epi8(high));
        _mm_storeu_si128((void *)(x->low + i), _mm512_cvtepi32_epi8(_mm512_and_si512(w, low)));
    }
    return factor;
}

void int8_kernels_avx512(int8_kernels *k) {
    *k = (int8_kernels){.round = round_avx512,
                        .multiply = int8_multiply_avx512,
                        .scores = scores,
                        .soften = soften_avx512,
                        .add_values = add_values};
}
