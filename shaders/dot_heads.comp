#version 450
// partial[b,H] = sum over the rows of block b and D of a[..,H,D] b[..,H,D]: a workgroup a block and head.
#extension GL_GOOGLE_include_directive : enable
#define LANES 64
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "reduce.glsl"
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 2) writeonly buffer Partial { float partial[]; };
layout(push_constant) uniform Push { uint rows, heads, size, block, n; };

void main() {
    const uint unit = group();
    if (unit >= n)
        return;
    const uint head = unit % heads, begin = unit / heads * block;
    float sum = 0.0;
    for (uint r = begin; r < min(begin + block, rows); r++)
        for (uint i = gl_LocalInvocationID.x; i < size; i += LANES) {
            const uint at = (r * heads + head) * size + i;
            sum += a[at] * b[at];
        }
    sum = sum_over_group(sum);
    if (gl_LocalInvocationID.x == 0)
        partial[unit] = sum;
}
