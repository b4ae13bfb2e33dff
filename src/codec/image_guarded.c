/* image_guarded.c: image_png_read in a sandbox.
 *
 * The child sends messages: a row, or the end (a status, what was lost, a text). The parent
 * believes nothing but that rows are bytes: it counts them, and what was lost is held against what
 * there is. */
#include <stdlib.h>

#include "codec/image.h"
#include "codec/sandbox.h"

enum { MESSAGE_ROW = 1, MESSAGE_END = 2 };

/* libpng and zlib hold a row; interlaced images are held whole, with up to 8 bytes a pixel. */
static const uint64_t MEMORY_BYTES = (uint64_t)64 << 20;

typedef struct image_message {
    uint32_t kind, status;
    image_losses losses;
} image_message;

/* --- the child --- */

typedef struct image_child {
    const image_source *source;
    int fd;
} image_child;

static octet_status send_row(void *context, const uint8_t *row, octet_error *error) {
    const image_child *c = context;
    const image_format *f = &c->source->format;
    const image_message m = {.kind = MESSAGE_ROW};
    if (sandbox_write(c->fd, &m, sizeof m) != 0 ||
        sandbox_write(c->fd, row, (size_t)f->width * (size_t)f->channels) != 0) {
        return error_set(error, OCTET_STOPPED, "nobody listens");
    }
    return OCTET_OK;
}

static void decode(void *context, int fd) {
    image_child c = {context, fd};
    image_message m = {.kind = MESSAGE_END};
    octet_error error = {0};
    m.status = (uint32_t)image_png_read(c.source, send_row, &c, &m.losses, &error);
    if (sandbox_write(fd, &m, sizeof m) == 0) {
        (void)sandbox_write(fd, error.text, sizeof error.text);
    }
}

/* --- the parent --- */

static octet_status fail_nonsense(const image_source *s, const char *what, octet_error *error) {
    return error_set(error, OCTET_CORRUPT, "%s: the decoder answers nonsense: %s", s->name, what);
}

static octet_status hear_end(const image_source *s, sandbox *box, const image_message *m,
                             int32_t rows, octet_error *error) {
    const image_format *f = &s->format;
    const int64_t pixels = (int64_t)f->width * f->height;
    char text[sizeof((octet_error *)0)->text];
    const octet_status status = sandbox_read(box, text, sizeof text, s->name, error);
    if (status != OCTET_OK) {
        return status;
    }
    text[sizeof text - 1] = '\0';
    if (m->status == OCTET_CORRUPT || m->status == OCTET_NO_MEMORY) {
        return error_set(error, OCTET_CORRUPT, "%s", text);
    }
    if (m->status != OCTET_OK || m->losses.rounded < 0 ||
        m->losses.rounded > pixels * f->channels || m->losses.transparent < 0 ||
        m->losses.transparent > pixels) {
        return fail_nonsense(s, "an unknown status or loss", error);
    }
    return rows == f->height ? OCTET_OK : fail_nonsense(s, "fewer rows than there are", error);
}

static octet_status listen_to(const image_source *s, sandbox *box, image_sink *sink, void *context,
                              image_losses *losses, uint8_t *row, octet_error *error) {
    const size_t row_bytes = (size_t)s->format.width * (size_t)s->format.channels;
    for (int32_t rows = 0;; rows++) {
        image_message m;
        octet_status status = sandbox_read(box, &m, sizeof m, s->name, error);
        if (status == OCTET_OK && m.kind == MESSAGE_END) {
            *losses = m.losses;
            return hear_end(s, box, &m, rows, error);
        }
        if (status == OCTET_OK && (m.kind != MESSAGE_ROW || rows == s->format.height)) {
            status = fail_nonsense(s, "an unknown message, or a row too many", error);
        }
        if (status == OCTET_OK) {
            status = sandbox_read(box, row, row_bytes, s->name, error);
        }
        if (status == OCTET_OK) {
            status = sink(context, row, error);
        }
        if (status != OCTET_OK) {
            return status;
        }
    }
}

octet_status image_png_read_guarded(const image_source *s, image_sink *sink, void *context,
                                    image_losses *losses, octet_guard *guard, octet_error *error) {
    const uint64_t pixels = (uint64_t)s->format.width * (uint64_t)s->format.height;
    const sandbox_limits limits = {.memory_bytes = MEMORY_BYTES + 8 * pixels,
                                   .cpu_seconds = 20 + 10 * (pixels >> 22),
                                   .silent_seconds = 60};
    uint8_t *row = malloc((size_t)s->format.width * (size_t)s->format.channels);
    if (row == NULL) {
        return error_memory(error, s->name, s->format.width);
    }
    sandbox box;
    octet_status status = sandbox_start(&box, &limits, decode, (void *)s, s->name, error);
    *guard = box.guard;
    if (status == OCTET_OK) {
        status = listen_to(s, &box, sink, context, losses, row, error);
    }
    sandbox_finish(&box);
    free(row);
    return status;
}
