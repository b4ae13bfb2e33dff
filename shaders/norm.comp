#version 450
// y[..,C] = norm(x) gain + bias: a workgroup a row. NEWTON: the arithmetic of integers, with the host's bits:
// sums in 16 lanes, no division and no root.
#extension GL_GOOGLE_include_directive : enable
#define LANES 64
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "exact.glsl"
#include "reduce.glsl"
layout(constant_id = 0) const uint LAYER = 0;
layout(constant_id = 1) const uint HAS_GAIN = 0;
layout(constant_id = 2) const uint HAS_BIAS = 0;
layout(constant_id = 3) const uint NEWTON = 0;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Gain { float gain[]; };
layout(std430, binding = 2) readonly buffer Bias { float bias[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint rows, columns; float epsilon, inverse_columns; };

float mean_of(float sum) {
    precise float mean = sum * inverse_columns;
    return NEWTON != 0 ? mean : sum / float(columns);
}

void main() {
    const uint row = group(), lane = gl_LocalInvocationID.x;
    if (row >= rows)
        return;
    const uint at = row * columns, lanes_used = NEWTON != 0 ? 16 : LANES;
    const uint begin = lane < lanes_used ? lane : columns;
    precise float sum = 0.0;
    float mean = 0.0;
    if (LAYER != 0) {
        for (uint i = begin; i < columns; i += lanes_used)
            sum += x[at + i];
        mean = mean_of(sum_over_group(sum));
    }
    sum = 0.0;
    for (uint i = begin; i < columns; i += lanes_used) {
        precise float d = x[at + i] - mean;
        sum += d * d;
    }
    precise float variance = mean_of(sum_over_group(sum)) + epsilon;
    const float inverse = NEWTON != 0 ? exact_reciprocal_root(variance) : 1.0 / sqrt(variance);
    for (uint i = lane; i < columns; i += LANES) {
        precise float v = (x[at + i] - mean) * inverse;
        if (HAS_GAIN != 0)
            v *= gain[i];
        if (HAS_BIAS != 0)
            v += bias[i];
        y[at + i] = v;
    }
}
