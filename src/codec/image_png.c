/* image_png.c: PNG. What the file says is read here, before libpng sees it: the chunks from the
 * first to the last, the size, and whether so few bytes can hold so many pixels. libpng is told to
 * skip all chunks but IHDR, PLTE, tRNS, IDAT and IEND: no profile or text is unpacked. */
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "codec/image.h"

enum { SIGNATURE = 8, AROUND = 12 /* bytes of a chunk that are not its data */ };

/* What a byte of deflate can stand for, at most (RFC 1951: 258 bytes in 2 bits). */
static const uint64_t MOST_PER_BYTE = 1032;

static uint32_t big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

int image_png_is(const uint8_t *data, size_t size) {
    return size >= SIGNATURE && memcmp(data, "\x89PNG\r\n\x1a\n", SIGNATURE) == 0;
}

/* Samples of a pixel in the file; 0: the type or its bits are none of PNG's. */
static int samples_of(int type, int bits) {
    static const struct {
        int samples, bits; /* the allowed ones, as a sum */
    } types[7] = {{1, 1 + 2 + 4 + 8 + 16},
                  {0, 0},
                  {3, 8 + 16},
                  {1, 1 + 2 + 4 + 8},
                  {2, 8 + 16},
                  {0, 0},
                  {4, 8 + 16}};
    const int one_bit = bits > 0 && bits <= 16 && (bits & (bits - 1)) == 0;
    return type < 7 && one_bit && (types[type].bits & bits) != 0 ? types[type].samples : 0;
}

/* IHDR: width, height, bits, type, then compression, filters and interlacing. */
static octet_status sniff_header(image_format *out, uint64_t *raw_bytes, const uint8_t *d,
                                 const char *name, octet_error *error) {
    const uint32_t width = big(d), height = big(d + 4);
    const int bits = d[8], type = d[9], samples = samples_of(type, bits);
    if (samples == 0 || d[10] != 0 || d[11] != 0 || d[12] > 1) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: PNG of type %d with %d bits, compression %d, filters %d, interlacing "
                         "%d: there is none",
                         name, type, bits, d[10], d[11], d[12]);
    }
    *out = (image_format){.container = IMAGE_PNG,
                          .width = (int32_t)width,
                          .height = (int32_t)height,
                          .channels = type == 0 || type == 4 ? 1 : 3,
                          .source_bits = bits == 16 ? 16 : 8};
    *raw_bytes = ((uint64_t)width * (uint64_t)(samples * bits) + 7) / 8 * height;
    return image_limits(name, width, height, (uint64_t)out->channels, error);
}

/* A chunk: length, four letters, data, checksum. */
octet_status image_png_sniff(image_format *out, const uint8_t *data, size_t size, const char *name,
                             octet_error *error) {
    uint64_t raw_bytes = 0, packed_bytes = 0;
    int n_chunks = 0;
    for (size_t at = SIGNATURE;; n_chunks++) {
        if (size - at < AROUND) {
            return error_set(error, OCTET_CORRUPT, "%s: PNG that ends at byte %zu, before IEND",
                             name, size);
        }
        const uint32_t n = big(data + at);
        const uint8_t *type = data + at + 4;
        if (n > size - at - AROUND) {
            return error_set(error, OCTET_CORRUPT,
                             "%s: the PNG chunk at byte %zu claims %u bytes, %zu follow", name, at,
                             n, size - at - AROUND);
        }
        if ((n_chunks == 0) != (memcmp(type, "IHDR", 4) == 0) || (n_chunks == 0 && n != 13)) {
            return error_set(error, OCTET_CORRUPT,
                             "%s: the PNG chunk at byte %zu is %sIHDR of 13 bytes", name, at,
                             n_chunks == 0 ? "not " : "a second ");
        }
        if (n_chunks == 0) {
            const octet_status status = sniff_header(out, &raw_bytes, type + 4, name, error);
            if (status != OCTET_OK) {
                return status;
            }
        }
        packed_bytes += memcmp(type, "IDAT", 4) == 0 ? n : 0;
        if (memcmp(type, "IEND", 4) == 0) {
            break;
        }
        at += AROUND + n;
    }
    if (raw_bytes / MOST_PER_BYTE > packed_bytes) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: %d x %d pixels cannot come from %llu bytes of PNG data", name,
                         out->width, out->height, (unsigned long long)packed_bytes);
    }
    return OCTET_OK;
}

/* --- reading --- */

typedef struct png_reader {
    const image_source *source;
    size_t at;
    png_structp png;
    png_infop info;
    uint8_t *memory;      /* rows as libpng gives them: one, or all of an interlaced image */
    const uint8_t **rows; /* [height] */
    uint8_t *row;         /* [width, channels], for the sink */
    image_losses *losses;
    image_sink *sink;
    void *context;
    octet_status status; /* of the sink or of memory */
    octet_error *error;
} png_reader;

static void fail(png_structp png, png_const_charp text) {
    png_reader *r = png_get_error_ptr(png);
    if (r->status == OCTET_OK) {
        r->status =
            error_set(r->error, OCTET_CORRUPT, "%s: cannot be decoded: %s", r->source->name, text);
    }
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp text) {
    (void)png, (void)text;
}

static void read_bytes(png_structp png, png_bytep out, size_t n) {
    png_reader *r = png_get_io_ptr(png);
    if (n > r->source->size - r->at) {
        png_error(png, "it ends");
    }
    memcpy(out, r->source->data + r->at, n);
    r->at += n;
}

/* Eight bits of each colour: samples[width, has] of 1 or 2 bytes, the last opacity if there is one
 * more than colours. */
static void convert_row(png_reader *r, const uint8_t *samples, int has, int bytes) {
    const image_format *f = &r->source->format;
    const uint8_t *at = samples;
    uint8_t *out = r->row;
    for (int32_t x = 0; x < f->width; x++) {
        for (int c = 0; c < has; c++, at += bytes) {
            const uint32_t value = bytes == 2 ? (uint32_t)at[0] << 8 | at[1] : at[0] * 257u;
            const uint32_t nearest = (value * 255 + 32767) / 65535;
            if (c == f->channels) {
                r->losses->transparent += value != 65535;
            } else {
                r->losses->rounded += nearest * 257 != value;
                *out++ = (uint8_t)nearest;
            }
        }
    }
}

static void hand_out(png_reader *r, const uint8_t *samples) {
    convert_row(r, samples, png_get_channels(r->png, r->info),
                png_get_bit_depth(r->png, r->info) / 8);
    r->status = r->sink(r->context, r->row, r->error);
    if (r->status != OCTET_OK) {
        png_error(r->png, "stopped");
    }
}

/* Memory for rows of row_bytes, all of them if the image is interlaced. */
static void take_memory(png_reader *r, size_t row_bytes, int interlaced) {
    const image_format *f = &r->source->format;
    const size_t n = interlaced ? (size_t)f->height : 1;
    r->memory = calloc(n, row_bytes);
    r->rows = malloc((size_t)f->height * sizeof *r->rows);
    r->row = malloc((size_t)f->width * (size_t)f->channels);
    if (r->memory == NULL || r->rows == NULL || r->row == NULL) {
        r->status = error_memory(r->error, r->source->name, (double)n * (double)row_bytes);
        png_error(r->png, "memory");
    }
    for (int32_t y = 0; y < f->height; y++) {
        r->rows[y] = r->memory + (interlaced ? (size_t)y * row_bytes : 0);
    }
}

/* What can jump: everything that libpng does. */
static octet_status read_all(png_reader *r) {
    const image_format *f = &r->source->format;
    if (setjmp(png_jmpbuf(r->png)) != 0) {
        return r->status;
    }
    png_set_read_fn(r->png, r, read_bytes);
    png_set_user_limits(r->png, OCTET_IMAGE_SIDE, OCTET_IMAGE_SIDE);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(r->png, r->info);
    const int has = png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR ? 3 : 1;
    if (png_get_image_width(r->png, r->info) != (uint32_t)f->width ||
        png_get_image_height(r->png, r->info) != (uint32_t)f->height || has != f->channels) {
        png_error(r->png, "another size than the header's");
    }
    png_set_expand(r->png); /* palettes, fewer than 8 bits, tRNS as opacity */
    const int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    take_memory(r, png_get_rowbytes(r->png, r->info), passes > 1);
    for (int pass = 0; pass < passes; pass++) {
        for (int32_t y = 0; y < f->height; y++) {
            png_read_row(r->png, (png_bytep)r->rows[y], NULL);
            if (pass == passes - 1) {
                hand_out(r, r->rows[y]);
            }
        }
    }
    png_read_end(r->png, NULL);
    return OCTET_OK;
}

octet_status image_png_read(const image_source *s, image_sink *sink, void *context,
                            image_losses *losses, octet_error *error) {
    png_reader r = {
        .source = s, .losses = losses, .sink = sink, .context = context, .error = error};
    *losses = (image_losses){0};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, fail, ignore);
    r.info = r.png != NULL ? png_create_info_struct(r.png) : NULL;
    const octet_status status =
        r.info != NULL ? read_all(&r) : error_memory(error, s->name, sizeof r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.memory);
    free(r.rows);
    free(r.row);
    return status;
}

/* --- writing --- */

typedef struct png_writer {
    uint8_t *data;
    size_t size, capacity;
} png_writer;

static void fail_writing(png_structp png, png_const_charp text) {
    (void)text;
    png_longjmp(png, 1);
}

static void write_bytes(png_structp png, png_bytep data, size_t n) {
    png_writer *w = png_get_io_ptr(png);
    if (n > w->capacity - w->size) {
        const size_t capacity = 2 * (w->size + n);
        uint8_t *larger = realloc(w->data, capacity);
        if (larger == NULL) {
            png_error(png, "memory");
        }
        w->data = larger;
        w->capacity = capacity;
    }
    memcpy(w->data + w->size, data, n);
    w->size += n;
}

static void flush(png_structp png) {
    (void)png;
}

static int write_all(png_structp png, png_infop info, png_writer *w, const uint8_t *pixels,
                     const int32_t shape[3]) {
    if (setjmp(png_jmpbuf(png)) != 0) {
        return 0;
    }
    png_set_write_fn(png, w, write_bytes, flush);
    png_set_IHDR(png, info, (png_uint_32)shape[1], (png_uint_32)shape[0], 8,
                 shape[2] == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int32_t y = 0; y < shape[0]; y++) {
        png_write_row(png, pixels + (size_t)y * (size_t)shape[1] * (size_t)shape[2]);
    }
    png_write_end(png, info);
    return 1;
}

octet_status image_png_write(uint8_t **out, size_t *out_size, const uint8_t *pixels, int32_t width,
                             int32_t height, int32_t channels, octet_error *error) {
    png_writer w = {0};
    const int32_t shape[3] = {height, width, channels};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, fail_writing, ignore);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    const int written = info != NULL && write_all(png, info, &w, pixels, shape);
    png_destroy_write_struct(&png, &info);
    *out = written ? w.data : NULL;
    *out_size = written ? w.size : 0;
    if (!written) {
        free(w.data);
        return error_memory(error, "image", (double)width * height * channels);
    }
    return OCTET_OK;
}
