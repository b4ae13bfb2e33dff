/* api_code.h: a block's content to its payload: the coder meets the model. The way back is
 * api_expand.h.
 *
 * Bytes are coded in the order in which decoding finds them: byte t of all streams, then byte t
 * + 1. The model reads a window of every stream at a time, whole: a round. What it expects is kept
 * until the next round, while which one of the threads codes the bytes. */
#ifndef API_API_CODE_H
#define API_API_CODE_H

#include "api/api_adapt.h"
#include "api/api_parts.h"
#include "api/api_transfer.h"
#include "base/team.h"
#include "coder/context_mix.h"
#include "coder/frequencies.h"
#include "coder/range_coder.h"
#include "eval/score_windows.h"
#include "infer/session_core.h"

/* What is kept of the model's frequencies of a byte. */
typedef union coder_expected {
    context_mix_expected mixed;
    struct {
        uint32_t below, count; /* without mixing */
    };
} coder_expected;

/* A thread's. */
typedef struct coder_reader {
    window_reader *windows;
    octet_status status;
    octet_error error;
} coder_reader;

typedef struct coder {
    const transfer *t;
    const model *model;
    int64_t keep;
    int mixes;        /* with context_mix.h */
    uint32_t adapts;  /* rate of api_adapt.h; 0: not */
    adapter *adapter; /* of the block */
    /* One of both: readers of `texts` streams of `each` bytes, a few at a time, or a session of
     * `texts` streams for a model whose windows do not fit. */
    part *parts;
    coder_reader *readers; /* [n_parts] */
    int n_parts;
    size_t at_once; /* texts in one reading; the last may have fewer */
    session *session;
    size_t texts, each;
    const uint8_t *content;
    window_text *streams;        /* [texts] */
    range_encoder *encoders;     /* [texts] */
    coder_expected *expected[2]; /* [texts, round] each: of this round, and of the one before */
    int64_t round;               /* bytes in one, at most */
    context_mix *mix;
    double bits; /* of the block */
} coder;

/* How many threads read windows of so many texts each. */
typedef struct coder_shape {
    size_t at_once;
    int parts;
} coder_shape;

coder_shape coder_shape_of(const model *m, size_t texts, size_t each, int threads, int adapts);

/* Bytes of memory that coding a block of n bytes in streams of `each` takes beside the model's. */
size_t coder_bytes(const model *m, size_t n, size_t each, int mixes);

/* Codes content[n] in streams of `each` bytes: the payload in payload[n], its size in *used; a
 * payload that is not shorter than n is not finished. */
octet_status coder_run(coder *c, const uint8_t *content, size_t n, size_t each, uint8_t *payload,
                       size_t *used, octet_error *error);
void coder_finish(coder *c);

#endif
