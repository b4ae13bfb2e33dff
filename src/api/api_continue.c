/* api_continue.c: octet/continue.h: bytes and clips; joins are in api_join.c. */
#include <stdlib.h>
#include <string.h>

#include "api/api_media.h"
#include "api/clip.h"
#include "base/burg.h"
#include "codec/audio_convert.h"
#include "codec/audio_sniff.h"
#include "infer/continuation.h"

enum {
    MAX_SECONDS = 3600, /* as octet_encode_file */
    REACH = 150,        /* frames that the filter looks ahead, at the lower of both rates: 143 */
    MEMORY = 4096,      /* frames at the end from which its continuation is predicted */
    ORDER = 64
};

octet_status octet_continue(octet_model *m, const uint8_t *prompt, size_t n,
                            const octet_continue_params *p, octet_continue_visit *visit,
                            void *context, octet_error *error) {
    model reads;
    const octet_status status = api_model_profile(&reads, m, p->profile, error);
    return status ? status : continuation_run(&reads, prompt, n, p, visit, context, error);
}

/* --- clips */

typedef struct hearing {
    octet_clip *clip;
    audio_convert *convert;
    double *end; /* the last n frames, up to `most` of them */
    size_t n, most;
    size_t ahead; /* frames after the end that the filter sees; 0 where the rate stays */
} hearing;

static void remember(hearing *h, const double *samples, size_t n) {
    const size_t channels = (size_t)h->clip->source.format.channels;
    const size_t fresh = n < h->most ? n : h->most;
    const size_t old = h->n < h->most - fresh ? h->n : h->most - fresh;
    memmove(h->end, h->end + (h->n - old) * channels, old * channels * sizeof *h->end);
    memcpy(h->end + old * channels, samples + (n - fresh) * channels,
           fresh * channels * sizeof *h->end);
    h->n = old + fresh;
}

/* An audio_sink: counts frames and remembers the last ones on their way to the codec. */
static octet_status hear(void *context, const double *samples, size_t n, octet_error *error) {
    hearing *h = context;
    if (n > 0)
        remember(h, samples, n);
    h->clip->info.media.frames += (int64_t)n;
    return audio_convert_push(h->convert, samples, n, error);
}

/* A filter that met the clip's end would pull the last frames that the model hears towards zero. So
 * it gets what a linear prediction says of the sound after the end, and what comes of that is cut
 * off. */
static octet_status extend_end(hearing *h, octet_error *error) {
    const size_t channels = (size_t)h->clip->source.format.channels, n = h->n, ahead = h->ahead;
    double a[ORDER], *x = malloc((3 * n + ahead) * sizeof *x);
    double *frames = malloc(ahead * channels * sizeof *frames);
    octet_status status = OCTET_OK;
    if (!x || !frames)
        status = error_memory(error, h->clip->name, 8.0 * (double)(3 * n + ahead));
    for (size_t c = 0; c < channels && !status; c++) {
        for (size_t t = 0; t < n; t++)
            x[t] = h->end[t * channels + c];
        const int order = n > 2 * ORDER ? ORDER : (int)(n / 2);
        (void)burg_fit(a, order, x, n, x + n + ahead);
        burg_extend(x + n, ahead, a, order);
        for (size_t t = 0; t < ahead; t++)
            frames[t * channels + c] = x[n + t];
    }
    if (!status)
        status = audio_convert_push(h->convert, frames, ahead, error);
    free(x);
    free(frames);
    return status;
}

static octet_status convert_clip(hearing *h, octet_encoded *heard, octet_error *error) {
    octet_clip *clip = h->clip;
    const audio_format *f = &clip->source.format;
    const octet_media *media = &heard->media; /* rate and channels to have */
    const int resampled = media->rate_hz != f->rate_hz;
    octet_guard guard;
    h->ahead = resampled ? REACH * (1 + (size_t)(f->rate_hz / media->rate_hz)) : 0;
    h->most = resampled ? MEMORY : 1;
    h->end = calloc(h->most * (size_t)f->channels, sizeof *h->end);
    if (!h->end)
        return error_memory(error, clip->name, (double)h->most);
    octet_status status = audio_can_convert(f, media->rate_hz, media->channels, clip->name, error);
    if (!status)
        status = audio_convert_create(&h->convert, clip->codec, f, media->rate_hz, media->channels,
                                      (int64_t)MAX_SECONDS * f->rate_hz + (int64_t)h->ahead,
                                      clip->name, error);
    if (!status)
        status = audio_read_guarded(&clip->source, hear, h, &guard, error);
    if (!status && resampled && h->n > 0)
        status = extend_end(h, error);
    return status ? status : audio_convert_finish(h->convert, heard, error);
}

static octet_status read_clip(octet_clip *clip, const config *c, octet_error *error) {
    audio_source *s = &clip->source;
    octet_media *media = &clip->info.media;
    octet_status status = audio_sniff(&s->format, s->data, s->size, s->name, error);
    if (status)
        return status;
    *media = (octet_media){.rate_hz = s->format.rate_hz, .channels = s->format.channels};
    strcpy(media->codec, clip->codec->name);
    strcpy(media->container, audio_container_name(s->format.container));
    strcpy(media->samples, audio_samples_name(s->format.samples));
    hearing h = {.clip = clip};
    octet_encoded heard = {
        .media = {.rate_hz = (int32_t)c->rate_hz, .channels = (int32_t)c->channels}};
    status = convert_clip(&h, &heard, error);
    audio_convert_destroy(&h.convert);
    if (h.n > 0)
        memcpy(clip->last, h.end + (h.n - 1) * (size_t)media->channels,
               (size_t)media->channels * sizeof *clip->last);
    free(h.end);
    /* those up to the clip's last frame, not beyond it */
    const int64_t frames =
        media->frames > 0 ? (media->frames - 1) * c->rate_hz / media->rate_hz + 1 : 0;
    clip->bytes = heard.bytes;
    clip->info.losses = heard.losses;
    clip->info.losses.source_bits = audio_samples_bits(s->format.samples);
    clip->info.all_frames = heard.media.frames < frames ? heard.media.frames : frames;
    return status;
}

/* What the model reads of it. */
static void choose_end(octet_clip *clip, const config *c) {
    const int64_t most = c->endless ? c->context : c->keep + (c->context - c->keep) / 2;
    const int64_t frame_bytes = clip->codec->sample_bytes * c->channels;
    const int64_t frames = most / frame_bytes;
    octet_clip_info *info = &clip->info;
    info->read_frames = info->all_frames < frames ? info->all_frames : frames;
    info->frame_bytes = (size_t)frame_bytes;
    info->n = (size_t)(info->read_frames * frame_bytes);
    info->bytes = clip->bytes;
    if (info->n > 0)
        info->bytes += (info->all_frames - info->read_frames) * frame_bytes;
}

octet_status octet_clip_open(octet_clip **out, const octet_model *m, const char *path,
                             octet_error *error) {
    const config *c = &m->model->config;
    *out = NULL;
    octet_status status = media_need_codec(m, error);
    if (status)
        return status;
    octet_clip *clip = calloc(1, sizeof *clip);
    if (!clip)
        return error_memory(error, path, sizeof *clip);
    /* Read, not mapped: another process may cut the file meanwhile. */
    status = file_read(&clip->file, path, OCTET_MEDIA_BYTES, error);
    clip->codec = codec_find(config_codec_name(c));
    clip->name = strdup(strcmp(path, "-") ? path : "standard input");
    if (!status && !clip->name)
        status = error_memory(error, path, (double)strlen(path));
    clip->source =
        (audio_source){.data = clip->file.data, .size = clip->file.size, .name = clip->name};
    if (!status)
        status = read_clip(clip, c, error);
    if (!status)
        choose_end(clip, c);
    if (status)
        octet_clip_close(&clip);
    *out = clip;
    return status;
}

void octet_clip_info_get(const octet_clip *clip, octet_clip_info *out) {
    *out = clip->info;
}

void octet_clip_close(octet_clip **clip) {
    if (!clip || !*clip)
        return;
    file_close(&(*clip)->file);
    free((*clip)->name);
    free((*clip)->bytes);
    free(*clip);
    *clip = NULL;
}
