/* tensor.c: sizes and names of tensors. */
#include "graph/tensor.h"

#include <stdio.h>
#include <string.h>

size_t dtype_bytes(dtype type) {
    static const size_t bytes[] = {4, 2, 2, 4, 1, 1};
    return bytes[type];
}

const char *dtype_name(dtype type) {
    static const char *const names[] = {"f32", "bf16", "f16", "i32", "i8", "u8"};
    return names[type];
}

static int64_t product(const int64_t *dim, int rank) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    return n;
}

int64_t variable_elements(const variable *v) {
    return product(v->dim, v->rank);
}

int variable_is_int8(const variable *v) {
    return v->layout == LAYOUT_KEYS_INT8 || v->layout == LAYOUT_VALUES_INT8;
}

size_t variable_bytes(const variable *v) {
    if (!variable_is_int8(v))
        return (size_t)variable_elements(v) * dtype_bytes(v->type);
    const int64_t row = (v->dim[3] - 1 + 3) / 4 * 4 + (int64_t)sizeof(float);
    return (size_t)(v->dim[0] * v->dim[1] * v->dim[2] * row);
}

int64_t tensor_elements(const tensor *t) {
    return product(t->dim, t->rank);
}

size_t tensor_bytes(const tensor *t) {
    return (size_t)tensor_elements(t) * dtype_bytes(t->type);
}

int64_t tensor_rows(const tensor *t) {
    return product(t->dim, t->rank - 1);
}

int tensor_same_shape(const tensor *a, const tensor *b) {
    return a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]);
}

int64_t tensor_columns(const tensor *t) {
    return t->dim[t->rank - 1];
}

const tensor *tensor_storage(const tensor *t) {
    return t->kind == TENSOR_VIEW ? t->base : t;
}

char *tensor_describe(char *buffer, size_t size, const tensor *t) {
    const tensor *owner = tensor_storage(t);
    int used = snprintf(buffer, size, "%s[", owner->name ? owner->name : "");
    for (int i = 0; i < t->rank && used >= 0 && (size_t)used < size; i++) {
        const char *end = i + 1 == t->rank ? "]" : ",";
        used += snprintf(buffer + used, size - (size_t)used, "%lld%s", (long long)t->dim[i], end);
    }
    return buffer;
}
