/* api_code.c: see api_code.h. */
#include "api/api_code.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_backend.h"

/* Rows of the last level that a thread runs at once: more, and what they become is no longer in its
 * cache. */
#define ROWS_AT_ONCE 2048

/* --- what is prepared for a shape of blocks: all but the last have the same */

static void forget_shape(coder *c) {
    for (int i = 0; c->readers && i < c->n_parts; i++)
        window_reader_destroy(&c->readers[i].windows);
    parts_destroy(&c->parts, c->n_parts);
    session_destroy(&c->session);
    for (size_t i = 0; c->encoders && i < c->texts; i++)
        free(c->encoders[i].data);
    adapter_destroy(&c->adapter);
    free(c->encoders);
    free(c->streams);
    free(c->readers);
    for (int i = 0; i < 2; i++) {
        free(c->expected[i]);
        c->expected[i] = NULL;
    }
    c->encoders = NULL;
    c->streams = NULL;
    c->readers = NULL;
    c->texts = c->each = 0;
    c->n_parts = 0;
}

/* Bytes of every stream whose expectations are held at once. */
static int64_t round_bytes(const model *m, size_t each) {
    const int64_t context = m->config.context;
    if (!window_reader_fits(m, (int64_t)each))
        return 1;
    return (int64_t)each < context ? (int64_t)each : context;
}

coder_shape coder_shape_of(const model *m, size_t texts, size_t each, int threads, int adapts) {
    const size_t round = (size_t)round_bytes(m, each), fit = ROWS_AT_ONCE / round;
    coder_shape s = {.at_once = fit < 1 ? 1 : fit < texts ? fit : texts};
    s.parts = adapts ? 1 : parts_for(threads, texts / s.at_once);
    if (s.parts < threads)
        s.at_once = texts;
    return s;
}

size_t coder_bytes(const model *m, size_t n, size_t each, int mixes) {
    const size_t texts = (n + each - 1) / each;
    return 2 * texts * (size_t)round_bytes(m, each) * sizeof(coder_expected) +
           (mixes ? context_mix_bytes(n, each) : 0);
}

static octet_status prepare_readers(coder *c, const model *reads, octet_error *error) {
    const coder_shape shape = coder_shape_of(c->model, c->texts, c->each,
                                             cpu_backend_threads(c->model->backend), c->adapts > 0);
    c->at_once = shape.at_once;
    octet_status status = parts_create(&c->parts, reads, shape.parts, error);
    if (status)
        return status;
    c->n_parts = shape.parts;
    c->readers = calloc((size_t)shape.parts, sizeof *c->readers);
    if (!c->readers)
        return error_memory(error, "streams", shape.parts * (double)sizeof *c->readers);
    for (int i = 0; i < shape.parts && !status; i++)
        status = window_reader_create(&c->readers[i].windows, &c->parts[i].model, (int64_t)c->each,
                                      (int64_t)c->at_once, c->keep, error);
    return status;
}

static octet_status prepare_shape(coder *c, size_t texts, size_t each, octet_error *error) {
    if (c->texts == texts && c->each == each && !c->adapter)
        return OCTET_OK;
    forget_shape(c);
    const model *reads = c->model;
    if (c->adapts) {
        octet_status status = adapter_create(&c->adapter, c->model, texts, c->adapts, error);
        if (status)
            return status;
        reads = c->adapter->model;
    }
    c->texts = texts;
    c->each = each;
    c->round = round_bytes(c->model, each);
    c->streams = calloc(texts, sizeof *c->streams);
    c->encoders = calloc(texts, sizeof *c->encoders);
    for (int i = 0; i < 2; i++)
        c->expected[i] = malloc(texts * (size_t)c->round * sizeof *c->expected[i]);
    if (!c->streams || !c->encoders || !c->expected[0] || !c->expected[1])
        return error_memory(error, "streams",
                            2 * (double)texts * (double)c->round * sizeof **c->expected);
    for (size_t i = 0; i < texts; i++)
        range_encoder_start_empty(&c->encoders[i]);
    if (window_reader_fits(c->model, (int64_t)each))
        return prepare_readers(c, reads, error);
    return session_create(&c->session, reads, (int)texts, c->keep, error);
}

/* --- bytes */

static octet_status expect_byte(const coder *c, coder_expected *to, const float *logits, int byte,
                                octet_error *error) {
    frequencies f;
    octet_status status = frequencies_set(&f, logits, (int)c->model->config.vocabulary, error);
    if (status)
        return status;
    if (c->mix) {
        context_mix_expect(&to->mixed, c->mix, &f, byte);
    } else {
        to->below = f.below[byte];
        to->count = f.below[byte + 1] - f.below[byte];
    }
    return OCTET_OK;
}

/* Codes byte `offset` of a stream, of which x was expected. */
static void code_byte(coder *c, size_t stream, int64_t offset, const coder_expected *x) {
    range_encoder *e = &c->encoders[stream];
    if (c->mix) {
        c->bits +=
            context_mix_encode(c->mix, stream, &x->mixed, c->streams[stream].bytes[offset], e);
    } else {
        range_encode(e, x->below, x->count, FREQUENCY_BITS);
        c->bits += FREQUENCY_BITS - log2(x->count);
    }
}

/* --- by windows */

/* Bytes [first, end) of all streams are read. */
typedef struct coder_round {
    coder *coder;
    int64_t window, first, end;
    int64_t last_first;  /* of the round before, whose bytes [last_first, first) are coded */
    _Atomic size_t next; /* work that nobody has taken yet: 0: to code, then every reading */
} coder_round;

typedef struct reading {
    const coder_round *round;
    size_t text; /* the first */
} reading;

static coder_expected *expected_of(const coder *c, int64_t window, size_t text) {
    return c->expected[window % 2] + (int64_t)text * c->round;
}

/* A window_visit. */
static octet_status expect(void *context, int64_t text, int64_t offset, const float *logits,
                           octet_error *error) {
    const reading *r = context;
    const coder *c = r->round->coder;
    const size_t stream = r->text + (size_t)text;
    const octet_status status = transfer_stopped(c->t, error);
    if (status)
        return status;
    return expect_byte(c, expected_of(c, r->round->window, stream) + offset - r->round->first,
                       logits, c->streams[stream].bytes[offset], error);
}

static void code_round_before(const coder_round *r) {
    coder *c = r->coder;
    for (int64_t at = r->last_first; at < r->first; at++)
        for (size_t i = 0; i < c->texts; i++)
            if (at < c->streams[i].n)
                code_byte(c, i, at, expected_of(c, r->window - 1, i) + at - r->last_first);
}

/* A team_job. */
static void work_on_round(void *context, int index) {
    coder_round *r = context;
    coder *c = r->coder;
    coder_reader *own = &c->readers[index];
    while (!own->status) {
        const size_t taken = atomic_fetch_add(&r->next, 1), text = (taken - 1) * c->at_once;
        if (taken == 0) {
            code_round_before(r);
            continue;
        }
        if (text >= c->texts || r->first == r->end)
            return;
        const size_t left = c->texts - text;
        reading reads = {r, text};
        own->status = window_reader_read(own->windows, c->streams + text,
                                         (int64_t)(left < c->at_once ? left : c->at_once),
                                         r->window, expect, &reads, &own->error);
    }
}

static octet_status run_round(coder_round *r, octet_error *error) {
    coder *c = r->coder;
    atomic_store(&r->next, 0);
    for (int i = 0; i < c->n_parts; i++)
        c->readers[i].status = OCTET_OK;
    octet_status status = team_run(c->n_parts, work_on_round, r, error);
    for (int i = 0; i < c->n_parts && !status; i++)
        if ((status = c->readers[i].status))
            error_set(error, status, "%s", c->readers[i].error.text);
    return status;
}

/* Where the weights do not stand the rate, the rate is wrong, not the data. */
static octet_status learn_round(coder *c, int64_t round, octet_error *error) {
    octet_error inner = {0};
    const octet_status status = adapter_learn(c->adapter, c->streams, c->texts, round, &inner);
    if (!status)
        return OCTET_OK;
    return error_set(error, status == OCTET_CORRUPT ? OCTET_ERROR : status, "%s: %s",
                     c->t->io->name, inner.text);
}

static octet_status code_windows(coder *c, octet_error *error) {
    octet_status status = OCTET_OK;
    const int64_t each = (int64_t)c->each;
    coder_round r = {.coder = c};
    for (int more = 1; more && !status; r.window++, r.last_first = r.first, r.first = r.end) {
        more = r.first < each;
        if (more)
            window_reader_range(c->readers[0].windows, r.window, &r.first, &r.end);
        status = run_round(&r, error);
        if (c->adapter && !status && r.end < each)
            status = learn_round(c, r.window, error);
    }
    return status;
}

/* --- by a session */

/* As decoding reads. */
static octet_status code_by_session(coder *c, octet_error *error) {
    octet_feed *feeds = calloc(c->texts, sizeof *feeds);
    octet_status status = feeds ? OCTET_OK : error_memory(error, "streams", (double)c->texts);
    int joined = 0;
    for (size_t i = 0; i < c->texts && !status; i++, joined += !status) {
        int stream;
        status = session_join(c->session, &stream, error);
        if (!status)
            feeds[i].stream = stream;
    }
    for (int64_t at = 0; at < (int64_t)c->each && !status; at++) {
        int n = 0;
        for (size_t i = 0; i < c->texts && at < c->streams[i].n && !status; i++, n++) {
            const float *logits;
            coder_expected x;
            status = session_logits(c->session, feeds[i].stream, &logits, error);
            if (!status)
                status = expect_byte(c, &x, logits, c->streams[i].bytes[at], error);
            if (!status)
                code_byte(c, i, at, &x);
            feeds[i].bytes = c->streams[i].bytes + at;
            feeds[i].n = 1;
        }
        if (!status)
            status = session_feed(c->session, feeds, n, error);
        if (!status)
            status = transfer_stopped(c->t, error);
    }
    for (int i = 0; i < joined; i++)
        session_leave(c->session, feeds[i].stream, NULL);
    free(feeds);
    return status;
}

/* --- a block */

/* The sizes of the streams, 4 bytes each, then the streams. */
static octet_status put_streams(coder *c, size_t n, uint8_t *payload, size_t *used,
                                octet_error *error) {
    *used = 4 * c->texts;
    for (size_t i = 0; i < c->texts; i++) {
        range_encoder *e = &c->encoders[i];
        range_encoder_finish(e);
        if (e->failed)
            return error_memory(error, "coded stream", (double)e->capacity);
        for (size_t k = 0; k < 4; k++)
            payload[4 * i + k] = (uint8_t)(e->size >> (8 * k));
        if (*used < n && e->size < n - *used)
            memcpy(payload + *used, e->data, e->size);
        *used += e->size;
    }
    return OCTET_OK;
}

octet_status coder_run(coder *c, const uint8_t *content, size_t n, size_t each, uint8_t *payload,
                       size_t *used, octet_error *error) {
    const size_t texts = (n + each - 1) / each;
    octet_status status = prepare_shape(c, texts, each, error);
    if (!status && c->mixes)
        status = context_mix_create(&c->mix, n, each, cpu_backend_isa(c->model->backend), error);
    c->bits = 0;
    for (size_t i = 0; i < texts && !status; i++) {
        const size_t left = n - i * each;
        c->streams[i] = (window_text){content + i * each, (int64_t)(left < each ? left : each)};
        range_encoder_start(&c->encoders[i]);
    }
    if (!status)
        status = c->readers ? code_windows(c, error) : code_by_session(c, error);
    if (!status)
        status = put_streams(c, n, payload, used, error);
    context_mix_destroy(&c->mix);
    return status;
}

void coder_finish(coder *c) {
    forget_shape(c);
}
