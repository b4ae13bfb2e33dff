/* api_code.c: see api_code.h. */
#include "api/api_code.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_backend.h"

/* --- what is prepared for a shape of blocks: all but the last have the same */

static void forget_shape(coder *c) {
    window_reader_destroy(&c->reader);
    session_destroy(&c->session);
    for (size_t i = 0; c->encoders && i < c->texts; i++)
        free(c->encoders[i].data);
    adapter_destroy(&c->adapter);
    free(c->encoders);
    free(c->streams);
    free(c->expected);
    c->encoders = NULL;
    c->streams = NULL;
    c->expected = NULL;
    c->texts = c->each = 0;
}

/* Bytes of every stream whose expectations are held at once. */
static int64_t round_bytes(const model *m, size_t each) {
    const int64_t context = m->config.context;
    if (!window_reader_fits(m, (int64_t)each))
        return 1;
    return (int64_t)each < context ? (int64_t)each : context;
}

size_t coder_bytes(const model *m, size_t n, size_t each, int mixes) {
    const size_t texts = (n + each - 1) / each;
    return texts * (size_t)round_bytes(m, each) * sizeof(coder_expected) +
           (mixes ? context_mix_bytes(n, each) : 0);
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
    c->expected = malloc(texts * (size_t)c->round * sizeof *c->expected);
    if (!c->streams || !c->encoders || !c->expected)
        return error_memory(error, "streams",
                            (double)texts * (double)c->round * sizeof *c->expected);
    for (size_t i = 0; i < texts; i++)
        range_encoder_start_empty(&c->encoders[i]);
    if (window_reader_fits(c->model, (int64_t)each))
        return window_reader_create(&c->reader, reads, (int64_t)each, (int64_t)texts, c->keep,
                                    error);
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

/* A window_visit. */
static octet_status expect(void *context, int64_t text, int64_t offset, const float *logits,
                           octet_error *error) {
    coder *c = context;
    const octet_status status = transfer_stopped(c->t, error);
    if (status)
        return status;
    return expect_byte(c, &c->expected[text * c->round + offset - c->first], logits,
                       c->streams[text].bytes[offset], error);
}

static void code_byte(coder *c, size_t stream, int64_t offset) {
    const coder_expected *x = &c->expected[(int64_t)stream * c->round + offset - c->first];
    range_encoder *e = &c->encoders[stream];
    if (c->mix) {
        c->bits +=
            context_mix_encode(c->mix, stream, &x->mixed, c->streams[stream].bytes[offset], e);
    } else {
        range_encode(e, x->below, x->count, FREQUENCY_BITS);
        c->bits += FREQUENCY_BITS - log2(x->count);
    }
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
    int64_t end = 0;
    for (int64_t w = 0; end < (int64_t)c->each && !status; w++) {
        window_reader_range(c->reader, w, &c->first, &end);
        status = window_reader_read(c->reader, c->streams, (int64_t)c->texts, w, expect, c, error);
        for (int64_t at = c->first; at < end && !status; at++)
            for (size_t i = 0; i < c->texts; i++)
                if (at < c->streams[i].n)
                    code_byte(c, i, at);
        if (c->adapter && !status && end < (int64_t)c->each)
            status = learn_round(c, w, error);
    }
    return status;
}

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
    for (c->first = 0; c->first < (int64_t)c->each && !status; c->first++) {
        int n = 0;
        for (size_t i = 0; i < c->texts && c->first < c->streams[i].n && !status; i++, n++) {
            const float *logits;
            status = session_logits(c->session, feeds[i].stream, &logits, error);
            if (!status)
                status = expect(c, (int64_t)i, c->first, logits, error);
            if (!status)
                code_byte(c, i, c->first);
            feeds[i].bytes = c->streams[i].bytes + c->first;
            feeds[i].n = 1;
        }
        if (!status)
            status = session_feed(c->session, feeds, n, error);
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
        status = c->reader ? code_windows(c, error) : code_by_session(c, error);
    if (!status)
        status = put_streams(c, n, payload, used, error);
    context_mix_destroy(&c->mix);
    return status;
}

void coder_finish(coder *c) {
    forget_shape(c);
}
