/* api_needs.c: see api_needs.h, and octet_decompress_memory of octet/compress.h.
 *
 * The model is outlined on a planner, which takes no memory, and what coding or decoding records is
 * recorded there. */
#include "api/api_needs.h"

#include "api/api_code.h"
#include "api/api_expand.h"

#include <inttypes.h>

#include "eval/score_windows.h"
#include "graph/planner.h"
#include "infer/session_core.h"

#define BLOCK_BYTES (1 << 20)

/* What reads: `parts` sessions of so many streams, or with `each` window readers of so many texts
 * of `each` bytes. */
typedef struct readers {
    graph_arithmetic arithmetic;
    int parts;
    size_t streams, each;
} readers;

/* A stream's window, its logits and what is expected of its next byte lie beside the states. */
static int64_t stream_bytes(const config *c) {
    return c->context + (int64_t)sizeof(float) * c->vocabulary + (int64_t)sizeof(frequencies);
}

/* One of them, on the planner of m. */
static octet_status outline(session **s, window_reader **w, size_t *host_bytes, const model *m,
                            const readers *r, octet_error *error) {
    if (r->each)
        return window_reader_outline(w, host_bytes, m, (int64_t)r->each, (int64_t)r->streams,
                                     error);
    return session_create(s, m, (int)r->streams, -1, error);
}

static octet_status measure(int64_t *bytes, const config *c, const readers *r, octet_error *error) {
    backend *planner = NULL;
    model *m = NULL;
    session *s = NULL;
    window_reader *w = NULL;
    size_t host_bytes = 0;
    octet_status status = planner_create(&planner, error);
    if (!status)
        status = model_outline(&m, planner, c, error);
    if (!status) {
        m->arithmetic = r->arithmetic;
        status = outline(&s, &w, &host_bytes, m, r, error);
    }
    if (!status) {
        const planner_bytes all = planner_total(planner);
        const size_t own = all.states + all.programs + host_bytes;
        *bytes = (int64_t)(all.parameters + all.packed + (size_t)r->parts * own);
        *bytes += r->each ? 0 : r->parts * (int64_t)r->streams * stream_bytes(c);
    }
    session_destroy(&s);
    window_reader_destroy(&w);
    model_destroy(&m);
    backend_destroy(&planner);
    return status;
}

static graph_arithmetic arithmetic_of(int with) {
    return with & OCTET_IN_INT8 ? ARITHMETIC_INT8 : ARITHMETIC_F32;
}

/* Of the weights that learn, their moments and a step. */
static octet_status add_adapter(int64_t *bytes, const config *c, size_t streams,
                                octet_error *error) {
    int64_t more = 0;
    octet_status status = adapter_bytes(&more, c, streams, error);
    *bytes += more;
    return status;
}

octet_status needs_coding_bytes(int64_t *bytes, const octet_model *m, size_t block_bytes,
                                size_t each, int with, octet_error *error) {
    const size_t texts = (block_bytes + each - 1) / each;
    const coder_shape shape = coder_shape_of(
        m->model, texts, each, octet_runtime_threads(m->runtime), (with & OCTET_ADAPTS) != 0);
    const int fits = window_reader_fits(m->model, (int64_t)each);
    const readers r = {arithmetic_of(with), fits ? shape.parts : 1, fits ? shape.at_once : texts,
                       fits ? each : 0};
    octet_status status = measure(bytes, &m->model->config, &r, error);
    *bytes +=
        (int64_t)(2 * block_bytes + coder_bytes(m->model, block_bytes, each, with & OCTET_MIXED));
    if (!status && with & OCTET_ADAPTS)
        status = add_adapter(bytes, &m->model->config, texts, error);
    return status;
}

octet_status octet_decompress_memory(int64_t *bytes, const octet_model *m, int streams,
                                     int64_t block_bytes, int with, octet_error *error) {
    const size_t content = block_bytes ? (size_t)block_bytes : BLOCK_BYTES;
    *bytes = 0;
    if (streams < 1 || streams > SESSION_MAX_STREAMS)
        return error_set(error, OCTET_ERROR, "%d streams: 1 to %d are possible", streams,
                         SESSION_MAX_STREAMS);
    const expander_shape shape = expander_shape_of(octet_runtime_threads(m->runtime),
                                                   (uint32_t)streams, (uint32_t)streams, with);
    const readers r = {arithmetic_of(with), shape.groups, shape.slots, 0};
    octet_status status = measure(bytes, &m->model->config, &r, error);
    *bytes +=
        (int64_t)(2 * content + (with & OCTET_MIXED ? context_mix_bytes(content, content) : 0));
    if (!status && with & OCTET_ADAPTS)
        status = add_adapter(bytes, &m->model->config, (size_t)streams, error);
    return status;
}

#define MB(bytes) ((double)(bytes) / 1e6)

octet_status needs_coding(const octet_model *m, size_t block_bytes, size_t each, int with,
                          int64_t allowed, const char *name, octet_error *error) {
    int64_t needed = 0;
    octet_status status =
        allowed ? needs_coding_bytes(&needed, m, block_bytes, each, with, error) : OCTET_OK;
    if (status || needed <= allowed)
        return status;
    return error_set(
        error, OCTET_ERROR,
        "%s: coding needs %.1f MB, %.1f MB are allowed: shorter blocks, fewer streams%s "
        "or a smaller model need less",
        name, MB(needed), MB(allowed), with & OCTET_MIXED ? ", no mixing" : "");
}

octet_status needs_decoding(const octet_model *m, uint32_t streams, uint64_t block_bytes, int with,
                            int64_t allowed, const char *name, octet_error *error) {
    int64_t needed = 0, fewer = 0;
    octet_status status = allowed ? octet_decompress_memory(&needed, m, (int)streams,
                                                            (int64_t)block_bytes, with, error)
                                  : OCTET_OK;
    if (status || needed <= allowed)
        return status;
    if (with & (OCTET_MIXED | OCTET_ADAPTS))
        return error_set(error, OCTET_ERROR,
                         "%s: decoding its %" PRIu32 " streams needs %.1f MB, %.1f MB are allowed: "
                         "made with fewer it would need less",
                         name, streams, MB(needed), MB(allowed));
    uint32_t n = streams / 2;
    for (; n && !status; n /= 2) {
        status = octet_decompress_memory(&fewer, m, (int)n, (int64_t)block_bytes, with, error);
        if (fewer <= allowed)
            break;
    }
    if (status)
        return status;
    if (!n)
        return error_set(error, OCTET_ERROR,
                         "%s: decoding needs %.1f MB, one stream at once %.1f MB, %.1f MB are "
                         "allowed",
                         name, MB(needed), MB(fewer ? fewer : needed), MB(allowed));
    return error_set(error, OCTET_ERROR,
                     "%s: decoding %" PRIu32 " streams at once needs %.1f MB, %.1f MB are allowed: "
                     "%" PRIu32 " at once need %.1f MB",
                     name, streams, MB(needed), MB(allowed), n, MB(fewer));
}
