/* mixer.h: the contract of everything sequence-like.
 *
 * A mixer maps x[B,T,C] to y[B,T,C] so that row t sees only rows of its own sequence at or before
 * t. It is written once: training passes no state, prefill a state and a long T, generation the
 * same state and T = 1, and all three compute the same bits. A new mixer is one file and one line
 * of the registry in mixer.c. */
#ifndef MIXER_MIXER_H
#define MIXER_MIXER_H

#include "mixer/rows.h"
#include "nn/layers.h"

#define MIXER_MAX_STATES 4

/* One tensor that a mixer carries between calls, per stream: [rows, d1, d2]; the session adds the
 * slot in front. `rows` is a ring over absolute row numbers; the session chooses its length so that
 * every row within the reach of a row of the same call is still there. */
typedef struct mixer_state_spec {
    const char *name; /* "keys" */
    int64_t d1, d2;
    variable_layout layout;
    variable_layout int8; /* above 0: rows of integers and a scale in int8 arithmetic, so kept */
    int64_t reach; /* rows back, its own included, that a row may read; 0: as far as it sees */
    int rule;      /* what it sees of them: index of level_rows.first; at first the mixer's */
    int64_t sinks; /* above 0: no ring, but the first so many rows of the stream */
} mixer_state_spec;

/* What a mixer is made for. */
typedef struct mixer_params {
    int64_t dim, heads, kv_heads, head_size;
    int rope, alibi, qk_norm, bias;
    int rule;            /* of seeing: index of level_rows.first */
    int64_t sinks;       /* first rows of the sequence that all its rows see; 0 for none */
    int value_residual;  /* mixes the stack's first values into its own, see level_rows.values */
    double scale;        /* of initial weights, see linear_create */
    double output_scale; /* of the output projection; 0 starts the block as the identity */
} mixer_params;

typedef struct mixer mixer;

typedef struct mixer_kind {
    const char *name;
    int has_values; /* makes values that later mixers may take, and takes those of earlier ones */
    /* Adds parameters under `prefix`; memory from p's arena; NULL after an error. */
    mixer *(*create)(params *p, const char *prefix, const mixer_params *m);
    int n_states;
    void (*state)(const mixer *m, int index,
                  mixer_state_spec *out); /* *out is zeroed but for rule */
    /* states: NULL, or n_states + more_states variables of layout [S,rows,d1,d2]. */
    tensor *(*forward)(graph *g, const mixer *m, tensor *x, const level_rows *rows,
                       variable *const *states);
} mixer_kind;

/* First member of every mixer. */
struct mixer {
    const mixer_kind *kind;
    int rule;        /* no row hangs on rows before level_rows.first[rule], sinks apart */
    int more_states; /* that this one has past its kind's n_states */
};

/* Kind `index` of the registry, in which attention, the default, is 0; NULL past its end. */
const mixer_kind *mixer_at(int index);

#endif
