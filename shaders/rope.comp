#version 450
// Rotary positions: pairs (i, i + D/2) of every head, or with NEIGHBOURS (2i, 2i+1), turned by
// table[B,T,D] = cos[D/2], sin[D/2]. An invocation a pair.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(constant_id = 0) const uint NEIGHBOURS = 0;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Table { float table[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n, heads, half_size; float sign_of_sine; };

void main() {
    const uint pair = element();
    if (pair >= n)
        return;
    const uint i = pair % half_size, head_row = pair / half_size;
    const uint angle = head_row / heads * 2 * half_size, at = head_row * 2 * half_size;
    const uint first = at + (NEIGHBOURS != 0 ? 2 * i : i);
    const uint second = NEIGHBOURS != 0 ? first + 1 : first + half_size;
    const float c = table[angle + i], s = sign_of_sine * table[angle + half_size + i];
    const float u = x[first], v = x[second];
    precise float p = u * c - v * s, r = u * s + v * c;
    y[first] = p;
    y[second] = r;
}
