/* image.c: see image.h: signatures, names, and PNM, which is a header of text and the pixels. */
#include "codec/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[IMAGE_CONTAINERS] = {"pgm", "ppm", "png"};

const char *image_container_name(image_container container) {
    return names[container];
}

int image_container_find(const char *name) {
    int i = IMAGE_CONTAINERS - 1;
    while (i >= 0 && strcmp(names[i], name) != 0) {
        i--;
    }
    return i;
}

octet_status image_limits(const char *name, uint64_t width, uint64_t height, uint64_t channels,
                          octet_error *error) {
    if (width < 1 || width > OCTET_IMAGE_SIDE || height < 1 || height > OCTET_IMAGE_SIDE) {
        return error_set(error, OCTET_CORRUPT, "%s: %llu x %llu pixels, not between 1 and %d", name,
                         (unsigned long long)width, (unsigned long long)height, OCTET_IMAGE_SIDE);
    }
    if (width * height * channels > OCTET_IMAGE_BYTES) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: %llu x %llu pixels of %llu channels are more than %lld bytes", name,
                         (unsigned long long)width, (unsigned long long)height,
                         (unsigned long long)channels, (long long)OCTET_IMAGE_BYTES);
    }
    return OCTET_OK;
}

/* --- PNM: "P5" or "P6", width, height and the largest value as decimals with white space (and
 * comments from # to the end of the line) between, one white space, the pixels row by row. */

static int is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next decimal; -1: there is none, or it is longer than 9 digits. Moves *at behind it. */
static int64_t next_number(const uint8_t *data, size_t size, size_t *at) {
    int in_comment = 0;
    while (*at < size && (in_comment || is_space(data[*at]) || data[*at] == '#')) {
        in_comment = data[*at] == '#' || (in_comment && data[*at] != '\n' && data[*at] != '\r');
        (*at)++;
    }
    int64_t number = 0;
    const size_t begin = *at;
    while (*at < size && data[*at] >= '0' && data[*at] <= '9' && *at - begin < 10) {
        number = 10 * number + data[(*at)++] - '0';
    }
    return *at > begin && *at - begin < 10 ? number : -1;
}

static octet_status sniff_pnm(image_format *out, const uint8_t *data, size_t size, const char *name,
                              octet_error *error) {
    static const char *const parts[] = {"width", "height", "largest value"};
    const int channels = data[1] == '6' ? 3 : 1;
    int64_t numbers[3];
    size_t at = 2;
    for (int i = 0; i < 3; i++) {
        const int separate = at < size && (is_space(data[at]) || data[at] == '#');
        numbers[i] = separate ? next_number(data, size, &at) : -1;
        if (numbers[i] < 0) {
            return error_set(error, OCTET_CORRUPT, "%s: no %s at byte %zu of the PNM header", name,
                             parts[i], at);
        }
    }
    if (numbers[2] != 255) {
        return error_set(error, OCTET_CORRUPT, "%s: PNM of values to %lld, not to 255%s", name,
                         (long long)numbers[2], numbers[2] > 255 ? " (16 bits are not read)" : "");
    }
    if (at == size || !is_space(data[at])) {
        return error_set(error, OCTET_CORRUPT, "%s: no white space at byte %zu before the pixels",
                         name, at);
    }
    at++;
    const octet_status status =
        image_limits(name, (uint64_t)numbers[0], (uint64_t)numbers[1], (uint64_t)channels, error);
    if (status != OCTET_OK) {
        return status;
    }
    if ((uint64_t)(numbers[0] * numbers[1] * channels) != size - at) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: %lld x %lld pixels are %lld bytes, but %zu follow the header", name,
                         (long long)numbers[0], (long long)numbers[1],
                         (long long)(numbers[0] * numbers[1] * channels), size - at);
    }
    *out = (image_format){.container = channels == 3 ? IMAGE_PPM : IMAGE_PGM,
                          .width = (int32_t)numbers[0],
                          .height = (int32_t)numbers[1],
                          .channels = channels,
                          .source_bits = 8,
                          .pixels_at = at};
    return OCTET_OK;
}

octet_status image_pnm_write(uint8_t **out, size_t *out_size, const uint8_t *pixels, int32_t width,
                             int32_t height, int32_t channels, octet_error *error) {
    char header[64];
    const size_t n = (size_t)snprintf(header, sizeof header, "P%d\n%d %d\n255\n",
                                      channels == 3 ? 6 : 5, width, height);
    const size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    *out_size = n + bytes;
    *out = malloc(*out_size);
    if (*out == NULL) {
        return error_memory(error, "image", (double)*out_size);
    }
    memcpy(*out, header, n);
    memcpy(*out + n, pixels, bytes);
    return OCTET_OK;
}

/* --- signatures --- */

/* What is an image, but not read. */
static const char *foreign_name(const uint8_t *data, size_t size) {
    static const struct {
        size_t at, n;
        const char *signature, *name;
    } known[] = {{0, 3, "\xff\xd8\xff", "JPEG"},
                 {0, 4, "GIF8", "GIF"},
                 {0, 4, "II*\0", "TIFF"},
                 {0, 4, "MM\0*", "TIFF"},
                 {8, 4, "WEBP", "WebP"},
                 {4, 8, "ftypavif", "AVIF"},
                 {4, 8, "ftypheic", "HEIC"},
                 {0, 12, "\0\0\0\14JXL \r\n\x87\n", "JPEG XL"},
                 {0, 2, "\xff\x0a", "JPEG XL"},
                 {0, 12, "\0\0\0\14jP  \r\n\x87\n", "JPEG 2000"},
                 {0, 4, "qoif", "QOI"},
                 {0, 8, "farbfeld", "farbfeld"},
                 {0, 4, "8BPS", "PSD"},
                 {0, 4, "\x76\x2f\x31\x01", "OpenEXR"},
                 {0, 8, "\x8aMNG\r\n\x1a\n", "MNG"},
                 {0, 10, "#?RADIANCE", "Radiance"},
                 {0, 4, "DDS ", "DDS"},
                 {0, 3, "PF\n", "PFM"},
                 {0, 3, "Pf\n", "PFM"}};
    static const char *const pnm[] = {"PNM of kind P1 (bits as text)",
                                      "PNM of kind P2 (grey as text)",
                                      "PNM of kind P3 (colours as text)",
                                      "PNM of kind P4 (bits)",
                                      NULL,
                                      NULL,
                                      "PAM"};
    if (size >= 3 && data[0] == 'P' && data[1] >= '1' && data[1] <= '7' && is_space(data[2]) &&
        pnm[data[1] - '1'] != NULL) {
        return pnm[data[1] - '1'];
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].at + known[i].n <= size &&
            memcmp(data + known[i].at, known[i].signature, known[i].n) == 0) {
            return known[i].name;
        }
    }
    /* Six bytes that are always zero in what begins with "BM". */
    return size >= 26 && memcmp(data, "BM", 2) == 0 && memcmp(data + 6, "\0\0\0\0", 4) == 0 ? "BMP"
                                                                                            : NULL;
}

static int is_pnm(const uint8_t *data, size_t size) {
    return size >= 3 && data[0] == 'P' && (data[1] == '5' || data[1] == '6') &&
           (is_space(data[2]) || data[2] == '#');
}

int image_is(const uint8_t *data, size_t size) {
    return is_pnm(data, size) || image_png_is(data, size) || foreign_name(data, size) != NULL;
}

octet_status image_sniff(image_format *out, const uint8_t *data, size_t size, const char *name,
                         octet_error *error) {
    *out = (image_format){0};
    if (is_pnm(data, size)) {
        return sniff_pnm(out, data, size, name, error);
    }
    if (image_png_is(data, size)) {
        return image_png_sniff(out, data, size, name, error);
    }
    const char *foreign = foreign_name(data, size);
    return foreign != NULL ? error_set(error, OCTET_CORRUPT, "%s: %s is not read", name, foreign)
                           : error_set(error, OCTET_CORRUPT,
                                       "%s: is not an image that is read (PNM, PNG)", name);
}
