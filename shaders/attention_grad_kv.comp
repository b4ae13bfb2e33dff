#version 450
// dk and dv of attention: a workgroup owns 16 keys and walks the rows that may see them, ascending:
// dk = scale sum over rows of ds q, dv = sum over rows of p do.
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
layout(std430, binding = 7) writeonly buffer DK { float dk[]; };
layout(std430, binding = 8) writeonly buffer DV { float dv[]; };

shared int low[TILE], high[TILE], sink_end[TILE]; // of the rows of the tile
shared float row_lse[TILE], row_delta[TILE], row_slope[TILE];
shared float k_own[OWN * WIDE], v_own[OWN * WIDE];
shared float q_tile[TILE * WIDE], do_tile[TILE * WIDE];
shared float p[OWN * WIDE], ds[OWN * WIDE];
shared uint any;

uint b, g, lane, own, across, n_rows;
int key0;
float sum_k[SLICES * 4], sum_v[SLICES * 4];

// What the rows of the tile see; whether any sees a key of the block.
void load_ranges(uint n0) {
    if (lane == 0)
        any = 0;
    barrier();
    if (lane < TILE) {
        const uint n = n0 + lane, t = n / repeat();
        const bool exists = n < n_rows;
        const int from = exists ? max(first[b * time + t], 0) : 0, to = exists ? int(t) + 1 : 0;
        const bool sees = from < to;
        low[lane] = sees ? from : 0;
        high[lane] = sees ? to : 0;
        sink_end[lane] = sees ? min(from, int(sinks)) : 0;
        row_lse[lane] = exists ? lse[row_at(b, g, n)] : 0.0;
        row_delta[lane] = exists ? delta[row_at(b, g, n)] : 0.0;
        row_slope[lane] = slopes != 0 ? slope_of(g * repeat() + n % repeat()) : 0.0;
        if (sees && ((from < key0 + OWN && to > key0) || sink_end[lane] > key0))
            atomicOr(any, 1u);
    }
    barrier();
}

void load_tile(uint n0, uint d0) {
    for (uint i = lane; i < TILE * 32; i += 128) {
        const uint n = n0 + i / 32, d = d0 + i % 32;
        const bool inside = n < n_rows && d < size;
        const uint at = row_at(b, g, n) * size + d;
        q_tile[i / 32 * WIDE + i % 32] = inside ? q[at] : 0.0;
        do_tile[i / 32 * WIDE + i % 32] = inside ? d_o[at] : 0.0;
    }
}

void load_own(uint d0) {
    for (uint i = lane; i < OWN * 32; i += 128) {
        const uint j = uint(key0) + i / 32, d = d0 + i % 32;
        const bool inside = j < time && d < size;
        const uint at = ((b * time + j) * key_heads + g) * size + d;
        k_own[i / 32 * WIDE + i % 32] = inside ? keys[at] : 0.0;
        v_own[i / 32 * WIDE + i % 32] = inside ? values[at] : 0.0;
    }
}

void add_tile(uint n0) {
    float score[4], dp[4];
    const int key = key0 + int(own);
    [[unroll]] for (uint j = 0; j < 4; j++)
        score[j] = dp[j] = 0.0;
    for (uint d0 = 0; d0 < size; d0 += 32) {
        load_own(d0);
        load_tile(n0, d0);
        barrier();
        for (uint d = 0; d < min(32, size - d0); d++) {
            const float x = k_own[own * WIDE + d], y = v_own[own * WIDE + d];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                score[j] = fma(q_tile[(across + 8 * j) * WIDE + d], x, score[j]);
                dp[j] = fma(do_tile[(across + 8 * j) * WIDE + d], y, dp[j]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const uint i = across + 8 * j;
        const int tile_key = key / TILE * TILE, t = int((n0 + i) / repeat());
        const bool seen = (key >= low[i] && key < high[i]) || key < sink_end[i];
        const float s = biased(score[j], row_slope[i], t - tile_key, uint(key - tile_key));
        const float w = seen ? exact_exp(s - row_lse[i]) : 0.0;
        p[own * WIDE + i] = w;
        ds[own * WIDE + i] = seen ? w * (dp[j] - row_delta[i]) : 0.0;
    }
    barrier();
    [[unroll]] for (uint s = 0; s < SLICES; s++) {
        load_tile(n0, s * 32);
        barrier();
        float x[4], y[4];
        [[unroll]] for (uint c = 0; c < 4; c++) {
            x[c] = sum_k[s * 4 + c];
            y[c] = sum_v[s * 4 + c];
        }
        for (uint i = 0; i < min(TILE, n_rows - n0); i++)
            [[unroll]] for (uint c = 0; c < 4; c++) {
                x[c] = fma(ds[own * WIDE + i], q_tile[i * WIDE + across + 8 * c], x[c]);
                y[c] = fma(p[own * WIDE + i], do_tile[i * WIDE + across + 8 * c], y[c]);
            }
        [[unroll]] for (uint c = 0; c < 4; c++) {
            sum_k[s * 4 + c] = x[c];
            sum_v[s * 4 + c] = y[c];
        }
        barrier();
    }
}

void main() {
    b = gl_WorkGroupID.y / key_heads;
    g = gl_WorkGroupID.y % key_heads;
    lane = gl_LocalInvocationID.x;
    own = lane / ACROSS;
    across = lane % ACROSS;
    n_rows = time * repeat();
    key0 = int(gl_WorkGroupID.x * OWN);
    [[unroll]] for (uint i = 0; i < SLICES * 4; i++)
        sum_k[i] = sum_v[i] = 0.0;
    for (uint n0 = uint(key0) * repeat() / TILE * TILE; n0 < n_rows; n0 += TILE) {
        load_ranges(n0);
        if (any != 0)
            add_tile(n0);
        barrier();
    }
    const uint j = uint(key0) + own;
    if (j >= time)
        return;
    [[unroll]] for (uint i = 0; i < SLICES * 4; i++) {
        const uint d = i / 4 * 32 + across + 8 * (i % 4);
        const uint at = ((b * time + j) * key_heads + g) * size + d;
        if (d < size) {
            dk[at] = sum_k[i] * scale;
            dv[at] = sum_v[i];
        }
    }
}
