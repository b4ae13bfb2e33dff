/* file.h: reading inputs whole and writing outputs so that a crash at any instant loses nothing.
 *
 * Writing follows one scheme everywhere: a new file under a temporary name in the target's
 * directory, all bytes, fsync, close, rename over the target, fsync of the directory. Until the
 * rename the old file is whole; after it the new one is. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Read-only bytes of a file: mapped where the file can be mapped, else read into memory. */
typedef struct file_bytes {
    const uint8_t *data; /* NULL only when size is 0 */
    size_t size;
    void *mapping; /* what to unmap or free */
    int mapped;
} file_bytes;

/* Opens `path` ("-" is standard input). Regular files of 1 MiB and more are mapped, where that
 * fails and for all other files the bytes are read to the end but not past `limit` bytes. Errors
 * (OCTET_ERROR) name the path: missing, unreadable, a directory, above limit. A mapped file must
 * not be cut short by others while it is open (SIGBUS); file_read has no such condition. */
octet_status file_open(file_bytes *out, const char *path, size_t limit, octet_error *error);

/* Like file_open but always reads into memory: for small files that must not change underneath. */
octet_status file_read(file_bytes *out, const char *path, size_t limit, octet_error *error);

/* Accepts bytes of all zeros; leaves them so. */
void file_close(file_bytes *bytes);

/* A file or pipe that is read from its start to its end, for formats that state their size at the
 * start: check before allocating. */
typedef struct file_reader file_reader;

#define FILE_SIZE_UNKNOWN UINT64_MAX

octet_status file_reader_create(file_reader **out, const char *path, octet_error *error);

/* Bytes from the first unread one to the end of a regular file as it was when opened;
 * FILE_SIZE_UNKNOWN for all others. */
uint64_t file_reader_left(const file_reader *r);

/* Reads the next `bytes` bytes; *got is less only at the end. */
octet_status file_reader_read(file_reader *r, void *data, size_t bytes, size_t *got,
                              octet_error *error);

/* Accepts NULL; sets *r to NULL. */
void file_reader_destroy(file_reader **r);

/* A crash-safe write in progress. */
typedef struct file_writer file_writer;

/* Starts to replace `path`. Symbolic links are followed to the file they name; the mode of a file
 * that exists is kept. Removes stale temporaries (NAME.tmp.PID) of dead processes beside it. What
 * cannot be replaced is written directly, without the guarantee: pipes, terminals, devices such as
 * /dev/full, and standard output, which is "-" or any name of the file it is open on. */
octet_status file_writer_create(file_writer **out, const char *path, octet_error *error);

/* Appends; handles short writes and EINTR. After a failure every later call fails too. */
octet_status file_writer_write(file_writer *w, const void *data, size_t bytes, octet_error *error);

/* fsync, close, rename, fsync of the directory; then destroys the writer. On failure the old file
 * is as it was and the temporary is gone (only if the last step fails, the new file is in place and
 * may be lost with the power). Sets *w to NULL either way. */
octet_status file_writer_commit(file_writer **w, octet_error *error);

/* Drops the temporary. Accepts NULL; sets *w to NULL. */
void file_writer_abandon(file_writer **w);

/* Creates the directory unless it exists (parents must exist). */
octet_status file_make_directory(const char *path, octet_error *error);

#endif
