// int8.glsl: rows as integers and a scale, see "integers" in graph.h.
const uint LEAST = 0x0d800000u, MOST = 0x71800000u; // bits of 2^-100 and 2^100
const float MAGIC = 12582912.0; // 1.5 * 2^23: adding it rounds to an integer, in the low bits
#define NOT_A_NUMBER uintBitsToFloat(0x7fc00000u)

// Of a row whose largest magnitude has these bits: the scale, and what elements are multiplied by.
float scale_of(uint most, out float inverse) {
    inverse = 0.0;
    if (most < LEAST || most >= MOST)
        return most < LEAST ? 0.0 : NOT_A_NUMBER;
    const float a = uintBitsToFloat(most);
    precise float i = 127.0 * exact_reciprocal(a);
    precise float s = a * 0.00787401572; // 1/127
    inverse = i;
    return s;
}

// Of weights whose largest has these bits, from exponentials of this sum: what sums of values are
// multiplied by, and what weights are.
float factor_of(uint most, float sum, out float inverse) {
    inverse = 0.0;
    if (most < LEAST || most >= MOST)
        return most < LEAST ? 0.0 : NOT_A_NUMBER;
    const float b = uintBitsToFloat(most);
    precise float i = 16383.0 * exact_reciprocal(b);
    precise float f = (b * 6.10388815e-05) * exact_reciprocal(sum); // 1/16383
    inverse = i;
    return f;
}

// x times inverse as an integer.
int rounded(float x, float inverse) {
    precise float t = x * inverse + MAGIC;
    return int(floatBitsToUint(t) - floatBitsToUint(MAGIC));
}
