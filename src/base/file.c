/* file.c: reads whole inputs, within a limit that the caller states.
 *
 * Every size is one that was actually read: what a directory entry says is only a hint, since files
 * grow and shrink and those in /proc say 0. See filewriter.c for the other direction. */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAP_LEAST = 1 << 20, FIRST_READ = 64 * 1024, MOST_AT_ONCE = 1 << 30 };

struct file_reader {
    int fd;
    bool owned;    /* not standard input */
    uint64_t left; /* FILE_SIZE_UNKNOWN or the rest by the size at opening */
    char name[];   /* for messages */
};

static octet_status fail_open(const char *path, octet_error *error) {
    const int code = errno;
    if (code == ENOMEM) {
        return error_set(error, OCTET_NO_MEMORY, "%s: cannot open: %s", path, strerror(code));
    }
    return error_set(error, OCTET_ERROR, "%s: cannot open: %s", path, strerror(code));
}

static octet_status fail_limit(const char *path, size_t limit, octet_error *error) {
    return error_set(error, OCTET_ERROR, "%s: is larger than the limit of %zu bytes", path, limit);
}

octet_status file_reader_create(file_reader **out, const char *path, octet_error *error) {
    *out = NULL;
    const bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    const size_t name_bytes = strlen(name) + 1;
    file_reader *r = calloc(1, sizeof *r + name_bytes);
    if (r == NULL) {
        return error_memory(error, name, (double)(sizeof *r + name_bytes));
    }
    memcpy(r->name, name, name_bytes);
    r->owned = !standard;
    r->left = FILE_SIZE_UNKNOWN;
    do {
        r->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    } while (r->fd < 0 && errno == EINTR);
    struct stat info;
    if (r->fd < 0 || fstat(r->fd, &info) != 0) {
        const octet_status status = fail_open(name, error);
        file_reader_destroy(&r);
        return status;
    }
    if (S_ISDIR(info.st_mode)) {
        const octet_status status = error_set(error, OCTET_ERROR, "%s: is a directory", name);
        file_reader_destroy(&r);
        return status;
    }
    if (S_ISREG(info.st_mode)) {
        const off_t at = standard ? lseek(r->fd, 0, SEEK_CUR) : 0;
        /* Size 0 says nothing: files of /proc have contents all the same. */
        if (info.st_size > 0 && at >= 0) {
            r->left = at < info.st_size ? (uint64_t)(info.st_size - at) : 0;
        }
    }
    *out = r;
    return OCTET_OK;
}

uint64_t file_reader_left(const file_reader *r) {
    return r->left;
}

octet_status file_reader_read(file_reader *r, void *data, size_t bytes, size_t *got,
                              octet_error *error) {
    *got = 0;
    while (*got < bytes) {
        const size_t rest = bytes - *got;
        const ssize_t n =
            read(r->fd, (uint8_t *)data + *got, rest < MOST_AT_ONCE ? rest : MOST_AT_ONCE);
        if (n == 0) {
            break;
        }
        if (n > 0) {
            *got += (size_t)n;
        } else if (errno != EINTR) {
            const int code = errno;
            return error_set(error, OCTET_ERROR, "%s: cannot read: %s", r->name, strerror(code));
        }
    }
    if (r->left != FILE_SIZE_UNKNOWN) {
        r->left -= *got < r->left ? *got : r->left;
    }
    return OCTET_OK;
}

void file_reader_destroy(file_reader **r) {
    if (*r != NULL && (*r)->owned && (*r)->fd >= 0) {
        (void)close((*r)->fd); /* nothing was written: no failure matters */
    }
    free(*r);
    *r = NULL;
}

/* Reads to the end into memory that doubles, or into one block where the size is known: one byte
 * more than expected is asked for, so that the end shows without growing. */
static octet_status read_rest(file_bytes *out, file_reader *r, size_t limit, octet_error *error) {
    const size_t most = limit < SIZE_MAX ? limit + 1 : limit; /* one more shows the excess */
    size_t capacity = r->left < most ? (size_t)r->left + 1 : FIRST_READ;
    capacity = capacity < most ? capacity : most;
    uint8_t *data = malloc(capacity);
    size_t size = 0;
    while (data != NULL) {
        size_t got;
        const octet_status status = file_reader_read(r, data + size, capacity - size, &got, error);
        size += got;
        if (status != OCTET_OK || size > limit) {
            free(data);
            return status != OCTET_OK ? status : fail_limit(r->name, limit, error);
        }
        if (size < capacity) {
            break;
        }
        capacity = capacity <= most / 2 ? capacity * 2 : most;
        uint8_t *larger = capacity > size ? realloc(data, capacity) : NULL;
        if (larger == NULL) {
            free(data);
        }
        data = larger;
    }
    if (data == NULL) {
        return error_memory(error, r->name, (double)capacity);
    }
    if (size == 0) {
        free(data);
        data = NULL;
    }
    *out = (file_bytes){.data = data, .size = size, .mapping = data};
    return OCTET_OK;
}

static bool map(file_bytes *out, const file_reader *r) {
    if (!r->owned || r->left == FILE_SIZE_UNKNOWN || r->left < MAP_LEAST || r->left > SIZE_MAX) {
        return false;
    }
    const size_t size = (size_t)r->left;
    void *mapping = mmap(NULL, size, PROT_READ, MAP_PRIVATE, r->fd, 0);
    if (mapping == MAP_FAILED) {
        return false;
    }
    *out = (file_bytes){.data = mapping, .size = size, .mapping = mapping, .mapped = 1};
    return true;
}

static octet_status open_bytes(file_bytes *out, const char *path, size_t limit, bool may_map,
                               octet_error *error) {
    *out = (file_bytes){0};
    file_reader *r;
    octet_status status = file_reader_create(&r, path, error);
    if (status != OCTET_OK) {
        return status;
    }
    if (r->left != FILE_SIZE_UNKNOWN && r->left > limit) {
        status = fail_limit(r->name, limit, error);
    } else if (!may_map || !map(out, r)) {
        status = read_rest(out, r, limit, error);
    }
    file_reader_destroy(&r);
    return status;
}

octet_status file_open(file_bytes *out, const char *path, size_t limit, octet_error *error) {
    return open_bytes(out, path, limit, true, error);
}

octet_status file_read(file_bytes *out, const char *path, size_t limit, octet_error *error) {
    return open_bytes(out, path, limit, false, error);
}

void file_close(file_bytes *bytes) {
    if (bytes->mapped) {
        (void)munmap(bytes->mapping, bytes->size);
    } else {
        free(bytes->mapping);
    }
    *bytes = (file_bytes){0};
}
