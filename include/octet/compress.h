/* compress.h: lossless compression: a model's probabilities and a range coder.
 *
 * Content is cut into blocks, a block into streams that are coded for themselves: decoding runs the
 * streams of a block as one batch, byte by byte; coding runs whole windows at once, with the same
 * bits. The format is in FORMAT.md. A file decodes with the model it was made with and no other;
 * the result is the same on every CPU, with any number of threads. */
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

typedef struct octet_io {
    octet_read *read;
    octet_write *write;
    void *context;    /* of both */
    const char *name; /* what messages call the input */
    /* after every block, with the bytes of content so far; may be NULL */
    void (*progress)(void *context, uint64_t content);
    const volatile int *stop; /* set to non-zero to end with OCTET_STOPPED; may be NULL */
} octet_io;

typedef struct octet_compress_params {
    int streams; /* of a block at most, 1 to 4,096; 0: one for 16 KiB, up to 64. More decode faster
                    and cost ratio, since each begins without context */
    int64_t block; /* bytes of content in a block, 1,024 to 2^26; 0: 2^20 */
    int64_t keep;  /* as in octet_session_params; -1: the model's */
    octet_profile profile; /* 0: f32. The file says which, and is decoded so */
} octet_compress_params;

typedef struct octet_compress_report {
    uint64_t content, compressed; /* bytes */
    uint64_t blocks, stored;      /* stored: those that coding would have made longer */
    double bits;                  /* sum of -log2 of the coded frequencies over coded blocks */
    uint64_t coded;               /* bytes of content in coded blocks */
} octet_compress_report;

/* params and report may be NULL. Memory: a block, its streams, and what scoring a stream takes. */
octet_status octet_compress(octet_model *model, const octet_compress_params *params,
                            const octet_io *io, octet_compress_report *report, octet_error *error);

/* Content is written a block at a time, and only after its checksum was right. OCTET_CORRUPT:
 * damaged or cut, with the block's range of content; OCTET_WRONG_MODEL: both fingerprints. */
octet_status octet_decompress(octet_model *model, const octet_io *io, octet_compress_report *report,
                              octet_error *error);

/* What a compressed file says of itself: reads it through to its end, checks all checksums that
 * need no model. fingerprint: 32 hexadecimal digits. */
typedef struct octet_compressed_info {
    char fingerprint[33];
    const char *profile;         /* as octet_profile_name */
    octet_compress_report sizes; /* without bits */
} octet_compressed_info;

octet_status octet_compressed_describe(octet_compressed_info *out, const octet_io *io,
                                       octet_error *error);

/* Of the first 64 bytes of a file: the fingerprint of the model that it needs. OCTET_CORRUPT: no
 * file of this kind, or a damaged header. */
octet_status octet_compressed_model(char fingerprint[33], const uint8_t header[64],
                                    const char *name, octet_error *error);

#endif
