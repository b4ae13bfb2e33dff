/* cli_devices.c: octet devices: what can compute, and what --device calls it. */
#include <string.h>

#include "cli/options.h"

static const option_usage usage = {
    "[--json]",
    "Lists what can compute: the processor, and the devices of Vulkan with their memory and what\n"
    "they offer. --device DEVICE of train, score, generate and continue chooses one.",
    "  octet devices\n"
    "  octet score --device vulkan book.txt",
};

typedef struct devices_run {
    cli *cli;
    json_t *list; /* with --json */
} devices_run;

static void add(json_t *list, const octet_device *d) {
    (void)json_array_append_new(
        list,
        json_pack("{s:s, s:o, s:o, s:I, s:b, s:b, s:o, s:b, s:b, s:b, s:i}", "device", d->device,
                  "name", cli_json_text(d->name), "driver", cli_json_text(d->driver),
                  "memory_bytes", (json_int_t)d->memory_bytes, "software", d->is_software, "usable",
                  !*d->lacks, "lacks", *d->lacks ? cli_json_text(d->lacks) : json_null(), "float16",
                  d->float16, "int8_dot", d->int8_dot, "cooperative_matrix", d->cooperative_matrix,
                  "subgroup", d->subgroup));
}

static void visit(void *context, const octet_device *d) {
    const devices_run *run = context;
    output *out = &run->cli->out;
    if (run->list) {
        add(run->list, d);
        return;
    }
    output_print(out, "%-10s %8.1f GiB  ", d->device, (double)d->memory_bytes / 0x1p30);
    output_plain(out, d->name);
    if (*d->driver) {
        output_print(out, ", ");
        output_plain(out, d->driver);
    }
    if (d->subgroup)
        output_print(out, ", subgroups of %d", d->subgroup);
    output_print(out, "%s%s%s%s", d->float16 ? ", float16" : "", d->int8_dot ? ", int8 dot" : "",
                 d->cooperative_matrix ? ", cooperative matrix" : "",
                 d->is_software ? "; software, for tests" : "");
    if (*d->lacks)
        output_print(out, "; cannot be used: it lacks %s", d->lacks);
    output_print(out, "\n");
}

int cli_devices(cli *c, int argc, char **argv) {
    octet_error error = {0};
    devices_run run = {.cli = c};
    int code = options_parse(c, &usage, NULL, 0, &argc, argv);
    if (code >= 0)
        return code;
    if (argc) {
        cli_error(c, "%s: takes no operands", argv[0]);
        return 1;
    }
    run.list = c->json ? json_array() : NULL;
    if (octet_devices_list(visit, &run, &error))
        cli_remark(c, "%s", error.text);
    if (run.list)
        cli_json_print(c, &c->out, run.list);
    return 0;
}
