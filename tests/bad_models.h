/* bad_models.h: model files that mean harm, made from a good one.
 *
 * Each row of the corpus says what is wrong with a file and at which stage of the reader it must
 * end. Where the damage lies behind the checksum's check, the checksum is made right again: whoever
 * writes such a file on purpose does so too. */
#ifndef TESTS_BAD_MODELS_H
#define TESTS_BAD_MODELS_H

#include "graph/backend.h"

/* Where a file ends, in the order in which it is read. */
typedef enum bad_stage {
    STAGE_SIZE,    /* the length in front, against the file */
    STAGE_HEADER,  /* the header's text, before it is parsed */
    STAGE_JSON,    /* the parser, the metadata */
    STAGE_TENSORS, /* the records of tensors: types, shapes, ranges */
    STAGE_HASH,    /* the checksum */
    STAGE_CONFIG,  /* format, version, configuration */
    STAGE_SHAPES,  /* tensors against the configuration */
    STAGE_WEIGHTS, /* values */
    STAGE_OPEN,    /* none: it is a model */
    STAGES
} bad_stage;

const char *bad_stage_name(bad_stage stage);

/* The stage whose complaint that is. Fails the test where the status is not that of the stage, or
 * the text not one line that begins with `label`. */
bad_stage bad_stage_of(octet_status status, const char *text, const char *label);

/* OCTET_CORRUPT, OCTET_WRONG_MODEL or OCTET_OK. */
octet_status bad_stage_status(bad_stage stage);

/* Bytes from malloc. */
typedef struct bad_bytes {
    uint8_t *data;
    size_t size;
} bad_bytes;

/* A checkpoint of a model of that configuration with random weights. */
bad_bytes bad_good_model(backend *b, const char *json, int bf16);

/* The text of samples/NAME; free it. */
char *bad_sample(const char *name);

/* States the right checksum, if the file can be read so far; returns whether it could. */
int bad_rehash(bad_bytes *file);

/* The header's length as the file states it, at most what is there. */
size_t bad_header_bytes(const bad_bytes *file);

/* Replaces `removed` bytes at `at` by n others. Does not touch the length in front. */
void bad_splice(bad_bytes *file, size_t at, size_t removed, const void *with, size_t n);

/* Writes the length in front. */
void bad_set_length(bad_bytes *file, uint64_t length);

/* What is done to the good file. "The record" is that of the tensor levels.0.split. */
typedef enum bad_edit {
    EDIT_KEEP,          /* only the first n bytes stay; n < 0: all but the last -n */
    EDIT_HEADER_ONLY,   /* only the length and the header stay */
    EDIT_GROW,          /* n zero bytes behind the end */
    EDIT_LENGTH,        /* the length in front is n */
    EDIT_LENGTH_HEADER, /* it is the header's and n */
    EDIT_LENGTH_FILE,   /* it is the file's and n */
    EDIT_FRONT,         /* a before the header */
    EDIT_BACK,          /* the n bytes of a behind the header */
    EDIT_CUT,           /* the header is cut to n bytes, n < 0: by -n */
    EDIT_REPEAT,        /* the header is a, and n times b */
    EDIT_TEXT,          /* in the header the first a becomes b */
    EDIT_FIELD,         /* in the record the field a has value b; NULL: it is missing */
    EDIT_RECORD,        /* the record is b */
    EDIT_NAME,          /* the record's tensor is called b */
    EDIT_RANK,          /* its shape is n ones */
    EDIT_BEGIN,         /* its range begins n bytes later */
    EDIT_END,           /* its range ends n bytes later */
    EDIT_RANGE,         /* both */
    EDIT_MORE,          /* one more record in front of it: b */
    EDIT_TWICE,         /* the same record once more, the tensor called b */
    EDIT_CONFIG,        /* in the configuration the first a becomes b */
    EDIT_CONFIG_ALL,    /* the configuration is b and n spaces */
    EDIT_WEIGHT         /* the record's first value has the bits n */
} bad_edit;

typedef struct bad_model {
    const char *name;
    bad_stage stage;
    const char *message; /* part of it */
    bad_edit edit;
    const char *a, *b;
    int64_t n;
} bad_model;

extern const bad_model bad_models[];
extern const int bad_models_count;

/* The file of a row, made from a checkpoint of samples/tiny.json in f32. */
bad_bytes bad_make(const bad_bytes *good, const bad_model *row);

#endif
