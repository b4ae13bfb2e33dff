/* sound_test.c: what is computed of sounds: transform, prediction, pictures. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/burg.h"
#include "base/fft.h"
#include "base/png.h"
#include "plot/sound_picture.h"
#include "support.h"

#define PI 3.14159265358979323846

static octet_error error;

/* Against the definition: its sums are exact to n roundings. */
static void transform_is_its_definition(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (int n = 1; n <= 256; n *= 2) {
        double x[256], y[256], re[256], im[256];
        for (int i = 0; i < n; i++) {
            re[i] = x[i] = (double)support_uniform(&seed, -1, 1);
            im[i] = y[i] = (double)support_uniform(&seed, -1, 1);
        }
        fft_forward(re, im, n);
        for (int k = 0; k < n; k++) {
            double a = 0, b = 0;
            for (int t = 0; t < n; t++) {
                const double c = cos(2 * PI * (k * t % n) / n), s = -sin(2 * PI * (k * t % n) / n);
                a += x[t] * c - y[t] * s;
                b += x[t] * s + y[t] * c;
            }
            assert_true(fabs(a - re[k]) < 1e-12 * n && fabs(b - im[k]) < 1e-12 * n);
        }
    }
}

static void sines_have_power_one(void **state) {
    (void)state;
    enum { N = 512 };
    double x[N], im[N], power[N / 2 + 1];
    for (int bin = 3; bin < N / 2 - 3; bin += 17) {
        for (int t = 0; t < N; t++)
            x[t] = sin(2 * PI * bin * t / N + 0.4);
        fft_power(power, x, im, N);
        assert_true(fabs(power[bin] - 1) < 1e-9);
        for (int k = 0; k <= N / 2; k++)
            assert_true(abs(k - bin) <= 1 || power[k] < 1e-12);
    }
}

/* A resonance fed with noise has its own coefficients; two tones go on for ever. */
static void predictions_are_right(void **state) {
    (void)state;
    enum { N = 20000, ORDER = 8 };
    static double x[N + 500], work[2 * N];
    double a[ORDER];
    uint64_t seed = 8;
    for (int t = 0; t < N; t++)
        x[t] = 1.6 * (t > 0 ? x[t - 1] : 0) - 0.8 * (t > 1 ? x[t - 2] : 0) +
               (double)support_uniform(&seed, -1, 1);
    const double left = burg_fit(a, 2, x, N, work);
    /* estimates of n samples are off by about 1 / sqrt(n); the noise's mean square is 1/3 */
    assert_true(fabs(a[0] - 1.6) < 0.03 && fabs(a[1] + 0.8) < 0.03 && fabs(left - 1.0 / 3) < 0.02);
    for (int t = 0; t < N + 500; t++)
        x[t] = sin(0.3 * t) + 0.5 * sin(1.1 * t + 2);
    (void)burg_fit(a, ORDER, x, 4000, work);
    burg_extend(x + 4000, 200, a, ORDER);
    /* the poles are estimates: what they are off by grows with every period */
    for (int t = 4000; t < 4200; t++)
        assert_true(fabs(x[t] - sin(0.3 * t) - 0.5 * sin(1.1 * t + 2)) < 5e-3);
    memset(x, 0, sizeof x);
    assert_true(burg_fit(a, ORDER, x, 100, work) == 0);
    burg_extend(x + 100, 10, a, ORDER);
    assert_true(x[109] == 0);
}

static uint32_t big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* By the book: chunks with right sums; what is inflated, with the rows above added, is the picture.
 */
static void pngs_hold_the_picture(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {3, 2}, {17, 31}, {256, 5}};
    uint64_t seed = 3;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int width = sizes[s][0], height = sizes[s][1];
        const size_t row = 3 * (size_t)width;
        uint8_t *rgb = support_alloc(row * (size_t)height, 1), *file;
        for (size_t i = 0; i < row * (size_t)height; i++)
            rgb[i] = (uint8_t)support_random(&seed);
        size_t size;
        support_ok(png_encode(&file, &size, rgb, width, height, &error), &error);
        assert_memory_equal(file, "\x89PNG\r\n\x1a\n", 8);
        uLongf n = (row + 1) * (uLong)height;
        uint8_t *rows = support_alloc(n, 1);
        size_t at = 8;
        for (int chunk = 0; chunk < 3; chunk++) {
            const uint32_t length = big(file + at);
            const uint8_t *data = file + at + 8;
            assert_memory_equal(file + at + 4, &"IHDRIDATIEND"[4 * chunk], 4);
            assert_int_equal(big(data + length), crc32(0, file + at + 4, length + 4));
            if (chunk == 0)
                assert_true(big(data) == (uint32_t)width && big(data + 4) == (uint32_t)height &&
                            data[8] == 8 && data[9] == 2);
            if (chunk == 1)
                assert_int_equal(uncompress(rows, &n, data, length), Z_OK);
            at += 12 + length;
        }
        assert_int_equal(at, size);
        assert_int_equal(n, (row + 1) * (size_t)height);
        for (int y = 0; y < height; y++) {
            uint8_t *line = rows + (size_t)y * (row + 1);
            assert_int_equal(line[0], 2);
            for (size_t i = 1; i <= row && y > 0; i++)
                line[i] = (uint8_t)(line[i] + line[i - row - 1]);
            assert_memory_equal(line + 1, rgb + (size_t)y * row, row);
        }
        free(rows);
        free(file);
        free(rgb);
    }
}

/* A tone is the loudest in its own row, at its own level, for as long as it sounds. */
static void spectrograms_show_tones_where_they_are(void **state) {
    (void)state;
    enum { RATE = 8000, COLUMNS = 60, ROWS = 40 };
    static float x[RATE], db[ROWS * COLUMNS];
    for (int t = 0; t < RATE; t++)
        x[t] = 0.1f * (float)sin(2 * PI * 1050 * t / RATE);
    const sound s = {x, RATE, RATE};
    support_ok(spectrogram_make(db, COLUMNS, ROWS, &s, 1.5, 4000, &error), &error);
    const int row = ROWS - 1 - 1050 * ROWS / 4000;
    for (int i = 2; i < 38; i++) {
        for (int j = 0; j < ROWS; j++)
            assert_true(abs(j - row) <= 1 || db[j * COLUMNS + i] < -60);
        /* half way between two bins a Hann window loses 1.42 dB */
        assert_true(db[row * COLUMNS + i] > -21.5f && db[row * COLUMNS + i] < -19.9f);
    }
    for (int i = 41; i < COLUMNS; i++)
        assert_true(isinf(db[row * COLUMNS + i]));
}

static void pictures_hold_their_parts(void **state) {
    (void)state;
    static float x[3000], bits[3000];
    for (int t = 0; t < 3000; t++) {
        x[t] = (float)sin(0.05 * t);
        bits[t] = (float)(t % 100) / 20;
    }
    const sound_track tracks[] = {
        {.title = "a <tone> & \x01\xff", .sound = {x, 3000, 8000}},
        {.title = "b",
         .sound = {x, 1500, 4000},
         .bits = bits,
         .n_bits = 3000,
         .bits_rate_hz = 8000},
        {.title = "empty", .sound = {x, 0, 8000}, .bits = bits, .n_bits = 0, .bits_rate_hz = 8000},
    };
    static const char *const paths[] = {"/tmp/octet_sound_test.svg", "/tmp/octet_sound_test.png"};
    for (int i = 0; i < 2; i++) {
        support_ok(sound_picture_draw(tracks, 3, 0.2, paths[i], &error), &error);
        FILE *f = fopen(paths[i], "rb");
        assert_non_null(f);
        char *text = support_alloc(4 << 20, 1);
        const size_t n = fread(text, 1, (4 << 20) - 1, f);
        fclose(f);
        remove(paths[i]);
        if (i == 1) {
            assert_memory_equal(text, "\x89PNG", 4);
            assert_int_equal(big((uint8_t *)text + 16), 2 * 860);
        } else {
            assert_true(n > 1000 && !strcmp(text + n - 7, "</svg>\n"));
            support_contains(text, "a &#60;tone&#62; &#38; ??");
            support_contains(text, "data:image/png;base64,iVBOR");
            support_contains(text, "3 bit");
            support_contains(text, "line valid");
        }
        free(text);
    }
    support_ok(sound_picture_draw(tracks + 2, 1, -1, paths[0], &error), &error);
    remove(paths[0]);
    assert_int_equal(sound_picture_draw(tracks, 1, -1, "/none/x.png", &error), OCTET_ERROR);
    assert_int_equal(sound_picture_draw(tracks, 1, -1, "/none/x.svg", &error), OCTET_ERROR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transform_is_its_definition),
        cmocka_unit_test(sines_have_power_one),
        cmocka_unit_test(predictions_are_right),
        cmocka_unit_test(pngs_hold_the_picture),
        cmocka_unit_test(spectrograms_show_tones_where_they_are),
        cmocka_unit_test(pictures_hold_their_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
