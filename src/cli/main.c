/* main.c: the program: octet COMMAND. Finds the command, runs it, and makes sure that what it wrote
 * arrived. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/signals.h"

static const struct {
    const char *name;
    cli_command *run;
    const char *summary;
} commands[] = {
    {"train", cli_train, "train a model on files of bytes"},
    {"score", cli_score, "what files cost under a model, in bits per byte"},
    {"generate", cli_generate, "continue a prompt"},
    {"compress", cli_compress, "make files smaller, losslessly"},
    {"decompress", cli_decompress, "the way back"},
    {"info", cli_info, "describe a model, the bundled models and the machine"},
    {"devices", cli_devices, "list what can compute"},
    {"encode", cli_encode, "turn audio, or any file, into bytes for a model"},
    {"decode", cli_decode, "turn such bytes back into audio"},
    {"continue", cli_continue, "let a clip of audio go on"},
    {"plot", cli_plot, "draw audio files"},
    {"bench", cli_bench, "measure speed beside what it should be compared with"},
    {"import", cli_import, "read a model that another program wrote"},
    {"export", cli_export, "write a model for another program"},
};

#define N_COMMANDS ((int)(sizeof commands / sizeof *commands))

static void usage(output *out) {
    output_print(out, "usage: octet COMMAND [OPTIONS]\n\n"
                      "Trains, runs and measures hierarchical byte-level sequence models.\n\n"
                      "commands:\n");
    for (int i = 0; i < N_COMMANDS; i++)
        output_print(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    output_print(out,
                 "\noctet COMMAND --help explains a command; octet --version names the version.\n\n"
                 "environment (options win):\n"
                 "  OCTET_CPU      scalar, avx2, avx512 or amx: the instruction set used at most\n"
                 "  OCTET_THREADS  number of threads\n"
                 "  OCTET_MODELS   directory of bundled models\n\n"
                 "exit codes: 0 ok, 1 error, 2 done with a warning, 3 corrupt or unsupported\n"
                 "input, 4 wrong model, 130 and 143 after SIGINT and SIGTERM\n");
}

/* A missing standard descriptor would be taken by the next file opened. What stands in for it fails
 * like the closed one: the input cannot be read, the outputs not be written. */
static void fill_descriptors(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static int unknown(cli *c, const char *word) {
    const char *names[N_COMMANDS];
    for (int i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = cli_nearest(word, names, N_COMMANDS);
    if (near)
        cli_error(c, "unknown command \"%s\"; did you mean \"%s\"?", word, near);
    else
        cli_error(c, "unknown command \"%s\" (see octet --help)", word);
    return 1;
}

int main(int argc, char **argv) {
    static cli c;
    static char help[] = "--help";
    char *only_help[] = {help, NULL};
    fill_descriptors();
    signals_install();
    output_standard(&c.out);
    if (argc < 2) {
        cli_error(&c, "needs a command, such as train, score, generate or info (see octet --help)");
        return 1;
    }
    const char *word = argv[1];
    int count = argc - 2;
    char **arguments = argv + 2;
    if (!strcmp(word, "--version") || !strcmp(word, "--help") || !strcmp(word, "-h")) {
        if (!strcmp(word, "--version"))
            output_print(&c.out, "octet %s\n", OCTET_VERSION);
        else
            usage(&c.out);
        return cli_finish(&c, &c.out, 0);
    }
    if (!strcmp(word, "help")) {
        if (argc == 2) {
            usage(&c.out);
            return cli_finish(&c, &c.out, 0);
        }
        word = argv[2];
        count = 1;
        arguments = only_help;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(word, commands[i].name))
            continue;
        c.command = commands[i].name;
        return cli_finish(&c, &c.out, commands[i].run(&c, count, arguments));
    }
    return unknown(&c, word);
}
