#version 450
// y[M,N] = op(a) op(b), f32. A workgroup makes a tile of BM x BN; tiles of a and b of depth BK pass
// through shared memory; an invocation keeps RM x RN sums. Each sum runs over k ascending.
#extension GL_EXT_control_flow_attributes : enable
layout(local_size_x_id = 0) in; // (BM / RM) (BN / RN)
layout(constant_id = 1) const uint BM = 64;
layout(constant_id = 2) const uint BN = 64;
layout(constant_id = 3) const uint BK = 16;
layout(constant_id = 4) const uint RM = 4;
layout(constant_id = 5) const uint RN = 4;
layout(constant_id = 6) const uint TRANSPOSE_A = 0; // a is [K,M]
layout(constant_id = 7) const uint TRANSPOSE_B = 0; // b is [N,K]
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint M, N, K; };
shared float left[BK * (BM + 1)];
shared float right[BK * (BN + 1)];

void load(uint m0, uint n0, uint k0) {
    const uint step_size = gl_WorkGroupSize.x;
    for (uint i = gl_LocalInvocationID.x; i < BM * BK; i += step_size) {
        const uint m = TRANSPOSE_A != 0 ? i % BM : i / BK, k = TRANSPOSE_A != 0 ? i / BM : i % BK;
        const uint row = m0 + m, at = k0 + k;
        const bool inside = row < M && at < K;
        left[k * (BM + 1) + m] =
            inside ? a[TRANSPOSE_A != 0 ? at * M + row : row * K + at] : 0.0;
    }
    for (uint i = gl_LocalInvocationID.x; i < BN * BK; i += step_size) {
        const uint n = TRANSPOSE_B != 0 ? i / BK : i % BN, k = TRANSPOSE_B != 0 ? i % BK : i / BN;
        const uint column = n0 + n, at = k0 + k;
        const bool inside = column < N && at < K;
        right[k * (BN + 1) + n] =
            inside ? b[TRANSPOSE_B != 0 ? column * K + at : at * N + column] : 0.0;
    }
}

void main() {
    const uint across = BN / RN, down = BM / RM;
    const uint tx = gl_LocalInvocationID.x % across, ty = gl_LocalInvocationID.x / across;
    const uint n0 = gl_WorkGroupID.x * BN, m0 = gl_WorkGroupID.y * BM;
    float sum[RM * RN];
    [[unroll]] for (uint i = 0; i < RM * RN; i++)
        sum[i] = 0.0;
    for (uint k0 = 0; k0 < K; k0 += BK) {
        load(m0, n0, k0);
        barrier();
        [[unroll]] for (uint k = 0; k < BK; k++) {
            float row[RM], column[RN];
            [[unroll]] for (uint i = 0; i < RM; i++)
                row[i] = left[k * (BM + 1) + ty + i * down];
            [[unroll]] for (uint j = 0; j < RN; j++)
                column[j] = right[k * (BN + 1) + tx + j * across];
            [[unroll]] for (uint i = 0; i < RM; i++)
                [[unroll]] for (uint j = 0; j < RN; j++)
                    sum[i * RN + j] = fma(row[i], column[j], sum[i * RN + j]);
        }
        barrier();
    }
    [[unroll]] for (uint i = 0; i < RM; i++)
        [[unroll]] for (uint j = 0; j < RN; j++) {
            const uint m = m0 + ty + i * down, n = n0 + tx + j * across;
            if (m < M && n < N)
                y[m * N + n] = sum[i * RN + j];
        }
}
