/* support.c: seeded values and checks for the tests. */
#include "support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint64_t support_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t support_integer(uint64_t *state, int64_t low, int64_t high) {
    return low + (int64_t)(support_random(state) % (uint64_t)(high - low + 1));
}

float support_uniform(uint64_t *state, float low, float high) {
    return low + (high - low) * ((float)(support_random(state) >> 40) * 0x1p-24f);
}

void support_fill(float *out, int64_t n, float low, float high, uint64_t *state) {
    for (int64_t i = 0; i < n; i++) {
        out[i] = support_uniform(state, low, high);
    }
}

double support_largest(const double *x, int64_t n) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
        const double size = fabs(x[i]);
        if (!(size <= largest)) {
            largest = size;
        }
        if (isnan(size)) {
            return size;
        }
    }
    return largest;
}

void *support_alloc(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    assert_non_null(memory);
    return memory;
}

void support_ok(octet_status status, const octet_error *error) {
    if (status != OCTET_OK) {
        fail_msg("status %d: %s", (int)status, error->text);
    }
}

void support_contains(const char *text, const char *part) {
    if (!strstr(text, part)) {
        fail_msg("\"%s\" does not contain \"%s\"", text, part);
    }
}

int support_all(void) {
    const char *wanted = getenv("OCTET_TEST_ALL");
    return wanted && *wanted;
}
