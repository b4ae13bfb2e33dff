/* cli_budget.c: what octet info says of a configuration that no weights were made of: the paper's
 * presets, or a file. */
#include "cli/cli_budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the configuration's text */

static void collect(void *context, const char *name, const char *about) {
    (void)about;
    const char ***next = context;
    *(*next)++ = name;
}

static int fail_preset(cli *c, const char *name) {
    const char *names[64], **end = names;
    octet_presets_list(collect, &end);
    const char *near = cli_nearest(name, names, (int)(end - names));
    if (near)
        cli_error(c, "--preset: \"%s\" is none; did you mean \"%s\"?", name, near);
    else
        cli_error(c, "--preset: \"%s\" is none (--preset list names them)", name);
    return 1;
}

/* The file as a string, malloc'd; NULL with an error. */
static char *read_text(const char *path, octet_error *error) {
    octet_bytes bytes;
    if (octet_bytes_open(&bytes, path, error))
        return NULL;
    char *text = malloc(bytes.size + 1);
    if (text) {
        memcpy(text, bytes.data ? bytes.data : (const uint8_t *)"", bytes.size);
        text[bytes.size] = '\0';
    }
    int whole = text && strlen(text) == bytes.size;
    if (!whole) {
        error->code = text ? OCTET_ERROR : OCTET_NO_MEMORY;
        snprintf(error->text, sizeof error->text, "%.400s: %s", path,
                 text ? "holds bytes of 0, this is no JSON" : "no memory");
        free(text);
        text = NULL;
    }
    octet_bytes_close(&bytes);
    return text;
}

/* --- people */

/* "3.79 GB", or "-" for nothing. */
static const char *size_text(char out[32], int64_t bytes) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    int unit = 0;
    for (; unit < 6 && value >= 1000; unit++)
        value /= 1000;
    if (bytes)
        snprintf(out, 32, unit ? "%.3g %s" : "%.0f %s", value, units[unit]);
    else
        strcpy(out, "-");
    return out;
}

static void memory_row(output *out, const char *name, int64_t run, int64_t train) {
    char a[32], b[32];
    output_print(out, "  %-17s %12s %12s\n", name, size_text(a, run), size_text(b, train));
}

static void print_budget(output *out, const char *kind, const char *name, const octet_budget *b) {
    output_print(out, "%-15s ", kind);
    output_plain(out, name);
    output_print(out, "\n%-15s %lld bytes\n%-15s %lld bytes\n%s%-15s %d\n", "context",
                 (long long)b->context, "keep", (long long)b->keep,
                 b->endless ? "endless         true\n" : "", "vocabulary", b->vocabulary);
    for (int s = 0; s < b->levels; s++) {
        const octet_budget_level *l = &b->level[s];
        output_print(out,
                     "level %-9d dim %lld, %lld layers, rows of %lld byte%s: %lld parameters, "
                     "%lld in blocks\n",
                     s, (long long)l->dim, (long long)l->layers, (long long)l->unit_bytes,
                     l->unit_bytes > 1 ? "s" : "", (long long)l->parameters,
                     (long long)l->block_weights);
    }
    output_print(out, "%-15s %lld\n%-15s %lld\n", "parameters", (long long)b->parameters,
                 "block weights", (long long)b->block_weights);
    output_print(out, "%-15s %.4g forward, %.4g training\n", "flops per byte", b->forward_flops,
                 b->training_flops);
    output_print(out, "%-19s %12s %12s\n", "memory", "one stream", "training");
    memory_row(out, "weights", b->run.weights, b->train.weights);
    memory_row(out, "packed weights", b->run.packed, b->train.packed);
    memory_row(out, "caches", b->run.states, b->train.states);
    memory_row(out, "optimizer", b->run.moments, b->train.moments);
    memory_row(out, "planned results", b->run.work, b->train.work);
    memory_row(out, "total", b->run.total, b->train.total);
    char gradients[32];
    output_print(out, "training: batches of %lld; %s of its results are gradients\n",
                 (long long)b->batch, size_text(gradients, b->train.gradients));
}

/* --- programs */

static json_t *memory_json(const octet_budget_memory *m) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "weights", (json_int_t)m->weights,
                     "packed", (json_int_t)m->packed, "states", (json_int_t)m->states, "moments",
                     (json_int_t)m->moments, "gradients", (json_int_t)m->gradients, "work",
                     (json_int_t)m->work, "total", (json_int_t)m->total);
}

static json_t *levels_json(const octet_budget *b) {
    json_t *levels = json_array();
    for (int s = 0; s < b->levels; s++) {
        const octet_budget_level *l = &b->level[s];
        json_t *row =
            json_pack("{s:I, s:I, s:I, s:I, s:I}", "dim", (json_int_t)l->dim, "layers",
                      (json_int_t)l->layers, "unit_bytes", (json_int_t)l->unit_bytes, "parameters",
                      (json_int_t)l->parameters, "block_weights", (json_int_t)l->block_weights);
        if (json_array_append_new(levels, row)) {
            json_decref(levels);
            return NULL;
        }
    }
    return levels;
}

static json_t *budget_json(const char *kind, const char *name, const char *text,
                           const octet_budget *b) {
    return json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:i, s:i, s:o, s:f, s:f, s:{s:o, s:o}, s:o}",
        kind, cli_json_text(name), "parameters", (json_int_t)b->parameters, "block_weights",
        (json_int_t)b->block_weights, "context", (json_int_t)b->context, "keep",
        (json_int_t)b->keep, "endless", b->endless, "patch", (json_int_t)b->patch, "batch",
        (json_int_t)b->batch, "levels", b->levels, "vocabulary", b->vocabulary, "level",
        levels_json(b), "forward_flops", b->forward_flops, "training_flops", b->training_flops,
        "memory", "run", memory_json(&b->run), "train", memory_json(&b->train), "config",
        json_loads(text, 0, NULL));
}

/* --- the command */

static void print_row(void *context, const char *name, const char *about) {
    output_print(context, "%-18s %s\n", name, about);
}

static void add_row(void *context, const char *name, const char *about) {
    json_t **list = context;
    if (*list &&
        json_array_append_new(*list, json_pack("{s:s, s:s}", "name", name, "about", about))) {
        json_decref(*list);
        *list = NULL;
    }
}

int cli_presets(cli *c) {
    if (!c->json) {
        octet_presets_list(print_row, &c->out);
        return 0;
    }
    json_t *list = json_array();
    octet_presets_list(add_row, &list);
    cli_json_print(c, &c->out, list ? json_pack("{s:o}", "presets", list) : NULL);
    return 0;
}

static int describe(cli *c, const char *kind, const char *name, const char *text, int write_config,
                    octet_error *error) {
    octet_budget budget;
    const char *label = strcmp(name, "-") ? name : "standard input";
    if (octet_budget_get(&budget, text, label, error))
        return cli_fail(c, error);
    if (write_config)
        output_write(&c->out, text, strlen(text));
    else if (c->json)
        cli_json_print(c, &c->out, budget_json(kind, name, text, &budget));
    else
        print_budget(&c->out, kind, name, &budget);
    return 0;
}

int cli_budget(cli *c, const char *preset, const char *path, int write_config) {
    octet_error error = {0};
    char text[OCTET_PRESET_TEXT];
    if (preset) {
        if (octet_preset_get(text, preset, &error))
            return fail_preset(c, preset);
        return describe(c, "preset", preset, text, write_config, &error);
    }
    char *read = read_text(path, &error);
    if (!read)
        return cli_fail(c, &error);
    int code = describe(c, "path", path, read, write_config, &error);
    free(read);
    return code;
}
