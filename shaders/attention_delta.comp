#version 450
// delta[..] = sum over D of do o, an invocation a row of [B,T,H].
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 64) in;
#include "common.glsl"
layout(std430, binding = 0) readonly buffer O { float o[]; };
layout(std430, binding = 1) readonly buffer DO { float d_o[]; };
layout(std430, binding = 2) writeonly buffer Delta { float delta[]; };
layout(push_constant) uniform Push { uint n, size; };

void main() {
    const uint row = element();
    if (row >= n)
        return;
    float sum = 0.0;
    for (uint i = 0; i < size; i++)
        sum = fma(d_o[row * size + i], o[row * size + i], sum);
    delta[row] = sum;
}
