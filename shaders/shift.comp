#version 450
// The token shift of x[B,T,C]: the upper channels come from the row before (inverse: after) it in its
// sequence; with START from row 0 where there is none, to which the inverse adds what it gave.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(constant_id = 0) const uint INVERSE = 0;
layout(constant_id = 1) const uint START = 0;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer First { int first[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n, rows, columns; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const uint column = i % columns, row = i / columns, t = row % rows;
    if (column < columns - columns / 2) {
        y[i] = x[i];
        return;
    }
    float v = 0.0;
    if (INVERSE != 0) {
        if (t + 1 < rows && first[row + 1] <= int(t))
            v = x[i + columns];
        for (uint k = 1; START != 0 && t == 0 && k < rows; k++)
            if (first[row + k] >= int(k))
                v += x[i + k * columns];
    } else if (t > 0) {
        if (first[row] < int(t))
            v = x[i - columns];
        else if (START != 0)
            v = x[i - t * columns];
    }
    y[i] = v;
}
