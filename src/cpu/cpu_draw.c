/* cpu_draw.c: draws a symbol of each row of logits: see draw_symbol in graph/graph.h.
 *
 * There are at most 257 symbols, so that each is compared with every other: no sorting, and the
 * same sums as a device that takes the symbols side by side. */
#include "base/exact.h"
#include "cpu/cpu.h"
#include "graph/op.h"

#define COST_ROW 300000.0 /* comparisons of all with all */

/* Weights of at most DRAW_SYMBOLS symbols; their number. NaN weighs nothing. */
static int weigh(float *weight, const float *logits, int64_t columns, int32_t end, float s) {
    int n = columns < 256 ? (int)columns : 256;
    for (int i = 0; i < n; i++)
        weight[i] = logits[i];
    if (end >= 0)
        weight[n++] = logits[end];
    float most = weight[0];
    for (int i = 1; i < n; i++)
        most = weight[i] > most ? weight[i] : most;
    for (int i = 0; i < n; i++) {
        const float w = exact_exp((weight[i] - most) * s);
        weight[i] = w >= 0 ? w : 0;
    }
    return n;
}

/* kept[n]: the weights of the symbols that stay, 0 of the others. */
static void keep(float *kept, const float *weight, int n, const float *settings) {
    float before[DRAW_SYMBOLS], sum = 0;
    int rank[DRAW_SYMBOLS];
    const float most = settings[1] > 0 ? settings[1] : (float)n;
    for (int i = 0; i < n; i++) {
        rank[i] = 0;
        before[i] = 0;
        for (int j = 0; j < n; j++)
            if (weight[j] > weight[i] || (weight[j] == weight[i] && j < i)) {
                rank[i]++;
                before[i] += weight[j];
            }
    }
    for (int i = 0; i < n; i++)
        sum += (float)rank[i] < most ? weight[i] : 0;
    for (int i = 0; i < n; i++) {
        const int stays = (float)rank[i] < most &&
                          (rank[i] == 0 || before[i] < settings[2] * sum) &&
                          weight[i] >= settings[3];
        kept[i] = stays ? weight[i] : 0;
    }
}

static int draw_row(const float *kept, int n, float draw) {
    float all = 0, sum = 0;
    int drawn = 0;
    for (int i = 0; i < n; i++)
        all += kept[i];
    const float target = draw * all;
    for (int i = 0; i < n; i++) {
        if (!(kept[i] > 0))
            continue;
        drawn = i;
        sum += kept[i];
        if (sum > target)
            break;
    }
    return drawn;
}

static int draw_symbol_tasks(const cpu_call *c, int phase) {
    (void)phase;
    return cpu_tasks(c, tensor_rows(c->node->input[0]), COST_ROW);
}

static void draw_symbol_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)lane;
    const int64_t columns = tensor_columns(c->node->input[0]);
    const int32_t end = c->node->params.draw_symbol.end;
    const float *draw = c->in[1], *settings = c->in[2];
    const int32_t *base = c->in[3];
    float weight[DRAW_SYMBOLS], kept[DRAW_SYMBOLS];
    int64_t first, last;
    cpu_range(tensor_rows(c->node->input[0]), 1, task, n_tasks, &first, &last);
    for (int64_t r = first; r < last; r++) {
        const float *logits = (const float *)c->in[0] + r * columns;
        const int n = weigh(weight, logits, columns, end, settings[4 * r]);
        keep(kept, weight, n, settings + 4 * r);
        const int symbol = draw_row(kept, n, draw[r]);
        const int ends = end >= 0 && symbol == n - 1;
        ((int32_t *)c->out[0])[r] = ends ? GATHER_NONE : base[r] + symbol;
    }
}

const cpu_op cpu_draw_symbol = {.n_phases = 1, .tasks = draw_symbol_tasks, .run = draw_symbol_run};
