/* session_graphs.c: the states and the recorded graphs of a session.
 *
 * Rings: a state keeps the rows that a row may read and those of one run, or those of a whole
 * window where that is less. A level above the bytes keeps the slices of as many rows as one run
 * makes, because the level below uses them up before the next run. Endless streams count rows on
 * and on: their rings are powers of two, so that multiples of the largest can be taken off. */
#include "infer/session_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows in blocks. With many streams the rings of long blocks would cost more memory than they are
 * worth. */
#define SHORT_BLOCK 16
#define LONG_BLOCK 64
#define FEW_STREAMS 16

static int64_t longest_block(const session *s) {
    return s->streams <= FEW_STREAMS ? LONG_BLOCK : SHORT_BLOCK;
}

static int64_t round_to_tile(int64_t rows) {
    return (rows + 31) / 32 * 32;
}

/* --- states */

static octet_status create_state(session *s, variable *v, const char *name, int64_t ring,
                                 const mixer_state_spec *spec, octet_error *error) {
    const int int8 = s->model->arithmetic == ARITHMETIC_INT8 && spec->int8;
    const int64_t dim[] = {s->streams, ring, spec->d1, spec->d2 + int8};
    snprintf(v->name, sizeof v->name, "%s.%s", name, spec->name);
    v->kind = VARIABLE_STATE;
    v->layout = int8 ? spec->int8 : spec->layout;
    v->rank = 4;
    memcpy(v->dim, dim, sizeof dim);
    return backend_allocate(s->model->backend, v, error);
}

/* Multiples of this are taken off row numbers. What is left then lies beyond all sinks, and so far
 * that distances to them count as one (see attention_sinks). */
static int64_t least_cycle(const session *s, int level) {
    return s->model->config.level[level].sinks ? (int64_t)1 << 25 : longest_block(s);
}

/* Rows of a ring for rows that may read `reach` rows back. */
static int64_t ring_of(const session *s, int level, int64_t reach) {
    int64_t window = model_window_rows(s->model, level);
    int64_t rows = reach + longest_block(s) - 1, ring = 32;
    if (!s->endless)
        return round_to_tile(rows < window ? rows : window);
    while (ring < rows)
        ring *= 2;
    return ring;
}

static int64_t reach_of(const session *s, int level, const row_rule *rule,
                        const mixer_state_spec *spec) {
    int64_t reach = row_reach(&s->model->shape[level], rule);
    int64_t window = model_window_rows(s->model, level);
    if (spec->reach && spec->reach < reach)
        reach = spec->reach;
    return s->endless || reach < window ? reach : window;
}

static octet_status create_mixer_states(session *s, int level, octet_error *error) {
    session_level *l = &s->level[level];
    const block_stack *stack = model_stack(s->model, level);
    l->cycle = s->endless ? least_cycle(s, level) : 0;
    for (int i = 0; i < stack->n_blocks; i++)
        l->n_states += block_states(&stack->blocks[i]);
    l->states = arena_alloc(&s->memory, ((size_t)l->n_states + 1) * sizeof *l->states);
    l->state_list = arena_alloc(&s->memory, ((size_t)l->n_states + 1) * sizeof *l->state_list);
    l->reach = arena_alloc(&s->memory, ((size_t)l->n_states + 1) * sizeof *l->reach);
    l->rule = arena_alloc(&s->memory, ((size_t)l->n_states + 1) * sizeof *l->rule);
    l->first = arena_alloc(&s->memory, (size_t)l->n_states + 1);
    if (!l->states || !l->state_list || !l->reach || !l->rule || !l->first)
        return error_memory(error, "session", (double)l->n_states * sizeof *l->states);
    octet_status status = OCTET_OK;
    for (int i = 0, at = 0; i < stack->n_blocks; i++) {
        const block *b = &stack->blocks[i];
        char name[64];
        snprintf(name, sizeof name, "levels.%d.blocks.%d", level, i);
        for (int k = 0; k < block_states(b) && !status; k++, at++) {
            mixer_state_spec spec;
            block_state(b, k, &spec);
            l->state_list[at] = &l->states[at];
            l->rule[at] = &s->model->shape[level].rule[spec.rule];
            l->first[at] = spec.sinks > 0;
            l->reach[at] = spec.sinks ? spec.sinks : reach_of(s, level, l->rule[at], &spec);
            int64_t ring = spec.sinks ? round_to_tile(spec.sinks) : ring_of(s, level, l->reach[at]);
            l->cycle = s->endless && ring > l->cycle ? ring : l->cycle;
            status = create_state(s, &l->states[at], name, ring, &spec, error);
        }
    }
    return status;
}

static octet_status create_split(session *s, int level, octet_error *error) {
    session_level *l = &s->level[level];
    const config *c = &s->model->config;
    mixer_state_spec spec = {.name = "split",
                             .d1 = s->model->shape[level + 1].slices,
                             .d2 = c->level[level + 1].dim,
                             .layout = LAYOUT_ROWS};
    char name[64];
    snprintf(name, sizeof name, "levels.%d", level);
    l->split_ring = longest_block(s);
    return create_state(s, &l->split, name, l->split_ring, &spec, error);
}

/* --- graphs */

tensor *session_parent(session *s, graph *g, int level) {
    if (level == 0)
        return NULL;
    tensor *split = graph_variable(g, &s->level[level - 1].split);
    if (!split)
        return NULL;
    const int64_t dim[] = {split->dim[0] * split->dim[1] * split->dim[2], split->dim[3]};
    return graph_reshape(g, split, 2, dim);
}

octet_status session_arrays_create(session *s, int level, level_graph *l, octet_error *error) {
    const int64_t batch = l->rows.batch;
    octet_status status =
        row_arrays_create(&l->arrays, &s->model->shape[level], batch, l->rows.rows, error);
    l->slot = arena_alloc(&s->memory, 3 * (size_t)batch * sizeof *l->slot);
    if (!status && !l->slot)
        status = error_memory(error, "session", 3 * (double)batch * sizeof *l->slot);
    if (!status) {
        l->pos = l->slot + batch;
        l->count = l->pos + batch;
    }
    return status;
}

static octet_status record(session *s, int level, level_graph *l, int64_t batch, int64_t rows,
                           octet_error *error) {
    octet_status status = graph_create(&l->graph, error);
    if (status)
        return status;
    graph *g = l->graph;
    g->arithmetic = s->model->arithmetic;
    level_rows *r = &l->rows;
    model_rows_inputs(g, s->model, level, batch, rows, 1, r);
    tensor *y = model_level_forward(g, s->model, level, r, session_parent(s, g, level),
                                    s->level[level].state_list);
    if (level + 1 == s->n_levels)
        l->logits = graph_output(g, y);
    else
        store(g, graph_variable(g, &s->level[level].split), y, r->slot, r->pos, r->count);
    status = backend_compile(s->model->backend, &l->program, g, error);
    return status ? status : session_arrays_create(s, level, l, error);
}

static octet_status record_level(session *s, int level, octet_error *error) {
    session_level *l = &s->level[level];
    int64_t most = s->streams < SESSION_MAX_BATCH ? s->streams : SESSION_MAX_BATCH;
    octet_status status = OCTET_OK;
    for (int64_t batch = 1, last = 0; !status && last < most; batch *= 2) {
        last = batch < most ? batch : most;
        status = record(s, level, &l->step[l->n_steps++], last, 1, error);
    }
    int64_t rows = model_window_rows(s->model, level);
    if (!status)
        status = record(s, level, &l->block[l->n_blocks++], 1, SHORT_BLOCK, error);
    if (!status && (rows > SHORT_BLOCK || s->endless) && longest_block(s) == LONG_BLOCK)
        status = record(s, level, &l->block[l->n_blocks++], 1, LONG_BLOCK, error);
    return status;
}

octet_status session_graphs_create(session *s, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < s->n_levels && !status; i++) {
        status = create_mixer_states(s, i, error);
        if (!status && i + 1 < s->n_levels)
            status = create_split(s, i, error);
    }
    for (int i = 0; i < s->n_levels && !status; i++)
        status = record_level(s, i, error);
    return status ? status : session_ahead_create(s, error);
}

static void finish_graph(level_graph *l) {
    program_destroy(&l->program);
    graph_destroy(&l->graph);
    row_arrays_finish(&l->arrays);
}

void session_graphs_finish(session *s) {
    session_ahead_finish(s);
    for (int i = 0; i < s->n_levels; i++) {
        session_level *l = &s->level[i];
        for (int k = 0; k < l->n_steps; k++)
            finish_graph(&l->step[k]);
        for (int k = 0; k < l->n_blocks; k++)
            finish_graph(&l->block[k]);
    }
    for (int i = 0; i < s->n_levels; i++) {
        session_level *l = &s->level[i];
        for (int k = 0; k < l->n_states && l->states; k++)
            backend_release(s->model->backend, &l->states[k]);
        backend_release(s->model->backend, &l->split);
    }
}

level_graph *session_step_graph(session *s, int level, int n) {
    session_level *l = &s->level[level];
    int i = 0;
    while (i + 1 < l->n_steps && l->step[i].rows.batch < n)
        i++;
    return &l->step[i];
}

int session_most_lanes(const session *s, int level) {
    const session_level *l = &s->level[level];
    return (int)l->step[l->n_steps - 1].rows.batch;
}

level_graph *session_block_graph(session *s, int level, int64_t left) {
    session_level *l = &s->level[level];
    /* Padding costs less than another run as long as not much more than half of a block is empty.
     */
    if (left <= 2)
        return &l->step[0];
    if (l->n_blocks == 1 || left <= SHORT_BLOCK + SHORT_BLOCK / 2)
        return &l->block[0];
    return &l->block[1];
}

/* --- running */

/* What is taken off the numbers of the rows from `row` on: all rows that they may read stay at 0 or
 * above, and in their places of every ring. */
static int64_t base_of(const session_level *l, int64_t row) {
    return l->cycle && row >= 2 * l->cycle ? (row / l->cycle - 1) * l->cycle : 0;
}

static void fill_lane(session *s, int level, level_graph *g, int64_t b, const session_lane *lane) {
    const level_shape *shape = &s->model->shape[level];
    const session_level *above = level ? &s->level[level - 1] : NULL;
    const session_stream *stream = &s->stream[lane->stream];
    const row_stream from = {stream->bytes, stream->origin, base_of(&s->level[level], lane->row),
                             s->model->table[level]};
    for (int64_t t = 0; t < lane->count; t++) {
        int64_t n = lane->row + t, parent = 0;
        if (above)
            parent = lane->stream * above->split_ring + row_parent(shape, n) % above->split_ring;
        row_fill_stream(&g->arrays, shape, b, t, n, parent, &from);
    }
    for (int64_t t = lane->count; t < g->rows.rows; t++)
        row_fill_padding(&g->arrays, shape, b, t, lane->row + t - from.base);
    g->slot[b] = lane->stream;
    g->pos[b] = (int32_t)(lane->row - from.base);
    g->count[b] = (int32_t)lane->count;
}

octet_status session_prepare(session *s, int level, level_graph *g, const session_lane *lanes,
                             int n, octet_error *error) {
    static const session_lane nobody = {0, 0, 0};
    for (int64_t b = 0; b < g->rows.batch; b++)
        fill_lane(s, level, g, b, b < n ? &lanes[b] : &nobody);
    octet_status status = model_rows_upload(g->program, &g->rows, &g->arrays, error);
    if (!status)
        status = program_upload(g->program, g->rows.slot, g->slot, error);
    if (!status)
        status = program_upload(g->program, g->rows.pos, g->pos, error);
    if (!status)
        status = program_upload(g->program, g->rows.count, g->count, error);
    return status;
}

octet_status session_run(session *s, int level, level_graph *g, const session_lane *lanes, int n,
                         octet_error *error) {
    octet_status status = session_prepare(s, level, g, lanes, n, error);
    return status ? status : program_run(g->program, error);
}
