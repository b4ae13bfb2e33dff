// exact.glsl: base/exact.h in the language of shaders: exp, log, tanh, sigmoid and erf from separate
// + - * and operations on bits. What the language itself offers is up to 9 units off. `precise`
// keeps the compiler from rewriting the sums.
float exact_exp(float x) {
    precise float t = x * 1.44269504 + 12582912.0; // rounds to an integer
    precise float n = t - 12582912.0;
    precise float r = (x - n * 0.693359375) - n * -2.12194440e-4;
    precise float q = 1.9875691500e-4;
    q = q * r + 1.3981999507e-3;
    q = q * r + 8.3334519073e-3;
    q = q * r + 4.1665795894e-2;
    q = q * r + 1.6666665459e-1;
    q = q * r + 5.0000001201e-1;
    precise float y = (q * (r * r) + r) + 1.0;
    y = uintBitsToFloat(floatBitsToUint(y) + (floatBitsToUint(t) << 23));
    y = x > 88.7228317 ? uintBitsToFloat(0x7f800000u) : y;
    y = x < -87.3365402 ? 0.0 : y;
    return isnan(x) ? x : y;
}

// exp(x) - 1 for -80 <= x <= 0
float exact_expm1_negative(float x) {
    precise float t = x * 1.44269504 + 12582912.0;
    precise float n = t - 12582912.0;
    precise float r = (x - n * 0.693359375) - n * -2.12194440e-4;
    precise float q = 1.9875691500e-4;
    q = q * r + 1.3981999507e-3;
    q = q * r + 8.3334519073e-3;
    q = q * r + 4.1665795894e-2;
    q = q * r + 1.6666665459e-1;
    q = q * r + 5.0000001201e-1;
    precise float p = q * (r * r) + r;
    precise float s = uintBitsToFloat((floatBitsToUint(t) << 23) + 0x3f800000u);
    precise float y = s * p + (s - 1.0);
    return y;
}

// log(x) of a positive normal x
float exact_log(float x) {
    const uint u = floatBitsToUint(x) + (0x3f800000u - 0x3f3504f3u);
    precise float e = float(int(u >> 23)) - 127.0;
    precise float f = uintBitsToFloat((u & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    precise float p = 0.06746644;
    p = p * f + -0.116756454;
    p = p * f + 0.11888157;
    p = p * f + -0.1240559;
    p = p * f + 0.14219554;
    p = p * f + -0.16667996;
    p = p * f + 0.20002119;
    p = p * f + -0.2500001;
    p = p * f + 0.33333313;
    precise float z = f * f;
    precise float y = (p * f) * z + e * -2.12194440e-4;
    y = (f + (y - 0.5 * z)) + e * 0.693359375;
    return y;
}

float exact_tanh(float x) {
    const uint sign_bit = floatBitsToUint(x) & 0x80000000u;
    const float a = min(abs(x), 20.0);
    const float e = exact_expm1_negative(-2.0 * a);
    const float y = e / (2.0 + e);
    return uintBitsToFloat((floatBitsToUint(y) & 0x7fffffffu) | sign_bit);
}

float exact_sigmoid(float x) {
    return x < -87.3365402 ? 0.0 : 1.0 / (1.0 + exact_exp(-x));
}

float exact_erf(float x) {
    const uint sign_bit = floatBitsToUint(x) & 0x80000000u;
    const float a = min(abs(x), 4.0);
    precise float p = -7.432396e-06;
    p = p * a + 0.00010287154;
    p = p * a + -0.00058573956;
    p = p * a + 0.0015913829;
    p = p * a + -9.544774e-05;
    p = p * a + -0.019182201;
    p = p * a + 0.102783985;
    p = p * a + 0.6366189;
    p = p * a + 1.1283792;
    const float y = exact_expm1_negative(-(p * a));
    return uintBitsToFloat((floatBitsToUint(y) & 0x7fffffffu) | sign_bit);
}

// --- without division: the arithmetic of integers, the host's to the bit

// 1/x for 2^-100 <= x <= 2^100
float exact_reciprocal(float x) {
    precise float r = uintBitsToFloat(0x7ef311c7u - floatBitsToUint(x));
    for (uint i = 0; i < 4; i++) {
        precise float off = 2.0 - x * r;
        r = r * off;
    }
    return r;
}

// 1/sqrt(x), likewise
float exact_reciprocal_root(float x) {
    precise float h = 0.5 * x;
    precise float r = uintBitsToFloat(0x5f375a86u - (floatBitsToUint(x) >> 1));
    for (uint i = 0; i < 3; i++) {
        precise float off = 1.5 - (h * r) * r;
        r = r * off;
    }
    return r;
}

float exact_tanh_newton(float x) {
    const uint sign_bit = floatBitsToUint(x) & 0x80000000u;
    const float e = exact_expm1_negative(-2.0 * min(abs(x), 20.0));
    precise float y = e * exact_reciprocal(2.0 + e);
    return uintBitsToFloat((floatBitsToUint(y) & 0x7fffffffu) | sign_bit);
}

float exact_sigmoid_newton(float x) {
    const float e = exact_exp(x < -60.0 ? 60.0 : -x);
    return x < -60.0 ? 0.0 : exact_reciprocal(1.0 + e);
}
