/* seam.c: see seam.h. Resampled by libsamplerate's best sinc converter, whose output frame i lies
 * at the time of input frame i * rate_from / rate_to. */
#include "codec/seam.h"

#include <samplerate.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEP = 512,    /* frames at a time */
    HISTORY = 256, /* frames before the seam; the filter reaches 143 back, at the lower rate */
    FADES = 200    /* in a second */
};

struct seam {
    seam_params p;
    audio_sink *sink;
    void *context;
    size_t frame_bytes, n_held;
    uint8_t held[2 * OCTET_MEDIA_CHANNELS]; /* of a frame whose rest is still to come */
    int64_t skip, made;                     /* frames before the seam still to come; new ones */
    double offset[OCTET_MEDIA_CHANNELS];    /* the step at the seam */
    SRC_STATE *resampler;                   /* NULL: the rates are equal */
    double samples[STEP * OCTET_MEDIA_CHANNELS];
    float before[STEP * OCTET_MEDIA_CHANNELS], after[STEP * OCTET_MEDIA_CHANNELS];
};

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int64_t seam_model_frames(const seam_params *p) {
    if (p->rate_from == p->rate_to || p->frames < 0) {
        return p->frames;
    }
    /* to the end of the last frame, and one more against rounding */
    const int64_t end = (p->clip_frames + p->frames) * p->rate_from / p->rate_to + 2;
    return end > p->heard_frames ? end - p->heard_frames : 0;
}

/* The share of the step that the k-th new frame still has: 1 - 3 t^2 + 2 t^3. */
static double fade(const seam *s, int64_t k) {
    const int64_t length = s->p.rate_to / FADES;
    const double t = (double)(k + 1) / (double)(length + 1);
    return k < length ? 1 - t * t * (3 - 2 * t) : 0;
}

/* One frame of the model's channels to the clip's. */
static void mix(const seam *s, double *to, const double *from) {
    double sum = 0;
    for (int c = 0; c < s->p.channels_from; c++) {
        sum += from[c];
    }
    for (int c = 0; c < s->p.channels_to; c++) {
        to[c] = s->p.channels_from == s->p.channels_to ? from[c] : sum / s->p.channels_from;
    }
}

/* x[n, channels_from] at the clip's rate, n <= STEP: what lies before the seam only shows how high
 * the step is. */
static octet_status emit(seam *s, const double *x, size_t n, octet_error *error) {
    const size_t channels = (size_t)s->p.channels_to;
    size_t out = 0;
    for (size_t i = 0; i < n && (s->p.frames < 0 || s->made < s->p.frames); i++) {
        double *frame = s->samples + out * channels;
        mix(s, frame, x + i * (size_t)s->p.channels_from);
        if (s->skip > 0) {
            s->skip--;
            for (size_t c = 0; c < channels; c++) {
                s->offset[c] = s->p.last[c] - frame[c];
            }
            continue;
        }
        for (size_t c = 0; c < channels; c++) {
            frame[c] += s->offset[c] * fade(s, s->made);
        }
        s->made++;
        out++;
    }
    return out > 0 ? s->sink(s->context, s->samples, out, error) : OCTET_OK;
}

/* s->before[n, channels_from] through the filter; n 0 is the end. */
static octet_status resample(seam *s, size_t n, octet_error *error) {
    const size_t channels = (size_t)s->p.channels_from;
    double x[STEP * OCTET_MEDIA_CHANNELS];
    SRC_DATA data = {.data_in = s->before,
                     .input_frames = (long)n,
                     .data_out = s->after,
                     .output_frames = STEP,
                     .end_of_input = n == 0,
                     .src_ratio = (double)s->p.rate_to / s->p.rate_from};
    do {
        const int code = src_process(s->resampler, &data);
        if (code != 0) {
            return error_set(error, OCTET_ERROR, "cannot resample the continuation: %s",
                             src_strerror(code));
        }
        data.data_in += (size_t)data.input_frames_used * channels;
        data.input_frames -= data.input_frames_used;
        for (size_t i = 0; i < (size_t)data.output_frames_gen * channels; i++) {
            x[i] = s->after[i];
        }
        const octet_status status = emit(s, x, (size_t)data.output_frames_gen, error);
        if (status != OCTET_OK) {
            return status;
        }
    } while (data.input_frames > 0 || data.output_frames_gen > 0);
    return OCTET_OK;
}

/* Whole frames. */
static octet_status push_frames(seam *s, const uint8_t *bytes, size_t n, octet_error *error) {
    octet_status status = OCTET_OK;
    while (n > 0 && status == OCTET_OK) {
        int16_t values[STEP * OCTET_MEDIA_CHANNELS];
        double x[STEP * OCTET_MEDIA_CHANNELS];
        const size_t frames = n < STEP ? n : STEP, count = frames * (size_t)s->p.channels_from;
        s->p.codec->decode(values, bytes, count);
        for (size_t i = 0; i < count; i++) {
            x[i] = values[i] / 32768.0;
            s->before[i] = (float)x[i];
        }
        status = s->resampler != NULL ? resample(s, frames, error) : emit(s, x, frames, error);
        bytes += frames * s->frame_bytes;
        n -= frames;
    }
    return status;
}

/* What the model heard last. A whole number of periods of both rates before it lies the start, so
 * that a frame of the clip's rate falls there. */
static octet_status push_history(seam *s, octet_error *error) {
    const seam_params *p = &s->p;
    int64_t start = p->heard_frames - 1;
    if (p->rate_from != p->rate_to) {
        const int64_t divisor = common_divisor(p->rate_from, p->rate_to);
        const int64_t period = p->rate_from / divisor;
        const int64_t reach = HISTORY * (1 + p->rate_from / p->rate_to);
        start = p->heard_frames > reach ? (p->heard_frames - reach) / period * period : 0;
        s->skip = p->clip_frames - start / period * (p->rate_to / divisor);
    } else if (p->channels_from == p->channels_to || p->heard_frames == 0) {
        return OCTET_OK;
    } else {
        s->skip = 1;
    }
    return push_frames(s, p->heard + (size_t)start * s->frame_bytes,
                       (size_t)(p->heard_frames - start), error);
}

octet_status seam_create(seam **out, const seam_params *p, audio_sink *sink, void *context,
                         octet_error *error) {
    seam *s = *out = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(error, "seam", sizeof *s);
    }
    s->p = *p;
    s->sink = sink;
    s->context = context;
    s->frame_bytes = (size_t)p->codec->sample_bytes * (size_t)p->channels_from;
    int code = 0;
    if (p->rate_from != p->rate_to) {
        s->resampler = src_new(SRC_SINC_BEST_QUALITY, p->channels_from, &code);
    }
    octet_status status =
        code != 0 ? error_set(error, OCTET_NO_MEMORY, "cannot resample: %s", src_strerror(code))
                  : push_history(s, error);
    if (status != OCTET_OK) {
        seam_destroy(out);
    }
    return status;
}

octet_status seam_push(seam *s, const uint8_t *bytes, size_t n, octet_error *error) {
    octet_status status = OCTET_OK;
    while (s->n_held > 0 && n > 0 && status == OCTET_OK) {
        s->held[s->n_held++] = *bytes++;
        n--;
        if (s->n_held == s->frame_bytes) {
            status = push_frames(s, s->held, 1, error);
            s->n_held = 0;
        }
    }
    const size_t rest = n % s->frame_bytes;
    if (status == OCTET_OK) {
        status = push_frames(s, bytes, n / s->frame_bytes, error);
    }
    if (rest > 0) {
        memcpy(s->held, bytes + n - rest, rest);
        s->n_held = rest;
    }
    return status;
}

octet_status seam_finish(seam *s, octet_error *error) {
    return s->resampler != NULL ? resample(s, 0, error) : OCTET_OK;
}

int64_t seam_made(const seam *s) {
    return s->made;
}

void seam_destroy(seam **s) {
    if (*s != NULL && (*s)->resampler != NULL) {
        (void)src_delete((*s)->resampler);
    }
    free(*s);
    *s = NULL;
}
