/* tiny_model.h: small models of every shape with random weights, for the tests of what runs them.
 */
#ifndef TESTS_TINY_MODEL_H
#define TESTS_TINY_MODEL_H

#include "cpu/cpu_backend.h"
#include "model/hierarchy.h"

enum {
    TINY_FLAT,
    TINY_PAPER,
    TINY_THREE,
    TINY_LAYER,
    TINY_SLOPES,
    TINY_WINDOWS,
    TINY_CROSS,
    TINY_ENDLESS,
    TINY_NGRAMS,
    TINY_ENCODER,
    TINY_BACK,
    TINY_OPTIONS,
    TINY_OPTIONS_PAPER,
    TINY_OPTIONS_THREE,
    TINY_MIXED,
    TINY_MIXED_ENDLESS,
    TINY_SINKS,
    TINY_SINKS_ENDLESS,
    TINY_LONG,
    TINY_CONFIGS,
    TINY_WIDE = TINY_CONFIGS
};

/* The configuration's JSON: one level; two levels as in the paper; three levels; layer norm, bias,
 * GELU and an untied head of 260 symbols; linear biases above scaled rotary positions; windows and
 * blocks; three levels that see across patches; an endless stream; n-grams at one level; an
 * encoder and n-grams at two, and at three; one, two and three levels with every option of the
 * block, the first longer than the rings of its shifted rows; an encoder, value residual, x0 mix
 * and windows; an endless stream with n-grams and token shift across patches; sinks beside windows
 * and blocks, of more than a tile, and in an endless stream with linear biases; a context that
 * takes the longest blocks of rows. TINY_WIDE is apart: so many symbols that a window's logits are
 * not held at once.
 */
const char *tiny_json(int index);

/* A CPU backend, the test fails where there is none. */
backend *tiny_backend(int threads, cpu_isa cap);

/* A model with random weights: no parameter is constant, and the logits differ by a few nats. A
 * pure function of index and seed, on every backend. */
model *tiny_model(backend *b, int index, uint64_t seed);

/* A model of any configuration; equal parameters have equal weights whatever the other keys. */
model *tiny_model_of(backend *b, const char *json, uint64_t seed);

/* Bytes with some structure: runs, repeats and noise. */
void tiny_bytes(uint8_t *out, size_t n, uint64_t seed);

#endif
