#version 450
// partial[b,C] = sum over the rows of block b of norm(x) dy: the first half of dgain.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer DY { float dy[]; };
layout(std430, binding = 2) readonly buffer Stats { float stats[]; };
layout(std430, binding = 3) writeonly buffer Partial { float partial[]; };
layout(push_constant) uniform Push { uint rows, columns, block, n; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const uint column = i % columns, begin = i / columns * block;
    float sum = 0.0;
    for (uint r = begin; r < min(begin + block, rows); r++) {
        const uint at = r * columns + column;
        sum += ((x[at] - stats[2 * r]) * stats[2 * r + 1]) * dy[at];
    }
    partial[i] = sum;
}
