/* cli_import.c: octet import: a checkpoint of another program as a model of ours. */
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

static const option_usage usage = {
    "FORMAT CKPT -o MODEL.safetensors [--set NAME=VALUE ... | --side FILE.json]",
    "Reads a checkpoint of another program, PyTorch's zip archive or safetensors, and writes the\n"
    "model that the other commands take. FORMAT is megabyte-pytorch, mblm, bgpt or notagen. What "
    "a\n"
    "file does not say is a setting of that name; what is missing is asked for. Nothing is "
    "written\n"
    "unless the whole file has been read and checked.",
    "  octet import megabyte-pytorch model.pt -o model.safetensors --set heads=8 \\\n"
    "      --set max_seq_len=1024 --set pad_id=0\n"
    "  octet import mblm weights.pth -o model.safetensors --side config.json\n"
    "  octet import bgpt weights-text.pth -o text.safetensors --set extension=txt -v\n"
    "  octet import --list",
};

typedef struct import_options {
    const char *out, *side;
    option_list set;
    int list;
} import_options;

static void report(void *context, const char *text) {
    cli_detail(context, "%s", text);
}

static void print_format(void *context, const char *name, const char *about,
                         const char *const *settings) {
    output *out = &((cli *)context)->out;
    output_print(out, "%-17s %s\n%-17s", name, about, "");
    for (; *settings; settings++)
        output_print(out, " %s", *settings);
    output_print(out, "\n");
}

static void add_format(void *context, const char *name, const char *about,
                       const char *const *settings) {
    json_t *names = json_array();
    for (; *settings; settings++)
        (void)json_array_append_new(names, json_string(*settings));
    (void)json_array_append_new(
        context, json_pack("{s:s, s:s, s:o}", "name", name, "about", about, "settings", names));
}

static int list_formats(cli *c) {
    if (c->json) {
        json_t *list = json_array();
        octet_import_list(add_format, list);
        cli_json_print(c, &c->out, json_pack("{s:o}", "formats", list));
    } else {
        octet_import_list(print_format, c);
    }
    return 0;
}

static void print_result(cli *c, const octet_model_info *info, const char *path) {
    if (c->json) {
        json_t *config = json_loads(info->config, JSON_REJECT_DUPLICATES, NULL);
        cli_json_print(c, &c->out,
                       json_pack("{s:o, s:I, s:I, s:s, s:o}", "model", cli_json_text(path),
                                 "parameters", (json_int_t)info->parameters, "context",
                                 (json_int_t)info->context, "fingerprint", info->fingerprint,
                                 "config", config ? config : json_null()));
        return;
    }
    output_print(&c->out, "%lld parameters, context %lld bytes  ", (long long)info->parameters,
                 (long long)info->context);
    output_plain(&c->out, path);
    output_print(&c->out, "\n");
}

static int run(cli *c, const import_options *o, const char *format, const char *path) {
    octet_runtime *runtime = NULL;
    octet_model *model = NULL;
    octet_error error = {0};
    octet_model_info info;
    const octet_import_params params = {.side = o->side,
                                        .settings = o->set.items,
                                        .n_settings = o->set.n,
                                        .report = report,
                                        .context = c};
    octet_status status = cli_runtime(c, OCTET_MATMUL_EXACT, &runtime, &error);
    if (!status)
        status = octet_import(&model, runtime, format, path, &params, &error);
    if (!status)
        status = octet_model_save(model, o->out, 0, &error);
    if (!status) {
        octet_model_info_get(model, &info);
        print_result(c, &info, o->out);
    }
    cli_close(&runtime, &model);
    return status ? cli_fail(c, &error) : 0;
}

static int check(cli *c, const import_options *o, int argc) {
    const char *wrong = NULL;
    if (argc != 2)
        wrong = "needs a FORMAT and a CKPT, two operands (octet import --list names the formats)";
    else if (!o->out)
        wrong = "needs -o MODEL.safetensors";
    if (wrong)
        cli_error(c, "%s", wrong);
    return wrong ? 1 : 0;
}

int cli_import(cli *c, int argc, char **argv) {
    import_options o = {0};
    option table[] = {
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &o.out,
         .argument = "MODEL",
         .help = "the model to write"},
        {.name = "set",
         .kind = OPTION_PATHS,
         .value = &o.set,
         .argument = "NAME=VALUE",
         .help = "what the file does not say; VALUE is JSON, or else a text;\nalso several times"},
        {.name = "side",
         .kind = OPTION_PATH,
         .value = &o.side,
         .argument = "FILE",
         .help = "the same as a JSON object, or one that has it under \"config\";\n"
                 "--set wins"},
        {.name = "list",
         .kind = OPTION_FLAG,
         .value = &o.list,
         .help = "name the formats and their settings"},
    };
    int code = options_parse(c, &usage, table, sizeof table / sizeof *table, &argc, argv);
    if (code < 0 && o.list && argc) {
        cli_error(c, "--list: takes no operands");
        code = 1;
    } else if (code < 0 && o.list) {
        code = list_formats(c);
    } else if (code < 0) {
        code = check(c, &o, argc);
        if (!code)
            code = run(c, &o, argv[0], argv[1]);
    }
    free(o.set.items);
    return code;
}
