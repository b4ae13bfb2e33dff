/* memory_cap.h: what a piece of code allocates, and a limit that it must not pass.
 *
 * Tests that use it are linked with --wrap for malloc and its family, so that the calls of the
 * library's own objects come by here; jansson is told to. What passes the limit is refused, as if
 * memory were out: a hole shows as a failed test, not as a dead machine. */
#ifndef TESTS_MEMORY_CAP_H
#define TESTS_MEMORY_CAP_H

#include <stddef.h>

/* From here on at most `most` bytes more than now may be held. */
void memory_cap_begin(size_t most);

/* Ends the limit. *peak: the most bytes that were held at once since it began; returns how many
 * allocations were refused. */
int memory_cap_end(size_t *peak);

#endif
