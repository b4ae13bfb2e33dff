#version 450
// m = m + weight (w - m) in place.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(std430, binding = 0) buffer M { float m[]; };
layout(std430, binding = 1) readonly buffer W { float w[]; };
layout(std430, binding = 2) readonly buffer Weight { float weight[]; };
layout(push_constant) uniform Push { uint n; };

void main() {
    const uint i = element();
    if (i < n)
        m[i] += weight[0] * (w[i] - m[i]);
}
