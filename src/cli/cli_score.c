/* cli_score.c: octet score: what files cost under a model.
 *
 * A file that cannot be read does not keep the others from being scored; the exit code tells. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_codec.h"
#include "cli/options.h"
#include "cli/signals.h"

typedef struct score_run {
    cli *cli;
    octet_runtime *runtime;
    octet_model *model;
    int64_t keep;
    int per_byte, strided, by_position, n_files, n_rows;
    const char *svg, *profile;
    int n_positions;             /* 2 where the innermost patch is not the outermost */
    octet_positions position[2]; /* outermost first; kept for --by-position and --svg */
    json_t *files, *errors;      /* with --json */
    double bits;
    int64_t bytes;
    int code; /* of the first failure */
} score_run;

typedef struct score_file {
    score_run *run;
    const char *name; /* for people */
    char *label;      /* ", "file": "..."" of per-byte lines, or NULL */
    size_t size;
    double start_s;
} score_file;

static const option_usage usage = {
    "[-m MODEL] FILE... [--per-byte] [--keep N] [--strided] [--profile int8] [--by-position] "
    "[--svg FILE] [--json]",
    "Prints what each file costs under the model: the sum of -log2 p over its bytes, and that per\n"
    "byte. The first byte counts too. \"-\" is standard input.",
    "  octet score book.txt\n"
    "  octet score -m run/demo *.txt --json\n"
    "  octet score --keep 0 --strided --by-position book.txt\n"
    "  octet score --per-byte book.txt | sort -t: -k4 -g | tail   # the most surprising bytes",
};

static int visit(void *context, int64_t offset, const uint8_t *bytes, const float *bits, size_t n) {
    const score_file *file = context;
    cli *c = file->run->cli;
    char rate[PROGRESS_TEXT];
    if (progress_due(&c->progress)) {
        double done = (double)offset + (double)n, seconds = progress_seconds() - file->start_s;
        progress_show(&c->progress, "%3.0f %%  %s  %.40s", 100 * done / (double)file->size,
                      progress_rate(rate, seconds > 0 ? done / seconds : 0), file->name);
    }
    for (int i = 0; i < file->run->n_positions; i++)
        octet_positions_add(&file->run->position[i], offset, bits, n);
    if (!file->run->per_byte)
        return 0;
    if (c->out.is_terminal)
        progress_clear(&c->progress);
    for (size_t i = 0; i < n; i++) {
        /* 9 digits read back to the same float. */
        output_print(&c->out, "{\"offset\": %lld, \"byte\": %d, \"bits\": %.9g",
                     (long long)offset + (long long)i, bytes[i], (double)bits[i]);
        if (file->label)
            output_write(&c->out, file->label, strlen(file->label));
        output_write(&c->out, "}\n", 2);
    }
    output_flush(&c->out);
    return c->out.error != 0;
}

/* The `"file"` member of per-byte lines. */
static char *make_label(const char *path) {
    json_t *value = cli_json_text(path);
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    char *label = text ? malloc(strlen(text) + 16) : NULL;
    if (label) {
        strcpy(label, ", \"file\": ");
        strcat(label, text);
    }
    free(text);
    json_decref(value);
    return label;
}

static void failed(score_run *run, const char *path, const char *text, int code) {
    cli_error(run->cli, "%s", text);
    if (!run->code)
        run->code = code;
    if (run->errors &&
        json_array_append_new(run->errors, json_pack("{s:o, s:o}", "path", cli_json_text(path),
                                                     "error", cli_json_text(text))))
        cli_error(run->cli, "no memory for the JSON text");
}

/* Bits per byte of nothing are not a number. */
static double per_byte(double bits, int64_t bytes) {
    return bytes ? bits / (double)bytes : NAN;
}

static void print_row(output *out, int64_t bytes, double bits, const char *name) {
    if (bytes)
        output_print(out, "%12lld %16.2f %9.4f  ", (long long)bytes, bits, per_byte(bits, bytes));
    else
        output_print(out, "%12d %16.2f %9s  ", 0, 0.0, "-");
    output_plain(out, name);
    output_write(out, "\n", 1);
}

static void report(score_run *run, const char *path, int64_t bytes, double bits) {
    cli *c = run->cli;
    run->bits += bits;
    run->bytes += bytes;
    progress_clear(&c->progress);
    if (run->per_byte) {
        cli_detail(c, "%s: %lld bytes, %.2f bits", path, (long long)bytes, bits);
    } else if (run->files) {
        json_t *row = json_pack("{s:o, s:I, s:o, s:o}", "path", cli_json_text(path), "bytes",
                                (json_int_t)bytes, "bits", cli_json_number(bits), "bpb",
                                cli_json_number(per_byte(bits, bytes)));
        if (json_array_append_new(run->files, row))
            failed(run, path, "no memory for the JSON text", 1);
    } else {
        if (!run->n_rows++)
            output_print(&c->out, "%12s %16s %9s  file\n", "bytes", "bits", "bpb");
        print_row(&c->out, bytes, bits, path);
        output_flush(&c->out);
    }
}

static void score_one(score_run *run, const char *path) {
    octet_bytes bytes = {0};
    octet_error error = {.text = "no memory"};
    score_file file = {.run = run, .name = strcmp(path, "-") ? path : "standard input"};
    octet_score_params params = {.keep = run->keep,
                                 .context = &file,
                                 .strided = run->strided,
                                 .profile = cli_profile(run->profile)};
    double bits = 0;
    signals_immediate(); /* reading a pipe or a terminal may take for ever */
    octet_losses lost;
    if (octet_model_bytes(&bytes, &lost, run->model, path, &error)) {
        failed(run, path, error.text, cli_exit_code(error.code));
        return;
    }
    if (lost.rate_from || lost.codec_bits) /* audio, images */
        cli_remark_losses(run->cli, path, &lost,
                          (int64_t)bytes.size / (lost.codec_bits == 16 ? 2 : 1));
    params.stop = signals_defer();
    file.size = bytes.size;
    file.start_s = progress_seconds();
    if (run->per_byte && run->n_files > 1)
        file.label = make_label(path);
    if (run->per_byte || run->n_positions || run->cli->progress.enabled)
        params.visit = visit;
    octet_status status = OCTET_OK;
    if (run->per_byte && run->n_files > 1 && !file.label)
        status = OCTET_NO_MEMORY;
    else if (bytes.size)
        status = octet_score(run->model, bytes.data, bytes.size, &params, &bits, &error);
    if (!status) {
        report(run, path, (int64_t)bytes.size, bits);
    } else if (!signals_caught() && !run->cli->out.error) {
        char text[sizeof error.text + 256];
        snprintf(text, sizeof text, "%.200s: %s", file.name, error.text);
        failed(run, path, text, cli_exit_code(status));
    }
    free(file.label);
    octet_bytes_close(&bytes);
}

/* --- positions */

static int make_positions(score_run *run) {
    octet_model_info info;
    octet_model_info_get(run->model, &info);
    const int64_t patch[] = {info.patch, info.inner_patch};
    if (!run->by_position && !run->svg)
        return 1;
    run->n_positions = patch[0] == patch[1] ? 1 : 2;
    for (int i = 0; i < run->n_positions; i++) {
        octet_positions *p = &run->position[i];
        p->patch = patch[i];
        p->bytes = calloc((size_t)patch[i], sizeof *p->bytes);
        p->bits = calloc((size_t)patch[i], sizeof *p->bits);
        if (!p->bytes || !p->bits)
            return 0;
    }
    return 1;
}

static void free_positions(score_run *run) {
    for (int i = 0; i < 2; i++) {
        free(run->position[i].bytes);
        free(run->position[i].bits);
    }
}

/* [{"patch": P, "bytes": [...], "bpb": [...]}], outermost first; NULL when memory is out. */
static json_t *positions_json(const score_run *run) {
    json_t *all = json_array();
    int failed = !all;
    for (int i = 0; i < run->n_positions && !failed; i++) {
        const octet_positions *p = &run->position[i];
        json_t *bytes = json_array(), *bpb = json_array();
        for (int64_t k = 0; k < p->patch && !failed; k++)
            failed = json_array_append_new(bytes, json_integer((json_int_t)p->bytes[k])) ||
                     json_array_append_new(bpb, cli_json_number(per_byte(p->bits[k], p->bytes[k])));
        json_t *row =
            json_pack("{s:I, s:o, s:o}", "patch", (json_int_t)p->patch, "bytes", bytes, "bpb", bpb);
        failed = json_array_append_new(all, row) || failed;
    }
    if (!failed)
        return all;
    json_decref(all);
    return NULL;
}

/* With --per-byte the means are one more line of JSON. */
static void print_positions(score_run *run) {
    output *out = &run->cli->out;
    if (run->per_byte) {
        json_t *all = positions_json(run);
        cli_json_print(run->cli, out, all ? json_pack("{s:o}", "by_position", all) : NULL);
        return;
    }
    for (int i = 0; i < run->n_positions; i++) {
        const octet_positions *p = &run->position[i];
        output_print(out, "\n%12s %16s %9s  in the patch of %lld\n", "position", "bytes", "bpb",
                     (long long)p->patch);
        for (int64_t k = 0; k < p->patch; k++) {
            output_print(out, "%12lld %16lld ", (long long)k, (long long)p->bytes[k]);
            if (p->bytes[k])
                output_print(out, "%9.4f\n", per_byte(p->bits[k], p->bytes[k]));
            else
                output_print(out, "%9s\n", "-");
        }
    }
}

static void draw_positions(score_run *run) {
    octet_error error = {0};
    output_flush(&run->cli->out);
    octet_status status = octet_positions_draw(
        &run->position[0], run->n_positions > 1 ? &run->position[1] : NULL, run->svg, &error);
    if (!status)
        return;
    cli_error(run->cli, "%s", error.text);
    if (!run->code)
        run->code = cli_exit_code(status);
}

static void print_total(score_run *run) {
    cli *c = run->cli;
    if (run->files) {
        json_t *total = json_pack("{s:I, s:o, s:o, s:s, s:O}", "bytes", (json_int_t)run->bytes,
                                  "bits", cli_json_number(run->bits), "bpb",
                                  cli_json_number(per_byte(run->bits, run->bytes)), "device",
                                  octet_runtime_device(run->runtime), "files", run->files);
        if (total && json_array_size(run->errors) &&
            json_object_set(total, "errors", run->errors)) {
            json_decref(total);
            total = NULL;
        }
        if (total && run->by_position &&
            json_object_set_new(total, "by_position", positions_json(run))) {
            json_decref(total);
            total = NULL;
        }
        cli_json_print(c, &c->out, total);
    } else if (run->n_files > 1 && run->n_rows) {
        print_row(&c->out, run->bytes, run->bits, "total");
    }
    if (run->by_position && !run->files)
        print_positions(run);
}

int cli_score(cli *c, int argc, char **argv) {
    const char *name = NULL;
    score_run run = {.cli = c, .keep = -1};
    option table[] = {
        {.name = "model",
         .letter = 'm',
         .kind = OPTION_PATH,
         .value = &name,
         .argument = "MODEL",
         .help = "checkpoint, directory of a run, or bundled model (default: text)"},
        OPTION_DEVICE,
        {.name = "per-byte",
         .kind = OPTION_FLAG,
         .value = &run.per_byte,
         .help = "one line of JSON a byte: offset, byte, bits (and file, if several)"},
        {.name = "keep",
         .kind = OPTION_INTEGER,
         .value = &run.keep,
         .min = 0,
         .max = OPTION_NO_LIMIT,
         .argument = "N",
         .help = "overlap of contexts: bytes kept when a text passes the model's context\n"
                 "(default: the model's); 0: each context starts from nothing"},
        {.name = "strided",
         .kind = OPTION_FLAG,
         .value = &run.strided,
         .help = "two passes, patches shifted by half: each byte from the pass where it stands\n"
                 "in the first half of its patch"},
        {.name = "by-position",
         .kind = OPTION_FLAG,
         .value = &run.by_position,
         .help = "bits per byte by position in the outermost patch, and in the innermost"},
        {.name = "svg",
         .kind = OPTION_PATH,
         .value = &run.svg,
         .argument = "FILE",
         .help = "write a picture of the bits per byte by position"},
        OPTION_PROFILE(run.profile, "f32"),
    };
    octet_error error = {0};
    int code = options_parse(c, &usage, table, sizeof table / sizeof *table, &argc, argv);
    if (code >= 0)
        return code;
    if (argc == 0) {
        cli_error(c, "needs at least one FILE (\"-\" is standard input)");
        return 1;
    }
    if (cli_open(c, name, &run.runtime, &run.model, &error))
        return cli_fail(c, &error);
    run.n_files = argc;
    if (!make_positions(&run)) {
        cli_error(c, "no memory for the positions");
        free_positions(&run);
        cli_close(&run.runtime, &run.model);
        return 1;
    }
    if (c->json && !run.per_byte) {
        run.files = json_array();
        run.errors = json_array();
    }
    for (int i = 0; i < argc && !signals_caught() && !c->out.error; i++)
        score_one(&run, argv[i]);
    if (signals_caught())
        run.code = cli_exit_code(OCTET_STOPPED);
    else
        print_total(&run);
    if (run.svg && !signals_caught())
        draw_positions(&run);
    free_positions(&run);
    json_decref(run.files);
    json_decref(run.errors);
    cli_close(&run.runtime, &run.model);
    return run.code;
}
