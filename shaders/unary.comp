#version 450
// y = f(x), or with GRADIENT y = f'(x) dy. KIND is a unary_kind. NEWTON: without division, with the host's
// bits.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
#include "exact.glsl"
layout(constant_id = 0) const uint KIND = 0;
layout(constant_id = 1) const uint GRADIENT = 0;
layout(constant_id = 2) const uint NEWTON = 0;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer DY { float dy[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n; float c, inverse_c; };

const uint SCALE = 0, RELU = 1, RELU2 = 2, GELU = 3, GELU_TANH = 4, SILU = 5, SIGMOID = 6, TANH = 7,
           SOFTCAP = 8, LEAKY_RELU2 = 9;

float gelu_argument(float v) {
    precise float y = 0.797884561 * (v + 0.044715 * ((v * v) * v));
    return y;
}

float normal(float v) {
    return 0.5 * (1.0 + exact_erf(v * 0.707106781));
}

float tanh_of(float v) {
    return NEWTON != 0 ? exact_tanh_newton(v) : exact_tanh(v);
}

float sigmoid_of(float v) {
    return NEWTON != 0 ? exact_sigmoid_newton(v) : exact_sigmoid(v);
}

float value(float v) {
    switch (KIND) {
    case SCALE:
        return v * c;
    case RELU:
        return max(v, 0.0);
    case RELU2:
        return max(v, 0.0) * max(v, 0.0);
    case GELU:
        return v * normal(v);
    case GELU_TANH:
        return (0.5 * v) * (1.0 + tanh_of(gelu_argument(v)));
    case SILU:
        return v * sigmoid_of(v);
    case SIGMOID:
        return sigmoid_of(v);
    case TANH:
        return tanh_of(v);
    case SOFTCAP:
        return c * tanh_of(NEWTON != 0 ? v * inverse_c : v / c);
    default:
        return max(v, 0.5 * v) * max(v, 0.5 * v);
    }
}

float slope(float v) {
    float s;
    switch (KIND) {
    case SCALE:
        return c;
    case RELU:
        return v > 0.0 ? 1.0 : 0.0;
    case RELU2:
        return 2.0 * max(v, 0.0);
    case GELU:
        return normal(v) + v * (0.398942280 * exact_exp(-0.5 * (v * v)));
    case GELU_TANH:
        s = exact_tanh(gelu_argument(v));
        return 0.5 * (1.0 + s) + (0.5 * v) * (((1.0 - s) * (1.0 + s)) *
                                              (0.797884561 * (1.0 + 0.134145 * (v * v))));
    case SILU:
        s = exact_sigmoid(v);
        return s * (1.0 + v * (1.0 - s));
    case SIGMOID:
        s = exact_sigmoid(v);
        return s * (1.0 - s);
    case TANH:
        s = exact_tanh(v);
        return (1.0 - s) * (1.0 + s);
    case SOFTCAP:
        s = exact_tanh(v / c);
        return (1.0 - s) * (1.0 + s);
    default:
        return v > 0.0 ? 2.0 * v : 0.5 * v;
    }
}

void main() {
    const uint i = element();
    if (i >= n)
        return;
    y[i] = GRADIENT != 0 ? slope(x[i]) * dy[i] : value(x[i]);
}
