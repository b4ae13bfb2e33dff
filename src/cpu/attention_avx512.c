/* attention_avx512.c: the kernels of attention for AVX-512.
 *
 * The product keeps rows x vectors of sums in registers and takes b by vectors of 16 columns, a by
 * broadcasts; edges are masks. exp is exact_exp with fewer operations that give the same bits. */
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

typedef __m512 step_vec;
typedef __mmask16 step_edge;

/* sum += a[rows] b for one l; `masked`, only of the rows whose bits are set. */
INLINE void add_step(__m512 sum[8][8], const attention_product *x, const float *a, const float *b,
                     const int R, const int V, const step_edge tail, const int masked,
                     unsigned bits) {
    __m512 row_b[8];
    UNROLL
    for (int v = 0; v < V; v++)
        row_b[v] = _mm512_maskz_loadu_ps(v + 1 < V ? (__mmask16)-1 : tail,
                                         b + v / 2 * x->b_panel + v % 2 * 16);
    UNROLL
    for (int i = 0; i < R; i++) {
        const __m512 one_a = _mm512_set1_ps(a[i * x->a_row]);
        const __mmask16 some = (__mmask16) - (int)(bits >> i & 1);
        UNROLL
        for (int v = 0; v < V; v++)
            sum[i][v] = masked ? _mm512_mask3_fmadd_ps(one_a, row_b[v], sum[i][v], some)
                               : _mm512_fmadd_ps(one_a, row_b[v], sum[i][v]);
    }
}

INLINE void multiply_rows(__m512 sum[8][8], const float *factor, const int R, const int V) {
    UNROLL
    for (int i = 0; i < R; i++) {
        UNROLL
        for (int v = 0; v < V; v++)
            sum[i][v] = _mm512_mul_ps(sum[i][v], _mm512_set1_ps(factor[i]));
    }
}

#include "cpu/attention_steps.inc"

/* Rows [row, end) in groups of R, columns [column, column + 16 V), of which the last vector holds
 * those of `tail`. V > 1 begins at a panel. */
INLINE void sums(const attention_product *x, const int R, const int V, int row, int end, int column,
                 __mmask16 tail) {
    for (; row < end; row += R) {
        float *c = x->c + row * x->c_row + column;
        __m512 sum[8][8];
        UNROLL
        for (int i = 0; i < R; i++) {
            UNROLL
            for (int v = 0; v < V; v++)
                sum[i][v] = x->from_zero ? _mm512_setzero_ps()
                                         : _mm512_maskz_loadu_ps(v + 1 < V ? (__mmask16)-1 : tail,
                                                                 c + i * x->c_row + v * 16);
        }
        add_steps(sum, x, R, V, tail, row, column);
        UNROLL
        for (int i = 0; i < R; i++) {
            UNROLL
            for (int v = 0; v < V; v++)
                _mm512_mask_storeu_ps(c + i * x->c_row + v * 16, v + 1 < V ? (__mmask16)-1 : tail,
                                      sum[i][v]);
        }
    }
}

#define SUMS(R, V)                                                                                 \
    static void sums_##R##x##V(const attention_product *p, int row, int end, int column,           \
                               __mmask16 tail) {                                                   \
        const attention_product x = *p;                                                            \
        sums(&x, R, V, row, end, column, tail);                                                    \
    }
SUMS(8, 2)
SUMS(8, 1)
SUMS(4, 4)
SUMS(4, 2)
SUMS(4, 1)
SUMS(2, 4)
SUMS(2, 2)
SUMS(2, 1)
SUMS(1, 8)
SUMS(1, 4)
SUMS(1, 2)
SUMS(1, 1)

typedef void sums_function(const attention_product *, int, int, int, __mmask16);

/* The largest of 8, 4, 2, 1 vectors that are left of the columns and that the rows have. */
static int step(sums_function *const by_vectors[4], const attention_product *x, int row, int end,
                int column) {
    const int left = (x->n - column + 15) / 16;
    int e = left >= 8 ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
    while (by_vectors[e] == NULL)
        e--;
    const int over = column + (16 << e) - x->n; /* columns that the last vector lacks */
    by_vectors[e](x, row, end, column, over > 0 ? (__mmask16)(0xffff >> over) : (__mmask16)0xffff);
    return 16 << e;
}

static void product_avx512(const attention_product *x) {
    static sums_function *const table[4][4] = {{sums_1x1, sums_1x2, sums_1x4, sums_1x8},
                                               {sums_2x1, sums_2x2, sums_2x4, NULL},
                                               {sums_4x1, sums_4x2, sums_4x4, NULL},
                                               {sums_8x1, sums_8x2, NULL, NULL}};
    /* wide products do best with 4 x 4 sums: fewest loads */
    const int most = x->n >= 64 ? 2 : 3;
    for (int row = 0, e = most; row < x->m; e--) {
        const int end = row + ((x->m - row) >> e << e);
        for (int column = 0; column < x->n && row < end;)
            column += step(table[e], x, row, end, column);
        row = end;
    }
}

/* Bits of the lanes begin <= j < end of a tile. */
INLINE uint32_t lanes_of(int begin, int end) {
    return (uint32_t)(((uint64_t)1 << end) - ((uint64_t)1 << begin));
}

/* Lanes i and i+8, then i and i+4, i+2, i+1. */
INLINE float tree_sum(__m512 v) {
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

INLINE float tree_max(__m512 v) {
    const __m256 a = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

/* exact_exp where x is neither above 88.72 nor NaN; adds the lanes that are to *odd. The product n
 * 0.693359375 is exact, so that its fused difference rounds alike. */
INLINE __m512 usual_exp(__m512 x, __mmask16 *odd) {
    const __m512 magic = _mm512_set1_ps(12582912.0f);
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
    *odd |= _mm512_cmp_ps_mask(x, _mm512_set1_ps(88.7228317f), _CMP_NLE_UQ);
    return _mm512_castsi512_ps(_mm512_maskz_add_epi32(
        _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.3365402f), _CMP_NLT_UQ), _mm512_castps_si512(y),
        _mm512_slli_epi32(_mm512_castps_si512(t), 23)));
}

/* p[32] = exp(x0, x1). */
INLINE void exp_row(float *p, __m512 x0, __m512 x1) {
    __mmask16 odd = 0;
    _mm512_storeu_ps(p, usual_exp(x0, &odd));
    _mm512_storeu_ps(p + 16, usual_exp(x1, &odd));
    if (odd) {
        _mm512_storeu_ps(p, x0);
        _mm512_storeu_ps(p + 16, x1);
        for (int j = 0; j < ATTENTION_TILE; j++)
            p[j] = exact_exp(p[j]);
    }
}

/* The scaled scores of lanes [16 v, 16 v + 16) of row i. */
INLINE __m512 scaled(const attention_tile *x, int i, int v) {
    const __m512 s =
        _mm512_mul_ps(_mm512_set1_ps(x->scale), _mm512_loadu_ps(x->score + i * x->stride + v * 16));
    if (x->slope == NULL)
        return s;
    const __m512 lane = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 distance = _mm512_sub_ps(_mm512_set1_ps(x->distance[i] - (float)(v * 16)), lane);
    return _mm512_sub_ps(s, _mm512_mul_ps(_mm512_set1_ps(x->slope[i]), distance));
}

/* Four passes, so that the long chains of neighbouring rows overlap. */
static void softmax_avx512(const attention_tile *x) {
    const __m512 least = _mm512_set1_ps(-INFINITY);
    float change[ATTENTION_ROWS];
    for (int i = 0; i < x->rows; i++) {
        float *p = x->score + i * x->stride;
        change[i] = 0.0f;
        if (x->begin[i] >= x->end[i])
            continue;
        const uint32_t seen = lanes_of(x->begin[i], x->end[i]);
        const __m512 s0 = _mm512_mask_mov_ps(least, (__mmask16)seen, scaled(x, i, 0));
        const __m512 s1 = _mm512_mask_mov_ps(least, (__mmask16)(seen >> 16), scaled(x, i, 1));
        const float old = x->max[i], top = tree_max(_mm512_max_ps(s0, s1));
        const float max = top > old ? top : old;
        x->max[i] = max;
        change[i] = old - max;
        _mm512_storeu_ps(p, _mm512_sub_ps(s0, _mm512_set1_ps(max)));
        _mm512_storeu_ps(p + 16, _mm512_sub_ps(s1, _mm512_set1_ps(max)));
    }
    for (int i = 0; i < x->rows; i++)
        if (x->begin[i] < x->end[i]) {
            float *p = x->score + i * x->stride;
            exp_row(p, _mm512_loadu_ps(p), _mm512_loadu_ps(p + 16));
        }
    for (int i = 0; i < x->rows; i++)
        change[i] = exact_exp(change[i]);
    for (int i = 0; i < x->rows; i++) {
        float *p = x->score + i * x->stride;
        if (x->begin[i] >= x->end[i])
            continue;
        x->decay[i] = change[i];
        x->sum[i] = x->sum[i] * change[i] +
                    tree_sum(_mm512_add_ps(_mm512_loadu_ps(p), _mm512_loadu_ps(p + 16)));
    }
}

static void gradient_avx512(const attention_tile *x) {
    const __m512 least = _mm512_set1_ps(-INFINITY);
    for (int i = 0; i < x->rows; i++) {
        if (x->begin[i] >= x->end[i])
            continue;
        float *p = x->score + i * x->stride, *ds = x->dp + i * x->stride;
        const uint32_t seen = lanes_of(x->begin[i], x->end[i]);
        const __m512 lse = _mm512_set1_ps(x->lse[i]), delta = _mm512_set1_ps(x->delta[i]);
        __m512 s[2];
        UNROLL
        for (int v = 0; v < 2; v++)
            s[v] = _mm512_mask_sub_ps(least, (__mmask16)(seen >> v * 16), scaled(x, i, v), lse);
        exp_row(p, s[0], s[1]);
        UNROLL
        for (int v = 0; v < 2; v++)
            _mm512_storeu_ps(
                ds + v * 16,
                _mm512_maskz_mul_ps((__mmask16)(seen >> v * 16), _mm512_loadu_ps(p + v * 16),
                                    _mm512_sub_ps(_mm512_loadu_ps(ds + v * 16), delta)));
    }
}

static float dot_avx512(const float *a, const float *b, int64_t n) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 some = (__mmask16)(n - i < 16 ? 0xffff >> (16 - (n - i)) : 0xffff);
        sum = _mm512_mask3_fmadd_ps(_mm512_maskz_loadu_ps(some, a + i),
                                    _mm512_maskz_loadu_ps(some, b + i), sum, some);
    }
    return tree_sum(sum);
}

/* --- rows that see few keys */

typedef __m512 vec;
typedef __mmask16 lanes;

#define v_fetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
#define MOST 16
#define DOT dot_avx512

INLINE vec v_load(const float *p) {
    return _mm512_loadu_ps(p);
}

INLINE __mmask16 first_lanes(int n) {
    return (__mmask16)(0xffff >> (16 - n));
}

/* The first n lanes, the others 0. */
INLINE vec v_part(const float *p, int n) {
    return n == 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first_lanes(n), p);
}

INLINE void v_store(float *p, vec x) {
    _mm512_storeu_ps(p, x);
}

INLINE void v_keep(float *p, int n, vec x) {
    if (n == 16)
        _mm512_storeu_ps(p, x);
    else
        _mm512_mask_storeu_ps(p, first_lanes(n), x);
}

/* Four floats from each of four places. */
INLINE vec v_quads(const float *a, const float *b, const float *c, const float *d) {
    vec x = _mm512_castps128_ps512(_mm_loadu_ps(a));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(b), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(c), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps(d), 3);
}

#define v_set _mm512_set1_ps
#define v_add _mm512_add_ps
#define v_sub _mm512_sub_ps
#define v_mul _mm512_mul_ps
#define v_div _mm512_div_ps
#define v_max _mm512_max_ps
#define v_fma _mm512_fmadd_ps
#define v_fnma _mm512_fnmadd_ps
#define v_unpack_low _mm512_unpacklo_ps
#define v_unpack_high _mm512_unpackhi_ps
#define v_pairs_low(a, b) _mm512_shuffle_ps(a, b, 0x44)
#define v_pairs_high(a, b) _mm512_shuffle_ps(a, b, 0xee)
#define v_select(lanes, a, b) _mm512_mask_blend_ps(lanes, b, a)

/* Lanes where x > n. */
INLINE lanes v_above(const int *x, int n) {
    return _mm512_cmpgt_epi32_mask(_mm512_loadu_si512(x), _mm512_set1_epi32(n));
}

/* Lanes below n <= 16, and those whose number has the bit. */
INLINE lanes v_row_below(int n) {
    return (lanes)((1u << n) - 1u);
}

INLINE lanes v_bit(int bit) {
    return (lanes)(bit == 1 ? 0xaaaa : bit == 2 ? 0xcccc : bit == 4 ? 0xf0f0 : 0xff00);
}

/* Whether all lanes are in [2^-60, 2^60) but for the sign. */
INLINE int v_moderate(vec x) {
    const __m512i size = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
    const __m512i over = _mm512_sub_epi32(size, _mm512_set1_epi32((127 - 60) << 23));
    return _mm512_cmplt_epu32_mask(over, _mm512_set1_epi32(120 << 23)) == 0xffff;
}

#include "cpu/attention_near.inc"

/* Packing and fetching are bound by memory: the AVX2 versions stay. */
void attention_kernels_avx512(attention_kernels *k) {
    k->product = product_avx512;
    k->softmax = softmax_avx512;
    k->gradient = gradient_avx512;
    k->dot = dot_avx512;
    k->near = near_forward;
    k->near_gradient = near_backward;
}
