/* graph.h: records a model as a graph of ops.
 *
 * Model code calls the functions below; each records one node and returns its result. Nothing is
 * computed and no memory is taken for tensors. Errors are sticky: the first bad shape is kept with
 * a message that names the op and both shapes, every later call returns NULL, and one graph_check
 * at the end tells. graph_backward appends the gradient, itself in ops. backend_compile then plans
 * and runs it. */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/error.h"
#include "graph/op.h"

/* What linear, attention, norm and unary record from now on. INT8: linear and attention round
 * their inputs to integers and sum those exactly (linear_int8, attention_int8); norms and
 * activations take no quotients and roots. All that such a graph computes is made of exact sums of
 * integers and of + - * that are rounded one by one. It has no gradients. */
typedef enum graph_arithmetic { ARITHMETIC_F32, ARITHMETIC_INT8 } graph_arithmetic;

typedef struct graph {
    graph_arithmetic arithmetic; /* F32 at first */
    arena memory;
    node **nodes;
    int n_nodes, nodes_capacity;
    tensor **tensors;
    int n_tensors, tensors_capacity;
    int *variable_slots; /* hash table of the variables by address: id of the tensor + 1, 0 empty */
    int n_variables, n_slots;
    octet_error error; /* the first one; code 0 while all is well */
} graph;

octet_status graph_create(graph **out, octet_error *error);
void graph_destroy(graph **g);

/* OCTET_OK, or the first error of the recording. */
octet_status graph_check(const graph *g, octet_error *error);

/* --- sources */

/* A tensor that is uploaded before each run (program_upload). The name is kept by reference. */
tensor *graph_input(graph *g, const char *name, dtype type, int rank, const int64_t *dim);

/* An input that is never uploaded. *data (NULL after an error) is zeroed memory of the graph that
 * the caller fills with the elements before the graph is compiled. */
tensor *graph_constant(graph *g, const char *name, dtype type, int rank, const int64_t *dim,
                       void **data);

/* The variable, as a tensor. The same variable gives the same tensor. */
tensor *graph_variable(graph *g, variable *v);

/* Keeps t's memory until the next run, so that program_download can read it. Returns t. */
tensor *graph_output(graph *g, tensor *t);

/* Another shape of the same elements; free. */
tensor *graph_reshape(graph *g, tensor *t, int rank, const int64_t *dim);

/* --- gradients */

/* Appends the nodes of dL/d(t) for every tensor t that `loss` (one element) hangs on and that hangs
 * on a parameter or on an f32 input, and sets t->gradient. Asking through an op without a gradient
 * is an error by name. */
void graph_backward(graph *g, tensor *loss);

/* Forgets all gradients, so that another loss can be walked back. */
void graph_clear_gradients(graph *g);

/* --- ops
 * ------------------------------------------------------------------------------------------
 * Leading dimensions are kept; "rows" means all dimensions but the last, flattened. All floats are
 * f32 unless stated; parameters may be stored as bf16. The sum of every product runs over ascending
 * index. */

/* y[M,N] = op(a) op(b), op = transpose when the flag is set; M, K of a are its rows and columns (or
 * columns and rows). Each element is one chain of fused multiply-adds over k ascending, starting
 * from 0. Without transpose_a the leading dimensions of a are kept. */
tensor *matmul(graph *g, tensor *a, tensor *b, int transpose_a, int transpose_b);

/* y[..,O] = x[..,I] w[O,I]^T. */
tensor *linear(graph *g, tensor *x, tensor *w);

/* y = a + b and y = a * b, equal shapes. */
tensor *add(graph *g, tensor *a, tensor *b);
tensor *mul(graph *g, tensor *a, tensor *b);

/* y[..,C] = x[..,C] + b[C]. */
tensor *add_row(graph *g, tensor *x, tensor *b);

/* y[C] = sum over rows of x[..,C]. Rows are summed in blocks of 64, ascending inside a block, then
 * the blocks ascending: one chain per column and block, one over blocks. */
tensor *sum_rows(graph *g, tensor *x);

/* y = f(x); see unary_kind. c is used by SCALE and SOFTCAP. */
tensor *unary(graph *g, tensor *x, unary_kind kind, float c);

/* dx = f'(x) dy. */
tensor *unary_grad(graph *g, tensor *x, tensor *dy, unary_kind kind, float c);

/* y[..,C] = norm(x) * gain[C] + bias[C]; gain and bias may be NULL. Sums over C use 16 lanes
 * (element i in lane i mod 16) and the tree (i, i+8), (i, i+4), (i, i+2), (i, i+1). */
tensor *norm(graph *g, tensor *x, tensor *gain, tensor *bias, norm_kind kind, float epsilon);

/* Of norm: *dx[..,C], and where dgain and dbias are not NULL *dgain[C] and *dbias[C] (summed as
 * sum_rows). gain may be NULL. */
void norm_grad(graph *g, tensor **dx, tensor **dgain, tensor **dbias, tensor *x, tensor *gain,
               tensor *dy, norm_kind kind, float epsilon);

/* y[..,H,D] = x[..,H,D] * s[H]. */
tensor *scale_heads(graph *g, tensor *x, tensor *s);

/* y[H] = sum over rows and D of a[..,H,D] * b[..,H,D]. Per row the 16-lane tree over D, then as
 * sum_rows. */
tensor *dot_heads(graph *g, tensor *a, tensor *b);

/* y[..,C] from index[..]: index i >= 0 takes row i of x[N,C], GATHER_NONE zeros, other negative i
 * row -1-i of start[S,C]. start may be NULL. An index outside is an error of the caller: kernels
 * give zeros. */
tensor *gather(graph *g, tensor *x, tensor *start, tensor *index);

/* y[..,C] from index[..,U]: the sum of the rows of x[N,C] that U indices name, ascending, from 0;
 * indices outside add nothing. */
tensor *gather_sum(graph *g, tensor *x, tensor *index);

/* The gradient of gather_sum: y[n,C], where each row of dy[..,C] is added to the rows that its
 * indices index[..,U] name, in the order of the indices. */
tensor *scatter_each(graph *g, tensor *dy, tensor *index, int64_t n);

/* The gradient of gather: y[n,C] sums the rows of dy[..,C] by index[..], rows ascending. With
 * from_start the rows of the second source (index -1-i to row i), else those of the first. */
tensor *scatter(graph *g, tensor *dy, tensor *index, int64_t n, int from_start);

/* Rotary positions (Su et al. 2021), pairs (i, i + D/2): x[B,T,H,D], table[B,T,D] = cos[D/2] then
 * sin[D/2]. y_i = x_i cos - x_{i+D/2} sin; y_{i+D/2} = x_i sin + x_{i+D/2} cos. inverse negates
 * sin. */
tensor *rope(graph *g, tensor *x, tensor *table, int inverse);

/* Marks the result of rope: pair i is (2i, 2i+1) instead. Returns y. */
tensor *rope_neighbours(graph *g, tensor *y);

/* x[B,T,C] with its upper channels one row late: channels below ceil(C/2) as they are, the others
 * those of row t-1 where first[b,t] < t, else 0 (first[B,T] i32: the first row of t's sequence).
 * inverse, the gradient: those of row t+1 where first[b,t+1] <= t, else 0. */
tensor *shift(graph *g, tensor *x, tensor *first, int inverse);

/* The same of new rows: row t of lane b stands at absolute row pos[b]+t, and the row before it is
 * read from the state[S,R,1,C], to which x must have been written by store, row j at j mod R: of
 * the rows from pos[b]-1 to pos[b]+count[b]-1 none lies where another does, or row pos[b]-1 is not
 * read. Rows t >= count[b] are padding: zeros. */
tensor *shift_cached(graph *g, tensor *x, tensor *state, tensor *slot, tensor *pos, tensor *count,
                     tensor *first);

/* Marks the result of shift or shift_cached: before a row that begins its sequence (first[b,t] is
 * not below t) but row 0 stands row 0. Of the gradient, dx of row 0 is its own, then in the upper
 * channels plus those of dy of all such rows t, ascending. Of shift_cached, state[S,R',1,C] holds
 * the first rows of each slot: store_first writes it, before y is recorded; elsewhere it is NULL.
 * Returns y. */
tensor *shift_start(graph *g, tensor *y, tensor *state);

/* Dropout (Srivastava et al. 2014): 0 where the element's draw is below `rate`, which is rounded to
 * p = a multiple of 2^-24 below 1, else x / (1-p). key[3] i32 holds the halves of the seed, the low
 * one first, and the step; site, below DROPOUT_SITES = 2^12, tells the dropouts of a graph apart.
 * Element i of x is element e = first + i of the step's batch, and its draw word e mod 4 of
 * philox(seed, PHILOX_DROPOUT, step, site 2^52 + floor(e/4)), its upper 24 bits. */
tensor *dropout(graph *g, tensor *x, tensor *key, double rate, int site, int64_t first);

/* Causal softmax attention inside sequences: q[B,T,H,D], k and v[B,T,G,D], G divides H (head h uses
 * key head h / (H/G)); first[B,T] i32: row t sees keys j with first[b,t] <= j <= t. o[B,T,H,D]; lse
 * (may be NULL) [B,T,H] = max + log sum exp, needed for the gradient. s_j = scale * (fused chain
 * over d ascending of q_d k_d). Keys come in tiles of 32 aligned to absolute position j. Running
 * max m, sum l, acc over tiles ascending: m' = max(m, max_j s_j); a = exp(m - m') (0 in the first
 * tile); p_j = exp(s_j - m'), 0 where not seen; l = l a + sum(p), the sum of a tile being lanes j
 * and j+16 added, then the 16-lane tree of norm; acc_d = acc_d a, then fma(p_j, v_jd, acc_d) over
 * the seen j ascending. o = acc / l. */
tensor *attention(graph *g, tensor **lse, tensor *q, tensor *k, tensor *v, tensor *first,
                  float scale);

/* Marks the result of attention, attention_grad or attention_cached: from score (t, j) of head h
 * slope_h (t - j) is taken, both operations rounded (ALiBi: Press, Smith, Lewis 2021). slope_h =
 * 2^(-8 (h+1) / H) where H is a power of two, else of the largest power of two n below H, and for
 * the heads past it every second slope of 2n heads. Slopes are not learned. Returns o. */
tensor *attention_slopes(graph *g, tensor *o);

/* Marks the result of attention, attention_grad or attention_cached: attention sinks (Xiao et al.
 * 2023). A row that sees keys from first on also sees keys j < min(sinks, first), in tiles of 32
 * aligned to j, which come before the tiles from first on: a tile that holds keys of both is walked
 * twice. In the gradient chains ascend over all that is seen. Of attention_cached, keys (layout
 * KEYS) and values [S,R',G,D] hold the first rows of each slot, row j at j, sinks <= R' (a multiple
 * of 32): store_first writes them, before o is recorded; elsewhere they are NULL. In a cache the
 * distance from a tile of sinks to a row, which linear biases take, counts as 2^24 beyond that.
 * Returns o. */
tensor *attention_sinks(graph *g, tensor *o, int64_t sinks, tensor *keys, tensor *values);

/* dq, dk, dv of attention: with p_tj = exp(s_tj - lse_t), delta_t = sum_d do_td o_td (16-lane
 * tree), ds_tj = p_tj (do_t . v_j - delta_t): dq_t = scale sum_j ds_tj k_j (j ascending), dk_j =
 * scale sum_t ds_tj q_t, dv_j = sum_t p_tj do_t (t ascending; with H > G the heads of a group
 * ascending inside t). */
void attention_grad(graph *g, tensor **dq, tensor **dk, tensor **dv, tensor *q, tensor *k,
                    tensor *v, tensor *first, tensor *o, tensor *lse, tensor *d_o, float scale);

/* Attention of new rows over cached keys and values, the same sums as attention. q[B,T,H,D]; keys
 * (layout KEYS) and values [S,R,G,D] variables, ring of R rows (a multiple of 32): row t of lane b
 * stands at absolute row pos[b]+t and sees rows first[b,t] <= j <= pos[b]+t, row j kept at j mod R
 * (j - first < R). slot[B], pos[B], count[B], first[B,T] are i32. Rows t >= count[b] are padding:
 * their output is zero. */
tensor *attention_cached(graph *g, tensor *q, tensor *keys, tensor *values, tensor *slot,
                         tensor *pos, tensor *count, tensor *first, float scale);

/* Writes x[B,T,...] into the state[S,R,...]: row t of lane b, t < count[b], to row (pos[b]+t) mod R
 * of slot[b]. Returns the state as it is afterwards (a view: pass it on, so that readers come
 * later). */
tensor *store(graph *g, tensor *state, tensor *x, tensor *slot, tensor *pos, tensor *count);

/* Store, of the rows pos[b]+t < R only: the state keeps the first rows and is no ring. */
tensor *store_first(graph *g, tensor *state, tensor *x, tensor *slot, tensor *pos, tensor *count);

/* --- integers. A row x[n] of floats becomes integers q[n] and a scale s, x about s q: a = max
 * |x_i|; q_i = round(x_i i) with i = 127 (1/a), to even, s = a (1/127), 1/127 rounded to f32; 1/a
 * is exact_reciprocal. q = 0 and s = 0 where a < 2^-100, s NaN where a >= 2^100 or an x_i is NaN.
 */

/* Most terms of a sum of products of such integers. */
#define INT8_MOST_TERMS 131072

/* y[..,O] of x[..,I] and w[O,I], I <= INT8_MOST_TERMS: rows of both as integers, y_mn = (their
 * exact product, as f32) * (s_m s_n). Calls with the same x that follow one another become one
 * node of up to three outputs. */
tensor *linear_int8(graph *g, tensor *x, tensor *w);

/* Attention as `attention`, without lse, and its marks. Rows of q, k and v of each head are
 * integers. s_j = (exact product, as f32) * ((s_q scale) s_kj), minus the linear bias; m = max_j
 * s_j over all that is seen; p_j = exp(s_j - m), 0 where not seen; l = sum of p_j in lanes j mod
 * 16, j ascending, sinks first, and the tree. w_j = p_j s_vj; W_j = round(w_j i) with b = max_j w_j
 * and i = 16383 (1/b); o_d = (high 128 + low) * ((b (1/16383)) (1/l)), high and low the exact sums
 * of floor(W_j / 128) v_jd and (W_j mod 128) v_jd as f32. 0 where b < 2^-100. A row sees at most
 * INT8_MOST_TERMS keys. */
tensor *attention_int8(graph *g, tensor *q, tensor *k, tensor *v, tensor *first, float scale);

/* The same over states of layout KEYS_INT8 and VALUES_INT8; inputs as of attention_cached, which
 * records this where keys are of that layout. */
tensor *attention_cached_int8(graph *g, tensor *q, tensor *keys, tensor *values, tensor *slot,
                              tensor *pos, tensor *count, tensor *first, float scale);

/* Store of x[B,T,G,D] into such a state [S,R,G,D+1]: rows become integers and a scale. `store` and
 * store_first record this where the state is of such a layout. */
tensor *store_int8(graph *g, tensor *state, tensor *x, tensor *slot, tensor *pos, tensor *count);

/* nll[..] = -log softmax(logits[..,V])[target[..]] in nats; 0 where target < 0. log sum exp with
 * the maximum subtracted, sum by 16 lanes (element i in lane i mod 16) and the tree. */
tensor *cross_entropy(graph *g, tensor *logits, tensor *target);

/* dlogits = (softmax(logits) - onehot(target)) dnll; 0 where target < 0. */
tensor *cross_entropy_grad(graph *g, tensor *logits, tensor *target, tensor *dnll);

/* Symbols that draw_symbol draws from: the bytes, and the end. */
#define DRAW_SYMBOLS 257

/* y[R] i32 = base[R] + a symbol drawn from logits[..,V] of R rows, or GATHER_NONE for the end: as
 * infer/sampler.h in f32, and so now and then another one. Symbols are those below 256 and V, in
 * order, then the logit `end` (-1: there is none). settings[R,4] = s, k, p, m: weights are w_i =
 * exp((l_i - max) s); by falling weight, of equals the lower symbol first, the first k stay (0:
 * all), of which those that have less than p times their sum before them, and the first; of these
 * those of at least m. Drawn is the first symbol with more than draw[R] times the sum of what
 * stays up to it and in it, else the last that stays. All sums ascend over the symbols. Logits that
 * are not finite give some symbol. */
tensor *draw_symbol(graph *g, tensor *logits, tensor *draw, tensor *settings, tensor *base,
                    int32_t end);

/* y[1] = sum a_i b_i over all elements: blocks of 1,024, in a block 16 lanes (fused) and the tree,
 * then the blocks ascending. */
tensor *dot(graph *g, tensor *a, tensor *b);

/* y = x * s[1]. */
tensor *mul_scalar(graph *g, tensor *x, tensor *s);

/* y[1] from s[1] = a sum of squares; see factor_kind. */
tensor *norm_factor(graph *g, tensor *s, factor_kind kind, float c);

/* --- optimizer: update variables in place; each returns the updated variable as a view */

/* AdamW (Loshchilov, Hutter 2019) with g' = g * factor[1]: m = b1 m + (1-b1) g', v = b2 v + (1-b2)
 * g'^2, w = w (1 - lr decay) - lr (m / c1) / (sqrt(v / c2) + eps). hyper[8] = lr, b1, b2, eps,
 * decay, c1 = 1 - b1^t, c2 = 1 - b2^t, unused. */
tensor *adamw(graph *g, tensor *w, tensor *gradient, tensor *m, tensor *v, tensor *factor,
              tensor *hyper);

/* m = beta m + (1-beta) g', g' = g * factor[1]; returns u = m, or with nesterov (1-beta) g' + beta
 * m (new m). */
tensor *momentum(graph *g, tensor *m, tensor *gradient, tensor *factor, tensor *hyper,
                 int nesterov);

/* w = w (1 - lr decay) - lr multiplier x; hyper[8] = lr, beta (of momentum), unused, unused, decay,
 * ... */
tensor *descend(graph *g, tensor *w, tensor *x, tensor *hyper, float multiplier);

/* m = m + weight[1] (w - m): the running mean of weights. */
tensor *lerp(graph *g, tensor *m, tensor *w, tensor *weight);

#endif
