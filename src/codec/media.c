/* media.c: see media.h; the table of the header's fields is in octet/codec.h. */
#include "codec/media.h"

#include <string.h>
#include <xxhash.h>

#include "codec/audio_format.h"
#include "codec/codecs.h"

static const char signature[8] = {'o', 'c', 't', 'e', 't', 'e', 'n', 'c'};

enum { VERSION = 1, HASH_AT = 56 };

static void put(uint8_t *at, uint64_t number, int n) {
    for (int i = 0; i < n; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
}

static uint64_t get(const uint8_t *at, int n) {
    uint64_t number = 0;
    for (int i = n - 1; i >= 0; i--) {
        number = number << 8 | at[i];
    }
    return number;
}

size_t media_frame_bytes(const octet_media *media) {
    const int bytes = codec_find(media->codec)->sample_bytes;
    return bytes == 0 ? 1 : (size_t)bytes * (size_t)media->channels;
}

void media_write(uint8_t out[OCTET_MEDIA_HEADER], const octet_media *media) {
    memcpy(out, signature, sizeof signature);
    put(out + 8, VERSION, 4);
    const codec *c = codec_find(media->codec);
    if (c != NULL && c->whole != NULL) {
        c->whole->pack(out + 12, media);
    } else {
        put(out + 12, (uint64_t)media->rate_hz, 4);
        put(out + 16, (uint64_t)media->channels, 4);
    }
    memcpy(out + 20, media->codec, 8);
    memcpy(out + 28, media->container, 8);
    memcpy(out + 36, media->samples, 8);
    put(out + 44, media->lossless != 0, 4);
    put(out + 48, (uint64_t)media->frames, 8);
    put(out + HASH_AT, XXH3_64bits(out, HASH_AT), 8);
}

/* A name of 8 bytes whose rest is zeros. */
static int read_name(char out[8], const uint8_t *at) {
    memcpy(out, at, 8);
    const char *end = memchr(out, '\0', 8);
    for (const char *c = end; c != NULL && c < out + 8; c++) {
        end = *c == '\0' ? end : NULL;
    }
    return end != NULL;
}

/* What every description must obey; the caller has found the codec. */
static const char *check(const octet_media *m, const codec *c) {
    if (c->sample_bytes == 0) {
        return m->rate_hz != 0 || m->channels != 0 ? "has neither a rate nor channels" : NULL;
    }
    if (m->rate_hz < OCTET_MEDIA_RATE_MIN || m->rate_hz > OCTET_MEDIA_RATE_MAX) {
        return "needs a rate from 1000 to 384000 Hz";
    }
    return m->channels < 1 || m->channels > OCTET_MEDIA_CHANNELS ? "needs 1 to 8 channels" : NULL;
}

/* The two numbers of the header that codecs share, and whether names of the source are right. */
static int unpack(octet_media *m, const codec *c, const uint8_t *at) {
    if (c->whole != NULL) {
        return c->whole->unpack(m, at) == 0;
    }
    m->rate_hz = (int32_t)get(at, 4);
    m->channels = (int32_t)get(at + 4, 4);
    return check(m, c) == NULL &&
           (m->container[0] == '\0' || audio_container_find(m->container) >= 0) &&
           (m->samples[0] == '\0' || audio_samples_find(m->samples) >= 0);
}

static octet_status check_whole(octet_media *m, const codec *c, size_t bytes, const char *name,
                                octet_error *error) {
    const uint64_t coded = c->whole->coded_bytes(m);
    if (coded == bytes) {
        return OCTET_OK;
    }
    *m = (octet_media){0};
    return coded == UINT64_MAX
               ? error_set(error, OCTET_CORRUPT,
                           "%s: the header holds values that no encoder writes", name)
               : error_set(error, OCTET_CORRUPT,
                           "%s: %llu bytes by its header, but %zu bytes follow it", name,
                           (unsigned long long)coded, bytes);
}

octet_status media_read(octet_media *out, const uint8_t *data, size_t size, const char *name,
                        octet_error *error) {
    *out = (octet_media){0};
    if (size < OCTET_MEDIA_HEADER || memcmp(data, signature, sizeof signature) != 0) {
        return error_set(error, OCTET_CORRUPT, "%s: is not a file that octet encode wrote (%s)",
                         name, size < OCTET_MEDIA_HEADER ? "too short" : "no signature");
    }
    if (get(data + 8, 4) != VERSION) {
        return error_set(error, OCTET_CORRUPT, "%s: encoded by version %u, this is version %d",
                         name, (unsigned)get(data + 8, 4), VERSION);
    }
    if (get(data + HASH_AT, 8) != XXH3_64bits(data, HASH_AT)) {
        return error_set(error, OCTET_CORRUPT, "%s: the header is damaged (checksum)", name);
    }
    octet_media m = {.lossless = (int32_t)get(data + 44, 4), .frames = (int64_t)get(data + 48, 8)};
    const int named = read_name(m.codec, data + 20) & read_name(m.container, data + 28) &
                      read_name(m.samples, data + 36);
    const codec *c = named ? codec_find(m.codec) : NULL;
    if (c == NULL || (m.lossless & ~1) != 0 || m.frames < 0 || !unpack(&m, c, data + 12)) {
        return error_set(error, OCTET_CORRUPT, "%s: the header holds values that no encoder writes",
                         name);
    }
    if (c->whole != NULL) {
        *out = m;
        return check_whole(out, c, size - OCTET_MEDIA_HEADER, name, error);
    }
    const size_t bytes = size - OCTET_MEDIA_HEADER, frame = media_frame_bytes(&m);
    if (bytes % frame != 0 || (uint64_t)m.frames != bytes / frame) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: %lld frames of %zu bytes by its header, but %zu bytes follow it",
                         name, (long long)m.frames, frame, bytes);
    }
    *out = m;
    return OCTET_OK;
}

octet_status media_describe(octet_media *out, const char *codec_name, int rate_hz, int channels,
                            size_t size, octet_error *error) {
    const codec *c;
    *out = (octet_media){0};
    const octet_status status = codec_get(&c, codec_name, error);
    if (status != OCTET_OK) {
        return status;
    }
    if (c->whole != NULL) {
        return error_set(error, OCTET_ERROR, "codec %s is not described by a rate and channels",
                         c->name);
    }
    octet_media m = {.rate_hz = rate_hz, .channels = channels};
    strcpy(m.codec, c->name);
    const char *wrong = check(&m, c);
    if (wrong != NULL) {
        return error_set(error, OCTET_ERROR, "codec %s %s, not %d Hz and %d channels", c->name,
                         wrong, rate_hz, channels);
    }
    const size_t frame = media_frame_bytes(&m);
    if (size % frame != 0) {
        return error_set(error, OCTET_CORRUPT,
                         "%zu bytes are no whole number of frames of %zu bytes", size, frame);
    }
    m.frames = (int64_t)(size / frame);
    *out = m;
    return OCTET_OK;
}

octet_status media_describe_as(octet_media *out, const octet_encode_params *p, size_t size,
                               octet_error *error) {
    const codec *c;
    *out = (octet_media){0};
    octet_status status = codec_get(&c, p->codec, error);
    if (status != OCTET_OK) {
        return status;
    }
    if (c->whole == NULL) {
        return media_describe(out, p->codec, p->rate_hz, p->channels, size, error);
    }
    strcpy(out->codec, c->name);
    status = c->whole->describe(out, p, size, error);
    if (status != OCTET_OK) {
        *out = (octet_media){0};
    }
    return status;
}
