/* matmul_avx512.c: the matrix product for AVX-512.
 *
 * A tile of up to 14 rows x 32 columns fills the 32 registers: 28 sums, two vectors of b, one
 * broadcast of a. With few rows one panel has too few independent chains to cover the latency of
 * the multiply-add, so several panels run side by side. */
#include "cpu/matmul_kernels.h"

#include <immintrin.h>

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

enum {
    ROWS = 14,
    VECTORS_MAX = 8,
    AHEAD = 8 * MATMUL_PANEL, /* floats between the load of b and its prefetch */
    STEP = 64,                /* of k, between the prefetches of a and y */
    UNROLL_K = 2
};

INLINE __mmask16 mask_of(int64_t n) {
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n > 0 ? n : 0)) - 1);
}

/* Walks over a block's rectangles ahead, some lines at each of many steps. */
typedef struct walk {
    matmul_ahead now, then;
    int64_t column;
    int64_t lines; /* at a step */
} walk;

static int64_t lines_of(const matmul_ahead *a) {
    return a->rows * ((a->length + 15) / 16);
}

static walk walk_start(const matmul_block *t) {
    const int64_t lines = lines_of(&t->ahead[0]) + lines_of(&t->ahead[1]);
    const int64_t steps =
        (t->columns + MATMUL_PANEL - 1) / MATMUL_PANEL * ((t->k + STEP - 1) / STEP);
    return (walk){.now = t->ahead[0],
                  .then = t->ahead[1],
                  .lines = steps > 0 && lines > 0 ? (lines + steps - 1) / steps : 0};
}

INLINE void walk_step(walk *w) {
    for (int64_t i = 0; i < w->lines; i++) {
        if (w->now.rows <= 0) {
            w->now = w->then;
            w->then.rows = 0;
            if (w->now.rows <= 0)
                return;
        }
        _mm_prefetch((const char *)(w->now.from + w->column), _MM_HINT_T1);
        w->column += 16;
        if (w->column >= w->now.length) {
            w->column = 0;
            w->now.from += w->now.stride;
            w->now.rows--;
        }
    }
}

/* One step of k: sum += a[rows] b[32 panels]. */
INLINE void step(__m512 sum[ROWS][VECTORS_MAX], const float *const *a, const float *b,
                 const matmul_block *t, const int rows, const int panels) {
    __m512 row[VECTORS_MAX];
    UNROLL
    for (int j = 0; j < 2 * panels; j++) {
        const float *from = b + j / 2 * t->panel_stride + j % 2 * 16;
        row[j] = _mm512_loadu_ps(from);
        _mm_prefetch((const char *)(from + AHEAD), _MM_HINT_T0);
        if (rows > 1) /* else a compiler loads it again for each row */
            __asm__("" : "+v"(row[j]));
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        const __m512 x = _mm512_set1_ps(a[i / 3][i % 3 * t->a_row]);
        UNROLL
        for (int j = 0; j < 2 * panels; j++)
            sum[i][j] = _mm512_fmadd_ps(x, row[j], sum[i][j]);
    }
}

/* rows x (32 panels) sums at `column`. rows, panels and packed, whether a is a packed panel, are
 * constants where it is inlined. */
INLINE void tile(const matmul_block *block, int64_t column, walk *w, const int rows,
                 const int panels, const int packed) {
    matmul_block t = *block;
    const int64_t a_k = packed ? MATMUL_PANEL : 1;
    t.a_row = packed ? 1 : t.a_row;
    const float *b = t.panels + column / MATMUL_PANEL * t.panel_stride;
    /* Every third row has a pointer; the two rows after it are reached by [p + stride * {1,2}]. */
    const float *a[(ROWS + 2) / 3];
    __m512 sum[ROWS][VECTORS_MAX];
    __mmask16 mask[VECTORS_MAX];
    UNROLL
    for (int i = 0; i < (rows + 2) / 3; i++)
        a[i] = t.a + 3 * i * t.a_row;
    UNROLL
    for (int j = 0; j < 2 * panels; j++)
        mask[j] = mask_of(t.columns - column - 16 * j);
    float *y = t.y + column;
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < 2 * panels; j++)
            sum[i][j] =
                _mm512_maskz_loadu_ps(t.accumulate ? mask[j] : 0, y + i * t.y_stride + 16 * j);
    }
    const int spreads = rows >= 7; /* prefetches; with fewer rows b alone fills the time */
    /* The tile after this one: to the right, or the first one of the rows below. */
    const float *y_ahead =
        column + MATMUL_PANEL < t.columns ? y + MATMUL_PANEL : t.y + rows * t.y_stride;
    int y_rows = rows;
    /* Its rows at a step, so that all are reached before k ends. */
    const int64_t y_step = t.k > 4 * STEP ? 4 : t.k > 2 * STEP ? 5 : t.k > STEP ? 7 : rows;
    int64_t left = t.k;
    while (left >= UNROLL_K) {
        int64_t end = 0;
        if (spreads) {
            end = left > STEP ? left - STEP : 0;
            for (int64_t i = 0; i < y_step && y_rows > 0; i++, y_rows--, y_ahead += t.y_stride) {
                _mm_prefetch((const char *)y_ahead, _MM_HINT_T0);
                _mm_prefetch((const char *)(y_ahead + 16), _MM_HINT_T0);
            }
            walk_step(w);
        }
        for (; left - end >= UNROLL_K; left -= UNROLL_K) {
            UNROLL
            for (int u = 0; u < UNROLL_K; u++) {
                const float *at[(ROWS + 2) / 3];
                UNROLL
                for (int i = 0; i < (rows + 2) / 3; i++)
                    at[i] = a[i] + u * a_k;
                if (spreads && packed) /* the line that the next steps read */
                    _mm_prefetch((const char *)(at[0] + 6 * a_k), _MM_HINT_T0);
                step(sum, at, b + u * MATMUL_PANEL, &t, rows, panels);
            }
            UNROLL
            for (int i = 0; i < (rows + 2) / 3; i++)
                a[i] += UNROLL_K * a_k;
            b += UNROLL_K * MATMUL_PANEL;
        }
    }
    for (; left > 0; left--, b += MATMUL_PANEL) {
        step(sum, a, b, &t, rows, panels);
        UNROLL
        for (int i = 0; i < (rows + 2) / 3; i++)
            a[i] += a_k;
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < 2 * panels; j++)
            _mm512_mask_storeu_ps(y + i * t.y_stride + 16 * j, mask[j], sum[i][j]);
    }
}

/* All columns: WIDE panels side by side, then two, then one. */
#define MULTIPLY(R, WIDE)                                                                          \
    INLINE void all_##R(const matmul_block *t, const int packed) {                                 \
        walk w = walk_start(t);                                                                    \
        int64_t n = 0;                                                                             \
        for (; WIDE >= 4 && t->columns - n > 3 * MATMUL_PANEL; n += 4 * MATMUL_PANEL)              \
            tile(t, n, &w, R, WIDE >= 4 ? 4 : 1, packed);                                          \
        for (; WIDE >= 2 && t->columns - n > MATMUL_PANEL; n += 2 * MATMUL_PANEL)                  \
            tile(t, n, &w, R, WIDE >= 2 ? 2 : 1, packed);                                          \
        for (; t->columns > n; n += MATMUL_PANEL)                                                  \
            tile(t, n, &w, R, 1, packed);                                                          \
    }                                                                                              \
    static void multiply_##R(const matmul_block *t) {                                              \
        if (t->a_k == 1)                                                                           \
            all_##R(t, 0);                                                                         \
        else                                                                                       \
            all_##R(t, 1);                                                                         \
    }
MULTIPLY(1, 4)
MULTIPLY(2, 4)
MULTIPLY(3, 2)
MULTIPLY(4, 2)
MULTIPLY(5, 2)
MULTIPLY(6, 2)
MULTIPLY(7, 1)
MULTIPLY(8, 1)
MULTIPLY(9, 1)
MULTIPLY(10, 1)
MULTIPLY(11, 1)
MULTIPLY(12, 1)
MULTIPLY(13, 1)
MULTIPLY(14, 1)

static void multiply(const matmul_block *t) {
    static void (*const by_rows[ROWS])(const matmul_block *) = {
        multiply_1, multiply_2, multiply_3,  multiply_4,  multiply_5,  multiply_6,  multiply_7,
        multiply_8, multiply_9, multiply_10, multiply_11, multiply_12, multiply_13, multiply_14};
    by_rows[t->rows - 1](t);
}

static void pack(float *to, const float *from, int64_t stride, int64_t k, int width) {
    const __mmask16 low = mask_of(width), high = mask_of(width - 16);
    for (int64_t i = 0; i < k; i++, from += stride, to += MATMUL_PANEL) {
        _mm512_storeu_ps(to, _mm512_maskz_loadu_ps(low, from));
        _mm512_storeu_ps(to + 16, _mm512_maskz_loadu_ps(high, from + 16));
    }
}

/* Four neighbouring k of rows i, i+4, i+8, i+12 in the four lanes. */
INLINE __m512 load_rows(const float *const *row, int i, int64_t k) {
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(row[i] + k));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(row[i + 4] + k), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(row[i + 8] + k), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(row[i + 12] + k), 3);
}

/* Columns `first` ... first + 15 of a panel; k is a multiple of 4. */
static void transpose_16(float *to, const float *from, int64_t stride, int64_t k, int width,
                         int first) {
    const __mmask16 keep = mask_of(width - first);
    const float *row[16];
    for (int i = 0; i < 16; i++)
        row[i] = from + (first + i < width ? first + i : 0) * stride;
    to += first;
    for (int64_t i = 0; i < k; i += 4, to += 4 * MATMUL_PANEL) {
        const __m512 v0 = load_rows(row, 0, i), v1 = load_rows(row, 1, i);
        const __m512 v2 = load_rows(row, 2, i), v3 = load_rows(row, 3, i);
        const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(v0, v1));
        const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(v2, v3));
        const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(v0, v1));
        const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(v2, v3));
        const __m512 k0 = _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23));
        const __m512 k1 = _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23));
        const __m512 k2 = _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23));
        const __m512 k3 = _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23));
        _mm512_storeu_ps(to, _mm512_maskz_mov_ps(keep, k0));
        _mm512_storeu_ps(to + MATMUL_PANEL, _mm512_maskz_mov_ps(keep, k1));
        _mm512_storeu_ps(to + 2 * MATMUL_PANEL, _mm512_maskz_mov_ps(keep, k2));
        _mm512_storeu_ps(to + 3 * MATMUL_PANEL, _mm512_maskz_mov_ps(keep, k3));
    }
}

static void pack_transposed(float *to, const float *from, int64_t stride, int64_t k, int width) {
    const int64_t whole = k / 4 * 4;
    transpose_16(to, from, stride, whole, width, 0);
    transpose_16(to, from, stride, whole, width, 16);
    for (int64_t i = whole; i < k; i++)
        for (int j = 0; j < MATMUL_PANEL; j++)
            to[i * MATMUL_PANEL + j] = j < width ? from[j * stride + i] : 0.0f;
}

void matmul_kernels_avx512(matmul_kernels *k) {
    k->rows = ROWS;
    k->multiply = multiply;
    k->pack = pack;
    k->pack_transposed = pack_transposed;
}
