/* peak_avx2.c: see peak.h and peak.inc. */
#include <immintrin.h>

#include "cpu/peak.h"

#define ISA avx2
#define VECTOR __m256
#define WIDTH 8
#define PREFIX _mm256_
#include "cpu/peak.inc"
