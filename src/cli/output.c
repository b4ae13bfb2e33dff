/* output.c: see output.h. */
#define _GNU_SOURCE
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/signals.h"

static void init(output *out, int fd, const char *name) {
    out->fd = fd;
    out->name = name;
    out->error = 0;
    out->temporary = out->target = NULL;
    out->used = 0;
    out->is_terminal = fd >= 0 && isatty(fd);
}

void output_standard(output *out) {
    init(out, STDOUT_FILENO, "standard output");
}

/* A file of our own beside the target, so that the rename stays on one file system. */
static int open_temporary(output *out, const struct stat *old) {
    size_t size = strlen(out->target) + 32;
    out->temporary = malloc(size);
    if (!out->temporary)
        return -1;
    snprintf(out->temporary, size, "%s.tmp.%ld", out->target, (long)getpid());
    int fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 && old)
        (void)fchmod(fd, old->st_mode & 0777); /* some file systems have no modes */
    return fd;
}

static void release(output *out) {
    free(out->temporary);
    free(out->target);
    out->temporary = out->target = NULL;
}

int output_open(output *out, const char *path) {
    struct stat st;
    if (!strcmp(path, "-")) {
        output_standard(out);
        return 0;
    }
    init(out, -1, path);
    int exists = !stat(path, &st);
    if (exists && S_ISDIR(st.st_mode))
        errno = EISDIR;
    else if (exists && !S_ISREG(st.st_mode))
        out->fd = open(path, O_WRONLY | O_CLOEXEC);
    else if (exists && access(path, W_OK))
        out->fd = -1;
    else {
        /* A symbolic link stays one: what it points to is replaced. */
        out->target = exists ? realpath(path, NULL) : strdup(path);
        out->fd = out->target ? open_temporary(out, exists ? &st : NULL) : -1;
    }
    if (out->fd < 0) {
        out->error = errno;
        release(out);
        return -1;
    }
    out->is_terminal = isatty(out->fd);
    return 0;
}

static void write_all(output *out, const char *bytes, size_t n) {
    while (n && !out->error) {
        ssize_t done = write(out->fd, bytes, n);
        if (done >= 0) {
            bytes += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {out->fd, POLLOUT, 0};
            if (poll(&ready, 1, -1) < 0 && signals_caught())
                out->error = EINTR;
        } else if (errno != EINTR || signals_caught()) {
            out->error = errno;
        }
    }
}

void output_flush(output *out) {
    write_all(out, out->buffer, out->used);
    out->used = 0;
}

void output_write(output *out, const void *bytes, size_t n) {
    if (n == 0 || out->error)
        return;
    if (n > sizeof out->buffer - out->used)
        output_flush(out);
    if (n > sizeof out->buffer) {
        write_all(out, bytes, n);
        return;
    }
    memcpy(out->buffer + out->used, bytes, n);
    out->used += n;
}

void output_print(output *out, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n >= (int)sizeof text)
        n = (int)sizeof text - 1;
    if (n > 0)
        output_write(out, text, (size_t)n);
}

void output_plain(output *out, const char *text) {
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 32 || byte == 127)
            output_print(out, "\\x%02x", byte);
        else
            output_write(out, text, 1);
    }
}

void output_close(output *out, int keep) {
    output_flush(out);
    if (out->temporary && keep && !out->error && fsync(out->fd))
        out->error = errno;
    if (out->fd >= 0 && close(out->fd) && !out->error)
        out->error = errno;
    out->fd = -1;
    if (!out->temporary)
        return;
    if (keep && !out->error && rename(out->temporary, out->target))
        out->error = errno;
    if (!keep || out->error)
        unlink(out->temporary);
    release(out);
}
