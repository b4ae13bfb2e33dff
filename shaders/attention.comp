#version 450
// Causal softmax attention, whole and over a cache: o = softmax(scale q k^T) v with a running maximum m and
// sum l over tiles of keys, so that nothing of size T x T exists; lse = m + log l.
#extension GL_GOOGLE_include_directive : enable
#extension GL_EXT_control_flow_attributes : enable
#include "exact.glsl"
#include "attention.glsl"
layout(constant_id = 1) const uint CACHED = 0; // keys and values are rings [S,R,G,D]
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 1) readonly buffer Keys { float keys[]; };
layout(std430, binding = 2) readonly buffer Values { float values[]; };
layout(std430, binding = 3) readonly buffer First { int first[]; };
layout(std430, binding = 4) writeonly buffer O { float o[]; };
layout(std430, binding = 5) writeonly buffer Lse { float lse[]; };
layout(std430, binding = 6) readonly buffer Slot { int slot[]; };
layout(std430, binding = 7) readonly buffer Pos { int pos[]; };
layout(std430, binding = 8) readonly buffer Count { int count[]; };
layout(std430, binding = 9) readonly buffer SinkKeys { float sink_keys[]; };
layout(std430, binding = 10) readonly buffer SinkValues { float sink_values[]; };

shared int low[OWN], high[OWN], sink_end[OWN]; // the keys that a row sees: low <= j < high, j < sink_end
shared float rows[OWN * WIDE];
shared float tile[TILE * WIDE];
shared float weight[OWN * WIDE];

uint b, g, block, lane, own, across;
float most, total, slope;
int place; // of the row
float sum[SLICES * 4];

// What row `own` of the block sees.
void set_ranges(uint n, uint n_rows) {
    const uint t = n / repeat();
    int from = 0, to = 0, seat = 0;
    if (n < n_rows) {
        seat = int(t);
        from = max(first[b * time + t], 0);
        to = int(t) + 1;
        if (CACHED != 0) {
            const bool used = slot[b] >= 0 && slot[b] < int(slots) && pos[b] >= 0;
            seat += pos[b];
            from = max(from, seat - int(ring) + 1);
            to = used && int(t) < count[b] ? seat + 1 : from;
        }
    }
    place = seat;
    if (across == 0) {
        low[own] = from < to ? from : 0;
        high[own] = from < to ? to : 0;
        sink_end[own] = from < to ? min(from, int(sinks)) : 0;
    }
}

// Where key j of the lane and key head begins.
uint key_at(int j, bool is_sink) {
    if (CACHED == 0)
        return ((b * time + uint(j)) * key_heads + g) * size;
    const uint rows_held = is_sink ? sink_ring : ring;
    return ((uint(slot[b]) * rows_held + uint(j) % rows_held) * key_heads + g) * size;
}

float element_of(bool is_value, int j, uint d, bool is_sink) {
    const uint at = key_at(j, is_sink) + d;
    if (CACHED != 0 && is_sink)
        return is_value ? sink_values[at] : sink_keys[at];
    return is_value ? values[at] : keys[at];
}

// A slice of n keys (or values) from key0 on.
void load_tile(bool is_value, int key0, uint n, uint d0, bool is_sink) {
    for (uint i = lane; i < n * 32; i += 128) {
        const uint d = d0 + i % 32;
        tile[i / 32 * WIDE + i % 32] =
            d < size ? element_of(is_value, key0 + int(i / 32), d, is_sink) : 0.0;
    }
}

void load_rows(uint d0, uint n_rows) {
    for (uint i = lane; i < OWN * 32; i += 128) {
        const uint n = block * OWN + i / 32, d = d0 + i % 32;
        rows[i / 32 * WIDE + i % 32] = n < n_rows && d < size ? q[row_at(b, g, n) * size + d] : 0.0;
    }
}

// One tile of n keys: scores, softmax, values.
void add_tile(int key0, uint n, bool is_sink, uint n_rows) {
    float score[4];
    [[unroll]] for (uint j = 0; j < 4; j++)
        score[j] = 0.0;
    for (uint d0 = 0; d0 < size; d0 += 32) {
        load_rows(d0, n_rows);
        load_tile(false, key0, n, d0, is_sink);
        barrier();
        for (uint d = 0; d < min(32, size - d0); d++) {
            const float x = rows[own * WIDE + d];
            [[unroll]] for (uint j = 0; j < 4; j++)
                score[j] = fma(x, tile[(across + 8 * j) * WIDE + d], score[j]);
        }
        barrier();
    }
    const int begin = is_sink ? 0 : low[own], end = is_sink ? sink_end[own] : high[own];
    [[unroll]] for (uint j = 0; j < 4; j++) {
        const uint k = across + 8 * j;
        const int key = key0 + int(k);
        score[j] = key >= begin && key < end ? biased(score[j], slope, place - key0, k) : NOTHING;
        weight[own * WIDE + k] = score[j];
    }
    barrier();
    float next = most;
    for (uint k = 0; k < n; k++)
        next = max(next, weight[own * WIDE + k]);
    barrier();
    [[unroll]] for (uint j = 0; j < 4; j++)
        weight[own * WIDE + across + 8 * j] = exact_exp(max(score[j] - next, -100.0)); // of NOTHING: 0
    barrier();
    const float decay = exact_exp(max(most - next, -100.0));
    most = next;
    total *= decay;
    for (uint k = 0; k < n; k++)
        total += weight[own * WIDE + k];
    [[unroll]] for (uint s = 0; s < SLICES; s++) {
        load_tile(true, key0, n, s * 32, is_sink);
        barrier();
        float x[4];
        [[unroll]] for (uint c = 0; c < 4; c++)
            x[c] = sum[s * 4 + c] * decay;
        for (uint k = 0; k < n; k++)
            [[unroll]] for (uint c = 0; c < 4; c++)
                x[c] = fma(weight[own * WIDE + k], tile[k * WIDE + across + 8 * c], x[c]);
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
    const uint n_rows = time * repeat(), n = block * OWN + own;
    most = NOTHING;
    total = 0.0;
    slope = slopes != 0 ? slope_of(g * repeat() + n % repeat()) : 0.0;
    [[unroll]] for (uint i = 0; i < SLICES * 4; i++)
        sum[i] = 0.0;
    set_ranges(n, n_rows);
    barrier();
    int from = 0x7fffffff, to = 0, sink_to = 0;
    for (uint i = 0; i < min(OWN, n_rows); i++) {
        if (low[i] < high[i])
            from = min(from, low[i]);
        to = max(to, high[i]);
        sink_to = max(sink_to, sink_end[i]);
    }
    // Tiles of sinks, then tiles from the first key that is seen; keys outside what the block sees are not read.
    const int n_sinks = (sink_to + TILE - 1) / TILE;
    for (int i = 0; i < n_sinks || (from < to && from + (i - n_sinks) * TILE < to); i++) {
        const bool is_sink = i < n_sinks;
        const int key0 = is_sink ? i * TILE : from + (i - n_sinks) * TILE;
        const int left = (is_sink ? sink_to : to) - key0;
        add_tile(key0, uint(min(left, TILE)), is_sink, n_rows);
    }
    if (n >= n_rows)
        return;
    const bool any = low[own] < high[own];
    const uint at = row_at(b, g, n);
    [[unroll]] for (uint i = 0; i < SLICES * 4; i++) {
        const uint d = i / 4 * 32 + across + 8 * (i % 4);
        if (d < size)
            o[at * size + d] = any ? sum[i] / total : 0.0;
    }
    if (has_lse != 0 && across == 0)
        lse[at] = any ? most + exact_log(total) : 0.0;
}
