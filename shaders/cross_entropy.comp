#version 450
// nll[..] = -log softmax(logits[..,V])[target]: a workgroup a row; 0 where there is no target.
#extension GL_GOOGLE_include_directive : enable
#define LANES 64
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "exact.glsl"
#include "reduce.glsl"
layout(std430, binding = 0) readonly buffer Logits { float logits[]; };
layout(std430, binding = 1) readonly buffer Target { int targets[]; };
layout(std430, binding = 2) writeonly buffer Nll { float nll[]; };
layout(push_constant) uniform Push { uint rows, columns; };

void main() {
    const uint row = group(), lane = gl_LocalInvocationID.x;
    if (row >= rows)
        return;
    const uint at = row * columns;
    const int target = targets[row];
    if (target < 0 || uint(target) >= columns) {
        if (lane == 0)
            nll[row] = 0.0;
        return;
    }
    float most = logits[at];
    for (uint i = lane; i < columns; i += LANES)
        most = max(most, logits[at + i]);
    most = max_over_group(most);
    float sum = 0.0;
    for (uint i = lane; i < columns; i += LANES)
        sum += exact_exp(logits[at + i] - most);
    sum = sum_over_group(sum);
    if (lane == 0)
        nll[row] = exact_log(sum) + (most - logits[at + uint(target)]);
}
