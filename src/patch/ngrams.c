/* ngrams.c: see ngrams.h. */
#include "patch/ngrams.h"

/* Multiplier of Fibonacci hashing (Knuth, volume 3, 6.4): 2^64 over the golden ratio, odd. */
#define HASH_FACTOR 0x9E3779B97F4A7C15u

static int64_t rows_of(const ngram_set *s, int n) {
    return n == 2 ? 65536 : s->rows;
}

int ngram_count(const ngram_set *s) {
    int count = 0;
    for (int n = 2; n <= NGRAM_MAX; n++)
        count += s->sizes >> n & 1;
    return count;
}

int64_t ngram_table_rows(const ngram_set *s) {
    int64_t rows = 0;
    for (int n = 2; n <= NGRAM_MAX; n++)
        rows += (s->sizes >> n & 1) * (rows_of(s, n) + 1);
    return rows;
}

/* The upper half of two multiplications hangs on every bit of the key. rows < 2^32. */
static int64_t hash(uint64_t key, int64_t rows) {
    key *= HASH_FACTOR;
    key = (key ^ (key >> 32)) * HASH_FACTOR;
    return (int64_t)((key >> 32) * (uint64_t)rows >> 32);
}

void ngram_indices(int32_t *index, const ngram_set *s, const uint8_t *bytes, int64_t origin,
                   int64_t end) {
    uint64_t key = 0; /* the last n bytes as a number, the last one lowest */
    int64_t base = 0;
    for (int n = 1; n <= NGRAM_MAX && s->sizes >> n; n++) {
        if (n <= end)
            key |= (uint64_t)bytes[end - n - origin] << (8 * (n - 1));
        if (!(s->sizes >> n & 1))
            continue;
        int64_t rows = rows_of(s, n), row = rows;
        if (n <= end)
            row = n == 2 ? (int64_t)key : hash(key, rows);
        *index++ = (int32_t)(base + row);
        base += rows + 1;
    }
}

void ngram_create(ngram_layer *l, params *p, const char *prefix, const ngram_params *m) {
    int64_t rows = ngram_table_rows(&m->set);
    l->table = NULL;
    if (!rows)
        return;
    l->table = params_add(p, prefix, "ngrams.table", PARAM_TABLE, (param_init){0, m->spread}, 2,
                          (int64_t[]){rows, m->width});
    linear_create(&l->project, p, prefix, "ngrams.project", m->out, ngram_count(&m->set) * m->width,
                  0, m->scale);
}

tensor *ngram_forward(graph *g, const ngram_layer *l, tensor *index) {
    tensor *x = gather(g, graph_variable(g, l->table), NULL, index);
    if (!x)
        return NULL;
    int64_t in = l->project.w->dim[1], units = x->dim[2] * x->dim[3] / in;
    x = graph_reshape(g, x, 4, (int64_t[]){x->dim[0], x->dim[1], units, in});
    x = linear_forward(g, &l->project, x);
    return x ? graph_reshape(g, x, 3, (int64_t[]){x->dim[0], x->dim[1], units * x->dim[3]}) : NULL;
}
