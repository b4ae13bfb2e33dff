/* cli.h: what all commands share: who speaks, how loudly, where results go, and exit codes.
 *
 * Results go through cli.out and nothing else does; errors, remarks and progress go to standard
 * error, one line each, made of printable characters whatever a file name holds. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>

#include "cli/output.h"
#include "cli/progress.h"
#include "octet/octet.h"

typedef struct cli {
    const char *command; /* errors begin with "octet COMMAND: "; NULL: "octet: " */
    int quiet, verbose, json;
    int64_t threads;    /* 0: not given */
    const char *device; /* NULL: not given */
    progress progress;
    output out; /* standard output */
} cli;

/* One file per command. argv without the program and the command; the result is the exit code. */
typedef int cli_command(cli *c, int argc, char **argv);
cli_command cli_train, cli_score, cli_generate, cli_compress, cli_decompress, cli_info, cli_bench,
    cli_import, cli_export, cli_encode, cli_decode, cli_continue, cli_plot, cli_devices;

/* "octet COMMAND: text" on standard error; the progress line is cleared first. */
void cli_error(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Likewise, but silent with -q. */
void cli_remark(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Likewise, but only with -v. */
void cli_detail(cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Exit code of a status: the number itself, 1 for want of memory, 128 + signal when stopped. */
int cli_exit_code(octet_status status);

/* Says what a failed call reported, unless a signal stopped it; returns the exit code. */
int cli_fail(cli *c, const octet_error *error);

/* Ends a command: flushes the output. A failed write turns exit code 0 into 1 and is reported. */
int cli_finish(cli *c, output *out, int code);

/* Names the entry of names[n] nearest to word, for "did you mean"; NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *names, int n);

/* The runtime that --device, --threads and the environment ask for. Of "auto" it is said which. */
octet_status cli_runtime(cli *c, octet_matmul matmul, octet_runtime **out, octet_error *error);

/* Opens a model; name NULL is the bundled model "text". */
octet_status cli_model(const char *name, octet_runtime *runtime, octet_model **model,
                       octet_error *error);

/* The profile of that name; NULL is f32. */
octet_profile cli_profile(const char *name);

/* Makes a runtime and opens a model on it as cli_model. Both are NULL after a failure. */
octet_status cli_open(cli *c, const char *name, octet_runtime **runtime, octet_model **model,
                      octet_error *error);
/* Likewise; name NULL is the bundled model `otherwise`. */
octet_status cli_open_or(cli *c, const char *name, const char *otherwise, octet_runtime **runtime,
                         octet_model **model, octet_error *error);
void cli_close(octet_runtime **runtime, octet_model **model);

/* Text as a JSON string: bytes that are not UTF-8 become U+FFFD. A number, or null if not finite.
 */
json_t *cli_json_text(const char *text);
json_t *cli_json_number(double x);

/* Writes value and a newline, and releases it. NULL stands for one that memory was short for. */
void cli_json_print(cli *c, output *out, json_t *value);

#endif
