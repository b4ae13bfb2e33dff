/* audio_write.c: see audio_write.h. libsndfile writes into memory through its virtual files; what
 * it writes is ours, so it does so in this process. */
#include "codec/audio_write.h"

#include <sndfile.h>
#include <stdlib.h>
#include <string.h>

#include "codec/audio_format.h"
#include "codec/codecs.h"
#include "codec/media.h"

enum { BLOCK = 8192 }; /* samples at a time */

/* RIFF, FORM and AU count bytes in 32 bits; what is around the samples is far less than this. */
static const uint64_t MOST_BYTES = UINT32_MAX - (1 << 16);

typedef struct growing_file {
    uint8_t *data;
    size_t size, at, capacity;
} growing_file;

static sf_count_t growing_size(void *user) {
    return (sf_count_t)((growing_file *)user)->size;
}

static sf_count_t growing_seek(sf_count_t offset, int whence, void *user) {
    growing_file *g = user;
    const sf_count_t from = whence == SEEK_CUR   ? (sf_count_t)g->at
                            : whence == SEEK_END ? (sf_count_t)g->size
                                                 : 0;
    if (offset < -from || offset > (sf_count_t)g->size - from) {
        return -1;
    }
    g->at = (size_t)(from + offset);
    return (sf_count_t)g->at;
}

static sf_count_t growing_read(void *out, sf_count_t bytes, void *user) {
    growing_file *g = user;
    const size_t left = g->size - g->at;
    const size_t n = bytes < 0 ? 0 : (size_t)bytes < left ? (size_t)bytes : left;
    if (n > 0) {
        memcpy(out, g->data + g->at, n);
    }
    g->at += n;
    return (sf_count_t)n;
}

static sf_count_t growing_write(const void *data, sf_count_t bytes, void *user) {
    growing_file *g = user;
    const size_t n = bytes > 0 ? (size_t)bytes : 0;
    if (n > g->capacity - g->at) {
        size_t capacity = g->capacity < 4096 ? 4096 : g->capacity;
        while (capacity - g->at < n && capacity <= SIZE_MAX / 2) {
            capacity *= 2;
        }
        uint8_t *larger = capacity - g->at < n ? NULL : realloc(g->data, capacity);
        if (larger == NULL) {
            return 0;
        }
        g->data = larger;
        g->capacity = capacity;
    }
    if (n > 0) {
        memcpy(g->data + g->at, data, n);
    }
    g->at += n;
    g->size = g->at > g->size ? g->at : g->size;
    return (sf_count_t)n;
}

static sf_count_t growing_tell(void *user) {
    return (sf_count_t)((growing_file *)user)->at;
}

static SF_INFO make_info(const octet_media *m, audio_container container, audio_samples samples) {
    return (SF_INFO){.samplerate = m->rate_hz,
                     .channels = m->channels,
                     .format = audio_container_code(container) | audio_samples_code(samples)};
}

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
        const SF_INFO info = make_info(m, container, wanted[i]);
        if (sf_format_check(&info)) {
            return wanted[i];
        }
    }
    return AUDIO_S16;
}

/* Integers go in as integers: libsndfile scales floats by 32767 on their way to 16 bits. */
static int write_block(SNDFILE *file, audio_samples samples, const int16_t *values, sf_count_t n) {
    double floats[BLOCK];
    int integers[BLOCK];
    if (audio_samples_are_integers(samples)) {
        for (sf_count_t i = 0; i < n; i++) {
            integers[i] = values[i] * 65536;
        }
        return sf_write_int(file, integers, n) == n;
    }
    for (sf_count_t i = 0; i < n; i++) {
        floats[i] = values[i] / 32768.0;
    }
    return sf_write_double(file, floats, n) == n;
}

static octet_status write_samples(growing_file *g, const octet_media *m, const codec *c,
                                  const uint8_t *bytes, audio_container container,
                                  octet_error *error) {
    const char *name = audio_container_name(container);
    const audio_samples samples = choose_samples(m, c, container);
    SF_VIRTUAL_IO io = {growing_size, growing_seek, growing_read, growing_write, growing_tell};
    SF_INFO info = make_info(m, container, samples);
    const uint64_t n = (uint64_t)m->frames * (uint64_t)m->channels;
    if (n * (uint64_t)audio_samples_bytes(samples) > MOST_BYTES) {
        return error_set(error, OCTET_ERROR, "%s cannot hold %lld frames of %d channels", name,
                         (long long)m->frames, m->channels);
    }
    SNDFILE *file = sf_format_check(&info) ? sf_open_virtual(&io, SFM_WRITE, &info, g) : NULL;
    if (file == NULL) {
        return error_set(error, OCTET_ERROR, "%s cannot hold %d channels at %d Hz", name,
                         m->channels, m->rate_hz);
    }
    /* It would hold the time of day. */
    (void)sf_command(file, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    int written = 1;
    if (n == 0 && container == AUDIO_FLAC) { /* its header waits for samples */
        (void)sf_command(file, SFC_UPDATE_HEADER_NOW, NULL, 0);
    }
    for (uint64_t i = 0; i < n && written; i += BLOCK) {
        int16_t values[BLOCK];
        const size_t part = n - i < BLOCK ? (size_t)(n - i) : BLOCK;
        c->decode(values, bytes + i * (uint64_t)c->sample_bytes, part);
        written = write_block(file, samples, values, (sf_count_t)part);
    }
    const int closed = sf_close(file);
    return written && closed == 0 ? OCTET_OK
                                  : error_set(error, OCTET_NO_MEMORY, "out of memory: %s", name);
}

/* 16-bit little-endian samples, or the bytes of a codec without samples. */
static octet_status write_plain(growing_file *g, const octet_media *m, const codec *c,
                                const uint8_t *bytes, octet_error *error) {
    const size_t n = (size_t)m->frames * (c->sample_bytes == 0 ? 1 : (size_t)m->channels);
    g->size = c->sample_bytes == 0 ? n : 2 * n;
    g->data = malloc(g->size > 0 ? g->size : 1);
    if (g->data == NULL) {
        return error_memory(error, "media", (double)g->size);
    }
    if (c->sample_bytes == 0 && n > 0) {
        memcpy(g->data, bytes, n);
    }
    for (size_t i = 0; c->sample_bytes > 0 && i < n; i++) {
        int16_t value;
        c->decode(&value, bytes + i * (size_t)c->sample_bytes, 1);
        g->data[2 * i] = (uint8_t)value;
        g->data[2 * i + 1] = (uint8_t)((uint16_t)value >> 8);
    }
    return OCTET_OK;
}

static octet_status fail_container(const char *container, octet_error *error) {
    return error_set(error, OCTET_ERROR, "\"%s\" is not written: wav, aiff, au, flac, ogg or pcm",
                     container);
}

octet_status decode_memory(uint8_t **out, size_t *out_size, const octet_media *m,
                           const uint8_t *bytes, const char *container, octet_error *error) {
    growing_file g = {0};
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
        status = write_plain(&g, m, c, bytes, error);
    } else {
        const int source = audio_container_find(m->container);
        int target = container != NULL ? audio_container_find(container) : source;
        if (container == NULL &&
            (source < 0 || !audio_container_is_lossless((audio_container)source))) {
            target = AUDIO_WAV;
        }
        status = target < 0 || target == AUDIO_OPUS || target == AUDIO_MP3
                     ? fail_container(container, error)
                     : write_samples(&g, m, c, bytes, (audio_container)target, error);
    }
    if (status != OCTET_OK) {
        free(g.data);
        return status;
    }
    *out = g.data;
    *out_size = g.size;
    return OCTET_OK;
}
