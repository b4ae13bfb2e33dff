/* filewriter.c: replaces a file so that a crash at any instant leaves the old one or the new one.
 *
 * The bytes go to NAME.tmp.PID in the target's directory; commit makes them durable and renames.
 * The temporary is locked (flock) while it is written, so that neither a process of another PID
 * namespace nor a second writer of this process takes it for a stale one. */
#define _DEFAULT_SOURCE /* flock */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MOST = 40, MOST_AT_ONCE = 1 << 30, PID_DIGITS = 24 };

struct file_writer {
    char *path;       /* as the caller names it, for messages */
    char *target;     /* links followed; NULL: written directly */
    const char *base; /* the last component of target */
    char *temporary;  /* base.tmp.PID */
    int directory;    /* open directory of the target; -1: none */
    int fd;
    bool exists;        /* the temporary is in the directory */
    octet_error failed; /* the first failure; code 0: none */
};

static octet_status fail(octet_error *error, const char *path, const char *what) {
    const int code = errno;
    return error_set(error, code == ENOMEM ? OCTET_NO_MEMORY : OCTET_ERROR, "%s: cannot %s: %s",
                     path, what, strerror(code));
}

static int open_again(int directory, const char *path, int flags, mode_t mode) {
    int fd;
    do {
        fd = openat(directory, path, flags | O_CLOEXEC | O_NOCTTY, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* What a link says, from malloc; NULL with errno. */
static char *read_link(const char *path) {
    for (size_t size = 256;; size *= 2) {
        char *text = malloc(size);
        const ssize_t n = text != NULL ? readlink(path, text, size) : -1;
        if (n >= 0 && (size_t)n < size) {
            text[n] = '\0';
            return text;
        }
        const int code = text != NULL ? errno : ENOMEM;
        free(text);
        if (n < 0) {
            errno = code;
            return NULL;
        }
    }
}

/* What the link `at` with the text `text` names, from malloc; NULL with errno. */
static char *resolve_link(const char *at, const char *text) {
    const char *slash = strrchr(at, '/');
    const size_t folder = text[0] != '/' && slash != NULL ? (size_t)(slash - at) + 1 : 0;
    const size_t text_bytes = strlen(text) + 1;
    char *next = malloc(folder + text_bytes);
    if (next != NULL) {
        memcpy(next, at, folder);
        memcpy(next + folder, text, text_bytes);
    }
    return next;
}

/* The path that a chain of links names in the end, from malloc; it need not exist. NULL with
 * errno. */
static char *follow_links(const char *path) {
    char *at = strdup(path);
    for (int links = 0; at != NULL; links++) {
        struct stat info;
        if (lstat(at, &info) != 0 || !S_ISLNK(info.st_mode)) {
            return at; /* a path that cannot exist fails when it is opened */
        }
        char *text = links < LINKS_MOST ? read_link(at) : NULL;
        char *next = text != NULL ? resolve_link(at, text) : NULL;
        const int code = links < LINKS_MOST ? errno : ELOOP;
        free(text);
        free(at);
        at = next;
        errno = code;
    }
    return NULL;
}

/* Whether a temporary's process is gone and nobody holds its lock. */
static bool is_stale(int directory, const char *name, const char *pid_text) {
    char *end;
    errno = 0;
    const long pid = strtol(pid_text, &end, 10);
    if (pid_text[0] < '1' || pid_text[0] > '9' || *end != '\0' || errno != 0 ||
        (long)(pid_t)pid != pid || kill((pid_t)pid, 0) == 0 || errno != ESRCH) {
        return false;
    }
    const int fd = open_again(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    struct stat info;
    const bool stale =
        fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0;
    (void)close(fd);
    return stale;
}

/* Removes BASE.tmp.PID of dead processes. Best effort: what cannot be removed is left. */
static void remove_stale(int directory, const char *base) {
    const int fd = open_again(directory, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    const size_t base_bytes = strlen(base);
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        const char *name = entry->d_name;
        if (strncmp(name, base, base_bytes) == 0 && strncmp(name + base_bytes, ".tmp.", 5) == 0 &&
            is_stale(directory, name, name + base_bytes + 5)) {
            (void)unlinkat(directory, name, 0);
        }
    }
    (void)closedir(list);
}

/* Opens and locks the temporary. A leftover of an earlier process with this PID is not locked and
 * goes; a locked one belongs to another writer of this process. */
static octet_status open_temporary(file_writer *w, mode_t mode, octet_error *error) {
    for (int attempt = 0; attempt < 2; attempt++) {
        w->fd =
            open_again(w->directory, w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
        if (w->fd >= 0) {
            w->exists = true;
            (void)flock(w->fd, LOCK_EX | LOCK_NB); /* file systems without locks: by PID alone */
            return OCTET_OK;
        }
        if (errno != EEXIST) {
            return fail(error, w->path, "create");
        }
        const int old =
            open_again(w->directory, w->temporary, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        const bool held = old >= 0 && flock(old, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        if (old >= 0) {
            (void)close(old);
        }
        if (held || unlinkat(w->directory, w->temporary, 0) != 0) {
            break;
        }
    }
    return error_set(error, OCTET_ERROR, "%s: cannot create: %s is in use", w->path, w->temporary);
}

/* Splits the target, opens its directory and the temporary in it. `old` is the file to replace or
 * NULL. */
static octet_status open_beside(file_writer *w, const struct stat *old, octet_error *error) {
    w->target = follow_links(w->path);
    if (w->target == NULL) {
        return fail(error, w->path, "create");
    }
    char *slash = strrchr(w->target, '/');
    w->base = slash != NULL ? slash + 1 : w->target;
    if (w->base[0] == '\0') {
        return error_set(error, OCTET_ERROR, "%s: is not the name of a file", w->path);
    }
    if (old != NULL && access(w->path, W_OK) != 0) {
        return fail(error, w->path, "write");
    }
    const size_t bytes = strlen(w->base) + PID_DIGITS + sizeof ".tmp.";
    w->temporary = malloc(bytes);
    if (w->temporary == NULL) {
        return error_memory(error, w->path, (double)bytes);
    }
    (void)snprintf(w->temporary, bytes, "%s.tmp.%ld", w->base, (long)getpid());
    const char *folder = slash == NULL ? "." : slash == w->target ? "/" : w->target;
    if (slash != NULL && slash != w->target) {
        *slash = '\0';
    }
    w->directory = open_again(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
    if (w->directory < 0) {
        return fail(error, w->path, "create");
    }
    remove_stale(w->directory, w->base);
    const mode_t mode = old != NULL ? old->st_mode & 0777 : 0666;
    const octet_status status = open_temporary(w, mode, error);
    if (status == OCTET_OK && old != NULL) {
        (void)fchmod(w->fd, mode); /* undoes the umask; refused, the mode is only narrower */
    }
    return status;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static octet_status open_target(file_writer *w, octet_error *error) {
    struct stat output;
    struct stat target;
    const bool has_output = fstat(STDOUT_FILENO, &output) == 0;
    const bool standard = strcmp(w->path, "-") == 0;
    const bool has_target = !standard && stat(w->path, &target) == 0;
    if (!standard && !has_target && errno != ENOENT) {
        return fail(error, w->path, "create");
    }
    if (has_target && S_ISDIR(target.st_mode)) {
        return error_set(error, OCTET_ERROR, "%s: is a directory", w->path);
    }
    if (standard || (has_target && has_output && same_file(&target, &output))) {
        w->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3); /* keeps its offset and >> */
    } else if (has_target && !S_ISREG(target.st_mode)) {
        w->fd = open_again(AT_FDCWD, w->path, O_WRONLY, 0);
    } else {
        return open_beside(w, has_target ? &target : NULL, error);
    }
    return w->fd >= 0 ? OCTET_OK : fail(error, standard ? "standard output" : w->path, "write");
}

octet_status file_writer_create(file_writer **out, const char *path, octet_error *error) {
    *out = NULL;
    file_writer *w = calloc(1, sizeof *w);
    char *copy = strdup(path);
    if (w == NULL || copy == NULL) {
        free(w);
        free(copy);
        return error_memory(error, path, (double)(sizeof *w + strlen(path)));
    }
    w->path = copy;
    w->directory = -1;
    w->fd = -1;
    const octet_status status = open_target(w, error);
    if (status != OCTET_OK) {
        file_writer_abandon(&w);
        return status;
    }
    *out = w;
    return OCTET_OK;
}

/* Keeps the first failure for all later calls. */
static octet_status keep_failure(file_writer *w, const char *what, octet_error *error) {
    const octet_status status = fail(&w->failed, w->path, what);
    if (error != NULL) {
        *error = w->failed;
    }
    return status;
}

octet_status file_writer_write(file_writer *w, const void *data, size_t bytes, octet_error *error) {
    if (w->failed.code != OCTET_OK) {
        return error_set(error, w->failed.code, "%s", w->failed.text);
    }
    const uint8_t *next = data;
    while (bytes > 0) {
        const ssize_t n = write(w->fd, next, bytes < MOST_AT_ONCE ? bytes : MOST_AT_ONCE);
        if (n > 0) {
            next += n;
            bytes -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            errno = n == 0 ? EIO : errno;
            return keep_failure(w, "write", error);
        }
    }
    return OCTET_OK;
}

/* Pipes, terminals and some file systems' directories have nothing to sync: EINVAL. */
static bool sync_where_possible(int fd) {
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
}

/* Closes once: after EINTR the descriptor is gone all the same (Linux). */
static bool close_file(file_writer *w) {
    const int fd = w->fd;
    w->fd = -1;
    return close(fd) == 0 || errno == EINTR;
}

static octet_status commit(file_writer *w, octet_error *error) {
    if (w->failed.code != OCTET_OK) {
        return error_set(error, w->failed.code, "%s", w->failed.text);
    }
    if (!sync_where_possible(w->fd)) {
        return fail(error, w->path, "sync");
    }
    if (!close_file(w)) {
        return fail(error, w->path, "close");
    }
    if (w->target == NULL) {
        return OCTET_OK;
    }
    if (renameat(w->directory, w->temporary, w->directory, w->base) != 0) {
        return fail(error, w->path, "replace");
    }
    w->exists = false;
    if (!sync_where_possible(w->directory)) {
        return fail(error, w->path, "sync the directory after replacing the file");
    }
    return OCTET_OK;
}

octet_status file_writer_commit(file_writer **w, octet_error *error) {
    const octet_status status = commit(*w, error);
    file_writer_abandon(w);
    return status;
}

void file_writer_abandon(file_writer **w) {
    file_writer *dead = *w;
    *w = NULL;
    if (dead == NULL) {
        return;
    }
    if (dead->exists) {
        (void)unlinkat(dead->directory, dead->temporary, 0);
    }
    if (dead->fd >= 0) {
        (void)close(dead->fd);
    }
    if (dead->directory >= 0) {
        (void)close(dead->directory);
    }
    free(dead->temporary);
    free(dead->target);
    free(dead->path);
    free(dead);
}

octet_status file_make_directory(const char *path, octet_error *error) {
    if (mkdir(path, 0777) == 0) {
        return OCTET_OK;
    }
    const int code = errno;
    struct stat info;
    if (code == EEXIST && stat(path, &info) == 0) {
        return S_ISDIR(info.st_mode)
                   ? OCTET_OK
                   : error_set(error, OCTET_ERROR, "%s: is not a directory", path);
    }
    errno = code;
    return fail(error, path, "create");
}
