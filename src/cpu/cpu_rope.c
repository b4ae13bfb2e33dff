/* cpu_rope.c: rotary positions (Su et al. 2021). Pairs of every head, (i, i + D/2) or neighbours,
 * turn by an angle whose cosine and sine come from a table; plain multiplications and additions, so
 * that every compiler's code gives the same bits. */
#include "cpu/cpu.h"

/* y[D] = x[D] turned by table[D] = cos[D/2], sin[D/2]; sign is -1 for the inverse. */
static void rotate(float *restrict y, const float *restrict x, const float *restrict table,
                   float sign, int64_t half) {
    for (int64_t i = 0; i < half; i++) {
        const float c = table[i], s = sign * table[half + i];
        y[i] = x[i] * c - x[half + i] * s;
        y[half + i] = x[i] * s + x[half + i] * c;
    }
}

static void rotate_neighbours(float *restrict y, const float *restrict x,
                              const float *restrict table, float sign, int64_t half) {
    for (int64_t i = 0; i < half; i++) {
        const float c = table[i], s = sign * table[half + i];
        y[2 * i] = x[2 * i] * c - x[2 * i + 1] * s;
        y[2 * i + 1] = x[2 * i] * s + x[2 * i + 1] * c;
    }
}

static int rope_tasks(const cpu_call *c, int phase) {
    (void)phase;
    const tensor *x = c->node->input[0];
    return cpu_tasks(c, x->dim[0] * x->dim[1], (double)(x->dim[2] * x->dim[3]) * 4);
}

static void rope_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const tensor *x = c->node->input[0];
    const int64_t heads = x->dim[2], d = x->dim[3];
    const float sign = c->node->params.rope.inverse ? -1.0f : 1.0f;
    int64_t begin, end;
    cpu_range(x->dim[0] * x->dim[1], 1, task, n_tasks, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        for (int64_t h = 0; h < heads; h++) {
            const int64_t at = (row * heads + h) * d;
            float *y = (float *)c->out[0] + at;
            const float *own = (const float *)c->in[0] + at,
                        *angle = (const float *)c->in[1] + row * d;
            if (c->node->params.rope.neighbours)
                rotate_neighbours(y, own, angle, sign, d / 2);
            else
                rotate(y, own, angle, sign, d / 2);
        }
    }
}

const cpu_op cpu_rope = {.n_phases = 1, .tasks = rope_tasks, .run = rope_run};
