/* op_cases_attention.c: test rows of attention, its gradient, and attention over a cache.
 *
 * The bounds: outputs are averages of values below 1 with weights from exp, whose argument is a sum
 * of D products, so that a weight is off by about 2^-24 sqrt(D) |s|; gradients add up to T * H / G
 * such terms. */
#include "op_cases.h"

#include <math.h>

#include "support.h"

/* B, T, H, G, D: T around the tile of 32 keys, D around the lanes, shared key heads. */
static const int64_t shapes[][5] = {{1, 1, 1, 1, 1},   {2, 2, 2, 1, 8},    {1, 15, 4, 2, 16},
                                    {2, 16, 1, 1, 17}, {1, 17, 6, 2, 15},  {1, 31, 2, 2, 32},
                                    {1, 32, 3, 3, 5},  {2, 33, 4, 1, 16},  {1, 64, 2, 1, 24},
                                    {3, 65, 2, 2, 64}, {1, 100, 8, 2, 33}, {1, 257, 2, 1, 40},
                                    {1, 3, 40, 1, 8},  {1, 40, 2, 1, 130}, {1, 300, 1, 1, 16}};

/* The first key of each row: the start, a window, segments of 20, only itself, the tiles' edges,
 * any one; all and any with linear biases. The last see sinks beside a window, any one with biases,
 * segments and only itself. */
static tensor *first_keys(op_case *c, int variant, int64_t B, int64_t T) {
    tensor *first = case_integers(c, 0, 0, SHAPE(B, T));
    for (int64_t i = 0; i < B * T; i++) {
        const int32_t t = (int32_t)(i % T);
        const int32_t choice[] = {0,
                                  t < 37 ? 0 : t - 37,
                                  t / 20 * 20,
                                  t,
                                  t / 32 * 32,
                                  (int32_t)support_integer(&c->random, 0, t),
                                  0,
                                  (int32_t)support_integer(&c->random, 0, t),
                                  t < 9 ? 0 : t - 9,
                                  (int32_t)support_integer(&c->random, 0, t),
                                  t / 20 * 20,
                                  t};
        case_values(c)[i] = choice[variant];
    }
    return first;
}
#define FIRST_VARIANTS 12
static const int with_slopes[FIRST_VARIANTS] = {[6] = 1, [7] = 1, [9] = 1};
static const int with_sinks[FIRST_VARIANTS] = {[8] = 5, [9] = 33, [10] = 20, [11] = 64};

static void mark(op_case *c, tensor *o, int variant) {
    if (with_slopes[variant]) {
        attention_slopes(c->graph, o);
    }
    if (with_sinks[variant]) {
        attention_sinks(c->graph, o, with_sinks[variant], NULL, NULL);
    }
}

/* The reference does not round weights: each of n keys is off by half a 16383rd of the largest
 * weight, which is at most one, times a value below 2, at random. The rest is for rounding. */
static double weight_bound(int64_t n) {
    return 4 * 1024 * sqrt((double)n) + 64;
}

static tensor *heads(op_case *c, int64_t B, int64_t T, int64_t H, int64_t D) {
    return case_input(c, -2, 2, SHAPE(B, T, H, D));
}

static void build_whole(op_case *c, int index, int int8) {
    const int variant = case_pick(&index, FIRST_VARIANTS);
    const int64_t *s = shapes[case_pick(&index, COUNT(shapes))];
    const int64_t B = s[0], T = s[1], H = s[2], G = s[3], D = s[4];
    tensor *q = heads(c, B, T, H, D), *k = heads(c, B, T, G, D), *v = heads(c, B, T, G, D);
    tensor *first = first_keys(c, variant, B, T), *lse = NULL;
    const float scale = 1 / sqrtf((float)D);
    c->bound = 8 * (sqrt((double)D) + 2) + 4 * sqrt((double)T);
    c->unit = 1;
    tensor *o = int8 ? attention_int8(c->graph, q, k, v, first, scale)
                     : attention(c->graph, &lse, q, k, v, first, scale);
    if (int8)
        c->bound += weight_bound(T);
    mark(c, o, variant);
    case_output(c, o);
    case_output(c, lse);
}

static void build_attention(op_case *c, int index) {
    build_whole(c, index, 0);
}
/* A third of the cases, spread over all. */
static void build_attention_int8(op_case *c, int index) {
    build_whole(c, 7 * index % (FIRST_VARIANTS * COUNT(shapes)), 1);
}
const op_row test_op_attention_int8 = {FIRST_VARIANTS * COUNT(shapes) / 3, build_attention_int8};
const op_row test_op_attention = {FIRST_VARIANTS * COUNT(shapes), build_attention};

static void build_attention_grad(op_case *c, int index) {
    const int variant = case_pick(&index, FIRST_VARIANTS);
    const int64_t *s = shapes[case_pick(&index, COUNT(shapes))];
    const int64_t B = s[0], T = s[1], H = s[2], G = s[3], D = s[4];
    tensor *q = heads(c, B, T, H, D), *k = heads(c, B, T, G, D), *v = heads(c, B, T, G, D);
    tensor *first = first_keys(c, variant, B, T);
    tensor *o = case_input(c, -1, 1, SHAPE(B, T, H, D)), *lse = case_input(c, 3, 5, SHAPE(B, T, H));
    tensor *d_o = case_input(c, -1, 1, SHAPE(B, T, H, D));
    tensor *d[3] = {NULL};
    attention_grad(c->graph, &d[0], &d[1], &d[2], q, k, v, first, o, lse, d_o, 1 / sqrtf((float)D));
    mark(c, d[0], variant);
    c->bound = 16 * (sqrt((double)D) + 2) + 4 * sqrt((double)(T * H / G));
    c->unit = 1;
    for (int i = 0; i < 3; i++) {
        case_output(c, d[i]);
    }
}
const op_row test_op_attention_grad = {FIRST_VARIANTS * COUNT(shapes), build_attention_grad};

/* Slots, ring rows, lanes, new rows, heads, key heads, head size. */
static const int64_t caches[][7] = {{1, 32, 1, 1, 1, 1, 1},    {3, 32, 2, 1, 2, 1, 16},
                                    {2, 64, 2, 3, 4, 2, 17},   {5, 96, 4, 1, 6, 2, 40},
                                    {4, 96, 3, 20, 2, 2, 15},  {1, 128, 1, 65, 3, 1, 33},
                                    {9, 256, 8, 1, 8, 4, 64},  {2, 544, 2, 1, 4, 4, 32},
                                    {3, 128, 3, 64, 4, 2, 64}, {1, 64, 1, 1, 40, 1, 8}};

/* Keys or values from -2 to 2, as they are or as integers with their scales. */
static tensor *cached_state(op_case *c, int int8, int values, int rank, const int64_t *dim) {
    if (!int8)
        return case_state(c, values ? LAYOUT_ROWS : LAYOUT_KEYS, -2, 2, rank, dim);
    const int64_t width = dim[3] + 1;
    tensor *t = case_state(c, values ? LAYOUT_VALUES_INT8 : LAYOUT_KEYS_INT8, 0, 1,
                           SHAPE(dim[0], dim[1], dim[2], width));
    float *x = case_floats(c);
    for (int64_t i = 0; i < tensor_elements(t); i++)
        x[i] = i % width == width - 1 ? x[i] * (2.0f / 127.0f)
                                      : (float)support_integer(&c->random, -127, 127);
    return t;
}

/* Lanes from the start of the ring, in its middle, past its end, far past it, and with padding. A
 * row sees fewer keys than the ring holds beside the new rows. */
static void build_cached(op_case *c, int index, int int8) {
    const int slopes = case_pick(&index, 2), variant = case_pick(&index, 5);
    const int64_t *s = caches[case_pick(&index, COUNT(caches))];
    static const int64_t sinks_of[] = {1, 5, 32, 33, 70};
    const int64_t sinks = case_pick(&index, 2) ? sinks_of[variant] : 0;
    const int64_t kept = (sinks + 31) / 32 * 32;
    const int64_t S = s[0], R = s[1], B = s[2], T = s[3], H = s[4], G = s[5], D = s[6];
    static const int64_t base[] = {0, 13, 0, 100000, 5};
    tensor *q = heads(c, B, T, H, D);
    tensor *keys = cached_state(c, int8, 0, SHAPE(S, R, G, D));
    tensor *values = cached_state(c, int8, 1, SHAPE(S, R, G, D));
    tensor *sink[2] = {NULL, NULL};
    for (int i = 0; i < 2 && sinks; i++) {
        sink[i] = cached_state(c, int8, i, SHAPE(S, kept, G, D));
    }
    int32_t pos_of[8], count_of[8];
    tensor *slot = case_integers(c, 0, 0, SHAPE(B));
    for (int64_t b = 0; b < B; b++) {
        pos_of[b] = (int32_t)(base[variant] + 7 * b + (variant == 2 ? R - 1 : 0));
        count_of[b] = (int32_t)(variant == 4 ? support_integer(&c->random, 0, T) : T);
        case_values(c)[b] = (int32_t)((S - 1) - b % S);
    }
    tensor *pos = case_integers(c, 0, 0, SHAPE(B));
    for (int64_t b = 0; b < B; b++) {
        case_values(c)[b] = pos_of[b];
    }
    tensor *count = case_integers(c, 0, 0, SHAPE(B));
    for (int64_t b = 0; b < B; b++) {
        case_values(c)[b] = count_of[b];
    }
    tensor *first = case_integers(c, 0, 0, SHAPE(B, T));
    for (int64_t i = 0; i < B * T; i++) {
        const int64_t last = pos_of[i / T] + i % T;
        const int64_t reach = i % 3 == 0 ? 0 : support_integer(&c->random, 0, R - T);
        const int64_t low = last - (i % 3 == 1 ? R - T : reach);
        case_values(c)[i] = (int32_t)(low > 0 ? low : 0);
    }
    c->bound = 4 * (sqrt((double)D) + 2) + (int8 ? weight_bound(R) : 0);
    c->unit = 1;
    const float scale = 1 / sqrtf((float)D);
    tensor *o = attention_cached(c->graph, q, keys, values, slot, pos, count, first, scale);
    if (sinks) {
        attention_sinks(c->graph, o, sinks, sink[0], sink[1]);
    }
    case_output(c, slopes ? attention_slopes(c->graph, o) : o);
}
static void build_attention_cached(op_case *c, int index) {
    build_cached(c, index, 0);
}
static void build_attention_cached_int8(op_case *c, int index) {
    build_cached(c, 7 * index % (2 * 5 * 2 * COUNT(caches)), 1);
}
const op_row test_op_attention_cached_int8 = {2 * 5 * 2 * COUNT(caches) / 3,
                                              build_attention_cached_int8};
const op_row test_op_attention_cached = {2 * 5 * 2 * COUNT(caches), build_attention_cached};
