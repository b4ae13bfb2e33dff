/* matmul_avx2.c: the matrix product for AVX2 with FMA.
 *
 * A tile of 6 rows x 16 columns, half a panel, fills the 16 registers: 12 sums, two vectors of b,
 * one broadcast of a. With one or two rows it takes whole panels, so that there are chains enough
 * to cover the latency of the multiply-add. */
#include "cpu/matmul_kernels.h"

#include <immintrin.h>

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

enum {
    ROWS = 6,
    VECTORS_MAX = 8,
    AHEAD = 8 * MATMUL_PANEL /* floats between the load of b and its prefetch */
};

/* Lanes below n, as a mask for maskload and maskstore. */
INLINE __m256i mask_of(int64_t n) {
    const int count = n >= 8 ? 8 : n > 0 ? (int)n : 0;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* rows x (8 vectors) sums at `column`, a multiple of 16; constants where it is inlined. */
INLINE void tile(const matmul_block *t, int64_t column, const int rows, const int vectors) {
    const int64_t a_row = t->a_row, a_k = t->a_k, panel_stride = t->panel_stride;
    const float *b = t->panels + column / MATMUL_PANEL * panel_stride + column % MATMUL_PANEL;
    /* Every third row has a pointer; the two rows after it are reached by [p + stride * {1,2}]. */
    const float *a[(ROWS + 2) / 3];
    __m256 sum[ROWS][VECTORS_MAX];
    UNROLL
    for (int i = 0; i < (rows + 2) / 3; i++)
        a[i] = t->a + 3 * i * a_row;
    UNROLL
    for (int i = 0; i < rows; i++) {
        const float *y = t->y + i * t->y_stride + column;
        UNROLL
        for (int j = 0; j < vectors; j++)
            sum[i][j] = t->accumulate
                            ? _mm256_maskload_ps(y + 8 * j, mask_of(t->columns - column - 8 * j))
                            : _mm256_setzero_ps();
    }
    for (int64_t k = t->k; k > 0; k--) {
        __m256 row[VECTORS_MAX];
        UNROLL
        for (int j = 0; j < vectors; j++) {
            const float *from = b + j / 4 * panel_stride + j % 4 * 8;
            row[j] = _mm256_loadu_ps(from);
            if (j % 2 == 0) /* two vectors are a cache line */
                _mm_prefetch((const char *)(from + AHEAD), _MM_HINT_T0);
            if (rows > 1) /* else a compiler loads it again for each row */
                __asm__("" : "+x"(row[j]));
        }
        UNROLL
        for (int i = 0; i < rows; i++) {
            const __m256 x = _mm256_broadcast_ss(a[i / 3] + i % 3 * a_row);
            UNROLL
            for (int j = 0; j < vectors; j++)
                sum[i][j] = _mm256_fmadd_ps(x, row[j], sum[i][j]);
        }
        UNROLL
        for (int i = 0; i < (rows + 2) / 3; i++)
            a[i] += a_k;
        b += MATMUL_PANEL;
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        float *y = t->y + i * t->y_stride + column;
        UNROLL
        for (int j = 0; j < vectors; j++)
            _mm256_maskstore_ps(y + 8 * j, mask_of(t->columns - column - 8 * j), sum[i][j]);
    }
}

/* All columns, WIDE vectors at a time (8: two panels, 4: one, 2: half of one), then the rest. */
#define MULTIPLY(R, WIDE)                                                                          \
    static void multiply_##R(const matmul_block *t) {                                              \
        int64_t n = 0;                                                                             \
        for (; WIDE == 8 && t->columns - n > 32; n += 64)                                          \
            tile(t, n, R, WIDE);                                                                   \
        for (; WIDE >= 4 && t->columns - n > 16; n += 32)                                          \
            tile(t, n, R, 4);                                                                      \
        for (; t->columns - n > 0; n += 16)                                                        \
            tile(t, n, R, 2);                                                                      \
    }
MULTIPLY(1, 8)
MULTIPLY(2, 4)
MULTIPLY(3, 2)
MULTIPLY(4, 2)
MULTIPLY(5, 2)
MULTIPLY(6, 2)

static void multiply(const matmul_block *t) {
    static void (*const by_rows[ROWS])(const matmul_block *) = {multiply_1, multiply_2, multiply_3,
                                                                multiply_4, multiply_5, multiply_6};
    by_rows[t->rows - 1](t);
}

static void pack(float *to, const float *from, int64_t stride, int64_t k, int width) {
    __m256i mask[4];
    for (int j = 0; j < 4; j++)
        mask[j] = mask_of(width - 8 * j);
    for (int64_t i = 0; i < k; i++, from += stride, to += MATMUL_PANEL)
        for (int j = 0; j < 4; j++)
            _mm256_storeu_ps(to + 8 * j, _mm256_maskload_ps(from + 8 * j, mask[j]));
}

/* Four neighbouring k of rows i and i + 4 in the two lanes. */
INLINE __m256 load_rows(const float *const *row, int i, int64_t k) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row[i] + k)),
                                _mm_loadu_ps(row[i + 4] + k), 1);
}

/* Columns `first` ... first + 7 of a panel; k is a multiple of 4. */
static void transpose_8(float *to, const float *from, int64_t stride, int64_t k, int width,
                        int first) {
    const __m256 keep = _mm256_castsi256_ps(mask_of(width - first));
    const float *row[8];
    for (int i = 0; i < 8; i++)
        row[i] = from + (first + i < width ? first + i : 0) * stride;
    to += first;
    for (int64_t i = 0; i < k; i += 4, to += 4 * MATMUL_PANEL) {
        const __m256 v0 = load_rows(row, 0, i), v1 = load_rows(row, 1, i);
        const __m256 v2 = load_rows(row, 2, i), v3 = load_rows(row, 3, i);
        const __m256 low01 = _mm256_unpacklo_ps(v0, v1), low23 = _mm256_unpacklo_ps(v2, v3);
        const __m256 high01 = _mm256_unpackhi_ps(v0, v1), high23 = _mm256_unpackhi_ps(v2, v3);
        const __m256 k0 = _mm256_shuffle_ps(low01, low23, 0x44);
        const __m256 k1 = _mm256_shuffle_ps(low01, low23, 0xee);
        const __m256 k2 = _mm256_shuffle_ps(high01, high23, 0x44);
        const __m256 k3 = _mm256_shuffle_ps(high01, high23, 0xee);
        _mm256_storeu_ps(to, _mm256_and_ps(keep, k0));
        _mm256_storeu_ps(to + MATMUL_PANEL, _mm256_and_ps(keep, k1));
        _mm256_storeu_ps(to + 2 * MATMUL_PANEL, _mm256_and_ps(keep, k2));
        _mm256_storeu_ps(to + 3 * MATMUL_PANEL, _mm256_and_ps(keep, k3));
    }
}

static void pack_transposed(float *to, const float *from, int64_t stride, int64_t k, int width) {
    const int64_t whole = k / 4 * 4;
    for (int first = 0; first < MATMUL_PANEL; first += 8)
        transpose_8(to, from, stride, whole, width, first);
    for (int64_t i = whole; i < k; i++)
        for (int j = 0; j < MATMUL_PANEL; j++)
            to[i * MATMUL_PANEL + j] = j < width ? from[j * stride + i] : 0.0f;
}

void matmul_kernels_avx2(matmul_kernels *k) {
    k->rows = ROWS;
    k->multiply = multiply;
    k->pack = pack;
    k->pack_transposed = pack_transposed;
}
