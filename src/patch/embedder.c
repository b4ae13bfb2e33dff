/* embedder.c: see embedder.h. */
#include "patch/embedder.h"

void embedder_create(embedder *e, params *p, const char *prefix, const embedder_params *m) {
    int64_t width = m->dim / m->unit_bytes;
    param_init init = {0, m->spread};
    e->bytes =
        params_add(p, prefix, "embed", PARAM_TABLE, init, 2, (int64_t[]){m->vocabulary, width});
    e->start = NULL;
    if (m->trained_start)
        e->start =
            params_add(p, prefix, "start", PARAM_TABLE, init, 2, (int64_t[]){m->unit_bytes, width});
    e->positions = NULL;
    if (m->places)
        e->positions = params_add(p, prefix, "positions", PARAM_TABLE, init, 2,
                                  (int64_t[]){m->places, m->dim});
}

tensor *embedder_forward(graph *g, const embedder *e, const level_rows *rows, tensor *parent) {
    tensor *start = e->start ? graph_variable(g, e->start) : NULL;
    tensor *x = gather(g, graph_variable(g, e->bytes), start, rows->source);
    if (!x)
        return NULL;
    x = graph_reshape(g, x, 3, (int64_t[]){rows->batch, rows->rows, x->dim[2] * x->dim[3]});
    if (e->positions)
        x = add(g, x, gather(g, graph_variable(g, e->positions), NULL, rows->place));
    if (parent)
        x = add(g, x, gather(g, parent, NULL, rows->parent));
    return x;
}
