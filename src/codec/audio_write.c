/* audio_write.c: see audio_write.h. */
#include "codec/audio_write.h"

#include <stdlib.h>
#include <string.h>

#include "codec/audio_output.h"
#include "codec/codecs.h"
#include "codec/media.h"

enum { BLOCK = 8192 }; /* samples at a time */

/* The source's samples where they hold all that there is, else the codec's. */
static audio_samples choose_samples(const octet_media *m, const codec *c,
                                    audio_container container) {
    if (container == AUDIO_OGG) {
        return AUDIO_VORBIS;
    }
    audio_samples wanted[3];
    int n = 0;
    if (m->lossless && m->samples[0] != '\0') {
        wanted[n++] = (audio_samples)audio_samples_find(m->samples);
    }
    if (c->bits == 0) {
        wanted[n++] = AUDIO_ULAW;
    } else if (c->bits == 8) {
        wanted[n++] = AUDIO_U8;
        wanted[n++] = AUDIO_S8;
    }
    for (int i = 0; i < n; i++) {
        const audio_target t = {AUDIO_FILE, container, wanted[i], m->rate_hz, m->channels};
        if (audio_output_takes(&t)) {
            return wanted[i];
        }
    }
    return AUDIO_S16;
}

static octet_status write_samples(uint8_t **out, size_t *out_size, const octet_media *m,
                                  const codec *c, const uint8_t *bytes, audio_container container,
                                  octet_error *error) {
    const audio_target t = {AUDIO_FILE, container, choose_samples(m, c, container), m->rate_hz,
                            m->channels};
    const size_t step = BLOCK / (size_t)m->channels; /* frames */
    audio_output *o = NULL;
    octet_status status = audio_output_check(&t, m->frames, error);
    if (status == OCTET_OK) {
        status = audio_output_create(&o, &t, NULL, NULL, error);
    }
    for (uint64_t i = 0, n = (uint64_t)m->frames; i < n && status == OCTET_OK; i += step) {
        int16_t values[BLOCK];
        double samples[BLOCK];
        const size_t frames = n - i < step ? (size_t)(n - i) : step;
        const size_t part = frames * (size_t)m->channels;
        c->decode(values, bytes + i * media_frame_bytes(m), part);
        for (size_t k = 0; k < part; k++) {
            samples[k] = values[k] / 32768.0;
        }
        status = audio_output_push(o, samples, frames, error);
    }
    if (status == OCTET_OK) {
        status = audio_output_take(o, out, out_size, error);
    }
    audio_output_destroy(&o);
    return status;
}

/* 16-bit little-endian samples, or the bytes of a codec without samples. */
static octet_status write_plain(uint8_t **out, size_t *out_size, const octet_media *m,
                                const codec *c, const uint8_t *bytes, octet_error *error) {
    const size_t n = (size_t)m->frames * (c->sample_bytes == 0 ? 1 : (size_t)m->channels);
    const size_t size = c->sample_bytes == 0 ? n : 2 * n;
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL) {
        return error_memory(error, "media", (double)size);
    }
    if (c->sample_bytes == 0 && n > 0) {
        memcpy(data, bytes, n);
    }
    for (size_t i = 0; c->sample_bytes > 0 && i < n; i++) {
        int16_t value;
        c->decode(&value, bytes + i * (size_t)c->sample_bytes, 1);
        data[2 * i] = (uint8_t)value;
        data[2 * i + 1] = (uint8_t)((uint16_t)value >> 8);
    }
    *out = data;
    *out_size = size;
    return OCTET_OK;
}

static octet_status fail_container(const char *container, octet_error *error) {
    return error_set(error, OCTET_ERROR, "\"%s\" is not written: wav, aiff, au, flac, ogg or pcm",
                     container);
}

octet_status decode_memory(uint8_t **out, size_t *out_size, const octet_media *m,
                           const uint8_t *bytes, const char *container, octet_error *error) {
    const codec *c;
    *out = NULL;
    *out_size = 0;
    octet_status status = codec_get(&c, m->codec, error);
    if (status != OCTET_OK) {
        return status;
    }
    if (c->whole != NULL) {
        return c->whole->decode(out, out_size, m, bytes, container, error);
    }
    if (c->sample_bytes == 0 && container != NULL) {
        return error_set(error, OCTET_ERROR, "codec %s holds no audio that could become %s",
                         c->name, container);
    }
    if (c->sample_bytes == 0 || (container != NULL && strcmp(container, "pcm") == 0)) {
        return write_plain(out, out_size, m, c, bytes, error);
    }
    const int source = audio_container_find(m->container);
    int target = container != NULL ? audio_container_find(container) : source;
    if (container == NULL &&
        (source < 0 || !audio_container_is_lossless((audio_container)source))) {
        target = AUDIO_WAV;
    }
    return target < 0 || target == AUDIO_OPUS || target == AUDIO_MP3
               ? fail_container(container, error)
               : write_samples(out, out_size, m, c, bytes, (audio_container)target, error);
}
