/* api_join.c: octet/continue.h: a clip and what follows it as one file or stream. */
#include <stdlib.h>
#include <string.h>

#include "api/clip.h"
#include "codec/audio_output.h"
#include "codec/seam.h"

struct octet_join {
    seam *seam;
    audio_output *output;
    octet_join_form form;
    octet_write *write;
    void *context;
};

static octet_status choose_target(audio_target *t, const octet_clip *clip,
                                  const octet_join_params *p, octet_error *error) {
    static const audio_form forms[] = {AUDIO_FILE, AUDIO_STREAM, AUDIO_PLAIN};
    const audio_format *f = &clip->source.format;
    int container = AUDIO_WAV;
    if (p->container)
        container = audio_container_find(p->container);
    else if (p->form == OCTET_JOIN_FILE && audio_container_is_lossless(f->container))
        container = f->container;
    if (container < 0 || !audio_container_is_lossless((audio_container)container))
        return error_set(error, OCTET_ERROR,
                         "\"%s\" would not keep the clip's samples: wav, aiff, au or flac",
                         p->container);
    *t = (audio_target){forms[p->form], (audio_container)container, f->samples, f->rate_hz,
                        f->channels};
    if (!audio_output_fit(t))
        return error_set(
            error, OCTET_ERROR, "%s does not hold %s samples with %d channels unchanged, wav does",
            audio_container_name(t->container), audio_samples_name(f->samples), f->channels);
    return OCTET_OK;
}

static seam_params seam_of(const octet_clip *clip, int64_t frames) {
    const octet_clip_info *i = &clip->info;
    seam_params p = {.codec = clip->codec,
                     .rate_from = i->losses.rate_to,
                     .channels_from = i->losses.channels_to,
                     .rate_to = i->media.rate_hz,
                     .channels_to = i->media.channels,
                     .heard = clip->bytes,
                     .heard_frames = i->all_frames,
                     .clip_frames = i->media.frames,
                     .frames = frames};
    memcpy(p.last, clip->last, sizeof p.last);
    return p;
}

octet_status octet_join_plan(octet_media *out, int64_t *bytes, const octet_clip *clip,
                             const octet_join_params *p, octet_error *error) {
    const octet_clip_info *i = &clip->info;
    const seam_params s = seam_of(clip, p->frames);
    const int64_t most = INT64_C(1) << 40, old = p->only_new ? 0 : i->media.frames;
    audio_target t;
    if (p->frames > most || p->frames < -1 || (p->frames < 0 && p->form == OCTET_JOIN_FILE))
        return error_set(error, OCTET_ERROR, "%lld new frames are not 0 to %lld",
                         (long long)p->frames, (long long)most);
    octet_status status = choose_target(&t, clip, p, error);
    if (!status)
        status = audio_output_check(&t, old + p->frames, error);
    if (status)
        return status;
    *out = (octet_media){.rate_hz = t.rate_hz,
                         .channels = t.channels,
                         .frames = p->frames < 0 ? -1 : old + p->frames,
                         .lossless = 1};
    strcpy(out->container, p->form == OCTET_JOIN_PLAIN ? "" : audio_container_name(t.container));
    strcpy(out->samples, audio_samples_name(t.samples));
    *bytes = p->frames < 0
                 ? -1
                 : seam_model_frames(&s) * s.channels_from * (int64_t)clip->codec->sample_bytes;
    return OCTET_OK;
}

octet_status octet_join_create(octet_join **out, const octet_clip *clip, const octet_join_params *p,
                               octet_write *write, void *context, octet_error *error) {
    const seam_params s = seam_of(clip, p->frames);
    const int is_file = p->form == OCTET_JOIN_FILE;
    octet_guard guard;
    audio_target t;
    *out = NULL;
    octet_status status = choose_target(&t, clip, p, error);
    octet_join *j = calloc(1, sizeof *j);
    if (!j)
        return error_memory(error, "join", sizeof *j);
    *j = (octet_join){.form = p->form, .write = write, .context = context};
    if (!status)
        status = audio_output_create(&j->output, &t, is_file ? NULL : write, context, error);
    if (!status && !p->only_new)
        status = audio_read_guarded(&clip->source, audio_output_push, j->output, &guard, error);
    if (!status)
        status = seam_create(&j->seam, &s, audio_output_push, j->output, error);
    if (status)
        octet_join_destroy(&j);
    *out = j;
    return status;
}

octet_status octet_join_push(octet_join *j, const uint8_t *bytes, size_t n, octet_error *error) {
    return seam_push(j->seam, bytes, n, error);
}

octet_status octet_join_finish(octet_join *j, octet_error *error) {
    uint8_t *data = NULL;
    size_t size;
    octet_status status = seam_finish(j->seam, error);
    if (!status && j->form == OCTET_JOIN_FILE) {
        status = audio_output_take(j->output, &data, &size, error);
        if (!status)
            status = j->write(j->context, data, size, error);
        free(data);
    }
    return status;
}

int64_t octet_join_frames(const octet_join *j, int64_t *clipped) {
    if (clipped)
        *clipped = audio_output_clipped(j->output);
    return seam_made(j->seam);
}

void octet_join_destroy(octet_join **j) {
    if (!j || !*j)
        return;
    seam_destroy(&(*j)->seam);
    audio_output_destroy(&(*j)->output);
    free(*j);
    *j = NULL;
}
