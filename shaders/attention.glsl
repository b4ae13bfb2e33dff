// attention.glsl: what attention and its gradients share.
//
// The heads that use one key head are worked on together: row n of key head g is time t = n / repeat,
// head g repeat + n % repeat. A workgroup of 16 x 8 owns 16 rows (or keys) and walks tiles of 32 of the
// other kind; sizes along D go through shared memory in slices of 32, so that any head size fits.
#define OWN 16
#define ACROSS 8
#define TILE 32
#define WIDE 33 // a row of a slice, padded
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint SLICES = 1; // of 32 elements of D

layout(push_constant) uniform Push {
    uint time, heads, key_heads, size; // T, H, G, D
    float scale;
    uint slopes, sinks;
    uint has_lse;                       // attention
    uint slots, ring, sink_ring; // attention_cached
};

const float NOTHING = -3.0e38; // below every score

uint repeat() {
    return heads / key_heads;
}

// Offset in [B,T,H] of row n of key head g in lane b.
uint row_at(uint b, uint g, uint n) {
    return (b * time + n / repeat()) * heads + g * repeat() + n % repeat();
}

// 2^(-i / 32), rounded
const float ROOTS[32] = float[32](
    1.0, 0.978572071, 0.957603276, 0.93708384, 0.917004049, 0.897354543, 0.878126085, 0.859309673,
    0.840896428, 0.822877765, 0.805245161, 0.787990451, 0.771105409, 0.754582226, 0.738413095, 0.722590387,
    0.707106769, 0.69195497, 0.677127779, 0.662618339, 0.648419797, 0.634525478, 0.620928884, 0.607623696,
    0.594603539, 0.58186245, 0.56939429, 0.557193398, 0.545253873, 0.53357023, 0.522136867, 0.510948598);

// 2^(-8 (h+1) / H), see attention_slopes in graph.h: the power of two of the whole part, and of the rest a
// root from the table, the host's to the bit; past its reach exp.
float slope_of(uint head) {
    uint n = 1;
    while (2 * n <= heads)
        n *= 2;
    const uint eighths = head < n ? 2 * (head + 1) : 2 * (head - n) + 1; // slope 2^(-4 eighths / n)
    const uint whole = 4 * eighths / n, rest = 4 * eighths - whole * n;
    const float root =
        n <= 128 ? ROOTS[rest * 32 / n] : exact_exp(-0.693147182 * (float(rest) / float(n)));
    return root * uintBitsToFloat((127 - whole) << 23);
}

// The score of a key that is `away` rows before the row; far ones count as 2^24.
float biased(float score, float slope, int tile_away, uint j) {
    const float s = scale * score;
    return slopes != 0 ? s - slope * (float(min(tile_away, 1 << 24)) - float(j)) : s;
}
