/* continue_test.c: clips that go on: the clip's own samples come back unchanged in every format
 * that is written, the new ones follow at their places in time, and equal seeds give equal bytes.
 */
#include <math.h>
#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audio_make.h"
#include "octet/octet.h"
#include "support.h"

#define PI 3.14159265358979
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LEVELS                                                                                     \
    "\"levels\": [{\"dim\": 16, \"layers\": 1, \"heads\": 1, \"patch\": 8, \"zero_init\": false}," \
    "{\"dim\": 12, \"layers\": 1, \"heads\": 1, \"zero_init\": false}]}"

static octet_error error;
static octet_runtime *runtime;

static octet_model *make_model(const char *codec, int rate_hz, int channels) {
    char json[512];
    octet_model *m;
    snprintf(json, sizeof json,
             "{\"context\": 128, \"codec\": \"%s\", \"rate_hz\": %d, \"channels\": %d, " LEVELS,
             codec, rate_hz, channels);
    support_ok(octet_model_create(&m, runtime, json, "tiny", 3, &error), &error);
    return m;
}

/* Bytes that grow. */
typedef struct collected {
    uint8_t *data;
    size_t n;
    int pieces;
} collected;

static octet_status collect(void *context, const void *bytes, size_t n, octet_error *e) {
    collected *c = context;
    (void)e;
    c->data = realloc(c->data, c->n + n + 1);
    assert_non_null(c->data);
    if (n)
        memcpy(c->data + c->n, bytes, n);
    c->n += n;
    c->pieces++;
    return OCTET_OK;
}

typedef struct takes {
    uint8_t bytes[8][256];
    size_t n[8], most; /* most > 0: then it is enough */
} takes;

static octet_status take(void *context, int number, uint8_t byte, octet_error *e) {
    takes *t = context;
    (void)e;
    assert_true(number < 8 && t->n[number] < 256);
    t->bytes[number][t->n[number]++] = byte;
    return t->most && t->n[number] == t->most ? OCTET_STOPPED : OCTET_OK;
}

static octet_clip *open_clip(const octet_model *m, const audio_file *f) {
    char path[] = "/tmp/octet_continue_XXXXXX";
    octet_clip *clip;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, f->data, f->size), (ssize_t)f->size);
    close(fd);
    support_ok(octet_clip_open(&clip, m, path, &error), &error);
    unlink(path);
    return clip;
}

/* All samples of a file as doubles, which hold those of every format. */
static double *read_samples(const uint8_t *data, size_t size, SF_INFO *info) {
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    rewind(f);
    *info = (SF_INFO){0};
    SNDFILE *in = sf_open_fd(fileno(f), SFM_READ, info, SF_FALSE);
    if (!in)
        fail_msg("cannot be read back: %s", sf_strerror(NULL));
    const sf_count_t n = info->frames * info->channels;
    double *x = support_alloc((size_t)n + 1, sizeof *x);
    int *integers = support_alloc((size_t)n + 1, sizeof *integers);
    const int sub = info->format & SF_FORMAT_SUBMASK;
    if (sub == SF_FORMAT_FLOAT || sub == SF_FORMAT_DOUBLE || sub == SF_FORMAT_VORBIS) {
        assert_int_equal(sf_read_double(in, x, n), n);
    } else {
        assert_int_equal(sf_read_int(in, integers, n), n);
        for (sf_count_t i = 0; i < n; i++)
            x[i] = integers[i] / 2147483648.0;
    }
    free(integers);
    sf_close(in);
    fclose(f);
    return x;
}

static void join(collected *out, const octet_clip *clip, const octet_join_params *p,
                 const uint8_t *bytes, size_t n, size_t piece) {
    octet_join *j;
    *out = (collected){0};
    support_ok(octet_join_create(&j, clip, p, collect, out, &error), &error);
    for (size_t at = 0; at < n; at += piece)
        support_ok(octet_join_push(j, bytes + at, n - at < piece ? n - at : piece, &error), &error);
    support_ok(octet_join_finish(j, &error), &error);
    octet_join_destroy(&j);
}

/* --- bytes */

static void seeds_reproduce_and_batches_are_single_ones(void **state) {
    (void)state;
    octet_model *m = make_model("pcm8", 8000, 1);
    uint8_t prompt[100];
    for (size_t i = 0; i < sizeof prompt; i++)
        prompt[i] = (uint8_t)(128 + 50 * sin(0.3 * (double)i));
    octet_continue_params p = {
        .samples = 5, .bytes = 200, .keep = -1, .sampling = {.temperature = 1, .seed = 9}};
    takes *batch = support_alloc(1, sizeof *batch), *one = support_alloc(1, sizeof *one);
    support_ok(octet_continue(m, prompt, sizeof prompt, &p, take, batch, &error), &error);
    for (int i = 0; i < 5; i++) {
        *one = (takes){0};
        p.samples = i == 0 ? 0 : 1; /* 0 is 1 */
        p.sampling.number = (uint32_t)i;
        support_ok(octet_continue(m, prompt, sizeof prompt, &p, take, one, &error), &error);
        assert_int_equal(one->n[0], 200);
        assert_memory_equal(one->bytes[0], batch->bytes[i], 200);
        if (i > 0)
            assert_memory_not_equal(batch->bytes[0], batch->bytes[i], 200);
    }
    *one = (takes){0};
    p.sampling.seed = 10;
    support_ok(octet_continue(m, prompt, sizeof prompt, &p, take, one, &error), &error);
    assert_memory_not_equal(one->bytes[0], batch->bytes[4], 200);
    *one = (takes){.most = 7};
    p.bytes = -1;
    assert_int_equal(octet_continue(m, prompt, sizeof prompt, &p, take, one, &error),
                     OCTET_STOPPED);
    assert_int_equal(one->n[0], 7);
    const int stop = 1;
    *one = (takes){0};
    p.stop = &stop;
    assert_int_equal(octet_continue(m, prompt, sizeof prompt, &p, take, one, &error),
                     OCTET_STOPPED);
    assert_int_equal(one->n[0], 0);
    p.samples = 5000;
    assert_int_equal(octet_continue(m, prompt, sizeof prompt, &p, take, one, &error), OCTET_ERROR);
    free(batch);
    free(one);
    octet_model_destroy(&m);
}

/* --- joins */

static const int containers[] = {SF_FORMAT_WAV, SF_FORMAT_AIFF, SF_FORMAT_AU, SF_FORMAT_FLAC};
static const int subtypes[] = {SF_FORMAT_PCM_S8, SF_FORMAT_PCM_U8, SF_FORMAT_PCM_16,
                               SF_FORMAT_PCM_24, SF_FORMAT_PCM_32, SF_FORMAT_FLOAT,
                               SF_FORMAT_DOUBLE, SF_FORMAT_ULAW,   SF_FORMAT_ALAW};

/* A clip of noise with extremes; floats beyond full scale too. */
static audio_file noise_file(int format, int rate_hz, int channels, int64_t frames) {
    const int sub = format & SF_FORMAT_SUBMASK;
    int32_t *x = audio_noise(frames * channels, 32, 11);
    double *d = support_alloc((size_t)(frames * channels) + 1, sizeof *d);
    for (int64_t i = 0; i < frames * channels; i++)
        d[i] = x[i] / 1234567890.123;
    audio_file f = sub == SF_FORMAT_FLOAT || sub == SF_FORMAT_DOUBLE
                       ? audio_make_floats(format, rate_hz, channels, d, frames)
                       : audio_make(format, rate_hz, channels, x, frames);
    free(x);
    free(d);
    return f;
}

/* The file that comes has the clip's format, its samples, and then the codec's. */
static void check_format(octet_model *m, int format, int channels, int64_t frames) {
    audio_file f = noise_file(format, 8000, channels, frames);
    octet_clip *clip = open_clip(m, &f);
    uint8_t bytes[300];
    uint64_t seed = 4;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)support_random(&seed);
    const int64_t new_frames = (int64_t)sizeof bytes / channels;
    octet_join_params p = {.frames = new_frames};
    octet_media plan;
    int64_t wanted;
    support_ok(octet_join_plan(&plan, &wanted, clip, &p, &error), &error);
    assert_int_equal(wanted, sizeof bytes);
    assert_int_equal(plan.frames, frames + new_frames);
    collected out;
    join(&out, clip, &p, bytes, sizeof bytes, 7);
    assert_int_equal(out.pieces, 1);
    SF_INFO before, after;
    double *old = read_samples(f.data, f.size, &before);
    double *all = read_samples(out.data, out.n, &after);
    if (after.format != before.format || after.samplerate != 8000 || after.channels != channels)
        fail_msg("format 0x%x became 0x%x", (unsigned)before.format, (unsigned)after.format);
    assert_int_equal(after.frames, frames + new_frames);
    const size_t old_samples = (size_t)(frames * channels);
    assert_memory_equal(all, old, old_samples * sizeof *old);
    const int sub = format & SF_FORMAT_SUBMASK;
    for (size_t i = 0; i < sizeof bytes && sub != SF_FORMAT_ULAW && sub != SF_FORMAT_ALAW; i++)
        if (all[old_samples + i] != (bytes[i] - 128) / 128.0)
            fail_msg("format 0x%x: new sample %zu is %g, not byte %d", (unsigned)format, i,
                     all[old_samples + i], bytes[i]);
    free(old);
    free(all);
    free(out.data);
    octet_clip_close(&clip);
    audio_free(&f);
}

static void clips_come_back_unchanged_in_every_format(void **state) {
    (void)state;
    int n = 0;
    for (int channels = 1; channels <= 2; channels++) {
        octet_model *m = make_model("pcm8", 8000, channels);
        for (size_t i = 0; i < COUNT(containers) * COUNT(subtypes); i++) {
            const int format = containers[i / COUNT(subtypes)] | subtypes[i % COUNT(subtypes)];
            const SF_INFO info = {.format = format, .samplerate = 8000, .channels = channels};
            if (!sf_format_check(&info))
                continue;
            check_format(m, format, channels, 1000);
            n++;
        }
        check_format(m, SF_FORMAT_WAV | SF_FORMAT_PCM_16, channels, 0);
        check_format(m, SF_FORMAT_WAV | SF_FORMAT_PCM_16, channels, 1);
        octet_model_destroy(&m);
    }
    assert_true(n >= 40);
}

/* A stream holds the samples that the file does; without a header it is they alone. */
static void streams_are_files(void **state) {
    (void)state;
    octet_model *m = make_model("pcm8", 8000, 1);
    uint8_t bytes[333];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(128 + 100 * sin(0.1 * (double)i));
    for (size_t i = 0; i < COUNT(subtypes); i++) {
        const int format = SF_FORMAT_WAV | subtypes[i];
        const SF_INFO possible = {.format = format, .samplerate = 11025, .channels = 2};
        if (!sf_format_check(&possible))
            continue;
        audio_file f = noise_file(format, 11025, 2, 777);
        octet_clip *clip = open_clip(m, &f);
        octet_join_params p = {.frames = 400};
        collected file, stream, plain, fresh;
        join(&file, clip, &p, bytes, sizeof bytes, sizeof bytes);
        p.form = OCTET_JOIN_STREAM;
        join(&stream, clip, &p, bytes, sizeof bytes, 1);
        assert_true(stream.pieces > 100);
        p.form = OCTET_JOIN_PLAIN;
        join(&plain, clip, &p, bytes, sizeof bytes, 10);
        p.only_new = 1;
        join(&fresh, clip, &p, bytes, sizeof bytes, 10);
        assert_int_equal(stream.n, 44 + plain.n);
        assert_memory_equal(stream.data + 44, plain.data, plain.n);
        assert_int_equal(plain.n / 1177 * 400, fresh.n);
        assert_memory_equal(plain.data + (plain.n - fresh.n), fresh.data, fresh.n);
        SF_INFO a, b;
        double *x = read_samples(file.data, file.n, &a);
        double *y = read_samples(stream.data, stream.n, &b);
        assert_int_equal(a.frames, 777 + 400);
        assert_int_equal(b.frames, 777 + 400);
        /* laws are streamed as 16 bits: new samples are rounded to those, not to the law */
        const int is_law = subtypes[i] == SF_FORMAT_ULAW || subtypes[i] == SF_FORMAT_ALAW;
        assert_memory_equal(x, y, (is_law ? 777 : 1177) * 2 * sizeof *x);
        free(x);
        free(y);
        free(file.data);
        free(stream.data);
        free(plain.data);
        free(fresh.data);
        octet_clip_close(&clip);
        audio_free(&f);
    }
    octet_model_destroy(&m);
}

/* --- the seam */

/* Two tones that go on for ever. Frequencies of both channels are below half of 8000 Hz. */
static double tone(int channel, double seconds) {
    return 0.4 * sin(2 * PI * (channel ? 313 : 440) * seconds + 1);
}

/* A model that continues perfectly: the result is the tone all through, the seam included. The
 * codec is off by up to 2^-16, by the offset at the seam once more, and both filters' ripple is
 * below 2^-16. The filter meets the end of its input within its 143 frames of reach, which are left
 * out. */
static void tones_go_on_at_other_rates(void **state) {
    (void)state;
    static const int rates[] = {8000, 11025, 16000, 44100, 48000, 7999, 6000, 96000};
    for (size_t i = 0; i < 2 * COUNT(rates); i++) {
        const int rate = rates[i / 2], channels = 1 + (int)(i % 2);
        octet_model *m = make_model("pcm16", 8000, channels);
        const int64_t frames = rate / 3 + (int64_t)i;
        double *x = support_alloc((size_t)(frames * channels), sizeof *x);
        for (int64_t k = 0; k < frames * channels; k++)
            x[k] = tone((int)(k % channels), (double)(k / channels) / rate);
        audio_file f =
            audio_make_floats(SF_FORMAT_WAV | SF_FORMAT_DOUBLE, rate, channels, x, frames);
        octet_clip *clip = open_clip(m, &f);
        octet_clip_info info;
        octet_clip_info_get(clip, &info);
        octet_join_params p = {.frames = rate / 4};
        octet_media plan;
        int64_t n;
        support_ok(octet_join_plan(&plan, &n, clip, &p, &error), &error);
        for (int64_t k = 0; k < (int64_t)info.n / 2; k++) {
            const int64_t frame = info.all_frames - info.read_frames + k / channels;
            const int word = info.bytes[2 * k] << 8 | info.bytes[2 * k + 1];
            const double heard = (word < 32768 ? word : word - 65536) / 32768.0;
            assert_true(fabs(heard - tone((int)(k % channels), (double)frame / 8000)) < 5e-5);
        }
        uint8_t *bytes = support_alloc((size_t)n, 1);
        for (int64_t k = 0; k < n / 2; k++) {
            const int64_t frame = info.all_frames + k / channels;
            const int value = (int)lrint(32768 * tone((int)(k % channels), (double)frame / 8000));
            bytes[2 * k] = (uint8_t)(value >> 8);
            bytes[2 * k + 1] = (uint8_t)value;
        }
        collected out;
        join(&out, clip, &p, bytes, (size_t)n, 1001);
        SF_INFO after;
        double *y = read_samples(out.data, out.n, &after);
        assert_int_equal(after.frames, frames + rate / 4);
        assert_memory_equal(y, x, (size_t)(frames * channels) * sizeof *x);
        const int64_t safe = after.frames - 150 * (1 + rate / 8000);
        assert_true(safe > frames);
        double worst = 0;
        for (int64_t k = frames * channels; k < safe * channels; k++) {
            const double off = y[k] - tone((int)(k % channels), (double)(k / channels) / rate);
            worst = fabs(off) > worst ? fabs(off) : worst;
        }
        if (worst > 5e-5)
            fail_msg("%d Hz, %d channels: off by %g", rate, channels, worst);
        free(x);
        free(y);
        free(bytes);
        free(out.data);
        octet_clip_close(&clip);
        audio_free(&f);
        octet_model_destroy(&m);
    }
}

/* The model hears one channel at 8000 Hz, which is silence: the channels cancel each other. What it
 * could not hear leaves no step and is gone after 5 ms, at its own rate and at another. */
static void what_was_not_heard_fades(void **state) {
    (void)state;
    static const int rates[] = {8000, 11025, 48000};
    octet_model *m = make_model("pcm16", 8000, 1);
    enum { FRAMES = 5000, NEW = 2000 };
    for (size_t i = 0; i < COUNT(rates); i++) {
        const int rate = rates[i];
        double x[2 * FRAMES];
        for (int k = 0; k < FRAMES; k++) {
            x[2 * k] = 0.25 + 0.5 * sin(2 * PI * 3 * (k + 3) / 16);
            x[2 * k + 1] = -x[2 * k];
        }
        audio_file f = audio_make_floats(SF_FORMAT_WAV | SF_FORMAT_DOUBLE, rate, 2, x, FRAMES);
        octet_clip *clip = open_clip(m, &f);
        uint8_t silence[2 * NEW] = {0};
        const octet_join_params p = {.frames = NEW * (int64_t)rate / 8000};
        collected out;
        join(&out, clip, &p, silence, sizeof silence, sizeof silence);
        SF_INFO after;
        double *y = read_samples(out.data, out.n, &after);
        for (int c = 0; c < 2; c++) {
            const double *last = y + 2 * (FRAMES - 1) + c, *next = last + 2;
            assert_true(fabs(*last) > 0.05);
            /* the fade begins with 3 / (rate / 200 + 1)^2 of the step */
            if (fabs(*next - *last) > 3 * fabs(*last) * 200 * 200 / rate / rate + 1e-4)
                fail_msg("%d Hz, channel %d: from %g to %g", rate, c, *last, *next);
            for (int k = rate / 200; k < (int)p.frames - 1; k++)
                assert_true(fabs(next[2 * k]) < 1e-4);
        }
        free(y);
        free(out.data);
        octet_clip_close(&clip);
        audio_free(&f);
    }
    octet_model_destroy(&m);
}

/* --- clips and refusals */

static void long_clips_are_read_at_their_end(void **state) {
    (void)state;
    octet_model *m = make_model("pcm16", 8000, 2);
    audio_file f = noise_file(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 2, 1000);
    octet_clip *clip = open_clip(m, &f);
    octet_clip_info info;
    octet_clip_info_get(clip, &info);
    assert_int_equal(info.n, 96); /* half way between 64 and 128 */
    assert_int_equal(info.read_frames, 24);
    assert_int_equal(info.all_frames, 1000);
    assert_int_equal(info.frame_bytes, 4);
    for (size_t i = 0; i < 96; i += 2) { /* big-endian after little-endian */
        assert_int_equal(info.bytes[i], f.data[f.size - 96 + i + 1]);
        assert_int_equal(info.bytes[i + 1], f.data[f.size - 96 + i]);
    }
    octet_clip_close(&clip);
    audio_free(&f);
    f = noise_file(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 2, 3);
    clip = open_clip(m, &f);
    octet_clip_info_get(clip, &info);
    assert_int_equal(info.n, 12);
    octet_clip_close(&clip);
    octet_clip_close(&clip);
    audio_free(&f);
    octet_model_destroy(&m);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    octet_model *text, *m = make_model("pcm8", 8000, 1);
    octet_clip *clip = NULL;
    support_ok(octet_model_create(&text, runtime, "{\"context\": 128, " LEVELS, "tiny", 3, &error),
               &error);
    assert_int_equal(octet_clip_open(&clip, text, "/dev/null", &error), OCTET_WRONG_MODEL);
    assert_null(clip);
    support_contains(error.text, "codec");
    assert_int_equal(octet_clip_open(&clip, m, "/dev/null", &error), OCTET_CORRUPT);
    assert_int_equal(octet_clip_open(&clip, m, "/none", &error), OCTET_ERROR);
    assert_null(clip);
    audio_file f = noise_file(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1, 100);
    clip = open_clip(m, &f);
    octet_media plan;
    int64_t bytes;
    static const char *const refused[] = {"flac", "ogg", "mp3", "pcm", "xyz"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        const octet_join_params p = {.container = refused[i], .frames = 10};
        octet_join *j;
        assert_int_equal(octet_join_plan(&plan, &bytes, clip, &p, &error), OCTET_ERROR);
        support_contains(error.text, "wav");
        assert_int_equal(octet_join_create(&j, clip, &p, collect, NULL, &error), OCTET_ERROR);
        assert_null(j);
    }
    static const int64_t frames[] = {-1, -2, INT64_MAX, INT64_C(1) << 31};
    for (size_t i = 0; i < COUNT(frames); i++) {
        const octet_join_params p = {.frames = frames[i]};
        assert_int_equal(octet_join_plan(&plan, &bytes, clip, &p, &error), OCTET_ERROR);
    }
    octet_clip_close(&clip);
    audio_free(&f);
    /* Vorbis: its decoded samples come as floats in a WAV */
    f = noise_file(SF_FORMAT_OGG | SF_FORMAT_VORBIS, 8000, 1, 1000);
    clip = open_clip(m, &f);
    const octet_join_params p = {.frames = 10};
    uint8_t next[10] = {128, 129, 130, 131, 132, 133, 134, 135, 136, 137};
    collected out;
    join(&out, clip, &p, next, sizeof next, 3);
    SF_INFO a, b;
    double *x = read_samples(f.data, f.size, &a), *y = read_samples(out.data, out.n, &b);
    assert_int_equal(b.format, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
    assert_int_equal(b.frames, a.frames + 10);
    assert_memory_equal(x, y, (size_t)a.frames * sizeof *x);
    free(x);
    free(y);
    free(out.data);
    octet_clip_close(&clip);
    audio_free(&f);
    octet_model_destroy(&text);
    octet_model_destroy(&m);
}

static int start(void **state) {
    (void)state;
    const octet_runtime_params p = {.threads = 1};
    return octet_runtime_create(&runtime, &p, &error) != OCTET_OK;
}

static int end(void **state) {
    (void)state;
    octet_runtime_destroy(&runtime);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_reproduce_and_batches_are_single_ones),
        cmocka_unit_test(clips_come_back_unchanged_in_every_format),
        cmocka_unit_test(streams_are_files),
        cmocka_unit_test(tones_go_on_at_other_rates),
        cmocka_unit_test(what_was_not_heard_fades),
        cmocka_unit_test(long_clips_are_read_at_their_end),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, start, end);
}
