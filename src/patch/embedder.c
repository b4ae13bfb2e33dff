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
    e->encodes = m->encodes;
    if (m->encodes)
        encoder_create(&e->encoder, p, prefix, width, m->scale);
    ngram_params n = {m->ngrams, m->ngram_width, width, m->spread, m->scale};
    ngram_create(&e->ngrams, p, prefix, &n);
}

/* The units' vectors side by side, [B,T,U,E]. */
static tensor *embed_units(graph *g, const embedder *e, const level_rows *rows) {
    tensor *bytes = graph_variable(g, e->bytes);
    tensor *start = e->start ? graph_variable(g, e->start) : NULL;
    if (!e->encodes)
        return gather(g, bytes, start, rows->source);
    tensor *run = encoder_forward(g, &e->encoder, gather(g, bytes, NULL, rows->run));
    if (!run)
        return NULL;
    run = graph_reshape(g, run, 2, (int64_t[]){tensor_rows(run), tensor_columns(run)});
    return gather(g, run, start ? start : bytes, rows->source);
}

tensor *embedder_forward(graph *g, const embedder *e, const level_rows *rows, tensor *parent) {
    tensor *x = embed_units(g, e, rows);
    if (!x)
        return NULL;
    x = graph_reshape(g, x, 3, (int64_t[]){rows->batch, rows->rows, x->dim[2] * x->dim[3]});
    if (e->ngrams.table)
        x = add(g, x, ngram_forward(g, &e->ngrams, rows->ngrams));
    if (e->positions)
        x = add(g, x, gather(g, graph_variable(g, e->positions), NULL, rows->place));
    if (parent)
        x = add(g, x, gather(g, parent, NULL, rows->parent));
    return x;
}
