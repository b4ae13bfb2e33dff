/* audio_bad.c: see audio_bad.h; the rows are in audio_bad_rows.c. */
#define _GNU_SOURCE /* memmem */
#include "audio_bad.h"

#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES = 3000, CHANNELS = 2, RATE = 16000 };

static audio_file make_image(audio_base base) {
    static const png_kind kinds[IMAGE_BASES] = {
        [BASE_PNG_GREY1] = {.type = 0, .bits = 1},
        [BASE_PNG_GREY8] = {.type = 0, .bits = 8},
        [BASE_PNG_GREY16] = {.type = 0, .bits = 16},
        [BASE_PNG_RGB8] = {.type = 2, .bits = 8},
        [BASE_PNG_RGB16] = {.type = 2, .bits = 16},
        [BASE_PNG_PALETTE] = {.type = 3, .bits = 4},
        [BASE_PNG_GREY_OPACITY] = {.type = 4, .bits = 8},
        [BASE_PNG_RGB_OPACITY] = {.type = 6, .bits = 8},
        [BASE_PNG_KEY] = {.type = 2, .bits = 8, .key = 1},
        [BASE_PNG_INTERLACED] = {.type = 2, .bits = 8, .interlaced = 1},
    };
    enum { WIDTH = 37, HEIGHT = 23 };
    uint8_t *pixels = image_noise(WIDTH * HEIGHT * 8, (uint64_t)base);
    audio_file file = base == BASE_PGM   ? pnm_make("P5\n37 23\n255\n", pixels, WIDTH * HEIGHT)
                      : base == BASE_PPM ? pnm_make("P6\n37 23\n255\n", pixels, WIDTH * HEIGHT * 3)
                                         : png_make(&kinds[base], WIDTH, HEIGHT, pixels);
    free(pixels);
    return file;
}

audio_file audio_base_make(audio_base base) {
    if (base >= AUDIO_BASES)
        return make_image(base);
    static const int formats[AUDIO_BASES] = {
        [BASE_WAV_U8] = SF_FORMAT_WAV | SF_FORMAT_PCM_U8,
        [BASE_WAV_S16] = SF_FORMAT_WAV | SF_FORMAT_PCM_16,
        [BASE_WAV_S24] = SF_FORMAT_WAV | SF_FORMAT_PCM_24,
        [BASE_WAV_S32] = SF_FORMAT_WAV | SF_FORMAT_PCM_32,
        [BASE_WAV_F32] = SF_FORMAT_WAV | SF_FORMAT_FLOAT,
        [BASE_WAV_F64] = SF_FORMAT_WAV | SF_FORMAT_DOUBLE,
        [BASE_WAV_ULAW] = SF_FORMAT_WAV | SF_FORMAT_ULAW,
        [BASE_WAV_ALAW] = SF_FORMAT_WAV | SF_FORMAT_ALAW,
        [BASE_WAVEX] = SF_FORMAT_WAVEX | SF_FORMAT_PCM_16,
        [BASE_RF64] = SF_FORMAT_RF64 | SF_FORMAT_PCM_16,
        [BASE_RIFX] = SF_FORMAT_WAV | SF_ENDIAN_BIG | SF_FORMAT_PCM_16,
        [BASE_AIFF_S16] = SF_FORMAT_AIFF | SF_FORMAT_PCM_16,
        [BASE_AIFF_S24] = SF_FORMAT_AIFF | SF_FORMAT_PCM_24,
        [BASE_AIFC_F32] = SF_FORMAT_AIFF | SF_FORMAT_FLOAT,
        [BASE_AIFC_SOWT] = SF_FORMAT_AIFF | SF_ENDIAN_LITTLE | SF_FORMAT_PCM_16,
        [BASE_AU_S16] = SF_FORMAT_AU | SF_FORMAT_PCM_16,
        [BASE_AU_F64] = SF_FORMAT_AU | SF_FORMAT_DOUBLE,
        [BASE_AU_LITTLE] = SF_FORMAT_AU | SF_ENDIAN_LITTLE | SF_FORMAT_PCM_16,
        [BASE_FLAC16] = SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
        [BASE_FLAC24] = SF_FORMAT_FLAC | SF_FORMAT_PCM_24,
        [BASE_OGG] = SF_FORMAT_OGG | SF_FORMAT_VORBIS,
        [BASE_OPUS] = SF_FORMAT_OGG | SF_FORMAT_OPUS,
        [BASE_MP3] = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III,
    };
    audio_file file = {NULL, 0};
    const int format = formats[base], sub = format & SF_FORMAT_SUBMASK;
    int32_t *x = audio_noise(FRAMES * CHANNELS, 16, (uint64_t)base);
    if (sub == SF_FORMAT_FLOAT || sub == SF_FORMAT_DOUBLE) {
        static double floats[FRAMES * CHANNELS];
        for (int i = 0; i < FRAMES * CHANNELS; i++)
            floats[i] = x[i] / 2147483648.0;
        file = audio_make_floats(format, RATE, CHANNELS, floats, FRAMES);
    } else if (format) {
        file = audio_make(format, RATE, CHANNELS, x, FRAMES);
    }
    free(x);
    audio_fix_pages(&file, 1); /* libsndfile draws the number of the stream */
    return file;
}

static void set_number(audio_file *file, size_t at, const audio_bad *row) {
    assert_true(at + (size_t)row->n <= file->size);
    for (int i = 0; i < row->n; i++) {
        int byte = row->edit == DAMAGE_BIG || row->edit == DAMAGE_CHUNK ? row->n - 1 - i : i;
        file->data[at + (size_t)i] = (uint8_t)((uint64_t)row->number >> (8 * byte));
    }
    if (row->edit == DAMAGE_PAGE)
        audio_fix_pages(file, -1);
    if (row->edit == DAMAGE_CHUNK)
        png_fix_checksums(file);
}

static size_t place(const audio_file *file, const audio_bad *row) {
    size_t at = 0;
    if (row->anchor) {
        const uint8_t *found = memmem(file->data, file->size, row->anchor, strlen(row->anchor));
        if (!found)
            fail_msg("%s: there is no \"%s\"", row->name, row->anchor);
        at = (size_t)(found - file->data);
    }
    return (size_t)((int64_t)at + row->delta);
}

audio_file audio_bad_make(const audio_bad *row) {
    audio_file file = audio_base_make(row->base);
    const size_t at = place(&file, row), n = (size_t)row->n;
    switch (row->edit) {
    case DAMAGE_KEEP:
        if (row->number < (int64_t)file.size)
            file.size = (size_t)(row->number + (row->number < 0 ? (int64_t)file.size : 0));
        break;
    case DAMAGE_HALF:
        file.size /= 2;
        break;
    case DAMAGE_LITTLE:
    case DAMAGE_BIG:
    case DAMAGE_PAGE:
    case DAMAGE_CHUNK:
        set_number(&file, at, row);
        break;
    case DAMAGE_TEXT:
        audio_splice(&file, at, n, row->text, n);
        break;
    case DAMAGE_INSERT:
        audio_splice(&file, at, 0, row->text, n);
        break;
    case DAMAGE_REMOVE:
        audio_splice(&file, at, n, NULL, 0);
        break;
    case DAMAGE_ZEROS: {
        uint8_t *zeros = calloc(1, (size_t)row->number);
        audio_splice(&file, file.size, 0, zeros, (size_t)row->number);
        free(zeros);
        break;
    }
    case DAMAGE_DOUBLE: {
        audio_file copy = audio_base_make(row->base);
        audio_splice(&file, file.size, 0, copy.data, copy.size);
        audio_free(&copy);
        break;
    }
    }
    return file;
}
