/* burg.h: linear prediction by Burg's method: how a sound goes on if nothing new happens. */
#ifndef BASE_BURG_H
#define BASE_BURG_H

#include <stddef.h>

/* Fits a[order] so that a[0] x[t-1] + a[1] x[t-2] + ... is near x[t]; forward and backward errors
 * together are least, step by step in the order (Burg 1975; Kay, Modern Spectral Estimation, 1988,
 * 7.3). The predictor is stable. Returns the mean square that is left. work[2 n]. */
double burg_fit(double *a, int order, const double *x, size_t n, double *work);

/* What comes next, from order values before x: writes x[0] to x[n-1]. */
void burg_extend(double *x, size_t n, const double *a, int order);

#endif
