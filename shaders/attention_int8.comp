#version 450
// Causal softmax attention over rows of integers and scales [..,D+1], whole and over a cache: see
// attention_int8 in graph.h. A workgroup a row of a key head. Weights are integers once the largest of all is
// known, so that scores are computed three times: for their maximum, for the sum of exponentials and the
// largest weight, and for the sums of values, which are exact.
#extension GL_GOOGLE_include_directive : enable
#extension GL_EXT_control_flow_attributes : enable
#include "exact.glsl"
#include "attention.glsl"
#include "int8.glsl"
layout(constant_id = 1) const uint CACHED = 0; // keys and values are rings [S,R,G,D+1]
layout(std430, binding = 0) readonly buffer Q { float q[]; };
layout(std430, binding = 1) readonly buffer Keys { float keys[]; };
layout(std430, binding = 2) readonly buffer Values { float values[]; };
layout(std430, binding = 3) readonly buffer First { int first[]; };
layout(std430, binding = 4) writeonly buffer O { float o[]; };
layout(std430, binding = 6) readonly buffer Slot { int slot[]; };
layout(std430, binding = 7) readonly buffer Pos { int pos[]; };
layout(std430, binding = 8) readonly buffer Count { int count[]; };
layout(std430, binding = 9) readonly buffer SinkKeys { float sink_keys[]; };
layout(std430, binding = 10) readonly buffer SinkValues { float sink_values[]; };

#define LANES 128
#define WITH 16 // lanes of the sum of exponentials, keys of a tile

shared float own[32 * SLICES]; // the row of q
shared float part[LANES];
shared uint bits[LANES];
shared uvec2 weight[LANES]; // high and low part

uint b, g, lane;
int place, low, high, sink_end; // the row's, and the keys that it sees: low <= j < high, j < sink_end
float slope, q_scale;

void set_range(uint t) {
    place = int(t);
    low = max(first[b * time + t], 0);
    high = int(t) + 1;
    if (CACHED != 0) {
        const bool used = slot[b] >= 0 && slot[b] < int(slots) && pos[b] >= 0;
        place += pos[b];
        low = max(low, place - int(ring) + 1);
        high = used && int(t) < count[b] ? place + 1 : low;
    }
    sink_end = low < high ? min(low, int(sinks)) : 0;
}

// Where key j of the lane and key head begins.
uint key_at(int j, bool is_sink) {
    if (CACHED == 0)
        return ((b * time + uint(j)) * key_heads + g) * (size + 1);
    const uint held = is_sink ? sink_ring : ring;
    return ((uint(slot[b]) * held + uint(j) % held) * key_heads + g) * (size + 1);
}

float key(uint at, bool is_sink) {
    return CACHED != 0 && is_sink ? sink_keys[at] : keys[at];
}

float value(uint at, bool is_sink) {
    return CACHED != 0 && is_sink ? sink_values[at] : values[at];
}

bool sees(int j, bool is_sink) {
    return is_sink ? j < sink_end : j >= low && j < high;
}

// Of a key that is seen. Sums stay below 2^24, where floats are exact.
float score(int j, bool is_sink) {
    const uint at = key_at(j, is_sink);
    float sum = 0.0;
    for (uint d = 0; d < size; d++)
        sum += own[d] * key(at + d, is_sink);
    precise float scales = q_scale * key(at + size, is_sink);
    precise float s = sum * scales;
    if (slopes == 0)
        return s;
    precise float away = float(min(place - j / WITH * WITH, 1 << 24)) - float(j % WITH);
    precise float bias = slope * away;
    s = s - bias;
    return s;
}

// The weight of key j, and its exponential.
float weigh(int j, bool is_sink, float most, out float p) {
    precise float away = score(j, is_sink) - most;
    p = exact_exp(away);
    precise float w = p * value(key_at(j, is_sink) + size, is_sink);
    return p > 0.0 ? w : 0.0;
}

float largest_score() {
    float most = -1.0 / 0.0;
    for (int is_sink = 1; is_sink >= 0; is_sink--) {
        const int begin = is_sink != 0 ? 0 : low, end = is_sink != 0 ? sink_end : high;
        for (int j = begin + int(lane); j < end; j += LANES)
            most = max(most, score(j, is_sink != 0));
    }
    part[lane] = most;
    barrier();
    for (uint half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
        if (lane < half_lanes)
            part[lane] = max(part[lane], part[lane + half_lanes]);
        barrier();
    }
    most = part[0];
    barrier();
    return most;
}

// The sum of exponentials in 16 lanes, j ascending in each, sinks first, then their tree; and the bits of the
// largest weight.
float exponentials(float most, out uint largest) {
    precise float sum = 0.0;
    largest = 0;
    for (int is_sink = 1; is_sink >= 0; is_sink--) {
        const int begin = is_sink != 0 ? 0 : low / WITH * WITH, end = is_sink != 0 ? sink_end : high;
        for (int j0 = begin; j0 < end; j0 += LANES) {
            const int j = j0 + int(lane);
            float p = 0.0;
            if (sees(j, is_sink != 0))
                largest = max(largest, floatBitsToUint(weigh(j, is_sink != 0, most, p)) & 0x7fffffffu);
            part[lane] = p;
            barrier();
            for (uint i = lane; i < LANES && lane < WITH; i += WITH)
                sum += part[i];
            barrier();
        }
    }
    part[lane] = sum;
    bits[lane] = largest;
    barrier();
    for (uint half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
        if (lane < half_lanes)
            bits[lane] = max(bits[lane], bits[lane + half_lanes]);
        if (lane < half_lanes && half_lanes < WITH) {
            precise float both = part[lane] + part[lane + half_lanes];
            part[lane] = both;
        }
        barrier();
    }
    largest = bits[0];
    const float total = part[0];
    barrier();
    return total;
}

void main() {
    const uint n = gl_WorkGroupID.x, t = n / repeat();
    b = gl_WorkGroupID.y / key_heads;
    g = gl_WorkGroupID.y % key_heads;
    lane = gl_LocalInvocationID.x;
    const uint at = row_at(b, g, n);
    set_range(t);
    if (low >= high) {
        for (uint d = lane; d < size; d += LANES)
            o[at * size + d] = 0.0;
        return;
    }
    for (uint d = lane; d < size; d += LANES)
        own[d] = q[at * (size + 1) + d];
    precise float row_scale = q[at * (size + 1) + size] * scale;
    q_scale = row_scale;
    slope = slopes != 0 ? slope_of(g * repeat() + n % repeat()) : 0.0;
    barrier();
    const float most = largest_score();
    uint largest;
    float inverse;
    const float total = exponentials(most, largest);
    const float factor = factor_of(largest, total, inverse);
    ivec2 sum[(SLICES + 3) / 4]; // of elements lane, lane + 128, ...: high and low parts
    [[unroll]] for (uint i = 0; i < (SLICES + 3) / 4; i++)
        sum[i] = ivec2(0);
    for (int is_sink = 1; is_sink >= 0; is_sink--) {
        const int begin = is_sink != 0 ? 0 : low, end = is_sink != 0 ? sink_end : high;
        for (int j0 = begin; j0 < end; j0 += LANES) {
            const int j = j0 + int(lane), keys_left = min(end - j0, LANES);
            float p;
            const uint w = j < end ? uint(rounded(weigh(j, is_sink != 0, most, p), inverse)) : 0;
            weight[lane] = uvec2(w >> 7 & 127, w & 127);
            barrier();
            for (int k = 0; k < keys_left; k++) {
                const uint from = key_at(j0 + k, is_sink != 0);
                [[unroll]] for (uint i = 0; i < (SLICES + 3) / 4; i++)
                    if (lane + i * LANES < size)
                        sum[i] += ivec2(weight[k]) * int(value(from + lane + i * LANES, is_sink != 0));
            }
            barrier();
        }
    }
    [[unroll]] for (uint i = 0; i < (SLICES + 3) / 4; i++) {
        precise float both = float(sum[i].x) * 128.0 + float(sum[i].y);
        precise float y = both * factor;
        if (lane + i * LANES < size)
            o[at * size + lane + i * LANES] = y;
    }
}
