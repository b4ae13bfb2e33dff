/* config.c: reads a configuration by the table of config_keys.c. What ties several keys together is
 * in config_check.c. */
#include "model/config.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "mixer/mixer.h"
#include "model/config_check.h"
#include "model/config_keys.h"

enum { TEXT_MAX = 1 << 20, DEPTH_MAX = 32, QUOTE_MAX = 60 };

int64_t config_of_layer(const config_list *list, int64_t layer) {
    return list->value[layer % list->n];
}

int config_learned_positions(const config_level *l) {
    return l->positions == POSITIONS_LEARNED || l->positions == POSITIONS_LEARNED_ROPE;
}

int config_rotary_positions(const config_level *l) {
    return l->positions == POSITIONS_ROPE || l->positions == POSITIONS_LEARNED_ROPE;
}

const char *config_codec_name(const config *c) {
    static const char *const names[] = {NULL, "pcm8", "mulaw8", "pcm16", "image", "records"};
    return names[c->codec];
}

int config_whole_files(const config *c) {
    return c->codec == CODEC_IMAGE;
}

int64_t config_unit_bytes(const config *c, int level) {
    int64_t bytes = 1;
    for (int s = level; s < c->n_levels - 1; s++)
        bytes *= c->level[s].patch;
    return bytes;
}

/* --- quotes ------------------------------------------------------------------------------- */

/* The text cut after at most QUOTE_MAX bytes, never inside a character of UTF-8. */
static void quote_text(char out[QUOTE_MAX + 6], const char *text) {
    size_t n = strlen(text);
    const char *dots = n > QUOTE_MAX ? "..." : "";
    if (n > QUOTE_MAX) {
        n = QUOTE_MAX;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
    }
    snprintf(out, QUOTE_MAX + 6, "\"%.*s%s\"", (int)n, text, dots);
}

/* --- errors ------------------------------------------------------------------------------- */

typedef struct reader {
    const char *name;
    octet_error *error;
} reader;

/* "name: place.key: what". place is "", "levels[0]." or "train.". */
static octet_status fail(const reader *r, const char *place, const char *key_name,
                         const char *format, ...) ERROR_FORMAT(4, 5);

static octet_status fail(const reader *r, const char *place, const char *key_name,
                         const char *format, ...) {
    char what[320];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(what, sizeof what, format, arguments) < 0)
        what[0] = '\0';
    va_end(arguments);
    return error_set(r->error, OCTET_ERROR, "%s: %s%s: %s", r->name, place, key_name, what);
}

static octet_status fail_type(const reader *r, const char *place, const char *key_name,
                              const json_t *value, const char *needed) {
    char text[QUOTE_MAX + 32], quote[QUOTE_MAX + 6];
    switch (json_typeof(value)) {
    case JSON_STRING:
        quote_text(quote, json_string_value(value));
        snprintf(text, sizeof text, "%s is a string", quote);
        break;
    case JSON_INTEGER:
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT " is an integer",
                 json_integer_value(value));
        break;
    case JSON_REAL:
        config_number_text(quote, json_real_value(value));
        snprintf(text, sizeof text, "%s%s is a real number", quote,
                 strpbrk(quote, ".e") ? "" : ".0");
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
        snprintf(text, sizeof text, "this is %s", json_is_array(value) ? "an array" : "an object");
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(text, sizeof text, "%s is a boolean", json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        snprintf(text, sizeof text, "null has no value");
        break;
    }
    return fail(r, place, key_name, "%s, %s is needed", text, needed);
}

/* --- reading ------------------------------------------------------------------------------ */

static octet_status read_number(const reader *r, const char *place, const config_key *k,
                                const json_t *value, void *target) {
    if (k->kind == KEY_INTEGER && !json_is_integer(value))
        return fail_type(r, place, k->name, value, "an integer");
    if (!json_is_number(value))
        return fail_type(r, place, k->name, value, "a number");
    double number = json_number_value(value) + 0.0; /* -0 becomes 0 */
    int is_edge = ((k->rules & ABOVE_LOW) && number == k->low) ||
                  ((k->rules & BELOW_HIGH) && number == k->high);
    if (number < k->low || number > k->high || is_edge) {
        char text[32], low[32], high[32];
        config_number_text(text, number);
        config_number_text(low, k->low);
        config_number_text(high, k->high);
        return fail(r, place, k->name, "%s is outside %s to %s%s", text, low, high,
                    is_edge ? ", which itself is left out" : "");
    }
    config_key_store(k, target, number);
    return OCTET_OK;
}

static octet_status read_choice(const reader *r, const char *place, const config_key *k,
                                const json_t *value, void *target) {
    char names[128], quote[QUOTE_MAX + 6];
    size_t used = 0;
    if (!json_is_string(value))
        return fail_type(r, place, k->name, value, "a string");
    for (int i = 0; k->choices[i]; i++) {
        if (strcmp(k->choices[i], json_string_value(value)) == 0) {
            config_key_store(k, target, i);
            return OCTET_OK;
        }
        used += (size_t)snprintf(names + used, sizeof names - used, "%s\"%s\"", i ? ", " : "",
                                 k->choices[i]);
    }
    quote_text(quote, json_string_value(value));
    return fail(r, place, k->name, "%s is none of %s", quote, names);
}

/* The index of the mixer of that name. */
static octet_status read_mixer(const reader *r, const char *place, const config_key *k,
                               const json_t *value, int64_t *index) {
    char names[256] = "", quote[QUOTE_MAX + 6];
    if (!json_is_string(value))
        return fail_type(r, place, k->name, value, "a string");
    for (int i = 0; mixer_at(i); i++) {
        size_t used = strlen(names);
        *index = i;
        if (strcmp(mixer_at(i)->name, json_string_value(value)) == 0)
            return OCTET_OK;
        snprintf(names + used, sizeof names - used, "%s\"%s\"", i ? ", " : "", mixer_at(i)->name);
    }
    quote_text(quote, json_string_value(value));
    return fail(r, place, k->name, "%s is none of %s", quote, names);
}

static octet_status read_list(const reader *r, const char *place, const config_key *k,
                              const json_t *value, void *target) {
    char name[64];
    config_list list = {0};
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    if (n < 1 || n > CONFIG_MAX_LAYERS)
        return fail(r, place, k->name, "%zu items are outside 1 to %d", n, CONFIG_MAX_LAYERS);
    octet_status status = OCTET_OK;
    for (size_t i = 0; i < n && !status; i++) {
        int64_t number = 0;
        config_key one = *k;
        one.kind = KEY_INTEGER;
        one.offset = 0;
        if (json_is_array(value)) {
            snprintf(name, sizeof name, "%s[%zu]", k->name, i);
            one.name = name;
        }
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        status = k->kind == KEY_MIXERS ? read_mixer(r, place, &one, item, &number)
                                       : read_number(r, place, &one, item, &number);
        list.value[list.n++] = (int32_t)number;
    }
    if (!status)
        memcpy((char *)target + k->offset, &list, sizeof list);
    return status;
}

static octet_status read_set(const reader *r, const char *place, const config_key *k,
                             const json_t *value, void *target) {
    size_t i;
    const json_t *item;
    int set = 0;
    json_int_t before = 0;
    if (!json_is_array(value))
        return fail_type(r, place, k->name, value, "an array");
    json_array_foreach(value, i, item) {
        json_int_t number = json_integer_value(item);
        if (!json_is_integer(item))
            return fail_type(r, place, k->name, item, "an integer");
        if ((double)number < k->low || (double)number > k->high)
            return fail(r, place, k->name, "%" JSON_INTEGER_FORMAT " is outside %d to %d", number,
                        (int)k->low, (int)k->high);
        if (number <= before)
            return fail(r, place, k->name,
                        "%" JSON_INTEGER_FORMAT " after %" JSON_INTEGER_FORMAT
                        ", ascending numbers are needed",
                        number, before);
        set |= 1 << number;
        before = number;
    }
    config_key_store(k, target, set);
    return OCTET_OK;
}

static octet_status read_value(const reader *r, const char *place, const config_key *k,
                               const json_t *value, void *target) {
    switch (k->kind) {
    case KEY_INTEGER:
    case KEY_REAL:
        return read_number(r, place, k, value, target);
    case KEY_FLAG:
        if (!json_is_boolean(value))
            return fail_type(r, place, k->name, value, "true or false");
        config_key_store(k, target, json_is_true(value));
        return OCTET_OK;
    case KEY_CHOICE:
        return read_choice(r, place, k, value, target);
    case KEY_LIST:
    case KEY_MIXERS:
        return read_list(r, place, k, value, target);
    case KEY_SET:
        return read_set(r, place, k, value, target);
    }
    return OCTET_OK;
}

static int is_known(const config_layout *l, const char *name) {
    for (int i = 0; i < l->n_keys; i++)
        if (strcmp(l->keys[i].name, name) == 0)
            return 1;
    for (int i = 0; l->nested[i]; i++)
        if (strcmp(l->nested[i], name) == 0)
            return 1;
    return 0;
}

/* Fills `target` by the rows of the layout. object NULL stands for one without keys. */
static octet_status read_object(const reader *r, const char *place, const config_layout *l,
                                json_t *object, void *target) {
    const char *name;
    json_t *value;
    char quote[QUOTE_MAX + 6];
    json_object_foreach(object, name, value) {
        if (is_known(l, name))
            continue;
        quote_text(quote, name);
        int named = (int)strcspn(place, "."); /* the place without its point */
        return error_set(r->error, OCTET_ERROR, "%s: unknown key %s%s%.*s", r->name, quote,
                         named ? " in " : "", named, place);
    }
    for (int i = 0; i < l->n_keys; i++) {
        const config_key *k = &l->keys[i];
        value = json_object_get(object, k->name);
        octet_status status = OCTET_OK;
        if (value)
            status = read_value(r, place, k, value, target);
        else if (k->rules & REQUIRED)
            status = fail(r, place, k->name, "this key is missing");
        else
            config_key_store(k, target, k->standard);
        if (status)
            return status;
    }
    return OCTET_OK;
}

static octet_status read_level(const reader *r, json_t *object, config *c, int s) {
    char place[32];
    snprintf(place, sizeof place, "levels[%d]", s);
    if (!json_is_object(object))
        return fail_type(r, "", place, object, "an object");
    snprintf(place, sizeof place, "levels[%d].", s);
    octet_status status = read_object(r, place, &CONFIG_LEVEL, object, &c->level[s]);
    if (status)
        return status;
    int is_last = s == c->n_levels - 1;
    int has_patch = json_object_get(object, "patch") != NULL;
    if (is_last && has_patch)
        return fail(r, place, "patch", "%" PRId64 " is given, but the last level has no patches",
                    c->level[s].patch);
    if (!is_last && !has_patch)
        return fail(r, place, "patch", "this key is missing");
    return OCTET_OK;
}

static octet_status read_model(const reader *r, json_t *root, config *c) {
    if (!json_is_object(root))
        return error_set(r->error, OCTET_ERROR, "%s: this is an array, an object is needed",
                         r->name);
    octet_status status = read_object(r, "", &CONFIG_MODEL, root, c);
    if (status)
        return status;
    json_t *levels = json_object_get(root, "levels"), *train = json_object_get(root, "train");
    if (!levels)
        return fail(r, "", "levels", "this key is missing");
    if (!json_is_array(levels))
        return fail_type(r, "", "levels", levels, "an array");
    size_t n = json_array_size(levels);
    if (n < 1 || n > CONFIG_MAX_LEVELS)
        return fail(r, "", "levels", "%zu levels are outside 1 to %d", n, CONFIG_MAX_LEVELS);
    c->n_levels = (int)n;
    for (int s = 0; s < c->n_levels && !status; s++)
        status = read_level(r, json_array_get(levels, (size_t)s), c, s);
    if (!status && train && !json_is_object(train))
        status = fail_type(r, "", "train", train, "an object");
    if (!status)
        status = read_object(r, "train.", &CONFIG_TRAIN, train, &c->train);
    return status;
}

/* --- the text ----------------------------------------------------------------------------- */

/* Refuses nesting that a recursive parser should not see. Up to the first error in the text this
 * finds the same strings as the parser, which stops there. */
static octet_status check_depth(const reader *r, const char *text, size_t size) {
    int depth = 0, in_string = 0, line = 1, column = 0;
    for (size_t i = 0; i < size; i++) {
        column++;
        if (text[i] == '\n') {
            line++;
            column = 0;
        }
        if (in_string && text[i] == '\\') {
            i++;
            column++;
        } else if (text[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && (text[i] == '[' || text[i] == '{')) {
            if (++depth > DEPTH_MAX)
                return error_set(r->error, OCTET_ERROR,
                                 "%s:%d:%d: nested deeper than the limit of %d", r->name, line,
                                 column, DEPTH_MAX);
        } else if (!in_string && (text[i] == ']' || text[i] == '}')) {
            depth--;
        }
    }
    return OCTET_OK;
}

static octet_status fail_syntax(const reader *r, const json_error_t *e) {
    enum json_error_code code = json_error_code(e);
    if (code == json_error_out_of_memory)
        return error_set(r->error, OCTET_NO_MEMORY, "%s: out of memory", r->name);
    const char *what = e->text;
    if (code == json_error_duplicate_key) {
        const char *token = strchr(what, '"'), *end = strrchr(what, '"');
        if (token && end > token)
            return error_set(r->error, OCTET_ERROR, "%s:%d:%d: duplicate key %.*s", r->name,
                             e->line, e->column, (int)(end - token) + 1, token);
    }
    return error_set(r->error, OCTET_ERROR, "%s:%d:%d: %s", r->name, e->line, e->column, what);
}

octet_status config_parse(config *out, const char *text, size_t size, const char *name,
                          octet_error *error) {
    reader r = {name, error};
    memset(out, 0, sizeof *out);
    if (size > TEXT_MAX)
        return error_set(error, OCTET_ERROR, "%s: %zu bytes are more than the limit of %d", name,
                         size, TEXT_MAX);
    octet_status status = check_depth(&r, text, size);
    if (status)
        return status;
    json_error_t e;
    json_t *root = json_loadb(size ? text : "", size, JSON_REJECT_DUPLICATES, &e);
    if (!root)
        return fail_syntax(&r, &e);
    config c;
    memset(&c, 0, sizeof c);
    status = read_model(&r, root, &c);
    if (!status)
        status = config_check(&c, name, error);
    json_decref(root);
    if (!status)
        memcpy(out, &c, sizeof c);
    return status;
}

octet_status config_read(config *out, const char *path, octet_error *error) {
    file_bytes file;
    memset(out, 0, sizeof *out);
    octet_status status = file_read(&file, path, TEXT_MAX, error);
    if (status)
        return status;
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    status = config_parse(out, (const char *)file.data, file.size, name, error);
    file_close(&file);
    return status;
}
