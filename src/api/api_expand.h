/* api_expand.h: a block's payload back to its content: the decoder meets the model.
 *
 * The streams of a block are read by one session, a byte each at a time, as many at once as the
 * caller allows. Checksums are the caller's; what cannot be decoded is OCTET_CORRUPT. */
#ifndef API_API_EXPAND_H
#define API_API_EXPAND_H

#include "api/api_adapt.h"
#include "api/api_transfer.h"
#include "coder/context_mix.h"
#include "infer/session_core.h"

typedef struct expander_lane expander_lane;

typedef struct expander {
    const transfer *t;
    octet_model *model;
    model of_profile;     /* what sessions read: that model, in the file's arithmetic */
    int64_t keep, memory; /* memory 0: no limit */
    uint32_t frame;
    int mixed;
    uint32_t adapts;  /* rate of api_adapt.h; 0: not */
    adapter *adapter; /* of the block */
    uint32_t at_once; /* streams at most; 0: 256; of mixed blocks all are */
    context_mix *mix; /* of the block, where it is mixed */
    session *session; /* of `slots` streams */
    uint32_t slots;
    expander_lane *lanes; /* [lanes_capacity], of one block */
    octet_feed *feeds;    /* [slots] */
    uint32_t lanes_capacity;
} expander;

octet_status expander_run(expander *x, const container_block *b, const uint8_t *payload,
                          uint8_t *content, octet_error *error);
void expander_finish(expander *x);

#endif
