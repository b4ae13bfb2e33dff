/* api_compress.c: octet/compress.h: the coder meets the model.
 *
 * Both sides walk the same streams: coding takes logits from whole windows of one stream at once,
 * decoding from a session that reads all streams of a block, a byte each at a time. That these are
 * the same logits to the bit is what the rest of Octet promises. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "api/api.h"
#include "coder/container.h"
#include "coder/frequencies.h"
#include "coder/range_coder.h"
#include "eval/score_windows.h"
#include "infer/session_core.h"
#include "model/checkpoint.h"

#define BLOCK_BYTES (1 << 20)
/* A stream begins without context, which costs some hundred bits: of 16 KiB of text, half a
 * percent.
 */
#define STREAM_BYTES 16384
#define STREAMS 64
#define STREAM_LEAST 64 /* bytes of content, whatever is asked for */

/* --- what both sides share */

/* One file: the io and where in both its sides it stands. */
typedef struct transfer {
    const octet_io *io;
    octet_compress_report report;
    uint64_t position;   /* bytes of the compressed side */
    XXH3_state_t *whole; /* of the content */
    container_entry *entries;
    size_t n_entries, entries_capacity;
} transfer;

static octet_status transfer_start(transfer *t, const octet_io *io, octet_error *error) {
    memset(t, 0, sizeof *t);
    t->io = io;
    t->whole = XXH3_createState();
    if (!t->whole)
        return error_memory(error, io->name, 576);
    XXH3_64bits_reset(t->whole);
    return OCTET_OK;
}

static void transfer_finish(transfer *t) {
    XXH3_freeState(t->whole);
    free(t->entries);
}

static octet_status add_entry(transfer *t, const container_block *b, octet_error *error) {
    if (t->n_entries == t->entries_capacity) {
        size_t capacity = t->entries_capacity ? 2 * t->entries_capacity : 64;
        container_entry *larger = realloc(t->entries, capacity * sizeof *larger);
        if (!larger)
            return error_memory(error, "index", (double)capacity * sizeof *larger);
        t->entries = larger;
        t->entries_capacity = capacity;
    }
    t->entries[t->n_entries++] = (container_entry){t->position, b->content};
    return OCTET_OK;
}

static void count_block(transfer *t, const container_block *b, const uint8_t *content) {
    if (content)
        XXH3_64bits_update(t->whole, content, b->content);
    t->report.blocks++;
    t->report.stored += b->kind == CONTAINER_STORED;
    t->report.content += b->content;
    if (t->io->progress)
        t->io->progress(t->io->context, t->report.content);
}

static octet_status stopped(const transfer *t, octet_error *error) {
    if (!t->io->stop || !*t->io->stop)
        return OCTET_OK;
    return error_set(error, OCTET_STOPPED, "%s: stopped after %" PRIu64 " bytes", t->io->name,
                     t->report.content);
}

/* The streams of a block are of equal length but for the last, which may be shorter. */
static size_t stream_bytes(size_t content, uint32_t streams) {
    return (content + streams - 1) / streams;
}

static octet_status fingerprint_of(uint8_t out[16], octet_model *m, octet_error *error) {
    octet_status status = OCTET_OK;
    if (!*m->model->fingerprint)
        status = checkpoint_fingerprint(m->model, error);
    for (int i = 0; i < 16 && !status; i++) {
        unsigned byte = 0;
        sscanf(m->model->fingerprint + 2 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }
    return status;
}

static void fingerprint_text(char out[33], const uint8_t bytes[16]) {
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* --- coding */

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
    octet_status status = stopped(&c->t, error);
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
    const size_t each = stream_bytes(n, b->streams);
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
    status = add_entry(&c->t, &b, error);
    if (!status)
        status = put(&c->t, header, sizeof header, error);
    if (!status)
        status = put(&c->t, payload, b.payload, error);
    if (!status)
        count_block(&c->t, &b, c->content);
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
    octet_status status = check_params(&c, m, p, error);
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
        status = fingerprint_of(h.fingerprint, m, error);
    h.keep = (uint64_t)c.keep;
    container_put_header(header, &h);
    if (!status)
        status = put(&c.t, header, sizeof header, error);
    for (size_t n = c.block; n == c.block && !status;) {
        status = stopped(&c.t, error);
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

/* --- reading what was coded */

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
    const size_t each = stream_bytes(b->content, b->streams);
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
            status = stopped(&x->t, error);
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
        count_block(&x->t, b, x->model ? x->content : NULL);
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
        octet_status status = stopped(&x->t, error);
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
        status = add_entry(&x->t, &b, error);
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
    octet_status status = fingerprint_of(own, m, error);
    if (status)
        return status;
    fingerprint_text(needed, h->fingerprint);
    fingerprint_text(given, own);
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
    octet_status status = transfer_start(&x.t, io, error);
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
    fingerprint_text(out->fingerprint, h.fingerprint);
    out->profile = "f32";
    out->sizes = x.t.report;
    return status;
}

octet_status octet_compressed_model(char fingerprint[33], const uint8_t header[64],
                                    const char *name, octet_error *error) {
    container_header h;
    octet_status status = container_get_header(&h, header, name, error);
    if (!status)
        fingerprint_text(fingerprint, h.fingerprint);
    return status;
}
