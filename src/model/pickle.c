/* pickle.c: see pickle.h.
 *
 * Two passes. The first walks the opcodes without running them and counts what they can make; so
 * the second, which runs them, never allocates. A container that was fetched from the memo may not
 * change any more: what writes data without cycles never does that, and nothing else makes a cycle.
 */
#include "model/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "model/pickle_machine.h"

/* ---------------------------------------------------------------------------------------------- */
/* The passes */

/* Bytes of the argument at `from`, of which *skip state its length; false where the pickle ends. */
static bool find_argument(const pickle_machine *m, const pickle_opcode *op, size_t from,
                          size_t *skip, size_t *bytes) {
    const uint8_t *at = m->p->text + from;
    const size_t left = m->p->size - from;
    *skip = op->argument == PICKLE_COUNTED ? 4 : op->argument == PICKLE_COUNTED_BYTE ? 1 : 0;
    if (left < *skip) {
        return false;
    }
    *bytes = op->argument >= 0 ? (size_t)op->argument : (size_t)pickle_number(at, *skip);
    if (op->argument == PICKLE_LINES) {
        const uint8_t *first = memchr(at, '\n', left);
        const uint8_t *second =
            first == NULL ? NULL : memchr(first + 1, '\n', left - (size_t)(first + 1 - at));
        if (second == NULL) {
            return false;
        }
        *bytes = (size_t)(second + 1 - at);
    }
    return left - *skip >= *bytes;
}

/* Takes the opcode at m->next apart. */
static octet_status fetch(pickle_machine *m) {
    m->at = m->next;
    if (m->at >= m->p->size) {
        return pickle_fail(m, "the pickle ends without STOP");
    }
    const uint8_t code = m->p->text[m->at];
    const pickle_opcode *op = &pickle_opcodes[code];
    if (op->name == NULL) {
        return pickle_fail(m, "0x%02x is not an opcode", (unsigned)code);
    }
    if (op->run == NULL) {
        return pickle_fail(m, "opcode %s, which no checkpoint needs", op->name);
    }
    size_t skip, bytes;
    if (!find_argument(m, op, m->at + 1, &skip, &bytes)) {
        return pickle_fail(m, "the pickle ends at byte %zu, in the argument of %s", m->p->size,
                           op->name);
    }
    if (op->argument == PICKLE_COUNTED_BYTE && bytes > 8) {
        return pickle_fail(m, "an integer of %zu bytes, more than 8", bytes);
    }
    m->op = op;
    m->argument = m->p->text + m->at + 1 + skip;
    m->argument_bytes = bytes;
    m->next = m->at + 1 + skip + bytes;
    return OCTET_OK;
}

typedef struct counts {
    size_t makes, pushes, puts;
} counts;

static octet_status count(pickle_machine *m, counts *n) {
    do {
        const octet_status status = fetch(m);
        if (status != OCTET_OK) {
            return status;
        }
        n->makes += m->op->effect == PICKLE_MAKES;
        n->pushes += m->op->effect == PICKLE_MAKES || m->op->effect == PICKLE_PUSHES;
        n->puts += m->op->effect == PICKLE_PUTS;
    } while (!pickle_is_stop(m->op));
    if (m->next != m->p->size) {
        return pickle_fail(m, "STOP, but the pickle has %zu bytes", m->p->size);
    }
    return OCTET_OK;
}

static octet_status run(pickle_machine *m) {
    static const pickle_value shared[SHARED] = {
        [SHARED_NONE] = {.kind = PICKLE_NONE},
        [SHARED_FALSE] = {.kind = PICKLE_BOOL},
        [SHARED_TRUE] = {.kind = PICKLE_BOOL},
        [SHARED_TUPLE] = {.kind = PICKLE_TUPLE},
    };
    memcpy(m->p->values, shared, sizeof shared);
    m->p->n_values = SHARED;
    m->next = 0;
    octet_status status;
    do {
        status = fetch(m);
        if (status == OCTET_OK) {
            status = m->op->run(m, m->p->text[m->at]);
        }
    } while (status == OCTET_OK && !pickle_is_stop(m->op));
    return status;
}

/* Texts are followed by an opcode, which has been run. */
static void terminate_texts(pickle *p) {
    for (uint32_t i = 0; i < p->n_values; i++) {
        if (p->values[i].kind == PICKLE_TEXT) {
            const size_t at = (size_t)((const uint8_t *)p->values[i].of.text - p->text);
            p->text[at + p->values[i].n] = '\0';
        }
    }
}

static octet_status read_all(pickle_machine *m) {
    pickle *p = m->p;
    counts n = {0};
    if (p->size < 2 || p->text[0] != 0x80 || p->text[1] != 2) {
        return pickle_fail(m, "it does not start with PROTO 2 (bytes 80 02), but with %02x %02x",
                           p->size > 0 ? p->text[0] : 0u, p->size > 1 ? p->text[1] : 0u);
    }
    const octet_status status = count(m, &n);
    if (status != OCTET_OK) {
        return status;
    }
    p->values = malloc((n.makes + SHARED) * sizeof *p->values);
    p->items = malloc((n.pushes + 1) * sizeof *p->items);
    m->stack = malloc((n.pushes + 1) * sizeof *m->stack);
    m->memo = malloc((n.puts + 1) * sizeof *m->memo);
    if (p->values == NULL || p->items == NULL || m->stack == NULL || m->memo == NULL) {
        return error_memory(m->error, p->label,
                            (double)n.makes * sizeof *p->values +
                                (double)n.pushes * (sizeof *p->items + sizeof *m->stack));
    }
    memset(m->memo, 0xff, (n.puts + 1) * sizeof *m->memo);
    m->n_memo = (uint32_t)n.puts;
    return run(m);
}

octet_status pickle_open(pickle **out, const char *label, const uint8_t *bytes, size_t size,
                         octet_error *error) {
    *out = NULL;
    if (size > PICKLE_BYTES) {
        return error_set(error, OCTET_CORRUPT, "%s: data.pkl has %zu bytes, the limit is %u", label,
                         size, PICKLE_BYTES);
    }
    pickle *p = calloc(1, sizeof *p);
    uint8_t *copy = malloc(size + 1);
    if (p == NULL || copy == NULL) {
        free(p);
        free(copy);
        return error_memory(error, label, (double)(sizeof *p + size));
    }
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    *p = (pickle){.label = label, .text = copy, .size = size};
    pickle_machine m = {.p = p, .error = error};
    const octet_status status = read_all(&m);
    free(m.stack);
    free(m.memo);
    if (status == OCTET_OK) {
        terminate_texts(p);
    }
    if (status != OCTET_OK) {
        pickle_close(&p);
    }
    *out = p;
    return status;
}

void pickle_close(pickle **p) {
    if (*p != NULL) {
        free((*p)->text);
        free((*p)->values);
        free((*p)->items);
    }
    free(*p);
    *p = NULL;
}

/* ---------------------------------------------------------------------------------------------- */
/* Access */

const pickle_value *pickle_root(const pickle *p) {
    return &p->values[p->root];
}

const char *pickle_kind_name(const pickle_value *value) {
    static const char *const names[PICKLE_KINDS] = {
        "None",   "a bool", "an integer", "a float",   "a text",  "a tuple",
        "a list", "a dict", "a global",   "a storage", "a tensor"};
    return names[value->kind];
}

const pickle_value *pickle_item(const pickle *p, uint32_t item) {
    return &p->values[p->items[item].value];
}

uint32_t pickle_next(const pickle *p, uint32_t item) {
    return p->items[item].next;
}

bool pickle_is_text(const pickle_value *value, const char *text) {
    return value->kind == PICKLE_TEXT && value->n == strlen(text) &&
           memcmp(value->of.text, text, value->n) == 0;
}

static void get_integers(int64_t *out, const pickle *p, const pickle_value *tuple) {
    uint32_t item = tuple->of.items.first;
    for (uint32_t i = 0; i < tuple->n; i++) {
        out[i] = pickle_item(p, item)->of.integer;
        item = pickle_next(p, item);
    }
}

void pickle_get_tensor(pickle_tensor *out, const pickle *p, const pickle_value *tensor) {
    const pickle_value *part[4];
    uint32_t item = tensor->of.items.first;
    for (int i = 0; i < 4; i++) {
        part[i] = pickle_item(p, item);
        item = pickle_next(p, item);
    }
    *out = (pickle_tensor){.type = (safetensors_type)part[0]->what,
                           .key = &p->values[part[0]->n],
                           .n_elements = part[0]->of.integer,
                           .offset = part[1]->of.integer,
                           .rank = (int)part[2]->n};
    get_integers(out->dim, p, part[2]);
    get_integers(out->stride, p, part[3]);
}
