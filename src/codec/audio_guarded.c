/* audio_guarded.c: audio_read in a sandbox.
 *
 * The child sends messages: a kind and a number, then samples (so many doubles) or the end (a
 * status, then its text). The parent believes nothing: every number is checked against what the
 * file's header allows, and every sample is looked at. */
#include <math.h>
#include <string.h>

#include "codec/audio_read.h"
#include "codec/sandbox.h"

enum { MESSAGE_SAMPLES = 1, MESSAGE_END = 2 };

/* Decoders hold frames and tables, never the whole. */
static const uint64_t MEMORY_BYTES = (uint64_t)256 << 20;

typedef struct message {
    uint32_t kind, number;
} message;

/* --- the child --- */

typedef struct child {
    const audio_source *source;
    int fd;
} child;

static octet_status send_samples(void *context, const double *samples, size_t n_frames,
                                 octet_error *error) {
    const child *c = context;
    const size_t n = n_frames * (size_t)c->source->format.channels;
    const message m = {MESSAGE_SAMPLES, (uint32_t)n};
    if (sandbox_write(c->fd, &m, sizeof m) != 0 ||
        sandbox_write(c->fd, samples, n * sizeof *samples) != 0) {
        return error_set(error, OCTET_STOPPED, "nobody listens");
    }
    return OCTET_OK;
}

static void decode(void *context, int fd) {
    child c = {context, fd};
    octet_error error = {0};
    const octet_status status = audio_read(c.source, send_samples, &c, &error);
    const message m = {MESSAGE_END, (uint32_t)status};
    if (sandbox_write(fd, &m, sizeof m) == 0) {
        (void)sandbox_write(fd, error.text, sizeof error.text);
    }
}

/* --- the parent --- */

typedef struct listener {
    const audio_source *source;
    sandbox box;
    int64_t frames; /* heard so far */
    double samples[AUDIO_BLOCK];
} listener;

static octet_status fail_nonsense(const listener *l, const char *what, octet_error *error) {
    return error_set(error, OCTET_CORRUPT, "%s: the decoder answers nonsense: %s", l->source->name,
                     what);
}

static octet_status hear_samples(listener *l, uint32_t n, audio_sink *sink, void *context,
                                 octet_error *error) {
    const audio_format *f = &l->source->format;
    const uint32_t n_frames = n / (uint32_t)f->channels;
    if (n == 0 || n > AUDIO_BLOCK || n % (uint32_t)f->channels != 0) {
        return fail_nonsense(l, "a block of a wrong size", error);
    }
    if (f->frames >= 0 && (int64_t)n_frames > f->frames - l->frames) {
        return fail_nonsense(l, "more frames than there are", error);
    }
    const octet_status status =
        sandbox_read(&l->box, l->samples, n * sizeof *l->samples, l->source->name, error);
    if (status != OCTET_OK) {
        return status;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!isfinite(l->samples[i])) {
            return fail_nonsense(l, "a sample that is not finite", error);
        }
    }
    l->frames += n_frames;
    return sink(context, l->samples, n_frames, error);
}

static octet_status hear_end(listener *l, uint32_t answer, octet_error *error) {
    char text[sizeof((octet_error *)0)->text];
    const octet_status status = sandbox_read(&l->box, text, sizeof text, l->source->name, error);
    if (status != OCTET_OK) {
        return status;
    }
    text[sizeof text - 1] = '\0';
    if (answer == OCTET_OK) {
        return l->source->format.frames < 0 || l->frames == l->source->format.frames
                   ? OCTET_OK
                   : fail_nonsense(l, "fewer frames than there are", error);
    }
    return answer == OCTET_CORRUPT ? error_set(error, OCTET_CORRUPT, "%s", text)
                                   : fail_nonsense(l, "an unknown status", error);
}

static octet_status listen_to(listener *l, audio_sink *sink, void *context, octet_error *error) {
    for (;;) {
        message m;
        octet_status status = sandbox_read(&l->box, &m, sizeof m, l->source->name, error);
        if (status == OCTET_OK && m.kind == MESSAGE_END) {
            return hear_end(l, m.number, error);
        }
        if (status == OCTET_OK) {
            status = m.kind == MESSAGE_SAMPLES ? hear_samples(l, m.number, sink, context, error)
                                               : fail_nonsense(l, "an unknown message", error);
        }
        if (status != OCTET_OK) {
            return status;
        }
    }
}

octet_status audio_read_guarded(const audio_source *s, audio_sink *sink, void *context,
                                octet_guard *guard, octet_error *error) {
    const sandbox_limits limits = {.memory_bytes = MEMORY_BYTES,
                                   .cpu_seconds = 20 + 10 * (s->size >> 20),
                                   .silent_seconds = 60};
    listener l = {.source = s};
    octet_status status = sandbox_start(&l.box, &limits, decode, (void *)s, s->name, error);
    *guard = l.box.guard;
    if (status == OCTET_OK) {
        status = listen_to(&l, sink, context, error);
    }
    sandbox_finish(&l.box);
    return status;
}
