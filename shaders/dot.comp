#version 450
// y[g] = sum over block g of a[i] b[i], or with PLAIN of a[i]: a workgroup a block.
#extension GL_GOOGLE_include_directive : enable
#define LANES 256
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "reduce.glsl"
layout(constant_id = 0) const uint PLAIN = 0;
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n, block; };

void main() {
    const uint begin = group() * block;
    const uint end = min(begin + block, n);
    float sum = 0.0;
    for (uint i = begin + gl_LocalInvocationID.x; i < end; i += LANES)
        sum += PLAIN != 0 ? a[i] : a[i] * b[i];
    sum = sum_over_group(sum);
    if (gl_LocalInvocationID.x == 0)
        y[group()] = sum;
}
