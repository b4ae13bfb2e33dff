/* api_compress.c: octet/compress.h, the way there: the coder meets the model.
 *
 * Both sides walk the same streams: coding takes logits from whole windows of one stream at once,
 * decoding (api_decompress.c) from a session that reads all streams of a block, a byte each at a
 * time. That these are the same logits to the bit is what the rest of Octet promises. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_transfer.h"
#include "coder/frequencies.h"
#include "coder/range_coder.h"
#include "eval/score_windows.h"
#include "infer/session_core.h"

#define BLOCK_BYTES (1 << 20)
/* A stream begins without context, which costs some hundred bits: of 16 KiB of text, half a
 * percent. */
#define STREAM_BYTES 16384
#define STREAMS 64
#define STREAM_LEAST 64 /* bytes of content, whatever is asked for */

typedef struct compressor {
    transfer t;
    const model *model;
    int64_t keep;
    size_t block, stream_least;
    uint32_t streams;
    uint8_t *content, *payload; /* [block] each */
    window_reader *reader;      /* NULL where a session reads; for streams of `longest` bytes */
    size_t longest;
    session *session;
    range_encoder encoder;
    const uint8_t *stream; /* being coded */
    double bits;           /* of the block so far */
} compressor;

static octet_status put(transfer *t, const void *bytes, size_t n, octet_error *error) {
    t->position += n;
    return t->io->write(t->io->context, bytes, n, error);
}

/* A window_visit: the bytes of a stream come in their order. */
static octet_status code_byte(void *context, int64_t offset, const float *logits,
                              octet_error *error) {
    compressor *c = context;
    frequencies f;
    octet_status status = transfer_stopped(&c->t, error);
    if (!status)
        status = frequencies_set(&f, logits, (int)c->model->config.vocabulary, error);
    if (status)
        return status;
    const int byte = c->stream[offset];
    const uint32_t count = f.below[byte + 1] - f.below[byte];
    range_encode(&c->encoder, f.below[byte], count, FREQUENCY_BITS);
    c->bits += FREQUENCY_BITS - log2(count);
    return OCTET_OK;
}

/* A model whose windows do not fit is read as decoding reads it. */
static octet_status code_by_session(compressor *c, size_t n, octet_error *error) {
    int stream = -1;
    octet_status status = session_join(c->session, &stream, error);
    for (size_t i = 0; i < n && !status; i++) {
        const float *logits;
        status = session_logits(c->session, stream, &logits, error);
        if (!status)
            status = code_byte(c, (int64_t)i, logits, error);
        if (!status)
            status =
                session_feed(c->session, &(octet_feed){stream, c->stream + i, 1, NULL}, 1, error);
    }
    if (stream >= 0)
        session_leave(c->session, stream, NULL);
    return status;
}

/* Readers are recorded for a length: all streams but those of the last block have the same. */
static octet_status prepare_reader(compressor *c, size_t longest, octet_error *error) {
    if (c->session || (c->reader && c->longest == longest))
        return OCTET_OK;
    window_reader_destroy(&c->reader);
    c->longest = longest;
    if (window_reader_fits(c->model, (int64_t)longest))
        return window_reader_create(&c->reader, c->model, (int64_t)longest, c->keep, error);
    return session_create(&c->session, c->model, 1, c->keep, error);
}

/* The payload of content[n] in *b; one that is not shorter is not finished. */
static octet_status code_block(compressor *c, size_t n, container_block *b, octet_error *error) {
    const size_t wanted = n / c->stream_least, most = c->streams;
    b->streams = (uint32_t)(wanted < 1 ? 1 : wanted < most ? wanted : most);
    const size_t each = transfer_stream_bytes(n, b->streams);
    b->streams = (uint32_t)((n + each - 1) / each); /* rounding up may leave nothing for the last */
    size_t used = 4 * (size_t)b->streams;
    octet_status status = prepare_reader(c, each, error);
    c->bits = 0;
    for (uint32_t i = 0; i < b->streams && !status && used < n; i++) {
        const size_t length = n - i * each < each ? n - i * each : each;
        c->stream = c->content + i * each;
        range_encoder_start(&c->encoder);
        if (c->reader)
            status = window_reader_read(c->reader, c->stream, (int64_t)length, code_byte, c, error);
        else
            status = code_by_session(c, length, error);
        range_encoder_finish(&c->encoder);
        if (!status && c->encoder.failed)
            status = error_memory(error, "coded stream", (double)length);
        for (size_t k = 0; k < 4; k++)
            c->payload[4 * i + k] = (uint8_t)(c->encoder.size >> (8 * k));
        if (!status && c->encoder.size < n - used)
            memcpy(c->payload + used, c->encoder.data, c->encoder.size);
        used += c->encoder.size;
    }
    b->kind = used < n ? CONTAINER_CODED : CONTAINER_STORED;
    b->payload = (uint32_t)(used < n ? used : n);
    return status;
}

static octet_status write_block(compressor *c, size_t n, octet_error *error) {
    uint8_t header[CONTAINER_BLOCK_BYTES];
    container_block b = {.number = c->t.n_entries, .offset = c->t.report.content, .content = n};
    octet_status status = code_block(c, n, &b, error);
    if (status)
        return status;
    const uint8_t *payload = b.kind == CONTAINER_CODED ? c->payload : c->content;
    b.streams = b.kind == CONTAINER_CODED ? b.streams : 0;
    b.payload_hash = container_hash(payload, b.payload);
    b.content_hash = container_hash(c->content, n);
    if (b.kind == CONTAINER_CODED) {
        c->t.report.bits += c->bits;
        c->t.report.coded += n;
    }
    container_put_block(header, &b);
    status = transfer_add(&c->t, &b, error);
    if (!status)
        status = put(&c->t, header, sizeof header, error);
    if (!status)
        status = put(&c->t, payload, b.payload, error);
    if (!status)
        transfer_count(&c->t, &b, c->content);
    return status;
}

static octet_status write_end(compressor *c, octet_error *error) {
    transfer *t = &c->t;
    uint8_t header[CONTAINER_BLOCK_BYTES], footer[CONTAINER_FOOTER_BYTES];
    const size_t size = t->n_entries * CONTAINER_ENTRY_BYTES;
    uint8_t *index = malloc(size + 1);
    if (!index)
        return error_memory(error, "index", (double)size);
    for (size_t i = 0; i < t->n_entries; i++)
        container_put_entry(index + i * CONTAINER_ENTRY_BYTES, &t->entries[i]);
    container_block b = {.kind = CONTAINER_END,
                         .number = t->n_entries,
                         .offset = t->report.content,
                         .content = t->report.content,
                         .payload = (uint32_t)size,
                         .payload_hash = container_hash(index, size),
                         .content_hash = XXH3_64bits_digest(t->whole)};
    container_put_block(header, &b);
    container_put_footer(footer, t->position);
    octet_status status = put(t, header, sizeof header, error);
    if (!status)
        status = put(t, index, size, error);
    if (!status)
        status = put(t, footer, sizeof footer, error);
    free(index);
    return status;
}

static octet_status check_params(compressor *c, const octet_model *m,
                                 const octet_compress_params *p, octet_error *error) {
    const int64_t context = m->model->config.context, patch = m->model->shape[0].unit_bytes;
    c->model = m->model;
    c->streams = p && p->streams ? (uint32_t)p->streams : STREAMS;
    c->stream_least = p && p->streams ? STREAM_LEAST : STREAM_BYTES;
    c->block = p && p->block ? (size_t)p->block : BLOCK_BYTES;
    c->keep = p && p->keep != -1 ? p->keep : m->model->config.keep;
    if (p && (p->streams < 0 || p->streams > (int)CONTAINER_STREAMS_MOST))
        return error_set(error, OCTET_ERROR, "%d streams: 1 to %u are possible", p->streams,
                         CONTAINER_STREAMS_MOST);
    if (p && p->block && (p->block < 1024 || p->block > (int64_t)CONTAINER_BLOCK_MOST))
        return error_set(error, OCTET_ERROR, "blocks of %" PRId64 " bytes: 1024 to %u are possible",
                         p->block, CONTAINER_BLOCK_MOST);
    if (c->keep < 0 || c->keep >= context || c->keep % patch)
        return error_set(error, OCTET_ERROR,
                         "keep %" PRId64 " is not a multiple of the patch, %" PRId64
                         ", below the context, %" PRId64,
                         c->keep, patch, context);
    return OCTET_OK;
}

octet_status octet_compress(octet_model *m, const octet_compress_params *p, const octet_io *io,
                            octet_compress_report *report, octet_error *error) {
    compressor c = {0};
    container_header h = {.profile = CONTAINER_F32};
    uint8_t header[CONTAINER_HEADER_BYTES];
    octet_status status = api_needs_cpu(m->runtime, "compress", error);
    if (!status)
        status = check_params(&c, m, p, error);
    if (!status)
        status = transfer_start(&c.t, io, error);
    if (status)
        return status;
    range_encoder_start_empty(&c.encoder);
    c.content = malloc(c.block);
    c.payload = malloc(c.block);
    if (!c.content || !c.payload)
        status = error_memory(error, "block", 2 * (double)c.block);
    if (!status)
        status = transfer_fingerprint(h.fingerprint, m, error);
    h.keep = (uint64_t)c.keep;
    container_put_header(header, &h);
    if (!status)
        status = put(&c.t, header, sizeof header, error);
    for (size_t n = c.block; n == c.block && !status;) {
        status = transfer_stopped(&c.t, error);
        if (!status)
            status = io->read(io->context, c.content, c.block, &n, error);
        if (!status && n)
            status = write_block(&c, n, error);
    }
    if (!status)
        status = write_end(&c, error);
    c.t.report.compressed = c.t.position;
    if (report)
        *report = c.t.report;
    window_reader_destroy(&c.reader);
    session_destroy(&c.session);
    free(c.encoder.data);
    free(c.content);
    free(c.payload);
    transfer_finish(&c.t);
    return status;
}
