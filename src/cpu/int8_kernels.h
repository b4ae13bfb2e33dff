/* int8_kernels.h: the inner kernels of the arithmetic of integers.
 *
 * Sums of products of small integers are exact, so kernels may add in any order and every version
 * gives the same bits; what is rounded (scales, the exponential) is a fixed sequence of + - *. Four
 * neighbours of a sum lie side by side, as dot products of bytes take them: weights in panels
 * [ceil(N/16)][ceil(K/4)][16][4], cached rows in tiles of 16. */
#ifndef CPU_INT8_KERNELS_H
#define CPU_INT8_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define INT8_PANEL 16 /* columns of a panel, rows of a tile */

/* Weights [N,K] as integers, with the scale and the sum of each row; past the ends all is 0. */
typedef struct int8_weights {
    const int8_t *panels;
    const float *scale; /* [N rounded up to panels] */
    const int32_t *sum; /* likewise */
    int64_t k, n;
} int8_weights;

/* y[rows,columns] of rows x, integers + 128 as bytes [rows][stride], stride a multiple of 64 and
 * bytes from K up to a multiple of 4 equal to 128; panels [panel, panel_end). */
typedef struct int8_product {
    float *y;
    int64_t y_stride;
    const uint8_t *x;
    const float *x_scale; /* [rows] */
    int64_t rows, stride;
    const int8_weights *w;
    int64_t panel, panel_end;
} int8_product;

/* Tiles of 16 cached rows of one head: keys [D/4][16][4] or values [16/4][D][4], D rounded up to a
 * multiple of 4, then the 16 scales. */
static inline int64_t int8_padded(int64_t d) {
    return (d + 3) / 4 * 4;
}
static inline int64_t int8_tile_bytes(int64_t d) {
    return INT8_PANEL * (int8_padded(d) + (int64_t)sizeof(float));
}

/* Puts integers q[D] and their scale into lane `lane` of a tile, of keys or of values. */
void int8_tile_put(uint8_t *tile, int64_t d, int lane, int values, const uint8_t *q, float scale);

/* score[rows][n_tiles 16] = (q k as f32) * (q_scale k_scale); rows of q are integers [rows][D
 * padded with zeros], stride bytes apart. */
typedef struct int8_scores {
    float *score;
    int64_t score_stride;
    const int8_t *q;
    const float *q_scale;
    const uint8_t *tiles;
    int64_t d, q_stride;
    int rows, n_tiles;
} int8_scores;

/* sum[rows][2][D padded] += weights[rows][2][lanes] times values: high parts, then low parts. */
typedef struct int8_values {
    int32_t *sum;
    const uint8_t *weights; /* 0 to 127 */
    int64_t lanes;          /* from the high to the low parts, and from them to the next row */
    const uint8_t *tiles;
    int64_t d;
    int rows, n_tiles;
} int8_values;

/* Scores of one row become weights: lanes outside [begin[i], end[i]) of both ranges are not seen.
 * Returns what the sums of values are to be multiplied by. */
typedef struct int8_softmax {
    float *score;        /* [lanes], a multiple of 16; is used up */
    const float *scale;  /* [lanes], of values */
    uint8_t *high, *low; /* [lanes] */
    int lanes;
    int begin[2], end[2]; /* ascending; the second range may be empty */
} int8_softmax;

typedef struct int8_kernels {
    /* Integers + bias of a row; returns the scale. Past n, up to a multiple of 4, 0 + bias. */
    float (*round)(uint8_t *q, const float *x, int64_t n, uint8_t bias);
    void (*multiply)(const int8_product *p);
    void (*scores)(const int8_scores *s);
    float (*soften)(const int8_softmax *s);
    void (*add_values)(const int8_values *v);
} int8_kernels;

/* Each fills the table with the kernels of its instruction set; a later call overrides. */
void int8_kernels_c(int8_kernels *k);
void int8_kernels_avx2(int8_kernels *k);
void int8_kernels_avx512(int8_kernels *k); /* needs VNNI too */
void int8_kernels_amx(int8_kernels *k);    /* needs that too */

/* Whether the processor has AMX for int8 and the system lets this process use it. */
int int8_amx_usable(void);

/* multiply of int8_kernels_avx512. */
void int8_multiply_avx512(const int8_product *p);

/* The form of weights[n,k] in memory, of int8_weights_bytes(n, k), 64-byte aligned: made for panels
 * [panel, panel_end), and read. */
size_t int8_weights_bytes(int64_t n, int64_t k);
void int8_weights_pack(void *form, const float *w, int64_t n, int64_t k, int64_t panel,
                       int64_t panel_end);
int8_weights int8_weights_of(const void *form, int64_t n, int64_t k);

#endif
