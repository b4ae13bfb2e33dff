/* positions.h: what bytes cost by their place in a patch; octet_positions of octet/score.h.
 *
 * A model of patches is expected to pay more towards the end of a patch: the level above knows less
 * and less of what the byte continues. Strided scoring flattens the course. */
#ifndef EVAL_POSITIONS_H
#define EVAL_POSITIONS_H

#include "base/error.h"
#include "octet/score.h"

/* As octet_positions_add and octet_positions_draw. */
void positions_add(octet_positions *to, int64_t offset, const float *bits, size_t n);
octet_status positions_draw(const octet_positions *outer, const octet_positions *inner,
                            const char *path, octet_error *error);

#endif
