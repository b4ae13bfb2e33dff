#version 450
// y[..,C] = norm(x) gain + bias: a workgroup a row. KIND is a norm_kind.
#extension GL_GOOGLE_include_directive : enable
#define LANES 64
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "reduce.glsl"
layout(constant_id = 0) const uint LAYER = 0;
layout(constant_id = 1) const uint HAS_GAIN = 0;
layout(constant_id = 2) const uint HAS_BIAS = 0;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Gain { float gain[]; };
layout(std430, binding = 2) readonly buffer Bias { float bias[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint rows, columns; float epsilon; };

void main() {
    const uint row = group(), lane = gl_LocalInvocationID.x;
    if (row >= rows)
        return;
    const uint at = row * columns;
    float sum = 0.0, mean = 0.0;
    if (LAYER != 0) {
        for (uint i = lane; i < columns; i += LANES)
            sum += x[at + i];
        mean = sum_over_group(sum) / float(columns);
    }
    sum = 0.0;
    for (uint i = lane; i < columns; i += LANES)
        sum += (x[at + i] - mean) * (x[at + i] - mean);
    const float variance = sum_over_group(sum) / float(columns);
    const float inverse = 1.0 / sqrt(variance + epsilon);
    for (uint i = lane; i < columns; i += LANES) {
        float v = (x[at + i] - mean) * inverse;
        if (HAS_GAIN != 0)
            v *= gain[i];
        if (HAS_BIAS != 0)
            v += bias[i];
        y[at + i] = v;
    }
}
