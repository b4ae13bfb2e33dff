/* codec_pcm.c: linear samples of two bytes and of one.
 *
 * Two bytes go out with the most significant first: a model then predicts the coarse value before
 * the fine one. Values of the source that are integers of at most so many bits pass unchanged. */
#include <math.h>

#include "codec/codecs.h"

/* The integer nearest to scale * x, ties to even, within [-scale, scale - 1]. nearbyint is exact by
 * IEEE 754 in the rounding mode that every program starts with. */
static int quantise(double x, double scale, codec_counts *counts) {
    const double exact = scale * x;
    const double nearest = nearbyint(exact);
    if (nearest < -scale || nearest > scale - 1) {
        counts->clipped++;
        return nearest < 0 ? (int)-scale : (int)scale - 1;
    }
    counts->rounded += nearest != exact;
    return (int)nearest;
}

static void encode16(uint8_t *out, const double *x, size_t n, codec_counts *counts) {
    for (size_t i = 0; i < n; i++) {
        const unsigned value = (unsigned)quantise(x[i], 32768, counts);
        out[2 * i] = (uint8_t)(value >> 8);
        out[2 * i + 1] = (uint8_t)value;
    }
}

static void decode16(int16_t *out, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int value = bytes[2 * i] << 8 | bytes[2 * i + 1];
        out[i] = (int16_t)(value < 32768 ? value : value - 65536);
    }
}

static void encode8(uint8_t *out, const double *x, size_t n, codec_counts *counts) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(quantise(x[i], 128, counts) + 128);
    }
}

static void decode8(int16_t *out, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (int16_t)((bytes[i] - 128) * 256);
    }
}

const codec codec_pcm16 = {.name = "pcm16",
                           .about = "16-bit samples, the most significant byte first",
                           .sample_bytes = 2,
                           .bits = 16,
                           .encode = encode16,
                           .decode = decode16};

const codec codec_pcm8 = {.name = "pcm8",
                          .about = "8-bit linear samples, 128 is zero",
                          .sample_bytes = 1,
                          .bits = 8,
                          .encode = encode8,
                          .decode = decode8};
