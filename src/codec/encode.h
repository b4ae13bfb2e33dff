/* encode.h: from a file in memory to encoded bytes. */
#ifndef CODEC_ENCODE_H
#define CODEC_ENCODE_H

#include "base/error.h"
#include "octet/codec.h"

/* As octet_encode_memory. */
octet_status encode_memory(octet_encoded *out, const uint8_t *data, size_t size, const char *name,
                           const octet_encode_params *params, octet_error *error);

#endif
