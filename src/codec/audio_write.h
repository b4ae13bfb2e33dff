/* audio_write.h: encoded bytes to media in memory. */
#ifndef CODEC_AUDIO_WRITE_H
#define CODEC_AUDIO_WRITE_H

#include "base/error.h"
#include "octet/codec.h"

/* As octet_decode_memory. */
octet_status decode_memory(uint8_t **out, size_t *out_size, const octet_media *media,
                           const uint8_t *bytes, const char *container, octet_error *error);

#endif
