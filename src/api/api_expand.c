/* api_expand.c: see api_expand.h. */
#include "api/api_expand.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_needs.h"
#include "coder/frequencies.h"
#include "coder/range_coder.h"
#include "cpu/cpu_backend.h"

/* A session runs no more streams in one batch: with more slots there is nothing to gain. */
#define AT_ONCE 256

/* A stream of a block in decoding. */
struct expander_lane {
    range_decoder decoder;
    int stream;        /* of the session; -1: not in it */
    uint8_t *at, *end; /* of its content */
};

static octet_status prepare_lanes(expander *x, uint32_t n, octet_error *error) {
    if (x->lanes_capacity >= n)
        return OCTET_OK;
    free(x->lanes);
    x->lanes_capacity = n;
    x->lanes = calloc(n, sizeof *x->lanes);
    return x->lanes ? OCTET_OK : error_memory(error, "streams", n * (double)sizeof *x->lanes);
}

static void forget_session(expander *x) {
    session_destroy(&x->session);
    adapter_destroy(&x->adapter);
    free(x->feeds);
    x->feeds = NULL;
    x->slots = 0;
}

static octet_status prepare_session(expander *x, const container_block *b, octet_error *error) {
    const int with = (x->mixed ? OCTET_MIXED : 0) | (x->adapts ? OCTET_ADAPTS : 0);
    const uint32_t most = x->at_once && !with ? x->at_once : AT_ONCE;
    const uint32_t wanted = most < b->streams ? most : b->streams;
    const model *reads = &x->of_profile;
    if (with && b->streams > CONTAINER_TOGETHER_MOST)
        return error_set(error, OCTET_CORRUPT, "%" PRIu32 " streams, %u can be read together",
                         b->streams, CONTAINER_TOGETHER_MOST);
    if (x->slots >= wanted && !x->adapts)
        return OCTET_OK;
    forget_session(x);
    x->feeds = calloc(wanted, sizeof *x->feeds);
    if (!x->feeds)
        return error_memory(error, "streams", wanted * (double)sizeof *x->feeds);
    octet_status status =
        needs_decoding(x->model, wanted, b->content, with, x->memory, x->t->io->name, error);
    if (!status && x->adapts)
        status = adapter_create(&x->adapter, reads, b->streams, x->adapts, error);
    if (!status && x->adapts)
        reads = x->adapter->model;
    if (!status)
        status = session_create(&x->session, reads, (int)wanted, x->keep, error);
    x->slots = status ? 0 : wanted;
    return status;
}

/* Where each stream's coded bytes and its content lie. */
static octet_status open_lanes(expander *x, const container_block *b, const uint8_t *payload,
                               uint8_t *content, octet_error *error) {
    const size_t each = container_stream_bytes(b->content, b->streams, x->frame);
    const uint8_t *sizes = payload, *at = payload + 4 * b->streams, *end = payload + b->payload;
    for (uint32_t i = 0; i < b->streams; i++, sizes += 4) {
        const size_t size = (size_t)sizes[0] | (size_t)sizes[1] << 8 | (size_t)sizes[2] << 16 |
                            (size_t)sizes[3] << 24;
        const size_t begin = i * each < b->content ? i * each : b->content;
        expander_lane *l = &x->lanes[i];
        if (size > (size_t)(end - at) || (i + 1 == b->streams && size != (size_t)(end - at)))
            return error_set(error, OCTET_CORRUPT,
                             "stream %" PRIu32 " has %zu bytes, %zu are left in the block", i, size,
                             (size_t)(end - at));
        range_decoder_start(&l->decoder, at, size);
        l->stream = -1;
        l->at = content + begin;
        l->end = content + (b->content - begin < each ? b->content : begin + each);
        at += size;
    }
    return OCTET_OK;
}

/* The next byte of lane i; where blocks are mixed that is stream i. */
static octet_status decode_byte(expander *x, expander_lane *l, size_t i, octet_error *error) {
    const float *logits;
    frequencies f;
    octet_status status = session_logits(x->session, l->stream, &logits, error);
    if (!status)
        status = frequencies_set(&f, logits, (int)x->model->model->config.vocabulary, error);
    if (status)
        return status;
    if (x->mix) {
        *l->at++ = (uint8_t)context_mix_decode(x->mix, i, &f, &l->decoder);
        return OCTET_OK;
    }
    const int byte = frequencies_find(&f, range_decode_target(&l->decoder, FREQUENCY_BITS));
    range_decode_take(&l->decoder, f.below[byte], f.below[byte + 1] - f.below[byte],
                      FREQUENCY_BITS);
    *l->at++ = (uint8_t)byte;
    return OCTET_OK;
}

/* The next bytes of n lanes, at most so many of each. */
static octet_status decode_lanes(expander *x, expander_lane *lanes, uint32_t n, size_t most,
                                 octet_error *error) {
    octet_status status = OCTET_OK;
    int n_feeds = 1;
    for (size_t done = 0; n_feeds && done < most && !status; done++) {
        n_feeds = 0;
        for (uint32_t i = 0; i < n && !status; i++) {
            expander_lane *l = &lanes[i];
            if (l->at == l->end)
                continue;
            status = decode_byte(x, l, i, error);
            if (l->at < l->end)
                x->feeds[n_feeds++] = (octet_feed){l->stream, l->at - 1, 1, NULL};
        }
        if (!status && n_feeds && done + 1 < most)
            status = session_feed(x->session, x->feeds, n_feeds, error);
        if (!status)
            status = transfer_stopped(x->t, error);
    }
    return status;
}

/* n lanes, no more than there are slots, from an empty context. */
static octet_status run_lanes(expander *x, expander_lane *lanes, uint32_t n, size_t most,
                              octet_error *error) {
    octet_status status = OCTET_OK;
    for (uint32_t i = 0; i < n && !status; i++)
        status = session_join(x->session, &lanes[i].stream, error);
    if (!status)
        status = decode_lanes(x, lanes, n, most, error);
    for (uint32_t i = 0; i < n; i++)
        if (lanes[i].stream >= 0)
            session_leave(x->session, lanes[i].stream, NULL);
    return status;
}

/* All lanes of a block in rounds of one context, between which the model learns. */
static octet_status run_rounds(expander *x, const container_block *b, const uint8_t *content,
                               size_t each, octet_error *error) {
    const size_t context = (size_t)x->model->model->config.context;
    window_text *texts = calloc(b->streams, sizeof *texts);
    octet_status status = texts ? OCTET_OK : error_memory(error, "streams", b->streams);
    for (uint32_t i = 0; i < b->streams && !status; i++)
        texts[i] = (window_text){content + i * each, x->lanes[i].end - (content + i * each)};
    for (size_t at = 0; at < each && !status; at += context) {
        status = run_lanes(x, x->lanes, b->streams, context, error);
        if (!status && at + context < each)
            status = adapter_learn(x->adapter, texts, b->streams, (int64_t)(at / context), error);
    }
    free(texts);
    return status;
}

octet_status expander_run(expander *x, const container_block *b, const uint8_t *payload,
                          uint8_t *content, octet_error *error) {
    const size_t each = container_stream_bytes(b->content, b->streams, x->frame);
    octet_status status = prepare_lanes(x, b->streams, error);
    if (!status)
        status = open_lanes(x, b, payload, content, error);
    if (!status)
        status = prepare_session(x, b, error);
    if (!status && x->mixed)
        status = context_mix_create(&x->mix, b->content, each,
                                    cpu_backend_isa(x->of_profile.backend), error);
    if (!status && x->adapts)
        status = run_rounds(x, b, content, each, error);
    for (uint32_t i = 0; i < b->streams && !x->adapts && !status; i += x->slots)
        status = run_lanes(x, x->lanes + i, b->streams - i < x->slots ? b->streams - i : x->slots,
                           SIZE_MAX, error);
    context_mix_destroy(&x->mix);
    if (!status && b->kind == CONTAINER_SWAPPED)
        transfer_swap(content, b->content);
    return status;
}

void expander_finish(expander *x) {
    forget_session(x);
    free(x->lanes);
}
