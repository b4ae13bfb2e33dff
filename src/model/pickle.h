/* pickle.h: the values in a pickle of protocol 2, as torch.save writes them, without executing it.
 *
 * A pickle is a program for a stack machine that may call anything by name. This machine knows the
 * opcodes that plain containers, numbers and texts take, and calls nothing: of the names that a
 * checkpoint needs it makes values ("a tensor of this storage"), all other names and opcodes are
 * refused. Values never hold themselves, directly or not. Source of the opcodes' meaning: the
 * module pickletools of Python. */
#ifndef MODEL_PICKLE_H
#define MODEL_PICKLE_H

#include "model/safetensors.h"

/* Limits: bytes of a pickle, containers within containers. */
#define PICKLE_BYTES (64u << 20)
#define PICKLE_DEPTH 32

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INTEGER,
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_GLOBAL,
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_KINDS /* how many there are */
} pickle_kind;

typedef struct pickle_value {
    uint8_t kind;
    uint8_t what;   /* of a storage: its safetensors_type; of others the machine's own */
    uint8_t depth;  /* of containers in it */
    uint8_t frozen; /* it was referred to: it may not change */
    uint32_t n; /* bytes of a text, items of a tuple or list, twice the pairs of a dict; of others
                   the machine's own */
    union {
        int64_t integer;  /* of a storage: its number of elements */
        const char *text; /* terminated, but may hold zeros; not checked to be UTF-8 */
        struct {
            uint32_t first, last; /* items, 0: none */
        } items;
    } of;
} pickle_value;

typedef struct pickle pickle;

/* Reads all of a pickle. `label`, which messages begin with, must outlive *out; the bytes are
 * copied. Memory: at most 32 times the bytes. OCTET_CORRUPT with the opcode's place. */
octet_status pickle_open(pickle **out, const char *label, const uint8_t *bytes, size_t size,
                         octet_error *error);

/* Accepts NULL; sets *p to NULL. */
void pickle_close(pickle **p);

/* The one value that it makes. */
const pickle_value *pickle_root(const pickle *p);

/* "a dict" */
const char *pickle_kind_name(const pickle_value *value);

/* Walks the items of a tuple or list, or the keys (texts or integers) and values of a dict in
 * turns: from value->of.items.first on, until 0. */
const pickle_value *pickle_item(const pickle *p, uint32_t item);
uint32_t pickle_next(const pickle *p, uint32_t item);

bool pickle_is_text(const pickle_value *value, const char *text);

/* What torch._utils._rebuild_tensor_v2 was handed; not yet compared with one another. */
typedef struct pickle_tensor {
    safetensors_type type;
    const pickle_value *key; /* a text, the storage's name */
    int64_t n_elements;      /* of the storage, 0 or more */
    int64_t offset;          /* in elements, of any sign */
    int rank;
    int64_t dim[SAFETENSORS_RANK]; /* of any sign */
    int64_t stride[SAFETENSORS_RANK];
} pickle_tensor;

void pickle_get_tensor(pickle_tensor *out, const pickle *p, const pickle_value *tensor);

#endif
