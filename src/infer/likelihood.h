/* likelihood.h: what a symbol costs under a row of logits.
 *
 * One function for scoring, sessions and everything that compares them: a fixed order of exact
 * operations on the host, so equal logits give equal bits everywhere. */
#ifndef INFER_LIKELIHOOD_H
#define INFER_LIKELIHOOD_H

/* -log2 softmax(logits[n])[symbol], n >= 1, never negative; NaN when a logit is NaN or +inf. The
 * largest logit is subtracted; the exponentials are added in 16 lanes (element i in lane i mod 16)
 * and the tree (i, i+8), (i, i+4), (i, i+2), (i, i+1). */
float likelihood_bits(const float *logits, int n, int symbol);

#endif
