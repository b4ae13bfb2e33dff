#version 450
// y[i] = a[i] + b[j] or a[i] * b[j] with j = (i / inner) mod period: add and mul (period: all), add_row
// (inner 1, period C), scale_heads (inner D, period H), mul_scalar (period 1).
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(constant_id = 0) const uint MULTIPLY = 0;
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n, inner, period; };

void main() {
    const uint i = element();
    if (i >= n)
        return;
    const uint j = i / inner % period;
    y[i] = MULTIPLY != 0 ? a[i] * b[j] : a[i] + b[j];
}
