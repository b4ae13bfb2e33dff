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

/* Streams that one session reads, all in one thread. */
struct expander_group {
    expander *x;
    session *session;      /* of slots streams */
    octet_feed *feeds;     /* [slots] */
    frequencies *expected; /* [slots], of the next bytes */
    int turn, n_active;    /* which of the groups this is, of so many that run */
    uint32_t streams;      /* of the block */
    octet_status status;
    octet_error error;
};

static octet_status prepare_lanes(expander *x, uint32_t n, octet_error *error) {
    if (x->lanes_capacity >= n)
        return OCTET_OK;
    free(x->lanes);
    x->lanes_capacity = n;
    x->lanes = calloc(n, sizeof *x->lanes);
    return x->lanes ? OCTET_OK : error_memory(error, "streams", n * (double)sizeof *x->lanes);
}

static void forget_groups(expander *x) {
    for (int i = 0; x->groups && i < x->n_groups; i++) {
        session_destroy(&x->groups[i].session);
        free(x->groups[i].feeds);
        free(x->groups[i].expected);
    }
    free(x->groups);
    parts_destroy(&x->parts, x->n_groups);
    adapter_destroy(&x->adapter);
    x->groups = NULL;
    x->n_groups = 0;
    x->slots = 0;
}

static octet_status prepare_group(expander *x, int i, octet_error *error) {
    expander_group *g = &x->groups[i];
    g->x = x;
    g->feeds = calloc(x->slots, sizeof *g->feeds);
    g->expected = calloc(x->slots, sizeof *g->expected);
    if (!g->feeds || !g->expected)
        return error_memory(error, "streams", x->slots * (double)sizeof *g->expected);
    return session_create(&g->session, &x->parts[i].model, (int)x->slots, x->keep, error);
}

static octet_status prepare_groups(expander *x, int n, uint32_t slots, octet_error *error) {
    const model *reads = x->adapts ? x->adapter->model : &x->of_profile;
    x->n_groups = n;
    x->slots = slots;
    octet_status status = parts_create(&x->parts, reads, n, error);
    x->groups = status ? NULL : calloc((size_t)n, sizeof *x->groups);
    if (!status && !x->groups)
        status = error_memory(error, "streams", n * (double)sizeof *x->groups);
    for (int i = 0; i < n && !status; i++)
        status = prepare_group(x, i, error);
    return status;
}

expander_shape expander_shape_of(int threads, uint32_t streams, uint32_t at_once, int with) {
    const int all = (with & (OCTET_MIXED | OCTET_ADAPTS)) != 0;
    const uint32_t most = at_once && !all ? at_once : AT_ONCE;
    const uint32_t wanted = most < streams ? most : streams;
    expander_shape s = {.groups = with & OCTET_ADAPTS ? 1 : parts_for(threads, wanted)};
    s.slots = (wanted + (uint32_t)s.groups - 1) / (uint32_t)s.groups;
    return s;
}

/* Sessions for the streams of the block; those of the blocks before if they have room. */
static octet_status prepare_sessions(expander *x, const container_block *b, octet_error *error) {
    const int with = (x->mixed ? OCTET_MIXED : 0) | (x->adapts ? OCTET_ADAPTS : 0) |
                     (x->of_profile.arithmetic == ARITHMETIC_INT8 ? OCTET_IN_INT8 : 0);
    const expander_shape shape =
        expander_shape_of(cpu_backend_threads(x->of_profile.backend), b->streams, x->at_once, with);
    const uint32_t wanted = shape.slots * (uint32_t)shape.groups;
    if (with & (OCTET_MIXED | OCTET_ADAPTS) && b->streams > CONTAINER_TOGETHER_MOST)
        return error_set(error, OCTET_CORRUPT, "%" PRIu32 " streams, %u can be read together",
                         b->streams, CONTAINER_TOGETHER_MOST);
    if (x->slots * (uint32_t)x->n_groups >= wanted && !x->adapts)
        return OCTET_OK;
    forget_groups(x);
    octet_status status =
        needs_decoding(x->model, wanted, b->content, with, x->memory, x->t->io->name, error);
    if (!status && x->adapts)
        status = adapter_create(&x->adapter, &x->of_profile, b->streams, x->adapts, error);
    if (!status)
        status = prepare_groups(x, shape.groups, shape.slots, error);
    if (status)
        forget_groups(x);
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

/* What the model expects of the next byte of the group's i-th lane. */
static octet_status expect(expander_group *g, const expander_lane *l, uint32_t i,
                           octet_error *error) {
    const float *logits;
    octet_status status = session_logits(g->session, l->stream, &logits, error);
    return status ? status
                  : frequencies_set(&g->expected[i], logits,
                                    (int)g->x->model->model->config.vocabulary, error);
}

/* The next byte of a lane, which the model expects by f. */
static uint8_t decode_byte(expander *x, expander_lane *l, const frequencies *f) {
    if (x->mix)
        return (uint8_t)context_mix_decode(x->mix, (size_t)(l - x->lanes), f, &l->decoder);
    const int byte = frequencies_find(f, range_decode_target(&l->decoder, FREQUENCY_BITS));
    range_decode_take(&l->decoder, f->below[byte], f->below[byte + 1] - f->below[byte],
                      FREQUENCY_BITS);
    return (uint8_t)byte;
}

/* Byte `at` of n lanes, when it is the group's turn. */
static octet_status decode_bytes(expander_group *g, expander_lane *lanes, uint32_t n, size_t at,
                                 octet_error *error) {
    expander *x = g->x;
    octet_status status = OCTET_OK;
    for (uint32_t i = 0; i < n && !status; i++)
        if (lanes[i].at < lanes[i].end)
            status = expect(g, &lanes[i], i, error);
    if (status ||
        (x->mix && !team_turn_take(&x->turns, at * (size_t)g->n_active + (size_t)g->turn)))
        return status ? status : OCTET_STOPPED;
    for (uint32_t i = 0; i < n; i++)
        if (lanes[i].at < lanes[i].end)
            *lanes[i].at++ = decode_byte(x, &lanes[i], &g->expected[i]);
    if (x->mix)
        team_turn_pass(&x->turns);
    return OCTET_OK;
}

/* Bytes [from, to) of n lanes, as far as they go. */
static octet_status decode_lanes(expander_group *g, expander_lane *lanes, uint32_t n, size_t from,
                                 size_t to, octet_error *error) {
    octet_status status = OCTET_OK;
    for (size_t at = from; at < to && !status; at++) {
        int n_feeds = 0;
        status = decode_bytes(g, lanes, n, at, error);
        for (uint32_t i = 0; i < n; i++)
            if (lanes[i].at < lanes[i].end)
                g->feeds[n_feeds++] = (octet_feed){lanes[i].stream, lanes[i].at - 1, 1, NULL};
        if (!status && n_feeds && at + 1 < to)
            status = session_feed(g->session, g->feeds, n_feeds, error);
        if (!status)
            status = transfer_stopped(g->x->t, error);
    }
    return status;
}

/* The same from an empty context; n lanes are no more than there are slots. */
static octet_status run_lanes(expander_group *g, expander_lane *lanes, uint32_t n, size_t from,
                              size_t to, octet_error *error) {
    octet_status status = OCTET_OK;
    for (uint32_t i = 0; i < n && !status; i++)
        status = session_join(g->session, &lanes[i].stream, error);
    if (!status)
        status = decode_lanes(g, lanes, n, from, to, error);
    for (uint32_t i = 0; i < n; i++) {
        if (lanes[i].stream >= 0)
            session_leave(g->session, lanes[i].stream, NULL);
        lanes[i].stream = -1;
    }
    return status;
}

/* A team_job: the group's share of a block's lanes. */
static void run_group(void *context, int index) {
    expander *x = context;
    expander_group *g = &x->groups[index];
    const uint64_t streams = g->streams, active = (uint64_t)g->n_active;
    const uint32_t begin = (uint32_t)(streams * (uint64_t)index / active);
    const uint32_t end = (uint32_t)(streams * ((uint64_t)index + 1) / active);
    g->status = OCTET_OK;
    for (uint32_t i = begin; i < end && !g->status; i += x->slots)
        g->status = run_lanes(g, x->lanes + i, end - i < x->slots ? end - i : x->slots, 0, x->each,
                              &g->error);
    if (g->status)
        team_turns_end(&x->turns);
}

/* All lanes at once, or as many as there are slots. The first group that failed by itself says why.
 */
static octet_status run_groups(expander *x, uint32_t streams, octet_error *error) {
    const int n = streams < (uint32_t)x->n_groups ? (int)streams : x->n_groups;
    for (int i = 0; i < n; i++) {
        x->groups[i].n_active = n;
        x->groups[i].streams = streams;
        x->groups[i].turn = i;
        x->groups[i].error.text[0] = 0;
    }
    team_turns_init(&x->turns);
    octet_status status = team_run(n, run_group, x, error);
    for (int i = 0; i < n && !status; i++)
        if (x->groups[i].status && x->groups[i].error.text[0])
            status = error_set(error, x->groups[i].status, "%s", x->groups[i].error.text);
    team_turns_finish(&x->turns);
    return status;
}

/* All lanes of a block in rounds of one context, between which the model learns. */
static octet_status run_rounds(expander *x, const container_block *b, const uint8_t *content,
                               octet_error *error) {
    const size_t context = (size_t)x->model->model->config.context, each = x->each;
    window_text *texts = calloc(b->streams, sizeof *texts);
    octet_status status = texts ? OCTET_OK : error_memory(error, "streams", b->streams);
    team_turns_init(&x->turns);
    x->groups[0].n_active = 1;
    for (uint32_t i = 0; i < b->streams && !status; i++)
        texts[i] = (window_text){content + i * each, x->lanes[i].end - (content + i * each)};
    for (size_t at = 0; at < each && !status; at += context) {
        const size_t end = each - at < context ? each : at + context;
        status = run_lanes(x->groups, x->lanes, b->streams, at, end, error);
        if (!status && end < each)
            status = adapter_learn(x->adapter, texts, b->streams, (int64_t)(at / context), error);
    }
    team_turns_finish(&x->turns);
    free(texts);
    return status;
}

octet_status expander_run(expander *x, const container_block *b, const uint8_t *payload,
                          uint8_t *content, octet_error *error) {
    x->each = container_stream_bytes(b->content, b->streams, x->frame);
    octet_status status = prepare_lanes(x, b->streams, error);
    if (!status)
        status = open_lanes(x, b, payload, content, error);
    if (!status)
        status = prepare_sessions(x, b, error);
    if (!status && x->mixed)
        status = context_mix_create(&x->mix, b->content, x->each,
                                    cpu_backend_isa(x->of_profile.backend), error);
    if (!status)
        status = x->adapts ? run_rounds(x, b, content, error) : run_groups(x, b->streams, error);
    context_mix_destroy(&x->mix);
    if (!status && b->kind == CONTAINER_SWAPPED)
        transfer_swap(content, b->content);
    return status;
}

void expander_finish(expander *x) {
    forget_groups(x);
    free(x->lanes);
}
