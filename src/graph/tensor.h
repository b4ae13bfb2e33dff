/* tensor.h: what flows through a graph, and what outlives a run.
 *
 * A tensor is a description: row-major, last dimension contiguous, dimensions in the order people
 * write them (x[B,T,C]). It has no memory of its own: the plan gives results an offset, a backend
 * gives variables and inputs theirs. A variable (a parameter, or a piece of a stream's state) is a
 * named tensor that lives on a backend between runs; graphs name it through a tensor of kind
 * TENSOR_VARIABLE. */
#ifndef GRAPH_TENSOR_H
#define GRAPH_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#define TENSOR_MAX_RANK 5

typedef enum dtype { DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_I32, DTYPE_I8, DTYPE_U8 } dtype;

size_t dtype_bytes(dtype type);
const char *dtype_name(dtype type);

typedef enum variable_kind { VARIABLE_PARAMETER, VARIABLE_STATE } variable_kind;

/* How a backend may hold a state. The logical form, seen by upload and download, is always
 * row-major [S,T,...]; LAYOUT_KEYS promises that only `store` writes it and only `attention_cached`
 * reads it as keys, so that a backend may keep it packed. LAYOUT_KEYS_INT8 and LAYOUT_VALUES_INT8
 * are states [S,T,G,D+1] of `store_int8` and `attention_cached_int8`: D integers from -127 to 127,
 * then their scale. */
typedef enum variable_layout {
    LAYOUT_ROWS,
    LAYOUT_KEYS,
    LAYOUT_KEYS_INT8,
    LAYOUT_VALUES_INT8
} variable_layout;

typedef struct variable {
    char name[96];
    dtype
        type; /* DTYPE_F32; parameters also DTYPE_BF16 (storage only: widened exactly when used) */
    int rank;
    int64_t dim[TENSOR_MAX_RANK];
    variable_kind kind;
    variable_layout layout;
    uint64_t version; /* goes up with every write; derived forms are renewed when it has */
    void *memory;     /* the backend's; NULL until backend_allocate */
} variable;

int64_t variable_elements(const variable *v);

/* Whether the state holds integers and scales. */
int variable_is_int8(const variable *v);

/* Bytes that a backend takes for v at least: integers take one each. */
size_t variable_bytes(const variable *v);

typedef enum tensor_kind {
    TENSOR_INPUT,    /* uploaded before a run */
    TENSOR_VARIABLE, /* lives on the backend */
    TENSOR_RESULT,   /* output of a node, memory from the plan */
    TENSOR_VIEW      /* another shape of `base`, or the tensor that an in-place node has updated */
} tensor_kind;

typedef struct node node;

typedef struct tensor {
    dtype type;
    int rank;
    int64_t dim[TENSOR_MAX_RANK];
    tensor_kind kind;
    int id;               /* index in its graph */
    int is_output;        /* memory is kept until the next run, so that it can be downloaded */
    const char *name;     /* of inputs and variables, else NULL */
    struct tensor *base;  /* of a view: the tensor that owns the memory, itself not a view */
    node *producer;       /* of a result or an in-place view */
    variable *variable;   /* of TENSOR_VARIABLE */
    const void *constant; /* of an input that is never uploaded: its elements */
    struct tensor
        *gradient; /* dL/d(this) after graph_backward, NULL if the loss does not hang on it */
} tensor;

int64_t tensor_elements(const tensor *t);
size_t tensor_bytes(const tensor *t);

/* Product of all dimensions but the last: the rows of the tensor seen as a matrix. */
int64_t tensor_rows(const tensor *t);

int tensor_same_shape(const tensor *a, const tensor *b);

/* The last dimension. */
int64_t tensor_columns(const tensor *t);

/* The tensor whose memory t uses: t itself, or its base. */
const tensor *tensor_storage(const tensor *t);

/* Writes "name[8,32,256]" or "[8,32,256]"; returns buffer. */
char *tensor_describe(char *buffer, size_t size, const tensor *t);

#endif
