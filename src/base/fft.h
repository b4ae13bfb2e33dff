/* fft.h: the discrete Fourier transform, radix 2, for pictures and measures of sound. */
#ifndef BASE_FFT_H
#define BASE_FFT_H

/* In place: (re, im)[k] = sum over t of (re + i im)[t] exp(-2 pi i k t / n). n is a power of two.
 */
void fft_forward(double *re, double *im, int n);

/* power[n/2 + 1] of n samples under a Hann window, so that a sine of amplitude 1 at a bin's middle
 * has power 1 there. im[n] is work space, x is used up. */
void fft_power(double *power, double *x, double *im, int n);

#endif
