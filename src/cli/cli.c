/* cli.c: see cli.h. */
#define _GNU_SOURCE
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/signals.h"
#include "cli/utf8.h"

/* --- messages --- */

/* One write of one line. Control bytes of file names would move the cursor or start a new line. */
static void say(cli *c, const char *format, va_list arguments) {
    char text[2048], line[4 * sizeof text + 64];
    size_t used = (size_t)snprintf(line, 64, c->command ? "octet %s: " : "octet: ", c->command);
    vsnprintf(text, sizeof text, format, arguments);
    for (const char *s = text; *s; s++) {
        unsigned char byte = (unsigned char)*s;
        if (byte < 32 || byte == 127)
            used += (size_t)snprintf(line + used, 5, "\\x%02x", byte);
        else
            line[used++] = *s;
    }
    line[used++] = '\n';
    progress_clear(&c->progress);
    for (size_t at = 0; at < used;) {
        ssize_t n = write(STDERR_FILENO, line + at, used - at);
        if (n <= 0)
            return; /* nobody to tell */
        at += (size_t)n;
    }
}

void cli_error(cli *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(c, format, arguments);
    va_end(arguments);
}

void cli_remark(cli *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!c->quiet)
        say(c, format, arguments);
    va_end(arguments);
}

void cli_detail(cli *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (c->verbose)
        say(c, format, arguments);
    va_end(arguments);
}

/* --- exit codes --- */

int cli_exit_code(octet_status status) {
    if (status == OCTET_STOPPED)
        return signals_caught() ? 128 + signals_caught() : 1;
    return status == OCTET_NO_MEMORY ? 1 : (int)status;
}

int cli_fail(cli *c, const octet_error *error) {
    if (error->code != OCTET_STOPPED)
        cli_error(c, "%s", error->text);
    return cli_exit_code(error->code);
}

int cli_finish(cli *c, output *out, int code) {
    output_flush(out);
    progress_clear(&c->progress);
    if (!out->error)
        return code;
    if (out->error == EINTR && signals_caught())
        return 128 + signals_caught();
    cli_error(c, "%s: %s", out->name, strerror(out->error));
    return code ? code : 1;
}

/* --- suggestions --- */

#define WORD_BYTES 32

/* Levenshtein's edit distance. */
static int distance(const char *a, const char *b) {
    int row[WORD_BYTES + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_BYTES || m > WORD_BYTES)
        return WORD_BYTES;
    for (size_t j = 0; j <= m; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[m];
}

const char *cli_nearest(const char *word, const char *const *names, int n) {
    const char *nearest = NULL;
    int best = 3;
    for (int i = 0; i < n; i++) {
        int d = distance(word, names[i]);
        if (d < best && d < (int)strlen(names[i])) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

/* --- runtime and model --- */

octet_status cli_runtime(cli *c, octet_matmul matmul, octet_runtime **out, octet_error *error) {
    octet_runtime_params params = {
        .threads = (int)c->threads, .matmul = matmul, .device = c->device};
    const int is_auto = c->device && !strcmp(c->device, "auto");
    if (is_auto)
        params.device = matmul == OCTET_MATMUL_OPENBLAS ? "cpu" : "vulkan";
    octet_status status = octet_runtime_create(out, &params, error);
    if (status && is_auto) {
        cli_remark(c, "on the CPU: %s", error->text);
        params.device = "cpu";
        status = octet_runtime_create(out, &params, error);
    } else if (is_auto && !status) {
        cli_remark(c, "on %s, %s", octet_runtime_device(*out), octet_runtime_cpu(*out));
    }
    if (!status)
        cli_detail(c, "device %s, %s, %d threads", octet_runtime_device(*out),
                   octet_runtime_cpu(*out), octet_runtime_threads(*out));
    return status;
}

/* The first bundled model of a name. */
typedef struct bundled {
    const char *name;
    int found;
    char path[4096];
} bundled;

static void find_bundled(void *context, const char *name, const char *path) {
    bundled *b = context;
    if (!b->found && !strcmp(name, b->name) && strlen(path) < sizeof b->path) {
        b->found = 1;
        strcpy(b->path, path);
    }
}

static octet_status open_bundled(const char *name, octet_runtime *runtime, octet_model **model,
                                 octet_error *error) {
    bundled b = {.name = name};
    *model = NULL;
    octet_models_list(find_bundled, &b);
    if (b.found) /* by path: a file of that name here must not take its place */
        return octet_model_open(model, runtime, b.path, error);
    error->code = OCTET_ERROR;
    snprintf(error->text, sizeof error->text,
             "no bundled model \"%s\" found; -m MODEL names another, OCTET_MODELS their directory",
             name);
    return OCTET_ERROR;
}

octet_status cli_model(const char *name, octet_runtime *runtime, octet_model **model,
                       octet_error *error) {
    *model = NULL;
    return name ? octet_model_open(model, runtime, name, error)
                : open_bundled("text", runtime, model, error);
}

octet_profile cli_profile(const char *name) {
    return name && !strcmp(name, octet_profile_name(OCTET_INT8)) ? OCTET_INT8 : OCTET_F32;
}

octet_status cli_open(cli *c, const char *name, octet_runtime **runtime, octet_model **model,
                      octet_error *error) {
    return cli_open_or(c, name, "text", runtime, model, error);
}

octet_status cli_open_or(cli *c, const char *name, const char *otherwise, octet_runtime **runtime,
                         octet_model **model, octet_error *error) {
    octet_model_info info;
    *model = NULL;
    octet_status status = cli_runtime(c, OCTET_MATMUL_EXACT, runtime, error);
    if (!status)
        status = name ? octet_model_open(model, *runtime, name, error)
                      : open_bundled(otherwise, *runtime, model, error);
    if (status) {
        cli_close(runtime, model);
        return status;
    }
    octet_model_info_get(*model, &info);
    cli_detail(c, "model %s, %lld parameters, fingerprint %s", info.path,
               (long long)info.parameters, info.fingerprint);
    return OCTET_OK;
}

void cli_close(octet_runtime **runtime, octet_model **model) {
    octet_model_destroy(model);
    octet_runtime_destroy(runtime);
}

/* --- JSON --- */

json_t *cli_json_text(const char *text) {
    static const char replacement[] = "\xef\xbf\xbd";
    size_t n = strlen(text), used = 0;
    char *clean = malloc(3 * n + 1);
    if (!clean)
        return NULL;
    for (size_t i = 0; i < n;) {
        int length = utf8_sequence((const uint8_t *)text + i, n - i);
        const char *from = length > 0 ? text + i : replacement;
        size_t bytes = length > 0 ? (size_t)length : 3;
        memcpy(clean + used, from, bytes);
        used += bytes;
        i += length > 0 ? bytes : 1;
    }
    json_t *value = json_stringn(clean, used);
    free(clean);
    return value;
}

json_t *cli_json_number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static int dump(const char *bytes, size_t n, void *context) {
    output *out = context;
    output_write(out, bytes, n);
    return out->error ? -1 : 0;
}

void cli_json_print(cli *c, output *out, json_t *value) {
    int failed = !value || json_dump_callback(value, dump, out, JSON_ENCODE_ANY);
    json_decref(value);
    if (!failed)
        output_write(out, "\n", 1);
    else if (!out->error) {
        out->error = ENOMEM;
        cli_detail(c, "no memory for the JSON text");
    }
}
