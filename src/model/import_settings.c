/* import_settings.c: what a foreign file does not say: settings by name, from a JSON file and from
 * "name=value". */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/import_plan.h"

enum { SIDE_MAX = 1 << 20, INTEGER_MAX = 1 << 24 };

/* --- where they come from */

/* {"config": {...}, "version": "0.3.2", ...} or the settings themselves. */
static void take_side(import_plan *p, json_t *root) {
    json_t *inner = json_object_get(root, "config"), *version = json_object_get(root, "version");
    int knows_version = 0;
    for (const char *const *name = p->format->settings; *name; name++)
        knows_version |= !strcmp(*name, "version");
    int failed = json_object_update(p->settings, json_is_object(inner) ? inner : root);
    if (json_is_object(inner) && version && knows_version &&
        !json_object_get(p->settings, "version"))
        failed |= json_object_set(p->settings, "version", version);
    if (failed)
        error_memory(&p->error, p->path, 4096);
}

static void read_side(import_plan *p, const char *path) {
    file_bytes file;
    json_error_t fault;
    if (file_read(&file, path, SIDE_MAX, &p->error))
        return;
    json_t *root = json_loadb(file.size ? (const char *)file.data : "", file.size,
                              JSON_REJECT_DUPLICATES, &fault);
    const char *name = strcmp(path, "-") ? path : "standard input";
    if (!root)
        error_set(&p->error, OCTET_ERROR, "%.100s:%d:%d: %s", name, fault.line, fault.column,
                  fault.text);
    else if (!json_is_object(root))
        error_set(&p->error, OCTET_ERROR, "%.100s: this is an array, an object is needed", name);
    else
        take_side(p, root);
    json_decref(root);
    file_close(&file);
}

/* name=value; what is not JSON is a text. */
static void take_setting(import_plan *p, json_t *set, const char *setting) {
    const char *equals = strchr(setting, '=');
    char name[64];
    if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof name) {
        import_fail(p, OCTET_ERROR, "setting \"%.60s\" is not of the form name=value", setting);
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals - setting), setting);
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!value)
        value = json_string(equals + 1);
    if (!value)
        import_fail(p, OCTET_ERROR, "setting %s: the value is neither JSON nor UTF-8", name);
    else if (json_object_get(set, name)) {
        import_fail(p, OCTET_ERROR, "setting %s: given twice", name);
        json_decref(value);
    } else {
        import_set(p, set, name, value);
    }
}

void import_settings_read(import_plan *p, const octet_import_params *given) {
    if (!given || p->error.code)
        return;
    if (given->side)
        read_side(p, given->side);
    json_t *set = json_object();
    for (int i = 0; set && i < given->n_settings && !p->error.code; i++)
        take_setting(p, set, given->settings[i]);
    if (!p->error.code && (!set || json_object_update(p->settings, set)))
        error_memory(&p->error, p->path, 4096);
    json_decref(set);
    import_settings_known(p, &(import_place){p->settings, ""}, p->format->settings);
}

void import_settings_known(import_plan *p, const import_place *at, const char *const *names) {
    const char *key;
    json_t *value;
    char list[300] = "";
    if (p->error.code)
        return;
    json_object_foreach((json_t *)at->object, key, value) {
        const char *const *name = names;
        while (*name && strcmp(*name, key))
            name++;
        if (*name)
            continue;
        for (name = names; *name; name++) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *name);
        }
        import_fail(p, OCTET_ERROR, "setting %s%.60s is none of %s", at->name, key, list);
        return;
    }
}

/* --- values */

/* The setting's value; NULL when it is not there or null. */
static const json_t *value_of(const import_plan *p, const import_place *at, const char *name) {
    const json_t *value = p->error.code ? NULL : json_object_get(at->object, name);
    return json_is_null(value) ? NULL : value;
}

/* The value as JSON, cut; returns out. */
static const char *write_value(char out[64], const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    snprintf(out, 64, "%.60s", text ? text : "?");
    free(text);
    return out;
}

static void wrong_type(import_plan *p, const import_place *at, const char *name,
                       const json_t *value, const char *needed) {
    char text[64];
    import_fail(p, OCTET_ERROR, "setting %s%s: %s is given, %s is needed", at->name, name,
                write_value(text, value), needed);
}

/* Whether a value is an integer in the range of all settings. */
static int is_integer(const json_t *value) {
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           json_integer_value(value) <= INTEGER_MAX;
}

int import_integer(import_plan *p, const import_place *at, const char *name, int64_t *value) {
    const json_t *found = value_of(p, at, name);
    if (found && !is_integer(found))
        wrong_type(p, at, name, found, "an integer from 0 to 16777216");
    if (!found || p->error.code)
        return 0;
    *value = json_integer_value(found);
    return 1;
}

int import_real(import_plan *p, const import_place *at, const char *name, double *value) {
    const json_t *found = value_of(p, at, name);
    if (found && !json_is_number(found))
        wrong_type(p, at, name, found, "a number");
    if (!found || p->error.code)
        return 0;
    *value = json_number_value(found);
    return 1;
}

int import_flag(import_plan *p, const import_place *at, const char *name, int *value) {
    const json_t *found = value_of(p, at, name);
    if (found && !json_is_boolean(found))
        wrong_type(p, at, name, found, "true or false");
    if (!found || p->error.code)
        return 0;
    *value = json_is_true(found);
    return 1;
}

int import_text(import_plan *p, const import_place *at, const char *name, const char **value) {
    const json_t *found = value_of(p, at, name);
    if (found && !json_is_string(found))
        wrong_type(p, at, name, found, "a text");
    if (!found || p->error.code)
        return 0;
    *value = json_string_value(found);
    return 1;
}

void import_agree(import_plan *p, const import_place *at, const char *name, int64_t found) {
    int64_t given;
    if (import_integer(p, at, name, &given) && given != found)
        import_fail(p, OCTET_ERROR, "setting %s%s: %" PRId64 " is given, the file has %" PRId64,
                    at->name, name, given, found);
}

/* [6, ?, 4] */
static const char *write_list(char out[160], const int64_t *list, int n, int skip) {
    size_t used = 0;
    for (int i = 0; i < n && used < 130; i++) {
        used += (size_t)snprintf(out + used, 160 - used, "%s", i ? "," : "[");
        if (i == skip)
            used += (size_t)snprintf(out + used, 160 - used, "?");
        else
            used += (size_t)snprintf(out + used, 160 - used, "%" PRId64, list[i]);
    }
    snprintf(out + used, 160 - used, "]");
    return out;
}

void import_agree_list(import_plan *p, const import_place *at, const char *name,
                       const int64_t *found, int n, int skip) {
    const json_t *given = value_of(p, at, name);
    char text[64], list[160];
    int fits = !json_is_array(given) || json_array_size(given) == (size_t)n;
    for (int i = 0; given && i < n && fits; i++) {
        const json_t *one = json_is_array(given) ? json_array_get(given, (size_t)i) : given;
        if (!is_integer(one)) {
            wrong_type(p, at, name, given, "one integer, or an array of them");
            return;
        }
        fits = i == skip || json_integer_value(one) == found[i];
    }
    if (given && !fits)
        import_fail(p, OCTET_ERROR, "setting %s%s: %s is given, the file has %s", at->name, name,
                    write_value(text, given), write_list(list, found, n, skip));
}

void import_ask(import_plan *p, const char *format, ...) {
    va_list arguments;
    size_t used = strlen(p->missing);
    if (p->error.code)
        return;
    used += (size_t)snprintf(p->missing + used, sizeof p->missing - used, "%s", used ? "; " : "");
    if (used >= sizeof p->missing)
        return;
    va_start(arguments, format);
    vsnprintf(p->missing + used, sizeof p->missing - used, format, arguments);
    va_end(arguments);
}
