#version 450
// Dropout: element e of the batch draws word e mod 4 of philox(seed, dropout, step, site 2^52 + e / 4)
// (Salmon et al. 2011; base/philox.h), and becomes 0 where its upper 24 bits are below the threshold.
#extension GL_GOOGLE_include_directive : enable
layout(local_size_x = 256) in;
#include "common.glsl"
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) readonly buffer Key { uint key[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n, threshold, site, first_low, first_high; float scale; };

uvec4 philox(uvec4 counter, uvec2 k) {
    for (uint round_number = 0; round_number < 10; round_number++) {
        uint high0, low0, high1, low1;
        umulExtended(0xD2511F53u, counter.x, high0, low0);
        umulExtended(0xCD9E8D57u, counter.z, high1, low1);
        counter = uvec4(high1 ^ counter.y ^ k.x, low1, high0 ^ counter.w ^ k.y, low0);
        k += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

void main() {
    const uint i = element();
    if (i >= n)
        return;
    uint carry;
    const uint low = uaddCarry(first_low, i, carry), high = first_high + carry;
    const uvec4 words = philox(uvec4(low >> 2 | high << 30, high >> 2 | site << 20, key[2], 4u),
                               uvec2(key[0], key[1]));
    y[i] = words[low & 3] >> 8 < threshold ? 0.0 : x[i] * scale;
}
