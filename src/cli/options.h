/* options.h: a table-driven reader of the command line.
 *
 * "--name=value", "--name value", "-nvalue", "-n value", "-qv"; "--" ends the options; options and
 * operands mix freely. A duplicate, a missing value and a bad number are errors that name the
 * option, the value and the range. --threads, --json, -q, -v and --help belong to every command. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdint.h>

#include "cli/cli.h"

#define OPTION_NO_LIMIT 9007199254740992.0 /* 2^53: every JSON reader keeps such a number exact */

typedef enum option_kind {
    OPTION_FLAG,    /* int *: becomes 1 */
    OPTION_TEXT,    /* const char **: anything, also "" */
    OPTION_PATH,    /* const char **: not empty */
    OPTION_PATHS,   /* option_list *: may be given several times */
    OPTION_WORD,    /* const char **: one of words */
    OPTION_INTEGER, /* int64_t *, from min to max */
    OPTION_REAL     /* double *, from min to max */
} option_kind;

typedef struct option_list {
    const char **items; /* the caller frees it */
    int n;
} option_list;

typedef struct option {
    const char *name; /* without "--" */
    char letter;      /* 0: none */
    option_kind kind;
    void *value; /* holds the default before */
    double min, max;
    const char *words;    /* "openblas|exact" */
    const char *argument; /* what help calls the value */
    const char *help;     /* lines after the first are indented */
    int given;            /* set when it was */
} option;

/* The row of --device for commands that compute; needs c. */
#define OPTION_DEVICE                                                                              \
    {                                                                                              \
        .name = "device", .kind = OPTION_PATH, .value = &c->device, .argument = "DEVICE",          \
        .help = "cpu (default), vulkan, vulkan:N, or auto: a GPU if there is one; octet devices\n" \
                "lists them"                                                                       \
    }

typedef struct option_usage {
    const char *synopsis; /* after "octet COMMAND " */
    const char *summary;
    const char *examples;
} option_usage;

/* Reads argv into the table. Operands are moved to the front of argv, *argc becomes their number.
 * Returns -1 to go on, or the exit code: 0 after --help, 1 after an error. */
int options_parse(cli *c, const option_usage *usage, option *own, int n_own, int *argc,
                  char **argv);

/* The row of --profile: `word` (const char *) becomes "f32", "int8" or stays NULL. */
#define OPTION_PROFILE(word, default_text)                                                         \
    {                                                                                              \
        .name = "profile", .kind = OPTION_WORD, .value = &(word), .words = "f32|int8",             \
        .argument = "NAME",                                                                        \
        .help = "arithmetic, f32 or int8, see README (default: " default_text ")"                  \
    }

#endif
