#version 450
// m = beta m + (1 - beta) g in place; u = m, or with NESTEROV (1 - beta) g + beta m.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(constant_id = 0) const uint NESTEROV = 0;
layout(std430, binding = 0) buffer M { float m[]; };
layout(std430, binding = 1) readonly buffer Gradient { float gradient[]; };
layout(std430, binding = 2) readonly buffer Factor { float factor[]; };
layout(std430, binding = 3) readonly buffer Hyper { float hyper[]; };
layout(std430, binding = 4) writeonly buffer U { float u[]; };
layout(push_constant) uniform Push { uint n; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const float beta = hyper[1], g = (1.0 - beta) * (gradient[i] * factor[0]);
    const float mean = beta * m[i] + g;
    m[i] = mean;
    u[i] = NESTEROV != 0 ? g + beta * mean : mean;
}
