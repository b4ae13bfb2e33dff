/* session.h: streams of bytes that a model reads and continues.
 *
 * A session owns a fixed number of slots. A stream takes a slot, is fed bytes, and gives the
 * distribution of its next byte. Streams of different lengths run as one batch, may join and leave
 * at any time, and each computes the same bits as if it were alone; feeding bytes at once, in
 * pieces or one by one gives the same bits too. Past the model's context a stream starts anew from
 * its last `keep` bytes, at places that depend on the number of bytes read only; with an endless
 * model it goes on, in constant memory. */
#ifndef OCTET_SESSION_H
#define OCTET_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "octet/model.h"

/* Belongs to one thread at a time. */
typedef struct octet_session octet_session;

typedef struct octet_session_params {
    int streams;  /* slots, 1 to 4096; 0 is 1 */
    int64_t keep; /* bytes kept past the context: a multiple of the patch, below the context; -1:
                     the model's own value; without effect where the model is endless */
    octet_profile profile; /* 0: f32 */
} octet_session_params;

/* All memory is taken and all graphs are recorded here; feeding bytes records and allocates
 * nothing. params may be NULL. */
octet_status octet_session_create(octet_session **out, octet_model *model,
                                  const octet_session_params *params, octet_error *error);

/* Accepts NULL; sets *session to NULL. */
void octet_session_destroy(octet_session **session);

/* Starts an empty stream in a free slot; *stream in [0, streams). OCTET_ERROR when all are taken.
 */
octet_status octet_session_join(octet_session *session, int *stream, octet_error *error);

/* Ends a stream; its slot is free. */
octet_status octet_session_leave(octet_session *session, int stream, octet_error *error);

/* Bytes for one stream. */
typedef struct octet_feed {
    int stream;
    const uint8_t *bytes;
    size_t n;    /* may be 0 */
    float *bits; /* NULL, or [n]: receives -log2 p(byte) of each byte given those before it */
} octet_feed;

/* Appends bytes to one or more streams (each named at most once), as one batch. */
octet_status octet_session_feed(octet_session *session, const octet_feed *feeds, int n_feeds,
                                octet_error *error);

/* The logits of the stream's next byte, [vocabulary], natural logarithm scale. Valid until the
 * session is fed again. Computed when asked for after the first byte of a patch, so the status
 * matters. */
octet_status octet_session_logits(octet_session *session, int stream, const float **logits,
                                  octet_error *error);

/* Bytes that the stream has read. */
int64_t octet_session_position(const octet_session *session, int stream);

#define OCTET_SYMBOLS 257 /* that can be drawn: the bytes, and at 256 the end of the stream */

/* How a byte is chosen from logits. Order: what is allowed, temperature, top-k, top-p, min-p.
 * Zeroed fields are off. */
typedef struct octet_sampling {
    float temperature; /* > 0; 0: the most likely byte */
    int top_k;         /* the k most likely bytes; 0: all */
    float top_p;       /* the fewest bytes whose probabilities reach p; 0 or 1: all */
    float min_p;       /* bytes at least this fraction as likely as the most likely one; 0: all */
    uint64_t seed;     /* a draw is a function of (seed, number, position) */
    uint32_t number;   /* of the stream, for draws: equal numbers give equal draws */
    const uint8_t *allowed; /* [OCTET_SYMBOLS]: symbols at 0 are never drawn, the others as if the
                               model had given those none; NULL: all. Read while sampling only */
} octet_sampling;

/* Where a stream stands in UTF-8: zeros are between characters, else `left` bytes of a character
 * are to come, the next one from low to high. No overlong forms, no surrogates, at most U+10FFFF.
 */
typedef struct octet_utf8 {
    uint8_t left, low, high;
} octet_utf8;

/* Moves on by a byte. Returns 1, or 0 where the byte cannot stand here: the state starts anew with
 * it. */
int octet_utf8_push(octet_utf8 *state, uint8_t byte);

/* Fills in what octet_sampling.allowed wants: the bytes after which the character can still end
 * within `left` bytes (that byte included; below 0: without limit), and between characters the end
 * of the stream. Returns how many bytes are allowed: none where `left` is 0, or less than the rest
 * of a character that was begun elsewhere. */
int octet_utf8_allow(const octet_utf8 *state, int64_t left, uint8_t allowed[OCTET_SYMBOLS]);

/* Draws the stream's next byte without feeding it. OCTET_ERROR: a value out of range, logits that
 * hold NaN or +inf, or nothing that is allowed has a probability above 0. Special symbols are never
 * drawn but one: where the model has an end symbol ("end_symbol" of its configuration), it is a
 * candidate like the bytes, and OCTET_END, without an error text, says that it was drawn. */
octet_status octet_session_sample(octet_session *session, int stream,
                                  const octet_sampling *sampling, uint8_t *byte,
                                  octet_error *error);

/* Size of a saved stream of this session, and the stream as bytes: versioned, little-endian, the
 * same on every machine. Restoring gives the same bits as never having saved. restore replaces the
 * content of an existing stream; OCTET_CORRUPT: damaged, OCTET_WRONG_MODEL: of another model or
 * configuration. */
size_t octet_session_save_bytes(const octet_session *session);
octet_status octet_session_save(octet_session *session, int stream, void *data, size_t size,
                                octet_error *error);
octet_status octet_session_restore(octet_session *session, int stream, const void *data,
                                   size_t size, octet_error *error);

#endif
