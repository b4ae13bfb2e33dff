/* fft.c: see fft.h. Decimation in time (Cooley and Tukey 1965): samples in bit-reversed order, then
 * butterflies over pairs of transforms that double in length. */
#include "base/fft.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

static void swap(double *a, double *b) {
    const double x = *a;
    *a = *b;
    *b = x;
}

static void reverse_bits(double *re, double *im, int n) {
    for (int i = 1, j = 0; i < n; i++) {
        int bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            swap(&re[i], &re[j]);
            swap(&im[i], &im[j]);
        }
    }
}

void fft_forward(double *re, double *im, int n) {
    reverse_bits(re, im, n);
    for (int length = 2; length <= n; length *= 2) {
        const int half = length / 2;
        for (int k = 0; k < half; k++) {
            const double c = cos(2 * PI * k / length), s = -sin(2 * PI * k / length);
            for (int i = k; i < n; i += length) {
                const int j = i + half;
                const double x = re[j] * c - im[j] * s, y = re[j] * s + im[j] * c;
                re[j] = re[i] - x;
                im[j] = im[i] - y;
                re[i] += x;
                im[i] += y;
            }
        }
    }
}

void fft_power(double *power, double *x, double *im, int n) {
    for (int i = 0; i < n; i++) {
        x[i] *= 0.5 - 0.5 * cos(2 * PI * (i + 0.5) / n);
        im[i] = 0;
    }
    fft_forward(x, im, n);
    const double scale = 4.0 / n; /* the window's mean is a half, a sine has two sides */
    for (int k = 0; k <= n / 2; k++)
        power[k] = scale * scale * (x[k] * x[k] + im[k] * im[k]);
}
