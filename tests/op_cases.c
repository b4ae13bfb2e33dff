/* op_cases.c: test rows of products, sums, elementwise ops and norms.
 *
 * The bounds: a chain of n roundings of partial sums of n random terms below 1 has an error of
 * about 2^-24 sqrt(n) times the result's own size (each partial sum is at most about as large as
 * the result); ours are 4 (sqrt(n) + 2) of that, wide enough for the order of the sum and for the
 * seed, and far too small for a term that is missing or rounded twice to 16 bits. */
#include "op_cases.h"

#include <math.h>

static double sum_bound(int64_t n) {
    return 4 * (sqrt((double)n) + 2);
}

/* a as an input; b as an input, an f32 and a bf16 parameter, and a itself; all four transpositions.
 * Sizes around the tiles of 16, 32, 64 and 256, one row (matrix times vector), and beyond blocks of
 * 512 columns, 512 steps of k and 128 rows. */
static const int64_t matmul_sizes[][3] = {/* M, K, N */
                                          {1, 1, 1},     {1, 16, 17},   {2, 15, 16},
                                          {15, 17, 1},   {16, 16, 16},  {18, 33, 31},
                                          {1, 257, 256}, {6, 64, 65},   {34, 1, 34},
                                          {3, 255, 48},  {4, 31, 129},  {8, 96, 97},
                                          {12, 130, 33}, {5, 1100, 40}, {20, 40, 600},
                                          {1, 700, 550}, {33, 257, 65}, {257, 33, 66},
                                          {20, 530, 70}, {150, 17, 520}};

/* A matrix in two or three dimensions, the same rows. */
static tensor *matrix_input(op_case *c, int64_t rows, int64_t columns) {
    return rows % 3 ? case_input(c, -1, 1, SHAPE(rows, columns))
                    : case_input(c, -1, 1, SHAPE(3, rows / 3, columns));
}

static void build_matmul(op_case *c, int index) {
    const int ta = case_pick(&index, 2), tb = case_pick(&index, 2), kind = case_pick(&index, 4);
    const int64_t *size = matmul_sizes[case_pick(&index, COUNT(matmul_sizes))];
    const int64_t M = size[0], K = size[1], N = size[2];
    tensor *a = ta ? matrix_input(c, K, M) : matrix_input(c, M, K);
    c->bound = sum_bound(K > M && K > N ? K : M > N ? M : N);
    if (kind == 3) { /* a^T a or a a^T */
        c->unit = sqrt((double)(K > M ? K : M)) / 3;
        case_output(c, matmul(c->graph, a, a, ta, !ta));
        return;
    }
    const int64_t rows = tb ? N : K, columns = tb ? K : N;
    const dtype type = kind == 1 ? DTYPE_F32 : DTYPE_BF16;
    tensor *b = kind == 0 ? matrix_input(c, rows, columns)
                          : case_parameter(c, type, -1, 1, SHAPE(rows, columns));
    case_output(c, matmul(c->graph, a, b, ta, tb));
}
const op_row test_op_matmul = {2 * 2 * 4 * COUNT(matmul_sizes), build_matmul};

/* Those, and rows that fill tiles of 16 rows and 64 columns. */
static const int64_t tile_sizes[][3] = {{15, 64, 16}, {16, 64, 16},  {17, 128, 33},
                                        {33, 64, 47}, {47, 256, 70}, {130, 384, 31}};

/* w as a parameter of both types, as an input, and two and three of them, which become one node;
 * the bound is for the scales and the conversion of the sum. */
static void build_linear_int8(op_case *c, int index) {
    const int kind = case_pick(&index, 5);
    const int from = case_pick(&index, COUNT(matmul_sizes) + COUNT(tile_sizes));
    const int64_t *size =
        from < COUNT(matmul_sizes) ? matmul_sizes[from] : tile_sizes[from - COUNT(matmul_sizes)];
    const int64_t M = size[0], K = size[1], N = size[2];
    tensor *x = matrix_input(c, M, K), *w[3];
    const int n_weights = kind > 2 ? kind - 1 : 1;
    for (int i = 0; i < n_weights; i++)
        w[i] = kind == 2 ? case_input(c, -1, 1, SHAPE(N + 17 * i, K))
                         : case_parameter(c, (kind + i) % 2 ? DTYPE_F32 : DTYPE_BF16, -1, 1,
                                          SHAPE(N + 17 * i, K));
    c->bound = 8;
    for (int i = 0; i < n_weights; i++)
        case_output(c, linear_int8(c->graph, x, w[i]));
}
const op_row test_op_linear_int8 = {5 * (COUNT(matmul_sizes) + COUNT(tile_sizes)),
                                    build_linear_int8};

/* Shapes of elementwise ops: ragged ends of vectors of 16, and enough for several threads. */
static tensor *elementwise_input(op_case *c, int choice, float low, float high) {
    switch (choice) {
    case 0:
        return case_input(c, low, high, SHAPE(1));
    case 1:
        return case_input(c, low, high, SHAPE(3, 5));
    case 2:
        return case_input(c, low, high, SHAPE(2, 2, 2, 2));
    case 3:
        return case_input(c, low, high, SHAPE(17));
    case 4:
        return case_input(c, low, high, SHAPE(3, 85));
    case 5:
        return case_input(c, low, high, SHAPE(257, 1));
    default:
        return case_input(c, low, high, SHAPE(331, 2, 101));
    }
}
#define ELEMENTWISE_SHAPES 7

static void build_add(op_case *c, int index) {
    const int shape = case_pick(&index, ELEMENTWISE_SHAPES);
    tensor *a = elementwise_input(c, shape, -1, 1);
    tensor *b = index ? a : elementwise_input(c, shape, -1, 1);
    c->bound = 1;
    case_output(c, add(c->graph, a, b));
}
const op_row test_op_add = {2 * ELEMENTWISE_SHAPES, build_add};

static void build_mul(op_case *c, int index) {
    const int shape = case_pick(&index, ELEMENTWISE_SHAPES);
    tensor *a = elementwise_input(c, shape, -1, 1);
    tensor *b = index ? a : elementwise_input(c, shape, -1, 1);
    c->bound = 4;
    case_output(c, mul(c->graph, a, b));
}
const op_row test_op_mul = {2 * ELEMENTWISE_SHAPES, build_mul};

static const int64_t row_counts[] = {1, 3, 63, 64, 65, 129, 700};
static const int64_t column_counts[] = {1, 15, 16, 17, 257};

static void build_add_row(op_case *c, int index) {
    const int64_t rows = row_counts[case_pick(&index, COUNT(row_counts))];
    const int64_t C = column_counts[case_pick(&index, COUNT(column_counts))];
    tensor *x = rows % 3 ? case_input(c, -1, 1, SHAPE(rows, C))
                         : case_input(c, -1, 1, SHAPE(3, rows / 3, C));
    tensor *b = rows % 2 ? case_parameter(c, rows % 5 ? DTYPE_F32 : DTYPE_BF16, -1, 1, SHAPE(C))
                         : case_input(c, -1, 1, SHAPE(C));
    c->bound = sum_bound(rows);
    case_output(c, add_row(c->graph, x, b));
}
const op_row test_op_add_row = {COUNT(row_counts) * COUNT(column_counts), build_add_row};

static void build_sum_rows(op_case *c, int index) {
    const int64_t rows = row_counts[case_pick(&index, COUNT(row_counts))];
    const int64_t C = column_counts[case_pick(&index, COUNT(column_counts))];
    tensor *x = rows % 3 ? case_input(c, -1, 1, SHAPE(rows, C))
                         : case_input(c, -1, 1, SHAPE(3, rows / 3, C));
    c->bound = sum_bound(rows);
    case_output(c, sum_rows(c->graph, x));
}
const op_row test_op_sum_rows = {COUNT(row_counts) * COUNT(column_counts), build_sum_rows};

/* Away from the kink of relu, so that finite differences do not straddle it. */
static void avoid_zero(op_case *c) {
    float *x = case_floats(c);
    const int64_t n = tensor_elements(c->source[c->n_sources - 1].tensor);
    for (int64_t i = 0; i < n; i++) {
        if (fabsf(x[i]) < 0.01f) {
            x[i] = 0.01f;
        }
    }
}

/* Zeros of both signs, subnormals, and where exp overflows, underflows and saturates. */
static const float extremes[] = {0.0f,  -0.0f,  1e-40f, -1e-40f, 1e-30f, -1e-30f, 1e-4f, -1e-4f,
                                 9.1f,  -9.1f,  15.9f,  -15.9f,  17.4f,  -17.4f,  20,    -20,
                                 88.7f, -88.7f, 89,     -89,     103.9f, -103.9f, 105,   -105,
                                 1000,  -1000,  1e4f,   -1e4f,   1e9f,   -1e9f};

static tensor *unary_input(op_case *c, int choice) {
    if (choice < ELEMENTWISE_SHAPES) {
        tensor *x = elementwise_input(c, choice, -4, 4);
        avoid_zero(c);
        return x;
    }
    tensor *x = case_input(c, 0, 0, SHAPE(COUNT(extremes)));
    for (int i = 0; i < COUNT(extremes); i++) {
        case_floats(c)[i] = extremes[i];
    }
    c->is_rough = 1;
    return x;
}

/* Every function of exact.h is within 4 of our units, and a few more roundings come after it; the
 * cubic argument of the tanh form of gelu multiplies its own error by its slope. */
static double unary_bound(unary_kind kind) {
    return kind == UNARY_GELU_TANH ? 32 : 16;
}

static void build_unary(op_case *c, int index) {
    const unary_kind kind = (unary_kind)case_pick(&index, UNARY_KINDS);
    tensor *x = unary_input(c, case_pick(&index, ELEMENTWISE_SHAPES + 1));
    c->bound = unary_bound(kind);
    c->unit = 1;
    case_output(c, unary(c->graph, x, kind, kind == UNARY_SCALE ? -1.7f : 3));
}
const op_row test_op_unary = {UNARY_KINDS * (ELEMENTWISE_SHAPES + 1), build_unary};

static void build_unary_grad(op_case *c, int index) {
    const unary_kind kind = (unary_kind)case_pick(&index, UNARY_KINDS);
    const int shape = case_pick(&index, ELEMENTWISE_SHAPES + 1);
    tensor *x = unary_input(c, shape);
    tensor *dy = shape < ELEMENTWISE_SHAPES ? elementwise_input(c, shape, -1, 1)
                                            : case_input(c, -1, 1, SHAPE(COUNT(extremes)));
    c->bound = unary_bound(kind);
    c->unit = 1;
    case_output(c, unary_grad(c->graph, x, dy, kind, kind == UNARY_SCALE ? -1.7f : 3));
}
const op_row test_op_unary_grad = {UNARY_KINDS * (ELEMENTWISE_SHAPES + 1), build_unary_grad};

/* Ragged ends of groups of 64, and an element 0 that stands anywhere in the batch. */
static void build_dropout(op_case *c, int index) {
    static const double rates[] = {0, 0.1, 0.5, 0.9, 1 - 0x1p-24};
    static const struct {
        int site;
        int64_t first;
    } places[] = {{0, 0}, {1, 7}, {4095, 63}, {17, ((int64_t)1 << 40) + 4}};
    const double rate = rates[case_pick(&index, COUNT(rates))];
    const int place = case_pick(&index, COUNT(places));
    tensor *x = elementwise_input(c, case_pick(&index, ELEMENTWISE_SHAPES), -1, 1);
    tensor *key = case_integers(c, INT32_MIN, INT32_MAX, SHAPE(3));
    c->bound = 2;
    case_output(c, dropout(c->graph, x, key, rate, places[place].site, places[place].first));
}
const op_row test_op_dropout = {5 * 4 * ELEMENTWISE_SHAPES, build_dropout};

static const int64_t norm_columns[] = {1, 15, 16, 17, 64, 257};
static const int64_t norm_rows[] = {1, 3, 66, 200};

/* Off centre, so that a mean that is not subtracted shows; away from 0 in rows of one element,
 * where x / sqrt(x^2 + eps) is a step. */
static tensor *norm_input(op_case *c, int64_t rows, int64_t C) {
    const float low = C == 1 ? 0.5f : -1;
    return rows % 3 ? case_input(c, low, 2, SHAPE(rows, C))
                    : case_input(c, low, 2, SHAPE(3, rows / 3, C));
}

static void build_norm(op_case *c, int index) {
    const norm_kind kind = (norm_kind)case_pick(&index, 2);
    const int with_gain = case_pick(&index, 2), with_bias = case_pick(&index, 2);
    const int64_t rows = norm_rows[case_pick(&index, COUNT(norm_rows))];
    const int64_t C = norm_columns[case_pick(&index, COUNT(norm_columns))];
    tensor *x = norm_input(c, rows, C);
    tensor *gain = with_gain ? case_parameter(c, DTYPE_F32, 0.5f, 2, SHAPE(C)) : NULL;
    tensor *bias = with_bias ? case_parameter(c, DTYPE_BF16, -1, 1, SHAPE(C)) : NULL;
    c->bound = sum_bound(C) + sum_bound(rows);
    c->unit = 1;
    case_output(c, norm(c->graph, x, gain, bias, kind, C % 2 ? 0.1f : 1e-5f));
}
const op_row test_op_norm = {8 * COUNT(norm_rows) * COUNT(norm_columns), build_norm};

static void build_norm_grad(op_case *c, int index) {
    const norm_kind kind = (norm_kind)case_pick(&index, 2);
    const int with_gain = case_pick(&index, 2);
    const int want_gain = case_pick(&index, 2), want_bias = case_pick(&index, 2);
    const int64_t rows = norm_rows[case_pick(&index, COUNT(norm_rows))];
    const int64_t C = norm_columns[case_pick(&index, COUNT(norm_columns))];
    tensor *x = norm_input(c, rows, C);
    tensor *gain = with_gain ? case_parameter(c, DTYPE_F32, 0.5f, 2, SHAPE(C)) : NULL;
    tensor *dy = case_input(c, -1, 1, x->rank, x->dim);
    tensor *dx = NULL, *dgain = NULL, *dbias = NULL;
    norm_grad(c->graph, &dx, want_gain ? &dgain : NULL, want_bias ? &dbias : NULL, x, gain, dy,
              kind, C % 2 ? 0.1f : 1e-5f);
    c->bound = sum_bound(C) + sum_bound(rows);
    c->unit = 1;
    case_output(c, dx);
    case_output(c, dgain);
    case_output(c, dbias);
}
const op_row test_op_norm_grad = {16 * COUNT(norm_rows) * COUNT(norm_columns), build_norm_grad};

static const int64_t head_shapes[][4] = {/* B, T, H, D */
                                         {1, 1, 1, 1},    {1, 3, 2, 16},  {2, 5, 3, 17},
                                         {2, 33, 8, 15},  {1, 64, 5, 8},  {3, 43, 2, 64},
                                         {1, 1, 16, 257}, {4, 100, 4, 40}};

static void build_scale_heads(op_case *c, int index) {
    const int as_matrix = case_pick(&index, 2);
    const int64_t *s = head_shapes[case_pick(&index, COUNT(head_shapes))];
    tensor *x = as_matrix ? case_input(c, -1, 1, SHAPE(s[2], s[3]))
                          : case_input(c, -1, 1, SHAPE(s[0], s[1], s[2], s[3]));
    tensor *scale = case_parameter(c, DTYPE_F32, -1, 1, SHAPE(s[2]));
    c->bound = sum_bound(s[0] * s[1] * s[3]);
    case_output(c, scale_heads(c->graph, x, scale));
}
const op_row test_op_scale_heads = {2 * COUNT(head_shapes), build_scale_heads};

static void build_dot_heads(op_case *c, int index) {
    const int twice = case_pick(&index, 2);
    const int64_t *s = head_shapes[case_pick(&index, COUNT(head_shapes))];
    tensor *a = case_input(c, -1, 1, SHAPE(s[0], s[1], s[2], s[3]));
    tensor *b = twice ? a : case_input(c, -1, 1, SHAPE(s[0], s[1], s[2], s[3]));
    c->bound = sum_bound(s[0] * s[1] * s[3]);
    case_output(c, dot_heads(c->graph, a, b));
}
const op_row test_op_dot_heads = {2 * COUNT(head_shapes), build_dot_heads};

/* Equal sizes are enough: with index odd the shapes differ. */
static void build_dot(op_case *c, int index) {
    static const int64_t sizes[] = {2, 30, 32, 34, 1022, 1024, 1026, 2050, 66666};
    const int reshaped = case_pick(&index, 2);
    const int64_t n = sizes[case_pick(&index, COUNT(sizes))];
    tensor *a = case_input(c, -1, 1, SHAPE(2, n / 2));
    tensor *b =
        reshaped ? case_input(c, -1, 1, SHAPE(n / 2, 2)) : case_input(c, -1, 1, SHAPE(2, n / 2));
    c->bound = sum_bound(n);
    c->unit = sqrt((double)n) / 9; /* standard deviation of the sum, which may come out near 0 */
    case_output(c, dot(c->graph, a, b));
}
const op_row test_op_dot = {2 * 9, build_dot};

static void build_mul_scalar(op_case *c, int index) {
    tensor *x = elementwise_input(c, case_pick(&index, ELEMENTWISE_SHAPES), -1, 1);
    tensor *s =
        index ? case_parameter(c, DTYPE_F32, -1, 1, SHAPE(1)) : case_input(c, -1, 1, SHAPE(1));
    c->bound = sum_bound(tensor_elements(x));
    c->unit = 1;
    case_output(c, mul_scalar(c->graph, x, s));
}
const op_row test_op_mul_scalar = {2 * ELEMENTWISE_SHAPES, build_mul_scalar};
