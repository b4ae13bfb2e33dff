/* peak.h: what one core can do at best, multiply-adds and reads: the yardsticks of the benchmarks.
 */
#ifndef CPU_PEAK_H
#define CPU_PEAK_H

#include <stddef.h>
#include <stdint.h>

/* Runs `rounds` rounds of independent fused multiply-adds held in registers and returns their
 * number of floating-point operations; *sink takes a value that keeps the compiler from leaving
 * them out. */
typedef double peak_function(int64_t rounds, float *sink);

peak_function peak_c, peak_avx2, peak_avx512;

/* Reads n floats once, in eight streams side by side as a matrix-vector product reads panels; *sink
 * takes a value that hangs on all of them. */
typedef void read_function(const float *data, size_t n, float *sink);

read_function read_c, read_avx2, read_avx512;

#endif
