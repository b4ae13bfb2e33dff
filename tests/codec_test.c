/* codec_test.c: audio to bytes and back: what is said to be lossless is, what is lost is counted
 * right.
 *
 * Expected bytes come from integer arithmetic on the samples that the test made, and from G.711's
 * own construction of its table, never from the codecs. */
#include <math.h>
#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "audio_make.h"
#include "codec/codecs.h"
#include "octet/octet.h"
#include "support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static octet_error error;

static octet_encoded encode(const audio_file *f, const octet_encode_params *p) {
    octet_encoded e;
    support_ok(octet_encode_memory(&e, f->data, f->size, "x", p, &error), &error);
    return e;
}

static octet_encoded encode_as(const audio_file *f, const char *name) {
    octet_encode_params p = {.codec = name};
    return encode(f, &p);
}

static audio_file decode(const octet_encoded *e, const char *container) {
    audio_file f;
    support_ok(octet_decode_memory(&f.data, &f.size, &e->media, e->bytes, container, &error),
               &error);
    return f;
}

/* --- what is lossless */

/* Encodes again what came out; it must be the same. */
static void check_again(const octet_encoded *e, const char *container) {
    audio_file back = decode(e, container);
    octet_encoded again = encode_as(&back, e->media.codec);
    const char *expected = container ? container : e->media.container;
    assert_string_equal(again.media.container, expected);
    assert_int_equal(again.media.lossless, 1);
    assert_int_equal(again.media.frames, e->media.frames);
    assert_int_equal(again.media.rate_hz, e->media.rate_hz);
    assert_int_equal(again.size, e->size);
    assert_int_equal(XXH3_64bits(again.bytes, again.size), XXH3_64bits(e->bytes, e->size));
    octet_encoded_free(&again);
    audio_free(&back);
}

static const struct {
    int code;
    const char *name;
} lossless[] = {{SF_FORMAT_WAV, "wav"},
                {SF_FORMAT_AIFF, "aiff"},
                {SF_FORMAT_AU, "au"},
                {SF_FORMAT_FLAC, "flac"}};

static void check_pcm16(int container, int rate_hz, int channels, int64_t n_frames) {
    int64_t n = n_frames * channels;
    int32_t *x = audio_noise(n, 16, (uint64_t)(rate_hz + channels + n));
    audio_file f =
        audio_make(lossless[container].code | SF_FORMAT_PCM_16, rate_hz, channels, x, n_frames);
    octet_encoded e = encode(&f, NULL);
    assert_string_equal(e.media.codec, "pcm16");
    assert_string_equal(e.media.container, lossless[container].name);
    assert_string_equal(e.media.samples, "s16");
    assert_int_equal(e.media.rate_hz, rate_hz);
    assert_int_equal(e.media.channels, channels);
    assert_int_equal(e.media.frames, n_frames);
    assert_int_equal(e.media.lossless, 1);
    assert_int_equal(e.losses.clipped + e.losses.rounded, 0);
    assert_int_equal(e.size, 2 * n);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(e.bytes[2 * i], (uint32_t)x[i] >> 24);
        assert_int_equal(e.bytes[2 * i + 1], (uint32_t)x[i] >> 16 & 255);
    }
    check_again(&e, NULL);
    for (size_t i = 0; i < COUNT(lossless); i++)
        if (rate_hz == 48000 || (int)i == container)
            check_again(&e, lossless[i].name);
    octet_encoded_free(&e);
    audio_free(&f);
    free(x);
}

static void pcm16_is_lossless(void **state) {
    (void)state;
    static const int rates[] = {8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000};
    static const int channels[] = {1, 2, 8};
    static const int64_t frames[] = {0, 1, 15, 16, 17, 255, 256, 257, 8191, 8193};
    for (int container = 0; container < (int)COUNT(lossless); container++)
        for (size_t i = 0; i < COUNT(rates); i++)
            for (size_t k = 0; k < COUNT(channels); k++)
                check_pcm16(container, rates[i], channels[k], frames[(i + 3 * k) % COUNT(frames)]);
    for (int container = 0; container < (int)COUNT(lossless); container++)
        for (size_t i = 0; i < COUNT(frames); i++)
            check_pcm16(container, 48000, 2, frames[i]);
}

/* Whatever its width, a source that the codec holds exactly comes back as the file that it was. */
static void sources_come_back(void **state) {
    (void)state;
    static const struct {
        int format, bits;
        const char *codec;
    } rows[] = {
        {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8, "pcm16"},
        {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8, "pcm8"},
        {SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16, "pcm16"},
        {SF_FORMAT_WAV | SF_FORMAT_PCM_24, 16, "pcm16"},
        {SF_FORMAT_WAV | SF_FORMAT_PCM_32, 16, "pcm16"},
        {SF_FORMAT_WAV | SF_FORMAT_ULAW, 16, "pcm16"},
        {SF_FORMAT_WAV | SF_FORMAT_ULAW, 16, "mulaw8"},
        {SF_FORMAT_WAV | SF_FORMAT_ALAW, 16, "pcm16"},
        {SF_FORMAT_AIFF | SF_FORMAT_PCM_S8, 8, "pcm8"},
        {SF_FORMAT_AIFF | SF_FORMAT_PCM_24, 16, "pcm16"},
        {SF_FORMAT_AU | SF_FORMAT_PCM_S8, 8, "pcm8"},
        {SF_FORMAT_AU | SF_FORMAT_ULAW, 16, "mulaw8"},
        {SF_FORMAT_AU | SF_FORMAT_PCM_32, 16, "pcm16"},
    };
    enum { FRAMES = 3001, CHANNELS = 2 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int32_t *x = audio_noise(FRAMES * CHANNELS, rows[i].bits, i);
        /* Of mu-law's two zeros only one comes back. */
        for (int k = 0; k < FRAMES * CHANNELS; k++)
            x[k] = x[k] < 0 && x[k] > -(8 << 16) ? 0 : x[k];
        audio_file f = audio_make(rows[i].format, 16000, CHANNELS, x, FRAMES);
        octet_encoded e = encode_as(&f, rows[i].codec);
        assert_int_equal(e.media.lossless, 1);
        audio_file back = decode(&e, NULL);
        if (back.size != f.size || memcmp(back.data, f.data, f.size))
            fail_msg("row %zu: the file does not come back", i);
        audio_free(&back);
        octet_encoded_free(&e);
        audio_free(&f);
        free(x);
    }
}

/* --- what is lost */

/* value / 2^shift to nearest, ties to even, without floating point. */
static int64_t nearest(int64_t value, int shift) {
    int64_t unit = INT64_C(1) << shift, down = value / unit - (value % unit < 0);
    int64_t rest = value - down * unit;
    return down + (2 * rest > unit || (2 * rest == unit && down % 2 != 0));
}

/* Holds the bytes of a linear codec against values of so many bits. */
static void check_linear(const octet_encoded *e, const int64_t *x, int64_t n, int bits,
                         int codec_bits) {
    int64_t clipped = 0, rounded = 0, top = (INT64_C(1) << (codec_bits - 1)) - 1;
    int shift = bits - codec_bits;
    assert_int_equal(e->size, n * codec_bits / 8);
    for (int64_t i = 0; i < n; i++) {
        int64_t value = shift >= 0 ? nearest(x[i], shift) : x[i] * (INT64_C(1) << -shift);
        int is_clipped = value > top || value < -top - 1;
        clipped += is_clipped;
        rounded += !is_clipped && shift > 0 && value * (INT64_C(1) << shift) != x[i];
        value = value > top ? top : value < -top - 1 ? -top - 1 : value;
        int64_t got = codec_bits == 8 ? e->bytes[i] - 128
                                      : (int16_t)(e->bytes[2 * i] << 8 | e->bytes[2 * i + 1]);
        if (got != value)
            fail_msg("sample %lld: %lld, not %lld", (long long)i, (long long)got, (long long)value);
    }
    assert_int_equal(e->losses.clipped, clipped);
    assert_int_equal(e->losses.rounded, rounded);
    assert_int_equal(e->losses.codec_bits, codec_bits);
    assert_int_equal(e->media.lossless, clipped + rounded == 0);
}

static void losses_of_integers(void **state) {
    (void)state;
    static const struct {
        int format, bits;
    } rows[] = {{SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8},
                {SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16},
                {SF_FORMAT_WAV | SF_FORMAT_PCM_24, 24},
                {SF_FORMAT_WAV | SF_FORMAT_PCM_32, 32},
                {SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 24},
                {SF_FORMAT_RF64 | SF_FORMAT_PCM_24, 24},
                {SF_FORMAT_AIFF | SF_FORMAT_PCM_S8, 8},
                {SF_FORMAT_AIFF | SF_FORMAT_PCM_24, 24},
                {SF_FORMAT_AU | SF_FORMAT_PCM_32, 32},
                {SF_FORMAT_FLAC | SF_FORMAT_PCM_S8, 8},
                {SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 24},
                {SF_FORMAT_WAV | SF_ENDIAN_BIG | SF_FORMAT_PCM_24, 24}};
    enum { FRAMES = 2003, CHANNELS = 3, N = FRAMES * CHANNELS };
    static int64_t values[N];
    for (size_t i = 0; i < COUNT(rows); i++) {
        int32_t *x = audio_noise(N, rows[i].bits, 77 + i);
        for (int k = 0; k < N; k++)
            values[k] = x[k] >> (32 - rows[i].bits);
        audio_file f = audio_make(rows[i].format, 22050, CHANNELS, x, FRAMES);
        octet_encoded e = encode_as(&f, "pcm16");
        assert_int_equal(e.losses.source_bits, rows[i].bits);
        check_linear(&e, values, N, rows[i].bits, 16);
        octet_encoded_free(&e);
        e = encode_as(&f, "pcm8");
        check_linear(&e, values, N, rows[i].bits, 8);
        octet_encoded_free(&e);
        audio_free(&f);
        free(x);
    }
}

/* Floats that are multiples of 2^-20, up to 1.2 times full scale: integers of 21 bits to us. */
static void losses_of_floats(void **state) {
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_FLOAT, SF_FORMAT_WAV | SF_FORMAT_DOUBLE,
                                  SF_FORMAT_AIFF | SF_FORMAT_FLOAT,
                                  SF_FORMAT_AU | SF_FORMAT_DOUBLE};
    enum { N = 5003 };
    static int64_t values[N];
    static double x[N];
    uint64_t seed = 5;
    for (int k = 0; k < N; k++) {
        values[k] = support_integer(&seed, -1258291, 1258291);
        if (k % 5 == 0)
            values[k] = values[k] / 32 * 32 + 16; /* ties */
        x[k] = (double)values[k] / 1048576;
    }
    for (size_t i = 0; i < COUNT(formats); i++) {
        audio_file f = audio_make_floats(formats[i], 48000, 1, x, N);
        octet_encoded e = encode_as(&f, "pcm16");
        assert_true(e.losses.clipped > N / 10);
        assert_int_equal(e.losses.source_bits, 0);
        check_linear(&e, values, N, 21, 16);
        octet_encoded_free(&e);
        e = encode_as(&f, "pcm8");
        check_linear(&e, values, N, 21, 8);
        octet_encoded_free(&e);
        audio_free(&f);
    }
}

/* --- mu-law */

/* G.711, table 2: decisions 0 and 1, then 15 more at steps of 2, then 16 at each step of 4, 8, ...,
 * 256, which ends at 8159; values in the middle, the first is 0. */
static int mulaw_decisions[129], mulaw_values[128];

static void make_mulaw(void) {
    int at = 1, n = 1;
    for (int step = 2; step <= 256; step *= 2)
        for (int i = step == 2 ? 1 : 0; i < 16; i++, at += step)
            mulaw_decisions[n++] = at;
    mulaw_decisions[n] = at;
    assert_int_equal(n, 128);
    assert_int_equal(at, 8159);
    for (int i = 1; i < 128; i++)
        mulaw_values[i] = (mulaw_decisions[i] + mulaw_decisions[i + 1]) / 2;
}

static void mulaw_is_that_of_g711(void **state) {
    (void)state;
    enum { N = 65536 };
    static double x[N];
    static uint8_t bytes[N];
    codec_counts counts = {0};
    int64_t clipped = 0, rounded = 0;
    make_mulaw();
    for (int i = 0; i < N; i++)
        x[i] = (i - 32768) / 32768.0;
    codec_mulaw8.encode(bytes, x, N, &counts);
    for (int i = 0; i < N; i++) {
        int value = i - 32768, magnitude = abs(value), step = 0;
        while (step < 127 && 4 * mulaw_decisions[step + 1] <= magnitude)
            step++;
        int is_clipped = magnitude >= 4 * 8159;
        clipped += is_clipped;
        rounded += !is_clipped && 4 * mulaw_values[step] != magnitude;
        assert_int_equal(bytes[i], (value < 0 ? 0x7f : 0xff) - step);
    }
    assert_int_equal(counts.clipped, clipped);
    assert_int_equal(counts.rounded, rounded);
    for (int code = 0; code < 256; code++) {
        uint8_t byte = (uint8_t)code;
        int16_t value;
        int step = 0x7f - (code & 0x7f);
        codec_mulaw8.decode(&value, &byte, 1);
        assert_int_equal(value, (code < 128 ? -4 : 4) * mulaw_values[step]);
    }
}

/* --- rates and channels */

/* The sine of that frequency nearest to x[n], and what is left, both as root mean squares; the
 * first and last tenth are the filter's. */
static void fit_sine(const int16_t *x, int n, double hz, double rate_hz, double *level,
                     double *rest) {
    double cc = 0, cs = 0, ss = 0, xc = 0, xs = 0, power = 0;
    int from = n / 10, to = n - n / 10;
    for (int i = from; i < to; i++) {
        double c = cos(2 * 3.14159265358979323846 * hz * i / rate_hz);
        double s = sin(2 * 3.14159265358979323846 * hz * i / rate_hz);
        cc += c * c, cs += c * s, ss += s * s, xc += x[i] * c, xs += x[i] * s;
    }
    double d = cc * ss - cs * cs, a = (xc * ss - xs * cs) / d, b = (xs * cc - xc * cs) / d;
    for (int i = from; i < to; i++) {
        double y = a * cos(2 * 3.14159265358979323846 * hz * i / rate_hz) +
                   b * sin(2 * 3.14159265358979323846 * hz * i / rate_hz);
        power += (x[i] - y) * (x[i] - y);
    }
    *level = sqrt(a * a + b * b);
    *rest = sqrt(power / (to - from));
}

static void resampling_keeps_a_sine(void **state) {
    (void)state;
    static const int rates[][2] = {
        {44100, 16000}, {16000, 8000}, {8000, 48000}, {22050, 44100}, {96000, 11025}};
    enum { N = 30000, CHANNELS = 2 };
    static double x[N * CHANNELS];
    for (size_t r = 0; r < COUNT(rates); r++) {
        int from = rates[r][0], to = rates[r][1];
        for (int i = 0; i < N; i++) {
            x[2 * i] = 0.5 * sin(2 * 3.14159265358979323846 * 1000 * i / from);
            x[2 * i + 1] = 0.25 * cos(2 * 3.14159265358979323846 * 700 * i / from);
        }
        audio_file f = audio_make_floats(SF_FORMAT_WAV | SF_FORMAT_FLOAT, from, CHANNELS, x, N);
        octet_encode_params p = {.rate_hz = to};
        octet_encoded e = encode(&f, &p), again = encode(&f, &p);
        assert_int_equal(e.size, again.size);
        assert_memory_equal(e.bytes, again.bytes, e.size);
        int n = (int)e.media.frames;
        assert_true(fabs(n - (double)N * to / from) <= 1);
        assert_int_equal(e.losses.rate_from, from);
        assert_int_equal(e.losses.rate_to, to);
        assert_int_equal(e.media.rate_hz, to);
        assert_int_equal(e.media.lossless, 0);
        int16_t *y = support_alloc((size_t)n, sizeof *y);
        for (int channel = 0; channel < CHANNELS; channel++) {
            double level, rest;
            for (int i = 0; i < n; i++)
                codec_pcm16.decode(&y[i], e.bytes + 4 * i + 2 * channel, 1);
            fit_sine(y, n, channel ? 700 : 1000, to, &level, &rest);
            /* Rounding alone leaves 0.29; the filter passes -97 dB of other things. */
            assert_true(fabs(level / (channel ? 8192 : 16384) - 1) < 1e-4);
            assert_true(rest < 0.6);
        }
        free(y);
        octet_encoded_free(&e);
        octet_encoded_free(&again);
        audio_free(&f);
    }
}

static void channels_are_averaged_and_copied(void **state) {
    (void)state;
    enum { N = 4099 };
    int32_t *x = audio_noise(3 * N, 16, 8);
    audio_file three = audio_make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 3, x, N);
    audio_file one = audio_make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, x, N);
    octet_encode_params to_one = {.channels = 1}, to_two = {.channels = 2};
    octet_encoded e = encode(&three, &to_one);
    assert_int_equal(e.losses.channels_from, 3);
    assert_int_equal(e.losses.channels_to, 1);
    assert_int_equal(e.media.lossless, 0);
    assert_int_equal(e.size, 2 * N);
    for (int i = 0; i < N; i++) {
        double mean = ((double)x[3 * i] + x[3 * i + 1] + x[3 * i + 2]) / 65536 / 3;
        int16_t got;
        codec_pcm16.decode(&got, e.bytes + 2 * i, 1);
        assert_true(fabs(got - mean) < 0.5 + 1e-9);
    }
    octet_encoded_free(&e);
    e = encode(&one, &to_two);
    assert_int_equal(e.media.channels, 2);
    assert_int_equal(e.media.frames, N);
    assert_int_equal(e.losses.rounded + e.losses.clipped, 0);
    for (int i = 0; i < N; i++) {
        assert_memory_equal(e.bytes + 4 * i, e.bytes + 4 * i + 2, 2);
        assert_int_equal(e.bytes[4 * i], (uint32_t)x[i] >> 24);
    }
    octet_encoded_free(&e);
    assert_int_equal(octet_encode_memory(&e, three.data, three.size, "x", &to_two, &error),
                     OCTET_ERROR);
    support_contains(error.text, "x: 3 channels cannot become 2");
    assert_null(e.bytes);
    audio_free(&three);
    audio_free(&one);
    free(x);
}

/* --- parameters and limits */

static void bad_parameters_are_named(void **state) {
    (void)state;
    static const struct {
        octet_encode_params p;
        const char *says;
    } rows[] = {
        {{.codec = "opus"}, "no codec \"opus\": raw, text, pcm16, pcm8, mulaw8, image or records"},
        {{.codec = ""}, "no codec \"\""},
        {{.rate_hz = 999}, "999 Hz is not between 1000 and 384000"},
        {{.rate_hz = 384001}, "384001 Hz"},
        {{.rate_hz = -1}, "-1 Hz"},
        {{.channels = 9}, "9 channels"},
        {{.channels = -1}, "-1 channels"},
        {{.codec = "raw", .rate_hz = 8000}, "codec raw has neither a rate nor channels"},
        {{.codec = "text", .channels = 1}, "codec text has neither"},
        {{.max_seconds = 2}, "x: longer than the limit of 2 s"},
    };
    int32_t *x = audio_noise(16001, 16, 1);
    audio_file f = audio_make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, x, 16001);
    octet_encoded e;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(octet_encode_memory(&e, f.data, f.size, "x", &rows[i].p, &error),
                         OCTET_ERROR);
        support_contains(error.text, rows[i].says);
        assert_null(e.bytes);
    }
    octet_encode_params enough = {.max_seconds = 3};
    e = encode(&f, &enough);
    assert_int_equal(e.media.frames, 16001);
    octet_encoded_free(&e);
    audio_free(&f);
    free(x);
}

/* In a process of its own or not: the same bytes, the same complaint. */
static void the_sandbox_changes_nothing(void **state) {
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_24,
                                  SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                                  SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_OGG | SF_FORMAT_OPUS,
                                  SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III};
    enum { N = 20011 };
    int32_t *x = audio_noise(N, 16, 3);
    octet_encode_params here = {.no_sandbox = 1};
    for (size_t i = 0; i < COUNT(formats); i++) {
        audio_file f = audio_make(formats[i], 48000, 1, x, N);
        octet_encoded e = encode(&f, NULL), same = encode(&f, &here);
        assert_true(e.guard == OCTET_GUARD_FILTER || e.guard == OCTET_GUARD_PROCESS);
        assert_int_equal(same.guard, OCTET_GUARD_NONE);
        assert_int_equal(e.size, same.size);
        assert_true(e.media.frames >= N);
        assert_memory_equal(e.bytes, same.bytes, e.size);
        assert_memory_equal(&e.losses, &same.losses, sizeof e.losses);
        octet_encoded_free(&e);
        octet_encoded_free(&same);
        audio_free(&f);
    }
    free(x);
}

/* --- streams and files */

static void streams_end_where_they_end(void **state) {
    (void)state;
    static const uint32_t sizes[] = {0, 0xffffffff, 0x7ffff000, 0x80000000};
    uint8_t data[200];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(7 * i);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        wav_fields fields = wav_right(16, 2, 8000, sizeof data);
        fields.data_size = sizes[i];
        fields.riff_size = sizes[i] ? sizes[i] : 36; /* as if nothing followed */
        audio_file f = wav_make(&fields, data, sizeof data);
        octet_encoded e = encode(&f, NULL);
        assert_int_equal(e.media.frames, 50);
        for (size_t k = 0; k < sizeof data; k++)
            assert_int_equal(e.bytes[k], data[k ^ 1]);
        octet_encoded_free(&e);
        audio_free(&f);
    }
    /* An empty chunk of data with another chunk behind it is empty. */
    wav_fields empty = wav_right(16, 1, 8000, 0);
    empty.riff_size = 36 + 12;
    audio_file f = wav_make(&empty, "LIST\4\0\0\0INFO", 12);
    octet_encoded e = encode(&f, NULL);
    assert_int_equal(e.media.frames, 0);
    assert_int_equal(e.size, 0);
    octet_encoded_free(&e);
    audio_free(&f);
}

static void files_are_written_whole(void **state) {
    (void)state;
    char folder[] = "/tmp/octet_codec_XXXXXX", path[64], missing[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.flac", folder);
    snprintf(missing, sizeof missing, "%s/none/a.flac", folder);
    int32_t *x = audio_noise(5000, 16, 4);
    audio_file f = audio_make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, x, 5000);
    octet_encoded e = encode(&f, NULL), back;
    support_ok(octet_decode_file(path, &e.media, e.bytes, "flac", &error), &error);
    support_ok(octet_encode_file(&back, path, NULL, &error), &error);
    assert_string_equal(back.media.container, "flac");
    assert_int_equal(back.size, e.size);
    assert_memory_equal(back.bytes, e.bytes, e.size);
    octet_encoded_free(&back);
    assert_int_equal(octet_decode_file(path, &e.media, e.bytes, "mp3", &error), OCTET_ERROR);
    support_contains(error.text, "\"mp3\" is not written");
    assert_int_equal(octet_decode_file(missing, &e.media, e.bytes, NULL, &error), OCTET_ERROR);
    support_contains(error.text, missing);
    assert_int_equal(octet_encode_file(&back, missing, NULL, &error), OCTET_ERROR);
    support_contains(error.text, missing);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing else is in it */
    octet_encoded_free(&e);
    audio_free(&f);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcm16_is_lossless),
        cmocka_unit_test(sources_come_back),
        cmocka_unit_test(losses_of_integers),
        cmocka_unit_test(losses_of_floats),
        cmocka_unit_test(mulaw_is_that_of_g711),
        cmocka_unit_test(resampling_keeps_a_sine),
        cmocka_unit_test(channels_are_averaged_and_copied),
        cmocka_unit_test(bad_parameters_are_named),
        cmocka_unit_test(the_sandbox_changes_nothing),
        cmocka_unit_test(streams_end_where_they_end),
        cmocka_unit_test(files_are_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
