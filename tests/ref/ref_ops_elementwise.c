/* ref_ops_elementwise.c: ops whose output element hangs on one element of each input, in double. */
#include <math.h>

#include "base/philox.h"
#include "ref_ops.h"

#define SQRT_2 1.41421356237309504880
#define SQRT_2_OVER_PI 0.79788456080286535588
#define SQRT_2_PI 2.50662827463100050242

void ref_add(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->output[0]);
    for (int64_t i = 0; i < n; i++) {
        c->out[0][i] = c->in[0][i] + c->in[1][i];
    }
}

void ref_mul(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->output[0]);
    for (int64_t i = 0; i < n; i++) {
        c->out[0][i] = c->in[0][i] * c->in[1][i];
    }
}

void ref_add_row(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->output[0]);
    const int64_t C = tensor_columns(c->node->output[0]);
    for (int64_t i = 0; i < n; i++) {
        c->out[0][i] = c->in[0][i] + c->in[1][i % C];
    }
}

/* y[..,H,D] = x[..,H,D] * s[H]. */
void ref_scale_heads(const ref_call *c) {
    const tensor *x = c->node->input[0];
    const int64_t n = tensor_elements(x), D = tensor_columns(x), H = x->dim[x->rank - 2];
    for (int64_t i = 0; i < n; i++) {
        c->out[0][i] = c->in[0][i] * c->in[1][i / D % H];
    }
}

void ref_mul_scalar(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->output[0]);
    for (int64_t i = 0; i < n; i++) {
        c->out[0][i] = c->in[0][i] * c->in[1][0];
    }
}

void ref_norm_factor(const ref_call *c) {
    const double root = sqrt(c->in[0][0]), k = c->node->params.factor.c;
    if (c->node->params.factor.kind == FACTOR_INVERSE) {
        c->out[0][0] = 1 / (root + k);
    } else {
        c->out[0][0] = fmin(1, k / (root + 1e-6));
    }
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double unary_value(unary_kind kind, double x, double c) {
    switch (kind) {
    case UNARY_SCALE:
        return c * x;
    case UNARY_RELU:
        return fmax(x, 0);
    case UNARY_RELU2:
        return fmax(x, 0) * fmax(x, 0);
    case UNARY_GELU:
        return x * erfc(-x / SQRT_2) / 2;
    case UNARY_GELU_TANH:
        return x * (1 + tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))) / 2;
    case UNARY_SILU:
        return x * sigmoid(x);
    case UNARY_SIGMOID:
        return sigmoid(x);
    case UNARY_TANH:
        return tanh(x);
    case UNARY_SOFTCAP:
        return c * tanh(x / c);
    case UNARY_LEAKY_RELU2:
        return fmax(x, x / 2) * fmax(x, x / 2);
    default:
        return NAN;
    }
}

static double unary_slope(unary_kind kind, double x, double c) {
    switch (kind) {
    case UNARY_SCALE:
        return c;
    case UNARY_RELU:
        return x > 0;
    case UNARY_RELU2:
        return 2 * fmax(x, 0);
    case UNARY_GELU:
        return erfc(-x / SQRT_2) / 2 + x * exp(-x * x / 2) / SQRT_2_PI;
    case UNARY_GELU_TANH: {
        const double t = tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x));
        return (1 + t) / 2 + x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x) / 2;
    }
    case UNARY_SILU:
        return sigmoid(x) + x * sigmoid(x) * sigmoid(-x);
    case UNARY_SIGMOID:
        return sigmoid(x) * sigmoid(-x);
    case UNARY_TANH:
        return 1 - tanh(x) * tanh(x);
    case UNARY_SOFTCAP:
        return 1 - tanh(x / c) * tanh(x / c);
    case UNARY_LEAKY_RELU2:
        return x > 0 ? 2 * x : x / 2;
    default:
        return NAN;
    }
}

void ref_unary(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->output[0]);
    const unary_kind kind = (unary_kind)c->node->params.unary.kind;
    for (int64_t i = 0; i < n; i++) {
        c->out[0][i] = unary_value(kind, c->in[0][i], c->node->params.unary.c);
    }
}

void ref_unary_grad(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->output[0]);
    const unary_kind kind = (unary_kind)c->node->params.unary.kind;
    for (int64_t i = 0; i < n; i++) {
        c->out[0][i] = unary_slope(kind, c->in[0][i], c->node->params.unary.c) * c->in[1][i];
    }
}

/* x, key[3] = the seed's low and high half and the step. */
void ref_dropout(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->output[0]);
    const op_params *p = &c->node->params;
    const uint32_t low = (uint32_t)(int32_t)c->in[1][0], high = (uint32_t)(int32_t)c->in[1][1];
    const uint64_t first = (uint64_t)p->dropout.first_high << 32 | p->dropout.first_low;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t e = first + (uint64_t)i;
        uint32_t words[4];
        philox(words, (uint64_t)high << 32 | low, PHILOX_DROPOUT, (uint32_t)(int32_t)c->in[1][2],
               ((uint64_t)p->dropout.site << 52) + e / 4);
        const int stays = words[e % 4] >> 8 >= p->dropout.threshold;
        c->out[0][i] = stays ? c->in[0][i] / (1 - p->dropout.threshold * 0x1p-24) : 0;
    }
}
