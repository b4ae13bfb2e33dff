/* image_make.h: images for tests: PNG by libpng, in all its kinds, and PNM by hand. */
#ifndef TESTS_IMAGE_MAKE_H
#define TESTS_IMAGE_MAKE_H

#include "audio_make.h"

typedef struct png_kind {
    int type; /* of PNG: 0 grey, 2 RGB, 3 palette, 4 grey with opacity, 6 RGB with opacity */
    int bits, interlaced;
    int key; /* 1: tRNS: with a palette the opacity of entry 1 is 0; else samples of 0 are clear */
} png_kind;

/* Samples of a pixel of that type in the file. */
int png_samples(const png_kind *k);

/* From rows as PNG has them before its filters: packed below 8 bits, two bytes above, big-endian.
 * Palettes have entry i = (i, 255 - i, 7 i mod 256). */
audio_file png_make(const png_kind *k, int width, int height, const uint8_t *rows);

/* "P5" or "P6" with that header text behind it, then n bytes. */
audio_file pnm_make(const char *header, const uint8_t *pixels, size_t n);

/* n seeded bytes: slopes with noise, and the extremes. */
uint8_t *image_noise(size_t n, uint64_t seed);

/* Gives all whole chunks of a PNG their right checksums; leaves other files alone. */
void png_fix_checksums(audio_file *file);

#endif
