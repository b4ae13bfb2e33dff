/* cache_layout.h: the packed form of keys.
 *
 * A state of layout KEYS, logically [S,R,G,D] with R a multiple of 32, is held as
 * [S][G][R/32][D][32]: row j of the ring is lane j % 32 of tile j / 32, so that one vector load
 * takes the same element d of 16 neighbouring keys. */
#ifndef CPU_CACHE_LAYOUT_H
#define CPU_CACHE_LAYOUT_H

#include <stdint.h>

#include "graph/tensor.h"

/* Copies n elements of the logical row-major [S,R,G,D], from element `first`, into or out of the
 * packed form. dim = {S, R, G, D}. */
void cache_keys_write(float *packed, const int64_t dim[4], int64_t first, int64_t n,
                      const float *rows);
void cache_keys_read(const float *packed, const int64_t dim[4], int64_t first, int64_t n,
                     float *rows);

/* The same of states of integers, logically [S,R,G,D+1]: [S][G][R/16] tiles of int8_kernels.h.
 * Integers are cut to -127 ... 127. */
void cache_int8_write(void *packed, const variable *v, int64_t first, int64_t n, const float *rows);
void cache_int8_read(const void *packed, const variable *v, int64_t first, int64_t n, float *rows);

#endif
