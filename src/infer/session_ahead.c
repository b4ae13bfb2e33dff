/* session_ahead.c: several bytes a run, for backends on which a run takes long to come back.
 *
 * Where a stream goes on by what it draws, the next bytes can be guessed: the graph draws symbols
 * itself (draw_symbol), as the sampler would, and goes on with them to the end of the patch. The
 * guess decides nothing. Its rows' logits are kept; when the caller feeds the byte that was
 * guessed, they are those of the next byte and nothing has to be run, else they are dropped and the
 * row is run as ever. Rows that ran ahead write states only where no row to be read lies: rings
 * have room for a block of rows past the one that reads them. */
#include <string.h>

#include "base/philox.h"
#include "infer/session_parts.h"

/* --- recording */

/* Rows of the last level that a run may compute: those of one patch. */
static int choose_rows(const session *s) {
    const level_shape *shape = &s->model->shape[s->n_levels - 1];
    if (!s->model->backend->distant || shape->halo || shape->ngrams.sizes)
        return 0;
    const int64_t rows = shape->group ? shape->group : SESSION_AHEAD;
    return rows < 2 ? 0 : rows < SESSION_AHEAD ? (int)rows : SESSION_AHEAD;
}

static octet_status record_row(session *s, ahead_graph *a, int t, int64_t batch) {
    const int level = s->n_levels - 1;
    graph *g = a->row[0].graph;
    level_rows *r = &a->row[t].rows;
    model_rows_inputs(g, s->model, level, batch, 1, 1, r);
    if (t && a->drawn[t - 1])
        r->source = graph_reshape(g, a->drawn[t - 1], 3, (int64_t[]){batch, 1, 1});
    a->row[t].logits =
        graph_output(g, model_level_forward(g, s->model, level, r, session_parent(s, g, level),
                                            s->level[level].state_list));
    if (t + 1 == s->ahead_rows)
        return g->error.code;
    a->draw[t] = graph_input(g, "draw", DTYPE_F32, 1, &batch);
    a->base[t] = graph_input(g, "base", DTYPE_I32, 1, &batch);
    a->drawn[t] = draw_symbol(g, a->row[t].logits, a->draw[t], a->settings, a->base[t],
                              (int32_t)s->model->config.end_symbol);
    graph_output(g, a->drawn[t]);
    return g->error.code;
}

static octet_status record(session *s, ahead_graph *a, int64_t batch, octet_error *error) {
    octet_status status = graph_create(&a->row[0].graph, error);
    if (status)
        return status;
    graph *g = a->row[0].graph;
    g->arithmetic = s->model->arithmetic;
    a->settings = graph_input(g, "settings", DTYPE_F32, 2, (int64_t[]){batch, 4});
    for (int t = 0; t < s->ahead_rows && !record_row(s, a, t, batch); t++)
        ;
    status = backend_compile(s->model->backend, &a->row[0].program, g, error);
    for (int t = 0; t < s->ahead_rows && !status; t++) {
        a->row[t].program = a->row[0].program;
        status = session_arrays_create(s, s->n_levels - 1, &a->row[t], error);
    }
    a->values = arena_alloc(&s->memory, 4 * (size_t)batch * sizeof *a->values);
    a->bases = arena_alloc(&s->memory, SESSION_AHEAD * (size_t)batch * sizeof *a->bases);
    if (!status && (!a->values || !a->bases))
        status = error_memory(error, "session", SESSION_AHEAD * (double)batch * sizeof *a->bases);
    return status;
}

octet_status session_ahead_create(session *s, octet_error *error) {
    const session_level *last = &s->level[s->n_levels - 1];
    octet_status status = OCTET_OK;
    s->ahead_rows = choose_rows(s);
    for (int i = 0; i < last->n_steps && s->ahead_rows && !status; i++)
        status = record(s, &s->ahead[i], last->step[i].rows.batch, error);
    return status;
}

void session_ahead_finish(session *s) {
    for (int i = 0; i < SESSION_BATCHES; i++) {
        ahead_graph *a = &s->ahead[i];
        program_destroy(&a->row[0].program);
        graph_destroy(&a->row[0].graph);
        for (int t = 0; t < SESSION_AHEAD; t++)
            row_arrays_finish(&a->row[t].arrays);
    }
}

/* --- running */

/* Rows from done[last] on that hang on bytes that were read or are drawn, and on rows of the level
 * above that have run. */
static int rows_of(const session *s, const session_stream *stream) {
    const int last = s->n_levels - 1;
    const int64_t row = stream->done[last];
    int64_t rows = s->held - (stream->window - stream->origin);
    if (stream->sampled_at < 0 || stream->sampled_at != stream->position - 1)
        return 1;
    if (last) {
        const int64_t end = row_children_end(&s->model->shape[last], stream->done[last - 1]);
        rows = end - row < rows ? end - row : rows;
    }
    return rows < 1 ? 1 : rows < s->ahead_rows ? (int)rows : s->ahead_rows;
}

static octet_status upload_settings(session *s, ahead_graph *a, int n, octet_error *error) {
    for (int i = 0; i < n; i++) {
        const octet_sampling *p = &s->stream[s->lanes[i].stream].sampling;
        const int greedy = p->temperature == 0;
        a->values[4 * i] = greedy ? 1 : 1 / p->temperature;
        a->values[4 * i + 1] = greedy ? 1 : (float)p->top_k;
        a->values[4 * i + 2] = p->top_p > 0 ? p->top_p : 1;
        a->values[4 * i + 3] = p->min_p;
    }
    return program_upload(a->row[0].program, a->settings, a->values, error);
}

/* What row t of each lane is drawn by; a symbol becomes the row of the table of bytes that row t +
 * 1 embeds. */
static octet_status upload_draws(session *s, ahead_graph *a, int t, int n, octet_error *error) {
    const level_shape *shape = &s->model->shape[s->n_levels - 1];
    int32_t *base = a->bases + t * a->row[0].rows.batch;
    for (int i = 0; i < n; i++) {
        const session_stream *stream = &s->stream[s->lanes[i].stream];
        uint32_t words[4];
        philox(words, stream->sampling.seed, PHILOX_SAMPLE, stream->sampling.number,
               (uint64_t)(stream->position + t));
        a->values[i] = philox_uniform(words[0]);
        base[i] = (int32_t)((s->lanes[i].row + t) % shape->planes * shape->vocabulary);
    }
    octet_status status = program_upload(a->row[0].program, a->draw[t], a->values, error);
    return status ? status : program_upload(a->row[0].program, a->base[t], base, error);
}

static octet_status upload_row(session *s, ahead_graph *a, int t, int n, octet_error *error) {
    session_lane lanes[SESSION_MAX_BATCH];
    for (int i = 0; i < n; i++) {
        const int64_t row = s->lanes[i].row;
        const int runs = t < rows_of(s, &s->stream[s->lanes[i].stream]);
        lanes[i] = (session_lane){s->lanes[i].stream, row + (runs ? t : 0), runs};
    }
    octet_status status = session_prepare(s, s->n_levels - 1, &a->row[t], lanes, n, error);
    return status || t + 1 == s->ahead_rows ? status : upload_draws(s, a, t, n, error);
}

/* Logits of row t; and the byte that was guessed before it. */
static octet_status take_row(session *s, const ahead_graph *a, int t, int n, octet_error *error) {
    const size_t V = (size_t)s->vocabulary;
    const int64_t batch = a->row[0].rows.batch;
    program *p = a->row[0].program;
    int32_t drawn[SESSION_MAX_BATCH];
    octet_status status = program_download(p, a->row[t].logits, s->logits, error);
    if (!status && t)
        status = program_download(p, a->drawn[t - 1], drawn, error);
    for (int i = 0; i < n && !status; i++) {
        session_stream *stream = &s->stream[s->lanes[i].stream];
        float *to = t ? stream->ahead_logits + (size_t)(t - 1) * V : stream->logits;
        if (t >= rows_of(s, stream))
            continue;
        memcpy(to, s->logits + (size_t)i * V, V * sizeof *to);
        if (t)
            stream->guessed[t - 1] =
                (int16_t)(drawn[i] < 0 ? -1 : drawn[i] - a->bases[(t - 1) * batch + i]);
    }
    return status;
}

octet_status session_ahead_run(session *s, int n, int *ran, octet_error *error) {
    const session_level *last = &s->level[s->n_levels - 1];
    octet_status status = OCTET_OK;
    *ran = 0;
    for (int i = 0; i < n && s->ahead_rows; i++)
        *ran |= rows_of(s, &s->stream[s->lanes[i].stream]) > 1;
    if (!*ran)
        return OCTET_OK;
    ahead_graph *a = &s->ahead[session_step_graph(s, s->n_levels - 1, n) - last->step];
    for (int t = 0; t < s->ahead_rows && !status; t++)
        status = upload_row(s, a, t, n, error);
    if (!status)
        status = upload_settings(s, a, n, error);
    if (!status)
        status = program_run(a->row[0].program, error);
    for (int t = 0; t < s->ahead_rows && !status; t++)
        status = take_row(s, a, t, n, error);
    for (int i = 0; i < n && !status; i++) {
        session_stream *stream = &s->stream[s->lanes[i].stream];
        stream->ahead = rows_of(s, stream) - 1;
        stream->ahead_next = 0;
    }
    return status;
}

void session_ahead_take(session *s, session_stream *stream, uint8_t byte) {
    const int next = stream->ahead_next;
    if (!stream->ahead)
        return;
    if (stream->guessed[next] != byte) {
        stream->ahead = 0;
        return;
    }
    memcpy(stream->logits, stream->ahead_logits + (size_t)next * (size_t)s->vocabulary,
           (size_t)s->vocabulary * sizeof *stream->logits);
    stream->done[s->n_levels - 1]++;
    stream->ahead--;
    stream->ahead_next++;
}
