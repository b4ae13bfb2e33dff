/* session_core.c: streams, and what feeding them runs.
 *
 * A feed of single bytes runs every level once over the streams that stand at one of its
 * boundaries. A longer feed runs one stream by blocks of rows, a block of a level and then all that
 * hangs on it. Rows that no row to come sees, at any depth (those of groups that are over, or out
 * of all windows), are run only when somebody asks for their bits. */
#include "infer/session_core.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "infer/likelihood.h"
#include "infer/sampler.h"
#include "infer/session_parts.h"

int64_t session_window_start(int64_t context, int64_t keep, int64_t position) {
    return position < context ? 0 : (position - keep) / (context - keep) * (context - keep);
}

/* --- making and freeing */

static octet_status check_size(const model *m, int streams, int64_t keep, octet_error *error) {
    int64_t patch = m->shape[0].unit_bytes;
    if (streams < 1 || streams > SESSION_MAX_STREAMS)
        return error_set(error, OCTET_ERROR, "%d streams: 1 to %d are possible", streams,
                         SESSION_MAX_STREAMS);
    if (keep < 0 || keep >= m->config.context || keep % patch)
        return error_set(error, OCTET_ERROR,
                         "keep %lld is not a multiple of the patch, %lld, below the context, %lld",
                         (long long)keep, (long long)patch, (long long)m->config.context);
    return OCTET_OK;
}

static int64_t largest_row(const session *s) {
    int64_t most = 1;
    for (int i = 0; i < s->n_levels; i++) {
        const session_level *l = &s->level[i];
        for (int k = 0; k <= l->n_states; k++) {
            const variable *v = k < l->n_states ? &l->states[k] : &l->split;
            int64_t width = v->rank ? v->dim[2] * v->dim[3] : 0;
            most = width > most ? width : most;
        }
    }
    return most;
}

static int64_t largest_logits(const session *s) {
    const session_level *l = &s->level[s->n_levels - 1];
    int64_t most = session_most_lanes(s, s->n_levels - 1);
    for (int i = 0; i < l->n_blocks; i++)
        most = l->block[i].rows.rows > most ? l->block[i].rows.rows : most;
    return most * s->vocabulary;
}

/* Bytes before the end of an endless stream that rows still to run may embed: from the first row of
 * a level on that its layers see one through the other, and so through the levels. */
static int64_t history_of(const model *m) {
    int64_t bytes = 0;
    for (int i = 0; i < m->config.n_levels; i++) {
        const level_shape *shape = &m->shape[i];
        const block_stack *stack = model_stack(m, i);
        int64_t rows = 2; /* the unit that a row embeds, and one that is not whole */
        for (int k = 0; k < stack->n_blocks; k++) {
            const block *b = &stack->blocks[k];
            rows += row_reach(shape, &shape->rule[b->mixer->rule]) - 1;
            rows += b->token_shift ? 2 : 0; /* before the mixer, and before the MLP */
        }
        bytes += rows * shape->unit_bytes + row_look_back(shape);
    }
    return bytes;
}

static void choose_held(session *s) {
    const int64_t units = 256; /* read at once, at least */
    s->history = s->held = s->context;
    if (!s->endless)
        return;
    s->history = history_of(s->model);
    int64_t room = units * s->model->shape[0].unit_bytes;
    /* Sinks, see run_sinks, are all older than what is kept of the first bytes that fill it. */
    s->held = s->history + (room > s->history ? room : s->history) +
              s->sinks * s->model->shape[0].unit_bytes;
}

static octet_status allocate_streams(session *s, octet_error *error) {
    size_t n = (size_t)s->streams, bytes = (size_t)s->held;
    size_t logits = (size_t)s->vocabulary * sizeof(float);
    s->stream = arena_alloc(&s->memory, n * sizeof *s->stream);
    s->lanes = arena_alloc(&s->memory, SESSION_MAX_BATCH * sizeof *s->lanes);
    s->listed = arena_alloc(&s->memory, n * sizeof *s->listed);
    s->named = arena_alloc(&s->memory, n);
    s->logits = arena_alloc(&s->memory, (size_t)largest_logits(s) * sizeof *s->logits);
    s->row = arena_alloc(&s->memory, (size_t)largest_row(s) * sizeof *s->row);
    int all = s->stream && s->lanes && s->listed && s->named && s->logits && s->row;
    for (size_t i = 0; i < n && all; i++) {
        s->stream[i].bytes = arena_alloc(&s->memory, bytes);
        s->stream[i].logits = arena_alloc(&s->memory, logits);
        s->stream[i].guessed =
            arena_alloc(&s->memory, SESSION_AHEAD * sizeof *s->stream[i].guessed);
        s->stream[i].ahead_logits = arena_alloc(&s->memory, (size_t)s->ahead_rows * logits);
        all = s->stream[i].bytes && s->stream[i].logits && s->stream[i].guessed &&
              s->stream[i].ahead_logits;
    }
    return all ? OCTET_OK : error_memory(error, "session", (double)n * (double)(bytes + logits));
}

octet_status session_create(session **out, const model *m, int streams, int64_t keep,
                            octet_error *error) {
    *out = NULL;
    streams = streams ? streams : 1;
    keep = keep == -1 ? m->config.keep : keep;
    octet_status status = check_size(m, streams, keep, error);
    if (status)
        return status;
    session *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(error, "session", sizeof *s);
    s->model = m;
    s->streams = streams;
    s->n_levels = m->config.n_levels;
    s->context = m->config.context;
    s->keep = keep;
    s->endless = m->config.endless;
    s->vocabulary = m->config.vocabulary;
    s->sinks = m->config.level[0].sinks;
    s->config_hash =
        XXH3_64bits_withSeed(m->identity, strlen(m->identity), (XXH64_hash_t)m->arithmetic);
    choose_held(s);
    status = session_graphs_create(s, error);
    if (!status)
        status = allocate_streams(s, error);
    if (status)
        session_destroy(&s);
    *out = s;
    return status;
}

void session_destroy(session **s) {
    if (!s || !*s)
        return;
    session_graphs_finish(*s);
    arena_finish(&(*s)->memory);
    free(*s);
    *s = NULL;
}

/* --- streams */

session_stream *session_stream_get(session *s, int stream, octet_error *error) {
    if (stream >= 0 && stream < s->streams && s->stream[stream].taken)
        return &s->stream[stream];
    error_set(error, OCTET_ERROR, "there is no stream %d among the session's %d", stream,
              s->streams);
    return NULL;
}

int64_t session_position(const session *s, int stream) {
    int known = stream >= 0 && stream < s->streams && s->stream[stream].taken;
    return known ? s->stream[stream].position : -1;
}

int session_caught_up(const session *s, const session_stream *stream) {
    return stream->done[s->n_levels - 1] == stream->window + 1;
}

octet_status session_leave(session *s, int stream, octet_error *error) {
    session_stream *leaving = session_stream_get(s, stream, error);
    if (!leaving)
        return OCTET_ERROR;
    leaving->taken = 0;
    return OCTET_OK;
}

/* --- one stream by blocks of rows */

/* What a stream's rows are run for. */
typedef struct block_run {
    session *s;
    int stream;
    int64_t end[CONFIG_MAX_LEVELS]; /* rows to run up to */
    int64_t from;                   /* bits[i] is of the window's byte from + i */
    float *bits;                    /* may be NULL */
} block_run;

/* Hands out what the rows [lane.row, lane.row + lane.count) of the last level say. */
static octet_status take_logits(block_run *r, level_graph *g, const session_lane *lane,
                                octet_error *error) {
    session *s = r->s;
    session_stream *stream = &s->stream[r->stream];
    octet_status status = program_download(g->program, g->logits, s->logits, error);
    for (int64_t t = 0; t < lane->count && !status; t++) {
        const float *logits = s->logits + t * s->vocabulary;
        int64_t n = lane->row + t;
        if (n == stream->window)
            memcpy(stream->logits, logits, (size_t)s->vocabulary * sizeof *logits);
        else if (r->bits && n >= r->from)
            r->bits[n - r->from] =
                likelihood_bits(logits, (int)s->vocabulary, stream->bytes[n - stream->origin]);
    }
    return status;
}

/* Runs the rows of a level below `end`, and between them the rows below that hang on them. */
static octet_status run_rows(block_run *r, int level, int64_t end, octet_error *error) {
    session *s = r->s;
    int last = level + 1 == s->n_levels;
    int64_t *done = &s->stream[r->stream].done[level];
    octet_status status = OCTET_OK;
    for (;;) {
        if (!last) {
            int64_t hanging = row_children_end(&s->model->shape[level + 1], *done);
            int64_t most = r->end[level + 1];
            status = run_rows(r, level + 1, hanging < most ? hanging : most, error);
        }
        if (status || *done >= end)
            return status;
        level_graph *g = session_block_graph(s, level, end - *done);
        int64_t count = end - *done < g->rows.rows ? end - *done : g->rows.rows;
        session_lane lane = {r->stream, *done, count};
        status = session_run(s, level, g, &lane, 1, error);
        if (!status && last)
            status = take_logits(r, g, &lane, error);
        if (status)
            return status;
        *done += count;
    }
}

/* Runs the sinks among the rows of the outermost level below `end`, in front of which the others
 * are left out. Nothing that has still to run may hang on them otherwise. */
static octet_status run_sinks(block_run *r, int64_t end, octet_error *error) {
    const session_stream *stream = &r->s->stream[r->stream];
    end = end < r->s->sinks ? end : r->s->sinks;
    if (stream->done[0] >= end)
        return OCTET_OK;
    if (stream->origin) /* after a failed restore */
        return error_set(error, OCTET_ERROR, "stream %d no longer holds its first bytes",
                         r->stream);
    return run_rows(r, 0, end, error);
}

/* Runs the start that all sequences of a level share, before a first row past it. */
static octet_status run_shared_start(block_run *r, int level, int64_t first, octet_error *error) {
    const session_stream *stream = &r->s->stream[r->stream];
    if (!r->s->model->shape[level].shared_start || !first || stream->done[level])
        return OCTET_OK;
    return run_rows(r, level, 1, error);
}

/* Runs what is missing so that the rows of the last level from `from` to `to` have run. */
static octet_status run_stream(session *s, int stream, int64_t from, int64_t to, float *bits,
                               octet_error *error) {
    block_run r = {.s = s, .stream = stream, .from = from, .bits = bits};
    int64_t row = from; /* the first that must come out right */
    for (int i = s->n_levels - 1; i >= 0; i--) {
        const level_shape *shape = &s->model->shape[i];
        int64_t *done = &s->stream[stream].done[i];
        int64_t first = model_first_row(s->model, i, row);
        r.end[i] = to / shape->unit_bytes + 1;
        octet_status status =
            i ? run_shared_start(&r, i, first, error) : run_sinks(&r, first, error);
        if (status)
            return status;
        *done = *done > first ? *done : first;
        row = row_parent(shape, first);
    }
    return run_rows(&r, 0, r.end[0], error);
}

static octet_status catch_up(session *s, int stream, octet_error *error) {
    session_stream *behind = &s->stream[stream];
    if (session_caught_up(s, behind))
        return OCTET_OK;
    return run_stream(s, stream, behind->window, behind->window, NULL, error);
}

/* Bytes that a stream can still take up. */
static int64_t room_of(const session *s, const session_stream *stream) {
    return s->held - (stream->window - stream->origin);
}

/* A stream without room: it starts anew from its last `keep` bytes; an endless one forgets what no
 * row to come embeds. */
static void make_room(session *s, session_stream *stream) {
    if (s->endless) {
        int64_t gone = stream->window - stream->origin - s->history;
        memmove(stream->bytes, stream->bytes + gone, (size_t)s->history);
        stream->origin += gone;
        return;
    }
    memmove(stream->bytes, stream->bytes + s->context - s->keep, (size_t)s->keep);
    stream->window = s->keep;
    memset(stream->done, 0, sizeof stream->done);
}

static octet_status feed_blocks(session *s, const octet_feed *f, octet_error *error) {
    session_stream *stream = &s->stream[f->stream];
    stream->ahead = 0;
    octet_status status = catch_up(s, f->stream, error);
    for (size_t at = 0; at < f->n && !status;) {
        /* after a slide this is not known yet */
        if (f->bits && session_caught_up(s, stream))
            f->bits[at] = likelihood_bits(stream->logits, (int)s->vocabulary, f->bytes[at]);
        size_t room = (size_t)room_of(s, stream);
        size_t n = f->n - at < room ? f->n - at : room;
        int64_t from = stream->window;
        memcpy(stream->bytes + (from - stream->origin), f->bytes + at, n);
        stream->window += (int64_t)n;
        stream->position += (int64_t)n;
        int full = room_of(s, stream) == 0;
        /* the byte after a window that is over is the next window's */
        int64_t to = full && !s->endless ? stream->window - 1 : stream->window;
        if (f->bits)
            status = run_stream(s, f->stream, from, to, f->bits + at, error);
        block_run sinks = {.s = s, .stream = f->stream};
        if (full && s->endless && !status)
            status = run_sinks(&sinks, s->sinks, error);
        if (full && (!s->endless || stream->done[0] >= s->sinks)) /* else after an error */
            make_room(s, stream);
        at += n;
    }
    return status ? status : catch_up(s, f->stream, error);
}

/* --- many streams by one row each */

static octet_status step_logits(session *s, const level_graph *g, int n, octet_error *error) {
    size_t bytes = (size_t)s->vocabulary * sizeof(float);
    if (g->rows.batch == 1)
        return program_download(g->program, g->logits, s->stream[s->lanes[0].stream].logits, error);
    octet_status status = program_download(g->program, g->logits, s->logits, error);
    for (int i = 0; i < n && !status; i++)
        memcpy(s->stream[s->lanes[i].stream].logits, s->logits + i * s->vocabulary, bytes);
    return status;
}

static octet_status run_lanes(session *s, int level, int n, octet_error *error) {
    level_graph *g = session_step_graph(s, level, n);
    int ran = 0;
    octet_status status = g->logits ? session_ahead_run(s, n, &ran, error) : OCTET_OK;
    if (!status && !ran) {
        status = session_run(s, level, g, s->lanes, n, error);
        if (!status && g->logits)
            status = step_logits(s, g, n, error);
    }
    for (int i = 0; i < n && !status; i++)
        s->stream[s->lanes[i].stream].done[level]++;
    return status;
}

/* Runs the rows of a level that the listed streams have come to. */
static octet_status step_level(session *s, int level, int n_listed, octet_error *error) {
    int most = session_most_lanes(s, level), n = 0;
    int64_t unit = s->model->shape[level].unit_bytes;
    octet_status status = OCTET_OK;
    for (int i = 0; i < n_listed && !status; i++) {
        const session_stream *stream = &s->stream[s->listed[i]];
        if (stream->done[level] <= stream->window / unit)
            s->lanes[n++] = (session_lane){s->listed[i], stream->done[level], 1};
        if (n == most) {
            status = run_lanes(s, level, n, error);
            n = 0;
        }
    }
    return status || !n ? status : run_lanes(s, level, n, error);
}

/* --- feeding */

static octet_status check_feed(session *s, const octet_feed *f, octet_error *error) {
    const session_stream *stream = session_stream_get(s, f->stream, error);
    if (!stream)
        return OCTET_ERROR;
    if (s->named[f->stream])
        return error_set(error, OCTET_ERROR, "stream %d is fed twice at once", f->stream);
    if (f->n && !f->bytes)
        return error_set(error, OCTET_ERROR, "stream %d: %zu bytes at NULL", f->stream, f->n);
    if (f->n >= (size_t)(INT64_MAX - stream->position))
        return error_set(error, OCTET_ERROR, "stream %d would pass 2^63 bytes", f->stream);
    return OCTET_OK;
}

static octet_status check_feeds(session *s, const octet_feed *feeds, int n, octet_error *error) {
    octet_status status = OCTET_OK;
    int named = 0;
    while (named < n && !status) {
        status = check_feed(s, &feeds[named], error);
        if (!status)
            s->named[feeds[named++].stream] = 1;
    }
    for (int i = 0; i < named; i++)
        s->named[feeds[i].stream] = 0;
    return status;
}

octet_status session_feed(session *s, const octet_feed *feeds, int n_feeds, octet_error *error) {
    octet_status status = check_feeds(s, feeds, n_feeds, error);
    int n_listed = 0;
    for (int i = 0; i < n_feeds && !status; i++) {
        const octet_feed *f = &feeds[i];
        session_stream *stream = &s->stream[f->stream];
        if (f->n != 1 || !session_caught_up(s, stream) || room_of(s, stream) <= 1) {
            status = feed_blocks(s, f, error);
            continue;
        }
        if (f->bits)
            f->bits[0] = likelihood_bits(stream->logits, (int)s->vocabulary, f->bytes[0]);
        stream->bytes[stream->window++ - stream->origin] = f->bytes[0];
        stream->position++;
        session_ahead_take(s, stream, f->bytes[0]);
        s->listed[n_listed++] = f->stream;
    }
    for (int level = 0; level < s->n_levels && !status && n_listed; level++)
        status = step_level(s, level, n_listed, error);
    return status;
}

octet_status session_join(session *s, int *stream, octet_error *error) {
    int i = 0;
    *stream = -1;
    while (i < s->streams && s->stream[i].taken)
        i++;
    if (i == s->streams)
        return error_set(error, OCTET_ERROR, "all %d streams of the session are taken", s->streams);
    session_stream *joining = &s->stream[i];
    joining->position = joining->window = joining->origin = 0;
    memset(joining->done, 0, sizeof joining->done);
    joining->ahead = 0;
    joining->sampled_at = -1;
    octet_status status = catch_up(s, i, error);
    if (status)
        return status;
    joining->taken = 1;
    *stream = i;
    return OCTET_OK;
}

/* --- reading */

octet_status session_logits(session *s, int stream, const float **logits, octet_error *error) {
    *logits = NULL;
    const session_stream *asked = session_stream_get(s, stream, error);
    octet_status status = asked ? catch_up(s, stream, error) : OCTET_ERROR;
    if (!status)
        *logits = asked->logits;
    return status;
}

octet_status session_sample(session *s, int stream, const octet_sampling *sampling, uint8_t *byte,
                            octet_error *error) {
    const float *logits;
    octet_status status = session_logits(s, stream, &logits, error);
    if (status)
        return status;
    s->stream[stream].sampling = *sampling;
    s->stream[stream].sampled_at = s->stream[stream].position;
    float with_end[SAMPLER_SYMBOLS];
    int64_t end = s->model->config.end_symbol;
    int n = s->vocabulary < 256 ? (int)s->vocabulary : 256, symbol = 0;
    if (end >= 0) {
        memcpy(with_end, logits, 256 * sizeof *logits);
        with_end[n++] = logits[end];
        logits = with_end;
    }
    status =
        sampler_draw(&symbol, logits, n, sampling, (uint64_t)s->stream[stream].position, error);
    *byte = (uint8_t)symbol;
    return !status && symbol == 256 ? OCTET_END : status;
}
