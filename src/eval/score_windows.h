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

#endif
