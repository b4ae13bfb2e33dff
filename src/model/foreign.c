/* foreign.c: see foreign.h. What kind of file it is, names without their prefixes, and elements as
 * floats; foreign_torch.c reads the archives. */
#include "model/foreign.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "model/foreign_parts.h"
#include "model/quoted.h"
#include "model/safetensors_content.h"

/* ---------------------------------------------------------------------------------------------- */
/* Names */

octet_status foreign_reserve(foreign *f, size_t n, octet_error *error) {
    if (n == 0 || n > SAFETENSORS_TENSORS) {
        return error_set(error, OCTET_CORRUPT, "%s: state dict: %zu entries, not 1 to %d", f->label,
                         n, SAFETENSORS_TENSORS);
    }
    f->all = calloc(n, sizeof *f->all);
    return f->all != NULL ? OCTET_OK : error_memory(error, f->label, (double)n * sizeof *f->all);
}

static const char *strip(const char *key) {
    static const char *const prefixes[] = {"module.", "_orig_mod.", "model."};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes;) {
        const size_t bytes = strlen(prefixes[i]);
        if (strncmp(key, prefixes[i], bytes) == 0) {
            key += bytes;
            i = 0;
        } else {
            i++;
        }
    }
    return key;
}

octet_status foreign_add(foreign_tensor **out, foreign *f, const char *key, size_t bytes,
                         octet_error *error) {
    const char *name = strip(key);
    const char *fault =
        strlen(key) != bytes ? "holds a control character" : content_name_fault(key);
    if (fault == NULL) {
        fault = content_name_fault(name);
    }
    if (fault == NULL && !content_is_utf8(key)) {
        fault = "is not UTF-8";
    }
    if (fault != NULL) {
        return error_set(error, OCTET_CORRUPT, "%s: the name of tensor \"%s\" %s", f->label,
                         quote(key, bytes).text, fault);
    }
    foreign_entry *entry = &f->all[f->n++];
    entry->key = key;
    entry->tensor.name = name;
    *out = &entry->tensor;
    return OCTET_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const foreign_entry *)a)->tensor.name, ((const foreign_entry *)b)->tensor.name);
}

static octet_status sort_names(foreign *f, octet_error *error) {
    qsort(f->all, f->n, sizeof *f->all, compare_names);
    for (size_t i = 1; i < f->n; i++) {
        if (compare_names(&f->all[i - 1], &f->all[i]) == 0) {
            return error_set(error, OCTET_CORRUPT,
                             "%s: tensors \"%.64s\" and \"%.64s\" have the same name \"%.64s\"",
                             f->label, f->all[i - 1].key, f->all[i].key, f->all[i].tensor.name);
        }
    }
    return OCTET_OK;
}

/* ---------------------------------------------------------------------------------------------- */
/* Opening */

static octet_status read_safetensors(foreign *f, const uint8_t *bytes, size_t size,
                                     octet_error *error) {
    octet_status status = safetensors_open_memory(&f->st, f->label, bytes, size, error);
    if (status == OCTET_OK) {
        status = foreign_reserve(f, safetensors_count(f->st), error);
    }
    for (size_t i = 0; status == OCTET_OK && i < safetensors_count(f->st); i++) {
        const safetensors_tensor *from = safetensors_at(f->st, i);
        foreign_tensor *t = NULL;
        status = foreign_add(&t, f, from->name, strlen(from->name), error);
        if (status != OCTET_OK) {
            return status;
        }
        t->type = from->type;
        t->rank = from->rank;
        memcpy(t->dim, from->dim, sizeof t->dim);
        t->data = from->data;
        int64_t stride = 1; /* the product, which does not overflow, but for dimensions of 0 */
        for (int k = t->rank - 1; k >= 0; k--) {
            t->stride[k] = stride;
            stride *= t->dim[k] > 0 ? t->dim[k] : 1;
        }
    }
    return status;
}

static octet_status read_bytes(foreign *f, const uint8_t *bytes, size_t size, octet_error *error) {
    if (size >= 4 && bytes[0] == 'P' && bytes[1] == 'K' && bytes[2] < 8) {
        return foreign_read_torch(f, bytes, size, error);
    }
    if (size >= 9 && bytes[8] == '{') {
        return read_safetensors(f, bytes, size, error);
    }
    if (size >= 2 && bytes[0] == 0x80) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: is a bare pickle, not a zip archive: what torch.save wrote before "
                         "PyTorch 1.6 is to be loaded and saved again with a newer one",
                         f->label);
    }
    return error_set(error, OCTET_CORRUPT,
                     "%s: is neither a zip archive of torch.save nor a safetensors file: its %zu "
                     "bytes start with \"%s\"",
                     f->label, size, quote(bytes, size < 8 ? size : 8).text);
}

/* Closes *out on failure. */
static octet_status finish(foreign **out, const uint8_t *bytes, size_t size, octet_error *error) {
    octet_status status = read_bytes(*out, bytes, size, error);
    if (status == OCTET_OK) {
        status = sort_names(*out, error);
    }
    if (status != OCTET_OK) {
        foreign_close(out);
    }
    return status;
}

static octet_status create(foreign **out, const char *label, octet_error *error) {
    const size_t bytes = strlen(label) + 1;
    *out = calloc(1, sizeof **out);
    char *copy = malloc(bytes);
    if (*out == NULL || copy == NULL) {
        free(*out);
        free(copy);
        *out = NULL;
        return error_memory(error, label, (double)(sizeof **out + bytes));
    }
    memcpy(copy, label, bytes);
    (*out)->label = copy;
    return OCTET_OK;
}

octet_status foreign_open_memory(foreign **out, const char *label, const uint8_t *bytes,
                                 size_t size, octet_error *error) {
    const octet_status status = create(out, label, error);
    return status == OCTET_OK ? finish(out, bytes, size, error) : status;
}

/* What has no size, such as a pipe or a device, may have no end either. */
static octet_status check_regular(const char *path, octet_error *error) {
    file_reader *r;
    uint8_t first;
    size_t got = 0;
    octet_status status = file_reader_create(&r, path, error);
    if (status == OCTET_OK && file_reader_left(r) == FILE_SIZE_UNKNOWN) {
        status = file_reader_read(r, &first, 1, &got, error);
        if (status == OCTET_OK && got > 0) {
            status = error_set(error, OCTET_ERROR, "%s: is not a regular file", path);
        }
    }
    file_reader_destroy(&r);
    return status;
}

octet_status foreign_open(foreign **out, const char *path, octet_error *error) {
    *out = NULL;
    octet_status status = check_regular(path, error);
    if (status == OCTET_OK) {
        status = create(out, path, error);
    }
    if (status != OCTET_OK) {
        return status;
    }
    status = file_open(&(*out)->file, path, SIZE_MAX / 2, error);
    if (status != OCTET_OK) {
        foreign_close(out);
        return status;
    }
    return finish(out, (*out)->file.data, (*out)->file.size, error);
}

void foreign_close(foreign **f) {
    foreign *dead = *f;
    *f = NULL;
    if (dead == NULL) {
        return;
    }
    safetensors_close(&dead->st);
    pickle_close(&dead->p);
    file_close(&dead->file);
    free(dead->all);
    free(dead->label);
    free(dead);
}

/* ---------------------------------------------------------------------------------------------- */
/* Access */

size_t foreign_count(const foreign *f) {
    return f->n;
}

const foreign_tensor *foreign_at(const foreign *f, size_t index) {
    return &f->all[index].tensor;
}

const foreign_tensor *foreign_find(const foreign *f, const char *name) {
    const foreign_entry wanted = {.tensor = {.name = name}};
    const foreign_entry *found = bsearch(&wanted, f->all, f->n, sizeof *f->all, compare_names);
    return found == NULL ? NULL : &found->tensor;
}

/* Exact: IEEE 754 binary16 has fewer bits of everything. */
static float widen_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half >> 15) << 31;
    const uint32_t exponent = half >> 10 & 31u;
    const uint32_t fraction = half & 1023u;
    float value;
    if (exponent == 0) { /* fraction * 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    const uint32_t bits = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The element at that place; *wide is it too, to be named where it is too large. */
static float read_element(const uint8_t *at, safetensors_type type, double *wide) {
    uint16_t half;
    float value;
    if (type == SAFETENSORS_F64) {
        memcpy(wide, at, sizeof *wide);
        return (float)*wide;
    }
    if (type == SAFETENSORS_F32) {
        memcpy(&value, at, sizeof value);
    } else {
        memcpy(&half, at, sizeof half);
        value = type == SAFETENSORS_F16 ? widen_half(half) : bf16_widen(half);
    }
    *wide = value;
    return value;
}

octet_status foreign_read(float *out, const foreign *f, const foreign_tensor *t,
                          octet_error *error) {
    if (t->type != SAFETENSORS_F32 && t->type != SAFETENSORS_F64 && t->type != SAFETENSORS_F16 &&
        t->type != SAFETENSORS_BF16) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\" is %s; F32, F64, F16 and BF16 are read", f->label,
                         t->name, safetensors_type_name(t->type));
    }
    const size_t bytes = safetensors_type_bytes(t->type);
    uint64_t total = 0;
    (void)content_bytes(&total, t->type, t->rank, t->dim); /* was checked */
    total /= bytes;
    int64_t index[SAFETENSORS_RANK] = {0};
    size_t at = 0; /* element of the storage */
    for (uint64_t i = 0; i < total; i++) {
        double wide;
        out[i] = read_element(t->data + at * bytes, t->type, &wide);
        if (!isfinite(out[i])) {
            return error_set(error, OCTET_CORRUPT,
                             "%s: tensor \"%.64s\": element %llu is %g, not finite as F32",
                             f->label, t->name, (unsigned long long)i, wide);
        }
        for (int k = t->rank - 1; k >= 0; k--) { /* the next index, and its place */
            at += (size_t)t->stride[k];
            if (++index[k] < t->dim[k]) {
                break;
            }
            at -= (size_t)t->dim[k] * (size_t)t->stride[k];
            index[k] = 0;
        }
    }
    return OCTET_OK;
}
