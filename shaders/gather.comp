#version 450
// y[..,C]: row index[r] of x[N,C]; of start[S,C] where it is negative; zeros where neither has it.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Start { float start[]; };
layout(std430, binding = 2) readonly buffer Index { int index[]; };
layout(std430, binding = 3) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n, columns, rows, starts; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const uint column = i % columns;
    const int row = index[i / columns];
    float v = 0.0;
    if (row >= 0 && uint(row) < rows)
        v = x[uint(row) * columns + column];
    else if (row < 0 && uint(-1 - row) < starts)
        v = start[uint(-1 - row) * columns + column];
    y[i] = v;
}
