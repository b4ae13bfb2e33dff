/* api_expand.h: a block's payload back to its content: the decoder meets the model.
 *
 * The streams of a block are read by sessions, one for each thread, a byte each at a time, as many
 * at once as the caller allows. Where blocks are mixed threads take turns at what was mixed before:
 * while one decodes the next bytes of its streams, the others compute what the model expects.
 * Checksums are the caller's; what cannot be decoded is OCTET_CORRUPT. */
#ifndef API_API_EXPAND_H
#define API_API_EXPAND_H

#include "api/api_adapt.h"
#include "api/api_parts.h"
#include "api/api_transfer.h"
#include "base/team.h"
#include "coder/context_mix.h"
#include "infer/session_core.h"

typedef struct expander_lane expander_lane;
typedef struct expander_group expander_group;

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
    team_turns turns; /* of threads at `mix` */
    part *parts;
    expander_group *groups; /* [n_groups], one on each part */
    int n_groups;
    uint32_t slots;       /* streams of each group's session */
    size_t each;          /* bytes of a stream of the block */
    expander_lane *lanes; /* [lanes_capacity], of one block */
    uint32_t lanes_capacity;
} expander;

/* How many sessions read streams side by side, and how many streams each of them. */
typedef struct expander_shape {
    int groups;
    uint32_t slots;
} expander_shape;

/* at_once: as in expander; with: OCTET_MIXED and so on. */
expander_shape expander_shape_of(int threads, uint32_t streams, uint32_t at_once, int with);

octet_status expander_run(expander *x, const container_block *b, const uint8_t *payload,
                          uint8_t *content, octet_error *error);
void expander_finish(expander *x);

#endif
