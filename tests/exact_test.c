/* exact_test.c: base/exact.h against libm in long double, at special values, and for its bits: the
 * kernels of every instruction set give the same, and the same as when files were first written
 * with them (golden hashes: a change here makes every compressed file unreadable). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/exact.h"
#include "cpu/cpu.h"
#include "support.h"

#define POINTS (1 << 20)

/* |y - want| in units of the last place of want. */
static double ulps(float y, long double want) {
    int exponent;
    frexpl(want, &exponent);
    return (double)(fabsl((long double)y - want) / ldexpl(1.0L, exponent - 24));
}

static long double sigmoid_reference(long double x) {
    return 1.0L / (1.0L + expl(-x));
}

typedef struct function_case {
    const char *name;
    float (*exact)(float);
    long double (*reference)(long double);
    float low, high; /* where the result is a normal number */
    double bound;    /* ulp, as exact.h states it */
} function_case;

static const function_case functions[] = {
    {"exp", exact_exp, expl, -87.3365f, 88.7228f, 1.0},
    {"log", exact_log, logl, 1e-38f, 3.4e38f, 1.0},
    {"log", exact_log, logl, 0.25f, 4.0f, 1.0},
    {"log", exact_log, logl, 1e-45f, 1e-38f, 1.0},
    {"tanh", exact_tanh, tanhl, -10.0f, 10.0f, 3.0},
    {"sigmoid", exact_sigmoid, sigmoid_reference, -87.0f, 30.0f, 3.0},
    {"erf", exact_erf, erfl, -4.5f, 4.5f, 4.0},
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

/* Half of the points even over the range, half with exponents down to 2^-30 of it. */
static float point(const function_case *f, int i, uint64_t *state) {
    float x = support_uniform(state, f->low, f->high);
    if (i % 2)
        x = ldexpf(x, -(int)support_integer(state, 0, 30));
    return x < f->low ? f->low : x;
}

static void exact_error_is_bounded(void **unused) {
    (void)unused;
    uint64_t state = 1;
    for (size_t k = 0; k < FUNCTIONS; k++) {
        const function_case *f = &functions[k];
        double worst = 0.0;
        float where = 0.0f;
        for (int i = 0; i < POINTS; i++) {
            float x = point(f, i, &state);
            double error = ulps(f->exact(x), f->reference(x));
            if (!(error <= worst)) {
                worst = error;
                where = x;
            }
        }
        if (!(worst <= f->bound))
            fail_msg("%s(%.9g) is off by %.3f ulp", f->name, (double)where, worst);
    }
}

/* Neighbours of a coarse grid are in order: no seam between the pieces of a function. */
static void exact_functions_rise(void **unused) {
    (void)unused;
    for (size_t k = 0; k < FUNCTIONS; k++) {
        const function_case *f = &functions[k];
        float low = f->low < -20.0f ? -20.0f : f->low, high = f->high > 20.0f ? 20.0f : f->high;
        float before = f->exact(low);
        for (int i = 1; i <= 4096; i++) {
            float y = f->exact(low + (high - low) * ((float)i / 4096.0f));
            if (!(y >= before))
                fail_msg("%s falls at step %d", f->name, i);
            before = y;
        }
    }
}

static void assert_bits(float y, float want) {
    assert_int_equal(exact_bits(y), exact_bits(want));
}

static void exact_special_values(void **unused) {
    (void)unused;
    const float inf = INFINITY;
    assert_bits(exact_exp(0.0f), 1.0f);
    assert_bits(exact_exp(-0.0f), 1.0f);
    assert_bits(exact_exp(inf), inf);
    assert_bits(exact_exp(-inf), 0.0f);
    assert_bits(exact_exp(88.73f), inf);
    assert_bits(exact_exp(3e38f), inf);
    assert_bits(exact_exp(-104.0f), 0.0f);
    assert_bits(exact_exp(-3e38f), 0.0f);
    assert_true(exact_exp(88.7228f) < inf);
    assert_true(exact_exp(-87.3365f) >= 1.17549435e-38f);
    assert_bits(exact_exp(-87.33656f), 0.0f);
    assert_bits(exact_exp(1e-45f), 1.0f);
    assert_bits(exact_log(1.0f), 0.0f);
    assert_bits(exact_log(0.0f), -inf);
    assert_bits(exact_log(-0.0f), -inf);
    assert_bits(exact_log(inf), inf);
    assert_true(isnan(exact_log(-1.0f)) && isnan(exact_log(-inf)));
    float (*odd[])(float) = {exact_tanh, exact_erf};
    for (int i = 0; i < 2; i++) {
        assert_bits(odd[i](0.0f), 0.0f);
        assert_bits(odd[i](-0.0f), -0.0f);
        assert_bits(odd[i](inf), 1.0f);
        assert_bits(odd[i](-inf), -1.0f);
        assert_bits(odd[i](12.0f), 1.0f);
    }
    assert_bits(exact_sigmoid(0.0f), 0.5f);
    assert_bits(exact_sigmoid(inf), 1.0f);
    assert_bits(exact_sigmoid(-inf), 0.0f);
    assert_bits(exact_sigmoid(-88.0f), 0.0f);
    for (size_t k = 0; k < FUNCTIONS; k++) {
        assert_true(isnan(functions[k].exact(NAN)));
        assert_true(isnan(functions[k].exact(-NAN)));
    }
}

static void exact_double_functions(void **unused) {
    (void)unused;
    uint64_t state = 2;
    for (int i = 0; i < POINTS; i++) {
        double x = ldexp((double)support_uniform(&state, -1.0f, 1.0f), i % 32), s, c;
        exact_sincos(x, &s, &c);
        double off = fmax((double)fabsl(s - sinl(x)), (double)fabsl(c - cosl(x)));
        if (!(off <= 0x1p-52))
            fail_msg("sincos(%.17g) is off by %g", x, off);

        double base = ldexp(1.0 + (double)support_uniform(&state, 0.0f, 1.0f), i % 40 - 20);
        double exponent = (double)support_uniform(&state, -4.0f, 4.0f);
        long double want = powl(base, exponent);
        double power = (double)fabsl(logl(want) / logl(2.0L));
        double bound = 0x1p-51 * (power > 2.0 ? power : 2.0);
        off = (double)(fabsl(exact_pow(base, exponent) - want) / want);
        if (!(off <= bound))
            fail_msg("pow(%.17g, %.17g) is off by %g", base, exponent, off);
    }
    double s, c;
    exact_sincos(0.0, &s, &c);
    assert_true(s == 0.0 && c == 1.0);
    assert_true(exact_pow(10000.0, 0.0) == 1.0);
}

/* --- bits ------------------------------------------------------------------------------------ */

typedef void map(float *y, const float *x, int64_t n);

/* The functions through a table of kernels: exp, log, erf, then every activation. */
static void apply(const row_kernels *k, int which, float *y, const float *x, int64_t n) {
    map *const maps[] = {k->exp, k->log, k->erf};
    if (which < 3)
        maps[which](y, x, n);
    else
        k->unary[which - 3](y, x, 3.0f, n);
}

#define MAPS (3 + UNARY_KINDS)

/* IEEE 754 leaves the sign and payload of a NaN open. */
static void unify_nan(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i]))
            x[i] = exact_float(0x7fc00000u);
    }
}

/* FNV-1a over the bits of each float, little end first. */
static uint64_t hash(const float *x, int64_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < n; i++) {
        uint32_t u = exact_bits(x[i]);
        for (int shift = 0; shift < 32; shift += 8)
            h = (h ^ ((u >> shift) & 255u)) * 0x100000001b3u;
    }
    return h;
}

static const uint64_t golden[MAPS] = {
    0xedd21d464dc8e27fu, 0x700fcfec4751f9eeu, 0x0e335424af741a3cu, 0x62bf0107dc6a5345u,
    0x2df76af09254d42bu, 0x5c56abd8e202d9f9u, 0x95f1866c2724fc36u, 0xab05e3e648dcf062u,
    0xad323ee0d7456a0fu, 0x72f82d7631047404u, 0x44b896e28422df0au, 0x913d2b56d634eeb8u,
    0xb5acd1d097131f98u,
};

static void exact_bits_are_equal_everywhere(void **unused) {
    (void)unused;
    float *x = support_alloc(POINTS, sizeof *x);
    float *first = support_alloc(POINTS, sizeof *first), *y = support_alloc(POINTS, sizeof *y);
    for (uint32_t i = 0; i < POINTS; i++) /* every 4,096th of all bit patterns, low bits mixed */
        x[i] = exact_float(i * 4096u + (i * 2654435761u >> 20));
    for (int which = 0; which < MAPS; which++) {
        for (int isa = 0; isa <= (int)cpu_detect(); isa++) {
            const cpu_kernels *kernels = cpu_kernels_get((cpu_isa)isa);
            float *out = isa == 0 ? first : y;
            apply(&kernels->rows, which, out, x, POINTS);
            unify_nan(out, POINTS);
            if (isa > 0 && memcmp(first, y, POINTS * sizeof *y) != 0)
                fail_msg("function %d: %s differs from scalar", which, kernels->name);
        }
        if (hash(first, POINTS) != golden[which])
            fail_msg("function %d: hash 0x%016llx", which, (unsigned long long)hash(first, POINTS));
    }
    free(x);
    free(first);
    free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_error_is_bounded),
        cmocka_unit_test(exact_functions_rise),
        cmocka_unit_test(exact_special_values),
        cmocka_unit_test(exact_double_functions),
        cmocka_unit_test(exact_bits_are_equal_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
