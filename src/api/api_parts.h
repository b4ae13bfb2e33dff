/* api_parts.h: a model for several threads, each of which runs programs of its own.
 *
 * Where there are many streams to read, threads that each read some wait for one another far less
 * than threads that share the work of every op. */
#ifndef API_API_PARTS_H
#define API_API_PARTS_H

#include "model/hierarchy.h"

typedef struct part {
    backend *backend; /* of one thread; NULL: the model's own */
    model model;      /* what it reads: shares all that the whole model owns */
} part;

/* How many parts to make of so many threads for pieces of work that stand each for themselves: as
 * many, or 1, whose ops all threads share, where some would have nothing to do. */
int parts_for(int threads, size_t pieces);

/* n parts, of n = 1 the model as it is. m must outlive them. */
octet_status parts_create(part **out, const model *m, int n, octet_error *error);
/* Accepts NULL; sets *parts to NULL. */
void parts_destroy(part **parts, int n);

#endif
