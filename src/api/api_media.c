/* api_media.c: see api_media.h. */
#include "api/api_media.h"

#include <stdlib.h>

octet_status media_open(file_bytes *out, octet_losses *losses, const config *c, const char *path,
                        octet_error *error) {
    const octet_encode_params how = {
        .codec = config_codec_name(c), .rate_hz = (int)c->rate_hz, .channels = (int)c->channels};
    octet_encoded encoded;
    if (losses)
        *losses = (octet_losses){0};
    if (!how.codec)
        return file_open(out, path, SIZE_MAX / 2, error);
    *out = (file_bytes){0};
    octet_status status = octet_encode_file(&encoded, path, &how, error);
    if (status)
        return status;
    *out = (file_bytes){.data = encoded.bytes, .size = encoded.size, .mapping = encoded.bytes};
    if (losses)
        *losses = encoded.losses;
    return OCTET_OK;
}

octet_status media_need_codec(const octet_model *m, octet_error *error) {
    return m->model->config.rate_hz > 0
               ? OCTET_OK
               : error_set(error, OCTET_WRONG_MODEL,
                           "model %s reads bytes as they are, not audio: its configuration has no "
                           "codec pcm8, mulaw8 or pcm16",
                           *m->path ? m->path : "without a name");
}

octet_status octet_model_bytes(octet_bytes *out, octet_losses *losses, const octet_model *m,
                               const char *path, octet_error *error) {
    *out = (octet_bytes){NULL, 0, NULL};
    file_bytes *f = calloc(1, sizeof *f);
    if (!f)
        return error_memory(error, path, sizeof *f);
    octet_status status = media_open(f, losses, &m->model->config, path, error);
    if (status) {
        free(f);
        return status;
    }
    *out = (octet_bytes){f->data, f->size, f};
    return OCTET_OK;
}
