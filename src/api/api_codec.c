/* api_codec.c: octet/codec.h. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "codec/audio_write.h"
#include "codec/codecs.h"
#include "codec/encode.h"
#include "codec/media.h"

void octet_codecs_list(void (*visit)(void *context, const char *name, const char *about),
                       void *context) {
    const codec *c;
    for (int i = 0; (c = codec_at(i)); i++)
        visit(context, c->name, c->about);
}

octet_status octet_encode_memory(octet_encoded *out, const void *data, size_t size,
                                 const char *name, const octet_encode_params *params,
                                 octet_error *error) {
    return encode_memory(out, data, size, name, params, error);
}

octet_status octet_encode_file(octet_encoded *out, const char *path,
                               const octet_encode_params *params, octet_error *error) {
    file_bytes f;
    *out = (octet_encoded){0};
    /* Read, not mapped: another process may cut the file meanwhile. */
    octet_status status = file_read(&f, path, OCTET_MEDIA_BYTES, error);
    if (status)
        return status;
    const char *name = strcmp(path, "-") ? path : "standard input";
    status = encode_memory(out, f.data, f.size, name, params, error);
    file_close(&f);
    return status;
}

void octet_encoded_free(octet_encoded *encoded) {
    free(encoded->bytes);
    *encoded = (octet_encoded){0};
}

void octet_media_write(uint8_t out[OCTET_MEDIA_HEADER], const octet_media *media) {
    media_write(out, media);
}

octet_status octet_media_read(octet_media *out, const void *data, size_t size, const char *name,
                              octet_error *error) {
    return media_read(out, data, size, name, error);
}

octet_status octet_media_describe(octet_media *out, const char *codec_name, int rate_hz,
                                  int channels, size_t size, octet_error *error) {
    return media_describe(out, codec_name, rate_hz, channels, size, error);
}

octet_status octet_media_describe_as(octet_media *out, const octet_encode_params *params,
                                     size_t size, octet_error *error) {
    return media_describe_as(out, params, size, error);
}

octet_status octet_decode_memory(uint8_t **out, size_t *out_size, const octet_media *media,
                                 const uint8_t *bytes, const char *container, octet_error *error) {
    return decode_memory(out, out_size, media, bytes, container, error);
}

void octet_decoded_free(uint8_t *data) {
    free(data);
}

octet_status octet_decode_file(const char *path, const octet_media *media, const uint8_t *bytes,
                               const char *container, octet_error *error) {
    uint8_t *data;
    size_t size;
    file_writer *w;
    octet_status status = decode_memory(&data, &size, media, bytes, container, error);
    if (status)
        return status;
    status = file_writer_create(&w, path, error);
    if (!status) {
        /* A failure is kept in the writer and comes back from its end. */
        (void)file_writer_write(w, data, size, NULL);
        status = file_writer_commit(&w, error);
    }
    free(data);
    return status;
}

const char *octet_media_signature(const void *head, size_t n) {
    static const struct {
        const char *first, *eighth; /* of 4 bytes, and of as many at byte 8 */
        const char *container;
    } known[] = {{"RIFF", "WAVE", "wav"},  {"RIFX", "WAVE", "wav"},  {"RF64", "WAVE", "wav"},
                 {"FORM", "AIFF", "aiff"}, {"FORM", "AIFC", "aiff"}, {".snd", "", "au"},
                 {"dns.", "", "au"},       {"fLaC", "", "flac"},     {"OggS", "", "ogg"},
                 {"ID3", "", "mp3"}};
    const char *at = head;
    for (size_t i = 0; n >= 12 && i < sizeof known / sizeof *known; i++)
        if (!memcmp(at, known[i].first, strlen(known[i].first)) &&
            !memcmp(at + 8, known[i].eighth, strlen(known[i].eighth)))
            return known[i].container;
    return NULL;
}
