/* cpu_rows_test.c: the CPU ops that work row by row or element by element, against plain versions
 * in double or, where the order of a sum is simple, the same float loop to the bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_case.h"
#include "support.h"

/* --- elementwise ----------------------------------------------------------------------------- */

static void binary_shape(int64_t rows, int64_t columns) {
    const cpu_op *const ops[] = {&cpu_add, &cpu_mul, &cpu_mul_scalar, &cpu_add_row};
    for (int k = 0; k < 4; k++) {
        cpu_case c = cpu_case_new();
        const float *a = cpu_case_random(&c, rows, columns, -3, 3);
        const float *b = k < 2    ? cpu_case_random(&c, rows, columns, -3, 3)
                         : k == 2 ? cpu_case_random(&c, 0, 1, -3, 3)
                                  : cpu_case_random(&c, 0, columns, -3, 3);
        cpu_case_output(&c, rows, columns);
        cpu_case_run(&c, ops[k]);
        for (int64_t i = 0; i < rows * columns; i++) {
            double x = (double)a[i], y = (double)b[k < 2 ? i : k == 2 ? 0 : i % columns];
            double want = k == 1 || k == 2 ? x * y : x + y;
            cpu_case_close("binary", i, (double)c.out[0][i], want, fabs(want)); /* one rounding */
        }
        cpu_case_finish(&c);
    }
}

static void rows_binary(void **unused) {
    (void)unused;
    cpu_case_shapes(binary_shape);
}

static void heads_shape(int64_t rows, int64_t size) {
    const int64_t heads = 3;
    cpu_case c = cpu_case_new();
    const float *x = cpu_case_random(&c, rows * heads, size, -3, 3);
    const float *s = cpu_case_random(&c, 0, heads, -3, 3);
    c.n.input[0]->rank = 3;
    c.n.input[0]->dim[0] = rows;
    c.n.input[0]->dim[1] = heads;
    c.n.input[0]->dim[2] = size;
    cpu_case_output(&c, rows * heads, size);
    cpu_case_run(&c, &cpu_scale_heads);
    for (int64_t i = 0; i < rows * heads * size; i++) {
        double want = (double)x[i] * (double)s[i / size % heads];
        cpu_case_close("scale_heads", i, (double)c.out[0][i], want, fabs(want));
    }
    cpu_case_finish(&c);

    c = cpu_case_new();
    c.serial_phase = 1;
    const float *a = cpu_case_random(&c, rows * heads, size, -1, 1);
    const float *b = cpu_case_random(&c, rows * heads, size, -1, 1);
    for (int i = 0; i < 2; i++)
        *c.n.input[i] = (tensor){.type = DTYPE_F32, .rank = 3, .dim = {rows, heads, size}};
    cpu_case_output(&c, 0, heads);
    cpu_case_run(&c, &cpu_dot_heads);
    for (int64_t h = 0; h < heads; h++) {
        double sum = 0, size_of_sum = 0;
        for (int64_t i = 0; i < rows * size; i++) {
            int64_t at = (i / size * heads + h) * size + i % size;
            sum += (double)a[at] * (double)b[at];
            size_of_sum += fabs((double)a[at] * (double)b[at]);
        }
        /* a product, size / 16 in a lane, the tree, 64 rows, the blocks */
        double path = 1 + (double)(size + 15) / 16 + 4 + 64 + (double)rows / 64 + 1;
        cpu_case_close("dot_heads", h, (double)c.out[0][h], sum, path * size_of_sum);
    }
    cpu_case_finish(&c);
}

static void rows_heads(void **unused) {
    (void)unused;
    cpu_case_shapes(heads_shape);
}

/* f and f' in double, by the textbook. */
static double activation(int kind, double x, double c, int slope) {
    const double pi = 3.14159265358979323846, k = sqrt(2 / pi);
    double s = 1 / (1 + exp(-x)), t;
    switch (kind) {
    case UNARY_SCALE:
        return slope ? c : c * x;
    case UNARY_RELU:
        return slope ? (x > 0) : fmax(x, 0);
    case UNARY_RELU2:
        return slope ? 2 * fmax(x, 0) : fmax(x, 0) * fmax(x, 0);
    case UNARY_GELU:
        s = erfc(-x / sqrt(2)) / 2;
        return slope ? s + x * exp(-x * x / 2) / sqrt(2 * pi) : x * s;
    case UNARY_GELU_TANH:
        t = tanh(k * (x + 0.044715 * x * x * x));
        return slope ? (1 + t) / 2 + x / 2 * (1 - t * t) * k * (1 + 3 * 0.044715 * x * x)
                     : x * (1 + t) / 2;
    case UNARY_SILU:
        return slope ? s + x * s * (1 - s) : x * s;
    case UNARY_SIGMOID:
        return slope ? s * (1 - s) : s;
    case UNARY_TANH:
        return slope ? 1 - tanh(x) * tanh(x) : tanh(x);
    case UNARY_LEAKY_RELU2:
        return slope ? (x > 0 ? 2 * x : x / 2) : fmax(x, x / 2) * fmax(x, x / 2);
    default: /* UNARY_SOFTCAP */
        t = tanh(x / c);
        return slope ? 1 - t * t : c * t;
    }
}

static const int64_t widths[] = {1, 15, 16, 17, 64, 255, 256, 257};

static void unary_shape(int kind, int64_t n, float spread) {
    const float cap = 2.5f;
    for (int slope = 0; slope < 2; slope++) {
        cpu_case c = cpu_case_new();
        const float *x = cpu_case_random(&c, 0, n, -spread, spread);
        const float *dy = slope ? cpu_case_random(&c, 0, n, -1, 1) : NULL;
        cpu_case_output(&c, 0, n);
        c.n.params.unary.kind = kind;
        c.n.params.unary.c = cap;
        cpu_case_run(&c, slope ? &cpu_unary_grad : &cpu_unary);
        for (int64_t i = 0; i < n; i++) {
            double v = (double)x[i];
            double want = activation(kind, v, (double)cap, slope) * (slope ? (double)dy[i] : 1);
            /* A value: 8 roundings (the exact functions are 4 ulp) of terms of the size of x, f(x)
             * or 1. A slope: they are amplified by |x f''|, at most 2 here, and 1 - t and 1 - s
             * keep what t and s rounded: 32 in all. */
            cpu_case_close("unary", i, (double)c.out[0][i], want,
                           slope ? 32 + 4 * fabs(want) : 8 * (1 + fabs(v) + fabs(want)));
        }
        cpu_case_finish(&c);
    }
}

static void rows_unary(void **unused) {
    (void)unused;
    for (int kind = 0; kind < UNARY_KINDS; kind++) {
        for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
            unary_shape(kind, widths[i], 3.0f);
        unary_shape(kind, 5000, 1.0f);
        unary_shape(kind, 5000, 12.0f);
    }
}

/* --- sums ------------------------------------------------------------------------------------ */

static void sum_rows_shape(int64_t rows, int64_t columns) {
    cpu_case c = cpu_case_new();
    const float *x = cpu_case_random(&c, rows, columns, -1, 1);
    cpu_case_output(&c, 0, columns);
    cpu_case_run(&c, &cpu_sum_rows);
    for (int64_t j = 0; j < columns; j++) {
        double sum = 0, size = 0;
        float block = 0, exact = 0; /* in the order that graph.h states */
        for (int64_t r = 0; r < rows; r++) {
            sum += (double)x[r * columns + j];
            size += fabs((double)x[r * columns + j]);
            block = (r % 64 ? block : 0) + x[r * columns + j];
            exact += r % 64 == 63 || r == rows - 1 ? block : 0;
        }
        assert_memory_equal(&c.out[0][j], &exact, sizeof exact);
        cpu_case_close("sum_rows", j, (double)c.out[0][j], sum,
                       (64 + (double)rows / 64 + 1) * size);
    }
    cpu_case_finish(&c);
}

static void rows_sum_rows(void **unused) {
    (void)unused;
    cpu_case_shapes(sum_rows_shape);
}

/* The order that graph.h states, written out once more; and the value. */
static void rows_dot(void **unused) {
    (void)unused;
    static const int64_t sizes[] = {1, 15, 16, 17, 1023, 1024, 1025, 100000};
    for (int k = 0; k < 8; k++) {
        const int64_t n = sizes[k];
        cpu_case c = cpu_case_new();
        c.serial_phase = 1;
        const float *a = cpu_case_random(&c, 0, n, -1, 1), *b = cpu_case_random(&c, 0, n, -1, 1);
        cpu_case_output(&c, 0, 1);
        cpu_case_run(&c, &cpu_dot);
        double sum = 0, size = 0;
        float exact = 0;
        for (int64_t block = 0; block < n; block += 1024) {
            float lane[16] = {0};
            for (int64_t i = block; i < n && i < block + 1024; i++) {
                lane[i % 16] = fmaf(a[i], b[i], lane[i % 16]);
                sum += (double)a[i] * (double)b[i];
                size += fabs((double)a[i] * (double)b[i]);
            }
            for (int half = 8; half > 0; half /= 2) {
                for (int l = 0; l < half; l++)
                    lane[l] += lane[l + half];
            }
            exact += lane[0];
        }
        assert_memory_equal(c.out[0], &exact, sizeof exact);
        cpu_case_close("dot", 0, (double)c.out[0][0], sum, (64 + 4 + (double)n / 1024 + 1) * size);
        cpu_case_finish(&c);
    }
}

static void rows_norm_factor(void **unused) {
    (void)unused;
    static const float sums[] = {0.0f, 0.25f, 1.0f, 9.0f, 1e12f};
    for (int k = 0; k < 10; k++) {
        cpu_case c = cpu_case_new();
        c.serial_phase = 0;
        float s = cpu_case_input(&c, DTYPE_F32, 0, 1)[0] = sums[k / 2];
        cpu_case_output(&c, 0, 1);
        c.n.params.factor.kind = k % 2 ? FACTOR_CLIP : FACTOR_INVERSE;
        c.n.params.factor.c = 0.5f;
        cpu_case_run(&c, &cpu_norm_factor);
        double root = sqrt((double)s);
        double want = k % 2 ? fmin(1, 0.5 / (root + 1e-6)) : 1 / (root + 0.5);
        cpu_case_close("norm_factor", k, (double)c.out[0][0], want, 4 * want);
        cpu_case_finish(&c);
    }
}

/* --- gather and scatter ---------------------------------------------------------------------- */

/* Indices of all kinds, in and out of range: rows of x[n], of start[2], none. */
static void fill_index(int32_t *index, int64_t rows, int64_t n) {
    static uint64_t state = 11;
    for (int64_t r = 0; r < rows; r++) {
        int64_t kind = support_integer(&state, 0, 9);
        index[r] = (int32_t)(kind == 0   ? GATHER_NONE
                             : kind == 1 ? n
                             : kind == 2 ? -4
                             : kind < 5  ? -support_integer(&state, 1, 2)
                                         : support_integer(&state, 0, n - 1));
    }
}

static void gather_shape(int64_t rows, int64_t columns) {
    const int64_t n = 7;
    for (int has_start = 0; has_start < 2; has_start++) {
        cpu_case c = cpu_case_new();
        const float *x = cpu_case_random(&c, n, columns, -1, 1), *start = NULL;
        if (has_start)
            start = cpu_case_random(&c, 2, columns, -1, 1);
        else
            c.n.n_inputs++;
        int32_t *index = (int32_t *)(void *)cpu_case_input(&c, DTYPE_I32, 0, rows);
        fill_index(index, rows, n);
        cpu_case_output(&c, rows, columns);
        cpu_case_run(&c, &cpu_gather);
        for (int64_t i = 0; i < rows * columns; i++) {
            int32_t at = index[i / columns];
            float want = 0;
            if (at >= 0 && at < n)
                want = x[at * columns + i % columns];
            else if (at < 0 && at >= -2 && start)
                want = start[(-1 - at) * columns + i % columns];
            assert_memory_equal(&c.out[0][i], &want, sizeof want);
        }
        cpu_case_finish(&c);
    }
}

/* Rows ascending, from 0: a plain loop over rows gives the bits. */
static void scatter_variant(int64_t rows, int64_t columns, int64_t n, int from_start) {
    cpu_case c = cpu_case_new();
    c.serial_phase = 0;
    const float *dy = cpu_case_random(&c, rows, columns, -1, 1);
    int32_t *index = (int32_t *)(void *)cpu_case_input(&c, DTYPE_I32, 0, rows);
    fill_index(index, rows, n);
    cpu_case_output(&c, n, columns);
    c.n.params.scatter.from_start = from_start;
    c.n.params.scatter.each = 1;
    cpu_case_run(&c, &cpu_scatter);
    float *want = support_alloc((size_t)(n * columns), sizeof *want);
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = from_start ? -1 - (int64_t)index[r] : index[r];
        for (int64_t i = 0; i < columns && at >= 0 && at < n; i++)
            want[at * columns + i] += dy[r * columns + i];
    }
    assert_memory_equal(c.out[0], want, (size_t)(n * columns) * sizeof *want);
    free(want);
    cpu_case_finish(&c);
}

static void scatter_shape(int64_t rows, int64_t columns) {
    static const int64_t sizes[] = {1, 2, 17, 300};
    for (int k = 0; k < 8; k++)
        scatter_variant(rows, columns, sizes[k / 2], k % 2);
}

static void rows_gather(void **unused) {
    (void)unused;
    cpu_case_shapes(gather_shape);
}

static void rows_scatter(void **unused) {
    (void)unused;
    cpu_case_shapes(scatter_shape);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_binary), cmocka_unit_test(rows_heads),
        cmocka_unit_test(rows_unary),  cmocka_unit_test(rows_sum_rows),
        cmocka_unit_test(rows_dot),    cmocka_unit_test(rows_norm_factor),
        cmocka_unit_test(rows_gather), cmocka_unit_test(rows_scatter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
