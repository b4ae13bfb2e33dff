/* audio_read.c: see audio_read.h. libsndfile reads from memory through its virtual files. */
#include "codec/audio_read.h"

#include <math.h>
#include <sndfile.h>
#include <string.h>

typedef struct memory_file {
    const uint8_t *data;
    sf_count_t size, at;
    const audio_format *format; /* for its patch */
} memory_file;

static sf_count_t memory_size(void *user) {
    return ((memory_file *)user)->size;
}

static sf_count_t memory_seek(sf_count_t offset, int whence, void *user) {
    memory_file *m = user;
    const sf_count_t from = whence == SEEK_CUR ? m->at : whence == SEEK_END ? m->size : 0;
    if (offset < -from || offset > m->size - from) {
        return -1;
    }
    return m->at = from + offset;
}

static sf_count_t memory_read(void *out, sf_count_t bytes, void *user) {
    memory_file *m = user;
    const sf_count_t left = m->size - m->at;
    const sf_count_t n = bytes < 0 ? 0 : bytes < left ? bytes : left;
    if (n > 0) {
        memcpy(out, m->data + m->at, (size_t)n);
    }
    for (int i = 0; i < 4 && m->format->patch_at > 0; i++) {
        const sf_count_t at = (sf_count_t)m->format->patch_at + i - m->at;
        if (at >= 0 && at < n) {
            ((uint8_t *)out)[at] = m->format->patch[i];
        }
    }
    m->at += n;
    return n;
}

static sf_count_t memory_write(const void *data, sf_count_t bytes, void *user) {
    (void)data, (void)bytes, (void)user;
    return 0;
}

static sf_count_t memory_tell(void *user) {
    return ((memory_file *)user)->at;
}

/* Is it what the signature promised? */
static octet_status check_info(const audio_source *s, const SF_INFO *info, octet_error *error) {
    const audio_format *f = &s->format;
    int container = info->format & SF_FORMAT_TYPEMASK;
    if (container == SF_FORMAT_WAVEX || container == SF_FORMAT_RF64) {
        container = SF_FORMAT_WAV;
    }
    if (container != audio_container_code(f->container) ||
        (info->format & SF_FORMAT_SUBMASK) != audio_samples_code(f->samples) ||
        info->channels != f->channels || info->samplerate != f->rate_hz) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: its header says %s %s, %d channels, %d Hz; the decoder finds format "
                         "0x%x, %d channels, %d Hz",
                         s->name, audio_container_name(f->container),
                         audio_samples_name(f->samples), f->channels, f->rate_hz,
                         (unsigned)info->format, info->channels, info->samplerate);
    }
    return OCTET_OK;
}

/* Up to n frames; fewer only at the end. */
static sf_count_t read_block(SNDFILE *file, const audio_source *s, double *out, sf_count_t n) {
    int integers[AUDIO_BLOCK];
    if (!audio_samples_are_integers(s->format.samples)) {
        return sf_readf_double(file, out, n);
    }
    const sf_count_t got = sf_readf_int(file, integers, n);
    for (sf_count_t i = 0; i < got * s->format.channels; i++) {
        out[i] = integers[i] / 2147483648.0; /* libsndfile aligns all widths to 32 bits */
    }
    return got;
}

static octet_status check_finite(const audio_source *s, const double *x, int64_t first, int64_t n,
                                 octet_error *error) {
    const int channels = s->format.channels;
    for (int64_t i = 0; i < n * channels; i++) {
        if (!isfinite(x[i])) {
            return error_set(error, OCTET_CORRUPT, "%s: sample %lld of channel %d is %s", s->name,
                             (long long)(first + i / channels), (int)(i % channels),
                             isnan(x[i]) ? "not a number" : "infinite");
        }
    }
    return OCTET_OK;
}

static octet_status read_all(SNDFILE *file, const audio_source *s, audio_sink *sink, void *context,
                             octet_error *error) {
    double block[AUDIO_BLOCK];
    const int64_t claimed = s->format.frames;
    const int64_t most = AUDIO_BLOCK / s->format.channels;
    int64_t done = 0, got = most;
    while (got > 0 && (claimed < 0 || done < claimed)) {
        const int64_t want = claimed >= 0 && claimed - done < most ? claimed - done : most;
        got = read_block(file, s, block, want);
        if (sf_error(file) != SF_ERR_NO_ERROR) {
            return error_set(error, OCTET_CORRUPT, "%s: cannot be decoded after %lld frames: %s",
                             s->name, (long long)done, sf_strerror(file));
        }
        octet_status status = check_finite(s, block, done, got, error);
        if (status == OCTET_OK && got > 0) {
            status = sink(context, block, (size_t)got, error);
        }
        if (status != OCTET_OK) {
            return status;
        }
        done += got;
    }
    return done >= claimed ? OCTET_OK
                           : error_set(error, OCTET_CORRUPT,
                                       "%s: ends after %lld frames, its header claims %lld",
                                       s->name, (long long)done, (long long)claimed);
}

octet_status audio_read(const audio_source *s, audio_sink *sink, void *context,
                        octet_error *error) {
    SF_VIRTUAL_IO io = {memory_size, memory_seek, memory_read, memory_write, memory_tell};
    memory_file memory = {s->data, (sf_count_t)s->size, 0, &s->format};
    SF_INFO info = {0};
    if (s->format.frames == 0) {
        return OCTET_OK; /* libsndfile refuses some containers without samples */
    }
    SNDFILE *file = sf_open_virtual(&io, SFM_READ, &info, &memory);
    if (file == NULL) {
        return error_set(error, OCTET_CORRUPT, "%s: cannot be decoded: %s", s->name,
                         sf_strerror(NULL));
    }
    octet_status status = check_info(s, &info, error);
    if (status == OCTET_OK) {
        status = read_all(file, s, sink, context, error);
    }
    (void)sf_close(file); /* nothing was written */
    return status;
}
