/* cpu_cache.c: store, which writes new rows into a ring of cached rows, and the packed form of
 * keys. */
#include "cpu/cache_layout.h"
#include "cpu/cpu.h"

#include <string.h>

/* Element i of the logical form [S,R,G,D] in the packed one. */
static int64_t packed_index(const int64_t dim[4], int64_t i) {
    const int64_t d = i % dim[3], g = i / dim[3] % dim[2];
    const int64_t row = i / dim[3] / dim[2];
    const int64_t r = row % dim[1], s = row / dim[1];
    const int64_t tiles = dim[1] / ATTENTION_TILE;
    const int64_t tile = (s * dim[2] + g) * tiles + r / ATTENTION_TILE;
    return (tile * dim[3] + d) * ATTENTION_TILE + r % ATTENTION_TILE;
}

/* Elements from i to the end of its run of D, n at most: they lie 32 apart. */
static int64_t run_of(const int64_t dim[4], int64_t i, int64_t n) {
    const int64_t left = dim[3] - i % dim[3];
    return left < n ? left : n;
}

void cache_keys_write(float *packed, const int64_t dim[4], int64_t first, int64_t n,
                      const float *rows) {
    while (n > 0) {
        const int64_t run = run_of(dim, first, n);
        float *p = packed + packed_index(dim, first);
        for (int64_t i = 0; i < run; i++)
            p[i * ATTENTION_TILE] = rows[i];
        first += run;
        rows += run;
        n -= run;
    }
}

void cache_keys_read(const float *packed, const int64_t dim[4], int64_t first, int64_t n,
                     float *rows) {
    while (n > 0) {
        const int64_t run = run_of(dim, first, n);
        const float *p = packed + packed_index(dim, first);
        for (int64_t i = 0; i < run; i++)
            rows[i] = p[i * ATTENTION_TILE];
        first += run;
        rows += run;
        n -= run;
    }
}

/* store: inputs state[S,R,...], x[B,T,...], slot[B], pos[B], count[B]. A task owns rows of x, which
 * go to different rows of the state. */

static int store_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[1];
    const int64_t rows = x->dim[0] * x->dim[1];
    return cpu_tasks(c, rows, (double)(tensor_elements(x) / rows));
}

static void store_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const tensor *state = c->node->input[0], *x = c->node->input[1];
    const int64_t slots = state->dim[0], ring = state->dim[1], rows = x->dim[1];
    const int64_t width = tensor_elements(x) / (x->dim[0] * rows);
    const int32_t *slot = c->in[2], *pos = c->in[3], *count = c->in[4];
    const variable *v = tensor_storage(state)->variable;
    const int packed = v != NULL && v->layout == LAYOUT_KEYS;
    const int first = c->node->params.store.first;
    int64_t begin, end;
    cpu_range(x->dim[0] * rows, ATTENTION_TILE, task, n_tasks, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const int64_t b = i / rows, t = i % rows;
        const int64_t n = count[b] < rows ? count[b] : rows;
        /* of rows that would fall on one another the last stays */
        const int64_t before = first ? 0 : n - ring;
        if (t >= n || t < before || slot[b] < 0 || slot[b] >= slots || pos[b] < 0 ||
            (first && pos[b] + t >= ring))
            continue;
        const float *source = (const float *)c->in[1] + i * width;
        const int64_t at = (slot[b] * ring + (pos[b] + t) % ring) * width;
        if (packed)
            cache_keys_write(c->out[0], state->dim, at, width, source);
        else
            memcpy((float *)c->out[0] + at, source, (size_t)width * sizeof(float));
    }
}

const cpu_op cpu_store = {.n_phases = 1, .tasks = store_tasks, .run = store_run};
