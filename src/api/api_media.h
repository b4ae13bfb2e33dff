/* api_media.h: files as the bytes that a model reads: through its codec. */
#ifndef API_API_MEDIA_H
#define API_API_MEDIA_H

#include "api/api.h"
#include "base/file.h"
#include "model/config.h"
#include "octet/codec.h"

/* How files become what a model of the configuration reads; codec NULL: as they are. */
octet_encode_params media_params(const config *c);

/* OCTET_WRONG_MODEL unless the model reads audio. */
octet_status media_need_codec(const octet_model *m, octet_error *error);

/* *losses, unless NULL, receives what the codec lost. */
octet_status media_open(file_bytes *out, octet_losses *losses, const config *c, const char *path,
                        octet_error *error);

#endif
