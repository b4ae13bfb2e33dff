/* foreign.h: the tensors of a checkpoint that another program wrote, by name.
 *
 * PyTorch's zip archives (torch.save since 1.6) and safetensors files look the same from here.
 * Every tensor is a view of checked bytes: nothing outside of the file is ever read, nothing is
 * executed, and no memory beyond a small multiple of what describes the tensors is taken.
 *
 * Of an archive the state dict is read, a dict of tensors: what was saved, or in it the entry
 * "model", "MODEL" or "state_dict". All else in it (optimizer, schedule, counters) must be plain
 * values too, but their storages are not looked at. */
#ifndef MODEL_FOREIGN_H
#define MODEL_FOREIGN_H

#include "model/safetensors.h"

typedef struct foreign_tensor {
    const char *name; /* without "module.", "_orig_mod.", "model." in front; as in safetensors.h */
    safetensors_type type;
    int rank;
    int64_t dim[SAFETENSORS_RANK]; /* their product is at most the elements in the storage */
    int64_t
        stride[SAFETENSORS_RANK]; /* in elements, 0 or more; all reached elements lie in the file */
    const uint8_t *data;          /* of element 0; at any address; not NULL */
} foreign_tensor;

/* An open file. Immutable, so that threads may share it; its pointers live until it is closed. */
typedef struct foreign foreign;

/* Opens `path`, a regular file, which must not be changed while it is open: a large one is mapped
 * (base/file.h). OCTET_ERROR: missing or unreadable. OCTET_CORRUPT: anything else, with the place
 * and both values. */
octet_status foreign_open(foreign **out, const char *path, octet_error *error);

/* The same for bytes in memory, which must outlive *out; `label` names them in messages. */
octet_status foreign_open_memory(foreign **out, const char *label, const uint8_t *bytes,
                                 size_t size, octet_error *error);

/* Accepts NULL; sets *f to NULL. */
void foreign_close(foreign **f);

/* Tensors in ascending order of their names, at least one, at most SAFETENSORS_TENSORS. */
size_t foreign_count(const foreign *f);
const foreign_tensor *foreign_at(const foreign *f, size_t index);

/* NULL when there is none of that name. */
const foreign_tensor *foreign_find(const foreign *f, const char *name);

/* The tensor's elements as f32 into out[product of dim], row-major: F32, F16 and BF16 exactly, F64
 * rounded to nearest, ties to even. Other types and what is not finite as f32 are OCTET_CORRUPT. */
octet_status foreign_read(float *out, const foreign *f, const foreign_tensor *t,
                          octet_error *error);

#endif
