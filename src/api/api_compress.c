/* api_compress.c: octet/compress.h, the way there: how content is cut into blocks and streams.
 *
 * Both sides walk the same streams in the same order: coding (api_code.h) takes logits from whole
 * windows, decoding (api_expand.h) from a session that reads all streams of a block, a byte each at
 * a time. That these are the same logits to the bit is what the rest of Octet promises. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_code.h"
#include "api/api_needs.h"
#include "api/api_transfer.h"
#include "codec/wav_layout.h"

#define BLOCK_BYTES (1 << 20)
/* A stream begins without context, which costs some hundred bits: of 16 KiB of text, half a
 * percent. */
#define STREAM_BYTES 16384
#define STREAMS 64
#define STREAM_LEAST 64 /* bytes of content, whatever is asked for */
/* The fewer streams, the more steps of learning before the end. */
#define ADAPT_STREAMS 16
#define ADAPT_STREAM_BYTES 65536

typedef struct compressor {
    transfer t;
    coder coder;
    model model; /* the coder's: of the profile */
    size_t block, stream_least;
    uint32_t streams;
    uint8_t *content, *payload;    /* [block] each */
    size_t held;                   /* bytes of content */
    uint64_t samples, samples_end; /* where they begin and end in the content; equal: none */
    uint32_t frame;                /* bytes; 1 without samples */
    int swaps;                     /* the model reads the other byte of a sample first */
} compressor;

static octet_status put(transfer *t, const void *bytes, size_t n, octet_error *error) {
    t->position += n;
    return t->io->write(t->io->context, bytes, n, error);
}

/* Streams of a block of n bytes, and the bytes in each. */
static uint32_t cut(const compressor *c, size_t n, size_t *each) {
    const size_t wanted = n / c->stream_least, most = c->streams;
    const size_t streams = wanted < 1 ? 1 : wanted < most ? wanted : most;
    *each = container_stream_bytes(n, (uint32_t)streams, c->frame);
    return (uint32_t)((n + *each - 1) / *each); /* rounding up may leave nothing for the last */
}

static octet_status code_block(compressor *c, size_t n, container_block *b, octet_error *error) {
    size_t each, used = n;
    b->streams = cut(c, n, &each);
    octet_status status = coder_run(&c->coder, c->content, n, each, c->payload, &used, error);
    if (used >= n)
        b->kind = CONTAINER_STORED;
    b->payload = (uint32_t)(used < n ? used : n);
    return status;
}

static octet_status write_block(compressor *c, size_t n, octet_error *error) {
    uint8_t header[CONTAINER_BLOCK_BYTES];
    container_block b = {.number = c->t.n_entries, .offset = c->t.report.content, .content = n};
    const int in_samples = b.offset >= c->samples && b.offset < c->samples_end;
    octet_status status = OCTET_OK;
    b.content_hash = container_hash(c->content, n);
    if (c->samples_end > c->samples && !in_samples) {
        b.kind =
            CONTAINER_STORED; /* a header, odd chunks: a model of samples has no use for them */
        b.payload = (uint32_t)n;
    } else if (in_samples && c->swaps) {
        b.kind = CONTAINER_SWAPPED;
        transfer_swap(c->content, n);
        status = code_block(c, n, &b, error);
        transfer_swap(c->content, n);
    } else {
        b.kind = CONTAINER_CODED;
        status = code_block(c, n, &b, error);
    }
    if (status)
        return status;
    const uint8_t *payload = container_is_coded(&b) ? c->payload : c->content;
    b.streams = container_is_coded(&b) ? b.streams : 0;
    b.payload_hash = container_hash(payload, b.payload);
    if (container_is_coded(&b)) {
        c->t.report.bits += c->coder.bits;
        c->t.report.coded += n;
    }
    c->t.report.samples += in_samples ? n : 0;
    container_put_block(header, &b);
    status = transfer_add(&c->t, &b, c->t.position, error);
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

/* What is kept is read twice. Of text an eighth of the context codes as well as a half. */
static int64_t usual_keep(const config *c, int64_t patch) {
    const int64_t eighth = c->context / 8 / patch * patch;
    return eighth < c->keep ? eighth : c->keep;
}

/* What nothing was said of. */
static void take_params(compressor *c, const octet_model *m, const octet_compress_params *p) {
    const int64_t keep =
        p->keep == -1 ? usual_keep(&m->model->config, m->model->shape[0].unit_bytes) : p->keep;
    c->coder.model = &c->model;
    c->coder.mixes = !p->plain;
    c->coder.adapts = (uint32_t)(p->adapt * 1e6 + 0.5);
    c->coder.keep = c->coder.adapts ? 0 : keep;
    c->streams = p->streams ? (uint32_t)p->streams : c->coder.adapts ? ADAPT_STREAMS : STREAMS;
    c->stream_least = p->streams        ? STREAM_LEAST
                      : c->coder.adapts ? ADAPT_STREAM_BYTES
                                        : STREAM_BYTES;
    c->block = p->block ? (size_t)p->block : c->coder.adapts ? CONTAINER_BLOCK_MOST : BLOCK_BYTES;
}

static octet_status check_params(compressor *c, const octet_model *m,
                                 const octet_compress_params *p, octet_error *error) {
    static const octet_compress_params usual = {.keep = -1};
    const int64_t context = m->model->config.context, patch = m->model->shape[0].unit_bytes;
    p = p ? p : &usual;
    const unsigned most =
        p->plain && !(p->adapt > 0) ? CONTAINER_STREAMS_MOST : CONTAINER_TOGETHER_MOST;
    if (p->streams < 0 || p->streams > (int)most)
        return error_set(error, OCTET_ERROR, "%d streams: 1 to %u are possible%s", p->streams, most,
                         most < CONTAINER_STREAMS_MOST ? " together, which mixing and adapting need"
                                                       : "");
    if (p->block && (p->block < 1024 || p->block > (int64_t)CONTAINER_BLOCK_MOST))
        return error_set(error, OCTET_ERROR, "blocks of %" PRId64 " bytes: 1024 to %u are possible",
                         p->block, CONTAINER_BLOCK_MOST);
    if (!(p->adapt >= 0 && p->adapt <= ADAPT_MOST * 1e-6))
        return error_set(error, OCTET_ERROR, "a rate of %g: 0 to %g are possible", p->adapt,
                         ADAPT_MOST * 1e-6);
    take_params(c, m, p);
    const int64_t keep = c->coder.keep;
    if (keep < 0 || keep >= context || keep % patch)
        return error_set(error, OCTET_ERROR,
                         "keep %" PRId64 " is not a multiple of the patch, %" PRId64
                         ", below the context, %" PRId64,
                         keep, patch, context);
    if (c->coder.adapts && !window_reader_fits(m->model, INT64_MAX))
        return error_set(error, OCTET_ERROR,
                         "a model whose streams have no end, or with a context of %" PRId64
                         " bytes, cannot adapt",
                         context);
    return api_model_profile(&c->model, m, p->profile, error);
}

/* --- samples */

/* What is said of samples that the codec does not hold as they are. */
static octet_status match_codec(const wav_layout *w, const config *c, octet_error *error) {
    const char *codec = config_codec_name(c);
    const audio_samples s = w->format.samples;
    if (!codec)
        return error_set(error, OCTET_CORRUPT, "the model reads bytes, not samples");
    if (strcmp(codec, "pcm16") == 0  ? s == AUDIO_S16
        : strcmp(codec, "pcm8") == 0 ? s == AUDIO_U8
                                     : strcmp(codec, "mulaw8") == 0 && s == AUDIO_ULAW)
        return OCTET_OK;
    return error_set(error, OCTET_CORRUPT, "its samples are %s, the model reads %s",
                     audio_samples_name(s), codec);
}

/* What messages begin with before ": ". */
#define UNNAMED "it"

static octet_status look_for_samples(wav_layout *w, const octet_model *m, const uint8_t *head,
                                     size_t n, octet_error *error) {
    octet_status status = wav_layout_read(w, head, n, UNNAMED, error);
    return status ? status : match_codec(w, &m->model->config, error);
}

int octet_compress_hears(const octet_model *m, const void *head, size_t n, char *why) {
    wav_layout w;
    octet_error error = {0};
    octet_status status = look_for_samples(&w, m, head, n, &error);
    const size_t named =
        strncmp(error.text, UNNAMED ": ", strlen(UNNAMED ": ")) ? 0 : strlen(UNNAMED ": ");
    if (why)
        snprintf(why, 160, "%.159s", error.text + named);
    return !status;
}

/* The first block is in content[held]. */
static void find_samples(compressor *c, const octet_model *m, container_header *h) {
    wav_layout w;
    if (look_for_samples(&w, m, c->content, c->held, NULL) != OCTET_OK || !w.bytes)
        return;
    c->samples = w.first;
    c->samples_end = w.bytes < UINT64_MAX - w.first ? w.first + w.bytes : UINT64_MAX;
    c->frame = (uint32_t)(w.format.channels * audio_samples_bytes(w.format.samples));
    c->swaps = w.format.samples == AUDIO_S16 && !w.big_endian;
    h->frame = c->frame;
    h->rate_hz = (uint32_t)w.format.rate_hz;
    strcpy(h->codec, config_codec_name(&m->model->config));
}

/* Bytes of the next block: what is held, as far as it is of one kind and in whole frames. */
static size_t next_block(const compressor *c) {
    const uint64_t at = c->t.report.content;
    const uint64_t edge = at < c->samples ? c->samples : at < c->samples_end ? c->samples_end : 0;
    const uint64_t left = edge ? edge - at : UINT64_MAX;
    const size_t n = left < c->held ? (size_t)left : c->held;
    const int cuts = at >= c->samples && at < c->samples_end && n == c->block;
    return cuts ? n - n % c->frame : n;
}

/* --- the whole */

static octet_status fill(compressor *c, octet_error *error) {
    size_t got = 0;
    octet_status status = transfer_stopped(&c->t, error);
    if (!status)
        status =
            c->t.io->read(c->t.io->context, c->content + c->held, c->block - c->held, &got, error);
    c->held += got;
    return status;
}

static octet_status write_blocks(compressor *c, octet_error *error) {
    octet_status status = OCTET_OK;
    while (c->held && !status) {
        const size_t n = next_block(c);
        status = write_block(c, n, error);
        memmove(c->content, c->content + n, c->held - n);
        c->held -= n;
        if (!status)
            status = fill(c, error);
    }
    return status;
}

static octet_status write_file(compressor *c, octet_model *m, octet_content content,
                               octet_error *error) {
    const int int8 = c->model.arithmetic == ARITHMETIC_INT8;
    container_header h = {.profile = int8 ? CONTAINER_INT8 : CONTAINER_F32,
                          .keep = (uint64_t)c->coder.keep,
                          .mixed = c->coder.mixes,
                          .adapts = c->coder.adapts};
    uint8_t header[CONTAINER_HEADER_BYTES];
    octet_status status = fill(c, error);
    if (!status)
        status = transfer_fingerprint(h.fingerprint, m, error);
    if (status)
        return status;
    if (content == OCTET_CONTENT_AUTO)
        find_samples(c, m, &h);
    container_put_header(header, &h);
    status = put(&c->t, header, sizeof header, error);
    if (!status)
        status = write_blocks(c, error);
    return status ? status : write_end(c, error);
}

static int coded_with(const compressor *c) {
    return (c->coder.mixes ? OCTET_MIXED : 0) | (c->coder.adapts ? OCTET_ADAPTS : 0) |
           (c->model.arithmetic == ARITHMETIC_INT8 ? OCTET_IN_INT8 : 0);
}

octet_status octet_compress_memory(int64_t *bytes, const octet_model *m,
                                   const octet_compress_params *p, octet_error *error) {
    compressor c = {.frame = 1};
    size_t each;
    *bytes = 0;
    octet_status status = check_params(&c, m, p, error);
    if (status)
        return status;
    cut(&c, c.block, &each);
    return needs_coding_bytes(bytes, m, c.block, each, coded_with(&c), error);
}

octet_status octet_compress(octet_model *m, const octet_compress_params *p, const octet_io *io,
                            octet_compress_report *report, octet_error *error) {
    compressor c = {.frame = 1};
    size_t each;
    octet_status status = api_needs_cpu(m->runtime, "compress", error);
    if (!status)
        status = check_params(&c, m, p, error);
    if (!status) {
        cut(&c, c.block, &each);
        status = needs_coding(m, c.block, each, coded_with(&c), p ? p->memory : 0, io->name, error);
    }
    if (!status)
        status = transfer_start(&c.t, io, error);
    c.coder.t = &c.t;
    if (status)
        return status;
    c.content = malloc(c.block);
    c.payload = malloc(c.block);
    if (!c.content || !c.payload)
        status = error_memory(error, "block", 2 * (double)c.block);
    if (!status)
        status = write_file(&c, m, p ? p->content : OCTET_CONTENT_AUTO, error);
    c.t.report.compressed = c.t.position;
    if (report)
        *report = c.t.report;
    coder_finish(&c.coder);
    free(c.content);
    free(c.payload);
    transfer_finish(&c.t);
    return status;
}
