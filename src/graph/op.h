/* op.h: the table of ops.
 *
 * Every op is one row of OP_LIST. The enum, the names, the row of the CPU backend (cpu_<name>), the
 * reference (ref_<name>) and the test (test_op_<name>) all come from this list, so a row without a
 * kernel, a reference or a test does not link. GRADIENT is the name of the function that records
 * the gradient in ops (gradient_<name>), or NONE with the reason. The constructors, with the
 * shapes, are in graph.h. */
#ifndef GRAPH_OP_H
#define GRAPH_OP_H

#include "graph/tensor.h"

/*      enum             name              gradient or the reason that there is none */
#define OP_LIST(ROW, NONE)                                                                         \
    ROW(MATMUL, matmul)                                                                            \
    ROW(ADD, add)                                                                                  \
    ROW(MUL, mul)                                                                                  \
    ROW(ADD_ROW, add_row)                                                                          \
    NONE(SUM_ROWS, sum_rows, "is itself the gradient of add_row")                                  \
    ROW(UNARY, unary)                                                                              \
    NONE(UNARY_GRAD, unary_grad, "fused backward kernel of unary")                                 \
    ROW(NORM, norm)                                                                                \
    NONE(NORM_GRAD, norm_grad, "fused backward kernel of norm")                                    \
    ROW(SCALE_HEADS, scale_heads)                                                                  \
    ROW(DOT_HEADS, dot_heads)                                                                      \
    ROW(GATHER, gather)                                                                            \
    ROW(GATHER_SUM, gather_sum)                                                                    \
    NONE(SCATTER, scatter, "is itself the gradient of gather")                                     \
    ROW(ROPE, rope)                                                                                \
    ROW(SHIFT, shift)                                                                              \
    NONE(SHIFT_CACHED, shift_cached, "reads a state that no gradient flows through")               \
    ROW(DROPOUT, dropout)                                                                          \
    ROW(ATTENTION, attention)                                                                      \
    NONE(ATTENTION_GRAD, attention_grad, "fused backward kernel of attention")                     \
    NONE(ATTENTION_CACHED, attention_cached, "reads a state that no gradient flows through")       \
    NONE(STORE, store, "writes a state that no gradient flows through")                            \
    NONE(LINEAR_INT8, linear_int8, "rounds to integers")                                           \
    NONE(ATTENTION_INT8, attention_int8, "rounds to integers")                                     \
    NONE(ATTENTION_CACHED_INT8, attention_cached_int8, "rounds to integers")                       \
    NONE(STORE_INT8, store_int8, "rounds to integers")                                             \
    ROW(CROSS_ENTROPY, cross_entropy)                                                              \
    NONE(CROSS_ENTROPY_GRAD, cross_entropy_grad, "fused backward kernel of cross_entropy")         \
    NONE(DRAW_SYMBOL, draw_symbol, "draws by chance")                                              \
    ROW(DOT, dot)                                                                                  \
    ROW(MUL_SCALAR, mul_scalar)                                                                    \
    NONE(NORM_FACTOR, norm_factor, "used by the optimizer")                                        \
    NONE(ADAMW, adamw, "optimizer")                                                                \
    NONE(MOMENTUM, momentum, "optimizer")                                                          \
    NONE(DESCEND, descend, "optimizer")                                                            \
    NONE(LERP, lerp, "optimizer")

typedef enum op {
#define ROW(ID, name) OP_##ID,
#define NONE(ID, name, reason) OP_##ID,
    OP_LIST(ROW, NONE)
#undef ROW
#undef NONE
        OP_COUNT
} op;

typedef enum unary_kind {
    UNARY_SCALE,     /* c x */
    UNARY_RELU,      /* max(x, 0) */
    UNARY_RELU2,     /* max(x, 0)^2 (So et al. 2021) */
    UNARY_GELU,      /* x (1 + erf(x / sqrt 2)) / 2 (Hendrycks, Gimpel 2016) */
    UNARY_GELU_TANH, /* its tanh form: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 */
    UNARY_SILU,      /* x sigmoid(x) */
    UNARY_SIGMOID,   /* 1 / (1 + exp(-x)) */
    UNARY_TANH,      /* tanh(x) */
    UNARY_SOFTCAP,   /* c tanh(x / c) */
    /* max(x, x / 2)^2 */
    UNARY_LEAKY_RELU2,
    UNARY_KINDS
} unary_kind;

typedef enum norm_kind {
    NORM_RMS,  /* x / sqrt(mean(x^2) + eps) (Zhang, Sennrich 2019) */
    NORM_LAYER /* (x - mean(x)) / sqrt(var(x) + eps) (Ba et al. 2016) */
} norm_kind;

typedef enum factor_kind {
    FACTOR_INVERSE, /* 1 / (sqrt(s) + c): divides a matrix by its Frobenius norm */
    FACTOR_CLIP     /* min(1, c / (sqrt(s) + 1e-6)): clips a gradient to norm c */
} factor_kind;

/* Row indices that mean no row: gather gives zeros there, scatter skips it. Other negative indices
 * i name row -1-i of the second source of gather. */
#define GATHER_NONE INT32_MIN

/* Dropouts that draw apart: two a layer. */
#define DROPOUT_SITES 4096

/* Fixed parameters of a node; a shader takes the same struct as push constants. */
typedef union op_params {
    struct {
        int32_t transpose_a, transpose_b;
    } matmul;
    struct {
        int32_t kind; /* unary_kind */
        float c;
        int32_t newton; /* reciprocals without division: see graph_arithmetic */
    } unary;
    struct {
        int32_t kind; /* norm_kind */
        float epsilon;
        int32_t newton; /* no division and no root: see graph_arithmetic */
    } norm;
    struct {
        int32_t from_start; /* sum the rows that came from the second source */
        int32_t each;       /* indices for each row of dy, see scatter_each */
    } scatter;
    struct {
        int32_t inverse;
        int32_t neighbours; /* pairs are (2i, 2i+1): see rope_neighbours */
    } rope;
    struct {
        int32_t inverse;
        int32_t start; /* row 0 stands before every sequence: see shift_start */
    } shift;
    struct {
        int32_t first; /* no ring: see store_first */
    } store;
    struct {
        uint32_t threshold; /* in 2^-24: an element goes where its draw is below */
        float scale;        /* of those that stay */
        uint32_t site, first_low, first_high;
    } dropout;
    struct {
        float scale;
        int32_t slopes; /* linear biases by head: see attention_slopes */
        int32_t sinks;  /* first rows that all rows see: see attention_sinks */
    } attention;
    struct {
        int32_t end; /* the symbol that ends a stream, -1: none */
    } draw_symbol;
    struct {
        int32_t kind; /* factor_kind */
        float c;
    } factor;
    struct {
        float beta;
        int32_t nesterov;
    } momentum;
    struct {
        float multiplier;
    } descend;
} op_params;

#define NODE_MAX_INPUTS 9
#define NODE_MAX_OUTPUTS 3

/* One recorded call. Absent optional inputs are NULL. */
struct node {
    op op;
    int id; /* index in its graph: the order of running */
    int n_inputs, n_outputs;
    tensor *input[NODE_MAX_INPUTS];
    tensor *output[NODE_MAX_OUTPUTS];
    op_params params;
};

const char *op_name(op op);

/* Inputs that are i32, as bits of their index; all others are f32. */
unsigned op_integer_inputs(op op);

/* Why the op has no gradient, or NULL when it has one. */
const char *op_no_gradient(op op);

#endif
