#version 450
// AdamW in place; hyper[8] = lr, b1, b2, eps, decay, c1, c2.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(std430, binding = 0) buffer W { float w[]; };
layout(std430, binding = 1) readonly buffer Gradient { float gradient[]; };
layout(std430, binding = 2) buffer M { float m[]; };
layout(std430, binding = 3) buffer V { float v[]; };
layout(std430, binding = 4) readonly buffer Factor { float factor[]; };
layout(std430, binding = 5) readonly buffer Hyper { float hyper[]; };
layout(push_constant) uniform Push { uint n; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const float b1 = hyper[1], b2 = hyper[2], g = gradient[i] * factor[0];
    const float mean = b1 * m[i] + (1.0 - b1) * g;
    const float square = b2 * v[i] + (1.0 - b2) * (g * g);
    m[i] = mean;
    v[i] = square;
    w[i] = w[i] * (1.0 - hyper[0] * hyper[4]) -
           (hyper[0] / hyper[5] * mean) / (sqrt(square / hyper[6]) + hyper[3]);
}
