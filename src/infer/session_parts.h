/* session_parts.h: inside a session; for session_*.c only.
 *
 * Numbers of rows are counted inside a stream's window: row n of a level predicts unit n and can
 * run once the window holds n units. An endless stream has one window, which begins with its first
 * byte and of which the stream holds the last bytes. */
#ifndef INFER_SESSION_PARTS_H
#define INFER_SESSION_PARTS_H

#include "infer/session_core.h"

#define SESSION_MAX_BATCH 256 /* streams in one run */
#define SESSION_BATCHES 9     /* 1, 2, 4, ..., 256 */
#define SESSION_BLOCKS 2      /* lengths of blocks of rows */

/* One level recorded for batch streams of `rows.rows` rows each. */
typedef struct level_graph {
    graph *graph;
    program *program;
    level_rows rows;
    row_arrays arrays;
    int32_t *slot, *pos, *count; /* [batch] */
    tensor *logits;              /* [batch,rows,V] at the last level, else NULL */
} level_graph;

#define SESSION_AHEAD 16 /* rows of the last level that one run computes, at most */

/* The last level recorded for up to SESSION_AHEAD rows of each of `batch` streams: every row but
 * the first embeds a symbol drawn from the row before. */
typedef struct ahead_graph {
    level_graph row[SESSION_AHEAD]; /* each of one row; graph and program are row 0's */
    tensor *settings, *draw[SESSION_AHEAD], *base[SESSION_AHEAD], *drawn[SESSION_AHEAD];
    float *values;  /* [batch,4] */
    int32_t *bases; /* [SESSION_AHEAD,batch] */
} ahead_graph;

typedef struct session_level {
    variable *states;      /* [n_states], each [streams, rows, d1, d2], in order of the blocks */
    variable **state_list; /* pointers to them, as mixers take them */
    int64_t *reach;        /* [n_states]: rows back, its own included, that a row may read */
    const row_rule **rule; /* [n_states]: what it sees of them */
    uint8_t *first;        /* [n_states]: 1: no ring, but the first `reach` rows of the stream */
    int n_states;
    int64_t cycle;  /* of endless streams: a power of two, a multiple of all rings; else 0 */
    variable split; /* [streams, split_ring, patch, next dim]; not at the last level */
    int64_t split_ring;
    level_graph step[SESSION_BATCHES]; /* one row of 1, 2, 4, ... streams */
    int n_steps;
    level_graph block[SESSION_BLOCKS]; /* blocks of rows of one stream, short ones first */
    int n_blocks;
} session_level;

typedef struct session_stream {
    int taken;
    int64_t position;                /* bytes read in all */
    int64_t window;                  /* bytes of them in the window */
    int64_t origin;                  /* bytes of the window that are no longer held */
    int64_t done[CONFIG_MAX_LEVELS]; /* rows below this have run, or will never be seen */
    uint8_t *bytes;                  /* [held], the window from `origin` on */
    float *logits;                   /* [V], of the next byte */
    octet_sampling sampling;         /* of the last symbol that was drawn, */
    int64_t sampled_at;              /* and its position; -1: none was */
    int ahead, ahead_next;           /* rows past `done` of the last level that have run, */
    int16_t *guessed;    /* [SESSION_AHEAD] if these bytes come before them (-1: none), */
    float *ahead_logits; /* [SESSION_AHEAD][V] and their logits */
} session_stream;

/* `count` rows of a stream from row `row` on. */
typedef struct session_lane {
    int stream;
    int64_t row, count;
} session_lane;

struct session {
    const model *model;
    arena memory;
    int streams, n_levels;
    int64_t context, keep, vocabulary;
    int endless;
    int64_t held;    /* bytes that a stream has room for */
    int64_t history; /* bytes back that rows to come may embed; context when not endless */
    int64_t sinks;   /* first rows of the outermost level that all later ones see */
    session_level level[CONFIG_MAX_LEVELS];
    session_stream *stream;             /* [streams] */
    session_lane *lanes;                /* [SESSION_MAX_BATCH] */
    int *listed;                        /* [streams]: who reads one byte */
    uint8_t *named;                     /* [streams]: 1 while a feed names the stream */
    int ahead_rows;                     /* of ahead graphs; 0: there are none */
    ahead_graph ahead[SESSION_BATCHES]; /* as the steps of the last level */
    float *logits;                      /* of the largest graph */
    float *row;                         /* the largest row of a state */
    uint64_t config_hash;
};

/* Makes the states and records all graphs; what was made is freed by session_graphs_finish. */
octet_status session_graphs_create(session *s, octet_error *error);
void session_graphs_finish(session *s);

/* The split output of the level above as rows, or NULL at the outermost. */
tensor *session_parent(session *s, graph *g, int level);

/* What session_prepare fills in, for a graph whose rows are known. */
octet_status session_arrays_create(session *s, int level, level_graph *l, octet_error *error);

/* The smallest graph of single rows that takes n streams, n <= session_most_lanes. */
level_graph *session_step_graph(session *s, int level, int n);
int session_most_lanes(const session *s, int level);

/* The graph for a stream that has `left` rows to run. */
level_graph *session_block_graph(session *s, int level, int64_t left);

/* Fills in and uploads what the lanes ask of a graph; counts are at most its rows. */
octet_status session_prepare(session *s, int level, level_graph *g, const session_lane *lanes,
                             int n, octet_error *error);

/* Runs the lanes through a graph; counts are at most its rows. */
octet_status session_run(session *s, int level, level_graph *g, const session_lane *lanes, int n,
                         octet_error *error);

/* --- going ahead (session_ahead.c) */

/* Makes ahead graphs where the backend is distant and the model's bytes hang on nothing but the
 * byte before; what was made is freed by session_ahead_finish. */
octet_status session_ahead_create(session *s, octet_error *error);
void session_ahead_finish(session *s);

/* Runs row done[last] of the streams of s->lanes, and for those that go by what they draw the rows
 * after it as far as they hang on nothing else. *ran: 0 when no stream does: nothing was run. */
octet_status session_ahead_run(session *s, int n, int *ran, octet_error *error);

/* The stream has been given a byte: takes the next row that has run ahead if that is the byte that
 * was guessed, else drops them all. */
void session_ahead_take(session *s, session_stream *stream, uint8_t byte);

/* The stream, or NULL with an error. */
session_stream *session_stream_get(session *s, int stream, octet_error *error);

/* True when the logits of the stream's next byte are known. */
int session_caught_up(const session *s, const session_stream *stream);

#endif
