/* api_needs.c: see api_needs.h, and octet_decompress_memory of octet/compress.h.
 *
 * The model is outlined on a planner, which takes no memory, and what coding or decoding records is
 * recorded there. */
#include "api/api_needs.h"

#include "api/api_code.h"

#include <inttypes.h>

#include "eval/score_windows.h"
#include "graph/planner.h"
#include "infer/session_core.h"

#define BLOCK_BYTES (1 << 20)

/* Of a session with so many streams; with `each`: of a window reader for streams of so many bytes,
 * if they fit. */
static octet_status measure(int64_t *bytes, const config *c, uint32_t streams, size_t each,
                            octet_error *error) {
    backend *planner = NULL;
    model *m = NULL;
    session *s = NULL;
    window_reader *reader = NULL;
    size_t host_bytes = 0;
    octet_status status = planner_create(&planner, error);
    if (!status)
        status = model_outline(&m, planner, c, error);
    if (!status && each && window_reader_fits(m, (int64_t)each))
        status = window_reader_outline(&reader, &host_bytes, m, (int64_t)each, streams, error);
    else if (!status)
        status = session_create(&s, m, (int)streams, -1, error);
    if (!status) {
        const planner_bytes all = planner_total(planner);
        *bytes = (int64_t)(all.parameters + all.packed + all.states + all.programs + host_bytes);
        /* the bytes of each stream's window, and its logits, lie beside the session's states */
        *bytes += (s ? streams : 0) * (c->context + (int64_t)sizeof(float) * c->vocabulary);
    }
    session_destroy(&s);
    window_reader_destroy(&reader);
    model_destroy(&m);
    backend_destroy(&planner);
    return status;
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
    const uint32_t streams = (uint32_t)((block_bytes + each - 1) / each);
    octet_status status = measure(bytes, &m->model->config, streams, each, error);
    *bytes +=
        (int64_t)(2 * block_bytes + coder_bytes(m->model, block_bytes, each, with & OCTET_MIXED));
    if (!status && with & OCTET_ADAPTS)
        status = add_adapter(bytes, &m->model->config, streams, error);
    return status;
}

octet_status octet_decompress_memory(int64_t *bytes, const octet_model *m, int streams,
                                     int64_t block_bytes, int with, octet_error *error) {
    const size_t content = block_bytes ? (size_t)block_bytes : BLOCK_BYTES;
    *bytes = 0;
    if (streams < 1 || streams > SESSION_MAX_STREAMS)
        return error_set(error, OCTET_ERROR, "%d streams: 1 to %d are possible", streams,
                         SESSION_MAX_STREAMS);
    octet_status status = measure(bytes, &m->model->config, (uint32_t)streams, 0, error);
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
    if (with)
        return error_set(error, OCTET_ERROR,
                         "%s: decoding its %" PRIu32 " streams needs %.1f MB, %.1f MB are allowed: "
                         "made with fewer it would need less",
                         name, streams, MB(needed), MB(allowed));
    uint32_t n = streams / 2;
    for (; n && !status; n /= 2) {
        status = octet_decompress_memory(&fewer, m, (int)n, (int64_t)block_bytes, 0, error);
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
