/* foreign_parts.h: what the files of the reader of foreign checkpoints share. Not for other
 * modules.
 */
#ifndef MODEL_FOREIGN_PARTS_H
#define MODEL_FOREIGN_PARTS_H

#include "base/file.h"
#include "model/foreign.h"
#include "model/pickle.h"

typedef struct foreign_entry {
    foreign_tensor tensor;
    const char *key; /* its name in the file, of which tensor.name is the end */
} foreign_entry;

struct foreign {
    char *label;
    file_bytes file;    /* of foreign_open */
    safetensors *st;    /* keeps the names, or */
    pickle *p;          /* does */
    foreign_entry *all; /* by name */
    size_t n;
};

/* Makes room for n tensors; OCTET_CORRUPT for none and for too many. */
octet_status foreign_reserve(foreign *f, size_t n, octet_error *error);

/* Adds a tensor with a name of `bytes` bytes that lives as long as *f; *out is to be filled in. */
octet_status foreign_add(foreign_tensor **out, foreign *f, const char *key, size_t bytes,
                         octet_error *error);

/* Fills in f->p and the tensors from an archive of torch.save. */
octet_status foreign_read_torch(foreign *f, const uint8_t *bytes, size_t size, octet_error *error);

#endif
