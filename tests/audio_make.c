/* audio_make.c: see audio_make.h. libsndfile writes into a file without a name. */
#define _DEFAULT_SOURCE
#include "audio_make.h"

#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

static audio_file read_back(FILE *f) {
    audio_file file = {0};
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    file.size = (size_t)ftell(f);
    file.data = support_alloc(file.size + 1, 1);
    rewind(f);
    assert_int_equal(fread(file.data, 1, file.size, f), file.size);
    fclose(f);
    return file;
}

static SNDFILE *open_file(FILE *f, int format, int rate_hz, int channels) {
    SF_INFO info = {.samplerate = rate_hz, .channels = channels, .format = format};
    SNDFILE *out = sf_open_fd(fileno(f), SFM_WRITE, &info, SF_FALSE);
    if (!out)
        fail_msg("libsndfile does not write format 0x%x: %s", (unsigned)format, sf_strerror(NULL));
    sf_command(out, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    if ((format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC) /* without samples else no file */
        sf_command(out, SFC_UPDATE_HEADER_NOW, NULL, 0);
    return out;
}

audio_file audio_make(int format, int rate_hz, int channels, const int32_t *samples,
                      int64_t n_frames) {
    FILE *f = tmpfile();
    assert_non_null(f);
    SNDFILE *out = open_file(f, format, rate_hz, channels);
    assert_int_equal(sf_writef_int(out, samples, n_frames), n_frames);
    assert_int_equal(sf_close(out), 0);
    return read_back(f);
}

audio_file audio_make_floats(int format, int rate_hz, int channels, const double *samples,
                             int64_t n_frames) {
    FILE *f = tmpfile();
    assert_non_null(f);
    SNDFILE *out = open_file(f, format, rate_hz, channels);
    assert_int_equal(sf_writef_double(out, samples, n_frames), n_frames);
    assert_int_equal(sf_close(out), 0);
    return read_back(f);
}

int32_t *audio_noise(int64_t n, int bits, uint64_t seed) {
    int32_t *x = support_alloc((size_t)n + 1, sizeof *x);
    const int64_t top = (INT64_C(1) << (bits - 1)) - 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t wave = (i * 37 % 1000 - 500) * top / 1000;
        int64_t value = wave + support_integer(&seed, -top / 4, top / 4);
        if (i % 97 == 5)
            value = i % 2 ? top : -top - 1;
        x[i] = (int32_t)(value * (INT64_C(1) << (32 - bits)));
    }
    return x;
}

static void put(uint8_t *at, uint64_t number, int n) {
    for (int i = 0; i < n; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

wav_fields wav_right(int bits, int channels, int rate_hz, size_t data_bytes) {
    return (wav_fields){.tag = 1,
                        .channels = (unsigned)channels,
                        .rate_hz = (unsigned)rate_hz,
                        .frame_bytes = (unsigned)(channels * bits / 8),
                        .bits = (unsigned)bits,
                        .riff_size = (uint32_t)(36 + data_bytes + (data_bytes & 1)),
                        .data_size = (uint32_t)data_bytes};
}

audio_file wav_make(const wav_fields *f, const void *data, size_t n) {
    audio_file file = {support_alloc(44 + n + 1, 1), 44 + n};
    uint8_t *d = file.data;
    memcpy(d, "RIFF", 4);
    put(d + 4, f->riff_size, 4);
    memcpy(d + 8, "WAVEfmt ", 8);
    put(d + 16, 16, 4);
    put(d + 20, f->tag, 2);
    put(d + 22, f->channels, 2);
    put(d + 24, f->rate_hz, 4);
    put(d + 28, (uint64_t)f->rate_hz * f->frame_bytes, 4);
    put(d + 32, f->frame_bytes, 2);
    put(d + 34, f->bits, 2);
    memcpy(d + 36, "data", 4);
    put(d + 40, f->data_size, 4);
    if (n)
        memcpy(d + 44, data, n);
    return file;
}

void audio_splice(audio_file *file, size_t at, size_t removed, const void *with, size_t n) {
    assert_true(at + removed <= file->size);
    uint8_t *data = support_alloc(file->size - removed + n + 1, 1);
    const size_t rest = file->size - at - removed;
    if (at)
        memcpy(data, file->data, at);
    if (n)
        memcpy(data + at, with, n);
    if (rest)
        memcpy(data + at + n, file->data + at + removed, rest);
    free(file->data);
    *file = (audio_file){data, file->size - removed + n};
}

/* Bytes of the page at `at`; 0: there is none, or it is cut. */
static size_t page_bytes(const audio_file *file, size_t at) {
    const uint8_t *page = file->data + at;
    const size_t rest = file->size - at;
    if (rest < 27 || memcmp(page, "OggS", 4) || rest < 27 + (size_t)page[26])
        return 0;
    size_t n = 27 + (size_t)page[26];
    for (int i = 0; i < page[26]; i++)
        n += page[27 + i];
    return n <= rest ? n : 0;
}

/* The checksum bit by bit: x^32 + x^26 + ... of RFC 3533. */
void audio_fix_pages(audio_file *file, int stream) {
    for (size_t at = 0, n; (n = page_bytes(file, at)) > 0; at += n) {
        uint8_t *page = file->data + at;
        uint32_t sum = 0;
        if (stream >= 0)
            put(page + 14, (uint64_t)stream, 4);
        put(page + 22, 0, 4);
        for (size_t i = 0; i < n; i++) {
            sum ^= (uint32_t)page[i] << 24;
            for (int bit = 0; bit < 8; bit++)
                sum = sum & 0x80000000u ? sum << 1 ^ 0x04c11db7u : sum << 1;
        }
        put(page + 22, sum, 4);
    }
}

void audio_free(audio_file *file) {
    free(file->data);
    *file = (audio_file){0};
}
