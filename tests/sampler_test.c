/* sampler_test.c: what a byte costs, and how one is drawn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/likelihood.h"
#include "infer/sampler.h"
#include "support.h"

static octet_error error;

static void likelihood_agrees_with_libm(void **state) {
    (void)state;
    uint64_t seed = 3;
    for (int n = 1; n < 600; n += n < 40 ? 1 : 37) {
        float logits[600];
        support_fill(logits, n, -20, 20, &seed);
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += exp((double)logits[i]);
        for (int i = 0; i < n; i++) {
            double expected = log2(sum) - (double)logits[i] / log(2.0);
            /* terms of the sum carry 1 ulp each, the result one rounding */
            assert_true(fabs((double)likelihood_bits(logits, n, i) - expected) <
                        1e-6 + 1e-7 * expected);
            assert_true(likelihood_bits(logits, n, i) >= 0);
        }
    }
    float bad[3] = {0, NAN, 1};
    assert_true(isnan(likelihood_bits(bad, 3, 0)));
    bad[1] = INFINITY;
    assert_true(isnan(likelihood_bits(bad, 3, 0)));
}

/* --- sampling */

static uint8_t sample(const float *logits, octet_sampling p, uint64_t position) {
    int symbol = 0;
    support_ok(sampler_draw(&symbol, logits, 256, &p, position, &error), &error);
    return (uint8_t)symbol;
}

static void count_draws(int *count, const float *logits, octet_sampling p, int n) {
    memset(count, 0, 256 * sizeof *count);
    for (int i = 0; i < n; i++)
        count[sample(logits, p, (uint64_t)i)]++;
}

/* Pearson's statistic against the probabilities of `kept` at temperature t. */
static double chi_square(const int *count, int n, const float *logits, double t,
                         const uint8_t *kept) {
    double sum = 0, chi = 0;
    for (int i = 0; i < 256; i++)
        sum += kept[i] ? exp((double)logits[i] / t) : 0;
    for (int i = 0; i < 256; i++) {
        double expected = kept[i] ? n * exp((double)logits[i] / t) / sum : 0;
        if (!kept[i])
            assert_int_equal(count[i], 0);
        else
            chi += (count[i] - expected) * (count[i] - expected) / expected;
    }
    return chi;
}

static void sampler_distributions(void **state) {
    (void)state;
    enum { DRAWS = 40000 };
    float logits[260];
    int count[256];
    uint8_t all[256], kept[256] = {0};
    uint64_t seed = 5;
    support_fill(logits, 256, -2, 2, &seed);
    for (int i = 256; i < 260; i++)
        logits[i] = 50; /* past the 256 that count */
    memset(all, 1, sizeof all);
    /* 255 degrees of freedom: mean 255, deviation 22.6; 400 is 6 deviations away */
    count_draws(count, logits, (octet_sampling){.temperature = 1, .seed = 1}, DRAWS);
    assert_true(chi_square(count, DRAWS, logits, 1, all) < 400);
    count_draws(count, logits, (octet_sampling){.temperature = 0.5f, .seed = 2}, DRAWS);
    assert_true(chi_square(count, DRAWS, logits, 0.5, all) < 400);
    /* the wrong temperature is seen, so that the bound means something */
    assert_true(chi_square(count, DRAWS, logits, 0.55, all) > 400);
    for (int i = 0; i < 8; i++) {
        logits[20 * i + 3] = 3 + 0.1f * (float)i;
        kept[20 * i + 3] = 1;
    }
    count_draws(count, logits, (octet_sampling){.temperature = 1, .top_k = 8, .seed = 3}, DRAWS);
    /* 7 degrees of freedom: 40 has probability 1e-6 */
    assert_true(chi_square(count, DRAWS, logits, 1, kept) < 40);
    count_draws(count, logits,
                (octet_sampling){.temperature = 1, .top_k = 8, .top_p = 0.9999f, .seed = 3}, DRAWS);
    assert_true(chi_square(count, DRAWS, logits, 1, kept) < 40);
    count_draws(count, logits, (octet_sampling){.temperature = 1, .min_p = 0.45f, .seed = 4},
                DRAWS);
    /* e^-0.7 = 0.497, e^-0.8 would be 0.449; the others are below e^2 of e^3.7 */
    assert_true(chi_square(count, DRAWS, logits, 1, kept) < 40);
}

static void sampler_cuts(void **state) {
    (void)state;
    float logits[256];
    int count[256];
    /* 1/2, 1/4, 1/8, 1/8 at 9, 7, 8, 6, in float exactly as powers of two of one weight */
    for (int i = 0; i < 256; i++)
        logits[i] = -1000;
    logits[9] = 0;
    logits[7] = -0.6931472f;
    logits[8] = logits[6] = -1.3862944f;
    const struct {
        octet_sampling p;
        int in[4]; /* 9, 7, 6, 8 */
    } cases[] = {
        {{.temperature = 1, .top_p = 0.4f}, {1, 0, 0, 0}},
        {{.temperature = 1, .top_p = 0.6f}, {1, 1, 0, 0}},
        {{.temperature = 1, .top_p = 0.8f}, {1, 1, 1, 0}}, /* the lower of two equal bytes */
        {{.temperature = 1, .top_p = 0.95f}, {1, 1, 1, 1}},
        {{.temperature = 1, .top_k = 1}, {1, 0, 0, 0}},
        {{.temperature = 1, .top_k = 3}, {1, 1, 1, 0}},
        {{.temperature = 1, .top_k = 3, .top_p = 0.55f}, {1, 0, 0, 0}}, /* 4/7 of what is left */
        {{.temperature = 1, .min_p = 0.4f}, {1, 1, 0, 0}},
        {{.temperature = 2, .top_p = 0.4f}, {1, 1, 0, 0}}, /* temperature comes first */
        {{.temperature = 1}, {1, 1, 1, 1}},
    };
    static const int at[4] = {9, 7, 6, 8};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        count_draws(count, logits, cases[i].p, 500);
        int seen = 0;
        for (int k = 0; k < 4; k++) {
            assert_int_equal(count[at[k]] > 0, cases[i].in[k]);
            seen += count[at[k]];
        }
        assert_int_equal(seen, 500);
    }
    assert_int_equal(sample(logits, (octet_sampling){0}, 0), 9);
    /* two halves: the lower byte alone reaches 1/2 */
    logits[7] = 0;
    logits[8] = logits[6] = -1000;
    count_draws(count, logits, (octet_sampling){.temperature = 1, .top_p = 0.5f}, 200);
    assert_int_equal(count[7], 200);
    count_draws(count, logits, (octet_sampling){.temperature = 1, .top_p = 0.51f}, 200);
    assert_true(count[7] > 0 && count[9] > 0);
    logits[3] = 0;
    assert_int_equal(sample(logits, (octet_sampling){0}, 0), 3);
    assert_int_equal(sample(logits, (octet_sampling){.temperature = 1e-30f}, 0) % 6, 3);
}

static void sampler_refuses(void **state) {
    (void)state;
    float logits[256] = {0};
    int symbol;
    const octet_sampling bad[] = {
        {.temperature = -1}, {.temperature = NAN}, {.temperature = INFINITY}, {.top_k = -1},
        {.top_p = 1.5f},     {.top_p = NAN},       {.min_p = -0.1f},          {.min_p = 2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sampler_draw(&symbol, logits, 256, &bad[i], 0, &error), OCTET_ERROR);
    const octet_sampling fine = {.temperature = 1};
    logits[7] = NAN;
    assert_int_equal(sampler_draw(&symbol, logits, 256, &fine, 0, &error), OCTET_ERROR);
    logits[7] = INFINITY;
    assert_int_equal(sampler_draw(&symbol, logits, 256, &fine, 0, &error), OCTET_ERROR);
    logits[7] = -INFINITY;
    assert_int_equal(sampler_draw(&symbol, logits, 256, &fine, 0, &error), OCTET_OK);
}

/* Other numbers of symbols: only those are drawn, the last like any other. */
static void sampler_counts_symbols(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 100, 255, 257};
    float logits[SAMPLER_SYMBOLS + 1] = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int n = sizes[i];
        int last = 0;
        logits[n] = 100;
        for (uint64_t at = 0; at < 3000; at++) {
            const octet_sampling p = {.temperature = 1, .top_p = at % 2 ? 0.999f : 0, .seed = 5};
            int symbol = -1;
            support_ok(sampler_draw(&symbol, logits, n, &p, at, &error), &error);
            assert_in_range(symbol, 0, n - 1);
            last += symbol == n - 1;
        }
        assert_true(last > 0);
        logits[n - 1] = 1;
        int symbol = -1;
        support_ok(sampler_draw(&symbol, logits, n, &(octet_sampling){.temperature = 0}, 0, &error),
                   &error);
        assert_int_equal(symbol, n - 1);
        logits[n - 1] = logits[n] = 0;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampler_counts_symbols), cmocka_unit_test(likelihood_agrees_with_libm),
        cmocka_unit_test(sampler_distributions),  cmocka_unit_test(sampler_cuts),
        cmocka_unit_test(sampler_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
