/* safetensors_content.c: names, sizes, and an XXH3-128 over the content in a canonical order. */
#include "model/safetensors_content.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { STATE_BYTES = 576 }; /* about what XXH3_createState allocates */

static const struct {
    const char *name;
    size_t bytes;
} types[SAFETENSORS_TYPES] = {
    [SAFETENSORS_BOOL] = {"BOOL", 1},       [SAFETENSORS_U8] = {"U8", 1},
    [SAFETENSORS_I8] = {"I8", 1},           [SAFETENSORS_F8_E5M2] = {"F8_E5M2", 1},
    [SAFETENSORS_F8_E4M3] = {"F8_E4M3", 1}, [SAFETENSORS_I16] = {"I16", 2},
    [SAFETENSORS_U16] = {"U16", 2},         [SAFETENSORS_F16] = {"F16", 2},
    [SAFETENSORS_BF16] = {"BF16", 2},       [SAFETENSORS_I32] = {"I32", 4},
    [SAFETENSORS_U32] = {"U32", 4},         [SAFETENSORS_F32] = {"F32", 4},
    [SAFETENSORS_I64] = {"I64", 8},         [SAFETENSORS_U64] = {"U64", 8},
    [SAFETENSORS_F64] = {"F64", 8},
};

const char *safetensors_type_name(safetensors_type type) {
    return types[type].name;
}

size_t safetensors_type_bytes(safetensors_type type) {
    return types[type].bytes;
}

const char *content_name_fault(const char *name) {
    const size_t bytes = strlen(name);
    if (bytes == 0) {
        return "is empty";
    }
    if (bytes > SAFETENSORS_NAME_BYTES) {
        return "is longer than 256 bytes";
    }
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)name[i];
        const unsigned char next = (unsigned char)name[i + 1];
        const bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0; /* U+0080 to U+009F in UTF-8 */
        if (c < 0x20 || c == 0x7f || c1) {
            return "holds a control character";
        }
    }
    /* A name is never a path here, but another program may make it one. */
    return strstr(name, "../") != NULL ? "holds \"../\"" : NULL;
}

bool content_is_utf8(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at != 0) {
        const unsigned char first = *at++;
        if (first < 0x80) {
            continue;
        }
        const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4) {
            return false;
        }
        uint32_t code = first & (0x3fu >> more);
        for (int i = 0; i < more; i++) {
            if ((*at & 0xc0) != 0x80) { /* also the end */
                return false;
            }
            code = code << 6 | (*at++ & 0x3fu);
        }
        const uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
            return false;
        }
    }
    return true;
}

bool content_bytes(uint64_t *bytes, safetensors_type type, int rank, const int64_t *dim) {
    uint64_t product = types[type].bytes;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        const uint64_t size = (uint64_t)dim[i];
        if (size == 0) {
            empty = true;
        } else if (product > INT64_MAX / size) {
            return false;
        } else {
            product *= size;
        }
    }
    *bytes = empty ? 0 : product;
    return product <= SIZE_MAX / 2;
}

struct content_hash {
    XXH3_state_t *state;
};

octet_status content_hash_create(content_hash **out, octet_error *error) {
    *out = NULL;
    content_hash *h = malloc(sizeof *h);
    XXH3_state_t *state = XXH3_createState();
    if (h == NULL || state == NULL || XXH3_128bits_reset(state) != XXH_OK) {
        free(h);
        XXH3_freeState(state);
        return error_memory(error, "a checksum", STATE_BYTES);
    }
    h->state = state;
    *out = h;
    return OCTET_OK;
}

void content_hash_destroy(content_hash **h) {
    if (*h != NULL) {
        XXH3_freeState((*h)->state);
    }
    free(*h);
    *h = NULL;
}

void content_hash_data(content_hash *h, const void *data, size_t bytes) {
    if (bytes > 0) {
        (void)XXH3_128bits_update(h->state, data, bytes); /* fails for a NULL state only */
    }
}

void content_hash_number(content_hash *h, uint64_t number) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (8 * i));
    }
    content_hash_data(h, bytes, sizeof bytes);
}

void content_hash_text(content_hash *h, const char *text) {
    const size_t bytes = strlen(text);
    content_hash_number(h, bytes);
    content_hash_data(h, text, bytes);
}

void content_hash_tensor(content_hash *h, const safetensors_tensor *tensor) {
    content_hash_text(h, tensor->name);
    content_hash_text(h, types[tensor->type].name);
    content_hash_number(h, (uint64_t)tensor->rank);
    for (int i = 0; i < tensor->rank; i++) {
        content_hash_number(h, (uint64_t)tensor->dim[i]);
    }
    content_hash_number(h, tensor->bytes);
}

void content_hash_digest(const content_hash *h, char hex[33]) {
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(h->state));
    for (int i = 0; i < 16; i++) {
        hex[2 * i] = "0123456789abcdef"[digest.digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest.digest[i] & 15];
    }
    hex[32] = '\0';
}
