/* codec_mulaw.c: mu-law of ITU-T G.711 (table 2a and 2b), one byte a sample.
 *
 * The table's magnitudes run to 8159 at full scale 8192. With 33 added its decision values are
 * 2^(s+5) + m 2^(s+1) for segment s in [0, 8) and step m in [0, 16), so that segment and step are
 * the leading bits; the value of a code lies in the middle between two. */
#include "codec/codecs.h"

enum { BIAS = 33, MOST = 8159 };

/* The value of a code at full scale 8192. */
static int code_value(uint8_t code) {
    const int inverted = ~code & 0xff;
    const int segment = inverted >> 4 & 7;
    const int magnitude = ((2 * (inverted & 15) + BIAS) << segment) - BIAS;
    return inverted & 0x80 ? -magnitude : magnitude;
}

/* magnitude in [0, MOST). A value on a decision belongs to the step above it. */
static uint8_t code_of(int magnitude, int negative) {
    const int biased = magnitude + BIAS;
    int segment = 0;
    while (biased >> (segment + 6) != 0) {
        segment++;
    }
    const int step = biased >> (segment + 1) & 15;
    return (uint8_t) ~(negative << 7 | segment << 4 | step);
}

static void encode(uint8_t *out, const double *x, size_t n, codec_counts *counts) {
    for (size_t i = 0; i < n; i++) {
        const double exact = 8192 * x[i];
        const int negative = exact < 0;
        const double magnitude = negative ? -exact : exact;
        if (magnitude >= MOST) {
            counts->clipped++;
            out[i] = code_of(MOST - 1, negative);
            continue;
        }
        /* Decisions are integers: the fraction never decides. */
        out[i] = code_of((int)magnitude, negative);
        counts->rounded += code_value(out[i]) != exact;
    }
}

static void decode(int16_t *out, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (int16_t)(4 * code_value(bytes[i]));
    }
}

const codec codec_mulaw8 = {.name = "mulaw8",
                            .about = "8-bit mu-law samples (G.711)",
                            .sample_bytes = 1,
                            .encode = encode,
                            .decode = decode};
