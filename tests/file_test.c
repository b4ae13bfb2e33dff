/* file_test.c: inputs that misbehave, and writes that are interrupted.
 *
 * Everything happens in a folder of its own that is removed at the end. What a superuser may do and
 * others may not is tried in a child process without privileges. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#define LENGTH(a) (sizeof(a) / sizeof(a)[0])

enum { PATH_SIZE = 600, NOBODY = 65534 };

static char folder[] = "/tmp/octet-file-test-XXXXXX";

/* The path of `name` in the folder; four results stay valid. */
static const char *in_folder(const char *name) {
    static char paths[4][PATH_SIZE];
    static int next;
    next = (next + 1) % 4;
    snprintf(paths[next], PATH_SIZE, "%s/%s", folder, name);
    return paths[next];
}

static uint8_t byte_at(size_t i) {
    return (uint8_t)(i * 2654435761u >> 13);
}

static uint8_t *pattern(size_t bytes) {
    uint8_t *data = malloc(bytes + 1);
    assert_non_null(data);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = byte_at(i);
    }
    return data;
}

static void put(const char *path, const void *data, size_t bytes) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

static void assert_content(const char *path, const void *data, size_t bytes) {
    file_bytes file;
    octet_error error;
    assert_int_equal(file_read(&file, path, SIZE_MAX, &error), OCTET_OK);
    assert_int_equal(file.size, bytes);
    if (bytes > 0) {
        assert_memory_equal(file.data, data, bytes);
    }
    file_close(&file);
}

static int count_entries(const char *path) {
    DIR *list = opendir(path);
    assert_non_null(list);
    int n = 0;
    while (readdir(list) != NULL) {
        n++;
    }
    closedir(list);
    return n;
}

static void assert_text(const octet_error *error, const char *part) {
    if (strstr(error->text, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error->text, part);
    }
}

/* ---------------------------------------------------------------------------------------------- */
/* Reading */

static void file_reads_what_is_there(void **state) {
    (void)state;
    static const size_t sizes[] = {0,     1,     15,    16,      17,      255,     256,
                                   65535, 65536, 65537, 1048575, 1048576, 1048577, 3000000};
    const char *path = in_folder("sizes");
    uint8_t *data = pattern(3000000);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        put(path, data, sizes[i]);
        for (int read_only = 0; read_only < 2; read_only++) {
            octet_error error;
            file_bytes file;
            octet_status (*open_file)(file_bytes *, const char *, size_t, octet_error *) =
                read_only ? file_read : file_open;
            assert_int_equal(open_file(&file, path, sizes[i], &error), OCTET_OK);
            assert_int_equal(file.size, sizes[i]);
            assert_int_equal(file.mapped, !read_only && sizes[i] >= 1048576);
            assert_int_equal(file.data == NULL, sizes[i] == 0);
            if (sizes[i] > 0) {
                assert_memory_equal(file.data, data, sizes[i]);
            }
            file_close(&file);
            assert_null(file.data);
            if (sizes[i] > 0) {
                assert_int_equal(open_file(&file, path, sizes[i] - 1, &error), OCTET_ERROR);
                assert_text(&error, "sizes: is larger than the limit of ");
                assert_null(file.data);
            }
        }
    }
    free(data);
}

static void expect_open_error(const char *path, size_t limit, const char *text) {
    octet_error error;
    file_bytes file;
    char expected[2 * PATH_SIZE];
    snprintf(expected, sizeof expected, "%s: %s", path, text);
    assert_int_equal(file_open(&file, path, limit, &error), OCTET_ERROR);
    assert_string_equal(error.text, expected);
    assert_null(file.data);
    assert_int_equal(file_read(&file, path, limit, &error), OCTET_ERROR);
    assert_string_equal(error.text, expected);
}

static void file_open_names_the_fault(void **state) {
    (void)state;
    assert_int_equal(symlink("loop-b", in_folder("loop-a")), 0);
    assert_int_equal(symlink("loop-a", in_folder("loop-b")), 0);
    expect_open_error(in_folder("missing"), 100, "cannot open: No such file or directory");
    expect_open_error(in_folder("missing/below"), 100, "cannot open: No such file or directory");
    expect_open_error(in_folder("loop-a"), 100, "cannot open: Too many levels of symbolic links");
    expect_open_error(folder, 100, "is a directory");
    expect_open_error("/dev/zero", 5000000, "is larger than the limit of 5000000 bytes");
    expect_open_error("", 100, "cannot open: No such file or directory");
}

static void file_reads_devices_and_proc(void **state) {
    (void)state;
    octet_error error;
    file_bytes file;
    assert_int_equal(file_open(&file, "/dev/null", 0, &error), OCTET_OK);
    assert_int_equal(file.size, 0);
    file_close(&file);
    assert_int_equal(file_open(&file, "/proc/self/status", 1 << 20, &error), OCTET_OK);
    assert_true(file.size > 100); /* though its size is said to be 0 */
    file_close(&file);
}

typedef struct feeder {
    char path[PATH_SIZE];
    const uint8_t *data;
    size_t bytes;
    size_t piece;
} feeder;

/* Writes a FIFO in pieces; the reader may go early. */
static void *feed(void *argument) {
    const feeder *f = argument;
    const int fd = open(f->path, O_WRONLY);
    for (size_t at = 0; fd >= 0 && at < f->bytes;) {
        const size_t rest = f->bytes - at;
        const ssize_t n = write(fd, f->data + at, rest < f->piece ? rest : f->piece);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

static void file_reads_fifo_to_its_end(void **state) {
    (void)state;
    feeder f = {.bytes = 300000, .piece = 777};
    snprintf(f.path, sizeof f.path, "%s", in_folder("fifo"));
    uint8_t *data = pattern(f.bytes);
    f.data = data;
    assert_int_equal(mkfifo(f.path, 0600), 0);
    for (int fits = 0; fits < 2; fits++) {
        pthread_t thread;
        octet_error error;
        file_bytes file;
        assert_int_equal(pthread_create(&thread, NULL, feed, &f), 0);
        const octet_status status = file_open(&file, f.path, fits ? 300000 : 299999, &error);
        pthread_join(thread, NULL);
        assert_int_equal(status, fits ? OCTET_OK : OCTET_ERROR);
        if (fits) {
            assert_int_equal(file.size, f.bytes);
            assert_memory_equal(file.data, data, f.bytes);
        }
        file_close(&file);
    }
    free(data);
}

static void file_reads_standard_input(void **state) {
    (void)state;
    put(in_folder("input"), "0123456789", 10);
    const int saved = dup(STDIN_FILENO);
    const int fd = open(in_folder("input"), O_RDONLY);
    assert_true(fd >= 0 && lseek(fd, 4, SEEK_SET) == 4);
    assert_true(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    octet_error error;
    file_bytes file;
    const octet_status status = file_open(&file, "-", 6, &error); /* from where it stands */
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    close(fd);
    assert_int_equal(status, OCTET_OK);
    assert_int_equal(file.size, 6);
    assert_memory_equal(file.data, "456789", 6);
    file_close(&file);
}

static void file_reader_survives_shrinking(void **state) {
    (void)state;
    uint8_t *data = pattern(100000);
    const char *path = in_folder("shrinks");
    put(path, data, 100000);
    octet_error error;
    file_reader *r;
    assert_int_equal(file_reader_create(&r, path, &error), OCTET_OK);
    assert_int_equal(file_reader_left(r), 100000);
    uint8_t *buffer = malloc(100000);
    assert_non_null(buffer);
    size_t got;
    assert_int_equal(file_reader_read(r, buffer, 5000, &got, &error), OCTET_OK);
    assert_int_equal(got, 5000);
    assert_int_equal(file_reader_left(r), 95000);
    assert_int_equal(truncate(path, 7000), 0);
    assert_int_equal(file_reader_read(r, buffer, 95000, &got, &error), OCTET_OK);
    assert_int_equal(got, 2000);
    assert_memory_equal(buffer, data + 5000, 2000);
    file_reader_destroy(&r);
    assert_null(r);
    file_reader_destroy(&r);
    free(buffer);
    free(data);
}

/* Runs `body` in a child that may not override permissions; true if it returned true. */
static int without_privileges(int (*body)(void)) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
            _exit(2);
        }
        _exit(body() ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int open_is_denied(void) {
    octet_error error;
    file_bytes file;
    return file_open(&file, in_folder("locked/secret"), 100, &error) == OCTET_ERROR &&
           strstr(error.text, "secret: cannot open: Permission denied") != NULL;
}

static int write_is_denied(void) {
    octet_error error;
    file_writer *w;
    return file_writer_create(&w, in_folder("locked/fixed"), &error) == OCTET_ERROR && w == NULL &&
           strstr(error.text, "fixed: cannot write: Permission denied") != NULL &&
           file_writer_create(&w, in_folder("new"), &error) == OCTET_ERROR &&
           strstr(error.text, "new: cannot create: Permission denied") != NULL;
}

static void file_respects_permissions(void **state) {
    (void)state;
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(mkdir(in_folder("locked"), 0777), 0);
    assert_int_equal(chmod(in_folder("locked"), 0777), 0);
    put(in_folder("locked/secret"), "x", 1);
    put(in_folder("locked/fixed"), "x", 1);
    assert_int_equal(chmod(in_folder("locked/secret"), 0), 0);
    assert_int_equal(chmod(in_folder("locked/fixed"), 0444), 0);
    const int is_root = geteuid() == 0;
    if (!is_root) {
        assert_int_equal(chmod(folder, 0555), 0);
    }
    const int read_denied = without_privileges(open_is_denied);
    const int write_denied = without_privileges(write_is_denied);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_true(read_denied);
    assert_true(write_denied);
    assert_content(in_folder("locked/fixed"), "x", 1);
}

/* ---------------------------------------------------------------------------------------------- */
/* Writing */

static file_writer *start(const char *path) {
    octet_error error = {0};
    file_writer *w;
    if (file_writer_create(&w, path, &error) != OCTET_OK) {
        fail_msg("%s", error.text);
    }
    return w;
}

static void write_text(const char *path, const char *text) {
    octet_error error = {0};
    file_writer *w = start(path);
    assert_int_equal(file_writer_write(w, text, strlen(text), &error), OCTET_OK);
    if (file_writer_commit(&w, &error) != OCTET_OK) {
        fail_msg("%s", error.text);
    }
    assert_null(w);
}

static mode_t mode_of(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void writer_replaces_at_commit(void **state) {
    (void)state;
    const char *path = in_folder("target");
    const mode_t mask = umask(027);
    write_text(path, "old");
    assert_int_equal(mode_of(path), 0640);
    assert_int_equal(chmod(path, 0606), 0); /* a mode that the umask would not give */
    const int entries = count_entries(folder);

    octet_error error;
    file_writer *w = start(path);
    assert_int_equal(file_writer_write(w, "ne", 2, &error), OCTET_OK);
    assert_int_equal(file_writer_write(w, "", 0, &error), OCTET_OK);
    assert_int_equal(file_writer_write(w, "w", 1, &error), OCTET_OK);
    assert_content(path, "old", 3);
    assert_int_equal(count_entries(folder), entries + 1);
    char temporary[PATH_SIZE];
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    assert_content(temporary, "new", 3);
    assert_int_equal(file_writer_commit(&w, &error), OCTET_OK);
    assert_content(path, "new", 3);
    assert_int_equal(mode_of(path), 0606);
    assert_int_equal(count_entries(folder), entries);

    w = start(path);
    assert_int_equal(file_writer_write(w, "newer", 5, &error), OCTET_OK);
    file_writer_abandon(&w);
    assert_null(w);
    file_writer_abandon(&w);
    assert_content(path, "new", 3);
    assert_int_equal(count_entries(folder), entries);
    umask(mask);
}

static void writer_follows_links(void **state) {
    (void)state;
    assert_int_equal(mkdir(in_folder("real"), 0777), 0);
    assert_int_equal(symlink("real/file", in_folder("link-1")), 0);
    assert_int_equal(symlink("link-1", in_folder("link-2")), 0);
    write_text(in_folder("link-2"), "made"); /* dangling: makes the file that it names */
    assert_content(in_folder("real/file"), "made", 4);
    write_text(in_folder("link-2"), "replaced");
    assert_content(in_folder("real/file"), "replaced", 8);
    struct stat info;
    assert_int_equal(lstat(in_folder("link-2"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(lstat(in_folder("link-1"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));

    assert_int_equal(symlink(in_folder("real/file"), in_folder("link-3")), 0);
    write_text(in_folder("link-3"), "absolute");
    assert_content(in_folder("real/file"), "absolute", 8);
}

static void expect_create_error(const char *path, const char *text) {
    octet_error error = {0};
    file_writer *w;
    assert_int_equal(file_writer_create(&w, path, &error), OCTET_ERROR);
    assert_null(w);
    assert_text(&error, text);
}

static void writer_names_the_fault(void **state) {
    (void)state;
    assert_int_equal(symlink("ring-b", in_folder("ring-a")), 0);
    assert_int_equal(symlink("ring-a", in_folder("ring-b")), 0);
    put(in_folder("plain"), "x", 1);
    const int entries = count_entries(folder);
    expect_create_error(folder, ": is a directory");
    expect_create_error(in_folder("none/file"), "none/file: cannot create: No such file");
    expect_create_error(in_folder("none/"), "none/: is not the name of a file");
    expect_create_error(in_folder("plain/file"), "cannot create: Not a directory");
    expect_create_error(in_folder("ring-a"), "Too many levels of symbolic links");
    expect_create_error("", ": is not the name of a file");
    assert_int_equal(count_entries(folder), entries);
}

static pid_t dead_pid(void) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    return child;
}

static void writer_removes_stale_temporaries(void **state) {
    (void)state;
    const long dead = (long)dead_pid();
    char stale[64];
    char locked[64];
    char alive[64];
    char other[64];
    snprintf(stale, sizeof stale, "model.tmp.%ld", dead);
    snprintf(locked, sizeof locked, "model.tmp.%ld", (long)dead_pid());
    snprintf(alive, sizeof alive, "model.tmp.%ld", (long)getppid());
    snprintf(other, sizeof other, "another.tmp.%ld", dead);
    const char *kept[] = {locked,          alive,         other,          "model.tmp.",
                          "model.tmp.abc", "model.tmp.0", "model.tmp.-1", "model.tmp.1x"};
    put(in_folder(stale), "x", 1);
    for (size_t i = 0; i < LENGTH(kept); i++) {
        put(in_folder(kept[i]), "x", 1);
    }
    /* As a process in another container sees it: its PID unknown here, its lock held. */
    const int fd = open(in_folder(locked), O_RDONLY);
    struct stat info;
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);

    write_text(in_folder("model"), "content");
    assert_int_not_equal(stat(in_folder(stale), &info), 0);
    for (size_t i = 0; i < LENGTH(kept); i++) {
        assert_int_equal(stat(in_folder(kept[i]), &info), 0);
    }
    close(fd);

    /* A leftover with this very PID, from before the PIDs went round. */
    char own[64];
    snprintf(own, sizeof own, "model.tmp.%ld", (long)getpid());
    put(in_folder(own), "left over", 9);
    write_text(in_folder("model"), "second");
    assert_content(in_folder("model"), "second", 6);
}

static void writer_refuses_a_second_on_the_same_file(void **state) {
    (void)state;
    const char *path = in_folder("twice");
    file_writer *first = start(path);
    expect_create_error(path, "is in use");
    octet_error error;
    assert_int_equal(file_writer_write(first, "first", 5, &error), OCTET_OK);
    assert_int_equal(file_writer_commit(&first, &error), OCTET_OK);
    assert_content(path, "first", 5);
}

/* A full disk: the failure stays, the old file and nothing else is left. */
static void writer_keeps_old_file_when_full(void **state) {
    (void)state;
    const char *path = in_folder("full");
    write_text(path, "old");
    const int entries = count_entries(folder);
    uint8_t *data = pattern(100000);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {65536, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    octet_error error = {0};
    file_writer *w = start(path);
    const octet_status status = file_writer_write(w, data, 100000, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, OCTET_ERROR);
    assert_text(&error, "full: cannot write: File too large");
    octet_error again = {0};
    assert_int_equal(file_writer_write(w, "x", 1, &again), OCTET_ERROR);
    assert_string_equal(again.text, error.text);
    again = (octet_error){0};
    assert_int_equal(file_writer_commit(&w, &again), OCTET_ERROR);
    assert_string_equal(again.text, error.text);
    assert_null(w);
    assert_content(path, "old", 3);
    assert_int_equal(count_entries(folder), entries);
    free(data);
}

static void writer_reports_full_device(void **state) {
    (void)state;
    octet_error error = {0};
    file_writer *w = start("/dev/full");
    assert_int_equal(file_writer_write(w, "x", 1, &error), OCTET_ERROR);
    assert_text(&error, "/dev/full: cannot write: No space left on device");
    assert_int_equal(file_writer_commit(&w, NULL), OCTET_ERROR);
    struct stat info;
    assert_int_equal(stat("/dev/full", &info), 0);
    assert_true(S_ISCHR(info.st_mode)); /* not replaced */
}

/* Writes `text` to `path` with standard output on `name` of the folder, opened with `flags`. */
static void write_as_output(const char *path, const char *name, int flags, const char *text) {
    fflush(stdout);
    const int saved = dup(STDOUT_FILENO);
    const int fd = open(in_folder(name), flags, 0666);
    octet_error error = {0};
    file_writer *w = NULL;
    octet_status status = OCTET_ERROR;
    if (saved >= 0 && fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0) {
        status = file_writer_create(&w, path, &error);
        if (status == OCTET_OK) {
            status = file_writer_write(w, text, strlen(text), &error);
        }
        if (status == OCTET_OK) {
            status = file_writer_commit(&w, &error);
        }
        file_writer_abandon(&w);
    }
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fd);
    if (status != OCTET_OK) {
        fail_msg("%s", error.text);
    }
}

static void writer_writes_standard_output(void **state) {
    (void)state;
    const int append = O_WRONLY | O_CREAT | O_APPEND;
    write_as_output("-", "output", append, "one,");
    write_as_output("/dev/stdout", "output", append, "two,");
    write_as_output(in_folder("output"), "output", append, "three");
    assert_content(in_folder("output"), "one,two,three", 13);
}

static void ignore_signal(int number) {
    (void)number;
}

typedef struct drain {
    char path[PATH_SIZE];
    uint8_t *data;
    size_t bytes;
} drain;

/* Reads a FIFO slowly, so that its writer meets a full pipe. */
static void *drain_fifo(void *argument) {
    drain *d = argument;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    const int fd = open(d->path, O_RDONLY);
    ssize_t n;
    while (fd >= 0 && (n = read(fd, d->data + d->bytes, 20011)) > 0) {
        d->bytes += (size_t)n;
        const struct timespec rest = {.tv_nsec = 200000};
        nanosleep(&rest, NULL);
    }
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

/* A timer interrupts the writes to a pipe: EINTR and short writes lose and repeat nothing. */
static void writer_survives_interrupts(void **state) {
    (void)state;
    enum { BYTES = 2000000 };
    uint8_t *data = pattern(BYTES);
    drain d = {.data = malloc(BYTES + 20011)};
    assert_non_null(d.data);
    snprintf(d.path, sizeof d.path, "%s", in_folder("slow"));
    assert_int_equal(mkfifo(d.path, 0600), 0);
    struct sigaction action = {.sa_handler = ignore_signal}; /* without SA_RESTART */
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drain_fifo, &d), 0);
    const struct itimerval often = {{0, 300}, {0, 300}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    octet_error error = {0};
    file_writer *w = NULL;
    octet_status status = file_writer_create(&w, d.path, &error);
    if (status == OCTET_OK) {
        status = file_writer_write(w, data, BYTES, &error);
    }
    if (status == OCTET_OK) {
        status = file_writer_commit(&w, &error);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    file_writer_abandon(&w);
    pthread_join(thread, NULL);
    signal(SIGALRM, SIG_DFL);
    assert_int_equal(status, OCTET_OK);
    assert_int_equal(d.bytes, BYTES);
    assert_memory_equal(d.data, data, BYTES);
    free(d.data);
    free(data);
}

/* Killed at random instants, a process that writes again and again leaves a whole file, and the
 * next writer clears what it left. */
static void writer_survives_kill(void **state) {
    (void)state;
    enum { BYTES = 200000 };
    const char *path = in_folder("killed");
    uint8_t *data[2] = {pattern(BYTES), pattern(BYTES)};
    memset(data[1], 0x5a, BYTES);
    put(path, data[0], BYTES);
    const int entries = count_entries(folder);
    for (int round = 0; round < 25; round++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (int i = 1;; i++) {
                file_writer *w;
                if (file_writer_create(&w, path, NULL) != OCTET_OK ||
                    file_writer_write(w, data[i & 1], BYTES, NULL) != OCTET_OK ||
                    file_writer_commit(&w, NULL) != OCTET_OK) {
                    _exit(1);
                }
            }
        }
        const struct timespec delay = {.tv_nsec = 1000000 + 137000 * round};
        nanosleep(&delay, NULL);
        kill(child, SIGKILL);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it never failed by itself */
        file_bytes file;
        assert_int_equal(file_read(&file, path, SIZE_MAX, NULL), OCTET_OK);
        assert_int_equal(file.size, BYTES);
        assert_true(memcmp(file.data, data[0], BYTES) == 0 ||
                    memcmp(file.data, data[1], BYTES) == 0);
        file_close(&file);
    }
    write_text(path, "whole");
    assert_int_equal(count_entries(folder), entries);
    free(data[0]);
    free(data[1]);
}

static void directory_is_made_once(void **state) {
    (void)state;
    octet_error error = {0};
    assert_int_equal(file_make_directory(in_folder("run"), &error), OCTET_OK);
    assert_int_equal(file_make_directory(in_folder("run"), &error), OCTET_OK);
    put(in_folder("a-file"), "x", 1);
    assert_int_equal(file_make_directory(in_folder("a-file"), &error), OCTET_ERROR);
    assert_text(&error, "a-file: is not a directory");
    assert_int_equal(file_make_directory(in_folder("no/parent"), &error), OCTET_ERROR);
    assert_text(&error, "no/parent: cannot create: No such file or directory");
}

/* ---------------------------------------------------------------------------------------------- */

static void remove_folder(const char *path) {
    DIR *list = opendir(path);
    if (list == NULL) {
        return;
    }
    for (struct dirent *e = readdir(list); e != NULL; e = readdir(list)) {
        char name[PATH_SIZE];
        struct stat info;
        snprintf(name, sizeof name, "%s/%.255s", path, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            lstat(name, &info) != 0) {
            continue;
        }
        if (S_ISDIR(info.st_mode)) {
            remove_folder(name);
        } else {
            unlink(name);
        }
    }
    closedir(list);
    rmdir(path);
}

static int n_descriptors;

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* readers of pipes may go early */
    n_descriptors = count_entries("/proc/self/fd");
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state) {
    (void)state;
    remove_folder(folder);
    return 0;
}

static void no_descriptor_is_left_open(void **state) {
    (void)state;
    assert_int_equal(count_entries("/proc/self/fd"), n_descriptors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_reads_what_is_there),
        cmocka_unit_test(file_open_names_the_fault),
        cmocka_unit_test(file_reads_devices_and_proc),
        cmocka_unit_test(file_reads_fifo_to_its_end),
        cmocka_unit_test(file_reads_standard_input),
        cmocka_unit_test(file_reader_survives_shrinking),
        cmocka_unit_test(file_respects_permissions),
        cmocka_unit_test(writer_replaces_at_commit),
        cmocka_unit_test(writer_follows_links),
        cmocka_unit_test(writer_names_the_fault),
        cmocka_unit_test(writer_removes_stale_temporaries),
        cmocka_unit_test(writer_refuses_a_second_on_the_same_file),
        cmocka_unit_test(writer_keeps_old_file_when_full),
        cmocka_unit_test(writer_reports_full_device),
        cmocka_unit_test(writer_writes_standard_output),
        cmocka_unit_test(writer_survives_interrupts),
        cmocka_unit_test(writer_survives_kill),
        cmocka_unit_test(directory_is_made_once),
        cmocka_unit_test(no_descriptor_is_left_open),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
