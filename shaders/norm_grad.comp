#version 450
// dx of norm, a workgroup a row, and the row's mean and 1 / deviation for norm_grad_gain.
// With d = x - mean, g = dy gain, r = 1 / deviation: dx = r (g - mean(g) - d r^2 mean(g d)), mean(g) only
// where a mean is subtracted.
#extension GL_GOOGLE_include_directive : enable
#define LANES 64
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "reduce.glsl"
layout(constant_id = 0) const uint LAYER = 0;
layout(constant_id = 1) const uint HAS_GAIN = 0;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Gain { float gain[]; };
layout(std430, binding = 2) readonly buffer DY { float dy[]; };
layout(std430, binding = 3) writeonly buffer DX { float dx[]; };
layout(std430, binding = 4) writeonly buffer Stats { float stats[]; }; // [rows,2]
layout(push_constant) uniform Push { uint rows, columns; float epsilon; };

float g_of(uint at, uint i) {
    return HAS_GAIN != 0 ? dy[at + i] * gain[i] : dy[at + i];
}

void main() {
    const uint row = group(), lane = gl_LocalInvocationID.x;
    if (row >= rows)
        return;
    const uint at = row * columns;
    const float n = float(columns);
    float sum = 0.0, mean = 0.0, mean_g = 0.0;
    if (LAYER != 0) {
        for (uint i = lane; i < columns; i += LANES)
            sum += x[at + i];
        mean = sum_over_group(sum) / n;
        sum = 0.0;
        for (uint i = lane; i < columns; i += LANES)
            sum += g_of(at, i);
        mean_g = sum_over_group(sum) / n;
    }
    sum = 0.0;
    for (uint i = lane; i < columns; i += LANES)
        sum += (x[at + i] - mean) * (x[at + i] - mean);
    const float inverse = 1.0 / sqrt(sum_over_group(sum) / n + epsilon);
    sum = 0.0;
    for (uint i = lane; i < columns; i += LANES)
        sum += g_of(at, i) * (x[at + i] - mean);
    const float k = sum_over_group(sum) / n * (inverse * inverse);
    for (uint i = lane; i < columns; i += LANES)
        dx[at + i] = ((g_of(at, i) - mean_g) - (x[at + i] - mean) * k) * inverse;
    if (lane == 0) {
        stats[2 * row] = mean;
        stats[2 * row + 1] = inverse;
    }
}
