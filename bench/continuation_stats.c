/* continuation_stats.c: the measures of bench/README.md ("Continued sound"): a model's
 * continuations of clips beside the real ones and beside simple guesses.
 *
 *     continuation_stats MODEL FILE FOLDER
 *
 * prints the table and writes some of the sounds into the folder. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/burg.h"
#include "base/fft.h"
#include "octet/octet.h"

enum {
    CLIPS = 200,
    BATCH = 20, /* clips that are continued together */
    RATE = 8000,
    HALF = 4000, /* samples that are read, and that follow */
    WINDOW = 256,
    HOP = 128,
    FRAMES = (HALF - WINDOW) / HOP + 1,
    BANDS = 20,
    ORDER = 16,
    ALL = CLIPS * FRAMES,
    SAVED = 4 /* clips whose sounds are written */
};

static const double FLOOR_DB = -70, SILENT_DB = -40, PI = 3.14159265358979323846;

typedef enum kind { REAL, MODEL, SILENCE, NOISE, PREDICTOR, REPEATED, KINDS } kind;

static const char *const names[KINDS] = {"real",  "model",     "silence",
                                         "noise", "predictor", "repeated"};

typedef struct sounds {
    uint8_t clip[CLIPS][HALF];
    uint8_t next[KINDS][CLIPS][HALF];
} sounds;

typedef struct measured {
    double band[BANDS][ALL], energy[ALL]; /* decibels */
    double silent, run_ms;
} measured;

static void fail(const char *text) {
    fprintf(stderr, "continuation_stats: %s\n", text);
    exit(1);
}

static void *allocate(size_t bytes) {
    void *p = calloc(1, bytes);
    if (!p)
        fail("no memory");
    return p;
}

/* --- sounds */

/* splitmix64, and a normal deviate of two of its numbers (Box and Muller 1958). */
static double uniform(uint64_t *state) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}

static double normal(uint64_t *state) {
    const double radius = sqrt(-2 * log(1 - uniform(state)));
    return radius * cos(2 * PI * uniform(state));
}

static double sample_of(uint8_t byte) {
    return (byte - 128) / 128.0;
}

static uint8_t byte_of(double x) {
    const double value = nearbyint(128 * x) + 128;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void make_guesses(sounds *s, int clip) {
    double x[HALF], y[ORDER + HALF], work[2 * HALF], a[ORDER], power = 0;
    uint64_t seed = (uint64_t)clip + 1;
    for (int t = 0; t < HALF; t++) {
        x[t] = sample_of(s->clip[clip][t]);
        power += x[t] * x[t] / HALF;
    }
    const double error = sqrt(burg_fit(a, ORDER, x, HALF, work));
    memcpy(y, x + HALF - ORDER, ORDER * sizeof *y);
    for (int t = 0; t < HALF; t++) {
        burg_extend(y + ORDER + t, 1, a, ORDER);
        y[ORDER + t] += error * normal(&seed);
        s->next[PREDICTOR][clip][t] = byte_of(y[ORDER + t]);
        s->next[NOISE][clip][t] = byte_of(sqrt(power) * normal(&seed));
        s->next[SILENCE][clip][t] = byte_of(0);
        s->next[REPEATED][clip][t] = s->clip[clip][t];
    }
}

/* As octet continue does it, several clips as one batch. */
static octet_status continue_clips(sounds *s, octet_model *model, int first, octet_error *error) {
    octet_model_info info;
    octet_model_info_get(model, &info);
    const int64_t most = info.keep + (info.context - info.keep) / 2;
    const size_t n = most < HALF ? (size_t)most : HALF;
    const octet_session_params params = {.streams = BATCH, .keep = -1};
    octet_session *session;
    octet_feed feeds[BATCH];
    octet_status status = octet_session_create(&session, model, &params, error);
    for (int i = 0; i < BATCH && !status; i++) {
        feeds[i] = (octet_feed){.bytes = s->clip[first + i] + HALF - n, .n = n};
        status = octet_session_join(session, &feeds[i].stream, error);
    }
    for (int t = 0; t < HALF && !status; t++) {
        status = octet_session_feed(session, feeds, BATCH, error);
        for (int i = 0; i < BATCH && !status; i++) {
            const octet_sampling draw = {
                .temperature = 1, .seed = 1, .number = (uint32_t)(first + i)};
            uint8_t *byte = &s->next[MODEL][first + i][t];
            status = octet_session_sample(session, feeds[i].stream, &draw, byte, error);
            feeds[i].bytes = byte;
            feeds[i].n = 1;
        }
    }
    octet_session_destroy(&session);
    return status;
}

/* --- measures */

static double decibels(double power) {
    const double db = 10 * log10(power + 1e-30);
    return db > FLOOR_DB ? db : FLOOR_DB;
}

static double mel(double hz) {
    return 2595 * log10(1 + hz / 700);
}

/* The share of a frequency in a band: a triangle from its neighbours' middles. */
static double share(double hz, int band) {
    const double at = mel(hz) / mel(RATE / 2.0) * (BANDS + 1) - (band + 1);
    return fabs(at) < 1 ? 1 - fabs(at) : 0;
}

static void measure_frame(measured *m, int at, const uint8_t *bytes,
                          double (*shares)[WINDOW / 2 + 1]) {
    double x[WINDOW], im[WINDOW], power[WINDOW / 2 + 1], square = 0;
    for (int t = 0; t < WINDOW; t++) {
        x[t] = sample_of(bytes[t]);
        square += x[t] * x[t] / WINDOW;
    }
    m->energy[at] = decibels(square);
    fft_power(power, x, im, WINDOW);
    for (int b = 0; b < BANDS; b++) {
        double sum = 0;
        for (int k = 0; k <= WINDOW / 2; k++)
            sum += shares[b][k] * power[k];
        m->band[b][at] = decibels(sum);
    }
}

/* n of the clips, every `step`-th from `first` on. */
static void measure(measured *m, const sounds *s, kind k, int first, int step) {
    double shares[BANDS][WINDOW / 2 + 1];
    int at = 0, silent = 0, runs = 0;
    for (int b = 0; b < BANDS; b++)
        for (int i = 0; i <= WINDOW / 2; i++)
            shares[b][i] = share((double)i * RATE / WINDOW, b);
    for (int clip = first; clip < CLIPS; clip += step) {
        int before = 0;
        for (int f = 0; f < FRAMES; f++, at++) {
            measure_frame(m, at, s->next[k][clip] + f * HOP, shares);
            const int now = m->energy[at] < SILENT_DB;
            silent += now;
            runs += now && !before;
            before = now;
        }
    }
    m->silent = (double)silent / at;
    m->run_ms = runs ? 1000.0 * HOP / RATE * silent / runs : 0;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Earth mover's, between n values and n others; sorts both. */
static double distance(double *a, double *b, int n) {
    double sum = 0;
    qsort(a, (size_t)n, sizeof *a, by_size);
    qsort(b, (size_t)n, sizeof *b, by_size);
    for (int i = 0; i < n; i++)
        sum += fabs(a[i] - b[i]) / n;
    return sum;
}

static void print_row(const char *name, measured *m, measured *real, int n) {
    double spectrum = 0;
    for (int b = 0; b < BANDS; b++)
        spectrum += distance(m->band[b], real->band[b], n) / BANDS;
    printf("| %-24s | %8.2f | %6.2f | %12.1f | %10.0f |\n", name, spectrum,
           distance(m->energy, real->energy, n), 100 * m->silent, m->run_ms);
}

static void print_table(const sounds *s) {
    static const char *const rows[KINDS] = {"real",  "the model",        "silence",
                                            "noise", "linear predictor", "the clip repeated"};
    measured *m = allocate(sizeof *m), *real = allocate(sizeof *real);
    printf("| %-24s | spectrum | energy | silent share | silent run |\n", "");
    printf("| %-24s | dB       | dB     | %%            | ms         |\n|---|---|---|---|---|\n",
           "");
    for (int k = 0; k < KINDS; k++) {
        measure(m, s, (kind)k, 0, 1);
        measure(real, s, REAL, 0, 1);
        print_row(rows[k], m, real, ALL);
    }
    measure(m, s, REAL, 0, 2);
    measure(real, s, REAL, 1, 2);
    print_row("real: even beside odd", m, real, ALL / 2);
    free(m);
    free(real);
}

static octet_status save(const sounds *s, const char *folder, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < SAVED * KINDS && !status; i++) {
        const int clip = i / KINDS * (CLIPS / SAVED);
        uint8_t bytes[2 * HALF];
        char path[4096];
        octet_media media;
        memcpy(bytes, s->clip[clip], HALF);
        memcpy(bytes + HALF, s->next[i % KINDS][clip], HALF);
        snprintf(path, sizeof path, "%s/clip-%d-%s.wav", folder, i / KINDS + 1, names[i % KINDS]);
        status = octet_media_describe(&media, "pcm8", RATE, 1, sizeof bytes, error);
        if (!status)
            status = octet_decode_file(path, &media, bytes, "wav", error);
    }
    return status;
}

int main(int argc, char **argv) {
    octet_runtime *runtime;
    octet_model *model;
    octet_error error = {0};
    octet_encoded e;
    const octet_encode_params how = {.codec = "pcm8", .rate_hz = RATE, .channels = 1};
    if (argc != 4)
        fail("usage: continuation_stats MODEL FILE FOLDER");
    if (octet_runtime_create(&runtime, NULL, &error) ||
        octet_model_open(&model, runtime, argv[1], &error) ||
        octet_encode_file(&e, argv[2], &how, &error))
        fail(error.text);
    octet_model_info info;
    octet_model_info_get(model, &info);
    if (!strstr(info.config, "\"codec\": \"pcm8\", \"rate_hz\": 8000, \"channels\": 1"))
        fail("needs a model of pcm8 at 8000 Hz with one channel");
    if (e.size < 2 * HALF + CLIPS)
        fail("needs more than a second of sound");
    sounds *s = allocate(sizeof *s);
    for (int i = 0; i < CLIPS; i++) {
        const uint8_t *from = e.bytes + (e.size - 2 * HALF) / (CLIPS - 1) * (size_t)i;
        memcpy(s->clip[i], from, HALF);
        memcpy(s->next[REAL][i], from + HALF, HALF);
        make_guesses(s, i);
    }
    for (int i = 0; i < CLIPS; i += BATCH)
        if (continue_clips(s, model, i, &error))
            fail(error.text);
    print_table(s);
    if (save(s, argv[3], &error))
        fail(error.text);
    free(s);
    octet_encoded_free(&e);
    octet_model_destroy(&model);
    octet_runtime_destroy(&runtime);
    return 0;
}
