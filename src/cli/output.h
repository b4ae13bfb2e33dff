/* output.h: a buffered writer that remembers the first failure.
 *
 * Nothing written is ever lost silently: check output.error, or let cli_finish do it. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stddef.h>

typedef struct output {
    int fd;
    const char *name; /* for errors: "standard output" or a path; the caller's */
    int error;        /* errno of the first failure; EINTR: a signal asked to stop; 0: none */
    int is_terminal;
    char *temporary; /* the file being written, which becomes *target; or NULL */
    char *target;
    size_t used;
    char buffer[16384];
} output;

void output_standard(output *out);

/* Writes to a temporary file beside path, which output_close renames; devices and pipes are
 * written directly, "-" is standard output. Returns 0, or -1 with out->error set. */
int output_open(output *out, const char *path);

void output_write(output *out, const void *bytes, size_t n);
void output_print(output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text with control bytes as \xNN. */
void output_plain(output *out, const char *text);
void output_flush(output *out);

/* Flushes and closes. A file appears under its name only if keep is 1 and nothing failed. */
void output_close(output *out, int keep);

#endif
