/* session_case.h: one stream read byte by byte: the yardstick of everything that runs a model.
 *
 * Pieces, batches, threads, instruction sets, saved states and whole windows must give its bits.
 * The functions fail the test where one does not. */
#ifndef TESTS_SESSION_CASE_H
#define TESTS_SESSION_CASE_H

#include "eval/score_windows.h"
#include "infer/session_core.h"

typedef struct yardstick {
    uint8_t *bytes;
    float *bits;   /* [n] */
    float *logits; /* [n + 1][vocabulary]: after 0, 1, ... bytes */
    size_t n;
    int64_t vocabulary;
} yardstick;

/* Reads n tiny_bytes of the seed byte by byte, alone. */
yardstick case_measure(const model *m, size_t n, uint64_t seed);
void case_release(yardstick *y);

/* Calls that fail the test when they fail. */
session *case_session(const model *m, int streams);
int case_join(session *s);
void case_feed(session *s, int stream, const uint8_t *bytes, size_t n, float *bits);
const float *case_logits(session *s, int stream);

/* The logits of a stream that has read some of y's bytes are y's. */
void case_check_logits(const yardstick *y, session *s, int stream);

/* All of y in one feed, with bits and without, gives y's bits. */
void case_check_whole(const yardstick *y, const model *m);

/* Fed in random pieces, some with bits and some without, it gives y's bits. */
void case_check_pieces(const yardstick *y, const model *m, uint64_t seed);

/* Streams of one session join, read different bytes at different paces and leave; each gives the
 * bits of one that reads the same alone and byte by byte. */
void case_check_batch(const model *m, int streams, int rounds, uint64_t seed);

/* Bits as octet_score_visit hands them out; checks their order. */
typedef struct collected {
    float *bits;
    const uint8_t *bytes;
    int64_t next;
    int64_t stop_at; /* -1: never */
} collected;

octet_score_visit case_collect;

/* Scoring the first n bytes gives y's bits. */
void case_check_score(const yardstick *y, const model *m, size_t n);

#endif
