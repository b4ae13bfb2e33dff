/* mutate.h: random damage to model files, by somebody who knows the format. */
#ifndef TESTS_MUTATE_H
#define TESTS_MUTATE_H

#include "bad_models.h"

/* Changes the file in one to three ways: bits, bytes, the length in front, the end; and in the
 * header numbers, words, characters and spans, with the length in front made right again. */
void mutate_model(bad_bytes *file, uint64_t *seed);

/* Changes bytes of anything: bits, numbers of 8 bytes, floats, the end. At least one byte is left.
 */
void mutate_bytes(bad_bytes *file, uint64_t *seed);

#endif
