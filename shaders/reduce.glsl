// reduce.glsl: sums and maxima over a workgroup of LANES invocations, by a fixed tree: no atomics,
// no operations of subgroups, whose order is the driver's.
shared float lanes[LANES];

float sum_over_group(float x) {
    const uint lane = gl_LocalInvocationID.x;
    lanes[lane] = x;
    barrier();
    for (uint half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
        if (lane < half_lanes)
            lanes[lane] += lanes[lane + half_lanes];
        barrier();
    }
    const float y = lanes[0];
    barrier();
    return y;
}

float max_over_group(float x) {
    const uint lane = gl_LocalInvocationID.x;
    lanes[lane] = x;
    barrier();
    for (uint half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
        if (lane < half_lanes)
            lanes[lane] = max(lanes[lane], lanes[lane + half_lanes]);
        barrier();
    }
    const float y = lanes[0];
    barrier();
    return y;
}
