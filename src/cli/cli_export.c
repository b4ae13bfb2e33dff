/* cli_export.c: octet export: a model as a checkpoint of another program. */
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

static const option_usage usage = {
    "-m MODEL --to megabyte-pytorch -o OUT.safetensors",
    "Writes a model's weights under the names of another program, as safetensors, and prints the\n"
    "arguments of its constructor as JSON, which octet import takes as --side. A model that the\n"
    "program could not compute is refused, with the key that it has no words for.",
    "  octet export -m model.safetensors --to megabyte-pytorch -o megabyte.safetensors\n"
    "  octet export -m model --to megabyte-pytorch -o megabyte.safetensors > side.json",
};

static int run(cli *c, const char *name, const char *format, const char *path) {
    octet_runtime *runtime = NULL;
    octet_model *model = NULL;
    octet_error error = {0};
    char *settings = NULL;
    octet_status status = cli_open(c, name, &runtime, &model, &error);
    if (!status)
        status = octet_export(model, format, path, &settings, &error);
    if (!status)
        output_print(&c->out, "%s\n", settings);
    free(settings);
    cli_close(&runtime, &model);
    return status ? cli_fail(c, &error) : 0;
}

int cli_export(cli *c, int argc, char **argv) {
    const char *name = NULL, *format = NULL, *path = NULL, *wrong = NULL;
    option table[] = {
        {.name = "model",
         .letter = 'm',
         .kind = OPTION_PATH,
         .value = &name,
         .argument = "MODEL",
         .help = "checkpoint, directory of a run, or bundled model"},
        {.name = "to",
         .kind = OPTION_WORD,
         .value = &format,
         .words = "megabyte-pytorch",
         .argument = "FORMAT",
         .help = "the program: megabyte-pytorch"},
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &path,
         .argument = "OUT",
         .help = "the file to write"},
    };
    int code = options_parse(c, &usage, table, sizeof table / sizeof *table, &argc, argv);
    if (code >= 0)
        return code;
    if (argc) {
        cli_error(c, "%s: takes no operands; -m MODEL names a model", argv[0]);
        return 1;
    }
    if (!name)
        wrong = "needs -m MODEL";
    else if (!format)
        wrong = "needs --to FORMAT (megabyte-pytorch)";
    else if (!path)
        wrong = "needs -o OUT.safetensors";
    if (wrong) {
        cli_error(c, "%s", wrong);
        return 1;
    }
    return run(c, name, format, path);
}
