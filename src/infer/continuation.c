/* continuation.c: see continuation.h. All continuations are streams of one session and advance
 * together, one byte each a turn. */
#include "infer/continuation.h"

#include <stdlib.h>

#include "infer/session_core.h"

#define PROMPT_PIECE (1 << 16) /* bytes fed between looks at the caller's flag */

typedef struct run {
    const octet_continue_params *p;
    octet_continue_visit *visit;
    void *context;
    session *session;
    int n, n_feeds; /* streams that go on have a feed */
    int *streams;
    uint8_t *next, *ended;
    octet_feed *feeds;
} run;

static octet_status stopped(const run *r, octet_error *error) {
    return r->p->stop && *r->p->stop ? error_set(error, OCTET_STOPPED, "stopped") : OCTET_OK;
}

/* The first stream's state to all others. */
static octet_status spread(run *r, octet_error *error) {
    const size_t size = session_save_bytes(r->session);
    void *state = malloc(size);
    if (!state)
        return error_memory(error, "copy of the prompt's state", (double)size);
    octet_status status = session_save(r->session, r->streams[0], state, size, error);
    for (int i = 1; i < r->n && !status; i++)
        status = session_restore(r->session, r->streams[i], state, size, error);
    free(state);
    return status;
}

static octet_status feed_prompt(run *r, const uint8_t *prompt, size_t n, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < r->n && !status; i++)
        status = session_join(r->session, &r->streams[i], error);
    for (size_t at = 0; at < n && !status;) {
        const size_t left = n - at, part = left < PROMPT_PIECE ? left : PROMPT_PIECE;
        const octet_feed feed = {r->streams[0], prompt + at, part, NULL};
        status = session_feed(r->session, &feed, 1, error);
        at += part;
        if (!status)
            status = stopped(r, error);
    }
    return status || r->n == 1 || !n ? status : spread(r, error);
}

/* The next byte of every stream that goes on. */
static octet_status draw(run *r, octet_error *error) {
    octet_status status = OCTET_OK;
    r->n_feeds = 0;
    for (int i = 0; i < r->n && !status; i++) {
        octet_sampling sampling = r->p->sampling;
        sampling.number += (uint32_t)i;
        if (r->ended[i])
            continue;
        status = session_sample(r->session, r->streams[i], &sampling, &r->next[i], error);
        r->ended[i] = status == OCTET_END;
        if (r->ended[i]) {
            status = OCTET_OK;
            continue;
        }
        if (!status)
            status = r->visit(r->context, i, r->next[i], error);
        r->feeds[r->n_feeds++] = (octet_feed){r->streams[i], &r->next[i], 1, NULL};
    }
    return status;
}

octet_status continuation_run(const model *m, const uint8_t *prompt, size_t n,
                              const octet_continue_params *p, octet_continue_visit *visit,
                              void *context, octet_error *error) {
    run r = {.p = p, .visit = visit, .context = context, .n = p->samples ? p->samples : 1};
    if (r.n < 0 || r.n > SESSION_MAX_STREAMS)
        return error_set(error, OCTET_ERROR, "%d continuations are not 1 to %d", r.n,
                         SESSION_MAX_STREAMS);
    if (p->bytes < -1)
        return error_set(error, OCTET_ERROR, "%lld bytes are neither 0 or more nor -1",
                         (long long)p->bytes);
    r.streams = calloc((size_t)r.n, sizeof *r.streams);
    r.next = calloc((size_t)r.n, 1);
    r.ended = calloc((size_t)r.n, 1);
    r.feeds = calloc((size_t)r.n, sizeof *r.feeds);
    octet_status status = OCTET_OK;
    if (!r.streams || !r.next || !r.ended || !r.feeds)
        status = error_memory(error, "continuations", (double)r.n * (double)sizeof *r.feeds);
    if (!status)
        status = session_create(&r.session, m, r.n, p->keep, error);
    if (!status)
        status = feed_prompt(&r, prompt, n, error);
    for (int64_t i = 0; i != p->bytes && !status; i++) {
        status = stopped(&r, error);
        if (!status)
            status = draw(&r, error);
        if (!status && !r.n_feeds)
            break;
        if (!status && i + 1 != p->bytes)
            status = session_feed(r.session, r.feeds, r.n_feeds, error);
    }
    session_destroy(&r.session);
    free(r.streams);
    free(r.next);
    free(r.ended);
    free(r.feeds);
    return status;
}
