/* peak_avx512.c: see peak.h and peak.inc. */
#include <immintrin.h>

#include "cpu/peak.h"

#define ISA avx512
#define VECTOR __m512
#define WIDTH 16
#define PREFIX _mm512_
#include "cpu/peak.inc"
