/* score_windows.c: see score_windows.h.
 *
 * What stands behind a byte changes nothing before it, so a last partial window is filled up with
 * zeros, and a short input runs in windows no longer than it needs. Of a longer window than others
 * need to keep the processor busy a session reads pieces instead, in a small part of the memory
 * and up to 18% more time (none with window attention); so it does what an endless stream reads
 * past the context.
 *
 * Strided scoring (Yu et al. 2023) reads every window twice: as it stands, and begun half an
 * outermost patch later. Window w of both passes gives the same new bytes, each byte from the pass
 * in which it stands in the first half of its patch, so the passes run side by side as lanes. */
#include "eval/score_windows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/likelihood.h"
#include "infer/session_core.h"

/* Rows of the last level in one run: enough to keep every matrix product busy. */
#define ROWS_PER_RUN 8192

/* Longer windows to be scored, and those of more logits, a session reads, so many bytes at once. */
#define MOST_BYTES 16384
#define MOST_LOGITS (1 << 26)
#define PIECE 4096

typedef struct scorer {
    const model *model;
    const uint8_t *bytes;
    int64_t n, keep, length; /* bytes in all, kept, in a window as recorded */
    int64_t passes, half; /* 2 when strided; bytes that the second pass leaves out at the start */
    const window_text *texts; /* of a window_reader, each a lane in its turn: bytes and n are its */
    int64_t lane_window;      /* and this is the window of all */
    int64_t n_lanes, batch;   /* else window w of pass p is lane w passes + p; lanes in one run */
    graph *graph;
    program *program;
    level_rows rows[CONFIG_MAX_LEVELS];
    row_arrays arrays[CONFIG_MAX_LEVELS];
    tensor *logits;
    float *values;   /* [batch, length, V] */
    float *bits;     /* [length] */
    uint8_t *window; /* [length] */
    double total;
    window_visit *row; /* with texts */
    void *row_context;
} scorer;

struct window_reader {
    scorer scorer;
    int64_t longest;
};

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

/* The window's first byte in the aligned pass. */
static int64_t window_begin(const scorer *s, int64_t w) {
    return w * (s->model->config.context - s->keep);
}

/* What a lane reads. */
typedef struct lane_source {
    window_text text;
    int64_t window, pass;
    int64_t begin; /* its first byte in the text, maybe at or past its end */
} lane_source;

static lane_source source_of(const scorer *s, int64_t lane) {
    if (s->texts) {
        const window_text none = {NULL, 0};
        return (lane_source){lane < s->n_lanes ? s->texts[lane] : none, s->lane_window, 0,
                             window_begin(s, s->lane_window)};
    }
    const int64_t window = lane / s->passes, pass = lane % s->passes;
    return (lane_source){
        {s->bytes, s->n}, window, pass, window_begin(s, window) + (pass ? s->half : 0)};
}

/* Of two passes: the one in which the byte stands in the first half of its patch. */
static int64_t pass_of(const scorer *s, int64_t offset) {
    return s->passes > 1 && offset % s->model->shape[0].unit_bytes >= s->half;
}

static int64_t lanes_of(const scorer *s) {
    int64_t context = s->model->config.context, windows = 1;
    if (s->n > context)
        windows += divide_up(s->n - context, context - s->keep);
    return windows * s->passes;
}

static void choose_length(scorer *s) {
    int64_t context = s->model->config.context, patch = s->model->shape[0].unit_bytes;
    s->length = s->n < context ? divide_up(s->n, patch) * patch : context;
}

/* How many of the lanes run at once. */
static void choose_batch(scorer *s, int64_t n_lanes) {
    int64_t most = ROWS_PER_RUN / s->length > 1 ? ROWS_PER_RUN / s->length : 1;
    s->n_lanes = n_lanes;
    /* Runs of equal size: no run is mostly padding. */
    s->batch = divide_up(n_lanes, divide_up(n_lanes, most));
}

static octet_status record(scorer *s, octet_error *error) {
    const model *m = s->model;
    octet_status status = graph_create(&s->graph, error);
    if (status)
        return status;
    s->graph->arithmetic = m->arithmetic;
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
        int64_t above = i ? s->length / m->shape[i - 1].unit_bytes : 0; /* rows in one window */
        status = row_arrays_create(&s->arrays[i], shape, s->batch, rows, error);
        for (int64_t b = 0; b < s->batch && !status; b++)
            for (int64_t n = 0; n < rows; n++)
                row_fill(&s->arrays[i], shape, b, n, n, s->window, b * above + row_parent(shape, n),
                         m->table[i]);
        if (!status)
            status = model_rows_upload(s->program, &s->rows[i], &s->arrays[i], error);
    }
    return status;
}

static void fill_lane(scorer *s, int64_t b, int64_t lane) {
    const lane_source from = source_of(s, lane);
    const int64_t left = from.text.n - from.begin;
    const int64_t here = left < s->length ? left : s->length;
    memset(s->window, 0, (size_t)s->length);
    if (here > 0)
        memcpy(s->window, from.text.bytes + from.begin, (size_t)here);
    for (int i = 0; i < s->model->config.n_levels; i++)
        for (int64_t n = 0; n < s->arrays[i].rows; n++)
            row_fill_source(&s->arrays[i], &s->model->shape[i], b, n, n, s->window);
}

static octet_status stopped(int64_t offset, octet_error *error) {
    return error_set(error, OCTET_STOPPED, "scoring was stopped at byte %lld", (long long)offset);
}

/* Weights that are finite may still give logits that are not. */
static octet_status visit(const octet_score_params *p, int64_t offset, const uint8_t *bytes,
                          const float *bits, int64_t n, octet_error *error) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(bits[i]))
            return error_set(error, OCTET_CORRUPT,
                             "the model gives byte %lld no probability: %d %s",
                             (long long)(offset + i), bytes[offset + i],
                             isinf(bits[i]) ? "is not in its vocabulary"
                                            : "is a symbol whose logits are not finite");
    if (p && p->visit && p->visit(p->context, offset, bytes + offset, bits, (size_t)n))
        return stopped(offset, error);
    return OCTET_OK;
}

/* The bits of the window's new bytes (all of window 0) that are this lane's to give; with the
 * last pass they are whole, and counted. */
static octet_status count_lane(scorer *s, int64_t b, int64_t lane, const octet_score_params *p,
                               octet_error *error) {
    int vocabulary = (int)s->model->config.vocabulary;
    const lane_source from = source_of(s, lane);
    int64_t begin = window_begin(s, from.window), pass = from.pass;
    int64_t left = from.text.n - begin, shift = from.begin - begin;
    int64_t first = from.window ? s->keep : 0, end = left < s->length ? left : s->length;
    octet_status status = OCTET_OK;
    for (int64_t n = first; n < end && !status; n++) {
        if (pass_of(s, begin + n) != pass)
            continue;
        const float *logits = s->values + (b * s->length + n - shift) * vocabulary;
        if (s->row)
            status = s->row(s->row_context, lane, begin + n, logits, error);
        else
            s->bits[n - first] = likelihood_bits(logits, vocabulary, s->bytes[begin + n]);
    }
    if (s->row || pass + 1 < s->passes)
        return status;
    for (int64_t n = first; n < end; n++)
        s->total += (double)s->bits[n - first];
    return visit(p, begin + first, s->bytes, s->bits, end - first, error);
}

static octet_status run(scorer *s, int64_t lane, const octet_score_params *p, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int64_t b = 0; b < s->batch; b++)
        fill_lane(s, b, lane + b);
    for (int i = 0; i < s->model->config.n_levels && !status; i++)
        status = model_rows_upload_bytes(s->program, &s->rows[i], &s->arrays[i], error);
    if (!status)
        status = program_run(s->program, error);
    if (!status)
        status = program_download(s->program, s->logits, s->values, error);
    for (int64_t b = 0; b < s->batch && lane + b < s->n_lanes && !status; b++)
        status = count_lane(s, b, lane + b, p, error);
    return status;
}

static octet_status score_by_graph(scorer *s, const octet_score_params *p, octet_error *error) {
    octet_status status = record(s, error);
    if (!status)
        status = fill_rows(s, error);
    for (int64_t i = 0; i < s->n_lanes && !status; i += s->batch)
        status = p && p->stop && *p->stop ? stopped(window_begin(s, i / s->passes), error)
                                          : run(s, i, p, error);
    finish(s);
    return status;
}

/* Feeds the bytes [at, at + n) to the stream of each pass, and takes from each what is its own. */
static octet_status read_piece(scorer *s, session *reader, const int *stream, int64_t at, int64_t n,
                               float *bits, octet_error *error) {
    float own[2][PIECE];
    octet_feed feeds[2];
    for (int64_t pass = 0; pass < s->passes; pass++) {
        int64_t skipped = pass && at < s->half ? s->half - at : 0;
        skipped = skipped < n ? skipped : n;
        feeds[pass] = (octet_feed){stream[pass], s->bytes + at + skipped, (size_t)(n - skipped),
                                   own[pass] + skipped};
    }
    octet_status status = session_feed(reader, feeds, (int)s->passes, error);
    for (int64_t i = 0; i < n && !status; i++) {
        bits[i] = own[pass_of(s, at + i)][i];
        s->total += (double)bits[i];
    }
    return status;
}

static octet_status score_by_session(scorer *s, const octet_score_params *p, octet_error *error) {
    session *reader = NULL;
    int stream[2];
    float bits[PIECE];
    octet_status status = session_create(&reader, s->model, (int)s->passes, s->keep, error);
    for (int64_t pass = 0; pass < s->passes && !status; pass++)
        status = session_join(reader, &stream[pass], error);
    for (int64_t at = 0; at < s->n && !status; at += PIECE) {
        int64_t n = s->n - at < PIECE ? s->n - at : PIECE;
        if (p && p->stop && *p->stop)
            status = stopped(at, error);
        else
            status = read_piece(s, reader, stream, at, n, bits, error);
        if (!status)
            status = visit(p, at, s->bytes, bits, n, error);
    }
    session_destroy(&reader);
    return status;
}

int window_reader_fits(const model *m, int64_t longest) {
    int64_t context = m->config.context, length = longest < context ? longest : context;
    return length <= MOST_LOGITS / m->config.vocabulary &&
           !(m->config.endless && longest > context);
}

/* Recorded, and not filled. */
static octet_status create_reader(window_reader **out, const model *m, int64_t longest,
                                  int64_t texts, int64_t keep, octet_error *error) {
    *out = NULL;
    window_reader *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(error, "window reader", sizeof *r);
    r->longest = longest;
    r->scorer = (scorer){.model = m, .n = longest, .keep = keep, .passes = 1};
    choose_length(&r->scorer);
    choose_batch(&r->scorer, texts);
    *out = r;
    return record(&r->scorer, error);
}

octet_status window_reader_create(window_reader **out, const model *m, int64_t longest,
                                  int64_t texts, int64_t keep, octet_error *error) {
    octet_status status = create_reader(out, m, longest, texts, keep, error);
    if (!status)
        status = fill_rows(&(*out)->scorer, error);
    if (status)
        window_reader_destroy(out);
    return status;
}

octet_status window_reader_outline(window_reader **out, size_t *host_bytes, const model *m,
                                   int64_t longest, int64_t texts, octet_error *error) {
    octet_status status = create_reader(out, m, longest, texts, m->config.keep, error);
    if (status) {
        window_reader_destroy(out);
        return status;
    }
    const scorer *s = &(*out)->scorer;
    *host_bytes = (size_t)(s->batch * s->length * m->config.vocabulary) * sizeof *s->values;
    return OCTET_OK;
}

void window_reader_destroy(window_reader **r) {
    if (!r || !*r)
        return;
    finish(&(*r)->scorer);
    free(*r);
    *r = NULL;
}

void window_reader_range(const window_reader *r, int64_t w, int64_t *first, int64_t *end) {
    const scorer *s = &r->scorer;
    *first = window_begin(s, w) + (w ? s->keep : 0);
    *end = window_begin(s, w) + s->length;
}

octet_status window_reader_read(window_reader *r, const window_text *texts, int64_t n, int64_t w,
                                window_visit *visit_row, void *context, octet_error *error) {
    scorer *s = &r->scorer;
    octet_status status = OCTET_OK;
    for (int64_t i = 0; i < n; i++)
        if (texts[i].n > r->longest)
            return error_set(error, OCTET_ERROR, "a text of %lld bytes is longer than %lld",
                             (long long)texts[i].n, (long long)r->longest);
    s->texts = texts;
    s->lane_window = w;
    s->n_lanes = n;
    s->row = visit_row;
    s->row_context = context;
    for (int64_t i = 0; i < n && !status; i += s->batch)
        status = run(s, i, NULL, error);
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
    int strided = wanted && wanted->strided;
    if (strided && m->config.n_levels == 1)
        return error_set(error, OCTET_ERROR,
                         "strided scoring shifts the patches by half, and a model of one level has "
                         "none");
    if (n == 0)
        return OCTET_OK;
    scorer s = {.model = m,
                .bytes = bytes,
                .n = (int64_t)n,
                .keep = keep,
                .passes = strided ? 2 : 1,
                .half = strided ? m->shape[0].unit_bytes / 2 : 0};
    choose_length(&s);
    choose_batch(&s, lanes_of(&s));
    int wide = s.length > MOST_BYTES || s.length > MOST_LOGITS / m->config.vocabulary;
    int unending = m->config.endless && s.n > m->config.context; /* its window has no end */
    octet_status status =
        wide || unending ? score_by_session(&s, wanted, error) : score_by_graph(&s, wanted, error);
    *bits = s.total;
    return status;
}
