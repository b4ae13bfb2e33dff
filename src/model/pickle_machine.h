/* pickle_machine.h: what the files of the reader of pickles share: the machine with its stack, and
 * the table of opcodes. Not for other modules. */
#ifndef MODEL_PICKLE_MACHINE_H
#define MODEL_PICKLE_MACHINE_H

#include "model/pickle.h"

/* Values that exist once, before all others. */
enum { SHARED_NONE, SHARED_FALSE, SHARED_TRUE, SHARED_TUPLE, SHARED };

typedef struct pickle_cell {
    uint32_t value, next;
} pickle_cell;

struct pickle {
    const char *label;
    uint8_t *text; /* the opcodes; texts are in them */
    size_t size;
    pickle_value *values;
    uint32_t n_values;
    pickle_cell *items; /* 0 is none */
    uint32_t n_items;
    uint32_t root;
};

typedef struct pickle_opcode pickle_opcode;

typedef struct pickle_machine {
    pickle *p;
    octet_error *error;
    size_t at, next; /* the opcode's place and the next one's */
    const pickle_opcode *op;
    const uint8_t *argument;
    size_t argument_bytes;
    uint32_t *stack; /* a mark's entry is the value of `mark` below it */
    uint32_t height;
    uint32_t mark; /* the height just above the last mark, 0 without one */
    uint32_t *memo;
    uint32_t n_memo;
} pickle_machine;

/* Arguments of other than fixed length. */
enum { PICKLE_LINES = -1, PICKLE_COUNTED = -2, PICKLE_COUNTED_BYTE = -3 };

/* What the first pass counts: new values on the stack, other entries of it, entries of the memo. */
typedef enum pickle_effect {
    PICKLE_NO_EFFECT,
    PICKLE_MAKES,
    PICKLE_PUSHES,
    PICKLE_PUTS
} pickle_effect;

struct pickle_opcode {
    const char *name;
    octet_status (*run)(pickle_machine *m, uint8_t code); /* NULL: refused */
    int8_t argument;                                      /* bytes, or one of the above */
    uint8_t effect;
};

/* By code; without a name where there is none. */
extern const pickle_opcode pickle_opcodes[256];

bool pickle_is_stop(const pickle_opcode *op);

/* OCTET_CORRUPT with the place of the opcode. */
octet_status pickle_fail(const pickle_machine *m, const char *format, ...) ERROR_FORMAT(2, 3);

/* Little-endian. */
static inline uint64_t pickle_number(const uint8_t *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

#endif
