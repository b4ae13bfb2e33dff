/* codec_image.c: pixels as bytes, row by row or in blocks.
 *
 * The scan is a permutation of pixels: with blocks of side s the bytes of s x s neighbours follow
 * each other, block after block in rows, so that a patch of s s channels bytes is a block. */
#include <stdlib.h>
#include <string.h>

#include "codec/codecs.h"
#include "codec/image.h"

static uint64_t get(const uint8_t *at, int n) {
    uint64_t number = 0;
    for (int i = n - 1; i >= 0; i--) {
        number = number << 8 | at[i];
    }
    return number;
}

static void put(uint8_t *at, uint64_t number, int n) {
    for (int i = 0; i < n; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
}

/* What is wrong with a description's blocks and channels; NULL: nothing. */
static const char *wrong_shape(int64_t width, int64_t height, int64_t channels, int64_t block) {
    return channels != 1 && channels != 3              ? "an image has 1 or 3 channels"
           : block < 1 || block > OCTET_BLOCK_SIDE     ? "the side of blocks is from 1 to 4096"
           : width % block != 0 || height % block != 0 ? "the side of blocks divides both sides"
                                                       : NULL;
}

static octet_status check_shape(int64_t width, int64_t height, int64_t channels, int64_t block,
                                octet_status status, const char *name, octet_error *error) {
    const char *wrong = wrong_shape(width, height, channels, block);
    return wrong == NULL ? OCTET_OK
                         : error_set(error, status,
                                     "%s: %lld x %lld pixels, %lld channels, blocks "
                                     "of %lld: %s",
                                     name, (long long)width, (long long)height, (long long)channels,
                                     (long long)block, wrong);
}

/* Rows to blocks, or back: between rows[height, width, channels] and
 * blocks[height / s, width / s, s, s, channels]. */
static void scan(uint8_t *to, const uint8_t *from, const octet_media *m, int back) {
    const size_t side = (size_t)m->block, pixel = (size_t)m->channels, piece = side * pixel;
    const size_t width = (size_t)m->width, height = (size_t)m->frames / width;
    size_t in_blocks = 0;
    for (size_t top = 0; top < height; top += side) {
        for (size_t left = 0; left < width; left += side) {
            for (size_t y = top; y < top + side; y++, in_blocks += piece) {
                const size_t in_rows = (y * width + left) * pixel;
                memcpy(to + (back ? in_rows : in_blocks), from + (back ? in_blocks : in_rows),
                       piece);
            }
        }
    }
}

/* --- encoding --- */

typedef struct image_rows {
    uint8_t *pixels;
    size_t size, capacity, row_bytes;
    const char *name;
} image_rows;

/* Memory grows with the rows that come, not with what a header claims. */
static octet_status take_row(void *context, const uint8_t *row, octet_error *error) {
    image_rows *r = context;
    if (r->row_bytes > r->capacity - r->size) {
        const size_t capacity = 2 * (r->size + r->row_bytes);
        uint8_t *larger = realloc(r->pixels, capacity);
        if (larger == NULL) {
            return error_memory(error, r->name, (double)capacity);
        }
        r->pixels = larger;
        r->capacity = capacity;
    }
    memcpy(r->pixels + r->size, row, r->row_bytes);
    r->size += r->row_bytes;
    return OCTET_OK;
}

static octet_status read_png(image_rows *r, image_losses *losses, octet_guard *guard,
                             const image_source *s, int no_sandbox, octet_error *error) {
    *r = (image_rows){.row_bytes = (size_t)s->format.width * (size_t)s->format.channels,
                      .name = s->name};
    return no_sandbox ? image_png_read(s, take_row, r, losses, error)
                      : image_png_read_guarded(s, take_row, r, losses, guard, error);
}

/* The bytes of pixels[height, width, has], whose one channel may become three. */
static octet_status arrange(octet_encoded *out, const uint8_t *pixels, int has, const char *name,
                            octet_error *error) {
    const octet_media *m = &out->media;
    const size_t n = (size_t)m->frames, bytes = n * (size_t)m->channels;
    uint8_t *copied = has != m->channels ? malloc(bytes) : NULL;
    out->bytes = malloc(bytes);
    if (out->bytes == NULL || (has != m->channels && copied == NULL)) {
        free(copied);
        return error_memory(error, name, (double)bytes);
    }
    for (size_t i = 0; i < bytes && copied != NULL; i++) {
        copied[i] = pixels[i / (size_t)m->channels];
    }
    scan(out->bytes, copied != NULL ? copied : pixels, m, 0);
    out->size = bytes;
    free(copied);
    return OCTET_OK;
}

static octet_status check_format(const image_format *f, const octet_encode_params *p,
                                 const char *name, octet_error *error) {
    if ((p->width != 0 && p->width != f->width) || (p->height != 0 && p->height != f->height)) {
        return error_set(error, OCTET_CORRUPT, "%s: %d x %d pixels, not %d x %d", name, f->width,
                         f->height, p->width != 0 ? p->width : f->width,
                         p->height != 0 ? p->height : f->height);
    }
    if (p->channels == 1 && f->channels == 3) {
        return error_set(error, OCTET_CORRUPT, "%s: 3 channels, not 1", name);
    }
    return check_shape(f->width, f->height, p->channels != 0 ? p->channels : f->channels,
                       p->block != 0 ? p->block : 1, OCTET_ERROR, name, error);
}

static octet_status encode(octet_encoded *out, const uint8_t *data, size_t size, const char *name,
                           const octet_encode_params *p, octet_error *error) {
    image_source s = {.data = data, .size = size, .name = name};
    const image_format *f = &s.format;
    image_rows rows = {0};
    image_losses lost = {0};
    octet_status status = image_sniff(&s.format, data, size, name, error);
    if (status == OCTET_OK) {
        status = check_format(f, p, name, error);
    }
    if (status != OCTET_OK) {
        return status;
    }
    octet_media *m = &out->media;
    m->width = f->width;
    m->frames = (int64_t)f->width * f->height;
    m->channels = p->channels != 0 ? p->channels : f->channels;
    m->block = p->block != 0 ? p->block : 1;
    strcpy(m->container, image_container_name(f->container));
    strcpy(m->samples, "u8");
    if (f->container == IMAGE_PNG) {
        status = read_png(&rows, &lost, &out->guard, &s, p->no_sandbox, error);
    }
    if (status == OCTET_OK) {
        status = arrange(out, rows.pixels != NULL ? rows.pixels : data + f->pixels_at, f->channels,
                         name, error);
    }
    free(rows.pixels);
    m->lossless = lost.rounded == 0 && lost.transparent == 0 && m->channels == f->channels;
    out->losses = (octet_losses){.rounded = lost.rounded,
                                 .transparent = lost.transparent,
                                 .source_bits = f->source_bits,
                                 .codec_bits = 8,
                                 .channels_from = f->channels,
                                 .channels_to = m->channels};
    return status;
}

/* --- decoding --- */

static octet_status write_image(uint8_t **out, size_t *out_size, const octet_media *m,
                                const uint8_t *rows, const char *container, octet_error *error) {
    const int32_t height = (int32_t)(m->frames / m->width);
    const char *source = strcmp(m->container, "png") == 0 ? "png" : "pnm";
    const char *to = container != NULL ? container : source;
    if (strcmp(to, "png") == 0) {
        return image_png_write(out, out_size, rows, m->width, height, m->channels, error);
    }
    if (strcmp(to, "pnm") == 0 || strcmp(to, m->channels == 3 ? "ppm" : "pgm") == 0) {
        return image_pnm_write(out, out_size, rows, m->width, height, m->channels, error);
    }
    return error_set(error, OCTET_ERROR, "an image of %d channel%s cannot become %s: png or %s",
                     m->channels, m->channels == 1 ? "" : "s", to,
                     m->channels == 3 ? "ppm" : "pgm");
}

static octet_status decode(uint8_t **out, size_t *out_size, const octet_media *m,
                           const uint8_t *bytes, const char *container, octet_error *error) {
    const size_t n = (size_t)m->frames * (size_t)m->channels;
    uint8_t *rows = malloc(n);
    if (rows == NULL) {
        return error_memory(error, "image", (double)n);
    }
    scan(rows, bytes, m, 1);
    const octet_status status = write_image(out, out_size, m, rows, container, error);
    free(rows);
    return status;
}

/* --- the header: width (4 bytes), channels (1), 0 (1), side of the blocks (2) --- */

static void pack(uint8_t at[8], const octet_media *m) {
    put(at, (uint64_t)m->width, 4);
    put(at + 4, (uint64_t)m->channels, 2);
    put(at + 6, (uint64_t)m->block, 2);
}

static int unpack(octet_media *m, const uint8_t at[8]) {
    const uint64_t width = get(at, 4), pixels = (uint64_t)m->frames;
    m->width = (int32_t)width;
    m->channels = (int32_t)get(at + 4, 2);
    m->block = (int32_t)get(at + 6, 2);
    const int named = (m->container[0] == '\0' || image_container_find(m->container) >= 0) &&
                      (m->samples[0] == '\0' || strcmp(m->samples, "u8") == 0);
    if (!named || width == 0 || pixels % width != 0 ||
        image_limits("", width, pixels / width, (uint64_t)m->channels, NULL) != OCTET_OK ||
        wrong_shape((int64_t)width, (int64_t)(pixels / width), m->channels, m->block) != NULL) {
        return -1;
    }
    return 0;
}

static uint64_t coded_bytes(const octet_media *m) {
    return (uint64_t)m->frames * (uint64_t)m->channels;
}

static octet_status describe(octet_media *out, const octet_encode_params *p, size_t size,
                             octet_error *error) {
    if (p->width < 1 || p->width > OCTET_IMAGE_SIDE || p->height < 1 ||
        p->height > OCTET_IMAGE_SIDE) {
        return error_set(error, OCTET_ERROR,
                         "codec image needs a width and a height from 1 to %d, not %d and %d",
                         OCTET_IMAGE_SIDE, p->width, p->height);
    }
    const octet_status status =
        check_shape(p->width, p->height, p->channels, p->block != 0 ? p->block : 1, OCTET_ERROR,
                    "image", error);
    if (status != OCTET_OK) {
        return status;
    }
    out->width = p->width;
    out->channels = p->channels;
    out->block = p->block != 0 ? p->block : 1;
    out->frames = (int64_t)p->width * p->height;
    if (coded_bytes(out) > OCTET_IMAGE_BYTES || coded_bytes(out) != size) {
        return error_set(error, OCTET_CORRUPT,
                         "%d x %d pixels of %d channel%s are %llu bytes, not %zu", p->width,
                         p->height, p->channels, p->channels == 1 ? "" : "s",
                         (unsigned long long)coded_bytes(out), size);
    }
    return OCTET_OK;
}

static const codec_whole whole = {.encode = encode,
                                  .decode = decode,
                                  .pack = pack,
                                  .unpack = unpack,
                                  .coded_bytes = coded_bytes,
                                  .describe = describe};

const codec codec_image = {
    .name = "image", .about = "pixels of 8 bits, in rows or in blocks", .whole = &whole};
