/* sandbox.h: work on foreign data in a process that can only compute and answer.
 *
 * The child is a fork, so the data need not be sent; its answer comes back through a pipe, and
 * every byte of it is as foreign as the data. Before it starts it gives up all other files, the
 * right to open any, and more memory and time than its limits; a filter on system calls (seccomp)
 * then leaves it nothing but memory, the pipe and its end. Where the kernel has no such filter, the
 * limits alone still keep it from opening files and sockets. */
#ifndef CODEC_SANDBOX_H
#define CODEC_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "octet/codec.h"

typedef struct sandbox_limits {
    uint64_t memory_bytes; /* beyond what the process has now */
    uint64_t cpu_seconds;
    int silent_seconds; /* without a byte of its answer, before it is given up */
} sandbox_limits;

typedef struct sandbox {
    pid_t pid;
    int fd; /* of the answer */
    int silent_seconds;
    octet_guard guard; /* what holds the child */
} sandbox;

/* Starts work(context, fd) in a child; its answer goes to fd by sandbox_write. OCTET_ERROR: no
 * process or pipe can be had, or it cannot be confined. `name` is for messages. */
octet_status sandbox_start(sandbox *s, const sandbox_limits *limits,
                           void (*work)(void *context, int fd), void *context, const char *name,
                           octet_error *error);

/* In the child. Returns 0, or -1 when nobody listens any more. */
int sandbox_write(int fd, const void *data, size_t bytes);

/* In the parent: all the bytes, or OCTET_CORRUPT with how the child ended or that it is silent. */
octet_status sandbox_read(sandbox *s, void *data, size_t bytes, const char *name,
                          octet_error *error);

/* Ends the child if it still runs. Accepts what sandbox_start left after a failure. */
void sandbox_finish(sandbox *s);

#endif
