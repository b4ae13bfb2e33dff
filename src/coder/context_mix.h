/* context_mix.h: a model's probabilities, improved by what the content itself has shown so far.
 *
 * A trained model knows its kind of data; the words of one book, the names of one program it
 * learns in its context only, and forgets. Counts of what followed the last 1, 2, 3, 4 and 6
 * bytes, single bytes further back, the word and two words, and the longest repeat know just that.
 * Every byte is coded as eight binary decisions; for each the predictors' odds and the model's are
 * added with weights that are learned on the way (logistic mixing, Mahoney 2005), and two tables
 * correct what comes out by how often it was right. All of it is integer arithmetic: both sides and
 * all machines agree.
 *
 * The streams of a block share one memory, so byte t of stream i may only be coded after byte t of
 * all streams before i and byte t - 1 of all behind it. */
#ifndef CODER_CONTEXT_MIX_H
#define CODER_CONTEXT_MIX_H

#include "base/error.h"
#include "coder/frequencies.h"
#include "coder/range_coder.h"

typedef struct context_mix context_mix;

/* Memory for content[n] in streams of `each` bytes, the last maybe shorter. */
size_t context_mix_bytes(size_t n, size_t each);

/* isa: the name of an instruction set that the processor has (mix_kernels.h). */
octet_status context_mix_create(context_mix **out, size_t n, size_t each, const char *isa,
                                octet_error *error);
/* Accepts NULL; sets *m to NULL. */
void context_mix_destroy(context_mix **m);

/* What mixing takes of a model's frequencies, where the byte is known: the odds of its bits, the
 * highest first. */
typedef struct context_mix_expected {
    int32_t odds[8];
    int32_t certainty; /* 0 to 15 */
} context_mix_expected;

void context_mix_expect(context_mix_expected *to, const context_mix *m, const frequencies *f,
                        int byte);

/* Codes the next byte of a stream. Returns its cost in bits. */
double context_mix_encode(context_mix *m, size_t stream, const context_mix_expected *x, int byte,
                          range_encoder *e);

/* The same byte back, which the model expects by f. Damaged data give wrong bytes, never anything
 * outside. */
int context_mix_decode(context_mix *m, size_t stream, const frequencies *f, range_decoder *d);

/* What was coded so far: [n], in the places of the streams. */
const uint8_t *context_mix_content(const context_mix *m);

#endif
