/* cpu_cache_int8.c: store_int8, which rounds new rows into a ring of cached rows, and the packed
 * form of those: see cache_layout.h. */
#include "cpu/cache_layout.h"
#include "cpu/cpu.h"

#include <string.h>

/* The tile of row `row` of all [S R] and head g. */
static uint8_t *tile_of(void *packed, const variable *v, int64_t row, int64_t g) {
    const int64_t ring = v->dim[1];
    const int64_t tile = ((row / ring * v->dim[2] + g) * ring + row % ring) / INT8_PANEL;
    return (uint8_t *)packed + tile * int8_tile_bytes(v->dim[3] - 1);
}

/* Element i of a row of the logical form: one of D integers, or the scale after them. */
static uint8_t *element_of(void *packed, const variable *v, int64_t index) {
    const int64_t width = v->dim[3], d = width - 1, padded = int8_padded(d);
    const int64_t i = index % width, row = index / width / v->dim[2], lane = row % INT8_PANEL;
    uint8_t *tile = tile_of(packed, v, row, index / width % v->dim[2]);
    if (i == d)
        return tile + INT8_PANEL * padded + lane * (int64_t)sizeof(float);
    if (v->layout == LAYOUT_VALUES_INT8)
        return tile + (lane / 4 * padded + i) * 4 + lane % 4;
    return tile + (i / 4 * INT8_PANEL + lane) * 4 + i % 4;
}

void cache_int8_write(void *packed, const variable *v, int64_t first, int64_t n,
                      const float *rows) {
    for (int64_t i = first; i < first + n; i++) {
        uint8_t *to = element_of(packed, v, i);
        const float x = *rows++;
        const float bounded = x > 127.0f ? 127.0f : x < -127.0f ? -127.0f : x == x ? x : 0.0f;
        if (i % v->dim[3] == v->dim[3] - 1)
            memcpy(to, &x, sizeof x);
        else
            *to = (uint8_t)(int)bounded;
    }
}

void cache_int8_read(const void *packed, const variable *v, int64_t first, int64_t n, float *rows) {
    for (int64_t i = first; i < first + n; i++) {
        const uint8_t *from = element_of((void *)(uintptr_t)packed, v, i);
        if (i % v->dim[3] == v->dim[3] - 1)
            memcpy(rows++, from, sizeof *rows);
        else
            *rows++ = (float)(int8_t)*from;
    }
}

/* --- store_int8: inputs state[S,R,G,D+1], x[B,T,G,D], slot[B], pos[B], count[B]. A task owns rows
 * of x, which go to different rows of the state. */

static int store_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[1];
    const int64_t rows = x->dim[0] * x->dim[1];
    return cpu_tasks(c, rows, 4.0 * (double)(tensor_elements(x) / rows));
}

static void store_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    const tensor *state = c->node->input[0], *x = c->node->input[1];
    const int64_t ring = state->dim[1], rows = x->dim[1], heads = x->dim[2], d = x->dim[3];
    const int32_t *slot = c->in[2], *pos = c->in[3], *count = c->in[4];
    const variable *v = tensor_storage(state)->variable;
    const int first = c->node->params.store.first;
    uint8_t *q = (uint8_t *)c->workspace + lane * ((d + 63) / 64 * 64);
    int64_t begin, end;
    cpu_range(x->dim[0] * rows, 1, task, n_tasks, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const int64_t b = i / rows, t = i % rows;
        const int64_t n = count[b] < rows ? count[b] : rows;
        /* of rows that would fall on one another the last stays */
        const int64_t before = first ? 0 : n - ring;
        if (t >= n || t < before || slot[b] < 0 || slot[b] >= state->dim[0] || pos[b] < 0 ||
            (first && pos[b] + t >= ring))
            continue;
        for (int64_t g = 0; g < heads; g++) {
            const int64_t row = slot[b] * ring + (pos[b] + t) % ring;
            const float scale =
                c->kernels->int8.round(q, (const float *)c->in[1] + (i * heads + g) * d, d, 0);
            int8_tile_put(tile_of(c->out[0], v, row, g), d, (int)(row % INT8_PANEL),
                          v->layout == LAYOUT_VALUES_INT8, q, scale);
        }
    }
}

static size_t store_workspace(const node *n, int n_lanes) {
    return (size_t)n_lanes * (size_t)((n->input[1]->dim[3] + 63) / 64 * 64);
}

const cpu_op cpu_store_int8 = {
    .n_phases = 1, .tasks = store_tasks, .run = store_run, .workspace = store_workspace};
