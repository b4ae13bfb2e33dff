/* media.h: the header of encoded files. The functions are those of octet/codec.h. */
#ifndef CODEC_MEDIA_H
#define CODEC_MEDIA_H

#include "base/error.h"
#include "octet/codec.h"

void media_write(uint8_t out[OCTET_MEDIA_HEADER], const octet_media *media);
octet_status media_read(octet_media *out, const uint8_t *data, size_t size, const char *name,
                        octet_error *error);
octet_status media_describe(octet_media *out, const char *codec, int rate_hz, int channels,
                            size_t size, octet_error *error);
octet_status media_describe_as(octet_media *out, const octet_encode_params *params, size_t size,
                               octet_error *error);

/* Bytes of a frame; 1 without samples. The codec must exist. */
size_t media_frame_bytes(const octet_media *media);

#endif
