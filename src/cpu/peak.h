/* peak.h: the multiply-add peak of one core: the yardstick of the benchmarks. */
#ifndef CPU_PEAK_H
#define CPU_PEAK_H

#include <stdint.h>

/* Runs `rounds` rounds of independent fused multiply-adds held in registers and returns their
 * number of floating-point operations; *sink takes a value that keeps the compiler from leaving
 * them out. */
typedef double peak_function(int64_t rounds, float *sink);

peak_function peak_c, peak_avx2, peak_avx512;

#endif
