/* exact.h: exp, log, tanh, sigmoid, erf and sin with the same bits on every machine.
 *
 * libm differs between versions and processors, and a coder or sampler that uses it decodes nowhere
 * else. Each function here is a fixed sequence of separate + - * (never fused: a shader must be
 * able to repeat it), integer operations on the bits, and division where stated (IEEE division is
 * correctly rounded on every CPU). The same text serves scalar and vector code: a kernel file that
 * includes this header and is compiled for AVX2 or AVX-512 gets vector versions from the compiler,
 * with the same bits, because the functions hold no branches and no library calls. MATH.md states
 * each one's error. */
#ifndef BASE_EXACT_H
#define BASE_EXACT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t exact_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float exact_float(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* condition ? a : b on the bits. A conditional expression would let the compiler put the float
 * operations behind b under the condition, and then it no longer vectorises them. */
static inline float exact_select(int condition, float a, float b) {
    uint32_t mask = 0u - (uint32_t)condition;
    return exact_float((exact_bits(a) & mask) | (exact_bits(b) & ~mask));
}

/* exp(x). Error below 1 ulp; 0 where the result would not be a normal number (x < -87.336), inf
 * above 88.722. */
static inline float exact_exp(float x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float t = x * 1.44269504f + magic;
    float n = t - magic;
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f; /* x - n ln 2, ln 2 in two parts */
    float q = 1.9875691500e-4f;
    q = q * r + 1.3981999507e-3f;
    q = q * r + 8.3334519073e-3f;
    q = q * r + 4.1665795894e-2f;
    q = q * r + 1.6666665459e-1f;
    q = q * r + 5.0000001201e-1f;
    float y = (q * (r * r) + r) + 1.0f;
    /* times 2^n by adding n, the low bits of t, to the exponent */
    y = exact_float(exact_bits(y) + (exact_bits(t) << 23));
    y = exact_select(x > 88.7228317f, exact_float(0x7f800000u), y);
    y = exact_select(x < -87.3365402f, 0.0f, y);
    return exact_select(x != x, x, y);
}

/* exp(x) - 1 for -80 <= x <= 0, relative error below 2 ulp. */
static inline float exact_expm1_negative(float x) {
    const float magic = 12582912.0f;
    float t = x * 1.44269504f + magic;
    float n = t - magic;
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float q = 1.9875691500e-4f;
    q = q * r + 1.3981999507e-3f;
    q = q * r + 8.3334519073e-3f;
    q = q * r + 4.1665795894e-2f;
    q = q * r + 1.6666665459e-1f;
    q = q * r + 5.0000001201e-1f;
    float p = q * (r * r) + r;                                  /* exp(r) - 1 */
    float s = exact_float((exact_bits(t) << 23) + 0x3f800000u); /* 2^n */
    return s * p + (s - 1.0f);
}

/* log(x), error below 1 ulp. -inf of 0, NaN below 0. */
static inline float exact_log(float x) {
    int tiny = x < 1.17549435e-38f;
    float scaled = exact_select(tiny, x * 8388608.0f, x);
    /* x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)) */
    uint32_t u = exact_bits(scaled) + (0x3f800000u - 0x3f3504f3u);
    float e = (float)(int32_t)(u >> 23) - exact_select(tiny, 150.0f, 127.0f);
    float f = exact_float((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    /* f - f^2 / 2 + f^3 p(f): least maximum error, found by exchange */
    float p = 0.06746644f;
    p = p * f + -0.116756454f;
    p = p * f + 0.11888157f;
    p = p * f + -0.1240559f;
    p = p * f + 0.14219554f;
    p = p * f + -0.16667996f;
    p = p * f + 0.20002119f;
    p = p * f + -0.2500001f;
    p = p * f + 0.33333313f;
    float z = f * f;
    float y = (p * f) * z + e * -2.12194440e-4f;
    y = (f + (y - 0.5f * z)) + e * 0.693359375f;
    y = exact_select(x < exact_float(0x7f800000u), y, x);
    y = exact_select(x < 0.0f, exact_float(0x7fc00000u), y);
    return exact_select(x == 0.0f, exact_float(0xff800000u), y);
}

/* tanh(x) = -E / (2 + E) with E = exp(-2 |x|) - 1, error below 3 ulp. One division. */
static inline float exact_tanh(float x) {
    uint32_t sign = exact_bits(x) & 0x80000000u;
    float a = exact_float(exact_bits(x) ^ sign);
    float e = exact_expm1_negative(-2.0f * exact_select(a > 20.0f, 20.0f, a));
    float y = e / (2.0f + e);
    return exact_float((exact_bits(y) & 0x7fffffffu) | sign);
}

/* 1 / (1 + exp(-x)), error below 3 ulp; 0 where exp(x) is 0. One division. */
static inline float exact_sigmoid(float x) {
    float y = 1.0f / (1.0f + exact_exp(-x));
    return exact_select(x < -87.3365402f, 0.0f, y);
}

/* erf(x) = 1 - exp(-|x| p(|x|)), p(x) = -log(erfc(x)) / x being almost a straight line, error
 * below 4 ulp. */
static inline float exact_erf(float x) {
    uint32_t sign = exact_bits(x) & 0x80000000u;
    float a = exact_float(exact_bits(x) ^ sign);
    a = exact_select(a > 4.0f, 4.0f, a);
    /* least maximum error on [0, 4], found by exchange */
    float p = -7.432396e-06f;
    p = p * a + 0.00010287154f;
    p = p * a + -0.00058573956f;
    p = p * a + 0.0015913829f;
    p = p * a + -9.544774e-05f;
    p = p * a + -0.019182201f;
    p = p * a + 0.102783985f;
    p = p * a + 0.6366189f;
    p = p * a + 1.1283792f;
    float y = exact_expm1_negative(-(p * a));
    return exact_float((exact_bits(y) & 0x7fffffffu) | sign);
}

/* --- without division, for arithmetic that a GPU repeats ------------------------------------ */

/* 1/x for 2^-100 <= x <= 2^100: a line through the bits, off by 12% at most, then Newton's
 * iteration. Error below 2 ulp. */
static inline float exact_reciprocal(float x) {
    float r = exact_float(0x7ef311c7u - exact_bits(x));
    r = r * (2.0f - x * r);
    r = r * (2.0f - x * r);
    r = r * (2.0f - x * r);
    return r * (2.0f - x * r);
}

/* 1/sqrt(x) for 2^-100 <= x <= 2^100, likewise: off by 3.5% at first. Error below 3 ulp. */
static inline float exact_reciprocal_root(float x) {
    float h = 0.5f * x;
    float r = exact_float(0x5f375a86u - (exact_bits(x) >> 1));
    r = r * (1.5f - (h * r) * r);
    r = r * (1.5f - (h * r) * r);
    return r * (1.5f - (h * r) * r);
}

/* exact_tanh and exact_sigmoid with exact_reciprocal in place of the division. */
static inline float exact_tanh_newton(float x) {
    uint32_t sign = exact_bits(x) & 0x80000000u;
    float a = exact_float(exact_bits(x) ^ sign);
    float e = exact_expm1_negative(-2.0f * exact_select(a > 20.0f, 20.0f, a));
    float y = e * exact_reciprocal(2.0f + e);
    return exact_float((exact_bits(y) & 0x7fffffffu) | sign);
}

static inline float exact_sigmoid_newton(float x) {
    float e = exact_exp(exact_select(x < -60.0f, 60.0f, -x));
    float y = exact_reciprocal(1.0f + e);
    return exact_select(x < -60.0f, 0.0f, y);
}

/* --- in double, for tables made on the host -------------------------------------------------- */

static inline uint64_t exact_bits_double(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline double exact_double(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* sin(x) and cos(x) for |x| <= 2^31, absolute error below 2^-52. */
static inline void exact_sincos(double x, double *s, double *c) {
    const double magic = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to an integer */
    double t = x * 0.6366197723675814 + magic;
    double n = t - magic;
    /* x - n pi/2, pi/2 in three parts of 22 bits, whose products with n are exact, and a rest */
    double r = x - n * 1.570796012878418;
    r = r - n * 3.139164164167596e-07;
    r = r - n * 6.223371969669989e-14;
    r = r - n * 2.0222662487959506e-21;
    double z = r * r;
    double p = 2.8114572543455206e-15; /* the series 1/k! */
    p = 7.647163731819816e-13 - p * z;
    p = 1.6059043836821613e-10 - p * z;
    p = 2.505210838544172e-08 - p * z;
    p = 2.7557319223985893e-06 - p * z;
    p = 0.0001984126984126984 - p * z;
    p = 0.008333333333333333 - p * z;
    p = 0.16666666666666666 - p * z;
    double sine = r - (r * z) * p;
    double q = 1.5619206968586225e-16;
    q = 4.779477332387385e-14 - q * z;
    q = 1.1470745597729725e-11 - q * z;
    q = 2.08767569878681e-09 - q * z;
    q = 2.755731922398589e-07 - q * z;
    q = 2.48015873015873e-05 - q * z;
    q = 0.001388888888888889 - q * z;
    q = 0.041666666666666664 - q * z;
    double cosine = 1.0 - (0.5 * z - (z * z) * q);
    uint64_t quadrant = exact_bits_double(t) & 3u;
    double a = (quadrant & 1u) != 0 ? cosine : sine;
    double b = (quadrant & 1u) != 0 ? sine : cosine;
    *s = (quadrant & 2u) != 0 ? -a : a;
    *c = ((quadrant + 1u) & 2u) != 0 ? -b : b;
}

/* 2^x for |x| <= 1000, relative error below 2^-51. */
static inline double exact_exp2(double x) {
    const double magic = 6755399441055744.0;
    double t = x + magic;
    double r = (x - (t - magic)) * 0.6931471805599453;
    double p = 1.1470745597729725e-11; /* the series 1/k! */
    p = p * r + 1.6059043836821613e-10;
    p = p * r + 2.08767569878681e-09;
    p = p * r + 2.505210838544172e-08;
    p = p * r + 2.755731922398589e-07;
    p = p * r + 2.7557319223985893e-06;
    p = p * r + 2.48015873015873e-05;
    p = p * r + 0.0001984126984126984;
    p = p * r + 0.001388888888888889;
    p = p * r + 0.008333333333333333;
    p = p * r + 0.041666666666666664;
    p = p * r + 0.16666666666666666;
    p = p * r + 0.5;
    double y = (p * (r * r) + r) + 1.0;
    return exact_double(exact_bits_double(y) + (exact_bits_double(t) << 52));
}

/* log2(x) of a positive normal x, relative error below 2^-50. One division. */
static inline double exact_log2(double x) {
    /* x = 2^e m with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(s), s = (m - 1) / (m + 1) */
    uint64_t u = exact_bits_double(x) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    double e = (double)(int64_t)(u >> 52) - 1023.0;
    double m = exact_double((u & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu);
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double p = 0.12545174268599682; /* the series 2 / ((2k+1) ln 2) */
    p = p * z + 0.1373995277037108;
    p = p * z + 0.15186263588304877;
    p = p * z + 0.16972882833987804;
    p = p * z + 0.19235933878519512;
    p = p * z + 0.22195308321368667;
    p = p * z + 0.2623081892525388;
    p = p * z + 0.3205988979753252;
    p = p * z + 0.4121985831111324;
    p = p * z + 0.5770780163555853;
    p = p * z + 0.9617966939259756;
    p = p * z + 2.8853900817779268;
    return e + p * s;
}

/* base^exponent of a positive normal base, |exponent log2(base)| <= 1000; the error is that of
 * the logarithm times the exponent: relative 2^-51 |exponent log2(base)|, at least 2^-50. */
static inline double exact_pow(double base, double exponent) {
    return exact_exp2(exponent * exact_log2(base));
}

#endif
