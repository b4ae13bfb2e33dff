#version 450
// y[M,N] = op(a) op(b) by cooperative matrices: factors as f16, sums in f32. A workgroup of 8 subgroups makes a tile
// of 8 TM x 8 TN, each subgroup 4 x 2 matrices of it. So that factors neither overflow nor vanish in f16, each
// matrix is multiplied by a power of two that brings its largest element to 2^14; largest.comp has found it.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_control_flow_attributes : enable
layout(local_size_x_id = 0) in; // 8 subgroups
layout(constant_id = 1) const uint TM = 16;
layout(constant_id = 2) const uint TN = 16;
layout(constant_id = 3) const uint TK = 16;
layout(constant_id = 4) const uint TRANSPOSE_A = 0; // a is [K,M]
layout(constant_id = 5) const uint TRANSPOSE_B = 0; // b is [N,K]
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 2) writeonly buffer Y { float y[]; };
layout(std430, binding = 3) readonly buffer LargestA { uint largest_a[]; };
layout(std430, binding = 4) readonly buffer LargestB { uint largest_b[]; };
layout(push_constant) uniform Push { uint M, N, K, parts_a, parts_b; };

const uint BM = 8 * TM, BN = 8 * TN, BK = 32, WIDE = BK + 8; // a row of a tile, padded
shared float16_t left[BM * WIDE];                            // [m][k]
shared float16_t right[BN * WIDE];                           // [n][k]
shared float edge[8 * TM * TN];                              // what a subgroup puts where y ends inside a matrix
shared uint largest[2];

void find_largest(uint lane) {
    if (lane < 2)
        largest[lane] = 0;
    barrier();
    for (uint i = lane; i < parts_a; i += gl_WorkGroupSize.x)
        atomicMax(largest[0], largest_a[i]);
    for (uint i = lane; i < parts_b; i += gl_WorkGroupSize.x)
        atomicMax(largest[1], largest_b[i]);
    barrier();
}

// The exponent of the power of two for a matrix whose largest element has these bits; of one that is not finite 0.
int exponent_for(uint bits) {
    return bits >= 0x7f800000u ? 0 : 14 - clamp(int(bits >> 23) - 127, -100, 100);
}

float power(int exponent) {
    return uintBitsToFloat(uint(exponent + 127) << 23);
}

void load(uint m0, uint n0, uint k0, uint lane, float scale_a, float scale_b) {
    for (uint i = lane; i < BM * BK; i += gl_WorkGroupSize.x) {
        const uint m = TRANSPOSE_A != 0 ? i % BM : i / BK, k = TRANSPOSE_A != 0 ? i / BM : i % BK;
        const uint row = m0 + m, at = k0 + k;
        const float x = row < M && at < K ? a[TRANSPOSE_A != 0 ? at * M + row : row * K + at] : 0.0;
        left[m * WIDE + k] = float16_t(x * scale_a);
    }
    for (uint i = lane; i < BN * BK; i += gl_WorkGroupSize.x) {
        const uint n = TRANSPOSE_B != 0 ? i / BK : i % BN, k = TRANSPOSE_B != 0 ? i % BK : i / BN;
        const uint column = n0 + n, at = k0 + k;
        const float x = column < N && at < K ? b[TRANSPOSE_B != 0 ? column * K + at : at * N + column] : 0.0;
        right[n * WIDE + k] = float16_t(x * scale_b);
    }
}

void main() {
    const uint lane = gl_LocalInvocationID.x, group = gl_SubgroupID;
    const uint m0 = gl_WorkGroupID.y * BM, n0 = gl_WorkGroupID.x * BN;
    const uint own_m = group / 4 * 4 * TM, own_n = group % 4 * 2 * TN;
    coopmat<float, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator> sum[8];
    find_largest(lane);
    const int up_a = exponent_for(largest[0]), up_b = exponent_for(largest[1]);
    [[unroll]] for (uint i = 0; i < 8; i++)
        sum[i] = coopmat<float, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator>(0.0);
    for (uint k0 = 0; k0 < K; k0 += BK) {
        load(m0, n0, k0, lane, power(up_a), power(up_b));
        barrier();
        for (uint k = 0; k < BK; k += TK) {
            coopmat<float16_t, gl_ScopeSubgroup, TM, TK, gl_MatrixUseA> row[4];
            coopmat<float16_t, gl_ScopeSubgroup, TK, TN, gl_MatrixUseB> column[2];
            [[unroll]] for (uint i = 0; i < 4; i++)
                coopMatLoad(row[i], left, (own_m + i * TM) * WIDE + k, WIDE, gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0; j < 2; j++)
                coopMatLoad(column[j], right, (own_n + j * TN) * WIDE + k, WIDE,
                            gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint j = 0; j < 2; j++)
                    sum[2 * i + j] = coopMatMulAdd(row[i], column[j], sum[2 * i + j]);
        }
        barrier();
    }
    [[unroll]] for (uint i = 0; i < 4; i++)
        [[unroll]] for (uint j = 0; j < 2; j++) {
            const uint m = m0 + own_m + i * TM, n = n0 + own_n + j * TN;
            const coopmat<float, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator> part =
                sum[2 * i + j] * power(-up_a) * power(-up_b);
            if (m + TM <= M && n + TN <= N) {
                coopMatStore(part, y, m * N + n, N, gl_CooperativeMatrixLayoutRowMajor);
                continue;
            }
            coopMatStore(part, edge, group * TM * TN, TN, gl_CooperativeMatrixLayoutRowMajor);
            subgroupMemoryBarrierShared();
            subgroupBarrier();
            for (uint e = gl_SubgroupInvocationID; e < TM * TN; e += gl_SubgroupSize)
                if (m + e / TN < M && n + e % TN < N)
                    y[(m + e / TN) * N + n + e % TN] = edge[group * TM * TN + e];
            subgroupBarrier();
        }
}
