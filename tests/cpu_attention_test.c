/* cpu_attention_test.c: attention, its gradient and its cache on the CPU, op by op.
 *
 * The properties: every instruction set and every number of tasks gives the same bits; a sequence
 * at once, in pieces and row by row gives the same bits; what is not seen does not count, whatever
 * it holds; and the numbers are those of a naive double-precision version. Workspaces, caches and
 * outputs begin as NaN, so that reading what was not written shows. */
#include "base/exact.h"
#include "cpu/cache_layout.h"
#include "cpu/cpu.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- random numbers, arrays, calls */

static uint32_t random_bits(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* In [-1, 1). */
static float uniform(uint64_t *state) {
    return (float)(random_bits(state) & 0xffffff) / 8388608.0f - 1.0f;
}

static int below(uint64_t *state, int n) {
    return (int)(random_bits(state) % (uint32_t)n);
}

/* n floats of NaN, on a cache line. */
static float *new_floats(int64_t n) {
    float *x = aligned_alloc(64, ((size_t)n * sizeof(float) + 64) / 64 * 64);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = NAN;
    return x;
}

static float *new_random(uint64_t *state, int64_t n, float size) {
    float *x = new_floats(n);
    for (int64_t i = 0; i < n; i++)
        x[i] = size * uniform(state);
    return x;
}

static int32_t *new_ints(int64_t n) {
    int32_t *x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static void assert_same(const float *a, const float *b, int64_t n) {
    assert_memory_equal(a, b, (size_t)n * sizeof(float));
}

static tensor shaped(int rank, const int64_t *dim) {
    tensor t = {.type = DTYPE_F32, .rank = rank, .kind = TENSOR_INPUT};
    memcpy(t.dim, dim, (size_t)rank * sizeof *dim);
    return t;
}

static tensor shaped4(int64_t a, int64_t b, int64_t c, int64_t d) {
    return shaped(4, (int64_t[]){a, b, c, d});
}

/* How a call is run: the instruction set, the threads, and the tasks of a phase (0: the op's own
 * number). */
typedef struct way {
    cpu_isa isa;
    int n_lanes, n_tasks;
} way;

static const way plain = {CPU_SCALAR, 1, 0};

static void run(const cpu_op *row, const node *n, void *const *in, void *const *out, way how) {
    cpu_call c = {.node = n, .kernels = cpu_kernels_get(how.isa), .n_lanes = how.n_lanes};
    memcpy(c.in, in, (size_t)n->n_inputs * sizeof *in);
    memcpy(c.out, out, (size_t)n->n_outputs * sizeof *out);
    const size_t bytes = row->workspace ? row->workspace(n, how.n_lanes) : 0;
    c.workspace = new_floats((int64_t)(bytes / sizeof(float)));
    for (int phase = 0; phase < row->n_phases; phase++) {
        const int own = row->tasks(&c, phase);
        const int tasks = own > 0 && how.n_tasks > 0 ? how.n_tasks : own;
        for (int i = tasks - 1; i >= 0; i--)
            row->run(&c, phase, i, tasks, i % how.n_lanes);
    }
    free(c.workspace);
}

/* --- a problem: attention with its gradient */

typedef struct problem {
    int64_t b, t, h, g, d;
    float scale;
    int slopes; /* with linear biases */
    float *q, *k, *v, *d_o;
    int32_t *first;
    float *o, *lse, *dq, *dk, *dv;
} problem;

static int64_t size_q(const problem *p) {
    return p->b * p->t * p->h * p->d;
}

static int64_t size_k(const problem *p) {
    return p->b * p->t * p->g * p->d;
}

static void new_outputs(problem *p) {
    p->o = new_floats(size_q(p));
    p->lse = new_floats(p->b * p->t * p->h);
    p->dq = new_floats(size_q(p));
    p->dk = new_floats(size_k(p));
    p->dv = new_floats(size_k(p));
}

static void free_outputs(problem *p) {
    free(p->o);
    free(p->lse);
    free(p->dq);
    free(p->dk);
    free(p->dv);
}

/* What rows see: everything before them, their patch of 8, a window of 40, a random past, their
 * patch of 4, of 6 (which straddles tiles), or up to 16 rows, at random. */
typedef enum sight {
    SEES_ALL,
    SEES_PATCH,
    SEES_WINDOW,
    SEES_RANDOM,
    SEES_FOUR,
    SEES_SIX,
    SEES_NEAR,
    SIGHTS
} sight;

static void set_first(problem *p, sight kind, uint64_t *random) {
    for (int64_t i = 0; i < p->b * p->t; i++) {
        const int t = (int)(i % p->t);
        const int window = t > 39 ? t - 39 : 0;
        const int near = t - below(random, t < 15 ? t + 1 : 16);
        const int choices[SIGHTS] = {0,         t - t % 8, window, below(random, t + 1),
                                     t - t % 4, t - t % 6, near};
        p->first[i] = choices[kind];
    }
}

static problem new_problem(uint64_t seed, int64_t t, int64_t h, int64_t g, int64_t d, sight kind) {
    problem p = {.b = 2, .t = t, .h = h, .g = g, .d = d};
    uint64_t random = seed;
    p.scale = 1.0f / sqrtf((float)d);
    p.q = new_random(&random, size_q(&p), 2.0f);
    p.k = new_random(&random, size_k(&p), 2.0f);
    p.v = new_random(&random, size_k(&p), 1.0f);
    p.d_o = new_random(&random, size_q(&p), 1.0f);
    p.first = new_ints(p.b * t);
    set_first(&p, kind, &random);
    new_outputs(&p);
    return p;
}

static void free_problem(problem *p) {
    free(p->q);
    free(p->k);
    free(p->v);
    free(p->d_o);
    free(p->first);
    free_outputs(p);
}

static op_params params_of(const problem *p) {
    return (op_params){.attention = {.scale = p->scale, .slopes = p->slopes}};
}

static void forward(problem *p, way how) {
    tensor q = shaped4(p->b, p->t, p->h, p->d), k = shaped4(p->b, p->t, p->g, p->d);
    node n = {.op = OP_ATTENTION, .n_inputs = 4, .n_outputs = 2, .input = {&q, &k, &k}};
    n.params = params_of(p);
    run(&cpu_attention, &n, (void *[]){p->q, p->k, p->v, p->first}, (void *[]){p->o, p->lse}, how);
}

static void backward(problem *p, way how) {
    tensor q = shaped4(p->b, p->t, p->h, p->d), k = shaped4(p->b, p->t, p->g, p->d);
    node n = {.op = OP_ATTENTION_GRAD, .n_inputs = 7, .n_outputs = 3, .input = {&q, &k, &k}};
    n.params = params_of(p);
    run(&cpu_attention_grad, &n, (void *[]){p->q, p->k, p->v, p->first, p->o, p->lse, p->d_o},
        (void *[]){p->dq, p->dk, p->dv}, how);
}

/* A function of each combination of sizes. */
static void each_size(void (*check)(problem *p)) {
    static const int64_t times[] = {1, 7, 31, 32, 33, 70, 130}, sizes[] = {4, 8, 20, 32, 64};
    static const int64_t heads[][2] = {{1, 1}, {4, 4}, {4, 2}, {6, 2}};
    uint64_t seed = 1;
    for (int t = 0; t < 7; t++)
        for (int d = 0; d < 5; d++)
            for (int h = 0; h < 4; h++, seed++) {
                problem p = new_problem(seed, times[t], heads[h][0], heads[h][1], sizes[d],
                                        (sight)(seed % SIGHTS));
                p.slopes = seed / SIGHTS % 2 == 1;
                check(&p);
                free_problem(&p);
            }
}

/* 2^(-8(h+1)/H); beyond a power of two every second slope of twice as many heads. The tests have 1,
 * 4 and 6 heads: these and 2^-1, 2^-3. */
static float slope(const problem *p, int64_t h) {
    static const float one[] = {0x1p-8f}, four[] = {0x1p-2f, 0x1p-4f, 0x1p-6f, 0x1p-8f},
                       six[] = {0x1p-2f, 0x1p-4f, 0x1p-6f, 0x1p-8f, 0x1p-1f, 0x1p-3f};
    return !p->slopes ? 0.0f : p->h == 1 ? one[h] : p->h == 4 ? four[h] : six[h];
}

/* --- the naive version, in double */

static double score(const problem *p, int64_t b, int64_t h, int64_t t, int64_t j, double *size) {
    const float *q = p->q + ((b * p->t + t) * p->h + h) * p->d;
    const float *k = p->k + ((b * p->t + j) * p->g + h / (p->h / p->g)) * p->d;
    double s = 0, sum = 0;
    for (int64_t d = 0; d < p->d; d++) {
        s += (double)q[d] * k[d];
        sum += fabs((double)q[d] * k[d]);
    }
    if (size)
        *size = fmax(*size, p->scale * sum);
    return p->scale * s - slope(p, h) * (double)(t - j);
}

/* o[D] of one row; returns log sum exp. */
static double naive_row(const problem *p, int64_t b, int64_t h, int64_t t, double *o,
                        double *size) {
    double l = 0;
    memset(o, 0, (size_t)p->d * sizeof *o);
    for (int64_t j = p->first[b * p->t + t]; j <= t; j++) {
        const double e = exp(score(p, b, h, t, j, size));
        const float *v = p->v + ((b * p->t + j) * p->g + h / (p->h / p->g)) * p->d;
        l += e;
        for (int64_t d = 0; d < p->d; d++)
            o[d] += e * v[d];
    }
    for (int64_t d = 0; d < p->d; d++)
        o[d] /= l;
    return log(l);
}

static void check_forward(problem *p) {
    const double u = FLT_EPSILON / 2;
    double o[64], size = 0;
    forward(p, plain);
    for (int64_t i = 0; i < p->b * p->t * p->h; i++) {
        const int64_t h = i % p->h, t = i / p->h % p->t, b = i / p->h / p->t;
        const double lse = naive_row(p, b, h, t, o, &size);
        /* a score is off by (D + 1) u sum |q k|, its difference to the maximum by 2 size u more,
         * exp by 2 u; the sums over keys, of which none is above 1, by T u; twice for o = acc/l */
        const double off = u * ((double)(p->d + 3) * size + 2);
        const double bound = 2 * (off + u * (double)(p->t + 8));
        assert_true(fabs(p->lse[i] - lse) <= bound + u * fabs(lse));
        for (int64_t d = 0; d < p->d; d++)
            assert_true(fabs(p->o[i * p->d + d] - o[d]) <= bound);
    }
}

static void attention_is_the_naive_one(void **state) {
    (void)state;
    each_size(check_forward);
}

/* --- the sums as graph.h states them, element by element */

static float tree(float lane[16]) {
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static float chain(const float *a, const float *b, int64_t n) {
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum = fmaf(a[i], b[i], sum);
    return sum;
}

/* o[D] of row r (of B, T, H); returns log sum exp. */
static float stated_row(const problem *p, int64_t r, float *o) {
    const int64_t g = r % p->h / (p->h / p->g), t = r / p->h % p->t, b = r / p->h / p->t;
    float max = -INFINITY, sum = 0;
    memset(o, 0, (size_t)p->d * sizeof *o);
    for (int64_t tile = p->first[b * p->t + t] / 32; tile <= t / 32; tile++) {
        float s[32], lane[16], old = max;
        const float *k = p->k + ((b * p->t + tile * 32) * p->g + g) * p->d;
        const float *v = p->v + (k - p->k);
        for (int j = 0; j < 32; j++) {
            const int seen = tile * 32 + j >= p->first[b * p->t + t] && tile * 32 + j <= t;
            s[j] = seen ? p->scale * chain(p->q + r * p->d, k + j * p->g * p->d, p->d) : -INFINITY;
            s[j] -= slope(p, r % p->h) * (float)(t - tile * 32 - j);
            max = s[j] > max ? s[j] : max;
        }
        const float decay = exact_exp(old - max);
        for (int64_t d = 0; d < p->d; d++)
            o[d] *= decay;
        for (int j = 0; j < 32; j++) {
            const int seen = s[j] > -INFINITY;
            s[j] = seen ? exact_exp(s[j] - max) : 0.0f;
            for (int64_t d = 0; d < p->d && seen; d++)
                o[d] = fmaf(s[j], v[j * p->g * p->d + d], o[d]);
        }
        for (int j = 0; j < 16; j++)
            lane[j] = s[j] + s[j + 16];
        sum = sum * decay + tree(lane);
    }
    for (int64_t d = 0; d < p->d; d++)
        o[d] /= sum;
    return max + exact_log(sum);
}

static void stated_backward(problem *p) {
    memset(p->dq, 0, (size_t)size_q(p) * sizeof(float));
    memset(p->dk, 0, (size_t)size_k(p) * sizeof(float));
    memset(p->dv, 0, (size_t)size_k(p) * sizeof(float));
    for (int64_t r = 0; r < p->b * p->t * p->h; r++) {
        const int64_t g = r % p->h / (p->h / p->g), t = r / p->h % p->t, b = r / p->h / p->t;
        const float *q = p->q + r * p->d, *d_o = p->d_o + r * p->d;
        float lane[16] = {0};
        for (int64_t d = 0; d < p->d; d++)
            lane[d % 16] = fmaf(d_o[d], p->o[r * p->d + d], lane[d % 16]);
        const float delta = tree(lane);
        for (int64_t j = p->first[b * p->t + t]; j <= t; j++) {
            const int64_t at = ((b * p->t + j) * p->g + g) * p->d;
            const float s = p->scale * chain(q, p->k + at, p->d);
            const float prob = exact_exp(s - slope(p, r % p->h) * (float)(t - j) - p->lse[r]);
            const float ds = prob * (chain(d_o, p->v + at, p->d) - delta);
            for (int64_t d = 0; d < p->d; d++) {
                p->dq[r * p->d + d] = fmaf(ds, p->k[at + d], p->dq[r * p->d + d]);
                p->dk[at + d] = fmaf(ds, q[d], p->dk[at + d]);
                p->dv[at + d] = fmaf(prob, d_o[d], p->dv[at + d]);
            }
        }
    }
    for (int64_t i = 0; i < size_q(p); i++)
        p->dq[i] *= p->scale;
    for (int64_t i = 0; i < size_k(p); i++)
        p->dk[i] *= p->scale;
}

static void check_stated(problem *p) {
    const way fast = {cpu_detect(), 1, 0};
    float o[64];
    forward(p, fast);
    backward(p, fast);
    for (int64_t r = 0; r < p->b * p->t * p->h; r++) {
        const float lse = stated_row(p, r, o);
        assert_same(&lse, p->lse + r, 1);
        assert_same(o, p->o + r * p->d, p->d);
    }
    problem other = *p;
    new_outputs(&other);
    memcpy(other.o, p->o, (size_t)size_q(p) * sizeof(float));
    memcpy(other.lse, p->lse, (size_t)(p->b * p->t * p->h) * sizeof(float));
    stated_backward(&other);
    assert_same(p->dq, other.dq, size_q(p));
    assert_same(p->dk, other.dk, size_k(p));
    assert_same(p->dv, other.dv, size_k(p));
    free_outputs(&other);
}

static void sums_run_in_the_stated_order(void **state) {
    (void)state;
    each_size(check_stated);
}

/* --- same bits */

static void check_bits(problem *p) {
    static const way ways[] = {{CPU_SCALAR, 3, 5}, {CPU_AVX2, 1, 0},   {CPU_AVX2, 2, 3},
                               {CPU_AVX512, 1, 0}, {CPU_AVX512, 5, 7}, {CPU_AVX512, 64, 2}};
    forward(p, plain);
    backward(p, plain);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (ways[i].isa > cpu_detect())
            continue;
        problem other = *p;
        new_outputs(&other);
        forward(&other, ways[i]);
        backward(&other, ways[i]);
        assert_same(p->o, other.o, size_q(p));
        assert_same(p->lse, other.lse, p->b * p->t * p->h);
        assert_same(p->dq, other.dq, size_q(p));
        assert_same(p->dk, other.dk, size_k(p));
        assert_same(p->dv, other.dv, size_k(p));
        free_outputs(&other);
    }
}

static void instruction_sets_and_tasks_give_equal_bits(void **state) {
    (void)state;
    each_size(check_bits);
}

/* --- the cache */

typedef struct cache {
    int64_t slots, ring;
    float *keys, *values;
    variable key_variable, value_variable;
    tensor key_tensor, value_tensor;
} cache;

static void new_cache(cache *c, const problem *p, int64_t slots, int64_t ring) {
    c->slots = slots;
    c->ring = ring;
    c->keys = new_floats(slots * ring * p->g * p->d);
    c->values = new_floats(slots * ring * p->g * p->d);
    c->key_variable = (variable){.kind = VARIABLE_STATE, .layout = LAYOUT_KEYS};
    c->value_variable = (variable){.kind = VARIABLE_STATE, .layout = LAYOUT_ROWS};
    c->key_tensor = shaped4(slots, ring, p->g, p->d);
    c->key_tensor.kind = TENSOR_VARIABLE;
    c->value_tensor = c->key_tensor;
    c->key_tensor.variable = &c->key_variable;
    c->value_tensor.variable = &c->value_variable;
}

static void free_cache(cache *c) {
    free(c->keys);
    free(c->values);
}

static void store_rows(cache *c, tensor *rows, float *x, int is_key, void *const *where, way how) {
    tensor *state = is_key ? &c->key_tensor : &c->value_tensor;
    tensor after = *state; /* as the graph has it: a view of the variable */
    after.kind = TENSOR_VIEW;
    after.base = state;
    float *memory = is_key ? c->keys : c->values;
    node n = {.op = OP_STORE, .n_inputs = 5, .n_outputs = 1, .input = {&after, rows}};
    run(&cpu_store, &n, (void *[]){memory, x, where[0], where[1], where[2]}, (void *[]){memory},
        how);
}

/* Copies count[b] of p's rows from pos[b] on to the front of out[B,T,width]; the rest is NaN. */
static void cut(float *out, const float *in, const problem *p, int64_t rows, int64_t width,
                const int32_t *pos, const int32_t *count) {
    for (int64_t b = 0; b < p->b; b++)
        for (int64_t i = 0; i < rows * width; i++)
            out[b * rows * width + i] =
                i / width < count[b] ? in[(b * p->t + pos[b]) * width + i] : NAN;
}

/* Runs p in calls of `rows` rows with random counts (every call full if `full`) through a cache,
 * and compares with o at once. */
static void check_pieces(problem *p, int64_t rows, int full, int64_t ring, way how, uint64_t seed) {
    cache c;
    uint64_t random = seed;
    new_cache(&c, p, 5, ring);
    const int64_t wide = p->h * p->d, narrow = p->g * p->d;
    int32_t slot[2] = {3, 1}, pos[2] = {0, 0}, count[2];
    int32_t *first = new_ints(p->b * rows);
    float *q = new_floats(2 * rows * wide), *o = new_floats(2 * rows * wide);
    float *x = new_floats(2 * rows * narrow);
    tensor tq = shaped4(2, rows, p->h, p->d), tx = shaped4(2, rows, p->g, p->d);
    node n = {.op = OP_ATTENTION_CACHED, .n_inputs = 7, .n_outputs = 1};
    n.input[0] = &tq;
    n.input[1] = &c.key_tensor;
    n.input[2] = &c.value_tensor;
    n.params = params_of(p);
    void *where[] = {slot, pos, count};
    while (pos[0] < p->t || pos[1] < p->t) {
        for (int b = 0; b < 2; b++) {
            const int left = (int)p->t - pos[b];
            count[b] = full ? (int)rows : below(&random, (int)rows + 1);
            count[b] = count[b] < left ? count[b] : left;
            for (int i = 0; i < rows; i++)
                first[b * rows + i] = i < count[b] ? p->first[b * p->t + pos[b] + i] : 0;
        }
        cut(x, p->k, p, rows, narrow, pos, count);
        store_rows(&c, &tx, x, 1, where, how);
        cut(x, p->v, p, rows, narrow, pos, count);
        store_rows(&c, &tx, x, 0, where, how);
        cut(q, p->q, p, rows, wide, pos, count);
        run(&cpu_attention_cached, &n, (void *[]){q, c.keys, c.values, slot, pos, count, first},
            (void *[]){o}, how);
        for (int b = 0; b < 2; b++) {
            assert_same(o + b * rows * wide, p->o + (b * p->t + pos[b]) * wide, count[b] * wide);
            for (int64_t i = count[b] * wide; i < rows * wide; i++)
                assert_true(o[b * rows * wide + i] == 0.0f);
            pos[b] += count[b];
        }
    }
    free(first);
    free(q);
    free(o);
    free(x);
    free_cache(&c);
}

static void check_whole_and_pieces(problem *p) {
    const way fast = {cpu_detect(), 2, 3};
    const int64_t ring = (p->t + 31) / 32 * 32;
    forward(p, fast);
    check_pieces(p, 1, 1, ring, fast, 1);
    check_pieces(p, 13, 0, ring, fast, 2);
    check_pieces(p, 50, 0, ring, (way){CPU_AVX2 < cpu_detect() ? CPU_AVX2 : cpu_detect(), 1, 0}, 3);
    if (p->d <= 20)
        check_pieces(p, p->t, 1, ring, plain, 4);
}

static void whole_is_pieces_is_row_by_row(void **state) {
    (void)state;
    each_size(check_whole_and_pieces);
}

static void a_ring_shorter_than_the_sequence_is_enough_for_a_window(void **state) {
    (void)state;
    const way fast = {cpu_detect(), 1, 0};
    problem p = new_problem(5, 400, 4, 2, 32, SEES_WINDOW);
    forward(&p, fast);
    check_pieces(&p, 25, 0, 64, fast, 1); /* 25 new rows and the 39 before them */
    check_pieces(&p, 1, 1, 64, plain, 2);
    set_first(&p, SEES_PATCH, &(uint64_t){0});
    forward(&p, fast);
    check_pieces(&p, 8, 0, 32, fast, 3);
    free_problem(&p);
}

static void keys_read_back_as_written(void **state) {
    (void)state;
    const int64_t dim[4] = {2, 64, 3, 5}, n = 2 * 64 * 3 * 5;
    uint64_t random = 9;
    float *rows = new_random(&random, n, 1.0f), *packed = new_floats(n), *back = new_floats(n);
    for (int64_t first = 0, size; first < n; first += size) {
        size = 1 + below(&random, 200);
        size = first + size < n ? size : n - first;
        cache_keys_write(packed, dim, first, size, rows + first);
    }
    /* [S][G][R/32][D][32], written out */
    for (int64_t s = 0; s < 2; s++)
        for (int64_t r = 0; r < 64; r++)
            for (int64_t g = 0; g < 3; g++)
                for (int64_t d = 0; d < 5; d++)
                    assert_true(packed[(((s * 3 + g) * 2 + r / 32) * 5 + d) * 32 + r % 32] ==
                                rows[((s * 64 + r) * 3 + g) * 5 + d]);
    cache_keys_read(packed, dim, 0, n, back);
    assert_same(rows, back, n);
    cache_keys_read(packed, dim, 77, 500, back);
    assert_same(rows + 77, back, 500);
    free(rows);
    free(packed);
    free(back);
}

static void store_writes_its_rows_and_no_others(void **state) {
    (void)state;
    problem p = new_problem(3, 50, 2, 2, 4, SEES_ALL);
    for (int is_key = 0; is_key < 2; is_key++) {
        cache c;
        new_cache(&c, &p, 3, 32);
        int32_t slot[2] = {2, 0}, pos[2] = {20, 5}, count[2] = {40, 0};
        tensor x = shaped4(2, 50, 2, 4);
        store_rows(&c, &x, p.k, is_key, (void *[]){slot, pos, count}, (way){CPU_SCALAR, 2, 4});
        float rows[3 * 32 * 8];
        const float *held = is_key ? c.keys : c.values;
        if (is_key)
            cache_keys_read(held, c.key_tensor.dim, 0, 3 * 32 * 8, rows);
        else
            memcpy(rows, held, sizeof rows);
        for (int i = 0; i < 2 * 32 * 8; i++)
            assert_true(isnan(rows[i]));
        for (int t = 8; t < 40; t++) /* 40 rows on a ring of 32: the first 8 are gone */
            assert_same(rows + (2 * 32 + (20 + t) % 32) * 8, p.k + t * 8, 8);
        free_cache(&c);
    }
    free_problem(&p);
}

/* --- what is not seen */

static void unseen_keys_do_not_count(void **state) {
    (void)state;
    const way ways[] = {plain, {CPU_AVX2, 1, 0}, {CPU_AVX512, 1, 0}};
    for (size_t i = 0; i < 3; i++) {
        if (ways[i].isa > cpu_detect())
            continue;
        problem p = new_problem(11, 40, 2, 1, 20, SEES_PATCH);
        forward(&p, ways[i]);
        backward(&p, ways[i]);
        problem other = p;
        new_outputs(&other);
        /* patch 1 of each lane becomes NaN; it shares its tile with patches 0, 2 and 3 */
        const int64_t wide = 8 * p.h * p.d, narrow = 8 * p.g * p.d;
        for (int64_t b = 0; b < 2; b++) {
            for (int64_t j = 0; j < narrow; j++)
                p.k[b * 5 * narrow + narrow + j] = p.v[b * 5 * narrow + narrow + j] = NAN;
            for (int64_t j = 0; j < wide; j++)
                p.q[b * 5 * wide + wide + j] = INFINITY;
        }
        forward(&other, ways[i]);
        backward(&other, ways[i]);
        for (int64_t patch = 0; patch < 10; patch++) {
            if (patch % 5 == 1)
                continue;
            assert_same(p.o + patch * wide, other.o + patch * wide, wide);
            assert_same(p.dq + patch * wide, other.dq + patch * wide, wide);
            assert_same(p.dk + patch * narrow, other.dk + patch * narrow, narrow);
            assert_same(p.dv + patch * narrow, other.dv + patch * narrow, narrow);
        }
        free_outputs(&other);
        free_problem(&p);
    }
}

/* Products that underflow leave -0 in a sum, which adding 0 would turn to +0. */
static void negative_zeros_survive(void **state) {
    (void)state;
    const way fast = {cpu_detect(), 1, 0};
    problem p = new_problem(12, 70, 1, 1, 20, SEES_ALL);
    for (int64_t i = 0; i < size_k(&p); i++) {
        p.v[i] = i % 3 ? -1e-30f : -0.0f;
        p.k[i] *= 15.0f;
    }
    forward(&p, fast);
    int negative_zeros = 0;
    for (int64_t i = 0; i < size_q(&p); i++)
        negative_zeros += p.o[i] == 0.0f && signbit(p.o[i]);
    assert_true(negative_zeros > 0);
    check_pieces(&p, 1, 1, 96, fast, 1);
    check_pieces(&p, 9, 0, 96, plain, 2);
    check_bits(&p);
    free_problem(&p);
}

static void a_row_that_sees_nothing_gives_zeros(void **state) {
    (void)state;
    const sight kinds[] = {SEES_ALL, SEES_NEAR};
    for (int kind = 0; kind < 2; kind++) {
        problem p = new_problem(13, 40, 2, 2, 8, kinds[kind]);
        p.first[7] = 8;
        p.first[40 + 39] = 1000;
        check_bits(&p);
        for (int i = 0; i < 16; i++) {
            assert_true(p.o[7 * 16 + i] == 0.0f && p.dq[7 * 16 + i] == 0.0f);
            assert_true(p.o[79 * 16 + i] == 0.0f && p.dv[79 * 16 + i] == 0.0f);
        }
        free_problem(&p);
    }
}

/* --- the gradient against differences */

/* L = sum of o d_o. */
static double loss(const problem *p) {
    double sum = 0, o[64];
    for (int64_t i = 0; i < p->b * p->t * p->h; i++) {
        naive_row(p, i / p->h / p->t, i % p->h, i / p->h % p->t, o, NULL);
        for (int64_t d = 0; d < p->d; d++)
            sum += o[d] * p->d_o[i * p->d + d];
    }
    return sum;
}

static void check_differences(const problem *p, float *x, const float *gradient, int64_t n,
                              uint64_t *random) {
    const float step = 1.0f / 256; /* exact beside inputs below 2, which have 23 bits under 2 */
    for (int i = 0; i < 12; i++) {
        const int64_t at = below(random, (int)n);
        const float kept = x[at];
        double l[4];
        for (int s = 0; s < 4; s++) {
            x[at] = kept + (float[]){2, 1, -1, -2}[s] * step;
            l[s] = loss(p);
        }
        x[at] = kept;
        /* five points: the error is step^4 / 30 of a fifth derivative of order 1, some 1e-11; what
         * remains is the float gradient's, a sum of some 40 terms of order 1 with scores off by
         * 1e-6 */
        const double slope = (8 * (l[1] - l[2]) - (l[0] - l[3])) / (12.0 * step);
        assert_true(fabs(slope - gradient[at]) < 2e-5);
    }
}

static void gradient_is_the_slope(void **state) {
    (void)state;
    uint64_t random = 4;
    for (int kind = 0; kind < SIGHTS; kind++) {
        problem p = new_problem(20 + (uint64_t)kind, 41, 4, 2, 8, (sight)kind);
        p.slopes = kind % 2;
        forward(&p, plain);
        backward(&p, (way){cpu_detect(), kind % 2 ? 8 : 1, 0});
        check_differences(&p, p.q, p.dq, size_q(&p), &random);
        check_differences(&p, p.k, p.dk, size_k(&p), &random);
        check_differences(&p, p.v, p.dv, size_k(&p), &random);
        free_problem(&p);
    }
}

/* --- p of any score */

/* exp of `scores` as the gradient has it: with scale 1 and lse 0. */
static void exp_of(float *out, const float *scores, cpu_isa isa) {
    const int begin = 0, end = ATTENTION_TILE;
    const float zero = 0.0f;
    float ds[ATTENTION_TILE];
    for (int j = 0; j < ATTENTION_TILE; j++)
        ds[j] = 1.0f;
    memcpy(out, scores, sizeof ds);
    const attention_tile x = {.rows = 1,
                              .scale = 1.0f,
                              .begin = &begin,
                              .end = &end,
                              .stride = ATTENTION_TILE,
                              .score = out,
                              .dp = ds,
                              .lse = &zero,
                              .delta = &zero};
    cpu_kernels_get(isa)->attention.gradient(&x);
    for (int j = 0; j < ATTENTION_TILE; j++)
        assert_true(ds[j] == out[j] || isnan(out[j]));
}

/* Kernels may compute exp by other operations, but never other bits, also past its range, where a
 * tile holds one such score among ordinary ones or several. */
static void p_has_the_bits_of_exact_exp_for_any_score(void **state) {
    (void)state;
    static const float odd[] = {88.7228317f, 88.72284f,    89.0f,   1e30f,  INFINITY,  NAN,   -0.0f,
                                -87.336539f, -87.3365402f, -87.34f, -1e30f, -INFINITY, 1e-40f};
    uint64_t random = 5;
    for (int n = 0; n < 20000; n++) {
        float scores[ATTENTION_TILE], out[ATTENTION_TILE];
        const float size = n % 4 == 0 ? 100.0f : n % 4 == 1 ? 88.0f : n % 4 == 2 ? 10.0f : 1e-3f;
        for (int j = 0; j < ATTENTION_TILE; j++)
            scores[j] = size * uniform(&random);
        for (int i = below(&random, 3); i > 0; i--)
            scores[below(&random, ATTENTION_TILE)] = odd[below(&random, sizeof odd / sizeof *odd)];
        for (int isa = 0; isa <= (int)cpu_detect(); isa++) {
            exp_of(out, scores, (cpu_isa)isa);
            for (int j = 0; j < ATTENTION_TILE; j++) {
                const float expected = exact_exp(scores[j]);
                if (isnan(expected))
                    assert_true(isnan(out[j]));
                else
                    assert_same(&expected, out + j, 1);
            }
        }
    }
}

/* --- rope */

static void rope_turns_pairs_and_back(void **state) {
    (void)state;
    uint64_t random = 6;
    const int64_t rows = 2 * 9, heads = 3, d = 10;
    float *x = new_random(&random, rows * heads * d, 1.0f), *table = new_floats(rows * d);
    float *y = new_floats(rows * heads * d), *back = new_floats(rows * heads * d);
    for (int64_t i = 0; i < rows * 5; i++) {
        const double angle = 3.0 * uniform(&random);
        table[i / 5 * d + i % 5] = (float)cos(angle);
        table[i / 5 * d + 5 + i % 5] = (float)sin(angle);
    }
    tensor tx = shaped4(2, 9, heads, d), tt = shaped(3, (int64_t[]){2, 9, d});
    node n = {.op = OP_ROPE, .n_inputs = 2, .n_outputs = 1, .input = {&tx, &tt}};
    run(&cpu_rope, &n, (void *[]){x, table}, (void *[]){y}, plain);
    n.params.rope.inverse = 1;
    run(&cpu_rope, &n, (void *[]){y, table}, (void *[]){back}, (way){CPU_SCALAR, 1, 4});
    for (int64_t i = 0; i < rows * heads * d; i++) {
        const int64_t row = i / d / heads, e = i % d % 5;
        const float *pair = x + i / d * d + e;
        const double c = table[row * d + e], s = table[row * d + 5 + e];
        const double want = i % d < 5 ? pair[0] * c - pair[5] * s : pair[0] * s + pair[5] * c;
        assert_true(fabs(y[i] - want) < 3 * FLT_EPSILON);     /* three roundings below 2 */
        assert_true(fabsf(back[i] - x[i]) < 8 * FLT_EPSILON); /* twice, and the table's own */
    }
    free(x);
    free(table);
    free(y);
    free(back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_the_naive_one),
        cmocka_unit_test(sums_run_in_the_stated_order),
        cmocka_unit_test(instruction_sets_and_tasks_give_equal_bits),
        cmocka_unit_test(whole_is_pieces_is_row_by_row),
        cmocka_unit_test(a_ring_shorter_than_the_sequence_is_enough_for_a_window),
        cmocka_unit_test(keys_read_back_as_written),
        cmocka_unit_test(store_writes_its_rows_and_no_others),
        cmocka_unit_test(unseen_keys_do_not_count),
        cmocka_unit_test(negative_zeros_survive),
        cmocka_unit_test(a_row_that_sees_nothing_gives_zeros),
        cmocka_unit_test(gradient_is_the_slope),
        cmocka_unit_test(p_has_the_bits_of_exact_exp_for_any_score),
        cmocka_unit_test(rope_turns_pairs_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
