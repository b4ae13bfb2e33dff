/* attention_avx2.c: the kernels of attention for AVX2 and FMA.
 *
 * As for AVX-512, with vectors of 8 columns; columns that do not fill a vector are read and written
 * under a mask. */
#include "cpu/attention_kernels.h"

#include "base/exact.h"

#include <immintrin.h>
#include <math.h>

#define INLINE static inline __attribute__((always_inline))

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL16 UNROLL
#else
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL16 _Pragma("GCC unroll 16")
#endif

/* The first n <= 8 lanes. */
INLINE __m256i first_lanes(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE __m256 load(const float *p, int whole, __m256i tail) {
    return whole ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, tail);
}

/* `whole`: all columns; else those of tail. */
typedef struct step_edge {
    int whole;
    __m256i tail;
} step_edge;

typedef __m256 step_vec;

/* sum += a[rows] b for one l; `some`, only of the rows whose bits are set. */
INLINE void add_step(__m256 sum[8][8], const attention_product *x, const float *a, const float *b,
                     const int R, const int V, const step_edge edge, const int some,
                     unsigned bits) {
    __m256 row_b[8];
    UNROLL
    for (int v = 0; v < V; v++)
        row_b[v] = load(b + v / 4 * x->b_panel + v % 4 * 8, edge.whole, edge.tail);
    UNROLL
    for (int i = 0; i < R; i++) {
        if (some && !(bits >> i & 1))
            continue;
        const __m256 one_a = _mm256_broadcast_ss(a + i * x->a_row);
        UNROLL
        for (int v = 0; v < V; v++)
            sum[i][v] = _mm256_fmadd_ps(one_a, row_b[v], sum[i][v]);
    }
}

INLINE void multiply_rows(__m256 sum[8][8], const float *factor, const int R, const int V) {
    UNROLL
    for (int i = 0; i < R; i++) {
        UNROLL
        for (int v = 0; v < V; v++)
            sum[i][v] = _mm256_mul_ps(sum[i][v], _mm256_set1_ps(factor[i]));
    }
}

#include "cpu/attention_steps.inc"

/* Rows [row, end) in groups of R, columns [column, column + 8 V); with `whole` 0, V is 1 and only
 * the lanes of tail exist. V > 1 begins at a multiple of 8 V or, for V = 8, of 32. */
INLINE void sums(const attention_product *x, const int R, const int V, const int whole, int row,
                 int end, int column) {
    const __m256i tail = first_lanes(whole ? 8 : x->n - column);
    for (; row < end; row += R) {
        float *c = x->c + row * x->c_row + column;
        __m256 sum[8][8];
        UNROLL
        for (int i = 0; i < R; i++) {
            UNROLL
            for (int v = 0; v < V; v++)
                sum[i][v] = x->from_zero ? _mm256_setzero_ps()
                                         : load(c + i * x->c_row + v * 8, whole, tail);
        }
        add_steps(sum, x, R, V, (step_edge){whole, tail}, row, column);
        UNROLL
        for (int i = 0; i < R; i++) {
            UNROLL
            for (int v = 0; v < V; v++) {
                if (whole)
                    _mm256_storeu_ps(c + i * x->c_row + v * 8, sum[i][v]);
                else
                    _mm256_maskstore_ps(c + i * x->c_row + v * 8, tail, sum[i][v]);
            }
        }
    }
}

#define SUMS(R, V)                                                                                 \
    static void sums_##R##x##V(const attention_product *p, int row, int end, int column) {         \
        const attention_product x = *p;                                                            \
        sums(&x, R, V, 1, row, end, column);                                                       \
    }
#define TAIL(R)                                                                                    \
    static void tail_##R(const attention_product *p, int row, int end, int column) {               \
        const attention_product x = *p;                                                            \
        sums(&x, R, 1, 0, row, end, column);                                                       \
    }
SUMS(6, 2)
SUMS(6, 1)
SUMS(4, 2)
SUMS(4, 1)
SUMS(2, 4)
SUMS(2, 2)
SUMS(2, 1)
SUMS(1, 8)
SUMS(1, 4)
SUMS(1, 2)
SUMS(1, 1)
TAIL(6)
TAIL(4)
TAIL(2)
TAIL(1)

typedef void sums_function(const attention_product *, int, int, int);

/* The kernels of a number of rows: by 1, 2, 4, 8 vectors, NULL where there is none. */
typedef struct row_sums {
    int rows;
    sums_function *tail, *by_vectors[4];
} row_sums;

static int step(const row_sums *k, const attention_product *x, int row, int end, int column) {
    const int left = (x->n - column) / 8;
    if (left == 0) {
        k->tail(x, row, end, column);
        return 8;
    }
    int e = left >= 8 ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
    while (k->by_vectors[e] == NULL)
        e--;
    k->by_vectors[e](x, row, end, column);
    return 8 << e;
}

static void product_avx2(const attention_product *x) {
    static const row_sums table[] = {{6, tail_6, {sums_6x1, sums_6x2, NULL, NULL}},
                                     {4, tail_4, {sums_4x1, sums_4x2, NULL, NULL}},
                                     {2, tail_2, {sums_2x1, sums_2x2, sums_2x4, NULL}},
                                     {1, tail_1, {sums_1x1, sums_1x2, sums_1x4, sums_1x8}}};
    const row_sums *k = table;
    for (int row = 0; row < x->m; k++) {
        const int end = row + (x->m - row) / k->rows * k->rows;
        for (int column = 0; column < x->n && row < end;)
            column += step(k, x, row, end, column);
        row = end;
    }
}

/* All ones where begin <= j + lane < end. */
INLINE __m256i seen_lanes(int j, int begin, int end) {
    const __m256i at =
        _mm256_add_epi32(_mm256_set1_epi32(j), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(begin), at),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(end), at));
}

/* Of 16 lanes: i and i+8, then i and i+4, i+2, i+1. */
INLINE float tree_sum(__m256 low, __m256 high) {
    const __m256 a = _mm256_add_ps(low, high);
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

INLINE float tree_max(__m256 a) {
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

/* exact_exp where x is neither above 88.72 nor NaN; adds the lanes that are to *odd. The product n
 * 0.693359375 is exact, so that its fused difference rounds alike. */
INLINE __m256 usual_exp(__m256 x, __m256 *odd) {
    const __m256 magic = _mm256_set1_ps(12582912.0f);
    const __m256 t = _mm256_add_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), magic);
    const __m256 n = _mm256_sub_ps(t, magic);
    const __m256 r = _mm256_sub_ps(_mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x),
                                   _mm256_mul_ps(n, _mm256_set1_ps(-2.12194440e-4f)));
    __m256 q = _mm256_set1_ps(1.9875691500e-4f);
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(1.3981999507e-3f));
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(8.3334519073e-3f));
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(4.1665795894e-2f));
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(1.6666665459e-1f));
    q = _mm256_add_ps(_mm256_mul_ps(q, r), _mm256_set1_ps(5.0000001201e-1f));
    const __m256 y = _mm256_add_ps(_mm256_add_ps(_mm256_mul_ps(q, _mm256_mul_ps(r, r)), r),
                                   _mm256_set1_ps(1.0f));
    *odd = _mm256_or_ps(*odd, _mm256_cmp_ps(x, _mm256_set1_ps(88.7228317f), _CMP_NLE_UQ));
    const __m256i scaled =
        _mm256_add_epi32(_mm256_castps_si256(y), _mm256_slli_epi32(_mm256_castps_si256(t), 23));
    return _mm256_and_ps(_mm256_castsi256_ps(scaled),
                         _mm256_cmp_ps(x, _mm256_set1_ps(-87.3365402f), _CMP_NLT_UQ));
}

/* p[32] = exp(p). */
INLINE void exp_row(float *p) {
    __m256 odd = _mm256_setzero_ps(), y[4];
    UNROLL
    for (int v = 0; v < 4; v++)
        y[v] = usual_exp(_mm256_loadu_ps(p + v * 8), &odd);
    if (_mm256_movemask_ps(odd)) {
        for (int j = 0; j < ATTENTION_TILE; j++)
            p[j] = exact_exp(p[j]);
        return;
    }
    UNROLL
    for (int v = 0; v < 4; v++)
        _mm256_storeu_ps(p + v * 8, y[v]);
}

/* The scaled scores of lanes [8 v, 8 v + 8) of row i. */
INLINE __m256 scaled(const attention_tile *x, int i, int v) {
    const __m256 s =
        _mm256_mul_ps(_mm256_set1_ps(x->scale), _mm256_loadu_ps(x->score + i * x->stride + v * 8));
    if (x->slope == NULL)
        return s;
    const __m256 distance = _mm256_sub_ps(_mm256_set1_ps(x->distance[i] - (float)(v * 8)),
                                          _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_sub_ps(s, _mm256_mul_ps(_mm256_set1_ps(x->slope[i]), distance));
}

/* Scales the seen scores of row i, sets the others to -inf, subtracts the new maximum; returns it.
 */
INLINE float lower_scores(const attention_tile *x, int i) {
    float *p = x->score + i * x->stride;
    const __m256 least = _mm256_set1_ps(-INFINITY);
    __m256 s[4], top = least;
    UNROLL
    for (int v = 0; v < 4; v++) {
        const __m256 seen = _mm256_castsi256_ps(seen_lanes(v * 8, x->begin[i], x->end[i]));
        s[v] = _mm256_blendv_ps(least, scaled(x, i, v), seen);
        top = _mm256_max_ps(top, s[v]);
    }
    const float most = tree_max(top), max = most > x->max[i] ? most : x->max[i];
    UNROLL
    for (int v = 0; v < 4; v++)
        _mm256_storeu_ps(p + v * 8, _mm256_sub_ps(s[v], _mm256_set1_ps(max)));
    return max;
}

static void softmax_avx2(const attention_tile *x) {
    float change[ATTENTION_ROWS];
    for (int i = 0; i < x->rows; i++) {
        change[i] = 0.0f;
        if (x->begin[i] >= x->end[i])
            continue;
        const float old = x->max[i];
        x->max[i] = lower_scores(x, i);
        change[i] = old - x->max[i];
    }
    for (int i = 0; i < x->rows; i++)
        if (x->begin[i] < x->end[i])
            exp_row(x->score + i * x->stride);
    for (int i = 0; i < x->rows; i++)
        change[i] = exact_exp(change[i]);
    for (int i = 0; i < x->rows; i++) {
        const float *p = x->score + i * x->stride;
        if (x->begin[i] >= x->end[i])
            continue;
        x->decay[i] = change[i];
        x->sum[i] = x->sum[i] * change[i] +
                    tree_sum(_mm256_add_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 16)),
                             _mm256_add_ps(_mm256_loadu_ps(p + 8), _mm256_loadu_ps(p + 24)));
    }
}

static void gradient_avx2(const attention_tile *x) {
    const __m256 least = _mm256_set1_ps(-INFINITY);
    for (int i = 0; i < x->rows; i++) {
        if (x->begin[i] >= x->end[i])
            continue;
        float *p = x->score + i * x->stride, *ds = x->dp + i * x->stride;
        const __m256 lse = _mm256_set1_ps(x->lse[i]), delta = _mm256_set1_ps(x->delta[i]);
        for (int j = 0; j < ATTENTION_TILE; j += 8) {
            const __m256 seen = _mm256_castsi256_ps(seen_lanes(j, x->begin[i], x->end[i]));
            const __m256 s = _mm256_sub_ps(scaled(x, i, j / 8), lse);
            _mm256_storeu_ps(p + j, _mm256_blendv_ps(least, s, seen));
        }
        exp_row(p);
        for (int j = 0; j < ATTENTION_TILE; j += 8) {
            const __m256 seen = _mm256_castsi256_ps(seen_lanes(j, x->begin[i], x->end[i]));
            const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(p + j),
                                           _mm256_sub_ps(_mm256_loadu_ps(ds + j), delta));
            _mm256_storeu_ps(ds + j, _mm256_and_ps(v, seen));
        }
    }
}

static float dot_avx2(const float *a, const float *b, int64_t n) {
    __m256 low = _mm256_setzero_ps(), high = low;
    for (int64_t i = 0; i < n; i += 16) {
        const int left = n - i < 16 ? (int)(n - i) : 16;
        const __m256i first = first_lanes(left), second = first_lanes(left - 8);
        low = _mm256_blendv_ps(low,
                               _mm256_fmadd_ps(_mm256_maskload_ps(a + i, first),
                                               _mm256_maskload_ps(b + i, first), low),
                               _mm256_castsi256_ps(first));
        if (left > 8)
            high = _mm256_blendv_ps(high,
                                    _mm256_fmadd_ps(_mm256_maskload_ps(a + i + 8, second),
                                                    _mm256_maskload_ps(b + i + 8, second), high),
                                    _mm256_castsi256_ps(second));
    }
    return tree_sum(low, high);
}

/* 8 rows of 8 floats become 8 columns; rows from n on count as 0. */
INLINE void transpose(float *tile, const float *rows, int64_t row_stride, int n) {
    __m256 r[8], s[8], t[8];
    UNROLL
    for (int i = 0; i < 8; i++)
        r[i] = i < n ? _mm256_loadu_ps(rows + i * row_stride) : _mm256_setzero_ps();
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        t[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
        t[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
        t[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        t[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(tile + i * ATTENTION_TILE, _mm256_permute2f128_ps(t[i], t[i + 4], 0x20));
        _mm256_storeu_ps(tile + (i + 4) * ATTENTION_TILE,
                         _mm256_permute2f128_ps(t[i], t[i + 4], 0x31));
    }
}

static void pack_avx2(float *tile, const float *rows, int64_t row_stride, int n, int64_t d) {
    int64_t i = 0;
    for (; i + 8 <= d; i += 8)
        for (int j = 0; j < ATTENTION_TILE; j += 8)
            transpose(tile + i * ATTENTION_TILE + j, rows + j * row_stride + i, row_stride, n - j);
    for (; i < d; i++)
        for (int j = 0; j < ATTENTION_TILE; j++)
            tile[i * ATTENTION_TILE + j] = j < n ? rows[j * row_stride + i] : 0.0f;
}

/* To the second level: much is fetched at a time. */
static void fetch_avx2(const float *rows, int64_t row_stride, int64_t n, int64_t d) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j += 16)
            _mm_prefetch((const char *)(rows + i * row_stride + j), _MM_HINT_T1);
}

/* --- rows that see few keys */

typedef struct vec {
    __m256 low, high;
} vec;
typedef vec lanes; /* all ones or zeros */

#define v_fetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
#define MOST 4
#define DOT dot_avx2

INLINE vec v_load(const float *p) {
    return (vec){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

/* The first n lanes, the others 0. */
INLINE vec v_part(const float *p, int n) {
    if (n == 16)
        return v_load(p);
    return (vec){_mm256_maskload_ps(p, first_lanes(n)),
                 n > 8 ? _mm256_maskload_ps(p + 8, first_lanes(n - 8)) : _mm256_setzero_ps()};
}

INLINE void v_store(float *p, vec x) {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}

INLINE void v_keep(float *p, int n, vec x) {
    if (n == 16) {
        v_store(p, x);
        return;
    }
    _mm256_maskstore_ps(p, first_lanes(n), x.low);
    if (n > 8)
        _mm256_maskstore_ps(p + 8, first_lanes(n - 8), x.high);
}

INLINE __m256 two_quads(const float *a, const float *b) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a)), _mm_loadu_ps(b), 1);
}

/* Four floats from each of four places. */
INLINE vec v_quads(const float *a, const float *b, const float *c, const float *d) {
    return (vec){two_quads(a, b), two_quads(c, d)};
}

INLINE vec v_set(float x) {
    return (vec){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

INLINE vec v_add(vec a, vec b) {
    return (vec){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

INLINE vec v_sub(vec a, vec b) {
    return (vec){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

INLINE vec v_mul(vec a, vec b) {
    return (vec){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

INLINE vec v_div(vec a, vec b) {
    return (vec){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

INLINE vec v_max(vec a, vec b) {
    return (vec){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

INLINE vec v_unpack_low(vec a, vec b) {
    return (vec){_mm256_unpacklo_ps(a.low, b.low), _mm256_unpacklo_ps(a.high, b.high)};
}

INLINE vec v_unpack_high(vec a, vec b) {
    return (vec){_mm256_unpackhi_ps(a.low, b.low), _mm256_unpackhi_ps(a.high, b.high)};
}

INLINE vec v_fma(vec a, vec b, vec c) {
    return (vec){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

INLINE vec v_fnma(vec a, vec b, vec c) {
    return (vec){_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}

INLINE vec v_pairs_low(vec a, vec b) {
    return (vec){_mm256_shuffle_ps(a.low, b.low, 0x44), _mm256_shuffle_ps(a.high, b.high, 0x44)};
}

INLINE vec v_pairs_high(vec a, vec b) {
    return (vec){_mm256_shuffle_ps(a.low, b.low, 0xee), _mm256_shuffle_ps(a.high, b.high, 0xee)};
}

INLINE vec v_select(lanes m, vec a, vec b) {
    return (vec){_mm256_blendv_ps(b.low, a.low, m.low), _mm256_blendv_ps(b.high, a.high, m.high)};
}

/* Lanes where x > n. */
INLINE lanes v_above(const int *x, int n) {
    const __m256i least = _mm256_set1_epi32(n);
    const __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)x);
    const __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(x + 8));
    return (lanes){_mm256_castsi256_ps(_mm256_cmpgt_epi32(low, least)),
                   _mm256_castsi256_ps(_mm256_cmpgt_epi32(high, least))};
}

/* Lanes below n <= 16, and those whose number has the bit. */
INLINE lanes v_row_below(int n) {
    return (lanes){_mm256_castsi256_ps(first_lanes(n)), _mm256_castsi256_ps(first_lanes(n - 8))};
}

INLINE lanes v_bit(int bit) {
    const __m256i number = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), one = _mm256_set1_epi32(bit);
    const __m256i high = _mm256_or_si256(number, _mm256_set1_epi32(8));
    return (lanes){_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(number, one), one)),
                   _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(high, one), one))};
}

/* Whether all lanes are in [2^-60, 2^60) but for the sign. */
INLINE int v_moderate(vec x) {
    const __m256i sign = _mm256_set1_epi32(0x7fffffff);
    const __m256i low = _mm256_and_si256(_mm256_castps_si256(x.low), sign);
    const __m256i high = _mm256_and_si256(_mm256_castps_si256(x.high), sign);
    const __m256i least = _mm256_min_epi32(low, high), most = _mm256_max_epi32(low, high);
    const __m256i inside =
        _mm256_and_si256(_mm256_cmpgt_epi32(least, _mm256_set1_epi32(((127 - 60) << 23) - 1)),
                         _mm256_cmpgt_epi32(_mm256_set1_epi32((127 + 60) << 23), most));
    return _mm256_movemask_ps(_mm256_castsi256_ps(inside)) == 0xff;
}

#include "cpu/attention_near.inc"

void attention_kernels_avx2(attention_kernels *k) {
    k->product = product_avx2;
    k->softmax = softmax_avx2;
    k->gradient = gradient_avx2;
    k->dot = dot_avx2;
    k->pack = pack_avx2;
    k->fetch = fetch_avx2;
    k->near = near_forward;
    k->near_gradient = near_backward;
}
