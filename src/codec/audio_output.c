/* audio_output.c: see audio_output.h. libsndfile writes into memory through its virtual files; what
 * it writes is ours, so it does so in this process. */
#include "codec/audio_output.h"

#include <math.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>

#include "octet/codec.h"

enum { BLOCK = 8192, HEADER = 44 }; /* samples at a time; bytes of a stream's header */

/* RIFF, FORM and AU count bytes in 32 bits; what is around the samples is far less than this. */
static const uint64_t MOST_BYTES = UINT32_MAX - (1 << 16);

/* --- a file in memory --- */

typedef struct growing_file {
    uint8_t *data;
    size_t size, at, capacity;
} growing_file;

static sf_count_t growing_size(void *user) {
    return (sf_count_t)((growing_file *)user)->size;
}

static sf_count_t growing_seek(sf_count_t offset, int whence, void *user) {
    growing_file *g = user;
    const sf_count_t from = whence == SEEK_CUR   ? (sf_count_t)g->at
                            : whence == SEEK_END ? (sf_count_t)g->size
                                                 : 0;
    if (offset < -from || offset > (sf_count_t)g->size - from) {
        return -1;
    }
    g->at = (size_t)(from + offset);
    return (sf_count_t)g->at;
}

static sf_count_t growing_read(void *out, sf_count_t bytes, void *user) {
    growing_file *g = user;
    const size_t left = g->size - g->at;
    const size_t n = bytes < 0 ? 0 : (size_t)bytes < left ? (size_t)bytes : left;
    if (n > 0) {
        memcpy(out, g->data + g->at, n);
    }
    g->at += n;
    return (sf_count_t)n;
}

static sf_count_t growing_write(const void *data, sf_count_t bytes, void *user) {
    growing_file *g = user;
    const size_t n = bytes > 0 ? (size_t)bytes : 0;
    if (n > g->capacity - g->at) {
        size_t capacity = g->capacity < 4096 ? 4096 : g->capacity;
        while (capacity - g->at < n && capacity <= SIZE_MAX / 2) {
            capacity *= 2;
        }
        uint8_t *larger = capacity - g->at < n ? NULL : realloc(g->data, capacity);
        if (larger == NULL) {
            return 0;
        }
        g->data = larger;
        g->capacity = capacity;
    }
    if (n > 0) {
        memcpy(g->data + g->at, data, n);
    }
    g->at += n;
    g->size = g->at > g->size ? g->at : g->size;
    return (sf_count_t)n;
}

static sf_count_t growing_tell(void *user) {
    return (sf_count_t)((growing_file *)user)->at;
}

/* --- targets --- */

struct audio_output {
    audio_target target;
    growing_file file;
    SNDFILE *sound; /* of AUDIO_FILE */
    octet_write *write;
    void *context;
    int64_t clipped;
    int has_samples;
    union {
        int integers[BLOCK];
        uint8_t bytes[8 * BLOCK];
    } block;
};

static SF_INFO make_info(const audio_target *t) {
    return (SF_INFO){.samplerate = t->rate_hz,
                     .channels = t->channels,
                     .format = audio_container_code(t->container) | audio_samples_code(t->samples)};
}

int audio_output_takes(const audio_target *t) {
    const audio_samples s = t->samples;
    if (t->form != AUDIO_FILE) {
        return s == AUDIO_U8 || s == AUDIO_S16 || s == AUDIO_S24 || s == AUDIO_S32 ||
               s == AUDIO_F32 || s == AUDIO_F64;
    }
    const SF_INFO info = make_info(t);
    return t->container != AUDIO_OPUS && t->container != AUDIO_MP3 && sf_format_check(&info);
}

/* Does one format hold all values of another? Sounds that were stored with losses are decoded to
 * floats of 32 bits, laws to integers of 16. */
static int holds(audio_samples to, audio_samples from) {
    const int is_law = from == AUDIO_ULAW || from == AUDIO_ALAW;
    const int from_bits = is_law ? 16 : audio_samples_bits(from), to_bits = audio_samples_bits(to);
    if (from_bits == 0) {
        return to == AUDIO_F64 || (to == AUDIO_F32 && from != AUDIO_F64);
    }
    return from_bits <= (to_bits > 0 ? to_bits : to == AUDIO_F32 ? 24 : 53);
}

int audio_output_fit(audio_target *t) {
    static const audio_samples wider[] = {AUDIO_S8,  AUDIO_U8,  AUDIO_S16, AUDIO_S24,
                                          AUDIO_S32, AUDIO_F32, AUDIO_F64};
    const audio_samples from = t->samples;
    int fits = audio_samples_bytes(from) > 0 && audio_output_takes(t);
    for (size_t i = 0; i < sizeof wider / sizeof *wider && !fits; i++) {
        t->samples = wider[i];
        fits = holds(wider[i], from) && audio_output_takes(t);
    }
    return fits;
}

octet_status audio_output_check(const audio_target *t, int64_t frames, octet_error *error) {
    const uint64_t frame_bytes = (uint64_t)t->channels * (uint64_t)audio_samples_bytes(t->samples);
    if (t->form == AUDIO_FILE && frame_bytes > 0 && (uint64_t)frames > MOST_BYTES / frame_bytes) {
        return error_set(error, OCTET_ERROR, "%s cannot hold %lld frames of %d channels",
                         audio_container_name(t->container), (long long)frames, t->channels);
    }
    return OCTET_OK;
}

/* --- streams --- */

static void put(uint8_t *at, uint64_t number, int n) {
    for (int i = 0; i < n; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
}

/* Both lengths are the largest there are: players then read to the end. */
static octet_status write_header(audio_output *o, octet_error *error) {
    const audio_target *t = &o->target;
    const unsigned bytes = (unsigned)audio_samples_bytes(t->samples);
    const unsigned frame_bytes = bytes * (unsigned)t->channels;
    uint8_t h[HEADER];
    memcpy(h, "RIFF", 4);
    put(h + 4, UINT32_MAX, 4);
    memcpy(h + 8, "WAVEfmt ", 8);
    put(h + 16, 16, 4);
    put(h + 20, audio_samples_bits(t->samples) > 0 ? 1 : 3, 2);
    put(h + 22, (unsigned)t->channels, 2);
    put(h + 24, (unsigned)t->rate_hz, 4);
    put(h + 28, (uint64_t)t->rate_hz * frame_bytes, 4);
    put(h + 32, frame_bytes, 2);
    put(h + 34, 8 * bytes, 2);
    memcpy(h + 36, "data", 4);
    put(h + 40, UINT32_MAX, 4);
    return o->write(o->context, h, sizeof h, error);
}

/* The nearest integer of so many bits, aligned to 32. */
static int32_t quantise(audio_output *o, double x, int bits) {
    const double scale = ldexp(1, bits - 1);
    double nearest = nearbyint(x * scale);
    if (nearest < -scale || nearest > scale - 1) {
        nearest = nearest < 0 ? -scale : scale - 1;
        o->clipped++;
    }
    return (int32_t)ldexp(nearest, 32 - bits);
}

static void pack(audio_output *o, uint8_t *to, double x) {
    const audio_samples samples = o->target.samples;
    const int bits = audio_samples_bits(samples);
    const float narrow = (float)x;
    uint64_t word = 0;
    uint32_t half;
    if (samples == AUDIO_F32) {
        memcpy(&half, &narrow, sizeof half);
        word = half;
    } else if (samples == AUDIO_F64) {
        memcpy(&word, &x, sizeof word);
    } else {
        word = (uint32_t)quantise(o, x, bits) >> (32 - bits);
        word ^= samples == AUDIO_U8 ? 0x80 : 0;
    }
    put(to, word, audio_samples_bytes(samples));
}

/* --- writing --- */

octet_status audio_output_create(audio_output **out, const audio_target *t, octet_write *write,
                                 void *context, octet_error *error) {
    SF_VIRTUAL_IO io = {growing_size, growing_seek, growing_read, growing_write, growing_tell};
    SF_INFO info = make_info(t);
    audio_output *o = *out = calloc(1, sizeof *o);
    if (o == NULL) {
        return error_memory(error, "audio", sizeof *o);
    }
    o->target = *t;
    o->write = write;
    o->context = context;
    int made = audio_output_takes(t);
    if (made && t->form == AUDIO_FILE) {
        o->sound = sf_open_virtual(&io, SFM_WRITE, &info, &o->file);
        made = o->sound != NULL;
    }
    octet_status status = OCTET_OK;
    if (!made) {
        status = error_set(error, OCTET_ERROR, "%s cannot hold %d channels at %d Hz",
                           t->form == AUDIO_FILE ? audio_container_name(t->container) : "a stream",
                           t->channels, t->rate_hz);
    } else if (t->form == AUDIO_STREAM) {
        status = write_header(o, error);
    }
    if (status != OCTET_OK) {
        audio_output_destroy(out);
    } else if (o->sound != NULL) { /* it would hold the time of day */
        (void)sf_command(o->sound, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    }
    return status;
}

void audio_output_destroy(audio_output **o) {
    if (*o != NULL) {
        if ((*o)->sound != NULL) {
            (void)sf_close((*o)->sound);
        }
        free((*o)->file.data);
    }
    free(*o);
    *o = NULL;
}

int64_t audio_output_clipped(const audio_output *o) {
    return o->clipped;
}

/* Up to BLOCK samples to libsndfile. Integers go in as integers: it scales floats by 32767 on their
 * way to 16 bits. Its mu-law and A-law are made from 16 bits and know no -32768. */
static int write_block(audio_output *o, const double *x, sf_count_t n) {
    const audio_samples samples = o->target.samples;
    const int linear = audio_samples_bits(samples), bits = linear > 0 ? linear : 16;
    o->has_samples = 1;
    if (!audio_samples_are_integers(samples)) {
        return sf_write_double(o->sound, x, n) == n;
    }
    for (sf_count_t i = 0; i < n; i++) {
        const int32_t value = quantise(o, x[i], bits);
        o->block.integers[i] = linear == 0 && value == INT32_MIN ? -INT32_MAX : value;
    }
    return sf_write_int(o->sound, o->block.integers, n) == n;
}

octet_status audio_output_push(void *output, const double *samples, size_t n_frames,
                               octet_error *error) {
    audio_output *o = output;
    const size_t bytes = (size_t)audio_samples_bytes(o->target.samples);
    size_t n = n_frames * (size_t)o->target.channels;
    octet_status status = OCTET_OK;
    while (n > 0 && status == OCTET_OK) {
        /* whole frames, as libsndfile wants them */
        const size_t most = BLOCK - BLOCK % (size_t)o->target.channels, part = n < most ? n : most;
        if (o->target.form != AUDIO_FILE) {
            for (size_t i = 0; i < part; i++) {
                pack(o, o->block.bytes + i * bytes, samples[i]);
            }
            status = o->write(o->context, o->block.bytes, part * bytes, error);
        } else if (!write_block(o, samples, (sf_count_t)part)) {
            status = error_set(error, OCTET_NO_MEMORY, "out of memory: %s",
                               audio_container_name(o->target.container));
        }
        samples += part;
        n -= part;
    }
    return status;
}

octet_status audio_output_take(audio_output *o, uint8_t **data, size_t *size, octet_error *error) {
    /* A FLAC's header waits for samples. */
    if (!o->has_samples && o->target.container == AUDIO_FLAC) {
        (void)sf_command(o->sound, SFC_UPDATE_HEADER_NOW, NULL, 0);
    }
    const int closed = sf_close(o->sound);
    o->sound = NULL;
    if (closed != 0) {
        return error_set(error, OCTET_NO_MEMORY, "out of memory: %s",
                         audio_container_name(o->target.container));
    }
    *data = o->file.data;
    *size = o->file.size;
    o->file = (growing_file){0};
    return OCTET_OK;
}
