/* embedder.c: see embedder.h. */
#include "patch/embedder.h"

#include <stdlib.h>
#include <string.h>

#include "patch/row_plan.h"

/* What follows the table of bytes in the other two kinds. */
static void create_unit_layers(embedder *e, params *p, const char *prefix,
                               const embedder_params *m) {
    int64_t wide = m->unit_bytes * m->byte_width;
    e->bias = NULL;
    if (m->kind == EMBED_ONE_HOT)
        e->bias = params_add(p, prefix, "embed.bias", PARAM_VECTOR, (param_init){0, 0}, 1, &m->dim);
    if (m->kind != EMBED_NORMED)
        return;
    norm_create(&e->inner, p, prefix, "embed_norm", wide, NORM_LAYER, 1);
    linear_create(&e->mix, p, prefix, "embed_linear", m->dim, wide, 1, m->mix_scale);
    norm_create(&e->outer, p, prefix, "embed_last_norm", m->dim, NORM_LAYER, 1);
}

void embedder_create(embedder *e, params *p, const char *prefix, const embedder_params *m) {
    int64_t table[] = {m->planes * m->vocabulary, m->dim / m->unit_bytes}, start[] = {1, m->dim};
    param_init init = {0, m->spread};
    if (m->kind == EMBED_NORMED)
        table[1] = m->byte_width;
    if (m->kind == EMBED_ONE_HOT)
        table[1] = m->dim;
    if (m->kind == EMBED_CONCAT) {
        start[0] = m->unit_bytes;
        start[1] = table[1];
    }
    e->kind = m->kind;
    e->turned = m->turned;
    e->rope_base = m->rope_base;
    e->bytes = params_add(p, prefix, "embed", PARAM_TABLE, init, 2, table);
    create_unit_layers(e, p, prefix, m);
    e->start = NULL;
    if (m->trained_start)
        e->start = params_add(p, prefix, "start", PARAM_TABLE, init, 2, start);
    e->positions = NULL;
    if (m->places)
        e->positions = params_add(p, prefix, "positions", PARAM_TABLE, init, 2,
                                  (int64_t[]){m->places, m->dim});
    e->encodes = m->encodes;
    if (m->encodes)
        encoder_create(&e->encoder, p, prefix, table[1], m->scale);
    ngram_params n = {m->ngrams, m->ngram_width, table[1], m->spread, m->scale};
    ngram_create(&e->ngrams, p, prefix, &n);
}

/* The bytes' vectors side by side, [B,T,U E]. */
static tensor *join_bytes(graph *g, tensor *x) {
    return x ? graph_reshape(g, x, 3, (int64_t[]){x->dim[0], x->dim[1], x->dim[2] * x->dim[3]})
             : NULL;
}

/* The other two kinds: [B,T,dim]. */
static tensor *embed_whole_units(graph *g, const embedder *e, const level_rows *rows) {
    tensor *x;
    if (e->kind == EMBED_NORMED) {
        x = join_bytes(g, gather(g, graph_variable(g, e->bytes), NULL, rows->source));
        x = norm_forward(g, &e->outer, linear_forward(g, &e->mix, norm_forward(g, &e->inner, x)));
    } else {
        x = gather_sum(g, graph_variable(g, e->bytes), rows->source);
        x = add_row(g, x, graph_variable(g, e->bias));
    }
    if (!e->start || !x)
        return x;
    x = graph_reshape(g, x, 2, (int64_t[]){rows->batch * rows->rows, x->dim[2]});
    return gather(g, x, graph_variable(g, e->start), rows->unit);
}

/* Units turned by their positions (MBLM's "rope"): starts stand at position 0. */
static tensor *turn_units(graph *g, const embedder *e, tensor *x, const level_rows *rows) {
    if (!x)
        return NULL;
    int64_t dim = x->dim[2];
    level_shape pairs = {.table_dim = dim, .rope_base = e->rope_base, .rope_scale = 1};
    float *table = NULL;
    void *data = NULL;
    if (row_table_create(&table, &pairs, e->turned, &g->error))
        return NULL;
    tensor *all = graph_constant(g, "turns", DTYPE_F32, 2, (int64_t[]){e->turned, dim}, &data);
    if (data)
        memcpy(data, table, (size_t)(e->turned * dim) * sizeof *table);
    free(table);
    tensor *own = gather(g, all, NULL, rows->turn);
    x = graph_reshape(g, x, 4, (int64_t[]){rows->batch, rows->rows, 1, dim});
    x = rope_neighbours(g, rope(g, x, own, 0));
    return x ? graph_reshape(g, x, 3, (int64_t[]){rows->batch, rows->rows, dim}) : NULL;
}

/* Bytes in their own width, [B,T,U,E]. */
static tensor *embed_bytes(graph *g, const embedder *e, const level_rows *rows) {
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
    tensor *x = e->kind == EMBED_CONCAT ? join_bytes(g, embed_bytes(g, e, rows))
                                        : embed_whole_units(g, e, rows);
    if (e->turned)
        x = turn_units(g, e, x, rows);
    if (e->ngrams.table)
        x = add(g, x, ngram_forward(g, &e->ngrams, rows->ngrams));
    if (e->positions)
        x = add(g, x, gather(g, graph_variable(g, e->positions), NULL, rows->place));
    if (parent)
        x = add(g, x, gather(g, parent, NULL, rows->parent));
    return x;
}
