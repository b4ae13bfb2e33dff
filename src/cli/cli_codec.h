/* cli_codec.h: what the commands that read and write audio share. */
#ifndef CLI_CLI_CODEC_H
#define CLI_CLI_CODEC_H

#include <stddef.h>

#include "cli/cli.h"

/* Prints the codecs; the exit code. */
int cli_list_codecs(cli *c);

/* One operand, and a place for binary data; returns 0, or 1 after a message. */
int cli_check_files(cli *c, int n_operands, const char *out);

typedef struct cli_part {
    const void *data;
    size_t size;
} cli_part;

/* Writes n parts to a file, which appears when it is whole, or "-"; the exit code. A signal ends it
 * between pieces. */
int cli_write_file(cli *c, const char *path, const cli_part *parts, int n);

/* The format that a file name's suffix stands for; NULL: none that we know. */
const char *cli_suffix_format(const char *path);

/* "" for one, else "s". */
const char *cli_plural(int64_t n);

/* One remark for each kind of loss in a file of so many samples. */
void cli_remark_losses(cli *c, const char *path, const octet_losses *losses, int64_t samples);

#endif
