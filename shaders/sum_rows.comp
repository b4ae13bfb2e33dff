#version 450
// y[b,C] = sum over the rows of block b of x[..,C], ascending.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint rows, columns, block, n; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const uint column = i % columns, begin = i / columns * block;
    float sum = 0.0;
    for (uint r = begin; r < min(begin + block, rows); r++)
        sum += x[r * columns + column];
    y[i] = sum;
}
