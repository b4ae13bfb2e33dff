#version 450
// Writes row t < count of x[B,T,..] to row (pos + t) mod R of its slot of state[S,R,..]; with FIRST only the
// rows pos + t < R. Of rows that would fall on one another the last stays.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(constant_id = 0) const uint FIRST = 0;
layout(std430, binding = 0) buffer State { float state[]; };
layout(std430, binding = 1) readonly buffer X { float x[]; };
layout(std430, binding = 2) readonly buffer Slot { int slot[]; };
layout(std430, binding = 3) readonly buffer Pos { int pos[]; };
layout(std430, binding = 4) readonly buffer Count { int count[]; };
layout(push_constant) uniform Push { uint n, rows, width, slots, ring; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const uint row = i / width, b = row / rows;
    const int t = int(row % rows), s = slot[b], p = pos[b];
    const int end = min(count[b], int(rows)), begin = FIRST != 0 ? 0 : end - int(ring);
    if (t >= end || t < begin || s < 0 || s >= int(slots) || p < 0)
        return;
    if (FIRST != 0 && p + t >= int(ring))
        return;
    state[(uint(s) * ring + uint(p + t) % ring) * width + i % width] = x[i];
}
