/* audio_convert.c: see audio_convert.h. Rates are changed by libsamplerate's best sinc converter,
 * on floats, which all formats but those of 32 and 64 bits fill without loss. */
#include "codec/audio_convert.h"

#include <samplerate.h>
#include <stdlib.h>
#include <string.h>

enum { STEP = 1024, FIRST_BYTES = 1 << 16 }; /* frames at a time */

/* Beyond this many times full scale samples are cut before the filter: its sums stay finite. They
 * are clipped behind it all the same. */
static const double LOUDEST = 65536;

struct audio_convert {
    const codec *codec;
    const char *name;
    int from_channels, mixed_channels, channels;
    int rate_from, rate_to;
    int64_t taken, most, made; /* frames */
    SRC_STATE *resampler;      /* NULL: the rate stays */
    double ratio;
    uint8_t *bytes;
    size_t size, capacity;
    codec_counts counts;
    double mixed[STEP * OCTET_MEDIA_CHANNELS], copied[STEP * OCTET_MEDIA_CHANNELS];
    float before[STEP * OCTET_MEDIA_CHANNELS], after[STEP * OCTET_MEDIA_CHANNELS];
};

octet_status audio_can_convert(const audio_format *from, int rate_hz, int channels,
                               const char *name, octet_error *error) {
    if (channels != from->channels && channels != 1 && from->channels != 1) {
        return error_set(error, OCTET_ERROR,
                         "%s: %d channels cannot become %d, only 1 (their average)", name,
                         from->channels, channels);
    }
    if (rate_hz != from->rate_hz && !src_is_valid_ratio((double)rate_hz / from->rate_hz)) {
        return error_set(error, OCTET_ERROR, "%s: %d Hz cannot become %d Hz, more than 256-fold",
                         name, from->rate_hz, rate_hz);
    }
    return OCTET_OK;
}

octet_status audio_convert_create(audio_convert **out, const codec *c, const audio_format *from,
                                  int rate_hz, int channels, int64_t most, const char *name,
                                  octet_error *error) {
    audio_convert *a = *out = calloc(1, sizeof *a);
    if (a == NULL) {
        return error_memory(error, name, sizeof *a);
    }
    a->codec = c;
    a->name = name;
    a->from_channels = from->channels;
    a->mixed_channels = channels < from->channels ? channels : from->channels;
    a->channels = channels;
    a->rate_from = from->rate_hz;
    a->rate_to = rate_hz;
    a->ratio = (double)rate_hz / from->rate_hz;
    a->most = most;
    if (rate_hz == from->rate_hz) {
        return OCTET_OK;
    }
    int code;
    a->resampler = src_new(SRC_SINC_BEST_QUALITY, a->mixed_channels, &code);
    if (a->resampler == NULL) {
        audio_convert_destroy(out);
        return error_set(error, OCTET_NO_MEMORY, "%s: cannot resample: %s", name,
                         src_strerror(code));
    }
    return OCTET_OK;
}

void audio_convert_destroy(audio_convert **a) {
    if (*a != NULL) {
        if ((*a)->resampler != NULL) {
            (void)src_delete((*a)->resampler);
        }
        free((*a)->bytes);
    }
    free(*a);
    *a = NULL;
}

static octet_status reserve(audio_convert *a, size_t more, octet_error *error) {
    if (more <= a->capacity - a->size) {
        return OCTET_OK;
    }
    size_t capacity = a->capacity == 0 ? FIRST_BYTES : a->capacity;
    while (capacity - a->size < more && capacity <= SIZE_MAX / 2) {
        capacity *= 2;
    }
    uint8_t *larger = capacity - a->size < more ? NULL : realloc(a->bytes, capacity);
    if (larger == NULL) {
        return error_memory(error, a->name, (double)capacity);
    }
    a->bytes = larger;
    a->capacity = capacity;
    return OCTET_OK;
}

/* x[n_frames, mixed_channels], n_frames <= STEP, to bytes. */
static octet_status encode(audio_convert *a, const double *x, size_t n_frames, octet_error *error) {
    const size_t n = n_frames * (size_t)a->channels;
    const octet_status status = reserve(a, n * (size_t)a->codec->sample_bytes, error);
    if (status != OCTET_OK) {
        return status;
    }
    if (a->mixed_channels != a->channels) {
        for (size_t i = 0; i < n; i++) {
            a->copied[i] = x[i / (size_t)a->channels];
        }
        x = a->copied;
    }
    a->codec->encode(a->bytes + a->size, x, n, &a->counts);
    a->size += n * (size_t)a->codec->sample_bytes;
    a->made += (int64_t)n_frames;
    return OCTET_OK;
}

/* x[n_frames, mixed_channels] through the filter; n_frames 0 is the end. */
static octet_status resample(audio_convert *a, const double *x, size_t n_frames,
                             octet_error *error) {
    const size_t channels = (size_t)a->mixed_channels;
    for (size_t i = 0; i < n_frames * channels; i++) {
        const double cut = x[i] < LOUDEST ? x[i] : LOUDEST;
        a->before[i] = (float)(cut > -LOUDEST ? cut : -LOUDEST);
    }
    SRC_DATA data = {.data_in = a->before,
                     .input_frames = (long)n_frames,
                     .data_out = a->after,
                     .output_frames = STEP,
                     .end_of_input = n_frames == 0,
                     .src_ratio = a->ratio};
    do {
        const int code = src_process(a->resampler, &data);
        if (code != 0) {
            return error_set(error, OCTET_ERROR, "%s: cannot resample: %s", a->name,
                             src_strerror(code));
        }
        data.data_in += (size_t)data.input_frames_used * channels;
        data.input_frames -= data.input_frames_used;
        for (size_t i = 0; i < (size_t)data.output_frames_gen * channels; i++) {
            a->mixed[i] = a->after[i];
        }
        const octet_status status = encode(a, a->mixed, (size_t)data.output_frames_gen, error);
        if (status != OCTET_OK) {
            return status;
        }
    } while (data.input_frames > 0 || data.output_frames_gen > 0);
    return OCTET_OK;
}

/* To the channels' average where there is only one. */
static const double *mix(audio_convert *a, const double *x, size_t n_frames) {
    if (a->mixed_channels == a->from_channels) {
        return x;
    }
    for (size_t i = 0; i < n_frames; i++) {
        double sum = 0;
        for (int c = 0; c < a->from_channels; c++) {
            sum += *x++;
        }
        a->mixed[i] = sum / a->from_channels;
    }
    return a->mixed;
}

octet_status audio_convert_push(void *convert, const double *samples, size_t n_frames,
                                octet_error *error) {
    audio_convert *a = convert;
    if ((int64_t)n_frames > a->most - a->taken) {
        return error_set(error, OCTET_ERROR, "%s: longer than the limit of %lld s", a->name,
                         (long long)(a->most / a->rate_from));
    }
    a->taken += (int64_t)n_frames;
    while (n_frames > 0) {
        const size_t n = n_frames < STEP ? n_frames : STEP;
        const double *x = mix(a, samples, n);
        const octet_status status =
            a->resampler != NULL ? resample(a, x, n, error) : encode(a, x, n, error);
        if (status != OCTET_OK) {
            return status;
        }
        samples += n * (size_t)a->from_channels;
        n_frames -= n;
    }
    return OCTET_OK;
}

octet_status audio_convert_finish(audio_convert *a, octet_encoded *out, octet_error *error) {
    const octet_status status = a->resampler != NULL ? resample(a, NULL, 0, error) : OCTET_OK;
    if (status != OCTET_OK) {
        return status;
    }
    out->media.frames = a->made;
    out->losses = (octet_losses){.clipped = a->counts.clipped,
                                 .rounded = a->counts.rounded,
                                 .rate_from = a->rate_from,
                                 .rate_to = a->rate_to,
                                 .channels_from = a->from_channels,
                                 .channels_to = a->channels,
                                 .codec_bits = a->codec->bits};
    out->bytes = a->bytes;
    out->size = a->size;
    a->bytes = NULL;
    return OCTET_OK;
}
