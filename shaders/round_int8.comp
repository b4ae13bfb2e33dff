#version 450
// Rows of D floats become rows of integers and their scale: with PACKED four to a word, then the scale,
// else D floats that are integers, then the scale. With RING row t < count of x[B,T,G,D] goes to row
// (pos + t) mod R of its slot of a state [S,R,G,D+1], with FIRST only if pos + t < R. A workgroup a row.
#extension GL_GOOGLE_include_directive : enable
#define LANES 64
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "exact.glsl"
#include "int8.glsl"
layout(constant_id = 0) const uint PACKED = 0;
layout(constant_id = 1) const uint RING = 0;
layout(constant_id = 2) const uint FIRST = 0;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) writeonly buffer Rows { uint to[]; };
layout(std430, binding = 2) readonly buffer Slot { int slot[]; };
layout(std430, binding = 3) readonly buffer Pos { int pos[]; };
layout(std430, binding = 4) readonly buffer Count { int count[]; };
layout(push_constant) uniform Push { uint rows, size, time, heads, slots, ring; };

shared uint largest[LANES];

// Where a row goes, or -1: see store.comp.
int place_of(uint row) {
    if (RING == 0)
        return int(row);
    const uint g = row % heads, b = row / heads / time;
    const int t = int(row / heads % time), s = slot[b], p = pos[b];
    const int end = min(count[b], int(time)), begin = FIRST != 0 ? 0 : end - int(ring);
    if (t >= end || t < begin || s < 0 || s >= int(slots) || p < 0 || (FIRST != 0 && p + t >= int(ring)))
        return -1;
    return int((uint(s) * ring + uint(p + t) % ring) * heads + g);
}

// The largest |x_i| as bits, by which NaN is larger than all.
uint most_of(uint at, uint lane) {
    uint most = 0;
    for (uint i = lane; i < size; i += LANES)
        most = max(most, floatBitsToUint(x[at + i]) & 0x7fffffffu);
    largest[lane] = most;
    barrier();
    for (uint half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
        if (lane < half_lanes)
            largest[lane] = max(largest[lane], largest[lane + half_lanes]);
        barrier();
    }
    return largest[0];
}

void main() {
    const uint row = group(), lane = gl_LocalInvocationID.x, at = row * size;
    if (row >= rows)
        return;
    const int place = place_of(row);
    if (place < 0)
        return;
    float inverse;
    const float scale = scale_of(most_of(at, lane), inverse);
    const uint words = PACKED != 0 ? (size + 3) / 4 : size, begin = uint(place) * (words + 1);
    for (uint i = lane; i < words; i += LANES) {
        uint word = 0;
        for (uint k = 4 * i; k < min(4 * i + 4, size) && PACKED != 0 && inverse != 0.0; k++)
            word |= (uint(rounded(x[at + k], inverse)) & 255) << 8 * (k % 4);
        if (PACKED == 0)
            word = floatBitsToUint(inverse != 0.0 ? float(rounded(x[at + i], inverse)) : 0.0);
        to[begin + i] = word;
    }
    if (lane == 0)
        to[begin + words] = floatBitsToUint(scale);
}
