/* cpu_matmul_test.c: the matrix product is one chain of fmaf per element, to the bit.
 *
 * A plain triple loop of libm's fmaf is the truth. Every instruction set, transposition, number of
 * tasks, packed or plain b must repeat its bits, on ordinary numbers and on infinities, NaN (any
 * NaN equals any other: its payload is the processor's), denormals, ties and signed zeros. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"

enum { LANES = 3 };

typedef struct product {
    int64_t m, n, k;
    int transpose_a, transpose_b;
    float *a, *b, *expected;
} product;

static uint32_t next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static float of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float plain(uint32_t *state) {
    return (float)(int32_t)next(state) * 0x1p-31f;
}

/* Numbers whose sums tie, cancel, overflow and sink into the denormals. */
static float awkward(uint32_t *state) {
    const uint32_t bits = next(state), sign = bits & 0x80000000u;
    switch (next(state) % 8) {
    case 0:
        return of_bits(bits & 0x807fffffu); /* denormal */
    case 1:
        return of_bits(sign); /* zero */
    case 2:
        return of_bits(sign | 0x20000000u | (bits & 0x00ffffffu)); /* products near 2^-126 */
    case 3:
        return of_bits(sign | 0x00800000u | (bits & 3u)); /* near the smallest normal */
    case 4:
        return of_bits(sign | 0x3f800000u | (bits & 3u)); /* 1 and a few last places: ties */
    case 5:
        return of_bits(sign | (0x33800000u + ((bits & 7u) << 23))); /* 2^-24 ... 2^-17 */
    case 6:
        return of_bits(sign | 0x33000000u | (bits & 0x00ffffffu));
    default:
        return plain(state);
    }
}

/* As awkward, with rare huge, infinite and NaN values. */
static float special(uint32_t *state) {
    const uint32_t pick = next(state) % 64, sign = next(state) & 0x80000000u;
    if (pick == 0)
        return of_bits(sign | 0x7f800000u);
    if (pick == 1)
        return of_bits(sign | 0x7fc00000u);
    if (pick == 2)
        return of_bits(sign | 0x7f7fffffu);
    return awkward(state);
}

static float *random_floats(int64_t n, float (*draw)(uint32_t *), uint32_t *state) {
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = draw(state);
    return x;
}

static product product_create(const int64_t size[3], int transposes, float (*draw)(uint32_t *)) {
    product p = {.m = size[0],
                 .n = size[1],
                 .k = size[2],
                 .transpose_a = transposes & 1,
                 .transpose_b = transposes >> 1};
    uint32_t state = (uint32_t)(p.m * 1000003 + p.n * 1009 + p.k * 4 + transposes) | 1u;
    p.a = random_floats(p.m * p.k, draw, &state);
    p.b = random_floats(p.k * p.n, draw, &state);
    p.expected = random_floats(p.m * p.n, plain, &state);
    for (int64_t m = 0; m < p.m; m++) {
        for (int64_t n = 0; n < p.n; n++) {
            float sum = 0;
            for (int64_t k = 0; k < p.k; k++)
                sum = fmaf(p.a[p.transpose_a ? k * p.m + m : m * p.k + k],
                           p.b[p.transpose_b ? n * p.k + k : k * p.n + n], sum);
            p.expected[m * p.n + n] = sum;
        }
    }
    return p;
}

static void product_finish(product *p) {
    free(p->a);
    free(p->b);
    free(p->expected);
}

static int same_bits(const float *x, const float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&x[i], &y[i], sizeof *x) && !(isnan(x[i]) && isnan(y[i])))
            return 0;
    return 1;
}

static tensor matrix(int64_t rows, int64_t columns) {
    return (tensor){.type = DTYPE_F32, .rank = 2, .dim = {rows, columns}};
}

/* Runs the op as n_tasks tasks, last task first, and compares. Guards around y must survive. */
static void check_product(const product *p, const cpu_kernels *kernels, const float *packed,
                          int n_tasks) {
    enum { GUARD = 64 };
    tensor a = p->transpose_a ? matrix(p->k, p->m) : matrix(p->m, p->k);
    tensor b = p->transpose_b ? matrix(p->n, p->k) : matrix(p->k, p->n);
    tensor y = matrix(p->m, p->n);
    const node n = {.op = OP_MATMUL,
                    .n_inputs = 2,
                    .n_outputs = 1,
                    .input = {&a, &b},
                    .output = {&y},
                    .params.matmul = {p->transpose_a, p->transpose_b}};
    const int64_t count = p->m * p->n;
    float *out = malloc((size_t)(count + 2 * GUARD) * sizeof *out);
    void *workspace = aligned_alloc(64, cpu_matmul.workspace(&n, LANES) + 64);
    assert_non_null(out);
    assert_non_null(workspace);
    for (int64_t i = 0; i < count + 2 * GUARD; i++)
        out[i] = 12345.0f;
    const cpu_call c = {.node = &n,
                        .kernels = kernels,
                        .in = {p->a, packed ? NULL : p->b},
                        .out = {out + GUARD},
                        .workspace = workspace,
                        .packed = packed,
                        .n_lanes = LANES};
    const int tasks = n_tasks > 0 ? n_tasks : cpu_matmul.tasks(&c, 0);
    assert_true(tasks >= 1);
    for (int task = tasks - 1; task >= 0; task--)
        cpu_matmul.run(&c, 0, task, tasks, task % LANES);
    if (!same_bits(out + GUARD, p->expected, count))
        fail_msg("%s: [%d,%d,%d] transposes %d %d, packed %d, %d tasks", kernels->name, (int)p->m,
                 (int)p->n, (int)p->k, p->transpose_a, p->transpose_b, packed != NULL, tasks);
    for (int i = 0; i < GUARD; i++)
        assert_true(out[i] == 12345.0f && out[GUARD + count + i] == 12345.0f);
    free(workspace);
    free(out);
}

static void check_isa(const product *p, const cpu_kernels *kernels) {
    static const int n_tasks[] = {0, 1, 2, 5, 12};
    const int64_t panels = (p->n + MATMUL_PANEL - 1) / MATMUL_PANEL, split = panels / 2;
    float *packed = malloc(matmul_packed_floats(p->k, p->n) * sizeof *packed);
    assert_non_null(packed);
    matmul_pack(&kernels->matmul, packed, p->b, p->k, p->n, p->transpose_b, split, panels);
    matmul_pack(&kernels->matmul, packed, p->b, p->k, p->n, p->transpose_b, 0, split);
    for (int64_t panel = 0; panel < panels; panel++)
        for (int64_t i = 0; i < p->k * MATMUL_PANEL; i++) {
            const int64_t k = i / MATMUL_PANEL, n = panel * MATMUL_PANEL + i % MATMUL_PANEL;
            const float zero = 0;
            const float *b = n >= p->n        ? &zero
                             : p->transpose_b ? &p->b[n * p->k + k]
                                              : &p->b[k * p->n + n];
            if (!same_bits(&packed[panel * p->k * MATMUL_PANEL + i], b, 1))
                fail_msg("%s: packed (%d,%d)", kernels->name, (int)k, (int)n);
        }
    for (size_t i = 0; i < sizeof n_tasks / sizeof n_tasks[0]; i++) {
        check_product(p, kernels, NULL, n_tasks[i]);
        check_product(p, kernels, packed, n_tasks[i]);
    }
    free(packed);
}

static void check_size(int64_t m, int64_t n, int64_t k, float (*draw)(uint32_t *)) {
    const int64_t size[3] = {m, n, k};
    for (int transposes = 0; transposes < 4; transposes++) {
        product p = product_create(size, transposes, draw);
        for (int isa = CPU_SCALAR; isa <= (int)cpu_detect(); isa++)
            check_isa(&p, cpu_kernels_get((cpu_isa)isa));
        product_finish(&p);
    }
}

static void matmul_is_chain_of_fma(void **state) {
    (void)state;
    static const int64_t sizes[] = {1, 2, 7, 12, 13, 31, 32, 33, 64, 100}, ks[] = {1, 5, 64, 300};
    for (int i = 0; i < 10; i++)
        for (int j = 0; j < 10; j++)
            check_size(sizes[i], sizes[j], ks[(i + j) % 4], plain);
}

static void matmul_every_row_count(void **state) {
    (void)state;
    for (int64_t m = 1; m <= 30; m++)
        check_size(m, 129 + 32 * (m % 3), 17, plain);
}

/* Several blocks of k, of columns and of packed rows. */
static void matmul_blocks(void **state) {
    (void)state;
    check_size(130, 33, 1100, plain);
    check_size(3, 70, 2049, plain);
    check_size(9, 1100, 520, plain);
}

static void matmul_awkward_numbers(void **state) {
    (void)state;
    check_size(33, 65, 40, awkward);
    check_size(64, 64, 1, awkward);
    check_size(100, 100, 3, awkward);
    check_size(13, 100, 7, special);
    check_size(31, 33, 64, special);
}

static void matmul_empty(void **state) {
    (void)state;
    check_size(3, 5, 0, plain);
    check_size(0, 5, 3, plain);
    check_size(3, 0, 5, plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_is_chain_of_fma), cmocka_unit_test(matmul_every_row_count),
        cmocka_unit_test(matmul_blocks),          cmocka_unit_test(matmul_awkward_numbers),
        cmocka_unit_test(matmul_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
