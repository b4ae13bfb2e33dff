/* burg.c: see burg.h. */
#include "base/burg.h"

#include <string.h>

double burg_fit(double *a, int order, const double *x, size_t n, double *work) {
    double *forward = work, *backward = work + n, power = 0;
    for (size_t t = 0; t < n; t++) {
        forward[t] = backward[t] = x[t];
        power += x[t] * x[t] / (double)n;
    }
    memset(a, 0, (size_t)order * sizeof *a);
    for (int k = 0; k < order; k++) {
        double product = 0, squares = 0;
        for (size_t t = (size_t)k + 1; t < n; t++) {
            product += forward[t] * backward[t - 1];
            squares += forward[t] * forward[t] + backward[t - 1] * backward[t - 1];
        }
        if (!(squares > 1e-30))
            break;
        const double reflection = 2 * product / squares;
        for (int i = 0; i < k - 1 - i; i++) {
            const double low = a[i], high = a[k - 1 - i];
            a[i] = low - reflection * high;
            a[k - 1 - i] = high - reflection * low;
        }
        if (k % 2 == 1)
            a[k / 2] -= reflection * a[k / 2];
        a[k] = reflection;
        for (size_t t = n - 1; t > (size_t)k; t--) {
            const double f = forward[t], b = backward[t - 1];
            forward[t] = f - reflection * b;
            backward[t] = b - reflection * f;
        }
        power *= 1 - reflection * reflection;
    }
    return power;
}

void burg_extend(double *x, size_t n, const double *a, int order) {
    for (size_t t = 0; t < n; t++) {
        double sum = 0;
        for (int i = 0; i < order; i++)
            sum += a[i] * x[(ptrdiff_t)t - 1 - i];
        x[t] = sum;
    }
}
