/* cpu_kernels.c: which kernels a processor gets. One line per variant. */
#include <pthread.h>

#include "cpu/cpu.h"

/* Filled once, read-only ever after. */
static cpu_kernels tables[CPU_ISAS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void) {
    static const char *const names[CPU_ISAS] = {"scalar", "avx2", "avx512", "amx"};
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        cpu_kernels *t = &tables[isa];
        t->name = names[isa];
        matmul_kernels_c(&t->matmul);
        attention_kernels_c(&t->attention);
        row_kernels_c(&t->rows);
        int8_kernels_c(&t->int8);
#if defined(__x86_64__)
        if (isa >= CPU_AVX2) {
            matmul_kernels_avx2(&t->matmul);
            attention_kernels_avx2(&t->attention);
            row_kernels_avx2(&t->rows);
            int8_kernels_avx2(&t->int8);
        }
        if (isa >= CPU_AVX512) {
            matmul_kernels_avx512(&t->matmul);
            attention_kernels_avx512(&t->attention);
            row_kernels_avx512(&t->rows);
            if (__builtin_cpu_supports("avx512vnni"))
                int8_kernels_avx512(&t->int8);
        }
        if (isa >= CPU_AMX)
            int8_kernels_amx(&t->int8);
#endif
    }
}

const cpu_kernels *cpu_kernels_get(cpu_isa isa) {
    pthread_once(&once, fill_tables);
    return &tables[isa];
}

cpu_isa cpu_detect(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return CPU_SCALAR;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return __builtin_cpu_supports("avx512vnni") && int8_amx_usable() ? CPU_AMX : CPU_AVX512;
    return CPU_AVX2;
#else
    return CPU_SCALAR;
#endif
}
