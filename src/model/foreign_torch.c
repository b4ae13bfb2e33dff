/* foreign_torch.c: from an archive of torch.save to tensors.
 *
 * An archive NAME.pt holds NAME/data.pkl, the pickle of what was saved, NAME/data/K, the bytes of
 * storage K, and NAME/version; newer ones NAME/byteorder. A tensor is (storage, offset, size,
 * stride), and many may share a storage. The container is described nowhere; this follows what
 * torch/serialization.py and caffe2/serialize/inline_container.h of PyTorch do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/foreign_parts.h"
#include "model/quoted.h"
#include "model/safetensors_content.h"
#include "model/zip.h"

enum { VERSION_MOST = 10 };

typedef struct reader {
    foreign *f;
    const char *label;
    octet_error *error;
    zip *z;
    const zip_entry *pickle; /* NAME/data.pkl */
    size_t folder_bytes;     /* of "NAME/" */
    uint8_t *seen;           /* [members], 0 or 1 and the type of the storage that was checked */
} reader;

/* ---------------------------------------------------------------------------------------------- */
/* The members that describe the archive */

/* The member of that name in the archive's folder. */
static const zip_entry *find(const reader *r, const char *name) {
    char path[2 * SAFETENSORS_NAME_BYTES];
    snprintf(path, sizeof path, "%.*s%s", (int)r->folder_bytes, r->pickle->name, name);
    return zip_find(r->z, path);
}

static octet_status find_pickle(reader *r) {
    static const char name[] = "data.pkl";
    for (size_t i = 0; i < zip_count(r->z); i++) {
        const zip_entry *e = zip_at(r->z, i);
        const char *slash = memchr(e->name, '/', e->name_bytes);
        const size_t folder = slash == NULL ? 0 : (size_t)(slash + 1 - e->name);
        if (folder == 0 || e->name_bytes - folder != strlen(name) ||
            memcmp(slash + 1, name, strlen(name)) != 0) {
            continue;
        }
        if (r->pickle != NULL) {
            return error_set(r->error, OCTET_CORRUPT, "%s: archive: two pickles, \"%s\" and \"%s\"",
                             r->label, quote(r->pickle->name, r->pickle->name_bytes).text,
                             quote(e->name, e->name_bytes).text);
        }
        r->pickle = e;
        r->folder_bytes = folder;
    }
    if (r->pickle == NULL) {
        return error_set(
            r->error, OCTET_CORRUPT,
            "%s: archive: no NAME/data.pkl among its %zu members: torch.save did not write it",
            r->label, zip_count(r->z));
    }
    return OCTET_OK;
}

/* A number and a line feed. */
static octet_status check_version(const reader *r) {
    const zip_entry *e = find(r, "version");
    if (e == NULL) {
        return error_set(r->error, OCTET_CORRUPT, "%s: archive: no version beside data.pkl",
                         r->label);
    }
    const octet_status status = zip_check(r->z, e, r->error);
    if (status != OCTET_OK) {
        return status;
    }
    int version = 0;
    uint64_t i = 0;
    for (; i < e->bytes && i < 3 && e->data[i] >= '0' && e->data[i] <= '9'; i++) {
        version = 10 * version + (e->data[i] - '0');
    }
    if (version < 1 || version > VERSION_MOST || e->bytes != i + 1 || e->data[i] != '\n') {
        return error_set(r->error, OCTET_CORRUPT,
                         "%s: archive: its version is \"%s\", not a number from 1 to %d", r->label,
                         quote(e->data, e->bytes < 64 ? (size_t)e->bytes : 64).text, VERSION_MOST);
    }
    return OCTET_OK;
}

static octet_status check_byteorder(const reader *r) {
    static const char little[] = "little";
    const zip_entry *e = find(r, "byteorder");
    const octet_status status = e == NULL ? OCTET_OK : zip_check(r->z, e, r->error);
    if (e == NULL || status != OCTET_OK) {
        return status;
    }
    if (e->bytes != strlen(little) || memcmp(e->data, little, strlen(little)) != 0) {
        return error_set(r->error, OCTET_CORRUPT,
                         "%s: archive: its byte order is \"%s\", not \"little\"", r->label,
                         quote(e->data, e->bytes < 64 ? (size_t)e->bytes : 64).text);
    }
    return OCTET_OK;
}

/* ---------------------------------------------------------------------------------------------- */
/* The state dict */

/* The dict of tensors: an entry of a known name that is a dict, or the root itself. */
static octet_status find_state(const reader *r, const pickle_value **state) {
    static const char *const names[] = {"model", "MODEL", "state_dict"};
    const pickle *p = r->f->p;
    const pickle_value *root = pickle_root(p);
    const char *found = NULL;
    if (root->kind != PICKLE_DICT) {
        return error_set(r->error, OCTET_CORRUPT,
                         "%s: state dict: the pickle holds %s, not a dict of tensors", r->label,
                         pickle_kind_name(root));
    }
    *state = root;
    for (uint32_t item = root->of.items.first; item != 0;) {
        const pickle_value *key = pickle_item(p, item);
        const uint32_t value = pickle_next(p, item);
        item = pickle_next(p, value);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (pickle_item(p, value)->kind != PICKLE_DICT || !pickle_is_text(key, names[i])) {
                continue;
            }
            if (found != NULL) {
                return error_set(r->error, OCTET_CORRUPT,
                                 "%s: state dict: there are a dict \"%s\" and a dict \"%s\"",
                                 r->label, found, names[i]);
            }
            found = names[i];
            *state = pickle_item(p, value);
        }
    }
    return OCTET_OK;
}

static octet_status check_pair(const reader *r, const pickle_value *state, const pickle_value *key,
                               const pickle_value *value) {
    if (key->kind != PICKLE_TEXT) {
        return error_set(r->error, OCTET_CORRUPT, "%s: state dict: a key is %s, not a text",
                         r->label, pickle_kind_name(key));
    }
    if (value->kind != PICKLE_TENSOR) {
        const bool is_root = state == pickle_root(r->f->p);
        return error_set(r->error, OCTET_CORRUPT, "%s: state dict: \"%s\" is %s, not a tensor%s",
                         r->label, quote(key->of.text, key->n).text, pickle_kind_name(value),
                         is_root ? ", and there is no dict \"model\", \"MODEL\" or \"state_dict\""
                                 : "");
    }
    return OCTET_OK;
}

/* ---------------------------------------------------------------------------------------------- */
/* Tensors */

/* The member of a storage. Its type and sizes are compared each time, its CRC once. */
static octet_status find_storage(const reader *r, const char *name, const pickle_tensor *p,
                                 const zip_entry **entry) {
    char path[80];
    const quoted key = quote(p->key->of.text, p->key->n);
    const size_t digits = strspn(key.text, "0123456789");
    if (p->key->n == 0 || p->key->n > 20 || digits != p->key->n) {
        return error_set(r->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\": its storage \"%s\" is not a number", r->label, name,
                         key.text);
    }
    snprintf(path, sizeof path, "data/%s", key.text);
    const zip_entry *e = find(r, path);
    if (e == NULL) {
        return error_set(r->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\": the archive has no storage %s", r->label, name,
                         path);
    }
    const size_t bytes = safetensors_type_bytes(p->type);
    if ((uint64_t)p->n_elements > INT64_MAX / bytes ||
        (uint64_t)p->n_elements * bytes != e->bytes) {
        return error_set(r->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\": storage %s has %llu bytes, its %lld elements are "
                         "%s",
                         r->label, name, path, (unsigned long long)e->bytes,
                         (long long)p->n_elements, safetensors_type_name(p->type));
    }
    uint8_t *seen = &r->seen[e - zip_at(r->z, 0)];
    if (*seen != 0 && *seen != p->type + 1) {
        return error_set(r->error, OCTET_CORRUPT, "%s: tensor \"%.64s\": storage %s is %s and %s",
                         r->label, name, path, safetensors_type_name((safetensors_type)(*seen - 1)),
                         safetensors_type_name(p->type));
    }
    const octet_status status = *seen != 0 ? OCTET_OK : zip_check(r->z, e, r->error);
    *seen = (uint8_t)(p->type + 1);
    *entry = e;
    return status;
}

/* Size and stride against the storage; *empty: no element is reached. */
static octet_status check_layout(const reader *r, const char *name, const pickle_tensor *p,
                                 bool *empty) {
    *empty = false;
    for (int i = 0; i < p->rank; i++) {
        if (p->dim[i] < 0 || p->stride[i] < 0) {
            return error_set(r->error, OCTET_CORRUPT,
                             "%s: tensor \"%.64s\": size[%d] is %lld and stride[%d] %lld, below 0",
                             r->label, name, i, (long long)p->dim[i], i, (long long)p->stride[i]);
        }
        *empty |= p->dim[i] == 0;
    }
    uint64_t bytes;
    if (!content_bytes(&bytes, p->type, p->rank, p->dim)) {
        return error_set(r->error, OCTET_CORRUPT, "%s: tensor \"%.64s\": its size overflows",
                         r->label, name);
    }
    const int64_t elements = (int64_t)(bytes / safetensors_type_bytes(p->type));
    if (p->offset < 0 || p->offset > p->n_elements || elements > p->n_elements) {
        return error_set(r->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\": %lld elements from element %lld on of a storage of "
                         "%lld",
                         r->label, name, (long long)elements, (long long)p->offset,
                         (long long)p->n_elements);
    }
    int64_t left = p->n_elements - 1 - p->offset; /* behind the last element reached so far */
    for (int i = 0; i < p->rank && !*empty; i++) {
        const int64_t steps = p->dim[i] - 1;
        if (left < 0 || (steps > 0 && p->stride[i] > left / steps)) {
            return error_set(r->error, OCTET_CORRUPT,
                             "%s: tensor \"%.64s\": size[%d] %lld with stride %lld from element "
                             "%lld on leaves its storage of %lld",
                             r->label, name, i, (long long)p->dim[i], (long long)p->stride[i],
                             (long long)p->offset, (long long)p->n_elements);
        }
        left -= steps * p->stride[i];
    }
    if (p->rank == 0 && left < 0) {
        return error_set(r->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\": its element %lld is not in its storage of %lld",
                         r->label, name, (long long)p->offset, (long long)p->n_elements);
    }
    return OCTET_OK;
}

static octet_status fill_tensor(const reader *r, foreign_tensor *t, const pickle_value *value) {
    static const uint8_t nothing[1] = {0};
    pickle_tensor p;
    const zip_entry *e = NULL;
    bool empty;
    pickle_get_tensor(&p, r->f->p, value);
    octet_status status = find_storage(r, t->name, &p, &e);
    if (status == OCTET_OK) {
        status = check_layout(r, t->name, &p, &empty);
    }
    if (status != OCTET_OK) {
        return status;
    }
    t->type = p.type;
    t->rank = p.rank;
    memcpy(t->dim, p.dim, sizeof t->dim);
    memcpy(t->stride, p.stride, sizeof t->stride);
    t->data = empty ? nothing : e->data + (size_t)p.offset * safetensors_type_bytes(p.type);
    return OCTET_OK;
}

static octet_status read_state(const reader *r) {
    const pickle *p = r->f->p;
    const pickle_value *state = NULL;
    octet_status status = find_state(r, &state);
    if (status == OCTET_OK) {
        status = foreign_reserve(r->f, state->n / 2, r->error);
    }
    for (uint32_t item = status == OCTET_OK ? state->of.items.first : 0; item != 0;) {
        const pickle_value *key = pickle_item(p, item);
        const uint32_t next = pickle_next(p, item);
        const pickle_value *value = pickle_item(p, next);
        foreign_tensor *t = NULL;
        item = pickle_next(p, next);
        status = check_pair(r, state, key, value);
        if (status == OCTET_OK) {
            status = foreign_add(&t, r->f, key->of.text, key->n, r->error);
        }
        if (status == OCTET_OK) {
            status = fill_tensor(r, t, value);
        }
        if (status != OCTET_OK) {
            return status;
        }
    }
    return status;
}

static octet_status read_members(reader *r) {
    octet_status status = find_pickle(r);
    if (status == OCTET_OK) {
        status = check_version(r);
    }
    if (status == OCTET_OK) {
        status = check_byteorder(r);
    }
    if (status == OCTET_OK) {
        status = zip_check(r->z, r->pickle, r->error);
    }
    if (status == OCTET_OK) {
        status =
            pickle_open(&r->f->p, r->label, r->pickle->data, (size_t)r->pickle->bytes, r->error);
    }
    if (status != OCTET_OK) {
        return status;
    }
    r->seen = calloc(zip_count(r->z) + 1, sizeof *r->seen);
    if (r->seen == NULL) {
        return error_memory(r->error, r->label, (double)zip_count(r->z));
    }
    status = read_state(r);
    free(r->seen);
    return status;
}

octet_status foreign_read_torch(foreign *f, const uint8_t *bytes, size_t size, octet_error *error) {
    reader r = {.f = f, .label = f->label, .error = error};
    octet_status status = zip_open(&r.z, f->label, bytes, size, error);
    if (status == OCTET_OK) {
        status = read_members(&r);
    }
    zip_close(&r.z);
    return status;
}
