/* attention_kernels.h: the inner loops of attention, one table per instruction set.
 *
 * Attention is three small loops: a product whose elements are ordered chains of fused
 * multiply-adds, the running softmax of one tile of 32 keys, and the gradient of that on such a
 * tile; beside them only packing. Which rows see which keys is decided above, in cpu_attention.c
 * and cpu_attention_grad.c: kernels compute what they are asked for and nothing is multiplied by
 * zero to hide it. */
#ifndef CPU_ATTENTION_KERNELS_H
#define CPU_ATTENTION_KERNELS_H

#include <stdint.h>

#define ATTENTION_TILE 32 /* keys in a tile, on every instruction set */
#define ATTENTION_ROWS 32 /* rows of queries worked on together, at most */
#define ATTENTION_NEAR 16 /* keys that a row may see to count as near, and rows of such a block */

/* c[i,j] = c[i,j] + sum over l of a[i,l] b[l,j], one chain of fused multiply-adds over l ascending;
 * from_zero starts it at 0 instead. m, n, k may be 0. Where `seen` is given, row i takes part at l
 * only if bit i of seen[l] is set: what it does not see is left out, not multiplied by zero. Where
 * `decay` is given, row i of c is multiplied by decay[l / 32][i] before l = 0, 32, 64, ... */
typedef struct attention_product {
    int m, n, k;
    int from_zero;
    const float *a; /* a[i,l] at a[i * a_row + l * a_column] */
    int64_t a_row, a_column;
    const float *b; /* b[l,j] at b[j / 32 * b_panel + l * b_row + j % 32] */
    int64_t b_row, b_panel;
    float *c; /* c[i,j] at c[i * c_row + j] */
    int64_t c_row;
    const uint64_t *seen; /* [k] of at most 64 rows, or NULL */
    const float *decay;   /* [ceil(k / 32)][ATTENTION_ROWS], or NULL */
} attention_product;

/* Rows of one tile: row i sees its lanes begin[i] <= j < end[i], and is left alone where there are
 * none. */
typedef struct attention_tile {
    int rows;
    float scale;
    const int *begin, *end;
    int64_t stride; /* floats from row to row of score and dp */
    float *score;   /* [rows][32] chains q . k; becomes p, 0 where not seen */
    /* slope NULL, or: slope[i] (distance[i] - j) is taken from the scaled score of lane j */
    const float *slope, *distance;
    /* of softmax: the running maximum and sum, and out the factor that the sum of values takes */
    float *max, *sum, *decay;
    /* of gradient: [rows][32] chains do . v; becomes ds = p (dp - delta), 0 where not seen */
    float *dp;
    const float *lse, *delta;
} attention_tile;

/* 16 rows of one head, the first at a multiple of 16, that see few keys: row i sees the seen[i] <=
 * reach rows that end with itself, with seen 0 for rows that see nothing or do not exist. Pointers
 * are to the block's first row; rows before it are touched as far as they are seen. */
typedef struct attention_near {
    int rows, reach;
    int before;      /* rows before the block that its rows see, at most 15 */
    int split;       /* those are in the tile before */
    int kept;        /* keys and values hold the 16 rows before the block as it was left */
    const int *seen; /* [16] */
    int64_t d, row;  /* floats of a head, and from row to row of all but lse */
    int64_t ahead;   /* floats to the block that comes next, to be fetched meanwhile */
    int64_t heads;   /* floats from row to row of lse */
    float scale;
    const float *q, *k, *v;
    float *o, *lse; /* written by forward (lse may be NULL), read by backward */
    const float *d_o;
    float *dq, *dk, *dv;
    int own, own_before;  /* backward: write dq, dk, dv of the block; finish dk, dv before it */
    int open;             /* dk, dv of keys from this one on wait for the next block */
    float *keys, *values; /* scratch [D][32] each, of forward only keys */
} attention_near;

/* How many l from the first on all the rows of `all`, from `row` on, see: at most n. */
static inline int attention_seen_run(const uint64_t *seen, int row, unsigned all, int n) {
    int run = 0;
    while (run < n && (seen[run] >> row & all) == all)
        run++;
    return run;
}

typedef struct attention_kernels {
    void (*product)(const attention_product *x);
    /* m' = max(m, max_j s_j) with s = scale score, less its bias; decay = exp(m - m'), 0 while m is
     * -inf; p = exp(s - m'); sum = sum decay + (p over the tile: lanes j and j+16, then the tree
     * (i, i+8), (i, i+4), (i, i+2), (i, i+1)), product and sum rounded separately. */
    void (*softmax)(const attention_tile *x);
    /* p = exp(s - lse) with s as above, ds = p (dp - delta), every operation rounded. */
    void (*gradient)(const attention_tile *x);
    /* delta: sum over i of a_i b_i, element i in lane i mod 16, fused, then the tree (i, i+8), (i,
     * i+4), (i, i+2), (i, i+1). */
    float (*dot)(const float *a, const float *b, int64_t n);
    /* Packs n <= 32 rows of d floats (row_stride apart) into lanes 0.. of one tile [d][32]; the
     * other lanes become 0. */
    void (*pack)(float *tile, const float *rows, int64_t row_stride, int n, int64_t d);
    /* Hints that n rows of d floats are going to be used; nothing where there is no such hint. */
    void (*fetch)(const float *rows, int64_t row_stride, int64_t n, int64_t d);
    /* All of attention and of its gradient where every row sees at most 16 keys; NULL where the
     * other kernels do as well. */
    void (*near)(const attention_near *x);
    void (*near_gradient)(const attention_near *x);
} attention_kernels;

/* Fills the table with the plain C kernels, the specification. */
void attention_kernels_c(attention_kernels *k);

/* Replace what has a version for the instruction set. */
void attention_kernels_avx2(attention_kernels *k);
void attention_kernels_avx512(attention_kernels *k);

#endif
