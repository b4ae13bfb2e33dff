#version 450
// dlogits = (softmax(logits) - onehot(target)) dnll: a workgroup a row; 0 where there is no target.
#extension GL_GOOGLE_include_directive : enable
#define LANES 64
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "exact.glsl"
#include "reduce.glsl"
layout(std430, binding = 0) readonly buffer Logits { float logits[]; };
layout(std430, binding = 1) readonly buffer Target { int targets[]; };
layout(std430, binding = 2) readonly buffer DNll { float dnll[]; };
layout(std430, binding = 3) writeonly buffer DLogits { float dlogits[]; };
layout(push_constant) uniform Push { uint rows, columns; };

void main() {
    const uint row = group(), lane = gl_LocalInvocationID.x;
    if (row >= rows)
        return;
    const uint at = row * columns;
    const int target = targets[row];
    const bool has_target = target >= 0 && uint(target) < columns;
    float most = logits[at];
    for (uint i = lane; i < columns; i += LANES)
        most = max(most, logits[at + i]);
    most = max_over_group(most);
    float sum = 0.0;
    for (uint i = lane; i < columns; i += LANES)
        sum += exact_exp(logits[at + i] - most);
    const float inverse = 1.0 / sum_over_group(sum);
    for (uint i = lane; i < columns; i += LANES) {
        const float p = exact_exp(logits[at + i] - most) * inverse;
        dlogits[at + i] = has_target ? (int(i) == target ? p - 1.0 : p) * dnll[row] : 0.0;
    }
}
