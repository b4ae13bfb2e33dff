#version 450
// y[row] = base[row] + a symbol drawn from logits[row]: a workgroup a row, see graph.h. Every symbol
// is compared with every other; sums ascend over the symbols.
#extension GL_GOOGLE_include_directive : enable
#define LANES 64
#define SYMBOLS 257
#define NONE int(0x80000000)
layout(local_size_x = LANES) in;
#include "common.glsl"
#include "exact.glsl"
#include "reduce.glsl"
layout(std430, binding = 0) readonly buffer Logits { float logits[]; };
layout(std430, binding = 1) readonly buffer Draw { float draws[]; };
layout(std430, binding = 2) readonly buffer Settings { vec4 settings[]; };
layout(std430, binding = 3) readonly buffer Base { int bases[]; };
layout(std430, binding = 4) writeonly buffer Drawn { int drawn[]; };
layout(push_constant) uniform Push { uint rows, columns; int end; };

shared float weight[SYMBOLS], kept[SYMBOLS];
shared uint ranks[SYMBOLS];
shared float sum;
shared uint chosen;

// The logit of symbol i.
float logit(uint row, uint i, uint bytes) {
    return logits[row * columns + (i < bytes ? i : uint(end))];
}

float weigh(float x, float most, float s) {
    precise float scaled = (x - most) * s;
    const float w = exact_exp(scaled);
    return w >= 0.0 ? w : 0.0; // NaN weighs nothing
}

void main() {
    const uint row = group(), lane = gl_LocalInvocationID.x;
    if (row >= rows)
        return;
    const vec4 set = settings[row];
    const uint bytes = min(columns, 256u), n = bytes + (end >= 0 ? 1u : 0u);
    float most = logit(row, 0, bytes);
    for (uint i = lane; i < n; i += LANES)
        most = max(most, logit(row, i, bytes));
    most = max_over_group(most);
    for (uint i = lane; i < n; i += LANES)
        weight[i] = weigh(logit(row, i, bytes), most, set.x);
    if (lane == 0)
        chosen = 0;
    barrier();

    const float first = set.y > 0.0 ? set.y : float(n);
    for (uint i = lane; i < n; i += LANES) {
        uint rank = 0;
        precise float before = 0.0;
        for (uint j = 0; j < n; j++)
            if (weight[j] > weight[i] || (weight[j] == weight[i] && j < i)) {
                rank++;
                before += weight[j];
            }
        ranks[i] = rank;
        kept[i] = before;
    }
    barrier();
    if (lane == 0) {
        precise float s = 0.0;
        for (uint i = 0; i < n; i++)
            s += float(ranks[i]) < first ? weight[i] : 0.0;
        sum = s;
    }
    barrier();
    for (uint i = lane; i < n; i += LANES) {
        precise float share = set.z * sum;
        const bool stays = float(ranks[i]) < first && (ranks[i] == 0 || kept[i] < share) && weight[i] >= set.w;
        kept[i] = stays ? weight[i] : 0.0;
    }
    barrier();

    if (lane == 0) {
        precise float s = 0.0;
        for (uint i = 0; i < n; i++)
            s += kept[i];
        sum = s;
    }
    barrier();
    // One symbol finds that it is the first above the target, or none does and the last that stays is.
    for (uint i = lane; i < n; i += LANES) {
        precise float target = draws[row] * sum;
        precise float before = 0.0;
        bool last = true;
        for (uint j = 0; j < i; j++)
            before += kept[j];
        for (uint j = i + 1; j < n; j++)
            last = last && !(kept[j] > 0.0);
        precise float reached = before + kept[i];
        if (kept[i] > 0.0 && !(before > target) && (reached > target || last))
            chosen = i;
    }
    barrier();
    if (lane == 0)
        drawn[row] = end >= 0 && chosen == n - 1 ? NONE : bases[row] + int(chosen);
}
