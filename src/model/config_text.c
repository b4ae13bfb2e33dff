/* config_text.c: a configuration as normalised text, whole or as the model's identity. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mixer/mixer.h"
#include "model/config_keys.h"

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

static void write_list(writer *w, const config_key *k, const void *at) {
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

static void write_value(writer *w, const config_key *k, const void *source) {
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
        config_number_text(text, real);
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
static int is_standard(const config_key *k, const void *source) {
    config_list standard = {0}; /* the largest kind */
    config_key first = *k;
    size_t size = sizeof(int);
    if (k->kind == KEY_INTEGER || k->kind == KEY_REAL)
        size = sizeof(int64_t);
    else if (k->kind == KEY_LIST || k->kind == KEY_MIXERS)
        size = sizeof standard;
    first.offset = 0;
    config_key_store(&first, &standard, k->standard);
    return !(k->rules & REQUIRED) && memcmp((const char *)source + k->offset, &standard, size) == 0;
}

/* The keys of a layout without braces; `skip` is a key to leave out, or NULL. */
static void write_keys(writer *w, const config_layout *l, const void *source, const char *skip) {
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
    write_keys(&w, &CONFIG_MODEL, c, NULL);
    write_text(&w, ", \"levels\": [");
    for (int s = 0; s < c->n_levels; s++) {
        write_text(&w, s ? ", {" : "{");
        write_keys(&w, &CONFIG_LEVEL, &c->level[s], s == c->n_levels - 1 ? "patch" : NULL);
        write_text(&w, "}");
    }
    write_text(&w, "]");
    if (!identity) {
        write_text(&w, ", \"train\": {");
        write_keys(&w, &CONFIG_TRAIN, &c->train, NULL);
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
