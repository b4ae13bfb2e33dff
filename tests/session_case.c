/* session_case.c: see session_case.h. */
#include "session_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"
#include "tiny_model.h"

static octet_error error;

session *case_session(const model *m, int streams) {
    session *s = NULL;
    support_ok(session_create(&s, m, streams, -1, &error), &error);
    return s;
}

int case_join(session *s) {
    int stream = -1;
    support_ok(session_join(s, &stream, &error), &error);
    return stream;
}

void case_feed(session *s, int stream, const uint8_t *bytes, size_t n, float *bits) {
    octet_feed f = {stream, bytes, n, bits};
    support_ok(session_feed(s, &f, 1, &error), &error);
}

const float *case_logits(session *s, int stream) {
    const float *logits = NULL;
    support_ok(session_logits(s, stream, &logits, &error), &error);
    return logits;
}

yardstick case_measure(const model *m, size_t n, uint64_t seed) {
    yardstick y = {.n = n, .vocabulary = m->config.vocabulary};
    y.bytes = support_alloc(n, 1);
    y.bits = support_alloc(n, sizeof *y.bits);
    y.logits = support_alloc((n + 1) * (size_t)y.vocabulary, sizeof *y.logits);
    tiny_bytes(y.bytes, n, seed);
    session *s = case_session(m, 1);
    int stream = case_join(s);
    for (size_t i = 0; i <= n; i++) {
        memcpy(y.logits + i * (size_t)y.vocabulary, case_logits(s, stream),
               (size_t)y.vocabulary * sizeof *y.logits);
        if (i < n)
            case_feed(s, stream, y.bytes + i, 1, y.bits + i);
    }
    session_destroy(&s);
    return y;
}

void case_release(yardstick *y) {
    free(y->bytes);
    free(y->bits);
    free(y->logits);
}

void case_check_logits(const yardstick *y, session *s, int stream) {
    size_t at = (size_t)session_position(s, stream);
    assert_memory_equal(y->logits + at * (size_t)y->vocabulary, case_logits(s, stream),
                        (size_t)y->vocabulary * sizeof *y->logits);
}

/* Everything in one feed, with and without bits. */
void case_check_whole(const yardstick *y, const model *m) {
    session *s = case_session(m, 2);
    float *bits = support_alloc(y->n, sizeof *bits);
    int a = case_join(s), b = case_join(s);
    case_feed(s, a, y->bytes, y->n, bits);
    case_feed(s, b, y->bytes, y->n, NULL);
    assert_memory_equal(bits, y->bits, y->n * sizeof *bits);
    case_check_logits(y, s, a);
    case_check_logits(y, s, b);
    free(bits);
    session_destroy(&s);
}

int case_collect(void *context, int64_t offset, const uint8_t *bytes, const float *bits, size_t n) {
    collected *c = context;
    assert_int_equal(offset, c->next);
    assert_ptr_equal(bytes, c->bytes + offset);
    assert_true(n > 0);
    memcpy(c->bits + offset, bits, n * sizeof *bits);
    c->next = offset + (int64_t)n;
    return c->stop_at >= 0 && c->next > c->stop_at;
}

void case_check_score(const yardstick *y, const model *m, size_t n) {
    float *bits = support_alloc(n, sizeof *bits);
    collected c = {bits, y->bytes, 0, -1};
    octet_score_params wanted = {.keep = -1, .visit = case_collect, .context = &c};
    double total = -1, sum = 0;
    support_ok(score_windows(m, y->bytes, n, &wanted, &total, &error), &error);
    assert_int_equal(c.next, n);
    if (n)
        assert_memory_equal(bits, y->bits, n * sizeof *bits);
    for (size_t i = 0; i < n; i++)
        sum += (double)y->bits[i];
    assert_true(total == sum);
    free(bits);
}
