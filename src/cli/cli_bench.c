/* cli_bench.c: octet bench: speed beside what it should be compared with. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/signals.h"

#define PATH_BYTES 4096

static const option_usage usage = {
    "[NAME...] [-c CONFIG] [--configs DIR] [--json]",
    "Runs the benchmarks whose names begin with one of the NAMEs, or all. More is better; ratio "
    "is\n"
    "ours over the peer's; bound is what the machine's memory allows. With -c: how fast that\n"
    "configuration trains, scores and generates, and the most memory that took.",
    "  octet bench\n"
    "  octet bench matmul --threads 1\n"
    "  octet bench generate.a train.a --json\n"
    "  octet bench -c model.json",
};

typedef struct bench_run {
    cli *cli;
    json_t *list; /* with --json */
    char **names;
    int n_names, n_results;
    int *found; /* [n_names] */
} bench_run;

static void print_row(output *out, const octet_bench_result *r) {
    char bound[32] = "-", ratio[32] = "-";
    if (r->bound > 0)
        snprintf(bound, sizeof bound, "%.4g", r->bound);
    if (r->peer)
        snprintf(ratio, sizeof ratio, "%.3f", r->ratio);
    output_print(out, "%-14s %12.4g  %-14s %10s  %8s  %s\n", r->name, r->value, r->unit, bound,
                 ratio, r->peer ? r->peer : "-");
    output_flush(out);
}

static void report(void *context, const octet_bench_result *r) {
    bench_run *run = context;
    run->n_results++;
    for (int i = 0; i < run->n_names; i++)
        run->found[i] |= !strncmp(r->name, run->names[i], strlen(run->names[i]));
    progress_clear(&run->cli->progress);
    if (!run->list) {
        if (run->n_results == 1)
            output_print(&run->cli->out, "%-14s %12s  %-14s %10s  %8s  peer\n", "name", "value",
                         "unit", "bound", "ratio");
        print_row(&run->cli->out, r);
        return;
    }
    json_t *row = json_pack("{s:s, s:o, s:s, s:o, s:s?, s:o}", "name", r->name, "value",
                            cli_json_number(r->value), "unit", r->unit, "bound",
                            r->bound > 0 ? cli_json_number(r->bound) : json_null(), "peer", r->peer,
                            "ratio", r->peer ? cli_json_number(r->ratio) : json_null());
    if (json_array_append_new(run->list, row))
        cli_error(run->cli, "%s: no memory for the JSON text", r->name);
}

/* The directory with bench-a.json: samples/ of the source tree that the program was built in, a few
 * levels up, or what was installed beside it. */
static const char *find_configs(char *buffer) {
    static const char *const places[] = {"samples", "share/octet"};
    char base[PATH_BYTES], file[PATH_BYTES + 64];
    ssize_t n = readlink("/proc/self/exe", base, sizeof base - 1);
    base[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(base, '/');
        if (!slash)
            break;
        *slash = '\0';
        for (int i = 0; i < 2; i++) {
            snprintf(file, sizeof file, "%s/%s/bench-a.json", base, places[i]);
            if (!access(file, R_OK) && strlen(file) < PATH_BYTES) {
                *strrchr(file, '/') = '\0';
                return strcpy(buffer, file);
            }
        }
    }
    return NULL;
}

/* The benchmarks of one configuration. */
static octet_status run_model(bench_run *run, octet_runtime *runtime, const char *path,
                              octet_error *error) {
    octet_bytes file;
    octet_status status = octet_bytes_open(&file, path, error);
    if (status)
        return status;
    char *text = strndup((const char *)file.data, file.size);
    octet_bytes_close(&file);
    if (!text) {
        snprintf(error->text, sizeof error->text, "%s: no memory for it", path);
        return OCTET_NO_MEMORY;
    }
    octet_bench_model_params wanted = {text, path, (const char *const *)run->names, run->n_names,
                                       signals_defer()};
    status = octet_bench_model(runtime, &wanted, report, run, error);
    free(text);
    return status;
}

static int run_all(bench_run *run, const char *configs, const char *model, octet_error *error) {
    cli *c = run->cli;
    octet_runtime *runtime;
    if (cli_runtime(c, OCTET_MATMUL_EXACT, &runtime, error))
        return cli_fail(c, error);
    run->list = c->json ? json_array() : NULL;
    progress_show(&c->progress, "measuring ...");
    octet_status status = model ? run_model(run, runtime, model, error)
                                : octet_bench(runtime, configs, (const char *const *)run->names,
                                              run->n_names, signals_defer(), report, run, error);
    int code = status ? cli_fail(c, error) : 0;
    if (signals_caught())
        code = cli_exit_code(OCTET_STOPPED);
    for (int i = 0; i < run->n_names && !code; i++) {
        if (run->found[i])
            continue;
        cli_error(c, "%s: no benchmark's name begins so", run->names[i]);
        code = 1;
    }
    if (run->list)
        cli_json_print(c, &c->out, run->list);
    octet_runtime_destroy(&runtime);
    return code;
}

int cli_bench(cli *c, int argc, char **argv) {
    char buffer[PATH_BYTES];
    const char *configs = NULL, *model = NULL;
    option table[] = {
        {.name = "config",
         .letter = 'c',
         .kind = OPTION_PATH,
         .value = &model,
         .argument = "CONFIG",
         .help = "measure this configuration"},
        {.name = "configs",
         .kind = OPTION_PATH,
         .value = &configs,
         .argument = "DIR",
         .help = "where bench-a.json and bench-b.json are (default: beside the program)"},
    };
    octet_error error = {0};
    int code = options_parse(c, &usage, table, sizeof table / sizeof *table, &argc, argv);
    if (code >= 0)
        return code;
    if (!configs && !(configs = find_configs(buffer)))
        configs = "samples"; /* a benchmark that needs one says that it is not there */
    bench_run run = {.cli = c, .names = argv, .n_names = argc};
    run.found = calloc((size_t)argc + 1, sizeof *run.found);
    if (!run.found) {
        cli_error(c, "no memory");
        return 1;
    }
    code = run_all(&run, configs, model, &error);
    free(run.found);
    return code;
}
