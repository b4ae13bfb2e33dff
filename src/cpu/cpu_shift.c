/* cpu_shift.c: the token shift: the upper channels of a row come from the row beside it in its
 * sequence, or from the state where that row was run by an earlier call; where sequences share row
 * 0 as their start, from there. Copies, but for what flows back to that row, which adds up. */
#include <string.h>

#include "cpu/cpu.h"

/* y[C]: the lower channels of x[C], the upper ones of other[C] or, where it is NULL, zeros. */
static void join(float *y, const float *x, const float *other, int64_t columns) {
    const int64_t low = columns - columns / 2;
    const size_t bytes = (size_t)(columns - low) * sizeof(float);
    memcpy(y, x, (size_t)low * sizeof(float));
    if (other != NULL)
        memcpy(y + low, other + low, bytes);
    else
        memset(y + low, 0, bytes);
}

/* dx of row 0 in the upper channels: plus those of every row t > 0 that begins a sequence. */
static void add_starts(float *dx, const float *dy, const int32_t *first, int64_t rows,
                       int64_t columns) {
    for (int64_t t = 1; t < rows; t++)
        for (int64_t i = columns - columns / 2; i < columns && first[t] >= t; i++)
            dx[i] += dy[t * columns + i];
}

static int shift_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[0];
    return cpu_tasks(c, tensor_rows(x), 16.0 + 4.0 * (double)tensor_columns(x));
}

static void shift_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const tensor *x = c->node->input[0];
    const int64_t rows = x->dim[1], columns = x->dim[2];
    const int32_t *first = c->in[1];
    const int start = c->node->params.shift.start, inverse = c->node->params.shift.inverse;
    int64_t begin, end;
    cpu_range(tensor_rows(x), 1, task, n_tasks, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const int64_t t = i % rows, at = i * columns;
        const float *row = (const float *)c->in[0] + at, *other = NULL;
        if (inverse)
            other = t + 1 < rows && first[i + 1] <= t ? row + columns : NULL;
        else if (t > 0)
            other = first[i] < t ? row - columns : start ? row - t * columns : NULL;
        join((float *)c->out[0] + at, row, other, columns);
        if (inverse && start && t == 0)
            add_starts((float *)c->out[0] + at, row, first + i, rows, columns);
    }
}

const cpu_op cpu_shift = {.n_phases = 1, .tasks = shift_tasks, .run = shift_run};

/* inputs x[B,T,C], state[S,R,1,C], slot[B], pos[B], count[B], first[B,T], first rows [S,R',1,C] or
 * none */
static void shift_cached_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const tensor *x = c->node->input[0], *state = c->node->input[1];
    const int64_t rows = x->dim[1], columns = x->dim[2];
    const int64_t slots = state->dim[0], ring = state->dim[1];
    const int32_t *slot = c->in[2], *pos = c->in[3], *count = c->in[4], *first = c->in[5];
    int64_t begin, end;
    cpu_range(tensor_rows(x), 1, task, n_tasks, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const int64_t b = i / rows, t = i % rows, row = (int64_t)pos[b] + t;
        float *y = (float *)c->out[0] + i * columns;
        if (t >= count[b] || slot[b] < 0 || slot[b] >= slots || pos[b] < 0) {
            memset(y, 0, (size_t)columns * sizeof *y);
            continue;
        }
        const float *other = NULL;
        if (row > 0 && first[i] >= row && c->node->params.shift.start)
            other = (const float *)c->in[6] + slot[b] * c->node->input[6]->dim[1] * columns;
        if (row > 0 && first[i] < row)
            other = (const float *)c->in[1] + (slot[b] * ring + (row - 1) % ring) * columns;
        join(y, (const float *)c->in[0] + i * columns, other, columns);
    }
}

const cpu_op cpu_shift_cached = {.n_phases = 1, .tasks = shift_tasks, .run = shift_cached_run};
