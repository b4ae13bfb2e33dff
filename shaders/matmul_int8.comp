#version 450
// y[M,N] = (a b^T as f32) * (scales of a and b): rows of a[M,..] and b[N,..] are words of four integers, then
// the scale. As matmul.comp; sums of integers are exact.
#extension GL_EXT_control_flow_attributes : enable
layout(local_size_x_id = 0) in; // (BM / RM) (BN / RN)
layout(constant_id = 1) const uint BM = 64;
layout(constant_id = 2) const uint BN = 64;
layout(constant_id = 3) const uint BK = 16; // words
layout(constant_id = 4) const uint RM = 4;
layout(constant_id = 5) const uint RN = 4;
layout(std430, binding = 0) readonly buffer A { uint a[]; };
layout(std430, binding = 1) readonly buffer B { uint b[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint M, N, words; };
shared uint left[BK * (BM + 1)];
shared uint right[BK * (BN + 1)];

void load(uint m0, uint n0, uint k0) {
    const uint step_size = gl_WorkGroupSize.x;
    for (uint i = gl_LocalInvocationID.x; i < BM * BK; i += step_size) {
        const uint row = m0 + i / BK, at = k0 + i % BK;
        left[i % BK * (BM + 1) + i / BK] = row < M && at < words ? a[row * (words + 1) + at] : 0;
    }
    for (uint i = gl_LocalInvocationID.x; i < BN * BK; i += step_size) {
        const uint column = n0 + i / BK, at = k0 + i % BK;
        right[i % BK * (BN + 1) + i / BK] = column < N && at < words ? b[column * (words + 1) + at] : 0;
    }
}

int dot_of(uint p, uint q) {
    int sum = 0;
    [[unroll]] for (int i = 0; i < 32; i += 8)
        sum += bitfieldExtract(int(p), i, 8) * bitfieldExtract(int(q), i, 8);
    return sum;
}

void main() {
    const uint across = BN / RN, down = BM / RM;
    const uint tx = gl_LocalInvocationID.x % across, ty = gl_LocalInvocationID.x / across;
    const uint n0 = gl_WorkGroupID.x * BN, m0 = gl_WorkGroupID.y * BM;
    int sum[RM * RN];
    [[unroll]] for (uint i = 0; i < RM * RN; i++)
        sum[i] = 0;
    for (uint k0 = 0; k0 < words; k0 += BK) {
        load(m0, n0, k0);
        barrier();
        [[unroll]] for (uint k = 0; k < BK; k++)
            [[unroll]] for (uint i = 0; i < RM; i++)
                [[unroll]] for (uint j = 0; j < RN; j++)
                    sum[i * RN + j] += dot_of(left[k * (BM + 1) + ty + i * down],
                                              right[k * (BN + 1) + tx + j * across]);
        barrier();
    }
    [[unroll]] for (uint i = 0; i < RM; i++)
        [[unroll]] for (uint j = 0; j < RN; j++) {
            const uint m = m0 + ty + i * down, n = n0 + tx + j * across;
            if (m >= M || n >= N)
                continue;
            precise float scale =
                uintBitsToFloat(a[m * (words + 1) + words]) * uintBitsToFloat(b[n * (words + 1) + words]);
            precise float value = float(sum[i * RN + j]) * scale;
            y[m * N + n] = value;
        }
}
