#version 450
// w = w (1 - lr decay) - lr multiplier x in place; hyper[8] = lr, .., .., .., decay.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(std430, binding = 0) buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer X { float x[]; };
layout(std430, binding = 2) readonly buffer Hyper { float hyper[]; };
layout(push_constant) uniform Push { uint n; float multiplier; };

void main() {
    const uint i = element();
    if (i < n)
        w[i] = w[i] * (1.0 - hyper[0] * hyper[4]) - hyper[0] * multiplier * x[i];
}
