/* encode.c: see encode.h. For audio: the signature, the checks, then decoder and converter, block
 * by block. */
#include "codec/encode.h"

#include <stdlib.h>
#include <string.h>

#include "codec/audio_convert.h"
#include "codec/audio_read.h"
#include "codec/audio_sniff.h"
#include "codec/image.h"

static const double MAX_SECONDS = 3600;

/* What the bytes are then is in out->media already. */
static octet_status encode_audio(octet_encoded *out, const audio_source *source, const codec *c,
                                 const octet_encode_params *p, octet_error *error) {
    const double seconds = p->max_seconds > 0 ? p->max_seconds : MAX_SECONDS;
    const double most = seconds * source->format.rate_hz;
    audio_convert *convert = NULL;
    octet_status status =
        audio_convert_create(&convert, c, &source->format, out->media.rate_hz, out->media.channels,
                             most < 1e15 ? (int64_t)most : (int64_t)1e15, source->name, error);
    if (status == OCTET_OK && p->no_sandbox) {
        status = audio_read(source, audio_convert_push, convert, error);
    } else if (status == OCTET_OK) {
        status = audio_read_guarded(source, audio_convert_push, convert, &out->guard, error);
    }
    if (status == OCTET_OK) {
        status = audio_convert_finish(convert, out, error);
    }
    audio_convert_destroy(&convert);
    return status;
}

static octet_status encode_samples(octet_encoded *out, const codec *c, audio_source *source,
                                   const octet_encode_params *p, octet_error *error) {
    octet_status status =
        audio_sniff(&source->format, source->data, source->size, source->name, error);
    if (status != OCTET_OK) {
        return status;
    }
    const audio_format *f = &source->format;
    octet_media *m = &out->media;
    m->rate_hz = p->rate_hz != 0 ? p->rate_hz : f->rate_hz;
    m->channels = p->channels != 0 ? p->channels : f->channels;
    strcpy(m->container, audio_container_name(f->container));
    strcpy(m->samples, audio_samples_name(f->samples));
    status = audio_can_convert(f, m->rate_hz, m->channels, source->name, error);
    if (status == OCTET_OK) {
        status = encode_audio(out, source, c, p, error);
    }
    const octet_losses *l = &out->losses;
    m->lossless = l->clipped == 0 && l->rounded == 0 && l->rate_from == l->rate_to &&
                  l->channels_from == l->channels_to && audio_container_is_lossless(f->container);
    out->losses.source_bits = audio_samples_bits(f->samples);
    return status;
}

static octet_status encode_as_it_is(octet_encoded *out, const uint8_t *data, size_t size,
                                    const char *name, octet_error *error) {
    out->bytes = malloc(size > 0 ? size : 1);
    if (out->bytes == NULL) {
        return error_memory(error, name, (double)size);
    }
    if (size > 0) {
        memcpy(out->bytes, data, size);
    }
    out->size = size;
    out->media.frames = (int64_t)size;
    out->media.lossless = 1;
    return OCTET_OK;
}

/* What only other codecs take. */
static octet_status check_foreign(const codec *c, const octet_encode_params *p,
                                  octet_error *error) {
    const struct {
        int given;
        const codec *of;
        const char *name;
    } params[] = {
        {p->width, &codec_image, "width"},     {p->height, &codec_image, "height"},
        {p->block, &codec_image, "blocks"},    {p->record_bytes, &codec_records, "records"},
        {p->patch, &codec_records, "patches"}, {p->filler, &codec_records, "filler"}};
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        if (params[i].given != 0 && params[i].of != c) {
            return error_set(error, OCTET_ERROR, "codec %s has no %s", c->name, params[i].name);
        }
    }
    return OCTET_OK;
}

static octet_status check_params(const codec *c, const octet_encode_params *p, octet_error *error) {
    if (c->whole != NULL && (p->rate_hz != 0 || p->max_seconds > 0)) {
        return error_set(error, OCTET_ERROR, "codec %s has no %s", c->name,
                         p->rate_hz != 0 ? "rate" : "seconds");
    }
    if (c->whole != NULL) {
        return OCTET_OK;
    }
    if (c->sample_bytes == 0 && (p->rate_hz != 0 || p->channels != 0)) {
        return error_set(error, OCTET_ERROR, "codec %s has neither a rate nor channels", c->name);
    }
    if (p->rate_hz != 0 &&
        (p->rate_hz < OCTET_MEDIA_RATE_MIN || p->rate_hz > OCTET_MEDIA_RATE_MAX)) {
        return error_set(error, OCTET_ERROR, "a rate of %d Hz is not between %d and %d", p->rate_hz,
                         OCTET_MEDIA_RATE_MIN, OCTET_MEDIA_RATE_MAX);
    }
    if (p->channels < 0 || p->channels > OCTET_MEDIA_CHANNELS) {
        return error_set(error, OCTET_ERROR, "%d channels are not between 1 and %d", p->channels,
                         OCTET_MEDIA_CHANNELS);
    }
    return OCTET_OK;
}

octet_status encode_memory(octet_encoded *out, const uint8_t *data, size_t size, const char *name,
                           const octet_encode_params *params, octet_error *error) {
    static const octet_encode_params defaults = {0};
    const octet_encode_params *p = params != NULL ? params : &defaults;
    const codec *c;
    *out = (octet_encoded){0};
    const codec *standard = image_is(data, size) ? &codec_image : &codec_pcm16;
    octet_status status = codec_get(&c, p->codec != NULL ? p->codec : standard->name, error);
    if (status == OCTET_OK) {
        status = check_params(c, p, error);
    }
    if (status == OCTET_OK) {
        status = check_foreign(c, p, error);
    }
    if (status != OCTET_OK) {
        return status;
    }
    strcpy(out->media.codec, c->name);
    audio_source source = {.data = data, .size = size, .name = name};
    status = c->whole != NULL       ? c->whole->encode(out, data, size, name, p, error)
             : c->sample_bytes == 0 ? encode_as_it_is(out, data, size, name, error)
                                    : encode_samples(out, c, &source, p, error);
    if (status != OCTET_OK) {
        free(out->bytes);
        *out = (octet_encoded){0};
    }
    return status;
}
