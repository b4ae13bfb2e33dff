/* compress.h: lossless compression: a model's probabilities and a range coder.
 *
 * Content is cut into blocks, a block into streams that are coded for themselves: decoding runs the
 * streams of a block as one batch, byte by byte; coding runs whole windows at once, with the same
 * bits. What the model expects is mixed with counts of what the block has shown so far. The format
 * is in FORMAT.md. A file decodes with the model it was made with and no other;
 * the result is the same on every CPU, with any number of threads.
 *
 * A model whose codec is one of audio codes the samples of a WAV file as it has read samples in
 * training: frames stay whole, and with pcm16 the more significant byte comes first. What comes
 * back is the identical file all the same, header, odd chunks and all. */
#ifndef OCTET_COMPRESS_H
#define OCTET_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "octet/model.h"

/* Where bytes come from: fills bytes[n]; *got is less only at the end. */
typedef octet_status octet_read(void *context, void *bytes, size_t n, size_t *got,
                                octet_error *error);

/* Where bytes go to. */
typedef octet_status octet_write(void *context, const void *bytes, size_t n, octet_error *error);

/* Goes to byte `position` of the input, or to byte -position before its end. */
typedef octet_status octet_seek(void *context, int64_t position, octet_error *error);

typedef struct octet_io {
    octet_read *read;
    octet_write *write;
    octet_seek *seek; /* of the input; NULL: it can only be read on */
    void *context;    /* of all */
    const char *name; /* what messages call the input */
    /* after every block, with the bytes of content so far; may be NULL */
    void (*progress)(void *context, uint64_t content);
    const volatile int *stop; /* set to non-zero to end with OCTET_STOPPED; may be NULL */
} octet_io;

typedef enum octet_content {
    OCTET_CONTENT_AUTO, /* samples of WAV where the model has a codec that reads them */
    OCTET_CONTENT_BYTES /* bytes as they are, whatever they are */
} octet_content;

/* What a file's blocks are coded with: see `plain`, `adapt` and `profile`. */
enum { OCTET_MIXED = 1, OCTET_ADAPTS = 2, OCTET_IN_INT8 = 4 };

typedef struct octet_compress_params {
    int streams; /* of a block at most, 1 to 4,096; 0: one for 16 KiB, up to 64. More decode faster
                    and cost ratio, since each begins without context */
    int64_t block;  /* bytes of content in a block, 1,024 to 2^26; 0: 2^20 */
    int64_t keep;   /* as in octet_session_params; -1: a sixteenth of the context in whole
                       patches, or
                       the model's if that is less */
    int64_t memory; /* bytes, see octet_compress_memory; where more are needed: OCTET_ERROR, before
                       they are taken. 0: no limit */
    octet_content content;
    int plain;    /* by the model alone, not mixed with counts of what the block has shown so far: a
                     little faster, and with less memory */
    double adapt; /* 0: the model stays as it is. Else it learns from what was coded, at this rate
                     (muon_lr of a configuration, or lr without Muon), at most 1: slower, better
                     where the content is unlike what it was trained on. Blocks are then 2^26 bytes
                     and streams one for 64 KiB, up to 16, if nothing else is said; keep is 0 */
    octet_profile profile; /* 0: f32. The file says which, and is decoded so */
} octet_compress_params;

typedef struct octet_compress_report {
    uint64_t content, compressed; /* bytes */
    uint64_t payload;             /* of compressed: those of blocks without their headers */
    uint64_t blocks, stored;      /* stored: those that coding would have made longer */
    uint64_t samples;             /* bytes of content in blocks of samples */
    double bits;                  /* sum of -log2 of the coded frequencies over coded blocks */
    uint64_t coded;               /* bytes of content in coded blocks */
    int streams;                  /* the most in a block */
} octet_compress_report;

/* params and report may be NULL. */
octet_status octet_compress(octet_model *model, const octet_compress_params *params,
                            const octet_io *io, octet_compress_report *report, octet_error *error);

/* Whether `head`, the first n bytes of a file (64 KiB are enough; fewer if it has fewer), begins a
 * WAV file whose samples the model's codec holds as they are. If not, why[160] says why, unless it
 * is NULL. */
int octet_compress_hears(const octet_model *model, const void *head, size_t n, char *why);

typedef struct octet_decompress_params {
    int streams;         /* decoded at once at most; 0: 256. Fewer need less memory. Of blocks that
                            are not plain all are */
    int64_t memory;      /* as in octet_compress_params, but for what blocks need, one by one */
    uint64_t first, end; /* the range of content that is wanted; end 0: all from first on. Only its
                            blocks are decoded; if the input can seek, only they are read */
    uint64_t most;       /* more content than this is refused; 0: no limit */
    /* Not NULL: damage is stepped over. Called for each range [first, end) of content that is lost,
     * where zeros are written, and with first = end for other damage. */
    void (*lost)(void *context, uint64_t first, uint64_t end, const char *why);
    void *lost_context;
} octet_decompress_params;

/* Content is written a block at a time, and only after its checksum was right. OCTET_CORRUPT:
 * damaged or cut, with the block's range of content; OCTET_WRONG_MODEL: both fingerprints;
 * OCTET_WARNING: done, but `lost` was called. params and report may be NULL; model too where the
 * input is no compressed file, to hear what it is instead. */
octet_status octet_decompress(octet_model *model, const octet_decompress_params *params,
                              const octet_io *io, octet_compress_report *report,
                              octet_error *error);

/* Bytes of memory that coding and decoding take with the model, its weights included, on the
 * threads of its runtime: known from plans, before any of it is taken. Decoding: `streams` at once,
 * blocks of `block` bytes (0: 2^20), with some of OCTET_MIXED, OCTET_ADAPTS and OCTET_IN_INT8. */
octet_status octet_compress_memory(int64_t *bytes, const octet_model *model,
                                   const octet_compress_params *params, octet_error *error);
octet_status octet_decompress_memory(int64_t *bytes, const octet_model *model, int streams,
                                     int64_t block, int with, octet_error *error);

/* The same between buffers. *out is the caller's, see octet_buffer_free; NULL after a failure. */
octet_status octet_compress_buffer(uint8_t **out, size_t *out_size, octet_model *model,
                                   const octet_compress_params *params, const void *data,
                                   size_t size, octet_error *error);
octet_status octet_decompress_buffer(uint8_t **out, size_t *out_size, octet_model *model,
                                     const octet_decompress_params *params, const void *data,
                                     size_t size, octet_error *error);
/* Accepts NULL. */
void octet_buffer_free(uint8_t *buffer);

/* What a compressed file says of itself: reads it through to its end, checks all checksums that
 * need no model. fingerprint: 32 hexadecimal digits. */
typedef struct octet_compressed_info {
    char fingerprint[33];
    const char *profile;         /* as octet_profile_name */
    char codec[9];               /* of samples, "" if there are none */
    int rate_hz, frame;          /* of samples: rate, bytes of a frame; else 0 and 1 */
    int mixed;                   /* not plain */
    double adapts;               /* rate at which the model learns; 0: not */
    octet_compress_report sizes; /* without bits */
} octet_compressed_info;

octet_status octet_compressed_describe(octet_compressed_info *out, const octet_io *io,
                                       octet_error *error);

/* Of the first 64 bytes of a file: the fingerprint of the model that it needs. OCTET_CORRUPT: no
 * file of this kind, or a damaged header. */
octet_status octet_compressed_model(char fingerprint[33], const uint8_t header[64],
                                    const char *name, octet_error *error);

/* The most streams in a block, and the most bytes of content in one, of those blocks that begin
 * within head[n], a file's first bytes; 0 if none does. *with: as in octet_decompress_memory. */
void octet_compressed_peek(int *streams, int64_t *block, int *with, const uint8_t *head, size_t n);

#endif
