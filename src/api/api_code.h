/* api_code.h: a block's content to its payload: the coder meets the model. The way back is
 * api_expand.h.
 *
 * Bytes are coded in the order in which decoding finds them: byte t of all streams, then byte t
 * + 1. The model reads a window of every stream at a time, whole, and what it expects is kept until
 * the bytes' turn. */
#ifndef API_API_CODE_H
#define API_API_CODE_H

#include "api/api_adapt.h"
#include "api/api_transfer.h"
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

typedef struct coder {
    const transfer *t;
    const model *model;
    int64_t keep;
    int mixes;        /* with context_mix.h */
    uint32_t adapts;  /* rate of api_adapt.h; 0: not */
    adapter *adapter; /* of the block */
    /* One of both: a reader of `texts` streams of `each` bytes, or a session of `texts` streams for
     * a model whose windows do not fit. */
    window_reader *reader;
    session *session;
    size_t texts, each;
    const uint8_t *content;
    window_text *streams;     /* [texts] */
    range_encoder *encoders;  /* [texts] */
    coder_expected *expected; /* [texts, round], of bytes first to first + round - 1 */
    int64_t first, round;
    context_mix *mix;
    double bits; /* of the block */
} coder;

/* Bytes of memory that coding a block of n bytes in streams of `each` takes beside the model's. */
size_t coder_bytes(const model *m, size_t n, size_t each, int mixes);

/* Codes content[n] in streams of `each` bytes: the payload in payload[n], its size in *used; a
 * payload that is not shorter than n is not finished. */
octet_status coder_run(coder *c, const uint8_t *content, size_t n, size_t each, uint8_t *payload,
                       size_t *used, octet_error *error);
void coder_finish(coder *c);

#endif
