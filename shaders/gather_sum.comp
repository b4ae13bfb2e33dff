#version 450
// y[..,C] = the sum of the rows of x[N,C] that `each` indices name, in their order.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Index { int index[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n, columns, rows, each; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const uint column = i % columns, first = i / columns * each;
    float sum = 0.0;
    for (uint u = 0; u < each; u++) {
        const int row = index[first + u];
        if (row >= 0 && uint(row) < rows)
            sum += x[uint(row) * columns + column];
    }
    y[i] = sum;
}
