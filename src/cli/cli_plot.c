/* cli_plot.c: octet plot: pictures of audio files. */
#include <string.h>

#include "cli/options.h"
#include "cli/signals.h"

static const option_usage usage = {
    "FILE... -o OUT [--mark SECONDS] [-m MODEL]",
    "Draws waveforms and spectrograms of audio files below one another, on the same axes, as\n"
    "an SVG or a PNG. With -m MODEL, one with an audio codec, also what each frame costs under\n"
    "it, in bits.",
    "  octet plot clip.wav -o clip.svg\n"
    "  octet plot real.wav take-1.wav take-2.wav --mark 1.7 -o takes.png\n"
    "  octet plot -m run/speech clip.wav -o clip.png",
};

static int has_suffix(const char *path, const char *suffix) {
    const size_t n = strlen(path), m = strlen(suffix);
    return n > m && !strcmp(path + n - m, suffix);
}

int cli_plot(cli *c, int argc, char **argv) {
    const char *out = NULL, *name = NULL;
    double mark = -1;
    option table[] = {
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &out,
         .argument = "OUT",
         .help = "the picture: a name that ends in .svg or .png"},
        {.name = "mark",
         .kind = OPTION_REAL,
         .value = &mark,
         .min = 0,
         .max = 1e6,
         .argument = "SECONDS",
         .help = "a line there, and another colour after it: the seam of a continuation"},
        {.name = "model",
         .letter = 'm',
         .kind = OPTION_PATH,
         .value = &name,
         .argument = "MODEL",
         .help = "checkpoint, directory of a run, or bundled model (default: none)"},
    };
    octet_runtime *runtime = NULL;
    octet_model *model = NULL;
    octet_error error = {0};
    int code = options_parse(c, &usage, table, sizeof table / sizeof *table, &argc, argv);
    if (code >= 0)
        return code;
    if (argc < 1 || argc > OCTET_PLOT_FILES || !out) {
        if (!out)
            cli_error(c, "needs -o OUT");
        else
            cli_error(c, "needs 1 to %d files, not %d", OCTET_PLOT_FILES, argc);
        return 1;
    }
    if (!has_suffix(out, ".svg") && !has_suffix(out, ".png")) {
        cli_error(c, "%s: a picture's name ends in .svg or .png", out);
        return 1;
    }
    octet_plot_params params = {.paths = (const char *const *)argv, .n_paths = argc, .mark = mark};
    params.stop = signals_defer();
    octet_status status = name ? cli_open(c, name, &runtime, &model, &error) : OCTET_OK;
    params.model = model;
    if (!status)
        status = octet_plot(&params, out, &error);
    if (name)
        cli_close(&runtime, &model);
    if (status)
        return cli_fail(c, &error);
    if (c->json)
        cli_json_print(c, &c->out,
                       json_pack("{s:o, s:i}", "path", cli_json_text(out), "files", argc));
    return 0;
}
