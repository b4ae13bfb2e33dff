/* session_core.h: streams of bytes that a model reads and continues; octet/session.h on top of it.
 *
 * Every level is recorded as a few graphs over rows of many streams: one row of 1, 2, 4, ...
 * streams, and blocks of rows of one stream. What a row leaves for later rows (keys and values, and
 * its slices for the level below) lies in state variables, slot first. Feeding bytes fills in row
 * plans and runs those graphs; it records and allocates nothing, and after it the logits of the
 * next byte of every stream are known. */
#ifndef INFER_SESSION_CORE_H
#define INFER_SESSION_CORE_H

#include "model/hierarchy.h"
#include "octet/session.h"

#define SESSION_MAX_STREAMS 4096

/* Belongs to one thread at a time. */
typedef struct session session;

/* streams: slots, 1 to SESSION_MAX_STREAMS, 0 is 1. keep: -1 is the model's; else a multiple of the
 * outermost patch below the context. The model must outlive the session. */
octet_status session_create(session **out, const model *m, int streams, int64_t keep,
                            octet_error *error);

/* Accepts NULL; sets *s to NULL. */
void session_destroy(session **s);

/* As octet_session_join and so on. All check the stream. When a run fails on the device, the bytes
 * that session_position counts have been read and the next feed goes on from there. */
octet_status session_join(session *s, int *stream, octet_error *error);
octet_status session_leave(session *s, int stream, octet_error *error);
octet_status session_feed(session *s, const octet_feed *feeds, int n_feeds, octet_error *error);
octet_status session_logits(session *s, int stream, const float **logits, octet_error *error);
octet_status session_sample(session *s, int stream, const octet_sampling *sampling, uint8_t *byte,
                            octet_error *error);

/* Bytes that the stream has read; -1 when there is no such stream. */
int64_t session_position(const session *s, int stream);

/* The saved form hangs on the model and `keep` only: sessions with other numbers of streams, other
 * threads and other instruction sets restore it. A failed restore leaves the stream as it was. */
size_t session_save_bytes(const session *s);
octet_status session_save(session *s, int stream, void *data, size_t size, octet_error *error);
octet_status session_restore(session *s, int stream, const void *data, size_t size,
                             octet_error *error);

/* The first byte of the window in which a stream that has read `position` bytes stands: window 0
 * begins at byte 0, window w at w (context - keep); a stream leaves a window when it has read all
 * `context` bytes of it. A stream of an endless model stays in window 0. */
int64_t session_window_start(int64_t context, int64_t keep, int64_t position);

#endif
