#version 450
// range[n,2]: the first index that names output row n, and one past the last; with CLEAR none. Minima
// and maxima of integers are the same in any order.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
#include "scatter.glsl"
layout(constant_id = 0) const uint CLEAR = 0;
layout(std430, binding = 0) readonly buffer Index { int index[]; };
layout(std430, binding = 1) buffer Range { uint range[]; };
layout(push_constant) uniform Push { uint n, rows, from_start; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    if (CLEAR != 0) {
        range[2 * i] = 0xffffffffu;
        range[2 * i + 1] = 0;
        return;
    }
    const int row = target_of(index[i], from_start, rows);
    if (row >= 0) {
        atomicMin(range[2 * row], i);
        atomicMax(range[2 * row + 1], i + 1);
    }
}
