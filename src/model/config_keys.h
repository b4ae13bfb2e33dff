/* config_keys.h: the table of keys, for config*.c only.
 *
 * Every key is one row: name, type, offset in the struct, range, default. Reading and writing walk
 * the same rows, so that a key cannot be read and then forgotten by the text that a checkpoint
 * stores. */
#ifndef MODEL_CONFIG_KEYS_H
#define MODEL_CONFIG_KEYS_H

#include "model/config.h"

typedef enum config_key_kind {
    KEY_INTEGER,
    KEY_REAL,
    KEY_FLAG,
    KEY_CHOICE,
    KEY_LIST,
    KEY_MIXERS, /* a list of names */
    KEY_SET
} config_key_kind;

enum { REQUIRED = 1, ABOVE_LOW = 2, BELOW_HIGH = 4 }; /* the range leaves out low, or high */

typedef struct config_key {
    const char *name;
    config_key_kind kind;
    size_t offset;
    double low, high, standard;
    unsigned rules;
    const char *const *choices; /* names in the order of the enum; ends with NULL */
} config_key;

/* An object of the text: its rows, and the keys that hold objects of their own. */
typedef struct config_layout {
    const config_key *keys;
    int n_keys;
    const char *const *nested; /* ends with NULL */
} config_layout;

extern const config_layout CONFIG_MODEL, CONFIG_LEVEL, CONFIG_TRAIN;

/* Sets the key's field of `target` to a number; a list to the one number for all layers. */
void config_key_store(const config_key *k, void *target, double value);

/* The shortest form that reads back to the same double, with a point in every locale. */
void config_number_text(char out[32], double value);

#endif
