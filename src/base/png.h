/* png.h: pictures of 8-bit RGB as PNG in memory. */
#ifndef BASE_PNG_H
#define BASE_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* rgb[height, width, 3], rows from the top. The caller frees *out. */
octet_status png_encode(uint8_t **out, size_t *size, const uint8_t *rgb, int width, int height,
                        octet_error *error);

#endif
