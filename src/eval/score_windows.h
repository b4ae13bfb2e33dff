/* score_windows.h: what bytes cost under a model, by whole windows.
 *
 * The bytes are cut into the windows in which a session would read them (session_window_start);
 * many windows run at once through one graph without state. The probabilities are a session's, to
 * the bit. */
#ifndef EVAL_SCORE_WINDOWS_H
#define EVAL_SCORE_WINDOWS_H

#include "model/hierarchy.h"
#include "octet/score.h"

/* As octet_score; wanted may be NULL. The graph is recorded for this call: a few windows cost
 * hardly more memory than they need. */
octet_status score_windows(const model *m, const uint8_t *bytes, size_t n,
                           const octet_score_params *wanted, double *bits, octet_error *error);

/* The same windows for who wants the logits themselves: of texts of at most `longest` bytes, window
 * after window, about `texts` texts side by side, on one recorded graph. Their logits are those of
 * a session with the same `keep`. */
typedef struct window_reader window_reader;

typedef struct window_text {
    const uint8_t *bytes;
    int64_t n;
} window_text;

/* Whether the model's windows fit in memory, and end: else a session must read. */
int window_reader_fits(const model *m, int64_t longest);

octet_status window_reader_create(window_reader **out, const model *m, int64_t longest,
                                  int64_t texts, int64_t keep, octet_error *error);
/* One that can only be weighed: m is an outline on a planner, which holds all but host_bytes. */
octet_status window_reader_outline(window_reader **out, size_t *host_bytes, const model *m,
                                   int64_t longest, int64_t texts, octet_error *error);
/* Accepts NULL; sets *r to NULL. */
void window_reader_destroy(window_reader **r);

/* Window w of any text gives the logits of bytes [*first, *end), those past its end left out. */
void window_reader_range(const window_reader *r, int64_t w, int64_t *first, int64_t *end);

/* logits[vocabulary] of the byte at `offset` of text `text`. */
typedef octet_status window_visit(void *context, int64_t text, int64_t offset, const float *logits,
                                  octet_error *error);

/* Window w of each of texts[n]; the bytes of a text come in their order. */
octet_status window_reader_read(window_reader *r, const window_text *texts, int64_t n, int64_t w,
                                window_visit *visit, void *context, octet_error *error);

#endif
