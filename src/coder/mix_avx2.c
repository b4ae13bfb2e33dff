/* mix_avx2.c: mix_kernels.h for AVX2: products of 32 bits to 64, of the even elements and of the
 * odd ones. */
#include <immintrin.h>

#include "coder/mix_kernels.h"

static __m256i load(const int32_t *from) {
    return _mm256_loadu_si256((const void *)from);
}

static int64_t sum(const int32_t *input, int32_t *const weights[3]) {
    __m256i all = _mm256_setzero_si256();
    for (int i = 0; i < MIX_INPUTS; i += 8) {
        const __m256i x = load(input + i);
        const __m256i w = _mm256_add_epi32(
            _mm256_add_epi32(load(weights[0] + i), load(weights[1] + i)), load(weights[2] + i));
        const __m256i even = _mm256_mul_epi32(x, w);
        const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(w, 32));
        all = _mm256_add_epi64(all, _mm256_add_epi64(even, odd));
    }
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
}

static void learn(int32_t *const weights[3], const int32_t *input, int32_t rate) {
    const __m256i most = _mm256_set1_epi32(MIX_WEIGHT_MOST);
    const __m256i least = _mm256_set1_epi32(-MIX_WEIGHT_MOST);
    const __m256i by = _mm256_set1_epi32(rate), size = _mm256_abs_epi32(by);
    for (int i = 0; i < MIX_INPUTS; i += 8) {
        /* without signs, so that shifting rounds towards 0 */
        const __m256i x = load(input + i), magnitude = _mm256_abs_epi32(x);
        const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(magnitude, size), 21);
        const __m256i odd =
            _mm256_srli_epi64(_mm256_mul_epu32(_mm256_srli_epi64(magnitude, 32), size), 21);
        const __m256i both = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
        const __m256i sign = _mm256_srai_epi32(_mm256_xor_si256(x, by), 31);
        const __m256i step = _mm256_sub_epi32(_mm256_xor_si256(both, sign), sign);
        for (int k = 0; k < 3; k++) {
            const __m256i w = _mm256_add_epi32(load(weights[k] + i), step);
            _mm256_storeu_si256((void *)(weights[k] + i),
                                _mm256_max_epi32(_mm256_min_epi32(w, most), least));
        }
    }
}

const mix_kernels mix_kernels_avx2 = {sum, learn};
