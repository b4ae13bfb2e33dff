/* config.c: see config.h.
 *
 * Every key is one row of a table: name, type, offset in the struct, range, default. Reading,
 * checking and writing all walk the same rows, so that a key cannot be read and then forgotten by
 * the text that a checkpoint stores. What ties several keys together is in config_check.c. */
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
#include "patch/ngrams.h"

enum { TEXT_MAX = 1 << 20, DEPTH_MAX = 32, QUOTE_MAX = 60 };

/* --- the keys ----------------------------------------------------------------------------- */

typedef enum key_kind {
    KEY_INTEGER,
    KEY_REAL,
    KEY_FLAG,
    KEY_CHOICE,
    KEY_LIST,
    KEY_MIXERS, /* a list of names */
    KEY_SET
} key_kind;

enum { REQUIRED = 1, ABOVE_LOW = 2, BELOW_HIGH = 4 }; /* the range leaves out low, or high */

typedef struct key {
    const char *name;
    key_kind kind;
    size_t offset;
    double low, high, standard;
    unsigned rules;
    const char *const *choices; /* names in the order of the enum; ends with NULL */
} key;

/* Flags are int; choices are enums, which are stored as int; a set of small numbers is an int whose
 * bits are its members. */
_Static_assert(sizeof(config_mlp) == sizeof(int) && sizeof(config_norm) == sizeof(int) &&
                   sizeof(config_positions) == sizeof(int) &&
                   sizeof(config_optimizer) == sizeof(int),
               "enums are stored as int");

static const char *const MLP_NAMES[] = {"relu",   "relu2",       "gelu", "gelu-tanh",
                                        "swiglu", "leaky-relu2", NULL};
static const char *const NORM_NAMES[] = {"rms", "layer", NULL};
static const char *const POSITION_NAMES[] = {"learned", "rope", "none", "alibi", NULL};
static const char *const OPTIMIZER_NAMES[] = {"adamw", "muon", NULL};

#define ROW(type, field, kind, ...)                                                                \
    { #field, kind, offsetof(type, field), __VA_ARGS__ }
#define INTEGER(type, field, low, high, standard, rules)                                           \
    ROW(type, field, KEY_INTEGER, low, high, standard, rules, NULL)
#define REAL(type, field, low, high, standard, rules)                                              \
    ROW(type, field, KEY_REAL, low, high, standard, rules, NULL)
#define LIST(type, field, low, high, standard)                                                     \
    ROW(type, field, KEY_LIST, low, high, standard, 0, NULL)
#define FLAG(type, field, standard) ROW(type, field, KEY_FLAG, 0, 1, standard, 0, NULL)
#define CHOICE(type, field, names, standard) ROW(type, field, KEY_CHOICE, 0, 0, standard, 0, names)
#define SET(type, field, low, high) ROW(type, field, KEY_SET, low, high, 0, 0, NULL)

static const key MODEL_KEYS[] = {
    INTEGER(config, context, 1, 1 << 24, 0, REQUIRED),
    INTEGER(config, keep, 0, 1 << 24, CONFIG_DERIVED, 0),
    INTEGER(config, vocabulary, 256, 65536, 256, 0),
    FLAG(config, tied_head, 1),
    FLAG(config, zero_pad, 0),
    FLAG(config, endless, 0),
    REAL(config, softcap, 0, 1000, 0, 0),
    REAL(config, init_scale, 0.001, 10, 1, 0),
};

static const key LEVEL_KEYS[] = {
    INTEGER(config_level, dim, 4, 16384, 0, REQUIRED),
    INTEGER(config_level, layers, 0, CONFIG_MAX_LAYERS, 0, REQUIRED),
    INTEGER(config_level, heads, 1, 256, 0, REQUIRED),
    INTEGER(config_level, kv_heads, 1, 256, CONFIG_DERIVED, 0),
    INTEGER(config_level, head_size, 2, 512, CONFIG_DERIVED, 0),
    INTEGER(config_level, patch, 2, 1024, 1, 0), /* read_level: required or refused */
    INTEGER(config_level, cross_patch, 0, 1024, 0, 0),
    LIST(config_level, window, 0, 1 << 24, 0),
    LIST(config_level, block_local, 0, 1 << 24, 0),
    INTEGER(config_level, mlp_width, 1, 65536, CONFIG_DERIVED, 0),
    CHOICE(config_level, mlp, MLP_NAMES, MLP_RELU2),
    CHOICE(config_level, norm, NORM_NAMES, CONFIG_NORM_RMS),
    FLAG(config_level, bias, 0),
    CHOICE(config_level, positions, POSITION_NAMES, POSITIONS_ROPE),
    REAL(config_level, rope_base, 1, 1e9, 10000, ABOVE_LOW),
    REAL(config_level, rope_scale, 1, 1e6, 1, 0),
    FLAG(config_level, qk_norm, 1),
    FLAG(config_level, zero_init, 1),
    SET(config_level, ngrams, 2, NGRAM_MAX),
    INTEGER(config_level, ngram_rows, 1, 1 << 24, 16384, 0),
    INTEGER(config_level, ngram_width, 1, 1024, 32, 0),
    FLAG(config_level, conv_encoder, 0),
    ROW(config_level, mixer, KEY_MIXERS, 0, 0, 0, 0, NULL),
    FLAG(config_level, x0_mix, 0),
    FLAG(config_level, value_residual, 0),
    FLAG(config_level, token_shift, 0),
    REAL(config_level, dropout, 0, 1, 0, BELOW_HIGH),
};

static const key TRAIN_KEYS[] = {
    CHOICE(config_train, optimizer, OPTIMIZER_NAMES, OPTIMIZER_MUON),
    INTEGER(config_train, batch, 1, 65536, 16, 0),
    INTEGER(config_train, micro_batches, 1, 65536, 1, 0),
    INTEGER(config_train, steps, 1, 1e9, 1000, 0),
    REAL(config_train, lr, 0, 10, CONFIG_DERIVED, 0),
    REAL(config_train, muon_lr, 0, 10, 0.02, 0),
    INTEGER(config_train, warmup, 0, 1e9, 20, 0),
    REAL(config_train, decay, 0, 1, 0.6, 0),
    REAL(config_train, final_lr, 0, 1, 0, 0),
    REAL(config_train, weight_decay, 0, 10, CONFIG_DERIVED, 0),
    REAL(config_train, beta1, 0, 1, 0.9, BELOW_HIGH),
    REAL(config_train, beta2, 0, 1, 0.95, BELOW_HIGH),
    REAL(config_train, epsilon, 1e-30, 1, 1e-10, 0),
    REAL(config_train, momentum, 0, 1, 0.95, BELOW_HIGH),
    REAL(config_train, clip, 0, 1e9, 1, 0),
    REAL(config_train, mean, 0, 1, 0.04, 0),
};

/* An object of the text: its rows, and the keys that hold objects of their own. */
typedef struct layout {
    const key *keys;
    int n_keys;
    const char *const *nested; /* ends with NULL */
} layout;

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const char *const NO_NAMES[] = {NULL};
static const char *const MODEL_NESTED[] = {"levels", "train", NULL};
static const layout MODEL_LAYOUT = {MODEL_KEYS, COUNT(MODEL_KEYS), MODEL_NESTED};
static const layout LEVEL_LAYOUT = {LEVEL_KEYS, COUNT(LEVEL_KEYS), NO_NAMES};
static const layout TRAIN_LAYOUT = {TRAIN_KEYS, COUNT(TRAIN_KEYS), NO_NAMES};

int64_t config_of_layer(const config_list *list, int64_t layer) {
    return list->value[layer % list->n];
}

int64_t config_unit_bytes(const config *c, int level) {
    int64_t bytes = 1;
    for (int s = level; s < c->n_levels - 1; s++)
        bytes *= c->level[s].patch;
    return bytes;
}

/* --- numbers and quotes ------------------------------------------------------------------- */

/* The shortest form that reads back to the same double, with a point in every locale. */
static void number_text(char out[32], double value) {
    char digits[40];
    int precision = 1;
    if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value) {
        snprintf(out, 32, "%" PRId64, (int64_t)value);
        return;
    }
    do
        snprintf(digits, sizeof digits, "%.*g", precision, value);
    while (strtod(digits, NULL) != value && ++precision <= 17);
    size_t n = 0;
    for (const char *c = digits; *c != '\0' && n < 31; c++) {
        if (strchr("0123456789+-e", *c))
            out[n++] = *c;
        else if (n == 0 || out[n - 1] != '.')
            out[n++] = '.';
    }
    out[n] = '\0';
}

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
        number_text(quote, json_real_value(value));
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

static void store_value(const key *k, void *target, double value) {
    char *at = (char *)target + k->offset;
    if (k->kind == KEY_INTEGER) {
        int64_t number = (int64_t)value;
        memcpy(at, &number, sizeof number);
    } else if (k->kind == KEY_REAL) {
        memcpy(at, &value, sizeof value);
    } else if (k->kind == KEY_LIST || k->kind == KEY_MIXERS) {
        config_list list = {1, {(int32_t)value}};
        memcpy(at, &list, sizeof list);
    } else {
        int number = (int)value;
        memcpy(at, &number, sizeof number);
    }
}

static octet_status read_number(const reader *r, const char *place, const key *k,
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
        number_text(text, number);
        number_text(low, k->low);
        number_text(high, k->high);
        return fail(r, place, k->name, "%s is outside %s to %s%s", text, low, high,
                    is_edge ? ", which itself is left out" : "");
    }
    store_value(k, target, number);
    return OCTET_OK;
}

static octet_status read_choice(const reader *r, const char *place, const key *k,
                                const json_t *value, void *target) {
    char names[128], quote[QUOTE_MAX + 6];
    size_t used = 0;
    if (!json_is_string(value))
        return fail_type(r, place, k->name, value, "a string");
    for (int i = 0; k->choices[i]; i++) {
        if (strcmp(k->choices[i], json_string_value(value)) == 0) {
            store_value(k, target, i);
            return OCTET_OK;
        }
        used += (size_t)snprintf(names + used, sizeof names - used, "%s\"%s\"", i ? ", " : "",
                                 k->choices[i]);
    }
    quote_text(quote, json_string_value(value));
    return fail(r, place, k->name, "%s is none of %s", quote, names);
}

/* The index of the mixer of that name. */
static octet_status read_mixer(const reader *r, const char *place, const key *k,
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

static octet_status read_list(const reader *r, const char *place, const key *k, const json_t *value,
                              void *target) {
    char name[64];
    config_list list = {0};
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    if (n < 1 || n > CONFIG_MAX_LAYERS)
        return fail(r, place, k->name, "%zu items are outside 1 to %d", n, CONFIG_MAX_LAYERS);
    octet_status status = OCTET_OK;
    for (size_t i = 0; i < n && !status; i++) {
        int64_t number = 0;
        key one = *k;
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

static octet_status read_set(const reader *r, const char *place, const key *k, const json_t *value,
                             void *target) {
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
    store_value(k, target, set);
    return OCTET_OK;
}

static octet_status read_value(const reader *r, const char *place, const key *k,
                               const json_t *value, void *target) {
    switch (k->kind) {
    case KEY_INTEGER:
    case KEY_REAL:
        return read_number(r, place, k, value, target);
    case KEY_FLAG:
        if (!json_is_boolean(value))
            return fail_type(r, place, k->name, value, "true or false");
        store_value(k, target, json_is_true(value));
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

static int is_known(const layout *l, const char *name) {
    for (int i = 0; i < l->n_keys; i++)
        if (strcmp(l->keys[i].name, name) == 0)
            return 1;
    for (int i = 0; l->nested[i]; i++)
        if (strcmp(l->nested[i], name) == 0)
            return 1;
    return 0;
}

/* Fills `target` by the rows of the layout. object NULL stands for one without keys. */
static octet_status read_object(const reader *r, const char *place, const layout *l, json_t *object,
                                void *target) {
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
        const key *k = &l->keys[i];
        value = json_object_get(object, k->name);
        octet_status status = OCTET_OK;
        if (value)
            status = read_value(r, place, k, value, target);
        else if (k->rules & REQUIRED)
            status = fail(r, place, k->name, "this key is missing");
        else
            store_value(k, target, k->standard);
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
    octet_status status = read_object(r, place, &LEVEL_LAYOUT, object, &c->level[s]);
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
    octet_status status = read_object(r, "", &MODEL_LAYOUT, root, c);
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
        status = read_object(r, "train.", &TRAIN_LAYOUT, train, &c->train);
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

/* --- writing ------------------------------------------------------------------------------ */

/* Text that grows; data is NULL after memory ran out. */
typedef struct writer {
    char *data;
    size_t used, capacity;
    int identity; /* the form without defaults and without "train" */
} writer;

static void write_text(writer *w, const char *text) {
    size_t n = strlen(text);
    if (!w->data)
        return;
    if (n >= w->capacity - w->used) {
        size_t capacity = 2 * w->capacity + n;
        char *larger = realloc(w->data, capacity);
        if (!larger) {
            free(w->data);
            w->data = NULL;
            return;
        }
        w->data = larger;
        w->capacity = capacity;
    }
    memcpy(w->data + w->used, text, n + 1);
    w->used += n;
}

static void write_list(writer *w, const key *k, const void *at) {
    char text[64];
    config_list list;
    memcpy(&list, at, sizeof list);
    write_text(w, list.n == 1 ? "" : "[");
    for (int32_t i = 0; i < list.n; i++) {
        if (k->kind == KEY_MIXERS)
            snprintf(text, sizeof text, "%s\"%s\"", i ? ", " : "", mixer_at(list.value[i])->name);
        else
            snprintf(text, sizeof text, "%s%" PRId32, i ? ", " : "", list.value[i]);
        write_text(w, text);
    }
    write_text(w, list.n == 1 ? "" : "]");
}

static void write_set(writer *w, int set) {
    const char *before = "[";
    char text[32];
    for (int i = 0; set >> i; i++) {
        if (!(set >> i & 1))
            continue;
        snprintf(text, sizeof text, "%s%d", before, i);
        write_text(w, text);
        before = ", ";
    }
    write_text(w, set ? "]" : "[]");
}

static void write_value(writer *w, const key *k, const void *source) {
    const char *at = (const char *)source + k->offset;
    int64_t integer;
    double real;
    int number;
    char text[32];
    switch (k->kind) {
    case KEY_INTEGER:
        memcpy(&integer, at, sizeof integer);
        snprintf(text, sizeof text, "%" PRId64, integer);
        write_text(w, text);
        break;
    case KEY_REAL:
        memcpy(&real, at, sizeof real);
        number_text(text, real);
        write_text(w, text);
        break;
    case KEY_FLAG:
        memcpy(&number, at, sizeof number);
        write_text(w, number ? "true" : "false");
        break;
    case KEY_CHOICE:
        memcpy(&number, at, sizeof number);
        write_text(w, "\"");
        write_text(w, k->choices[number]);
        write_text(w, "\"");
        break;
    case KEY_LIST:
    case KEY_MIXERS:
        write_list(w, k, at);
        break;
    case KEY_SET:
        memcpy(&number, at, sizeof number);
        write_set(w, number);
        break;
    }
}

/* Whether the value is one that a text may leave out. A derived default never is, since it stands
 * below every range: a derived value counts as given. */
static int is_standard(const key *k, const void *source) {
    config_list standard = {0}; /* the largest kind */
    key first = *k;
    size_t size = sizeof(int);
    if (k->kind == KEY_INTEGER || k->kind == KEY_REAL)
        size = sizeof(int64_t);
    else if (k->kind == KEY_LIST || k->kind == KEY_MIXERS)
        size = sizeof standard;
    first.offset = 0;
    store_value(&first, &standard, k->standard);
    return !(k->rules & REQUIRED) && memcmp((const char *)source + k->offset, &standard, size) == 0;
}

/* The keys of a layout without braces; `skip` is a key to leave out, or NULL. */
static void write_keys(writer *w, const layout *l, const void *source, const char *skip) {
    const char *before = "\"";
    for (int i = 0; i < l->n_keys; i++) {
        if (skip && strcmp(l->keys[i].name, skip) == 0)
            continue;
        if (w->identity && is_standard(&l->keys[i], source))
            continue;
        write_text(w, before);
        write_text(w, l->keys[i].name);
        write_text(w, "\": ");
        write_value(w, &l->keys[i], source);
        before = ", \"";
    }
}

static char *write_config(const config *c, int identity) {
    writer w = {.capacity = 4096, .identity = identity};
    w.data = malloc(w.capacity);
    write_text(&w, "{");
    write_keys(&w, &MODEL_LAYOUT, c, NULL);
    write_text(&w, ", \"levels\": [");
    for (int s = 0; s < c->n_levels; s++) {
        write_text(&w, s ? ", {" : "{");
        write_keys(&w, &LEVEL_LAYOUT, &c->level[s], s == c->n_levels - 1 ? "patch" : NULL);
        write_text(&w, "}");
    }
    write_text(&w, "]");
    if (!identity) {
        write_text(&w, ", \"train\": {");
        write_keys(&w, &TRAIN_LAYOUT, &c->train, NULL);
        write_text(&w, "}");
    }
    write_text(&w, "}");
    return w.data;
}

char *config_text(const config *c) {
    return write_config(c, 0);
}

char *config_identity(const config *c) {
    return write_config(c, 1);
}
