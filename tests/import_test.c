/* import_test.c: imported models compute what the programs that wrote them compute: logits, losses,
 * gradients and greedy continuations, on files that those programs wrote. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "import_case.h"
#include "support.h"

/* Their float32 logits are up to 5.2e-6 from their own float64 ones, and ours, which sum in another
 * order, have been up to 3.8e-6 from theirs. */
#define LOGITS_BOUND 2e-5
/* Two logits nearer than this may change places by rounding. */
#define MARGIN 1e-3
/* Some of the losses were computed in float32. */
#define LOSS_BOUND 1e-5
/* Of the largest element of its tensor; up to 2.7e-6 have been seen. */
#define GRADIENT_BOUND 3e-5

static octet_error error;

static int is_gpt2(const import_case *c) {
    return !strcmp(c->format, "bgpt") || !strcmp(c->format, "notagen");
}

/* "extension=wav" from a first patch of bGPT; what is no byte is padding. */
static const char *extension_setting(char out[64], const int64_t *symbols, int64_t n) {
    int64_t used = 0;
    strcpy(out, "extension=\"");
    size_t at = strlen(out);
    for (; used < n && symbols[used] < 256 && at < 60; used++)
        out[at++] = (char)symbols[used];
    out[at++] = '"';
    out[at] = '\0';
    return out;
}

/* The case's model. Streams of bGPT's begin with the first patch of the greedy prompts. */
static octet_model *open_case(octet_runtime *runtime, const import_case *c, const char *path,
                              int for_gradients) {
    char setting[64];
    int64_t n = 0;
    const char *more[3] = {NULL, NULL, NULL};
    safetensors *data = import_case_data(c);
    int64_t *prompt = import_case_ids(data, "greedy.prompt", 0, &n);
    json_t *root = import_case_json(c);
    int64_t patch =
        json_integer_value(json_object_get(json_object_get(root, "config"), "patch_size"));
    if (!strcmp(c->format, "bgpt"))
        more[0] = extension_setting(setting, prompt, patch < n ? patch : n);
    else if (for_gradients && !strcmp(c->format, "megabyte-pytorch"))
        more[0] = "start_offset=0"; /* gradients are not moved */
    octet_model *m = import_case_open(runtime, c, path, more, !for_gradients);
    json_decref(root);
    free(prompt);
    safetensors_close(&data);
    return m;
}

/* --- logits */

static int best_of(const float *logits, int64_t v) {
    int best = 0;
    for (int i = 1; i < v; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* The margin of the best over the second best. */
static double margin_of(const float *logits, int64_t v) {
    int best = best_of(logits, v);
    double second = -INFINITY;
    for (int i = 0; i < v; i++)
        if (i != best && logits[i] > second)
            second = logits[i];
    return logits[best] - second;
}

/* Compares row `row` of `wanted` with ours; returns the largest difference. */
static double compare_row(const import_case *c, int j, int64_t row, const float *ours,
                          const safetensors_tensor *wanted, int64_t v) {
    float *theirs = support_alloc((size_t)v, sizeof *theirs);
    double largest = 0;
    memcpy(theirs, wanted->data + (size_t)(row * v) * sizeof *theirs, (size_t)v * sizeof *theirs);
    for (int64_t i = 0; i < v; i++) {
        double difference = fabs((double)ours[i] - theirs[i]);
        largest = difference <= largest ? largest : difference;
        if (!(difference <= LOGITS_BOUND))
            fail_msg("%s/%s %s: logits.%d[%" PRId64 "][%" PRId64 "] is %.7g, not %.7g", c->format,
                     c->name, c->file, j, row, i, (double)ours[i], (double)theirs[i]);
    }
    if (margin_of(theirs, v) > MARGIN && best_of(ours, v) != best_of(theirs, v))
        fail_msg("%s/%s: logits.%d[%" PRId64 "]: the best is %d, not %d", c->format, c->name, j,
                 row, best_of(ours, v), best_of(theirs, v));
    free(theirs);
    return largest;
}

/* of_empty: of the empty input only, or of all others. Of nothing the originals start every level
 * with the first slice of the one above, and with none when there are symbols: forward_empty and
 * forward. Our streams do as forward does. Row i of the file's logits is of the symbol after id i;
 * ours of the symbol that row i predicts. In bGPT's the first patch is no target, so that both
 * count from it. */
static double check_logits(const import_case *c, octet_model *opened, int of_empty) {
    import_graph g;
    int64_t n = 0, checked = 0;
    double largest = 0;
    const model *m = opened->model;
    int64_t v = m->config.vocabulary, rows;
    safetensors *data = import_case_data(c);
    import_graph_create(&g, opened->model, 0);
    rows = g.rows[m->config.n_levels - 1];
    float *logits = support_alloc((size_t)(IMPORT_BATCH * rows * v), sizeof *logits);
    int64_t *ids;
    for (int j = 0; (ids = import_case_ids(data, "ids", j, &n)); free(ids), j++) {
        const safetensors_tensor *wanted = import_case_tensor(data, "logits", j);
        assert_non_null(wanted);
        int late = n > 0 && !is_gpt2(c);
        if ((n == 0) != of_empty)
            continue;
        import_graph_fill(&g, (const int64_t *const[]){ids, ids}, (const int64_t[]){n, n},
                          of_empty);
        support_ok(program_run(g.p, &error), &error);
        support_ok(program_download(g.p, g.logits, logits, &error), &error);
        for (int64_t i = 0; i < wanted->dim[0]; i++, checked++) {
            assert_true(i + late < rows);
            double one = compare_row(c, j, i, logits + (i + late) * v, wanted, v);
            largest = one > largest ? one : largest;
        }
        assert_memory_equal(logits, logits + rows * v, (size_t)(rows * v) * sizeof *logits);
    }
    assert_true(checked >= (of_empty ? 0 : 30));
    free(logits);
    import_graph_finish(&g);
    safetensors_close(&data);
    return largest;
}

/* --- loss and gradients */

/* Targets that the original leaves out. */
static int64_t left_out_symbol(const import_case *c) {
    json_t *root = import_case_json(c);
    const json_t *settings = json_object_get(root, "config");
    int64_t pad = -1;
    if (!strcmp(c->format, "megabyte-pytorch"))
        pad = json_integer_value(json_object_get(settings, "pad_id"));
    else if (!strcmp(c->format, "mblm"))
        pad = json_integer_value(json_object_get(settings, "pad_token_id"));
    else if (!strcmp(c->format, "notagen"))
        pad = 0;
    json_decref(root);
    return pad;
}

static void upload_targets(const import_case *c, import_graph *g, const int64_t *ids, int64_t n) {
    int64_t rows = g->rows[g->m->config.n_levels - 1], pad = left_out_symbol(c), count = 0;
    int64_t first = is_gpt2(c) ? g->m->shape[0].unit_bytes : 0;
    size_t cells = (size_t)(IMPORT_BATCH * rows);
    int32_t *target = support_alloc(cells, sizeof *target);
    float *weight = support_alloc(cells, sizeof *weight);
    for (int64_t b = 0; b < IMPORT_BATCH; b++)
        for (int64_t t = 0; t < rows; t++) {
            int64_t symbol = first + t < n ? ids[b * n + first + t] : -1;
            int counts = symbol >= 0 && symbol != pad;
            target[b * rows + t] = counts ? (int32_t)symbol : -1;
            count += counts;
        }
    for (size_t i = 0; i < cells; i++)
        weight[i] = target[i] < 0 ? 0 : 1 / (float)count;
    support_ok(program_upload(g->p, g->target, target, &error), &error);
    support_ok(program_upload(g->p, g->weight, weight, &error), &error);
    free(target);
    free(weight);
}

/* The gradients of a case as a file under the names of its tensors. */
static void write_gradients(const safetensors *data, const char *path) {
    safetensors_writer *w = NULL;
    support_ok(safetensors_writer_create(&w, &error), &error);
    for (size_t i = 0; i < safetensors_count(data); i++) {
        safetensors_tensor t = *safetensors_at(data, i);
        if (strncmp(t.name, "grad.", 5))
            continue;
        t.name += 5;
        support_ok(safetensors_writer_add(w, &t, &error), &error);
    }
    support_ok(safetensors_writer_write(w, path, NULL, &error), &error);
    safetensors_writer_destroy(&w);
}

static float *read_values(const model *m, int index) {
    const variable *v = &m->params.list[index]->v;
    size_t n = (size_t)variable_elements(v);
    float *values = support_alloc(n, sizeof *values);
    support_ok(backend_read(m->backend, v, 0, (int64_t)n, values, &error), &error);
    return values;
}

/* The largest element of what was one tensor: queries, keys and values are. */
static double scale_of(const model *m, int index) {
    const char *name = m->params.list[index]->v.name, *attn = strstr(name, ".attn.w");
    size_t before = attn ? (size_t)(attn - name) + 7 : 0;
    double largest = 0;
    for (int i = 0; i < m->params.n; i++) {
        const char *other = m->params.list[i]->v.name;
        if (i != index && (!attn || strncmp(other, name, before) || other[before] == 'o' ||
                           name[before] == 'o' || strcmp(other + before + 1, name + before + 1)))
            continue;
        float *values = read_values(m, i);
        for (int64_t k = 0; k < variable_elements(&m->params.list[i]->v); k++)
            largest = fabs((double)values[k]) > largest ? fabs((double)values[k]) : largest;
        free(values);
    }
    return largest;
}

static double compare_gradients(const import_case *c, import_graph *g, const model *wanted) {
    double worst = 0;
    for (int i = 0; i < g->m->params.n; i++) {
        const variable *v = &g->m->params.list[i]->v;
        assert_string_equal(v->name, wanted->params.list[i]->v.name);
        size_t n = (size_t)variable_elements(v);
        float *ours = support_alloc(n, sizeof *ours), *theirs = read_values(wanted, i);
        double scale = scale_of(wanted, i);
        support_ok(program_download(g->p, g->gradients[i], ours, &error), &error);
        for (size_t k = 0; k < n; k++) {
            double difference = fabs((double)ours[k] - theirs[k]);
            if (!(difference <= GRADIENT_BOUND * scale))
                fail_msg("%s/%s: gradient of %s[%zu] is %.7g, not %.7g (largest %.7g)", c->format,
                         c->name, v->name, k, (double)ours[k], (double)theirs[k], scale);
            worst = difference > worst * scale ? difference / scale : worst;
        }
        free(ours);
        free(theirs);
    }
    return worst;
}

static double stated_loss(const safetensors *data) {
    const safetensors_tensor *t = safetensors_find(data, "train.loss64");
    double loss = 0;
    float single;
    assert_non_null(t);
    if (t->type == SAFETENSORS_F64) {
        memcpy(&loss, t->data, sizeof loss);
        return loss;
    }
    assert_int_equal(t->type, SAFETENSORS_F32);
    memcpy(&single, t->data, sizeof single);
    return single;
}

static int has_gradients(const safetensors *data) {
    for (size_t i = 0; i < safetensors_count(data); i++)
        if (!strncmp(safetensors_at(data, i)->name, "grad.", 5))
            return 1;
    return 0;
}

/* Returns whether there were gradients to compare. */
static int check_training(octet_runtime *runtime, const import_case *c, octet_model *opened,
                          double *loss_off, double *gradient_off) {
    import_graph g;
    char path[64];
    float loss;
    safetensors *data = import_case_data(c);
    const safetensors_tensor *batch = safetensors_find(data, "train.ids");
    assert_non_null(batch);
    assert_int_equal(batch->dim[0], IMPORT_BATCH);
    int64_t n = batch->dim[1], *ids = support_alloc(batch->bytes, 1);
    memcpy(ids, batch->data, batch->bytes);
    import_graph_create(&g, opened->model, 1);
    import_graph_fill(&g, (const int64_t *const[]){ids, ids + n}, (const int64_t[]){n, n}, 0);
    upload_targets(c, &g, ids, n);
    support_ok(program_run(g.p, &error), &error);
    support_ok(program_download(g.p, g.loss, &loss, &error), &error);
    *loss_off = fabs((double)loss - stated_loss(data));
    if (!(*loss_off <= LOSS_BOUND))
        fail_msg("%s/%s: loss %.8g, not %.8g", c->format, c->name, (double)loss, stated_loss(data));
    int compares = has_gradients(data);
    if (compares) {
        snprintf(path, sizeof path, "/tmp/octet_gradients_%d", (int)getpid());
        write_gradients(data, path);
        octet_model *wanted = open_case(runtime, c, path, 1);
        *gradient_off = compare_gradients(c, &g, wanted->model);
        octet_model_destroy(&wanted);
        unlink(path);
    }
    import_graph_finish(&g);
    free(ids);
    safetensors_close(&data);
    return compares;
}

/* --- streams */

/* The first patch of bGPT is the stream's start, which the model states. */
static int64_t skip_start(const octet_model *m, const int64_t *ids) {
    const level_shape *shape = &m->model->shape[0];
    if (shape->layout != ROWS_BGPT)
        return 0;
    for (int64_t u = 0; u < shape->unit_bytes; u++)
        assert_int_equal(ids[u], shape->given[u % shape->n_given]);
    return shape->unit_bytes;
}

/* Their continuation, one byte at a time, is what we find most likely; a symbol that is no byte can
 * be no more than the last. Returns the number of bytes found. */
static int64_t check_greedy(const import_case *c, octet_model *m) {
    octet_session *session = NULL;
    safetensors *data = import_case_data(c);
    int64_t n_prompt = 0, n = 0, found = 0, v = m->model->config.vocabulary;
    int64_t *prompt;
    support_ok(octet_session_create(&session, m, NULL, &error), &error);
    for (int j = 0; (prompt = import_case_ids(data, "greedy.prompt", j, &n_prompt)); j++) {
        int stream;
        int64_t *out = import_case_ids(data, "greedy.out", j, &n);
        support_ok(octet_session_join(session, &stream, &error), &error);
        assert_memory_equal(out, prompt, (size_t)n_prompt * sizeof *out);
        for (int64_t i = skip_start(m, out); i < n; i++) {
            const float *logits;
            support_ok(octet_session_logits(session, stream, &logits, &error), &error);
            if (i >= n_prompt && margin_of(logits, v) > MARGIN && best_of(logits, v) != out[i])
                fail_msg("%s/%s: greedy.out.%d[%" PRId64 "]: %d, not %" PRId64, c->format, c->name,
                         j, i, best_of(logits, v), out[i]);
            found += i >= n_prompt;
            if (out[i] > 255)
                break;
            uint8_t byte = (uint8_t)out[i];
            octet_feed feed = {.stream = stream, .bytes = &byte, .n = 1};
            support_ok(octet_session_feed(session, &feed, 1, &error), &error);
        }
        support_ok(octet_session_leave(session, stream, &error), &error);
        free(prompt);
        free(out);
    }
    octet_session_destroy(&session);
    safetensors_close(&data);
    return found;
}

/* --- parameters */

/* bGPT's files hold an unused byte table and the last rows of two position tables besides. */
static void check_parameters(const import_case *c, const octet_model *m) {
    octet_model_info info;
    json_t *root = import_case_json(c);
    octet_model_info_get(m, &info);
    int64_t left = is_gpt2(c) ? 3 * m->model->config.level[0].dim : 0;
    assert_int_equal(info.parameters + left,
                     json_integer_value(json_object_get(root, "parameters")));
    json_decref(root);
}

/* The rows that are left out take no part in a prediction: their gradients are 0. */
static void check_left_out(const import_case *c) {
    safetensors *data = import_case_data(c);
    int checked = 0;
    for (size_t i = 0; i < safetensors_count(data); i++) {
        const safetensors_tensor *t = safetensors_at(data, i);
        if (strncmp(t->name, "grad.", 5) || !strstr(t->name, "wpe.weight"))
            continue;
        for (int64_t k = 0; k < t->dim[1]; k++) {
            float value;
            memcpy(&value, t->data + (size_t)((t->dim[0] - 1) * t->dim[1] + k) * 4, sizeof value);
            assert_true(value == 0);
        }
        checked++;
    }
    assert_true(!is_gpt2(c) || !has_gradients(data) || checked == 2);
    safetensors_close(&data);
}

static void test_import_computes_the_same(void **state) {
    const import_case *c = *state;
    octet_runtime *runtime = import_case_runtime();
    char path[512];
    double loss = 0, gradient = 0;
    import_case_path(path, c, c->file);
    octet_model *m = open_case(runtime, c, path, 0);
    check_parameters(c, m);
    double logits = check_logits(c, m, 0);
    int has = check_training(runtime, c, m, &loss, &gradient);
    int64_t bytes = check_greedy(c, m);
    check_left_out(c);
    octet_model_destroy(&m);
    /* 0.3.1 to 0.3.3 add pad_id to no start of forward_empty. */
    m = open_case(runtime, c, path, 1);
    double empty = check_logits(c, m, 1);
    octet_model_destroy(&m);
    print_message("# logits %.1e, of nothing %.1e, loss %.1e, gradients %.1e%s, %" PRId64
                  " bytes continued\n",
                  logits, empty, loss, gradient, has ? "" : " (none)", bytes);
    octet_runtime_destroy(&runtime);
}

/* The same tensors in a .pt and in safetensors make the same model. */
static void test_import_containers_agree(void **state) {
    octet_runtime *runtime = import_case_runtime();
    (void)state;
    for (int i = 0; i + 1 < IMPORT_N_CASES; i++) {
        const import_case *a = &IMPORT_CASES[i], *b = a + 1;
        char path[2][512];
        octet_model_info info[2];
        if (strcmp(a->name, b->name) || strcmp(a->format, b->format) || !import_case_is_there(a) ||
            !import_case_is_there(b))
            continue;
        octet_model *m = open_case(runtime, a, import_case_path(path[0], a, a->file), 0);
        octet_model *n = open_case(runtime, b, import_case_path(path[1], b, b->file), 0);
        octet_model_info_get(m, &info[0]);
        octet_model_info_get(n, &info[1]);
        assert_string_equal(info[0].fingerprint, info[1].fingerprint);
        octet_model_destroy(&m);
        octet_model_destroy(&n);
    }
    octet_runtime_destroy(&runtime);
}

int main(void) {
    enum { MOST = 32 };
    struct CMUnitTest tests[MOST + 1];
    char names[MOST][96];
    size_t n = 0;
    for (int i = 0; i < IMPORT_N_CASES && n < MOST; i++) {
        const import_case *c = &IMPORT_CASES[i];
        if (!import_case_is_there(c))
            continue;
        snprintf(names[n], sizeof names[n], "%s/%s/%s", c->format, c->name, c->file);
        tests[n] = (struct CMUnitTest){.name = names[n],
                                       .test_func = test_import_computes_the_same,
                                       .initial_state = (void *)(uintptr_t)c};
        n++;
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_import_containers_agree);
    return _cmocka_run_group_tests("import", tests, n, NULL, NULL);
}
