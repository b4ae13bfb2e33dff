#version 450
// The token shift of new rows x[B,T,C]: the row before is read from the ring state[S,R,1,C], with START the
// row 0 of a sequence from begin[S,R',1,C].
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(constant_id = 0) const uint START = 0;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer State { float state[]; };
layout(std430, binding = 2) readonly buffer Slot { int slot[]; };
layout(std430, binding = 3) readonly buffer Pos { int pos[]; };
layout(std430, binding = 4) readonly buffer Count { int count[]; };
layout(std430, binding = 5) readonly buffer First { int first[]; };
layout(std430, binding = 6) readonly buffer Begin { float begin[]; };
layout(std430, binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n, rows, columns, slots, ring, begin_ring; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const uint column = i % columns, row = i / columns, b = row / rows;
    const int t = int(row % rows), s = slot[b], p = pos[b] + t;
    if (t >= count[b] || s < 0 || s >= int(slots) || pos[b] < 0) {
        y[i] = 0.0;
        return;
    }
    float v = 0.0;
    if (column < columns - columns / 2)
        v = x[i];
    else if (p > 0 && first[row] < p)
        v = state[(uint(s) * ring + uint(p - 1) % ring) * columns + column];
    else if (p > 0 && START != 0)
        v = begin[uint(s) * begin_ring * columns + column];
    y[i] = v;
}
