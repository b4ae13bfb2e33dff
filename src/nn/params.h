/* params.h: the parameter store: every weight of a model by name, with how it starts and who trains
 * it. */
#ifndef NN_PARAMS_H
#define NN_PARAMS_H

#include "base/arena.h"
#include "graph/backend.h"

/* Which optimizer a parameter belongs to. */
typedef enum param_group {
    PARAM_MATRIX, /* hidden 2-D weights: Muon when it is chosen; weight decay */
    PARAM_TABLE,  /* embeddings, heads, start vectors, position tables: AdamW */
    PARAM_VECTOR  /* gains, biases: AdamW, never decayed */
} param_group;

/* Initial values: constant when spread is 0, else normal(0, spread) cut at 3 spreads. */
typedef struct param_init {
    float constant, spread;
} param_init;

typedef struct param {
    variable v;
    param_group group;
    param_init init;
} param;

typedef struct params {
    backend *backend;
    arena memory;
    param **list; /* in order of creation, which is the same for equal configurations */
    int n, capacity;
    octet_error error; /* sticky: the first failure of params_add */
} params;

/* Empty store on a backend; without one (NULL) parameters are names and shapes until
 * params_allocate. */
void params_init(params *p, backend *b);

/* Gives the parameters of a store without a backend their zeroed memory on `b`. */
octet_status params_allocate(params *p, backend *b, octet_error *error);
void params_finish(params *p);

/* Adds a parameter "prefix.name" with zeroed memory (none without a backend); NULL after an error.
 */
variable *params_add(params *p, const char *prefix, const char *name, param_group group,
                     param_init init, int rank, const int64_t *dim);

/* The parameter of that name, or NULL. */
param *params_find(const params *p, const char *name);

/* Sets all values by their init rules: a pure function of names' order, shapes and seed. */
octet_status params_reset(params *p, uint64_t seed, octet_error *error);

/* Copies the values of one variable to another of the same shape on the same backend. */
octet_status params_copy_one(backend *b, variable *to, const variable *from, octet_error *error);

/* Copies all values; both stores were made from equal configurations. */
octet_status params_copy(params *to, const params *from, octet_error *error);

/* Number of weights. */
int64_t params_count(const params *p);

#endif
