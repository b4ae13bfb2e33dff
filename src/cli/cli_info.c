/* cli_info.c: octet info: a model, the bundled models, and the machine; or a configuration. */
#include <string.h>

#include "cli/cli_budget.h"
#include "cli/options.h"

static const option_usage usage = {
    "[-m MODEL | -c CONFIG | --preset NAME] [--write-config] [--json]",
    "With -m: what the model is. With -c or --preset, a configuration of the MegaByte paper: its\n"
    "parameters, its cost, and the memory it would take, without taking it. Without any: the\n"
    "bundled models, the machine, and the model that other commands use by default.",
    "  octet info\n"
    "  octet info -m run/demo\n"
    "  octet info -m run/demo/best.safetensors --json\n"
    "  octet info --preset list\n"
    "  octet info --preset text --write-config > text.json",
};

typedef struct info_run {
    cli *cli;
    json_t *models; /* with --json */
    int n;
} info_run;

static void visit(void *context, const char *name, const char *path) {
    info_run *run = context;
    run->n++;
    if (run->models) {
        (void)json_array_append_new(
            run->models,
            json_pack("{s:o, s:o}", "name", cli_json_text(name), "path", cli_json_text(path)));
        return;
    }
    output *out = &run->cli->out;
    output_print(out, "%-15s ", run->n == 1 ? "bundled models" : "");
    output_plain(out, name);
    output_print(out, "  ");
    output_plain(out, path);
    output_print(out, "\n");
}

/* "key            value" */
static void row(output *out, const char *key, const char *value) {
    output_print(out, "%-15s ", key);
    output_plain(out, value);
    output_print(out, "\n");
}

static void number(output *out, const char *key, double value, const char *unit) {
    output_print(out, "%-15s %.0f%s%s\n", key, value, *unit ? " " : "", unit);
}

static void print_model(output *out, const octet_model_info *info) {
    row(out, "path", info->path);
    number(out, "parameters", (double)info->parameters, "");
    number(out, "context", (double)info->context, "bytes");
    number(out, "keep", (double)info->keep, "bytes");
    if (info->endless)
        row(out, "endless", "true");
    number(out, "levels", info->levels, "");
    number(out, "patch", (double)info->patch, "bytes");
    number(out, "vocabulary", info->vocabulary, "");
    number(out, "flops per byte", info->flops_per_byte, "");
    row(out, "fingerprint", info->fingerprint);
    row(out, "config", info->config);
}

static int add_model(json_t *object, const octet_model_info *info) {
    json_t *config = json_loads(info->config, JSON_REJECT_DUPLICATES, NULL);
    json_t *model =
        json_pack("{s:o, s:I, s:I, s:i, s:i, s:I, s:b, s:I, s:o, s:s, s:o}", "path",
                  cli_json_text(info->path), "parameters", (json_int_t)info->parameters, "context",
                  (json_int_t)info->context, "levels", info->levels, "vocabulary", info->vocabulary,
                  "keep", (json_int_t)info->keep, "endless", info->endless, "patch",
                  (json_int_t)info->patch, "flops_per_byte", cli_json_number(info->flops_per_byte),
                  "fingerprint", info->fingerprint, "config", config ? config : json_null());
    int failed = !model || json_object_update(object, model);
    json_decref(model);
    return failed;
}

static json_t *machine(const octet_runtime *runtime) {
    return json_pack("{s:s, s:s, s:s, s:i, s:[s, s]}", "version", OCTET_VERSION, "device",
                     octet_runtime_device(runtime), "cpu", octet_runtime_cpu(runtime), "threads",
                     octet_runtime_threads(runtime), "profiles", octet_profile_name(OCTET_F32),
                     octet_profile_name(OCTET_INT8));
}

static void print_machine(output *out, const octet_runtime *runtime) {
    row(out, "version", OCTET_VERSION);
    row(out, "device", octet_runtime_device(runtime));
    row(out, "cpu", octet_runtime_cpu(runtime));
    number(out, "threads", octet_runtime_threads(runtime), "");
    output_print(out, "%-15s %s, %s\n", "profiles", octet_profile_name(OCTET_F32),
                 octet_profile_name(OCTET_INT8));
}

/* The machine, with list the bundled models, and the model if there is one. */
static void print(cli *c, const octet_runtime *runtime, int list, const octet_model_info *info) {
    info_run run = {.cli = c};
    print_machine(&c->out, runtime);
    if (list)
        octet_models_list(visit, &run);
    if (list && !run.n)
        row(&c->out, "bundled models", "none found (OCTET_MODELS names a directory)");
    if (info)
        print_model(&c->out, info);
}

static void print_json(cli *c, const octet_runtime *runtime, int list,
                       const octet_model_info *info) {
    info_run run = {.cli = c, .models = list ? json_array() : NULL};
    json_t *object = machine(runtime);
    if (list)
        octet_models_list(visit, &run);
    if ((list && json_object_set_new(object, "models", run.models)) ||
        (info && add_model(object, info))) {
        json_decref(object);
        object = NULL;
    }
    cli_json_print(c, &c->out, object);
}

static void find_text(void *context, const char *name, const char *path) {
    (void)path;
    *(int *)context |= !strcmp(name, "text");
}

static int describe(cli *c, const char *name, octet_runtime *runtime, octet_error *error) {
    octet_model *model = NULL;
    octet_model_info info;
    int list = !name, has_model = name != NULL;
    if (list)
        octet_models_list(find_text, &has_model);
    octet_status status = has_model ? cli_model(name, runtime, &model, error) : OCTET_OK;
    if (status)
        return cli_fail(c, error);
    if (has_model)
        octet_model_info_get(model, &info);
    if (c->json)
        print_json(c, runtime, list, has_model ? &info : NULL);
    else
        print(c, runtime, list, has_model ? &info : NULL);
    octet_model_destroy(&model);
    return 0;
}

int cli_info(cli *c, int argc, char **argv) {
    const char *name = NULL, *config = NULL, *preset = NULL;
    int write_config = 0;
    option table[] = {
        {.name = "model",
         .letter = 'm',
         .kind = OPTION_PATH,
         .value = &name,
         .argument = "MODEL",
         .help = "checkpoint, directory of a run, or bundled model"},
        {.name = "config",
         .letter = 'c',
         .kind = OPTION_PATH,
         .value = &config,
         .argument = "CONFIG",
         .help = "a configuration: what a model of it would cost"},
        {.name = "preset",
         .kind = OPTION_PATH,
         .value = &preset,
         .argument = "NAME",
         .help = "the same for a model of the MegaByte paper; \"list\" names them"},
        {.name = "write-config",
         .kind = OPTION_FLAG,
         .value = &write_config,
         .help = "print the preset's configuration, for octet train -c"},
    };
    octet_runtime *runtime;
    octet_error error = {0};
    int code = options_parse(c, &usage, table, sizeof table / sizeof *table, &argc, argv);
    if (code >= 0)
        return code;
    if (argc) {
        cli_error(c, "%s: takes no operands; -m MODEL names a model", argv[0]);
        return 1;
    }
    if (!!name + !!config + !!preset > 1) {
        cli_error(c, "--model, --config and --preset exclude each other");
        return 1;
    }
    if (write_config && !preset) {
        cli_error(c, "--write-config: needs a --preset");
        return 1;
    }
    if (preset && !strcmp(preset, "list"))
        return cli_presets(c);
    if (config || preset)
        return cli_budget(c, preset, config, write_config);
    if (cli_runtime(c, OCTET_MATMUL_EXACT, &runtime, &error))
        return cli_fail(c, &error);
    code = describe(c, name, runtime, &error);
    octet_runtime_destroy(&runtime);
    return code;
}
