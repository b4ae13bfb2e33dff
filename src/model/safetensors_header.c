/* safetensors_header.c: from the header's text to checked tensor records.
 *
 * Order of the checks: the text (depth, number of values, what follows the object) by a scan
 * without recursion, the JSON, each tensor's record, then all ranges together: in order of their
 * offsets they must follow one another without overlap or hole and end exactly at the data's end.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors_content.h"

enum {
    /* Structural limits that bound the parser's memory: containers and commas of the largest
     * header that the other limits allow, and some more. */
    CONTAINERS_MOST = 4 * SAFETENSORS_TENSORS,
    COMMAS_MOST = 16 * SAFETENSORS_TENSORS,
    PROBE_BYTES = 1 << 16
};

/* ---------------------------------------------------------------------------------------------- */
/* The header's text */

/* Checks what a JSON parser would only find after it has spent memory or stack. */
static octet_status scan_text(const char *label, const char *text, size_t bytes,
                              octet_error *error) {
    if (text[0] != '{') {
        return error_set(error, OCTET_CORRUPT, "%s: the header starts with byte 0x%02x, not \"{\"",
                         label, (unsigned)(unsigned char)text[0]);
    }
    int depth = 0;
    int containers = 0;
    int commas = 0;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
            continue;
        }
        if (depth == 0 && i > 0 && c != ' ') {
            return error_set(error, OCTET_CORRUPT,
                             "%s: byte 0x%02x at header byte %zu, after the end of the object",
                             label, (unsigned)(unsigned char)c, i);
        }
        in_string = c == '"';
        commas += c == ',';
        if (c == '{' || c == '[') {
            depth++;
            containers++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (depth > SAFETENSORS_DEPTH) {
            return error_set(error, OCTET_CORRUPT,
                             "%s: the header is nested deeper than %d at header byte %zu", label,
                             SAFETENSORS_DEPTH, i);
        }
        if (containers > CONTAINERS_MOST || commas > COMMAS_MOST) {
            return error_set(error, OCTET_CORRUPT,
                             "%s: the header holds too many values for %d tensors at byte %zu",
                             label, SAFETENSORS_TENSORS, i);
        }
    }
    return OCTET_OK;
}

static octet_status parse_text(safetensors *st, const char *text, size_t bytes,
                               octet_error *error) {
    const octet_status status = scan_text(st->label, text, bytes, error);
    if (status != OCTET_OK) {
        return status;
    }
    json_error_t fault;
    st->header = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &fault);
    if (st->header == NULL) {
        /* jansson calls a failed allocation a syntax error: only what fails with memory at hand,
         * and twice, is one. */
        void *probe = malloc(PROBE_BYTES);
        if (probe == NULL) {
            return error_memory(error, st->label, PROBE_BYTES);
        }
        free(probe);
        st->header = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &fault);
    }
    if (st->header == NULL) {
        return error_set(error, OCTET_CORRUPT, "%s: the header is not JSON at header byte %d: %s",
                         st->label, fault.position, fault.text);
    }
    return OCTET_OK;
}

/* ---------------------------------------------------------------------------------------------- */
/* Metadata */

static int compare_pairs(const void *a, const void *b) {
    return strcmp(((const content_pair *)a)->key, ((const content_pair *)b)->key);
}

static octet_status parse_metadata(safetensors *st, octet_error *error) {
    json_t *map = json_object_get(st->header, CONTENT_METADATA);
    if (map == NULL) {
        return OCTET_OK;
    }
    if (!json_is_object(map)) {
        return error_set(error, OCTET_CORRUPT, "%s: " CONTENT_METADATA " is not an object",
                         st->label);
    }
    const size_t n = json_object_size(map);
    st->metadata = calloc(n + 1, sizeof *st->metadata);
    if (st->metadata == NULL) {
        return error_memory(error, st->label, (double)n * sizeof *st->metadata);
    }
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) {
        if (!json_is_string(value)) {
            return error_set(error, OCTET_CORRUPT, "%s: metadata \"%.64s\" is not a string",
                             st->label, key);
        }
        st->metadata[st->n_metadata++] = (content_pair){key, json_string_value(value)};
    }
    qsort(st->metadata, st->n_metadata, sizeof *st->metadata, compare_pairs);
    return OCTET_OK;
}

/* ---------------------------------------------------------------------------------------------- */
/* Tensor records */

/* The record being parsed, for messages. */
typedef struct place {
    const char *label;
    const char *name;
    octet_error *error;
} place;

static octet_status wrong(const place *at, const char *what) {
    return error_set(at->error, OCTET_CORRUPT, "%s: tensor \"%.64s\": %s", at->label, at->name,
                     what);
}

static octet_status parse_type(safetensors_type *type, const json_t *value, const place *at) {
    if (!json_is_string(value)) {
        return wrong(at, "dtype is not a string");
    }
    const char *name = json_string_value(value);
    for (int i = 0; i < SAFETENSORS_TYPES; i++) {
        if (strcmp(name, safetensors_type_name((safetensors_type)i)) == 0) {
            *type = (safetensors_type)i;
            return OCTET_OK;
        }
    }
    return error_set(at->error, OCTET_CORRUPT, "%s: tensor \"%.64s\": unknown dtype \"%.16s\"",
                     at->label, at->name, name);
}

static octet_status parse_shape(safetensors_tensor *t, const json_t *value, const place *at) {
    if (!json_is_array(value)) {
        return wrong(at, "shape is not an array");
    }
    const size_t rank = json_array_size(value);
    if (rank > SAFETENSORS_RANK) {
        return error_set(at->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\": rank %zu is above the limit of %d", at->label,
                         at->name, rank, SAFETENSORS_RANK);
    }
    t->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(value, i);
        if (!json_is_integer(dim)) {
            return error_set(at->error, OCTET_CORRUPT,
                             "%s: tensor \"%.64s\": shape[%zu] is not an integer", at->label,
                             at->name, i);
        }
        t->dim[i] = json_integer_value(dim);
        if (t->dim[i] < 0) {
            return error_set(at->error, OCTET_CORRUPT,
                             "%s: tensor \"%.64s\": shape[%zu] is %lld, below 0", at->label,
                             at->name, i, (long long)t->dim[i]);
        }
    }
    return OCTET_OK;
}

/* The range of data bytes against the shape's size and against the data, if its size is known. */
static octet_status parse_range(safetensors_tensor *t, uint64_t *begin, const json_t *value,
                                uint64_t data_bytes, const place *at) {
    const json_t *first = json_array_get(value, 0); /* NULL unless an array that has one */
    const json_t *last = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(first) || !json_is_integer(last)) {
        return wrong(at, "data_offsets is not an array of two integers");
    }
    const int64_t from = json_integer_value(first);
    const int64_t to = json_integer_value(last);
    if (from < 0 || from > to) {
        return error_set(at->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\": data_offsets %lld to %lld are no range", at->label,
                         at->name, (long long)from, (long long)to);
    }
    if (data_bytes != CONTENT_SIZE_UNKNOWN && (uint64_t)to > data_bytes) {
        return error_set(at->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\" ends at data byte %lld, the file holds %llu",
                         at->label, at->name, (long long)to, (unsigned long long)data_bytes);
    }
    uint64_t bytes;
    if (!content_bytes(&bytes, t->type, t->rank, t->dim)) {
        return wrong(at, "the shape's size overflows");
    }
    if (bytes != (uint64_t)to - (uint64_t)from) {
        return error_set(at->error, OCTET_CORRUPT,
                         "%s: tensor \"%.64s\": data_offsets hold %lld bytes, the shape needs %llu",
                         at->label, at->name, (long long)(to - from), (unsigned long long)bytes);
    }
    t->bytes = (size_t)bytes;
    *begin = (uint64_t)from;
    return OCTET_OK;
}

static octet_status parse_record(safetensors_tensor *t, uint64_t *begin, json_t *record,
                                 uint64_t data_bytes, const place *at) {
    const char *fault = content_name_fault(at->name);
    if (fault != NULL) {
        return error_set(at->error, OCTET_CORRUPT, "%s: the name of tensor \"%.64s\" %s", at->label,
                         at->name, fault);
    }
    t->name = at->name;
    if (!json_is_object(record)) {
        return wrong(at, "its record is not an object");
    }
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    for (int i = 0; i < 3; i++) {
        if (json_object_get(record, fields[i]) == NULL) {
            return error_set(at->error, OCTET_CORRUPT, "%s: tensor \"%.64s\" has no %s", at->label,
                             at->name, fields[i]);
        }
    }
    if (json_object_size(record) != 3) {
        return wrong(at, "it has fields besides dtype, shape and data_offsets");
    }
    octet_status status = parse_type(&t->type, json_object_get(record, "dtype"), at);
    if (status == OCTET_OK) {
        status = parse_shape(t, json_object_get(record, "shape"), at);
    }
    if (status == OCTET_OK) {
        status = parse_range(t, begin, json_object_get(record, "data_offsets"), data_bytes, at);
    }
    return status;
}

/* ---------------------------------------------------------------------------------------------- */
/* All ranges together */

/* A tensor with its offset: sorted by offset for the check, then by name for the caller. */
typedef struct located {
    safetensors_tensor tensor;
    uint64_t begin;
} located;

static int compare_offsets(const void *a, const void *b) {
    const located *x = a;
    const located *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    if (x->tensor.bytes != y->tensor.bytes) {
        return x->tensor.bytes < y->tensor.bytes ? -1 : 1;
    }
    return strcmp(x->tensor.name, y->tensor.name);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const located *)a)->tensor.name, ((const located *)b)->tensor.name);
}

static octet_status check_cover(safetensors *st, located *list, uint64_t data_bytes,
                                octet_error *error) {
    qsort(list, st->n_tensors, sizeof *list, compare_offsets);
    uint64_t end = 0;
    for (size_t i = 0; i < st->n_tensors; i++) {
        if (list[i].begin != end) {
            return error_set(error, OCTET_CORRUPT,
                             "%s: tensor \"%.64s\" starts at data byte %llu, but the bytes before "
                             "it end at %llu (%s)",
                             st->label, list[i].tensor.name, (unsigned long long)list[i].begin,
                             (unsigned long long)end, list[i].begin < end ? "overlap" : "hole");
        }
        end += list[i].tensor.bytes;
    }
    if (data_bytes != CONTENT_SIZE_UNKNOWN && end != data_bytes) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: the tensors end at data byte %llu, the file holds %llu", st->label,
                         (unsigned long long)end, (unsigned long long)data_bytes);
    }
    st->data_bytes = end;
    return OCTET_OK;
}

static octet_status parse_records(safetensors *st, located *list, uint64_t data_bytes,
                                  octet_error *error) {
    const char *name;
    json_t *record;
    json_object_foreach(st->header, name, record) {
        if (strcmp(name, CONTENT_METADATA) != 0) {
            located *l = &list[st->n_tensors++];
            const place at = {st->label, name, error};
            const octet_status status =
                parse_record(&l->tensor, &l->begin, record, data_bytes, &at);
            if (status != OCTET_OK) {
                return status;
            }
        }
    }
    const octet_status status = check_cover(st, list, data_bytes, error);
    if (status == OCTET_OK) {
        qsort(list, st->n_tensors, sizeof *list, compare_names);
        for (size_t i = 0; i < st->n_tensors; i++) {
            st->all[i] = list[i].tensor;
            st->begin[i] = list[i].begin;
        }
    }
    return status;
}

octet_status content_parse_header(safetensors *st, const char *text, size_t bytes,
                                  uint64_t data_bytes, octet_error *error) {
    octet_status status = parse_text(st, text, bytes, error);
    if (status == OCTET_OK) {
        status = parse_metadata(st, error);
    }
    if (status != OCTET_OK) {
        return status;
    }
    const size_t n = json_object_size(st->header);
    if (n > SAFETENSORS_TENSORS + (size_t)(json_object_get(st->header, CONTENT_METADATA) != NULL)) {
        return error_set(error, OCTET_CORRUPT, "%s: %zu tensors, above the limit of %d", st->label,
                         n, SAFETENSORS_TENSORS);
    }
    located *list = calloc(n + 1, sizeof *list);
    st->all = calloc(n + 1, sizeof *st->all);
    st->begin = calloc(n + 1, sizeof *st->begin);
    if (list == NULL || st->all == NULL || st->begin == NULL) {
        status = error_memory(error, st->label, (double)n * sizeof *list);
    } else {
        status = parse_records(st, list, data_bytes, error);
    }
    free(list);
    return status;
}
