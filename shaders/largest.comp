#version 450
// part[i] = the largest |x| of block i, as bits, by which infinities and NaN are larger than all.
#define LANES 256
layout(local_size_x = LANES) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) writeonly buffer Part { uint part[]; };
layout(push_constant) uniform Push { uint n, block; };
shared uint lanes[LANES];

void main() {
    const uint lane = gl_LocalInvocationID.x, begin = gl_WorkGroupID.x * block;
    uint most = 0;
    for (uint i = lane; i < block && begin + i < n; i += LANES)
        most = max(most, floatBitsToUint(x[begin + i]) & 0x7fffffffu);
    lanes[lane] = most;
    barrier();
    for (uint half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
        if (lane < half_lanes)
            lanes[lane] = max(lanes[lane], lanes[lane + half_lanes]);
        barrier();
    }
    if (lane == 0)
        part[gl_WorkGroupID.x] = lanes[0];
}
