/* cpu_train_test.c: norm, cross entropy and their gradients and the optimizer steps on the CPU,
 * against plain versions in double. */
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

/* --- norm ------------------------------------------------------------------------------------ */

/* Mean (0 for RMS) and 1 / sqrt(variance + epsilon) of a row. */
static void norm_row(const float *x, int64_t n, int kind, double epsilon, double *mean,
                     double *inverse) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    *mean = kind == NORM_LAYER ? sum / (double)n : 0;
    for (int64_t i = 0; i < n; i++)
        squares += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    *inverse = 1 / sqrt(squares / (double)n + epsilon);
}

/* The bits of an RMS norm without gain and bias, in the order that graph.h states. */
static void check_rms_order(const float *y, const float *x, int64_t n, float epsilon) {
    float lane[16] = {0};
    for (int64_t i = 0; i < n; i++)
        lane[i % 16] += x[i] * x[i];
    for (int half = 8; half > 0; half /= 2) {
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    }
    const float inverse = 1 / sqrtf(lane[0] / (float)n + epsilon);
    for (int64_t i = 0; i < n; i++) {
        const float want = x[i] * inverse;
        assert_memory_equal(&y[i], &want, sizeof want);
    }
}

static void norm_variant(int64_t rows, int64_t n, int kind, int options) {
    cpu_case c = cpu_case_new();
    const float *x = cpu_case_random(&c, rows, n, -2, 3), *gain = NULL, *bias = NULL;
    if (options & 1)
        gain = cpu_case_random(&c, 0, n, -2, 2);
    else
        c.n.n_inputs++;
    if (options & 2)
        bias = cpu_case_random(&c, 0, n, -2, 2);
    else
        c.n.n_inputs++;
    cpu_case_output(&c, rows, n);
    c.n.params.norm.kind = kind;
    c.n.params.norm.epsilon = 1e-2f;
    cpu_case_run(&c, &cpu_norm);
    for (int64_t r = 0; r < rows; r++) {
        double mean, inverse;
        norm_row(x + r * n, n, kind, (double)1e-2f, &mean, &inverse);
        if (kind == NORM_RMS && options == 0)
            check_rms_order(c.out[0] + r * n, x + r * n, n, 1e-2f);
        for (int64_t i = 0; i < n; i++) {
            double y = ((double)x[r * n + i] - mean) * inverse, g = gain ? (double)gain[i] : 1;
            double b = bias ? (double)bias[i] : 0;
            /* the mean and the variance are good to a lane, the tree and the divisions; x is up
             * to 3 away from 0, and what the mean rounded is scaled by `inverse` */
            double path = (double)n / 16 + 12;
            cpu_case_close("norm", i, (double)c.out[0][r * n + i], y * g + b,
                           path * ((fabs(y) + 3 * inverse) * fabs(g) + fabs(b)));
        }
    }
    cpu_case_finish(&c);
}

static void norm_shape(int64_t rows, int64_t n) {
    for (int options = 0; options < 4; options++) {
        norm_variant(rows, n, NORM_RMS, options);
        norm_variant(rows, n, NORM_LAYER, options);
    }
}

static void train_norm(void **unused) {
    (void)unused;
    cpu_case_shapes(norm_shape);
}

/* options: 1 gain, 2 dgain asked for, 4 dbias asked for */
static void norm_grad_variant(int64_t rows, int64_t n, int kind, int options) {
    cpu_case c = cpu_case_new();
    const float *x = cpu_case_random(&c, rows, n, -2, 3), *gain = NULL;
    if (options & 1)
        gain = cpu_case_random(&c, 0, n, -2, 2);
    else
        c.n.n_inputs++;
    const float *dy = cpu_case_random(&c, rows, n, -1, 1);
    cpu_case_output(&c, rows, n);
    for (int k = 1; k <= 2; k++) {
        if (options & (1 << k))
            cpu_case_output(&c, 0, n);
        else
            c.n.n_outputs++;
    }
    c.n.params.norm.kind = kind;
    c.n.params.norm.epsilon = 1e-2f;
    cpu_case_run(&c, &cpu_norm_grad);
    double *sums = support_alloc((size_t)(4 * n), sizeof *sums); /* dgain, dbias, their sizes */
    const double path = (double)n / 16 + 24;
    for (int64_t r = 0; r < rows; r++) {
        double mean, inverse, mean_g = 0, mean_gd = 0;
        norm_row(x + r * n, n, kind, (double)1e-2f, &mean, &inverse);
        for (int64_t i = 0; i < n; i++) {
            double g = (double)dy[r * n + i] * (gain ? (double)gain[i] : 1);
            mean_g += kind == NORM_LAYER ? g / (double)n : 0;
            mean_gd += g * ((double)x[r * n + i] - mean) / (double)n;
        }
        for (int64_t i = 0; i < n; i++) {
            double d = (double)x[r * n + i] - mean, dyi = (double)dy[r * n + i];
            double g = dyi * (gain ? (double)gain[i] : 1);
            double want = inverse * (g - mean_g - d * inverse * inverse * mean_gd);
            /* |g| <= 2, |d| <= 5: terms of size 2 and 5 inverse^2 (5 * 2) lose path roundings */
            cpu_case_close("norm_grad", i, (double)c.out[0][r * n + i], want,
                           path * inverse * (4 + 5 * inverse * inverse * 10));
            sums[i] += dyi * d * inverse;
            sums[n + i] += dyi;
            sums[2 * n + i] += fabs(dyi) * (fabs(d) + 3) * inverse;
            sums[3 * n + i] += fabs(dyi);
        }
    }
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n && c.out[1 + k]; i++)
            cpu_case_close("norm_grad sums", i, (double)c.out[1 + k][i], sums[k * n + i],
                           (path + 64 + (double)rows / 64 + 1) * sums[(2 + k) * n + i]);
    }
    free(sums);
    cpu_case_finish(&c);
}

static void norm_grad_shape(int64_t rows, int64_t n) {
    for (int options = 0; options < 8; options++) {
        norm_grad_variant(rows, n, NORM_RMS, options);
        norm_grad_variant(rows, n, NORM_LAYER, options);
    }
}

static void train_norm_grad(void **unused) {
    (void)unused;
    cpu_case_shapes(norm_grad_shape);
}

/* --- loss ------------------------------------------------------------------------------------ */

static double log_sum_exp(const float *x, int64_t n) {
    double largest = (double)x[0], sum = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, (double)x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - largest);
    return largest + log(sum);
}

static void loss_spread(int64_t rows, int64_t n, float spread) {
    uint64_t state = (uint64_t)(rows * 1000 + n);
    for (int grad = 0; grad < 2; grad++) {
        cpu_case c = cpu_case_new();
        const float *x = cpu_case_random(&c, rows, n, -spread, spread);
        int32_t *target = (int32_t *)(void *)cpu_case_input(&c, DTYPE_I32, 0, rows);
        for (int64_t r = 0; r < rows; r++)
            target[r] = (int32_t)support_integer(&state, -1, n); /* n is outside too */
        const float *dnll = grad ? cpu_case_random(&c, 0, rows, -1, 1) : NULL;
        cpu_case_output(&c, grad ? rows : 0, grad ? n : rows);
        cpu_case_run(&c, grad ? &cpu_cross_entropy_grad : &cpu_cross_entropy);
        /* exp of a rounded difference of up to 2 spread, n / 16 additions and the tree; then the
         * gradient rounds its difference and its product */
        const double path = 2 * (double)spread + (double)n / 16 + 8;
        for (int64_t r = 0; r < rows; r++) {
            const int inside = target[r] >= 0 && target[r] < n;
            double lse = log_sum_exp(x + r * n, n);
            if (!grad) {
                double want = inside ? lse - (double)x[r * n + target[r]] : 0;
                cpu_case_close("nll", r, (double)c.out[0][r], want, inside ? path + want : 0);
                continue;
            }
            for (int64_t i = 0; i < n; i++) {
                double p = exp((double)x[r * n + i] - lse);
                double want = inside ? (p - (i == target[r])) * (double)dnll[r] : 0;
                cpu_case_close("dlogits", i, (double)c.out[0][r * n + i], want,
                               inside ? path * p + 2 * fabs(want) : 0);
            }
        }
        cpu_case_finish(&c);
    }
}

static void loss_shape(int64_t rows, int64_t n) {
    loss_spread(rows, n, 4.0f);
    loss_spread(rows, n, 60.0f);
}

static void train_cross_entropy(void **unused) {
    (void)unused;
    cpu_case_shapes(loss_shape);
}

/* --- optimizer ------------------------------------------------------------------------------- */

static const float hyper_values[8] = {0.01f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.271f, 0.0297f, 0.0f};

static void fill_hyper(cpu_case *c) {
    memcpy(cpu_case_input(c, DTYPE_F32, 0, 8), hyper_values, sizeof hyper_values);
}

static double hyper(int i) {
    return (double)hyper_values[i];
}

static void adamw_size(int64_t n) {
    cpu_case c = cpu_case_new();
    const float *w = cpu_case_random(&c, 0, n, -1, 1), *gradient = cpu_case_random(&c, 0, n, -1, 1);
    const float *m = cpu_case_random(&c, 0, n, -1, 1), *v = cpu_case_random(&c, 0, n, 0, 1);
    const double factor = (double)cpu_case_random(&c, 0, 1, 0.2f, 0.9f)[0];
    fill_hyper(&c);
    for (int i = 0; i < 3; i++)
        cpu_case_in_place(&c, i == 0 ? 0 : i + 1);
    cpu_case_run(&c, &cpu_adamw);
    for (int64_t i = 0; i < n; i++) {
        double g = (double)gradient[i] * factor, b1 = hyper(1), b2 = hyper(2);
        double m1 = b1 * (double)m[i] + (1 - b1) * g;
        double v1 = b2 * (double)v[i] + (1 - b2) * g * g;
        double step = hyper(0) * (m1 / hyper(5)) / (sqrt(v1 / hyper(6)) + hyper(3));
        double w1 = (double)w[i] * (1 - hyper(0) * hyper(4)) - step;
        /* 1 - b2 in float loses 2^-24 of 1: up to 100 roundings of its term, 10 for 1 - b1 */
        double m_size = fabs((double)m[i]) + fabs(g), v_size = (double)v[i] + g * g;
        cpu_case_close("adamw m", i, (double)c.out[1][i], m1, 4 * m_size);
        cpu_case_close("adamw v", i, (double)c.out[2][i], v1, 4 * v_size);
        double lost = 4 * m_size / (fabs(m1) + 1e-30) + 4 * v_size / v1 + 8;
        cpu_case_close("adamw w", i, (double)c.out[0][i], w1,
                       4 * fabs((double)w[i]) + lost * fabs(step));
    }
    cpu_case_finish(&c);
}

static void momentum_size(int64_t n, int nesterov) {
    cpu_case c = cpu_case_new();
    const float *m = cpu_case_random(&c, 0, n, -1, 1), *gradient = cpu_case_random(&c, 0, n, -1, 1);
    const double factor = (double)cpu_case_random(&c, 0, 1, 0.2f, 0.9f)[0];
    fill_hyper(&c);
    cpu_case_output(&c, 0, n);
    cpu_case_in_place(&c, 0);
    c.n.params.momentum.nesterov = nesterov;
    cpu_case_run(&c, &cpu_momentum);
    for (int64_t i = 0; i < n; i++) {
        double g = (double)gradient[i] * factor, beta = hyper(1);
        double m1 = beta * (double)m[i] + (1 - beta) * g;
        double u = nesterov ? (1 - beta) * g + beta * m1 : m1;
        double size = fabs((double)m[i]) + fabs(g);
        cpu_case_close("momentum m", i, (double)c.out[1][i], m1, 4 * size);
        cpu_case_close("momentum u", i, (double)c.out[0][i], u, 8 * size);
    }
    cpu_case_finish(&c);
}

static void descend_size(int64_t n) {
    cpu_case c = cpu_case_new();
    const float *w = cpu_case_random(&c, 0, n, -1, 1), *x = cpu_case_random(&c, 0, n, -1, 1);
    fill_hyper(&c);
    cpu_case_in_place(&c, 0);
    c.n.params.descend.multiplier = 1.5f;
    cpu_case_run(&c, &cpu_descend);
    for (int64_t i = 0; i < n; i++) {
        double want = (double)w[i] * (1 - hyper(0) * hyper(4)) - hyper(0) * 1.5 * (double)x[i];
        cpu_case_close("descend", i, (double)c.out[0][i], want,
                       4 * (fabs((double)w[i]) + fabs((double)x[i])));
    }
    cpu_case_finish(&c);

    c = cpu_case_new();
    const float *m = cpu_case_random(&c, 0, n, -1, 1), *new_w = cpu_case_random(&c, 0, n, -1, 1);
    const double weight = (double)cpu_case_random(&c, 0, 1, 0.1f, 0.9f)[0];
    cpu_case_in_place(&c, 0);
    cpu_case_run(&c, &cpu_lerp);
    for (int64_t i = 0; i < n; i++) {
        double want = (double)m[i] + weight * ((double)new_w[i] - (double)m[i]);
        cpu_case_close("lerp", i, (double)c.out[0][i], want, 8);
    }
    cpu_case_finish(&c);
}

static void train_optimizer(void **unused) {
    (void)unused;
    static const int64_t sizes[] = {1, 15, 16, 17, 255, 256, 257, 5000};
    for (int k = 0; k < 8; k++) {
        adamw_size(sizes[k]);
        momentum_size(sizes[k], 0);
        momentum_size(sizes[k], 1);
        descend_size(sizes[k]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_norm),
        cmocka_unit_test(train_norm_grad),
        cmocka_unit_test(train_cross_entropy),
        cmocka_unit_test(train_optimizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
