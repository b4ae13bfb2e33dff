/* import_case.c: see import_case.h. */
#include "import_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support.h"

static octet_error error;

const import_case IMPORT_CASES[] = {
    {"megabyte-pytorch", "mb1", "model.safetensors", 1},
    {"megabyte-pytorch", "mb1", "model.pt", 0},
    {"megabyte-pytorch", "mb2", "model.safetensors", 0},
    {"megabyte-pytorch", "mb2", "model.pt", 0},
    {"megabyte-pytorch", "mb2-flash", "model.safetensors", 0},
    {"megabyte-pytorch", "mb2-odd", "model.safetensors", 0},
    {"megabyte-pytorch", "mb2-odd-v0.3.2", "model.safetensors", 1},
    {"megabyte-pytorch", "mb2-pos", "model.safetensors", 0},
    {"megabyte-pytorch", "mb2-rel", "model.safetensors", 0},
    {"megabyte-pytorch", "mb2-rel-v0.2.1", "model.safetensors", 1},
    {"megabyte-pytorch", "mb3", "model.safetensors", 0},
    {"megabyte-pytorch", "mb3-posrel", "model.safetensors", 1},
    {"megabyte-pytorch", "mb3-posrel", "model.pt", 0},
    {"megabyte-pytorch", "mb3-v0.2.1", "model.safetensors", 0},
    {"mblm", "two-rope", "weights.pth", 1},
    {"mblm", "three-mixed", "weights.pth", 0},
    {"mblm", "two-rot-fixed", "weights.pth", 1},
    {"mblm", "two-rot-fixed", "weights-v0.4.0-names.pth", 0},
    {"bgpt", "heads1", "weights.safetensors", 1},
    {"bgpt", "heads1", "weights.pth", 0},
    {"bgpt", "heads2", "weights.pth", 0},
    {"notagen", "small", "weights.safetensors", 1},
    {"notagen", "small", "weights.pth", 0},
};
const int IMPORT_N_CASES = sizeof IMPORT_CASES / sizeof *IMPORT_CASES;

static const char *other_root(void) {
    const char *root = getenv("OCTET_FIXTURES");
    return root && *root ? root : NULL;
}

const char *import_case_path(char out[512], const import_case *c, const char *file) {
    const char *root = other_root();
    assert_true(snprintf(out, 512, "%s/%s/%s/%s", root ? root : IMPORT_DATA, c->format, c->name,
                         file) < 512);
    return out;
}

/* Files that the tree has in another form are not in the whole collection. */
int import_case_is_there(const import_case *c) {
    char path[512];
    if (!other_root())
        return c->in_tree;
    return strcmp(c->file, "weights.safetensors") != 0 ||
           access(import_case_path(path, c, c->file), R_OK) == 0;
}

json_t *import_case_json(const import_case *c) {
    char path[512];
    json_t *root = json_load_file(import_case_path(path, c, "case.json"), 0, NULL);
    assert_non_null(root);
    return root;
}

safetensors *import_case_data(const import_case *c) {
    char path[512];
    safetensors *data = NULL;
    support_ok(safetensors_open(&data, import_case_path(path, c, "cases.safetensors"), &error),
               &error);
    return data;
}

const safetensors_tensor *import_case_tensor(const safetensors *data, const char *name, int j) {
    char full[64];
    snprintf(full, sizeof full, "%s.%d", name, j);
    return safetensors_find(data, full);
}

int64_t *import_case_ids(const safetensors *data, const char *name, int j, int64_t *n) {
    const safetensors_tensor *t = import_case_tensor(data, name, j);
    if (!t)
        return NULL;
    assert_int_equal(t->type, SAFETENSORS_I64);
    assert_int_equal(t->rank, 1);
    *n = t->dim[0];
    int64_t *ids = support_alloc((size_t)*n, sizeof *ids);
    memcpy(ids, t->data, t->bytes);
    return ids;
}

octet_runtime *import_case_runtime(void) {
    octet_runtime *runtime = NULL;
    octet_runtime_params wanted = {.threads = 2};
    char device[32];
    const char *index = getenv("OCTET_VULKAN");
    if (index) {
        snprintf(device, sizeof device, "vulkan:%s", index);
        wanted.device = device;
    }
    support_ok(octet_runtime_create(&runtime, &wanted, &error), &error);
    return runtime;
}

octet_model *import_case_open(octet_runtime *runtime, const import_case *c, const char *path,
                              const char *const *more, int with_version) {
    char side[64];
    const char *settings[8];
    octet_import_params given = {.side = side, .settings = settings};
    octet_model *m = NULL;
    json_t *root = import_case_json(c);
    if (!with_version)
        json_object_del(root, "version");
    snprintf(side, sizeof side, "/tmp/octet_import_%d.json", (int)getpid());
    assert_int_equal(json_dump_file(root, side, 0), 0);
    json_decref(root);
    for (; more && *more; more++)
        settings[given.n_settings++] = *more;
    support_ok(octet_import(&m, runtime, c->format, path, &given, &error), &error);
    unlink(side);
    return m;
}

/* --- graphs */

static int is_bgpt(const model *m) {
    return m->shape[0].layout == ROWS_BGPT;
}

static void record_loss(import_graph *g) {
    const int64_t dim[] = {IMPORT_BATCH, g->rows[g->m->config.n_levels - 1]};
    g->target = graph_input(g->g, "target", DTYPE_I32, 2, dim);
    g->weight = graph_input(g->g, "weight", DTYPE_F32, 2, dim);
    g->loss = dot(g->g, cross_entropy(g->g, g->logits, g->target), g->weight);
    graph_output(g->g, g->loss);
    graph_backward(g->g, g->loss);
    g->gradients = support_alloc((size_t)g->m->params.n, sizeof(tensor *));
    for (int i = 0; i < g->m->params.n; i++) {
        tensor *t = graph_variable(g->g, &g->m->params.list[i]->v);
        assert_non_null(t);
        g->gradients[i] = t->gradient;
        if (t->gradient)
            graph_output(g->g, t->gradient);
        else
            fail_msg("%s has no gradient", g->m->params.list[i]->v.name);
    }
}

void import_graph_create(import_graph *g, model *m, int with_loss) {
    int last = m->config.n_levels - 1;
    *g = (import_graph){.m = m};
    support_ok(graph_create(&g->g, &error), &error);
    for (int s = 0; s <= last; s++) {
        g->rows[s] = model_window_rows(m, s) + (s == last && !is_bgpt(m));
        model_rows_inputs(g->g, m, s, IMPORT_BATCH, g->rows[s], 0, &g->inputs[s]);
        support_ok(row_arrays_create(&g->arrays[s], &m->shape[s], IMPORT_BATCH, g->rows[s], &error),
                   &error);
    }
    g->logits = graph_output(g->g, model_forward(g->g, m, g->inputs));
    if (with_loss)
        record_loss(g);
    support_ok(backend_compile(m->backend, &g->p, g->g, &error), &error);
}

void import_graph_finish(import_graph *g) {
    program_destroy(&g->p);
    graph_destroy(&g->g);
    for (int s = 0; s < g->m->config.n_levels; s++)
        row_arrays_finish(&g->arrays[s]);
    free(g->gradients);
}

/* Puts symbols in place of the bytes of 0 that row_fill was given; starts stay. */
static void fill_symbols(import_graph *g, int s, int64_t b, const int64_t *symbols, int64_t n) {
    const level_shape *shape = &g->m->shape[s];
    int64_t unit = shape->unit_bytes, v = g->m->config.vocabulary;
    /* The row embeds the unit before its own; after bGPT's given patch that is one later. */
    int64_t begin = is_bgpt(g->m) ? (s ? g->m->shape[0].unit_bytes - 1 : 0) : -unit;
    for (int64_t t = 0; t < g->rows[s]; t++)
        for (int64_t u = 0; u < unit; u++) {
            int32_t *source = &g->arrays[s].source[(b * g->rows[s] + t) * unit + u];
            int64_t at = begin + t * unit + u, symbol = at < n ? symbols[at < 0 ? 0 : at] : 0;
            if (*source >= 0)
                *source = (int32_t)(u % shape->planes * v + symbol);
        }
}

void import_graph_fill(import_graph *g, const int64_t *const symbols[IMPORT_BATCH],
                       const int64_t n[IMPORT_BATCH], int start_slices) {
    const model *m = g->m;
    uint8_t *zeros = support_alloc((size_t)m->config.context + 1, 1);
    for (int s = 0; s < m->config.n_levels; s++) {
        row_arrays *a = &g->arrays[s];
        for (int64_t b = 0; b < IMPORT_BATCH; b++) {
            for (int64_t t = 0; t < g->rows[s]; t++)
                row_fill(a, &m->shape[s], b, t, t, zeros,
                         s ? b * g->rows[s - 1] + row_parent(&m->shape[s], t) : 0, m->table[s]);
            fill_symbols(g, s, b, symbols[b], n[b]);
            if (start_slices && s)
                a->parent[b * g->rows[s]] = (int32_t)(b * g->rows[s - 1] * m->shape[s].slices);
        }
        support_ok(model_rows_upload(g->p, &g->inputs[s], a, &error), &error);
    }
    free(zeros);
}
