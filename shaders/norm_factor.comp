#version 450
// y[1] from s[1] = a sum of squares: 1 / (sqrt(s) + c), or with CLIP min(1, c / (sqrt(s) + 1e-6)).
layout(local_size_x = 1) in;
layout(constant_id = 0) const uint CLIP = 0;
layout(std430, binding = 0) readonly buffer S { float s[]; };
layout(std430, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { float c; };

void main() {
    const float root = sqrt(s[0]), factor = c / (root + 1e-6);
    if (CLIP != 0)
        y[0] = factor > 1.0 ? 1.0 : factor; // a NaN stays one
    else
        y[0] = 1.0 / (root + c);
}
