/* mix_kernels.c: see mix_kernels.h; the version that says what the others compute. */
#include "coder/mix_kernels.h"

#include <string.h>

static int64_t sum(const int32_t *input, int32_t *const weights[3]) {
    int64_t all = 0;
    for (int i = 0; i < MIX_INPUTS; i++)
        all += (int64_t)input[i] * (weights[0][i] + weights[1][i] + weights[2][i]);
    return all;
}

static void learn(int32_t *const weights[3], const int32_t *input, int32_t rate) {
    for (int i = 0; i < MIX_INPUTS; i++) {
        const int32_t step = (int32_t)((int64_t)input[i] * rate / (1 << 21));
        for (int k = 0; k < 3; k++) {
            const int32_t w = weights[k][i] + step;
            weights[k][i] = w > MIX_WEIGHT_MOST    ? MIX_WEIGHT_MOST
                            : w < -MIX_WEIGHT_MOST ? -MIX_WEIGHT_MOST
                                                   : w;
        }
    }
}

const mix_kernels *mix_kernels_get(const char *isa) {
    static const mix_kernels plain = {sum, learn};
#if defined(__x86_64__)
    if (strcmp(isa, "scalar"))
        return &mix_kernels_avx2;
#endif
    (void)isa;
    return &plain;
}
