/* pickle_opcodes.c: the stack machine's opcodes, each a function, and their table. Nothing is
 * called: names that a checkpoint needs become values that stand for them, and REDUCE makes of such
 * a value and its arguments another one. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/pickle_machine.h"
#include "model/quoted.h"

/* What a global is, from GLOBAL_STORAGE on: that and the type of the storage. */
enum { GLOBAL_DICT, GLOBAL_TENSOR, GLOBAL_PARAMETER, GLOBAL_STORAGE };

octet_status pickle_fail(const pickle_machine *m, const char *format, ...) {
    char text[320];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    return error_set(m->error, OCTET_CORRUPT, "%s: data.pkl byte %zu: %s", m->p->label, m->at,
                     text);
}

/* ---------------------------------------------------------------------------------------------- */
/* The stack */

static pickle_value *value_at(const pickle_machine *m, uint32_t id) {
    return &m->p->values[id];
}

static octet_status push(pickle_machine *m, uint32_t id) {
    m->stack[m->height++] = id;
    return OCTET_OK;
}

/* A value that is not yet on the stack. */
static pickle_value *make(pickle_machine *m, pickle_kind kind, uint32_t *id) {
    *id = m->p->n_values++;
    m->p->values[*id] = (pickle_value){.kind = (uint8_t)kind};
    return &m->p->values[*id];
}

static octet_status need(const pickle_machine *m, unsigned n) {
    const unsigned above = m->height - m->mark;
    return above >= n
               ? OCTET_OK
               : pickle_fail(m, "it needs %u values on the stack, and there are %u", n, above);
}

static octet_status add(pickle_machine *m, pickle_value *to, uint32_t id) {
    const uint8_t depth = value_at(m, id)->depth + 1;
    if (depth > PICKLE_DEPTH) {
        return pickle_fail(m, "values are nested deeper than %d", PICKLE_DEPTH);
    }
    const uint32_t item = ++m->p->n_items;
    m->p->items[item] = (pickle_cell){.value = id};
    if (to->n == 0) {
        to->of.items.first = item;
    } else {
        m->p->items[to->of.items.last].next = item;
    }
    to->of.items.last = item;
    to->depth = to->depth > depth ? to->depth : depth;
    to->n++;
    return OCTET_OK;
}

/* Adds the values from height `from` on, which leave the stack. */
static octet_status add_from(pickle_machine *m, pickle_value *to, uint32_t from) {
    octet_status status = OCTET_OK;
    for (uint32_t i = from; i < m->height && status == OCTET_OK; i++) {
        status = add(m, to, m->stack[i]);
    }
    m->height = from;
    return status;
}

static octet_status need_mark(const pickle_machine *m) {
    return m->mark > 0 ? OCTET_OK : pickle_fail(m, "it needs a mark, and there is none");
}

/* Takes the last mark's entry away. Values above it stay where they are: take those first. */
static void drop_mark(pickle_machine *m) {
    m->height = m->mark - 1;
    m->mark = m->stack[m->height];
}

/* ---------------------------------------------------------------------------------------------- */
/* Opcodes */

static octet_status run_protocol(pickle_machine *m, uint8_t code) {
    (void)code;
    return m->at == 0 ? OCTET_OK : pickle_fail(m, "PROTO stands at the start only");
}

static octet_status run_shared(pickle_machine *m, uint8_t code) {
    return push(m, code == 'N'    ? SHARED_NONE
                   : code == 0x88 ? SHARED_TRUE
                   : code == 0x89 ? SHARED_FALSE
                                  : SHARED_TUPLE);
}

/* BININT and LONG1 have a sign. */
static octet_status run_integer(pickle_machine *m, uint8_t code) {
    uint32_t id;
    uint64_t bits = pickle_number(m->argument, m->argument_bytes);
    const unsigned unused = 64 - 8 * (unsigned)m->argument_bytes;
    if ((code == 'J' || code == 0x8a) && m->argument_bytes > 0 && unused > 0 &&
        bits >> (63 - unused) != 0) {
        bits |= UINT64_MAX << (64 - unused);
    }
    pickle_value *value = make(m, PICKLE_INTEGER, &id);
    memcpy(&value->of.integer, &bits, sizeof bits);
    return push(m, id);
}

/* Checkpoints hold floats only where nobody asks for them. */
static octet_status run_float(pickle_machine *m, uint8_t code) {
    uint32_t id;
    (void)code;
    (void)make(m, PICKLE_FLOAT, &id);
    return push(m, id);
}

static octet_status run_text(pickle_machine *m, uint8_t code) {
    uint32_t id;
    (void)code;
    pickle_value *value = make(m, PICKLE_TEXT, &id);
    value->n = (uint32_t)m->argument_bytes;
    value->of.text = (const char *)m->argument;
    return push(m, id);
}

static octet_status run_empty(pickle_machine *m, uint8_t code) {
    uint32_t id;
    (void)make(m, code == ']' ? PICKLE_LIST : PICKLE_DICT, &id);
    return push(m, id);
}

static octet_status run_mark(pickle_machine *m, uint8_t code) {
    (void)code;
    (void)push(m, m->mark);
    m->mark = m->height;
    return OCTET_OK;
}

static octet_status run_tuple(pickle_machine *m, uint8_t code) {
    uint32_t id;
    const unsigned n = code == 't' ? 0 : code - 0x84u; /* TUPLE1 to TUPLE3 */
    octet_status status = code == 't' ? need_mark(m) : need(m, n);
    if (status == OCTET_OK) {
        status = add_from(m, make(m, PICKLE_TUPLE, &id), code == 't' ? m->mark : m->height - n);
    }
    if (status == OCTET_OK && code == 't') {
        drop_mark(m);
    }
    return status == OCTET_OK ? push(m, id) : status;
}

static octet_status check_keys(const pickle_machine *m, uint32_t from) {
    if ((m->height - from) % 2 != 0) {
        return pickle_fail(m, "a dict is filled with %u values, not with pairs", m->height - from);
    }
    for (uint32_t i = from; i < m->height; i += 2) {
        const pickle_value *key = value_at(m, m->stack[i]);
        if (key->kind != PICKLE_TEXT && key->kind != PICKLE_INTEGER) {
            return pickle_fail(m, "the key of a dict is %s, neither a text nor an integer",
                               pickle_kind_name(key));
        }
    }
    return OCTET_OK;
}

/* APPEND and SETITEM take one item or pair, APPENDS and SETITEMS all above the mark. */
static octet_status run_fill(pickle_machine *m, uint8_t code) {
    const bool is_dict = code == 's' || code == 'u';
    const bool marked = code == 'e' || code == 'u';
    const octet_status status = marked ? need_mark(m) : need(m, is_dict ? 3 : 2);
    if (status != OCTET_OK) {
        return status;
    }
    const uint32_t from = marked ? m->mark : m->height - (is_dict ? 2 : 1);
    const uint32_t above = marked ? from - 1 : from; /* of the container */
    if (above == (marked ? m->stack[above] : m->mark)) {
        return pickle_fail(m, "there is nothing below the mark that it could fill");
    }
    pickle_value *container = value_at(m, m->stack[above - 1]);
    if (container->kind != (is_dict ? PICKLE_DICT : PICKLE_LIST)) {
        return pickle_fail(m, "it fills %s, not %s", pickle_kind_name(container),
                           is_dict ? "a dict" : "a list");
    }
    if (container->frozen) {
        return pickle_fail(m,
                           "it fills %s that was referred to before: a value may not hold itself",
                           pickle_kind_name(container));
    }
    const octet_status keys = is_dict ? check_keys(m, from) : OCTET_OK;
    const octet_status added = keys == OCTET_OK ? add_from(m, container, from) : keys;
    if (added == OCTET_OK && marked) {
        drop_mark(m);
    }
    return added;
}

static octet_status check_memo(const pickle_machine *m, uint64_t index, bool is_set) {
    if (index >= m->n_memo) {
        return pickle_fail(m, "memo entry %llu, but only %u values are kept",
                           (unsigned long long)index, m->n_memo);
    }
    if ((m->memo[index] != UINT32_MAX) != is_set) {
        return pickle_fail(m, "memo entry %llu is %s", (unsigned long long)index,
                           is_set ? "not set yet" : "set a second time");
    }
    return OCTET_OK;
}

static octet_status run_put(pickle_machine *m, uint8_t code) {
    (void)code;
    const uint64_t index = pickle_number(m->argument, m->argument_bytes);
    octet_status status = need(m, 1);
    if (status == OCTET_OK) {
        status = check_memo(m, index, false);
    }
    if (status == OCTET_OK) {
        m->memo[index] = m->stack[m->height - 1];
    }
    return status;
}

static octet_status run_get(pickle_machine *m, uint8_t code) {
    (void)code;
    const uint64_t index = pickle_number(m->argument, m->argument_bytes);
    const octet_status status = check_memo(m, index, true);
    if (status != OCTET_OK) {
        return status;
    }
    value_at(m, m->memo[index])->frozen = 1;
    return push(m, m->memo[index]);
}

/* ---------------------------------------------------------------------------------------------- */
/* Names and what is made of them */

static const struct {
    const char *name;
    uint8_t what;
} globals[] = {
    {"collections\nOrderedDict\n", GLOBAL_DICT},
    {"torch._utils\n_rebuild_tensor_v2\n", GLOBAL_TENSOR},
    {"torch._utils\n_rebuild_parameter\n", GLOBAL_PARAMETER},
    {"torch\nFloatStorage\n", GLOBAL_STORAGE + SAFETENSORS_F32},
    {"torch\nHalfStorage\n", GLOBAL_STORAGE + SAFETENSORS_F16},
    {"torch\nBFloat16Storage\n", GLOBAL_STORAGE + SAFETENSORS_BF16},
    {"torch\nDoubleStorage\n", GLOBAL_STORAGE + SAFETENSORS_F64},
    {"torch\nByteStorage\n", GLOBAL_STORAGE + SAFETENSORS_U8},
    {"torch\nCharStorage\n", GLOBAL_STORAGE + SAFETENSORS_I8},
    {"torch\nShortStorage\n", GLOBAL_STORAGE + SAFETENSORS_I16},
    {"torch\nIntStorage\n", GLOBAL_STORAGE + SAFETENSORS_I32},
    {"torch\nLongStorage\n", GLOBAL_STORAGE + SAFETENSORS_I64},
    {"torch\nBoolStorage\n", GLOBAL_STORAGE + SAFETENSORS_BOOL},
};

static octet_status run_global(pickle_machine *m, uint8_t code) {
    uint32_t id;
    (void)code;
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (m->argument_bytes == strlen(globals[i].name) &&
            memcmp(m->argument, globals[i].name, m->argument_bytes) == 0) {
            make(m, PICKLE_GLOBAL, &id)->what = globals[i].what;
            return push(m, id);
        }
    }
    const char *line = memchr(m->argument, '\n', m->argument_bytes);
    const size_t module = (size_t)(line - (const char *)m->argument);
    return pickle_fail(m, "it names %s.%s, which no checkpoint needs: nothing is executed",
                       quote(m->argument, module).text,
                       quote(line + 1, m->argument_bytes - module - 2).text);
}

/* Whether it is a tuple of n items, and the items. */
static bool unpack(const pickle_machine *m, const pickle_value *tuple, uint32_t n,
                   const pickle_value **items) {
    if (tuple->kind != PICKLE_TUPLE || tuple->n != n) {
        return false;
    }
    uint32_t item = n > 0 ? tuple->of.items.first : 0;
    for (uint32_t i = 0; i < n; i++) {
        items[i] = pickle_item(m->p, item);
        item = pickle_next(m->p, item);
    }
    return true;
}

/* ('storage', torch.XStorage, key, device, elements) */
static octet_status run_storage(pickle_machine *m, uint8_t code) {
    uint32_t id;
    (void)code;
    const octet_status status = need(m, 1);
    if (status != OCTET_OK) {
        return status;
    }
    const pickle_value *part[5];
    const pickle_value *tuple = value_at(m, m->stack[m->height - 1]);
    if (!unpack(m, tuple, 5, part) || !pickle_is_text(part[0], "storage") ||
        part[1]->kind != PICKLE_GLOBAL || part[1]->what < GLOBAL_STORAGE ||
        part[2]->kind != PICKLE_TEXT || part[3]->kind != PICKLE_TEXT ||
        part[4]->kind != PICKLE_INTEGER) {
        return pickle_fail(
            m, "a persistent id is not that of a storage: its type, key, device and size");
    }
    if (part[4]->of.integer < 0) {
        return pickle_fail(m, "a storage of %lld elements", (long long)part[4]->of.integer);
    }
    pickle_value *value = make(m, PICKLE_STORAGE, &id);
    value->what = (uint8_t)(part[1]->what - GLOBAL_STORAGE);
    value->n = (uint32_t)(part[2] - m->p->values);
    value->of.integer = part[4]->of.integer;
    m->stack[m->height - 1] = id;
    return OCTET_OK;
}

static bool is_integers(const pickle_machine *m, const pickle_value *tuple) {
    if (tuple->kind != PICKLE_TUPLE || tuple->n > SAFETENSORS_RANK) {
        return false;
    }
    const pickle_value *item[SAFETENSORS_RANK];
    (void)unpack(m, tuple, tuple->n, item);
    for (uint32_t i = 0; i < tuple->n; i++) {
        if (item[i]->kind != PICKLE_INTEGER) {
            return false;
        }
    }
    return true;
}

/* (storage, offset, size, stride, requires_grad, no hooks) */
static octet_status make_tensor(pickle_machine *m, const pickle_value *tuple, uint32_t *id) {
    const pickle_value *part[6];
    if (!unpack(m, tuple, 6, part) || part[0]->kind != PICKLE_STORAGE ||
        part[1]->kind != PICKLE_INTEGER || part[4]->kind != PICKLE_BOOL ||
        part[5]->kind != PICKLE_DICT || part[5]->n != 0) {
        return pickle_fail(m,
                           "a tensor is not made of its storage, offset, size, stride, flag and no "
                           "hooks");
    }
    if (!is_integers(m, part[2]) || !is_integers(m, part[3]) || part[2]->n != part[3]->n) {
        return pickle_fail(
            m, "a tensor's size and stride are not as many integers, at most %d: %u and %u",
            SAFETENSORS_RANK, part[2]->n, part[3]->n);
    }
    make(m, PICKLE_TENSOR, id)->of.items.first = tuple->of.items.first;
    return OCTET_OK;
}

static octet_status run_reduce(pickle_machine *m, uint8_t code) {
    (void)code;
    octet_status status = need(m, 2);
    if (status != OCTET_OK) {
        return status;
    }
    uint32_t id = 0;
    const pickle_value *tuple = value_at(m, m->stack[m->height - 1]);
    const pickle_value *global = value_at(m, m->stack[m->height - 2]);
    if (global->kind != PICKLE_GLOBAL || global->what >= GLOBAL_STORAGE) {
        return pickle_fail(m, "it calls %s", pickle_kind_name(global));
    }
    if (global->what == GLOBAL_TENSOR) {
        status = make_tensor(m, tuple, &id);
    } else if (global->what == GLOBAL_DICT) {
        if (tuple->kind != PICKLE_TUPLE || tuple->n != 0) {
            return pickle_fail(m, "an OrderedDict is made of %s, not of nothing",
                               pickle_kind_name(tuple));
        }
        make(m, PICKLE_DICT, &id)->what = GLOBAL_DICT + 1; /* may have attributes */
    } else {
        const pickle_value *part[3];
        if (!unpack(m, tuple, 3, part) || part[0]->kind != PICKLE_TENSOR ||
            part[1]->kind != PICKLE_BOOL || part[2]->kind != PICKLE_DICT || part[2]->n != 0) {
            return pickle_fail(m, "a parameter is not made of a tensor, a flag and no hooks");
        }
        id = (uint32_t)(part[0] - m->p->values);
    }
    m->height -= 2;
    return status == OCTET_OK ? push(m, id) : status;
}

/* Attributes of an OrderedDict (modules leave their versions there): dropped. */
static octet_status run_build(pickle_machine *m, uint8_t code) {
    (void)code;
    const octet_status status = need(m, 2);
    if (status != OCTET_OK) {
        return status;
    }
    const pickle_value *state = value_at(m, m->stack[m->height - 1]);
    const pickle_value *to = value_at(m, m->stack[m->height - 2]);
    if (to->kind != PICKLE_DICT || to->what != GLOBAL_DICT + 1 || to->frozen ||
        state->kind != PICKLE_DICT) {
        return pickle_fail(m, "it gives %s as attributes to %s, not a dict to a new OrderedDict",
                           pickle_kind_name(state), pickle_kind_name(to));
    }
    m->height--;
    return OCTET_OK;
}

/* ---------------------------------------------------------------------------------------------- */
/* The table, with the names of what is refused */

static octet_status run_stop(pickle_machine *m, uint8_t code) {
    (void)code;
    if (m->height != 1 || m->mark != 0) {
        return pickle_fail(m, "STOP leaves %u entries on the stack instead of one value",
                           m->height);
    }
    m->p->root = m->stack[0];
    return OCTET_OK;
}

const pickle_opcode pickle_opcodes[256] = {
    ['('] = {"MARK", run_mark, 0, PICKLE_PUSHES},
    [')'] = {"EMPTY_TUPLE", run_shared, 0, PICKLE_PUSHES},
    ['.'] = {"STOP", run_stop, 0, PICKLE_NO_EFFECT},
    ['G'] = {"BINFLOAT", run_float, 8, PICKLE_MAKES},
    ['J'] = {"BININT", run_integer, 4, PICKLE_MAKES},
    ['K'] = {"BININT1", run_integer, 1, PICKLE_MAKES},
    ['M'] = {"BININT2", run_integer, 2, PICKLE_MAKES},
    ['N'] = {"NONE", run_shared, 0, PICKLE_PUSHES},
    ['Q'] = {"BINPERSID", run_storage, 0, PICKLE_MAKES},
    ['R'] = {"REDUCE", run_reduce, 0, PICKLE_MAKES},
    ['X'] = {"BINUNICODE", run_text, PICKLE_COUNTED, PICKLE_MAKES},
    [']'] = {"EMPTY_LIST", run_empty, 0, PICKLE_MAKES},
    ['a'] = {"APPEND", run_fill, 0, PICKLE_NO_EFFECT},
    ['b'] = {"BUILD", run_build, 0, PICKLE_NO_EFFECT},
    ['c'] = {"GLOBAL", run_global, PICKLE_LINES, PICKLE_MAKES},
    ['e'] = {"APPENDS", run_fill, 0, PICKLE_NO_EFFECT},
    ['h'] = {"BINGET", run_get, 1, PICKLE_PUSHES},
    ['j'] = {"LONG_BINGET", run_get, 4, PICKLE_PUSHES},
    ['q'] = {"BINPUT", run_put, 1, PICKLE_PUTS},
    ['r'] = {"LONG_BINPUT", run_put, 4, PICKLE_PUTS},
    ['s'] = {"SETITEM", run_fill, 0, PICKLE_NO_EFFECT},
    ['t'] = {"TUPLE", run_tuple, 0, PICKLE_MAKES},
    ['u'] = {"SETITEMS", run_fill, 0, PICKLE_NO_EFFECT},
    ['}'] = {"EMPTY_DICT", run_empty, 0, PICKLE_MAKES},
    [0x80] = {"PROTO", run_protocol, 1, PICKLE_NO_EFFECT},
    [0x85] = {"TUPLE1", run_tuple, 0, PICKLE_MAKES},
    [0x86] = {"TUPLE2", run_tuple, 0, PICKLE_MAKES},
    [0x87] = {"TUPLE3", run_tuple, 0, PICKLE_MAKES},
    [0x88] = {"NEWTRUE", run_shared, 0, PICKLE_PUSHES},
    [0x89] = {"NEWFALSE", run_shared, 0, PICKLE_PUSHES},
    [0x8a] = {"LONG1", run_integer, PICKLE_COUNTED_BYTE, PICKLE_MAKES},
    ['0'] = {.name = "POP"},
    ['1'] = {.name = "POP_MARK"},
    ['2'] = {.name = "DUP"},
    ['B'] = {.name = "BINBYTES"},
    ['C'] = {.name = "SHORT_BINBYTES"},
    ['F'] = {.name = "FLOAT"},
    ['I'] = {.name = "INT"},
    ['L'] = {.name = "LONG"},
    ['P'] = {.name = "PERSID"},
    ['S'] = {.name = "STRING"},
    ['T'] = {.name = "BINSTRING"},
    ['U'] = {.name = "SHORT_BINSTRING"},
    ['V'] = {.name = "UNICODE"},
    ['d'] = {.name = "DICT"},
    ['g'] = {.name = "GET"},
    ['i'] = {.name = "INST"},
    ['l'] = {.name = "LIST"},
    ['o'] = {.name = "OBJ"},
    ['p'] = {.name = "PUT"},
    [0x81] = {.name = "NEWOBJ"},
    [0x82] = {.name = "EXT1"},
    [0x83] = {.name = "EXT2"},
    [0x84] = {.name = "EXT4"},
    [0x8b] = {.name = "LONG4"},
    [0x8c] = {.name = "SHORT_BINUNICODE"},
    [0x8d] = {.name = "BINUNICODE8"},
    [0x8e] = {.name = "BINBYTES8"},
    [0x8f] = {.name = "EMPTY_SET"},
    [0x90] = {.name = "ADDITEMS"},
    [0x91] = {.name = "FROZENSET"},
    [0x92] = {.name = "NEWOBJ_EX"},
    [0x93] = {.name = "STACK_GLOBAL"},
    [0x94] = {.name = "MEMOIZE"},
    [0x95] = {.name = "FRAME"},
    [0x96] = {.name = "BYTEARRAY8"},
    [0x97] = {.name = "NEXT_BUFFER"},
    [0x98] = {.name = "READONLY_BUFFER"},
};

bool pickle_is_stop(const pickle_opcode *op) {
    return op->run == run_stop;
}
