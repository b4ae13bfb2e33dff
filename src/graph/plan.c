/* plan.c: dead nodes, stages, liveness, and first-fit placement of results. */
#include "graph/plan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

/* Far below where sums of sizes would start again at 0. */
#define BYTES_MOST (SIZE_MAX / 4)

void plan_destroy(plan **p) {
    if (!p || !*p)
        return;
    free((*p)->nodes);
    free((*p)->stage_begin);
    free((*p)->offset);
    free((*p)->used);
    free(*p);
    *p = NULL;
}

/* A node runs if it updates a variable, makes an output, or makes what a running node reads. */
static int node_runs(const node *n, const int *needed) {
    for (int k = 0; k < n->n_outputs; k++) {
        const tensor *t = n->output[k];
        if (!t)
            continue;
        const tensor *owner = tensor_storage(t);
        if (owner->kind == TENSOR_VARIABLE || owner->is_output || needed[owner->id])
            return 1;
    }
    return 0;
}

static void collect_nodes(plan *p, const graph *g) {
    int n = 0;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        node *made = g->nodes[i];
        if (!node_runs(made, p->used))
            continue;
        p->nodes[n++] = made;
        for (int k = 0; k < made->n_inputs; k++)
            if (made->input[k])
                p->used[tensor_storage(made->input[k])->id] = 1;
    }
    for (int i = 0; i < n / 2; i++) {
        node *swap = p->nodes[i];
        p->nodes[i] = p->nodes[n - 1 - i];
        p->nodes[n - 1 - i] = swap;
    }
    p->n_nodes = n;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < p->nodes[i]->n_outputs; k++)
            if (p->nodes[i]->output[k])
                p->used[tensor_storage(p->nodes[i]->output[k])->id] = 1;
}

static int touches(tensor *const *list, int n, const tensor *owner) {
    for (int i = 0; i < n; i++)
        if (list[i] && tensor_storage(list[i]) == owner)
            return 1;
    return 0;
}

/* True when b may run beside a, which comes before it. */
static int independent(const node *a, const node *b) {
    for (int k = 0; k < a->n_outputs; k++) {
        if (!a->output[k])
            continue;
        const tensor *written = tensor_storage(a->output[k]);
        if (touches(b->input, b->n_inputs, written) || touches(b->output, b->n_outputs, written))
            return 0;
    }
    for (int k = 0; k < b->n_outputs; k++)
        if (b->output[k] && touches(a->input, a->n_inputs, tensor_storage(b->output[k])))
            return 0;
    return 1;
}

static void cut_stages(plan *p) {
    p->n_stages = 0;
    for (int i = 0; i < p->n_nodes; i++) {
        int begin = p->n_stages ? p->stage_begin[p->n_stages - 1] : 0;
        int joins = p->n_stages > 0 && i - begin < PLAN_STAGE_NODES;
        for (int k = begin; k < i && joins; k++)
            joins = independent(p->nodes[k], p->nodes[i]);
        if (!joins)
            p->stage_begin[p->n_stages++] = i;
    }
    p->stage_begin[p->n_stages] = p->n_nodes;
}

/* Results alive at the moment, by rising offset. There may be ten thousands and the list is walked
 * for each result, so that all it takes lies together. */
typedef struct live_result {
    size_t begin, end;
    int last_stage;
} live_result;

typedef struct live_list {
    live_result *items;
    int n;
} live_list;

static size_t rounded(const tensor *t) {
    return (tensor_bytes(t) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Puts t into the lowest gap that takes it. */
static void place(plan *p, live_list *live, const tensor *t, int last_stage) {
    size_t size = rounded(t), offset = 0;
    int at = 0;
    for (; at < live->n && offset + size > live->items[at].begin; at++)
        offset = live->items[at].end;
    if (size > BYTES_MOST - offset) {
        p->bytes = BYTES_MOST; /* no device holds that; plan_create says so */
        return;
    }
    memmove(live->items + at + 1, live->items + at, (size_t)(live->n - at) * sizeof *live->items);
    live->items[at] = (live_result){offset, offset + size, last_stage};
    live->n++;
    p->offset[t->id] = offset;
    if (offset + size > p->bytes)
        p->bytes = offset + size;
}

static void drop_dead(live_list *live, int stage) {
    int kept = 0;
    for (int i = 0; i < live->n; i++)
        if (live->items[i].last_stage >= stage)
            live->items[kept++] = live->items[i];
    live->n = kept;
}

static void note_last_stages(const plan *p, int *last_stage) {
    for (int s = 0; s < p->n_stages; s++) {
        for (int i = p->stage_begin[s]; i < p->stage_begin[s + 1]; i++) {
            const node *n = p->nodes[i];
            for (int k = 0; k < n->n_inputs; k++)
                if (n->input[k])
                    last_stage[tensor_storage(n->input[k])->id] = s;
            for (int k = 0; k < n->n_outputs; k++)
                if (n->output[k])
                    last_stage[tensor_storage(n->output[k])->id] = s;
        }
    }
}

static void place_results(plan *p, const graph *g, int *last_stage, live_list *live) {
    note_last_stages(p, last_stage);
    for (int i = 0; i < g->n_tensors; i++)
        if (g->tensors[i]->is_output)
            last_stage[i] = p->n_stages;
    for (int s = 0; s < p->n_stages; s++) {
        drop_dead(live, s);
        for (int i = p->stage_begin[s]; i < p->stage_begin[s + 1]; i++) {
            const node *n = p->nodes[i];
            for (int k = 0; k < n->n_outputs; k++)
                if (n->output[k] && n->output[k]->kind == TENSOR_RESULT)
                    place(p, live, n->output[k], last_stage[n->output[k]->id]);
        }
    }
}

octet_status plan_create(plan **out, const graph *g, octet_error *error) {
    *out = NULL;
    octet_status status = graph_check(g, error);
    if (status)
        return status;
    size_t tensors = (size_t)g->n_tensors + 1, nodes = (size_t)g->n_nodes + 1;
    plan *p = calloc(1, sizeof *p);
    int *last_stage = calloc(tensors, sizeof *last_stage);
    live_list live = {calloc(tensors, sizeof *live.items), 0};
    if (p) {
        p->nodes = calloc(nodes, sizeof *p->nodes);
        p->stage_begin = calloc(nodes + 1, sizeof *p->stage_begin);
        p->offset = calloc(tensors, sizeof *p->offset);
        p->used = calloc(tensors, sizeof *p->used);
    }
    if (p && p->nodes && p->stage_begin && p->offset && p->used && last_stage && live.items) {
        collect_nodes(p, g);
        cut_stages(p);
        place_results(p, g, last_stage, &live);
        if (p->bytes == BYTES_MOST) {
            plan_destroy(&p);
            status = error_memory(error, "the graph's results", (double)BYTES_MOST);
        }
        *out = p;
    } else {
        plan_destroy(&p);
        status = error_memory(error, "plan", (double)(tensors * sizeof(void *)));
    }
    free(last_stage);
    free(live.items);
    return status;
}
