/* op_cases_rows.c: test rows of ops over indexed rows (gather, scatter, store, rope), of the loss,
 * and of the optimizers. */
#include "op_cases.h"

#include <math.h>
#include <string.h>

#include "support.h"

/* Indices of gather: rows of x, none, rows of start, and a few that are outside of both. */
static tensor *row_indices(op_case *c, int64_t n, int64_t starts, int rank, const int64_t *dim) {
    tensor *index = case_integers(c, 0, (int32_t)n - 1, rank, dim);
    const int64_t count = tensor_elements(index);
    for (int64_t i = 0; i < count; i++) {
        switch (support_integer(&c->random, 0, 11)) {
        case 0:
            case_values(c)[i] = GATHER_NONE;
            break;
        case 1:
        case 2:
            case_values(c)[i] = (int32_t)(-1 - support_integer(&c->random, 0, starts));
            break;
        case 3:
            case_values(c)[i] = (int32_t)(n + support_integer(&c->random, 0, 3));
            break;
        default:
            break;
        }
    }
    return index;
}

static const int64_t row_widths[] = {1, 15, 16, 17, 257};

static void build_gather(op_case *c, int index) {
    static const int64_t sources[] = {1, 5, 257};
    const int with_start = case_pick(&index, 2), shape = case_pick(&index, 4);
    const int64_t n = sources[case_pick(&index, COUNT(sources))];
    const int64_t C = row_widths[case_pick(&index, COUNT(row_widths))];
    tensor *x = n == 5 ? case_input(c, -1, 1, SHAPE(n, C))
                       : case_parameter(c, n == 1 ? DTYPE_BF16 : DTYPE_F32, -1, 1, SHAPE(n, C));
    tensor *start = with_start ? case_parameter(c, DTYPE_F32, -1, 1, SHAPE(3, C)) : NULL;
    tensor *rows = shape == 0   ? row_indices(c, n, 3, SHAPE(1))
                   : shape == 1 ? row_indices(c, n, 3, SHAPE(17))
                   : shape == 2 ? row_indices(c, n, 3, SHAPE(5, 13))
                                : row_indices(c, n, 3, SHAPE(2, 3, 5));
    c->bound = 64; /* gradient: sums of up to 65 rows */
    c->unit = 1;
    case_output(c, gather(c->graph, x, start, rows));
}
const op_row test_op_gather = {2 * 4 * 3 * COUNT(row_widths), build_gather};

static void build_scatter(op_case *c, int index) {
    static const int64_t targets[] = {1, 3, 40, 1000};
    const int kind = case_pick(&index, 3), from_start = kind == 1;
    const int64_t n = targets[case_pick(&index, COUNT(targets))];
    const int64_t C = row_widths[case_pick(&index, COUNT(row_widths))];
    if (kind == 2) { /* several indices for every row */
        const int64_t each = index ? 16 : 3;
        tensor *sums = case_input(c, -1, 1, SHAPE(2, 5, C));
        c->bound = 400; /* one row added 16 times over does not cancel as many rows do */
        c->unit = 1;
        case_output(c, scatter_each(c->graph, sums, row_indices(c, n, 5, SHAPE(2, 5, each)), n));
        return;
    }
    tensor *dy = index ? case_input(c, -1, 1, SHAPE(3, 101, C)) : case_input(c, -1, 1, SHAPE(7, C));
    tensor *rows = index ? row_indices(c, from_start ? 5 : n, from_start ? n : 5, SHAPE(3, 101))
                         : row_indices(c, from_start ? 5 : n, from_start ? n : 5, SHAPE(7));
    c->bound = 80;
    c->unit = 1;
    case_output(c, scatter(c->graph, dy, rows, n, from_start));
}
const op_row test_op_scatter = {3 * 4 * COUNT(row_widths) * 2, build_scatter};

/* One index a row, a few, and many more than the table has rows. */
static void build_gather_sum(op_case *c, int index) {
    static const int64_t sources[] = {1, 5, 257}, each[] = {1, 4, 70};
    const int64_t n = sources[case_pick(&index, COUNT(sources))];
    const int64_t U = each[case_pick(&index, COUNT(each))];
    const int64_t C = row_widths[case_pick(&index, COUNT(row_widths))];
    tensor *x = n == 5 ? case_input(c, -1, 1, SHAPE(n, C))
                       : case_parameter(c, n == 1 ? DTYPE_BF16 : DTYPE_F32, -1, 1, SHAPE(n, C));
    tensor *rows =
        index && U < 70 ? row_indices(c, n, 3, SHAPE(3, 5, U)) : row_indices(c, n, 3, SHAPE(1, U));
    c->bound = 80; /* sums of up to 70 rows, in the gradient too */
    c->unit = 1;
    case_output(c, gather_sum(c->graph, x, rows));
}
const op_row test_op_gather_sum = {3 * 3 * COUNT(row_widths) * 2, build_gather_sum};

static void build_rope(op_case *c, int index) {
    static const int64_t shapes[][4] = {/* B, T, H, D */
                                        {1, 1, 1, 2},   {2, 3, 1, 4},    {1, 17, 3, 30},
                                        {2, 5, 2, 32},  {3, 9, 4, 34},   {2, 33, 4, 64},
                                        {1, 2, 2, 258}, {4, 128, 4, 64}, {1, 5, 1, 16}};
    const int inverse = case_pick(&index, 2), neighbours = case_pick(&index, 2);
    const int64_t *s = shapes[case_pick(&index, COUNT(shapes))];
    tensor *x = case_input(c, -1, 1, SHAPE(s[0], s[1], s[2], s[3]));
    tensor *table = case_data(c, 0, 0, SHAPE(s[0], s[1], s[3]));
    for (int64_t r = 0; r < s[0] * s[1]; r++) {
        for (int64_t i = 0; i < s[3] / 2; i++) {
            const double angle = support_uniform(&c->random, -3, 3);
            case_floats(c)[r * s[3] + i] = (float)cos(angle);
            case_floats(c)[r * s[3] + s[3] / 2 + i] = (float)sin(angle);
        }
    }
    c->bound = 4;
    tensor *y = rope(c->graph, x, table, inverse);
    case_output(c, neighbours ? rope_neighbours(c->graph, y) : y);
}
const op_row test_op_rope = {2 * 2 * 9, build_rope};

/* B, T, C; odd C, one row, one channel. */
static const int64_t shift_shapes[][3] = {{1, 1, 1},   {2, 3, 1},  {1, 17, 2},   {3, 5, 15},
                                          {2, 33, 16}, {4, 7, 17}, {2, 64, 257}, {8, 130, 64}};

/* First rows of sequences: all rows in one, each alone, by groups, and anything. */
static void shift_firsts(op_case *c, int64_t B, int64_t T, int variant, const int32_t *pos) {
    case_integers(c, -2, (int32_t)T + 1, SHAPE(B, T));
    for (int64_t i = 0; i < B * T && variant < 3; i++) {
        const int32_t row = (int32_t)(i % T) + (pos ? pos[i / T] : 0);
        case_values(c)[i] = variant == 0 ? 0 : variant == 1 ? row : row / 3 * 3;
    }
}

static void build_shift(op_case *c, int index) {
    const int inverse = case_pick(&index, 2), variant = case_pick(&index, 4);
    const int start = case_pick(&index, 2);
    const int64_t *s = shift_shapes[case_pick(&index, COUNT(shift_shapes))];
    tensor *x = case_input(c, -1, 1, SHAPE(s[0], s[1], s[2]));
    shift_firsts(c, s[0], s[1], variant, NULL);
    c->bound = start ? 160 : 0; /* copies, and sums of up to 130 rows */
    c->unit = 1;
    tensor *y = shift(c->graph, x, c->source[c->n_sources - 1].tensor, inverse);
    case_output(c, start ? shift_start(c->graph, y, NULL) : y);
}
const op_row test_op_shift = {2 * 2 * 4 * COUNT(shift_shapes), build_shift};

/* Lanes at the beginning, in the middle and past the end of the ring, with and without padding. */
static void build_shift_cached(op_case *c, int index) {
    const int variant = case_pick(&index, 4), place = case_pick(&index, 3);
    const int start = case_pick(&index, 2);
    const int64_t *s = shift_shapes[case_pick(&index, COUNT(shift_shapes))];
    const int64_t B = s[0], T = s[1], C = s[2], R = T + 1 + place;
    tensor *x = case_input(c, -1, 1, SHAPE(B, T, C));
    tensor *state = case_state(c, LAYOUT_ROWS, -1, 1, SHAPE(B + 1, R, 1, C));
    tensor *first = start ? case_state(c, LAYOUT_ROWS, -1, 1, SHAPE(B + 1, 2, 1, C)) : NULL;
    tensor *slot = case_integers(c, 0, 0, SHAPE(B));
    for (int64_t b = 0; b < B; b++) {
        case_values(c)[b] = (int32_t)((b + place) % (B + 1));
    }
    tensor *pos = place == 0 ? case_integers(c, 0, 0, SHAPE(B))
                             : case_integers(c, 0, place == 1 ? (int32_t)R : 100000, SHAPE(B));
    const int32_t *rows = case_values(c);
    tensor *count = case_integers(c, place == 1 ? 0 : (int32_t)T, (int32_t)T, SHAPE(B));
    shift_firsts(c, B, T, variant, rows);
    c->bound = 0;
    tensor *y =
        shift_cached(c->graph, x, state, slot, pos, count, c->source[c->n_sources - 1].tensor);
    case_output(c, start ? shift_start(c->graph, y, first) : y);
}
const op_row test_op_shift_cached = {4 * 3 * 2 * COUNT(shift_shapes), build_shift_cached};

/* slot[B] distinct, pos[B], count[B]; with idle != 0 the last lane has no rows. */
static void build_any_store(op_case *c, int index, int int8) {
    static const struct {
        int64_t S, R, B, T, G, D; /* G 0: rank 3 */
        variable_layout layout;
    } shapes[] = {{1, 1, 1, 1, 0, 1, LAYOUT_ROWS},    {3, 7, 2, 3, 0, 17, LAYOUT_ROWS},
                  {4, 32, 3, 5, 2, 16, LAYOUT_ROWS},  {2, 64, 2, 33, 1, 64, LAYOUT_ROWS},
                  {1, 32, 1, 1, 1, 8, LAYOUT_KEYS},   {3, 64, 2, 40, 2, 15, LAYOUT_KEYS},
                  {4, 96, 3, 17, 3, 16, LAYOUT_KEYS}, {5, 32, 4, 32, 1, 65, LAYOUT_KEYS},
                  {2, 32, 1, 31, 4, 1, LAYOUT_KEYS},  {16, 128, 16, 64, 4, 64, LAYOUT_KEYS}};
    const int variant = case_pick(&index, 4);
    const int k =
        int8 ? 4 + case_pick(&index, COUNT(shapes) - 4) : case_pick(&index, COUNT(shapes));
    const int first = case_pick(&index, 2), values = int8 && index;
    const int64_t S = shapes[k].S, R = shapes[k].R, B = shapes[k].B, T = shapes[k].T;
    const int64_t G = shapes[k].G, D = shapes[k].D;
    tensor *state = int8 ? case_state(c, values ? LAYOUT_VALUES_INT8 : LAYOUT_KEYS_INT8, 0, 0,
                                      SHAPE(S, R, G, D + 1))
                    : G  ? case_state(c, shapes[k].layout, -1, 1, SHAPE(S, R, G, D))
                         : case_state(c, shapes[k].layout, -1, 1, SHAPE(S, R, D));
    tensor *x = G ? case_input(c, -1, 1, SHAPE(B, T, G, D)) : case_input(c, -1, 1, SHAPE(B, T, D));
    tensor *slot = case_integers(c, 0, 0, SHAPE(B));
    for (int64_t b = 0; b < B; b++) {
        case_values(c)[b] = (int32_t)((b + variant) % S);
    }
    /* from the start, anywhere, and so that rows wrap around the ring */
    tensor *pos = variant == 0   ? case_integers(c, 0, 0, SHAPE(B))
                  : variant == 1 ? case_integers(c, 0, (int32_t)(R - 1), SHAPE(B))
                  : variant == 2 ? case_integers(c, (int32_t)(R - 1), (int32_t)(R - 1), SHAPE(B))
                                 : case_integers(c, 100000, 100000 + (int32_t)(2 * R), SHAPE(B));
    tensor *count = case_integers(c, variant == 1 ? 0 : (int32_t)T, (int32_t)T, SHAPE(B));
    c->bound = 0; /* copies; integers and their scales are rounded by the same rule */
    case_output(c, (first ? store_first : store)(c->graph, state, x, slot, pos, count));
}

static void build_store(op_case *c, int index) {
    build_any_store(c, index, 0);
}
static void build_store_int8(op_case *c, int index) {
    build_any_store(c, index, 1);
}
const op_row test_op_store_int8 = {4 * 6 * 2 * 2, build_store_int8};
const op_row test_op_store = {4 * 10 * 2, build_store};

static const int64_t vocabularies[] = {2, 15, 16, 17, 255, 256, 257, 300};
static const int64_t loss_rows[] = {1, 5, 33, 130};

/* Targets with a tenth of them absent; logits with and without a large common offset. */
static tensor *loss_inputs(op_case *c, tensor **target, int *index, int64_t *rows) {
    const int64_t V = vocabularies[case_pick(index, COUNT(vocabularies))];
    const int64_t n = *rows = loss_rows[case_pick(index, COUNT(loss_rows))];
    const float offset = *index ? 100.0f : 0;
    tensor *logits = n == 33 ? case_input(c, offset - 4, offset + 4, SHAPE(3, 11, V))
                             : case_input(c, offset - 4, offset + 4, SHAPE(n, V));
    *target = n == 33 ? case_integers(c, 0, (int32_t)V - 1, SHAPE(3, 11))
                      : case_integers(c, 0, (int32_t)V - 1, SHAPE(n));
    for (int64_t i = 0; i < n; i++) {
        if (support_integer(&c->random, 0, 9) == 0) {
            case_values(c)[i] = -1;
        }
    }
    /* x - max is nearly exact whatever the offset; exp, log and a sum over lanes and a tree follow
     */
    c->bound = 8;
    c->unit = 1;
    return logits;
}

static void build_cross_entropy(op_case *c, int index) {
    tensor *target;
    int64_t rows;
    tensor *logits = loss_inputs(c, &target, &index, &rows);
    case_output(c, cross_entropy(c->graph, logits, target));
}
const op_row test_op_cross_entropy = {2 * COUNT(vocabularies) * COUNT(loss_rows),
                                      build_cross_entropy};

static void build_cross_entropy_grad(op_case *c, int index) {
    tensor *target;
    int64_t rows;
    tensor *logits = loss_inputs(c, &target, &index, &rows);
    tensor *dnll =
        rows == 33 ? case_input(c, -1, 1, SHAPE(3, 11)) : case_input(c, -1, 1, SHAPE(rows));
    case_output(c, cross_entropy_grad(c->graph, logits, target, dnll));
}
const op_row test_op_cross_entropy_grad = {2 * COUNT(vocabularies) * COUNT(loss_rows),
                                           build_cross_entropy_grad};

/* Temperatures, the first k, the first p of the sum, and those of at least m; no bound: the very
 * symbol. */
static void build_draw_symbol(op_case *c, int index) {
    static const float settings[][4] = {{1, 0, 1, 0},       {0.25f, 0, 1, 0},    {3, 5, 1, 0},
                                        {1, 1, 1, 0},       {1, 0, 0.4f, 0},     {1, 40, 0.9f, 0},
                                        {1, 0, 1, 0.0625f}, {2, 9, 0.7f, 0.125f}};
    const int64_t V = vocabularies[case_pick(&index, COUNT(vocabularies))];
    const int64_t n = loss_rows[case_pick(&index, COUNT(loss_rows))];
    const int32_t end = index ? (int32_t)V - 1 : -1;
    tensor *logits = case_data(c, -4, 4, SHAPE(n, V));
    if (n > 1) /* equal ones */
        for (int64_t i = 0; i < V; i += 3)
            case_floats(c)[i] = 3.5f;
    tensor *draw = case_data(c, 0, 1, SHAPE(n)), *chosen = case_data(c, 0, 0, SHAPE(n, 4));
    for (int64_t r = 0; r < n; r++)
        memcpy(case_floats(c) + 4 * r, settings[(r + V) % COUNT(settings)], sizeof *settings);
    tensor *base = case_integers(c, 0, 700, SHAPE(n));
    c->unit = 1;
    case_output(c, draw_symbol(c->graph, logits, draw, chosen, base, end));
}
const op_row test_op_draw_symbol = {2 * COUNT(vocabularies) * COUNT(loss_rows), build_draw_symbol};

static void build_norm_factor(op_case *c, int index) {
    static const float sums[] = {0, 1e-12f, 0.25f, 1, 7, 1e12f};
    const factor_kind kind = (factor_kind)case_pick(&index, 2);
    tensor *s = case_input(c, 0, 0, SHAPE(1));
    case_floats(c)[0] = sums[index];
    /* so small that the 1e-6 of the clip counts, where s is small */
    const float limit = kind == FACTOR_INVERSE ? 1e-7f : sums[index] < 0.1f ? 1e-6f : 0.9f;
    case_output(c, norm_factor(c->graph, s, kind, limit));
}
const op_row test_op_norm_factor = {2 * 6, build_norm_factor};

static const int64_t weight_counts[] = {1, 15, 16, 17, 255, 257, 70001};

/* epsilon is larger than in use, so that its place shows.
 * hyper[8] = lr, beta1, beta2, epsilon, decay, 1 - beta1^t, 1 - beta2^t, unused. */
static tensor *hyper_input(op_case *c) {
    static const float hyper[8] = {0.01f, 0.9f, 0.95f, 0.05f, 0.1f, 0.271f, 0.142625f, 0};
    tensor *t = case_data(c, 0, 0, SHAPE(8));
    for (int i = 0; i < 8; i++) {
        case_floats(c)[i] = hyper[i];
    }
    return t;
}

static tensor *weights(op_case *c, int64_t n) {
    return n % 5 ? case_parameter(c, DTYPE_F32, -1, 1, SHAPE(n))
                 : case_parameter(c, DTYPE_F32, -1, 1, SHAPE(n / 5, 5));
}

static tensor *like(op_case *c, const tensor *w, int as_state, float low) {
    return as_state ? case_state(c, LAYOUT_ROWS, low, 1, w->rank, w->dim)
                    : case_input(c, low, 1, w->rank, w->dim);
}

static void build_adamw(op_case *c, int index) {
    tensor *w = weights(c, weight_counts[index]);
    tensor *gradient = like(c, w, 0, -1), *m = like(c, w, 1, -1), *v = like(c, w, 1, 0);
    tensor *factor = case_input(c, 0.1f, 1, SHAPE(1)), *hyper = hyper_input(c);
    c->bound = 6;
    case_output(c, adamw(c->graph, w, gradient, m, v, factor, hyper));
}
const op_row test_op_adamw = {COUNT(weight_counts), build_adamw};

static void build_momentum(op_case *c, int index) {
    const int nesterov = case_pick(&index, 2);
    tensor *w = weights(c, weight_counts[index]);
    tensor *m = like(c, w, 1, -1), *gradient = like(c, w, 0, -1);
    tensor *factor = case_input(c, 0.1f, 1, SHAPE(1)), *hyper = hyper_input(c);
    case_output(c, momentum(c->graph, m, gradient, factor, hyper, nesterov));
}
const op_row test_op_momentum = {2 * COUNT(weight_counts), build_momentum};

static void build_descend(op_case *c, int index) {
    const int plain = case_pick(&index, 2);
    tensor *w = weights(c, weight_counts[index]), *x = like(c, w, 0, -1);
    case_output(c, descend(c->graph, w, x, hyper_input(c), plain ? 1 : 12.5f));
}
const op_row test_op_descend = {2 * COUNT(weight_counts), build_descend};

static void build_lerp(op_case *c, int index) {
    tensor *w = weights(c, weight_counts[index]), *m = like(c, w, 1, -1);
    case_output(c, lerp(c->graph, m, w, case_input(c, 0, 1, SHAPE(1))));
}
const op_row test_op_lerp = {COUNT(weight_counts), build_lerp};
