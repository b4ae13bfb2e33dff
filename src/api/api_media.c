/* api_media.c: see api_media.h. */
#include "api/api_media.h"

#include <stdlib.h>

#include "api/api.h"

octet_encode_params media_params(const config *c) {
    const int is_image = c->codec == CODEC_IMAGE, is_records = c->codec == CODEC_RECORDS;
    return (octet_encode_params){.codec = config_codec_name(c),
                                 .rate_hz = (int)c->rate_hz,
                                 .channels = (int)c->channels,
                                 .width = (int)c->image_width,
                                 .height = (int)c->image_height,
                                 .block = is_image ? (int)c->image_block : 0,
                                 .record_bytes = (int)c->record_bytes,
                                 .patch = is_records ? (int)config_unit_bytes(c, 0) : 0,
                                 .filler = (int)c->record_filler};
}

octet_status media_open(file_bytes *out, octet_losses *losses, const config *c, const char *path,
                        octet_error *error) {
    const octet_encode_params how = media_params(c);
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

void octet_model_codec(octet_encode_params *out, const octet_model *m) {
    *out = media_params(&m->model->config);
    out->codec = out->codec ? out->codec : "raw";
}

octet_status media_need_codec(const octet_model *m, octet_error *error) {
    return m->model->config.rate_hz > 0
               ? OCTET_OK
               : error_set(
                     error, OCTET_WRONG_MODEL,
                     "model %s reads no audio: its configuration has no codec pcm8, mulaw8 or "
                     "pcm16",
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
