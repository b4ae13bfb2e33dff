/* support.h: what several tests share: seeded values, comparing, and failing with a reason. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A sequence of numbers that only hangs on its start (splitmix64; Steele et al. 2014). Not the
 * generator of the library, so that its faults cannot hide here. */
uint64_t support_random(uint64_t *state);

/* An integer in [low, high]. */
int64_t support_integer(uint64_t *state, int64_t low, int64_t high);

/* A float in [low, high). */
float support_uniform(uint64_t *state, float low, float high);
void support_fill(float *out, int64_t n, float low, float high, uint64_t *state);

/* The largest |x_i|; 0 for n = 0. NaN if one is NaN. */
double support_largest(const double *x, int64_t n);

/* calloc that fails the test when memory is out. */
void *support_alloc(size_t count, size_t size);

/* Fails the test with the error's text unless the status is OCTET_OK. */
void support_ok(octet_status status, const octet_error *error);

/* Whether the long forms of tests are wanted: OCTET_TEST_ALL. */
int support_all(void);

/* Fails the test unless `part` occurs in `text`. */
void support_contains(const char *text, const char *part);

#endif
