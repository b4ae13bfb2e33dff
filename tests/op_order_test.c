/* op_order_test.c: the exact order of sums that graph.h states, written out a second time.
 *
 * Here every sum is spelled element by element from the comments of graph.h, with fmaf and the
 * functions of base/exact.h, and must agree with the CPU backend to the last bit, for every
 * instruction set. A change of these bits is a change of what a compressed file decodes to. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/exact.h"
#include "cpu/cpu_backend.h"
#include "op_cases.h"
#include "op_run.h"
#include "support.h"

/* lanes[16] by the tree (i, i+8), (i, i+4), (i, i+2), (i, i+1). */
static float tree(const float *lane) {
    float sum[16];
    memcpy(sum, lane, sizeof sum);
    for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            sum[i] += sum[i + half];
        }
    }
    return sum[0];
}

/* Runs one case of an op's row on each instruction set and compares output `which` with `expected`,
 * which is computed from the sources. */
typedef void expectation(const op_case *c, float *expected, int which);

static void check_order(const char *name, const op_row *row, int index, int which,
                        expectation *expect) {
    op_run r;
    op_run_init(&r, name, row, index, 0);
    const int64_t n = tensor_elements(r.result[which]);
    float *expected = support_alloc((size_t)n, sizeof *expected);
    expect(&r.c, expected, which);
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        octet_error error = {0};
        backend *cpu = NULL;
        op_values got;
        const cpu_backend_params params = {.n_threads = 1, .cap = (cpu_isa)isa};
        support_ok(cpu_backend_create(&cpu, &params, &error), &error);
        op_run_values(&r, cpu, 0, &got);
        const float *y = got.data[which];
        for (int64_t i = 0; i < n; i++) {
            if (exact_bits(y[i]) != exact_bits(expected[i])) {
                fail_msg("%s, case %d, element %lld of output %d: %a, in the stated order %a", name,
                         index, (long long)i, which, (double)y[i], (double)expected[i]);
            }
        }
        op_values_finish(&got);
        backend_destroy(&cpu);
    }
    free(expected);
    op_run_finish(&r);
}

/* One chain over k ascending from 0. */
static void expect_matmul(const op_case *c, float *expected, int which) {
    (void)which;
    const tensor *a = c->source[0].tensor, *b = c->source[1].tensor;
    const op_params *p = &c->output[0]->producer->params;
    const float *x = c->source[0].data, *w = c->source[1].data;
    const int64_t N = tensor_columns(c->output[0]), M = tensor_rows(c->output[0]);
    const int64_t K = p->matmul.transpose_a ? tensor_rows(a) : tensor_columns(a);
    const int64_t a_columns = tensor_columns(a), b_columns = tensor_columns(b);
    for (int64_t m = 0; m < M; m++) {
        for (int64_t n = 0; n < N; n++) {
            float sum = 0;
            for (int64_t k = 0; k < K; k++) {
                sum =
                    fmaf(p->matmul.transpose_a ? x[k * a_columns + m] : x[m * a_columns + k],
                         p->matmul.transpose_b ? w[n * b_columns + k] : w[k * b_columns + n], sum);
            }
            expected[m * N + n] = sum;
        }
    }
}

static void matmul_is_one_chain(void **state) {
    (void)state;
    for (int i = 0; i < test_op_matmul.n_cases; i++) {
        if (i / 4 % 4 < 2) { /* b is of its own, and f32 */
            check_order("matmul", &test_op_matmul, i, 0, expect_matmul);
        }
    }
}

/* Blocks of 64 rows, then the blocks, each one chain. */
static void expect_sum_rows(const op_case *c, float *expected, int which) {
    (void)which;
    const float *x = c->source[0].data;
    const int64_t rows = tensor_rows(c->source[0].tensor), C = tensor_columns(c->source[0].tensor);
    for (int64_t i = 0; i < C; i++) {
        float sum = 0;
        for (int64_t first = 0; first < rows; first += 64) {
            float block = 0;
            for (int64_t r = first; r < rows && r < first + 64; r++) {
                block += x[r * C + i];
            }
            sum += block;
        }
        expected[i] = sum;
    }
}

static void sum_rows_adds_blocks_of_64(void **state) {
    (void)state;
    for (int i = 0; i < test_op_sum_rows.n_cases; i++) {
        check_order("sum_rows", &test_op_sum_rows, i, 0, expect_sum_rows);
    }
}

/* Blocks of 1,024 in 16 fused lanes and the tree, then the blocks. */
static void expect_dot(const op_case *c, float *expected, int which) {
    (void)which;
    const float *a = c->source[0].data, *b = c->source[1].data;
    const int64_t n = tensor_elements(c->source[0].tensor);
    float sum = 0;
    for (int64_t first = 0; first < n; first += 1024) {
        float lane[16] = {0};
        for (int64_t i = first; i < n && i < first + 1024; i++) {
            lane[(i - first) % 16] = fmaf(a[i], b[i], lane[(i - first) % 16]);
        }
        sum += tree(lane);
    }
    expected[0] = sum;
}

static void dot_adds_blocks_of_1024(void **state) {
    (void)state;
    for (int i = 0; i < test_op_dot.n_cases; i++) {
        check_order("dot", &test_op_dot, i, 0, expect_dot);
    }
}

/* Rows of dy in ascending order, one chain per element. */
static void expect_scatter(const op_case *c, float *expected, int which) {
    (void)which;
    const float *dy = c->source[0].data;
    const int32_t *index = c->source[1].data;
    const int64_t rows = tensor_elements(c->source[1].tensor);
    const int64_t C = tensor_columns(c->output[0]), n = tensor_rows(c->output[0]);
    const int64_t each = c->output[0]->producer->params.scatter.each;
    memset(expected, 0, (size_t)(n * C) * sizeof *expected);
    for (int64_t r = 0; r < rows; r++) {
        int64_t i = index[r];
        if (i == GATHER_NONE) {
            continue;
        }
        i = c->output[0]->producer->params.scatter.from_start ? -1 - i : i;
        for (int64_t k = 0; i >= 0 && i < n && k < C; k++) {
            expected[i * C + k] += dy[r / each * C + k];
        }
    }
}

static void scatter_adds_rows_in_order(void **state) {
    (void)state;
    for (int i = 0; i < test_op_scatter.n_cases; i++) {
        check_order("scatter", &test_op_scatter, i, 0, expect_scatter);
    }
}

/* log sum exp with the maximum subtracted, 16 lanes and the tree. */
static void expect_cross_entropy(const op_case *c, float *expected, int which) {
    (void)which;
    const int32_t *target = c->source[1].data;
    const int64_t rows = tensor_rows(c->source[0].tensor), V = tensor_columns(c->source[0].tensor);
    for (int64_t r = 0; r < rows; r++) {
        const float *x = (const float *)c->source[0].data + r * V;
        float max = x[0], lane[16] = {0};
        for (int64_t i = 1; i < V; i++) {
            max = x[i] > max ? x[i] : max;
        }
        for (int64_t i = 0; i < V; i++) {
            lane[i % 16] += exact_exp(x[i] - max);
        }
        expected[r] = target[r] < 0 ? 0 : exact_log(tree(lane)) - (x[target[r]] - max);
    }
}

static void cross_entropy_sums_in_lanes(void **state) {
    (void)state;
    for (int i = 0; i < test_op_cross_entropy.n_cases; i++) {
        check_order("cross_entropy", &test_op_cross_entropy, i, 0, expect_cross_entropy);
    }
}

/* Of head h of H: heads past a power of two take every second slope of twice as many. */
static float slope_of(int64_t h, int64_t H) {
    int64_t n = 1;
    while (2 * n <= H) {
        n *= 2;
    }
    return h < n ? (float)exact_exp2(-8.0 * (double)(h + 1) / (double)n)
                 : slope_of(2 * (h - n), 2 * n);
}

/* What rows of attention are computed from; row j of keys at k + j * stride. */
typedef struct keys_of {
    const float *k, *v;
    int64_t stride, D, sinks;
    float scale, slope;
} keys_of;

static float score_of(const keys_of *s, const float *q, int64_t j, int64_t t) {
    float sum = 0;
    for (int64_t d = 0; d < s->D; d++) {
        sum = fmaf(q[d], s->k[j * s->stride + d], sum);
    }
    sum *= s->scale;
    if (s->slope > 0) {
        sum -= s->slope * (float)(t - j);
    }
    return sum;
}

/* Keys first <= j <= last of row t, by the comment in graph.h: adds to o, max and sum. */
static void attend_range(float *o, float *highest, float *total, const keys_of *s, const float *q,
                         const int64_t range[2], int64_t t) {
    const int64_t first = range[0], last = range[1], D = s->D, stride = s->stride;
    const float *v = s->v;
    float max = *highest, sum = *total;
    for (int64_t tile = first / 32; first <= last && tile <= last / 32; tile++) {
        float p[32] = {0}, lane[16], higher = max;
        for (int64_t j = tile * 32; j < tile * 32 + 32; j++) {
            if (j < first || j > last) {
                continue;
            }
            p[j % 32] = score_of(s, q, j, t);
            higher = p[j % 32] > higher ? p[j % 32] : higher;
        }
        const float decay = max == -INFINITY ? 0 : exact_exp(max - higher);
        for (int j = 0; j < 32; j++) {
            const int seen = tile * 32 + j >= first && tile * 32 + j <= last;
            p[j] = seen ? exact_exp(p[j] - higher) : 0;
        }
        for (int j = 0; j < 16; j++) {
            lane[j] = p[j] + p[j + 16];
        }
        sum = sum * decay + tree(lane);
        for (int64_t d = 0; d < D; d++) {
            o[d] *= decay;
            for (int64_t j = tile * 32; j < tile * 32 + 32; j++) {
                if (j >= first && j <= last) {
                    o[d] = fmaf(p[j % 32], v[j * stride + d], o[d]);
                }
            }
        }
        max = higher;
    }
    *highest = max;
    *total = sum;
}

/* Sinks below first, then keys from first on. */
static void attend(float *o, float *lse, const keys_of *s, const float *q, int64_t first,
                   int64_t t) {
    float max = -INFINITY, sum = 0;
    const int64_t sinks = s->sinks < first ? s->sinks : first;
    memset(o, 0, (size_t)s->D * sizeof *o);
    attend_range(o, &max, &sum, s, q, (int64_t[]){0, sinks - 1}, t);
    attend_range(o, &max, &sum, s, q, (int64_t[]){first, t}, t);
    for (int64_t d = 0; d < s->D; d++) {
        o[d] /= sum;
    }
    *lse = max + exact_log(sum);
}

static void expect_attention(const op_case *c, float *expected, int which) {
    const tensor *q = c->source[0].tensor, *k = c->source[1].tensor;
    const int64_t B = q->dim[0], T = q->dim[1], H = q->dim[2], D = q->dim[3], G = k->dim[2];
    const int32_t *first = c->source[3].data;
    float *o = support_alloc((size_t)D, sizeof *o), lse;
    for (int64_t i = 0; i < B * T * H; i++) {
        const int64_t h = i % H, t = i / H % T, b = i / H / T;
        const int64_t head = b * T * G * D + h / (H / G) * D;
        const op_params *params = &c->output[0]->producer->params;
        const keys_of keys = {.k = (const float *)c->source[1].data + head,
                              .v = (const float *)c->source[2].data + head,
                              .stride = G * D,
                              .D = D,
                              .sinks = params->attention.sinks,
                              .scale = params->attention.scale,
                              .slope = params->attention.slopes ? slope_of(h, H) : 0.0f};
        attend(o, &lse, &keys, (const float *)c->source[0].data + i * D, first[b * T + t], t);
        if (which == 0) {
            memcpy(expected + i * D, o, (size_t)D * sizeof *o);
        } else {
            expected[i] = lse;
        }
    }
    free(o);
}

static void attention_walks_tiles_of_32(void **state) {
    (void)state;
    for (int i = 0; i < test_op_attention.n_cases; i++) {
        check_order("attention", &test_op_attention, i, 0, expect_attention);
        check_order("attention", &test_op_attention, i, 1, expect_attention);
    }
}

/* dq, dk and dv of all heads: each a chain over what is seen, ascending. Sources are q, k, v,
 * first, o, lse and do. */
static void expect_attention_grad(const op_case *c, float *expected, int which) {
    const tensor *q = c->source[0].tensor, *k = c->source[1].tensor;
    const int64_t B = q->dim[0], T = q->dim[1], H = q->dim[2], D = q->dim[3], G = k->dim[2];
    const op_params *params = &c->output[0]->producer->params;
    const float scale = params->attention.scale;
    memset(expected, 0, (size_t)(B * T * (which == 0 ? H : G) * D) * sizeof *expected);
    for (int64_t i = 0; i < B * T * H; i++) { /* t ascending, and heads in it */
        const int64_t h = i % H, t = i / H % T, b = i / H / T;
        const int64_t head = b * T * G * D + h / (H / G) * D,
                      first = ((int32_t *)c->source[3].data)[b * T + t];
        const keys_of keys = {.k = (const float *)c->source[1].data + head,
                              .v = (const float *)c->source[2].data + head,
                              .stride = G * D,
                              .D = D,
                              .scale = scale,
                              .slope = params->attention.slopes ? slope_of(h, H) : 0.0f};
        const float *row = (const float *)c->source[0].data + i * D;
        const float *o = (const float *)c->source[4].data + i * D;
        const float *d_o = (const float *)c->source[6].data + i * D;
        float lane[16] = {0};
        for (int64_t d = 0; d < D; d++) {
            lane[d % 16] = fmaf(d_o[d], o[d], lane[d % 16]);
        }
        const float delta = tree(lane);
        for (int64_t j = 0; j <= t; j++) {
            if (j >= params->attention.sinks && j < first) {
                continue;
            }
            const float p = exact_exp(score_of(&keys, row, j, t) - ((float *)c->source[5].data)[i]);
            float dp = 0;
            for (int64_t d = 0; d < D; d++) {
                dp = fmaf(d_o[d], keys.v[j * keys.stride + d], dp);
            }
            const float ds = p * (dp - delta);
            for (int64_t d = 0; d < D; d++) {
                float *y = expected + (which == 0 ? i * D : head + j * keys.stride) + d;
                *y = which == 0   ? fmaf(ds, keys.k[j * keys.stride + d], *y)
                     : which == 1 ? fmaf(ds, row[d], *y)
                                  : fmaf(p, d_o[d], *y);
            }
        }
    }
    for (int64_t i = 0; i < B * T * (which == 0 ? H : G) * D && which < 2; i++) {
        expected[i] *= scale;
    }
}

static void attention_grad_chains_ascend(void **state) {
    (void)state;
    for (int i = 0; i < test_op_attention_grad.n_cases; i++) {
        for (int which = 0; which < 3; which++) {
            check_order("attention_grad", &test_op_attention_grad, i, which, expect_attention_grad);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_is_one_chain),
        cmocka_unit_test(sum_rows_adds_blocks_of_64),
        cmocka_unit_test(dot_adds_blocks_of_1024),
        cmocka_unit_test(scatter_adds_rows_in_order),
        cmocka_unit_test(cross_entropy_sums_in_lanes),
        cmocka_unit_test(attention_walks_tiles_of_32),
        cmocka_unit_test(attention_grad_chains_ascend),
    };
    return cmocka_run_group_tests_name("order of sums", tests, NULL, NULL);
}
