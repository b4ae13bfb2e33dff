/* packing_files.c: the files of octet compress and octet decompress: names, attributes, bytes in
 * and out. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/packing.h"

static octet_status fail(octet_error *error, const char *name, int number) {
    error->code = OCTET_ERROR;
    snprintf(error->text, sizeof error->text, "%.300s: %s", name, strerror(number));
    return OCTET_ERROR;
}

/* --- names */

static int ends_with(const char *name, const char *suffix) {
    const size_t n = strlen(name), m = strlen(suffix);
    return n > m && !strcmp(name + n - m, suffix);
}

char *packing_output_name(packing *run, const char *name) {
    const size_t n = strlen(name), suffix = strlen(PACKING_SUFFIX);
    char *made = malloc(n + suffix + sizeof ".wav");
    const int has = ends_with(name, PACKING_SUFFIX);
    if (!made) {
        cli_error(run->cli, "%s: no memory", name);
        return NULL;
    }
    strcpy(made, name);
    if (run->decompress && has) {
        made[n - suffix] = '\0';
    } else if (!run->decompress) {
        char *dot = strrchr(made, '.'), *slash = strrchr(made, '/');
        if (run->samples && dot && (!slash || dot > slash + 1))
            *dot = '\0';
        strcat(strcat(made, run->samples ? ".wav" : ""), PACKING_SUFFIX);
    }
    if (run->decompress != has) {
        cli_error(run->cli,
                  run->decompress
                      ? "%s: the name does not end with " PACKING_SUFFIX ": -o names the output"
                      : "%s: the name ends with " PACKING_SUFFIX " already: -o names the output",
                  name);
        free(made);
        return NULL;
    }
    return made;
}

int packing_may_write(packing *run, const char *path) {
    struct stat st;
    const int is_standard = !strcmp(path, "-");
    if (run->force)
        return 1;
    if (is_standard && !run->decompress && isatty(STDOUT_FILENO)) {
        cli_error(run->cli, "compressed bytes are not written to a terminal (-f does it)");
        return 0;
    }
    if (is_standard || stat(path, &st) || !S_ISREG(st.st_mode))
        return 1;
    cli_error(run->cli, "%s: the file exists (-f replaces it)", path);
    return 0;
}

/* --- the input */

/* n bytes, or less at the end of the file. */
static octet_status read_file(passage *p, void *bytes, size_t n, size_t *got, octet_error *error) {
    for (*got = 0; *got < n;) {
        const ssize_t done = read(p->fd, (char *)bytes + *got, n - *got);
        if (done == 0)
            break;
        if (done > 0)
            *got += (size_t)done;
        else if (errno != EINTR)
            return fail(error, p->name, errno);
        else if (*p->run->stop)
            return error->code = OCTET_STOPPED;
    }
    return OCTET_OK;
}

octet_status passage_open(passage *p, packing *run, const char *name, octet_error *error) {
    const int is_standard = !strcmp(name, "-");
    *p = (passage){.run = run, .name = is_standard ? "standard input" : name};
    p->fd = is_standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    const int wrong = p->fd < 0 || fstat(p->fd, &p->st) ? errno
                      : S_ISDIR(p->st.st_mode)          ? EISDIR
                                                        : 0;
    if (wrong)
        return fail(error, p->name, wrong);
    p->size = S_ISREG(p->st.st_mode) ? (int64_t)p->st.st_size : -1;
    p->head = malloc(PACKING_HEAD);
    if (!p->head)
        return fail(error, p->name, ENOMEM);
    return read_file(p, p->head, PACKING_HEAD, &p->head_n, error);
}

void passage_close(passage *p) {
    if (p->fd >= 0 && p->fd != STDIN_FILENO)
        close(p->fd);
    free(p->head);
    octet_decoded_free(p->media);
}

void passage_replace(passage *p, uint8_t *media, size_t size) {
    p->media = media;
    p->size = (int64_t)size;
    p->at = 0;
}

static octet_status read_bytes(void *context, void *bytes, size_t n, size_t *got,
                               octet_error *error) {
    passage *p = context;
    const char *held = p->media ? (const char *)p->media : p->head;
    const size_t left = (p->media ? (size_t)p->size : p->head_n) - p->at;
    const size_t before = left < n ? left : n;
    if (before)
        memcpy(bytes, held + p->at, before);
    p->at += before;
    *got = 0;
    octet_status status = OCTET_OK;
    if (before < n && !p->media)
        status = read_file(p, (char *)bytes + before, n - before, got, error);
    *got += before;
    return status;
}

static octet_status seek_byte(void *context, int64_t position, octet_error *error) {
    passage *p = context;
    p->at = p->head_n; /* from here on the file itself is read */
    if (lseek(p->fd, (off_t)position, position < 0 ? SEEK_END : SEEK_SET) < 0)
        return fail(error, p->name, errno);
    return OCTET_OK;
}

static octet_status write_bytes(void *context, const void *bytes, size_t n, octet_error *error) {
    passage *p = context;
    if (!p->out)
        return OCTET_OK;
    output_write(p->out, bytes, n);
    if (!p->out->error)
        return OCTET_OK;
    if (p->out->error == EINTR || p->out == &p->run->cli->out)
        return error->code = OCTET_STOPPED; /* what befell standard output, cli_finish says */
    return fail(error, p->out->name, p->out->error);
}

static void show_progress(void *context, uint64_t content) {
    passage *p = context;
    const double seconds = progress_seconds() - p->start;
    const double rate = seconds > 0 ? (double)content / seconds / 1e3 : 0;
    if (p->size > 0 && !p->run->decompress)
        progress_show(&p->run->cli->progress, "%s: %3.0f %%, %.1f kB/s", p->name,
                      100.0 * (double)content / (double)p->size, rate);
    else
        progress_show(&p->run->cli->progress, "%s: %.1f MB, %.1f kB/s", p->name,
                      (double)content / 1e6, rate);
}

octet_io passage_io(passage *p) {
    p->start = progress_seconds();
    return (octet_io){.read = read_bytes,
                      .write = write_bytes,
                      .seek = S_ISREG(p->st.st_mode) && !p->media ? seek_byte : NULL,
                      .context = p,
                      .name = p->name,
                      .progress = show_progress,
                      .stop = p->run->stop};
}

/* --- the output */

/* The new file has the mode and the time of the old one, where the system allows that. */
static void copy_attributes(const output *out, const struct stat *st) {
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (!out->temporary)
        return;
    (void)!fchmod(out->fd, st->st_mode & 0777);
    (void)!futimens(out->fd, times);
}

/* The source goes when the output's name has reached the disk. */
static int remove_source(const char *name, const char *made) {
    char *copy = strdup(made);
    const int folder = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    const int wrong = folder < 0 || fsync(folder) || unlink(name) ? errno : 0;
    if (folder >= 0)
        close(folder);
    free(copy);
    return wrong;
}

octet_status passage_finish(passage *p, const char *source, output *file, octet_status status,
                            octet_error *error) {
    const int whole = (!status || status == OCTET_WARNING) && !*p->run->stop;
    const int from_file = strcmp(source, "-") != 0;
    output_flush(file);
    if (from_file && whole)
        copy_attributes(file, &p->st);
    output_close(file, whole);
    if (whole && file->error)
        return fail(error, file->name, file->error);
    if (!status && p->run->remove_source && from_file) {
        const int wrong = remove_source(source, file->name);
        if (wrong)
            return fail(error, source, wrong);
    }
    return status;
}
