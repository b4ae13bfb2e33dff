/* score_windows.c: see score_windows.h.
 *
 * What stands behind a byte changes nothing before it, so a last partial window is filled up with
 * zeros, and a short input runs in windows no longer than it needs. A window whose logits alone
 * would take too much memory is read by a session instead, and so is what an endless stream reads
 * past the context. */
#include "eval/score_windows.h"

#include <stdlib.h>
#include <string.h>

#include "infer/likelihood.h"
#include "infer/session_core.h"

/* Rows of the last level in one run: enough to keep every matrix product busy. */
#define ROWS_PER_RUN 8192

/* Logits of one window that are still held at once, and bytes that a session reads at once. */
#define MOST_LOGITS (1 << 26)
#define PIECE 4096

typedef struct scorer {
    const model *model;
    const uint8_t *bytes;
    int64_t n, keep, length; /* bytes in all, kept, in a window as recorded */
    int64_t n_windows, batch;
    graph *graph;
    program *program;
    level_rows rows[CONFIG_MAX_LEVELS];
    row_arrays arrays[CONFIG_MAX_LEVELS];
    tensor *logits;
    float *values;   /* [batch, length, V] */
    float *bits;     /* [length] */
    uint8_t *window; /* [length] */
    double total;
} scorer;

static int64_t divide_up(int64_t a, int64_t b) {
    return a / b + (a % b != 0);
}

static void finish(scorer *s) {
    program_destroy(&s->program);
    graph_destroy(&s->graph);
    for (int i = 0; i < s->model->config.n_levels; i++)
        row_arrays_finish(&s->arrays[i]);
    free(s->values);
    free(s->bits);
    free(s->window);
}

static int64_t window_begin(const scorer *s, int64_t w) {
    return w * (s->model->config.context - s->keep);
}

/* How long windows are, how many there are, and how many run at once. */
static void choose_sizes(scorer *s) {
    int64_t context = s->model->config.context, patch = s->model->shape[0].unit_bytes;
    s->length = s->n < context ? divide_up(s->n, patch) * patch : context;
    s->n_windows = 1;
    if (s->n > context)
        s->n_windows += divide_up(s->n - context, context - s->keep);
    int64_t most = ROWS_PER_RUN / s->length > 1 ? ROWS_PER_RUN / s->length : 1;
    /* Runs of equal size: no run is mostly padding. */
    s->batch = divide_up(s->n_windows, divide_up(s->n_windows, most));
}

static octet_status record(scorer *s, octet_error *error) {
    const model *m = s->model;
    octet_status status = graph_create(&s->graph, error);
    if (status)
        return status;
    for (int i = 0; i < m->config.n_levels; i++)
        model_rows_inputs(s->graph, m, i, s->batch, s->length / m->shape[i].unit_bytes, 0,
                          &s->rows[i]);
    s->logits = graph_output(s->graph, model_forward(s->graph, m, s->rows));
    status = backend_compile(m->backend, &s->program, s->graph, error);
    size_t floats = (size_t)(s->batch * s->length * m->config.vocabulary);
    s->values = malloc(floats * sizeof *s->values);
    s->bits = malloc((size_t)s->length * sizeof *s->bits);
    s->window = malloc((size_t)s->length);
    if (!status && (!s->values || !s->bits || !s->window))
        status = error_memory(error, "scores", (double)floats * sizeof *s->values);
    return status;
}

/* Everything of the row plans that does not hang on the bytes, once. */
static octet_status fill_rows(scorer *s, octet_error *error) {
    const model *m = s->model;
    octet_status status = OCTET_OK;
    memset(s->window, 0, (size_t)s->length);
    for (int i = 0; i < m->config.n_levels && !status; i++) {
        const level_shape *shape = &m->shape[i];
        int64_t rows = s->length / shape->unit_bytes;
        int64_t slices = i ? rows : 0; /* of the level above, in one window */
        status = row_arrays_create(&s->arrays[i], shape, s->batch, rows, error);
        for (int64_t b = 0; b < s->batch && !status; b++)
            for (int64_t n = 0; n < rows; n++)
                row_fill(&s->arrays[i], shape, b, n, n, s->window,
                         b * slices + (shape->group ? n / shape->group * shape->group : 0),
                         m->table[i]);
        if (!status)
            status = model_rows_upload(s->program, &s->rows[i], &s->arrays[i], error);
    }
    return status;
}

static void fill_window(scorer *s, int64_t b, int64_t w) {
    int64_t begin = window_begin(s, w), left = s->n - begin;
    int64_t here = left < s->length ? left : s->length;
    memset(s->window, 0, (size_t)s->length);
    if (w < s->n_windows)
        memcpy(s->window, s->bytes + begin, (size_t)here);
    for (int i = 0; i < s->model->config.n_levels; i++)
        for (int64_t n = 0; n < s->arrays[i].rows; n++)
            row_fill_source(&s->arrays[i], &s->model->shape[i], b, n, n, s->window);
}

static octet_status stopped(int64_t offset, octet_error *error) {
    return error_set(error, OCTET_STOPPED, "scoring was stopped at byte %lld", (long long)offset);
}

static octet_status visit(const octet_score_params *p, int64_t offset, const uint8_t *bytes,
                          const float *bits, int64_t n, octet_error *error) {
    if (p && p->visit && p->visit(p->context, offset, bytes + offset, bits, (size_t)n))
        return stopped(offset, error);
    return OCTET_OK;
}

/* The bits of one window's bytes: all of window 0, then those that are new. */
static octet_status count_window(scorer *s, int64_t b, int64_t w, const octet_score_params *p,
                                 octet_error *error) {
    int vocabulary = (int)s->model->config.vocabulary;
    int64_t begin = window_begin(s, w), left = s->n - begin;
    int64_t first = w ? s->keep : 0, end = left < s->length ? left : s->length;
    for (int64_t n = first; n < end; n++) {
        const float *logits = s->values + (b * s->length + n) * vocabulary;
        s->bits[n - first] = likelihood_bits(logits, vocabulary, s->bytes[begin + n]);
        s->total += (double)s->bits[n - first];
    }
    return visit(p, begin + first, s->bytes, s->bits, end - first, error);
}

static octet_status run(scorer *s, int64_t w, const octet_score_params *p, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int64_t b = 0; b < s->batch; b++)
        fill_window(s, b, w + b);
    for (int i = 0; i < s->model->config.n_levels && !status; i++)
        status = program_upload(s->program, s->rows[i].source, s->arrays[i].source, error);
    if (!status)
        status = program_run(s->program, error);
    if (!status)
        status = program_download(s->program, s->logits, s->values, error);
    for (int64_t b = 0; b < s->batch && w + b < s->n_windows && !status; b++)
        status = count_window(s, b, w + b, p, error);
    return status;
}

static octet_status score_by_graph(scorer *s, const octet_score_params *p, octet_error *error) {
    octet_status status = record(s, error);
    if (!status)
        status = fill_rows(s, error);
    for (int64_t w = 0; w < s->n_windows && !status; w += s->batch)
        status =
            p && p->stop && *p->stop ? stopped(window_begin(s, w), error) : run(s, w, p, error);
    finish(s);
    return status;
}

static octet_status score_by_session(scorer *s, const octet_score_params *p, octet_error *error) {
    session *reader = NULL;
    int stream;
    float bits[PIECE];
    octet_status status = session_create(&reader, s->model, 1, s->keep, error);
    if (!status)
        status = session_join(reader, &stream, error);
    for (int64_t at = 0; at < s->n && !status; at += PIECE) {
        int64_t n = s->n - at < PIECE ? s->n - at : PIECE;
        octet_feed f = {stream, s->bytes + at, (size_t)n, bits};
        status = p && p->stop && *p->stop ? stopped(at, error) : session_feed(reader, &f, 1, error);
        for (int64_t i = 0; i < n && !status; i++)
            s->total += (double)bits[i];
        if (!status)
            status = visit(p, at, s->bytes, bits, n, error);
    }
    session_destroy(&reader);
    return status;
}

octet_status score_windows(const model *m, const uint8_t *bytes, size_t n,
                           const octet_score_params *wanted, double *bits, octet_error *error) {
    int64_t keep = wanted && wanted->keep != -1 ? wanted->keep : m->config.keep;
    *bits = 0;
    if (keep < 0 || keep >= m->config.context || keep % m->shape[0].unit_bytes)
        return error_set(error, OCTET_ERROR,
                         "keep %lld is not a multiple of the patch, %lld, below the context, %lld",
                         (long long)keep, (long long)m->shape[0].unit_bytes,
                         (long long)m->config.context);
    if (n == 0)
        return OCTET_OK;
    scorer s = {.model = m, .bytes = bytes, .n = (int64_t)n, .keep = keep};
    choose_sizes(&s);
    int wide = s.length > MOST_LOGITS / m->config.vocabulary;
    int passes = m->config.endless && s.n > m->config.context; /* windows have no end */
    octet_status status =
        wide || passes ? score_by_session(&s, wanted, error) : score_by_graph(&s, wanted, error);
    *bits = s.total;
    return status;
}
