#version 450
// dq of attention, with the scores made again from lse: p = exp(s - lse), ds = p (do v - delta),
// dq = scale sum over keys of ds k.
#extension GL_GOOGLE_include_directive : enable
#extension GL_EXT_control_flow_attributes : enable
#include "exact.glsl"
#include "attention.glsl"
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 1) readonly buffer Keys { float keys[]; };
layout(std430, binding = 2) readonly buffer Values { float values[]; };
layout(std430, binding = 3) readonly buffer First { int first[]; };
layout(std430, binding = 4) readonly buffer Lse { float lse[]; };
layout(std430, binding = 5) readonly buffer DO { float d_o[]; };
layout(std430, binding = 6) readonly buffer Delta { float delta[]; };
layout(std430, binding = 7) writeonly buffer DQ { float dq[]; };

shared int low[OWN], high[OWN], sink_end[OWN];
shared float q_rows[OWN * WIDE], do_rows[OWN * WIDE];
shared float k_tile[TILE * WIDE], v_tile[TILE * WIDE];
shared float ds[OWN * WIDE];

uint b, g, block, lane, own, across, n_rows;
float slope;
float sum[SLICES * 4];

void load(int key0, uint d0) {
    for (uint i = lane; i < TILE * 32; i += 128) {
        const uint d = d0 + i % 32, j = uint(key0) + i / 32;
        const bool inside = j < time && d < size;
        const uint at = ((b * time + j) * key_heads + g) * size + d;
        k_tile[i / 32 * WIDE + i % 32] = inside ? keys[at] : 0.0;
        v_tile[i / 32 * WIDE + i % 32] = inside ? values[at] : 0.0;
    }
    for (uint i = lane; i < OWN * 32; i += 128) {
        const uint n = block * OWN + i / 32, d = d0 + i % 32;
        const bool inside = n < n_rows && d < size;
        const uint at = row_at(b, g, n) * size + d;
        q_rows[i / 32 * WIDE + i % 32] = inside ? q[at] : 0.0;
        do_rows[i / 32 * WIDE + i % 32] = inside ? d_o[at] : 0.0;
    }
}

void add_tile(int key0, uint n, float row_lse, float row_delta) {
    float score[4], dp[4];
    [[unroll]] for (uint j = 0; j < 4; j++)
        score[j] = dp[j] = 0.0;
    for (uint d0 = 0; d0 < size; d0 += 32) {
        load(key0, d0);
        barrier();
        for (uint d = 0; d < min(32, size - d0); d++) {
            const float x = q_rows[own * WIDE + d], y = do_rows[own * WIDE + d];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                score[j] = fma(x, k_tile[(across + 8 * j) * WIDE + d], score[j]);
                dp[j] = fma(y, v_tile[(across + 8 * j) * WIDE + d], dp[j]);
            }
        }
        barrier();
    }
    const int t = int(n / repeat());
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const uint k = across + 8 * j;
        const int key = key0 + int(k);
        const bool seen = (key >= low[own] && key < high[own]) || key < sink_end[own];
        ds[own * WIDE + k] =
            seen ? exact_exp(biased(score[j], slope, t - key0, k) - row_lse) * (dp[j] - row_delta) : 0.0;
    }
    barrier();
    [[unroll]] for (uint s = 0; s < SLICES; s++) {
        load(key0, s * 32);
        barrier();
        float x[4];
        [[unroll]] for (uint c = 0; c < 4; c++)
            x[c] = sum[s * 4 + c];
        for (uint k = 0; k < min(TILE, time - uint(key0)); k++)
            [[unroll]] for (uint c = 0; c < 4; c++)
                x[c] = fma(ds[own * WIDE + k], k_tile[k * WIDE + across + 8 * c], x[c]);
        [[unroll]] for (uint c = 0; c < 4; c++)
            sum[s * 4 + c] = x[c];
        barrier();
    }
}

void main() {
    block = gl_WorkGroupID.x;
    b = gl_WorkGroupID.y / key_heads;
    g = gl_WorkGroupID.y % key_heads;
    lane = gl_LocalInvocationID.x;
    own = lane / ACROSS;
    across = lane % ACROSS;
    n_rows = time * repeat();
    const uint n = block * OWN + own, t = n / repeat();
    const bool exists = n < n_rows;
    slope = slopes != 0 ? slope_of(g * repeat() + n % repeat()) : 0.0;
    [[unroll]] for (uint i = 0; i < SLICES * 4; i++)
        sum[i] = 0.0;
    if (across == 0) {
        const int from = exists ? max(first[b * time + t], 0) : 0, to = exists ? int(t) + 1 : 0;
        low[own] = from < to ? from : 0;
        high[own] = from < to ? to : 0;
        sink_end[own] = from < to ? min(from, int(sinks)) : 0;
    }
    barrier();
    int from = 0x7fffffff, to = 0, sink_to = 0;
    for (uint i = 0; i < OWN; i++) {
        if (low[i] < high[i])
            from = min(from, low[i]);
        to = max(to, high[i]);
        sink_to = max(sink_to, sink_end[i]);
    }
    const float row_lse = exists ? lse[row_at(b, g, n)] : 0.0;
    const float row_delta = exists ? delta[row_at(b, g, n)] : 0.0;
    for (int key0 = 0; key0 < to; key0 += TILE)
        if (key0 + TILE > from || key0 < sink_to)
            add_tile(key0, n, row_lse, row_delta);
    if (!exists)
        return;
    [[unroll]] for (uint i = 0; i < SLICES * 4; i++) {
        const uint d = i / 4 * 32 + across + 8 * (i % 4);
        if (d < size)
            dq[row_at(b, g, n) * size + d] = sum[i] * scale;
    }
}
