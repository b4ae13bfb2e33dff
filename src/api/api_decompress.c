/* api_decompress.c: octet/compress.h, the way back, and what a compressed file says of itself.
 *
 * Nothing is used before its checksum was right, and content is handed out a whole block at a time,
 * after its own. See api_compress.c. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_transfer.h"
#include "coder/frequencies.h"
#include "coder/range_coder.h"
#include "infer/session_core.h"

/* A stream of a block in decoding. */
typedef struct lane {
    range_decoder decoder;
    int stream;
    uint8_t *at, *end; /* of its content */
} lane;

typedef struct expander {
    transfer t;
    const model *model; /* NULL: only checksums are looked at */
    int64_t keep;
    uint8_t *content, *payload;
    size_t content_capacity, payload_capacity;
    session *session; /* of `slots` streams */
    uint32_t slots;
    lane *lanes;
    octet_feed *feeds;
} expander;

static octet_status take(expander *x, void *bytes, size_t n, octet_error *error) {
    size_t got = 0;
    octet_status status = x->t.io->read(x->t.io->context, bytes, n, &got, error);
    if (!status && got < n && !x->t.position)
        return error_set(error, OCTET_CORRUPT,
                         "%s: %zu bytes are too few for a compressed file of octet", x->t.io->name,
                         got);
    if (!status && got < n)
        return error_set(error, OCTET_CORRUPT,
                         "%s: the file ends at byte %" PRIu64 ", after %" PRIu64 " whole blocks",
                         x->t.io->name, x->t.position + got, x->t.report.blocks);
    x->t.position += n;
    return status;
}

static octet_status make_room(uint8_t **bytes, size_t *capacity, size_t n, octet_error *error) {
    if (n <= *capacity)
        return OCTET_OK;
    uint8_t *larger = realloc(*bytes, n);
    if (!larger)
        return error_memory(error, "block", (double)n);
    *bytes = larger;
    *capacity = n;
    return OCTET_OK;
}

static octet_status prepare_session(expander *x, uint32_t streams, octet_error *error) {
    if (x->slots >= streams)
        return OCTET_OK;
    session_destroy(&x->session);
    free(x->lanes);
    free(x->feeds);
    x->slots = streams;
    x->lanes = calloc(streams, sizeof *x->lanes);
    x->feeds = calloc(streams, sizeof *x->feeds);
    if (!x->lanes || !x->feeds)
        return error_memory(error, "streams", streams * (double)sizeof *x->lanes);
    return session_create(&x->session, x->model, (int)streams, x->keep, error);
}

static octet_status open_lanes(expander *x, const container_block *b, octet_error *error) {
    const size_t each = transfer_stream_bytes(b->content, b->streams);
    const uint8_t *sizes = x->payload, *at = x->payload + 4 * b->streams;
    const uint8_t *end = x->payload + b->payload;
    for (uint32_t i = 0; i < b->streams; i++, sizes += 4) {
        const size_t size = (size_t)sizes[0] | (size_t)sizes[1] << 8 | (size_t)sizes[2] << 16 |
                            (size_t)sizes[3] << 24;
        const size_t begin = i * each < b->content ? i * each : b->content;
        lane *l = &x->lanes[i];
        if (size > (size_t)(end - at) || (i + 1 == b->streams && size != (size_t)(end - at)))
            return error_set(error, OCTET_CORRUPT,
                             "stream %" PRIu32 " has %zu bytes, %zu are left in the block", i, size,
                             (size_t)(end - at));
        range_decoder_start(&l->decoder, at, size);
        l->at = x->content + begin;
        l->end = x->content + (b->content - begin < each ? b->content : begin + each);
        at += size;
        octet_status status = session_join(x->session, &l->stream, error);
        if (status)
            return status;
    }
    return OCTET_OK;
}

/* The next byte of a lane. */
static octet_status decode_byte(expander *x, lane *l, octet_error *error) {
    const float *logits;
    frequencies f;
    octet_status status = session_logits(x->session, l->stream, &logits, error);
    if (!status)
        status = frequencies_set(&f, logits, (int)x->model->config.vocabulary, error);
    if (status)
        return status;
    const int byte = frequencies_find(&f, range_decode_target(&l->decoder, FREQUENCY_BITS));
    range_decode_take(&l->decoder, f.below[byte], f.below[byte + 1] - f.below[byte],
                      FREQUENCY_BITS);
    *l->at++ = (uint8_t)byte;
    return OCTET_OK;
}

static octet_status decode_lanes(expander *x, const container_block *b, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int n_feeds = 1; n_feeds && !status;) {
        n_feeds = 0;
        for (uint32_t i = 0; i < b->streams && !status; i++) {
            lane *l = &x->lanes[i];
            if (l->at == l->end)
                continue;
            status = decode_byte(x, l, error);
            if (l->at < l->end)
                x->feeds[n_feeds++] = (octet_feed){l->stream, l->at - 1, 1, NULL};
        }
        if (!status && n_feeds)
            status = session_feed(x->session, x->feeds, n_feeds, error);
        if (!status)
            status = transfer_stopped(&x->t, error);
    }
    return status;
}

static octet_status decode_block(expander *x, const container_block *b, octet_error *error) {
    octet_status status = prepare_session(x, b->streams, error);
    for (uint32_t i = 0; i < b->streams && !status; i++)
        x->lanes[i].stream = -1;
    if (!status)
        status = open_lanes(x, b, error);
    if (!status)
        status = decode_lanes(x, b, error);
    for (uint32_t i = 0; i < b->streams && x->lanes && x->session; i++)
        if (x->lanes[i].stream >= 0)
            session_leave(x->session, x->lanes[i].stream, NULL);
    return status;
}

static octet_status damaged(const expander *x, const container_block *b, const char *what,
                            octet_error *error) {
    return error_set(error, OCTET_CORRUPT,
                     "%s: block %" PRIu64 " (bytes %" PRIu64 " to %" PRIu64
                     " of the content) is damaged: %s",
                     x->t.io->name, b->number, b->offset, b->offset + b->content - 1, what);
}

/* Content of a block whose payload is whole, into x->content. */
static octet_status expand_block(expander *x, const container_block *b, octet_error *error) {
    octet_error inner = {0};
    if (b->kind == CONTAINER_STORED) {
        memcpy(x->content, x->payload, b->content);
    } else {
        octet_status status = decode_block(x, b, &inner);
        if (status == OCTET_CORRUPT)
            return damaged(x, b, inner.text, error);
        if (status)
            return error_set(error, status, "%s", inner.text);
    }
    if (container_hash(x->content, b->content) == b->content_hash)
        return OCTET_OK;
    return damaged(x, b, "its content has another checksum", error);
}

static octet_status read_block(expander *x, const container_block *b, octet_error *error) {
    octet_status status = make_room(&x->payload, &x->payload_capacity, b->payload, error);
    if (!status && x->model)
        status = make_room(&x->content, &x->content_capacity, b->content, error);
    if (!status)
        status = take(x, x->payload, b->payload, error);
    if (!status && container_hash(x->payload, b->payload) != b->payload_hash)
        status = damaged(x, b, "its coded bytes have another checksum", error);
    if (!status && x->model) {
        status = expand_block(x, b, error);
        if (!status)
            status = x->t.io->write(x->t.io->context, x->content, b->content, error);
    }
    if (!status)
        transfer_count(&x->t, b, x->model ? x->content : NULL);
    return status;
}

/* The index says again what was read. */
static octet_status read_end(expander *x, const container_block *b, uint64_t position,
                             octet_error *error) {
    const char *name = x->t.io->name;
    uint8_t footer[CONTAINER_FOOTER_BYTES], more;
    uint64_t end = 0;
    size_t got = 0;
    octet_status status = make_room(&x->payload, &x->payload_capacity, b->payload, error);
    if (!status)
        status = take(x, x->payload, b->payload, error);
    if (!status && container_hash(x->payload, b->payload) != b->payload_hash)
        status = error_set(error, OCTET_CORRUPT, "%s: the index has another checksum", name);
    for (size_t i = 0; i < x->t.n_entries && !status; i++) {
        container_entry e;
        container_get_entry(&e, x->payload + i * CONTAINER_ENTRY_BYTES);
        if (e.position != x->t.entries[i].position || e.content != x->t.entries[i].content)
            status =
                error_set(error, OCTET_CORRUPT, "%s: the index has another block %zu", name, i);
    }
    if (!status && x->model && XXH3_64bits_digest(x->t.whole) != b->content_hash)
        status =
            error_set(error, OCTET_CORRUPT, "%s: the whole content has another checksum", name);
    if (!status)
        status = take(x, footer, sizeof footer, error);
    if (!status)
        status = container_get_footer(&end, footer, name, error);
    if (!status && end != position)
        status =
            error_set(error, OCTET_CORRUPT,
                      "%s: the end says that it begins at byte %" PRIu64 ", it does at %" PRIu64,
                      name, end, position);
    if (!status)
        status = x->t.io->read(x->t.io->context, &more, 1, &got, error);
    if (!status && got)
        status = error_set(error, OCTET_CORRUPT, "%s: something follows the end at byte %" PRIu64,
                           name, x->t.position);
    return status;
}

static octet_status read_blocks(expander *x, octet_error *error) {
    uint8_t header[CONTAINER_BLOCK_BYTES];
    for (;;) {
        const uint64_t position = x->t.position;
        container_block b;
        octet_status status = transfer_stopped(&x->t, error);
        if (!status)
            status = take(x, header, sizeof header, error);
        if (!status)
            status = container_get_block(&b, header, position, x->t.io->name, error);
        if (status)
            return status;
        if (b.number != x->t.n_entries || b.offset != x->t.report.content)
            return error_set(error, OCTET_CORRUPT,
                             "%s: byte %" PRIu64 ": block %" PRIu64
                             " stands where block %zu belongs",
                             x->t.io->name, position, b.number, x->t.n_entries);
        if (b.kind == CONTAINER_END)
            return read_end(x, &b, position, error);
        x->t.position = position;
        status = transfer_add(&x->t, &b, error);
        x->t.position = position + sizeof header;
        if (!status)
            status = read_block(x, &b, error);
        if (status)
            return status;
    }
}

static octet_status check_model(const container_header *h, octet_model *m, const char *name,
                                octet_error *error) {
    uint8_t own[16];
    char needed[33], given[33];
    const int64_t context = m->model->config.context, patch = m->model->shape[0].unit_bytes;
    octet_status status = transfer_fingerprint(own, m, error);
    if (status)
        return status;
    transfer_fingerprint_text(needed, h->fingerprint);
    transfer_fingerprint_text(given, own);
    if (memcmp(own, h->fingerprint, sizeof own) != 0)
        return error_set(error, OCTET_WRONG_MODEL,
                         "%s: compressed with the model %s, this model is %s", name, needed, given);
    if (h->keep >= (uint64_t)context || h->keep % (uint64_t)patch)
        return error_set(error, OCTET_CORRUPT,
                         "%s: keep %" PRIu64 " is not a multiple of the patch, %" PRId64
                         ", below the context, %" PRId64,
                         name, h->keep, patch, context);
    return OCTET_OK;
}

static octet_status expand(expander *x, octet_model *m, container_header *h, octet_error *error) {
    uint8_t header[CONTAINER_HEADER_BYTES];
    octet_status status = take(x, header, sizeof header, error);
    if (!status)
        status = container_get_header(h, header, x->t.io->name, error);
    if (!status && m)
        status = check_model(h, m, x->t.io->name, error);
    x->model = m ? m->model : NULL;
    x->keep = (int64_t)h->keep;
    if (!status)
        status = read_blocks(x, error);
    x->t.report.compressed = x->t.position;
    session_destroy(&x->session);
    free(x->lanes);
    free(x->feeds);
    free(x->content);
    free(x->payload);
    transfer_finish(&x->t);
    return status;
}

octet_status octet_decompress(octet_model *m, const octet_io *io, octet_compress_report *report,
                              octet_error *error) {
    expander x = {0};
    container_header h = {0};
    octet_status status = api_needs_cpu(m->runtime, "decompress", error);
    if (!status)
        status = transfer_start(&x.t, io, error);
    if (!status)
        status = expand(&x, m, &h, error);
    if (report)
        *report = x.t.report;
    return status;
}

octet_status octet_compressed_describe(octet_compressed_info *out, const octet_io *io,
                                       octet_error *error) {
    expander x = {0};
    container_header h = {0};
    memset(out, 0, sizeof *out);
    octet_status status = transfer_start(&x.t, io, error);
    if (!status)
        status = expand(&x, NULL, &h, error);
    transfer_fingerprint_text(out->fingerprint, h.fingerprint);
    out->profile = "f32";
    out->sizes = x.t.report;
    return status;
}

octet_status octet_compressed_model(char fingerprint[33], const uint8_t header[64],
                                    const char *name, octet_error *error) {
    container_header h;
    octet_status status = container_get_header(&h, header, name, error);
    if (!status)
        transfer_fingerprint_text(fingerprint, h.fingerprint);
    return status;
}
