/* vulkan_half_test.c: products by cooperative matrices, their factors rounded to f16: each within
 * its bound of the definition, and training by them beside training in f32.
 *
 * The device is OCTET_VULKAN; one without such matrices fails. Not among the tests of
 * vulkan_test.sh, whose device has none, but of cooperative_test.sh. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph_run.h"
#include "support.h"
#include "tiny_model.h"
#include "train/trainer.h"
#include "vulkan/vulkan_backend.h"

static backend *exact, *half; /* of one device */

static int open_device(void **state) {
    (void)state;
    octet_error error = {0};
    const char *index = getenv("OCTET_VULKAN");
    if (!index)
        return 0;
    if (!vulkan_backend_create(&exact, atoi(index), &error) &&
        !vulkan_backend_create(&half, atoi(index), &error) &&
        !vulkan_backend_use_half(half, &error))
        return 0;
    fprintf(stderr, "%s\n", error.text);
    return -1;
}

static int close_device(void **state) {
    (void)state;
    backend_destroy(&half);
    backend_destroy(&exact);
    return 0;
}

/* --- products */

/* Element (i, j) of op(x). */
static double element(const float *x, int64_t rows, int64_t columns, int transposed, int64_t i,
                      int64_t j) {
    return transposed ? x[j * rows + i] : x[i * columns + j];
}

/* Both factors are rounded by 2^-11 at most, and by 2^-40 of the matrix's largest element where f16
 * has no normal number; a sum of f32 then has K roundings of 2^-24. */
static void check_element(const float *a, const float *b, const int64_t size[3], const int *turned,
                          const double largest[2], int64_t i, int64_t j, float got) {
    double sum = 0, all = 0, tiny = 0;
    for (int64_t k = 0; k < size[2]; k++) {
        const double x = element(a, size[0], size[2], turned[0], i, k),
                     y = element(b, size[2], size[1], turned[1], k, j);
        sum += x * y;
        all += fabs(x * y);
        tiny += fabs(x) * largest[1] + fabs(y) * largest[0];
    }
    const double bound = all * (2.01 * 0x1p-11 + (double)size[2] * 0x1p-24) + tiny * 0x1p-39;
    if (!(fabs(got - sum) <= bound))
        fail_msg("%lld x %lld x %lld, transposed %d %d: y[%lld,%lld] is %.9g, not %.9g (%.2g off, "
                 "%.2g at most)",
                 (long long)size[0], (long long)size[1], (long long)size[2], turned[0], turned[1],
                 (long long)i, (long long)j, (double)got, sum, fabs(got - sum), bound);
}

/* Values over 12 powers of two below `scale`. */
static float *random_matrix(int64_t n, float scale, uint64_t *random, double *largest) {
    float *x = support_alloc((size_t)n, sizeof *x);
    *largest = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = ldexpf(support_uniform(random, -1, 1), (int)-support_integer(random, 0, 12)) * scale;
        *largest = fmax(*largest, fabs((double)x[i]));
    }
    return x;
}

static void check_product(const int64_t size[3], const int turned[2], const float scale[2]) {
    uint64_t random = (uint64_t)(size[0] + 3 * size[1] + 7 * size[2]);
    double largest[2];
    float *a = random_matrix(size[0] * size[2], scale[0], &random, &largest[0]);
    float *b = random_matrix(size[2] * size[1], scale[1], &random, &largest[1]);
    graph *g = graph_run_new();
    tensor *x =
        graph_input(g, "a", DTYPE_F32, 2,
                    turned[0] ? (int64_t[]){size[2], size[0]} : (int64_t[]){size[0], size[2]});
    tensor *w =
        graph_input(g, "b", DTYPE_F32, 2,
                    turned[1] ? (int64_t[]){size[1], size[2]} : (int64_t[]){size[2], size[1]});
    tensor *y = graph_output(g, matmul(g, x, w, turned[0], turned[1]));
    const feed feeds[] = {{x, a}, {w, b}};
    float *got = graph_run_once(half, g, y, 2, feeds),
          *other = graph_run_once(exact, g, y, 2, feeds);
    for (int64_t i = 0; i < size[0]; i++)
        for (int64_t j = 0; j < size[1]; j++)
            check_element(a, b, size, turned, largest, i, j, got[i * size[1] + j]);
    /* factors were rounded: it is another product */
    assert_true(memcmp(got, other, (size_t)(size[0] * size[1]) * sizeof *got) != 0);
    free(got);
    free(other);
    free(a);
    free(b);
    graph_destroy(&g);
}

static void products_are_within_their_bound(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{64, 64, 64}, {65, 71, 67}, {130, 64, 95}, {64, 200, 129}};
    static const float scales[][2] = {{1, 1}, {1e-20f, 1e15f}, {3e30f, 2e-34f}, {1e-12f, 1e-12f}};
    if (!half)
        skip();
    for (int i = 0; i < 4; i++)
        for (int turned = 0; turned < 4; turned++)
            check_product(sizes[i], (const int[]){turned & 1, turned >> 1},
                          scales[(i + turned) % 4]);
}

/* Zeros, and what is not finite, come out as they should. */
static void special_values_go_through(void **state) {
    (void)state;
    enum { N = 64 };
    if (!half)
        skip();
    float *a = support_alloc(N * N, sizeof *a), *b = support_alloc(N * N, sizeof *b);
    graph *g = graph_run_new();
    tensor *x = graph_input(g, "a", DTYPE_F32, 2, (int64_t[]){N, N});
    tensor *w = graph_input(g, "b", DTYPE_F32, 2, (int64_t[]){N, N});
    tensor *y = graph_output(g, matmul(g, x, w, 0, 1));
    const feed feeds[] = {{x, a}, {w, b}};
    for (int i = 0; i < N * N; i++)
        b[i] = 1;
    float *got = graph_run_once(half, g, y, 2, feeds);
    for (int i = 0; i < N * N; i++)
        assert_true(got[i] == 0);
    free(got);
    a[5 * N + 3] = NAN;
    a[6 * N + 3] = INFINITY;
    got = graph_run_once(half, g, y, 2, feeds);
    for (int j = 0; j < N; j++)
        assert_true(isnan(got[5 * N + j]) && isinf(got[6 * N + j]) && got[7 * N + j] == 0);
    free(got);
    free(a);
    free(b);
    graph_destroy(&g);
}

/* --- training */

static double train(backend *b, int n) {
    static const char json[] =
        "{\"context\": 128, \"levels\": [{\"dim\": 64, \"layers\": 2, \"heads\": 2, \"patch\": 2},"
        " {\"dim\": 64, \"layers\": 1, \"heads\": 2}], \"train\": {\"batch\": 2, \"steps\": 20}}";
    octet_error error = {0};
    uint8_t bytes[4096];
    config c;
    data *d = NULL;
    trainer *t = NULL;
    step_result result = {0};
    tiny_bytes(bytes, sizeof bytes, 8);
    support_ok(config_parse(&c, json, sizeof json - 1, "config", &error), &error);
    support_ok(data_open_memory(&d, bytes, sizeof bytes, c.context, 5, &error), &error);
    support_ok(trainer_create(&t, b, &c, d, 5, 20, &error), &error);
    for (int i = 0; i < n; i++)
        support_ok(trainer_step(t, &result, &error), &error);
    trainer_destroy(&t);
    data_close(&d);
    return result.loss_bits;
}

/* 20 steps of mixed precision end where those of f32 do, and the same each time. */
static void training_ends_as_in_f32(void **state) {
    (void)state;
    if (!half)
        skip();
    const double first = train(exact, 1), in_f32 = train(exact, 20), mixed = train(half, 20);
    print_message("# from %.4f to %.6f bits per byte in f32, %.6f with factors of f16\n", first,
                  in_f32, mixed);
    assert_true(in_f32 < first - 0.5);
    assert_true(mixed != in_f32);
    assert_true(fabs(mixed - in_f32) <= 1e-3); /* the bound between devices too */
    assert_true(train(half, 2) == train(half, 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_within_their_bound),
        cmocka_unit_test(special_values_go_through),
        cmocka_unit_test(training_ends_as_in_f32),
    };
    return cmocka_run_group_tests_name("vulkan half", tests, open_device, close_device);
}
