/* mutate_foreign.h: random damage to archives of torch.save, by somebody who knows the format. */
#ifndef TESTS_MUTATE_FOREIGN_H
#define TESTS_MUTATE_FOREIGN_H

#include "torch_file.h"

/* Changes the file in one to three ways: bits and numbers anywhere, numbers of the directory, the
 * headers and the records behind members; in data.pkl opcodes, numbers and spans, where it changes
 * its length with the archive written anew around it. CRCs are wrong then: torch_fix_crcs. */
void mutate_foreign(bad_bytes *file, uint64_t *seed);

#endif
