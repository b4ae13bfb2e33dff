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

void case_check_pieces(const yardstick *y, const model *m, uint64_t seed) {
    session *s = case_session(m, 1);
    float *bits = support_alloc(y->n, sizeof *bits);
    int stream = case_join(s);
    for (size_t at = 0; at < y->n;) {
        int64_t most = support_integer(&seed, 0, 3) ? 12 : 150;
        size_t n = (size_t)support_integer(&seed, 0, most);
        n = n < y->n - at ? n : y->n - at;
        int wanted = (int)support_integer(&seed, 0, 1);
        case_feed(s, stream, y->bytes + at, n, wanted ? bits : NULL);
        if (wanted && n)
            assert_memory_equal(bits, y->bits + at, n * sizeof *bits);
        at += n;
        assert_int_equal(session_position(s, stream), at);
        case_check_logits(y, s, stream);
    }
    free(bits);
    session_destroy(&s);
}

void case_check_batch(const model *m, int streams, int rounds, uint64_t seed) {
    size_t most = (size_t)m->config.context + 40;
    session *s = case_session(m, streams);
    int joined = 0;
    yardstick *y = support_alloc((size_t)streams, sizeof *y);
    octet_feed *feeds = support_alloc((size_t)streams, sizeof *feeds);
    float *bits = support_alloc((size_t)streams * 64, sizeof *bits);
    for (int i = 0; i < streams; i++)
        y[i].bytes = NULL;
    for (int round = 0; round < rounds; round++) {
        if (joined < streams && support_integer(&seed, 0, 2)) {
            int i = case_join(s);
            joined++;
            y[i] = case_measure(m, most, (uint64_t)support_integer(&seed, 0, 1000));
            case_check_logits(&y[i], s, i);
        }
        int n = 0;
        int64_t together = support_integer(&seed, 0, 2); /* 1: everybody one byte */
        for (int i = streams - 1; i >= 0; i--) {
            if (!y[i].bytes)
                continue;
            size_t at = (size_t)session_position(s, i), left = most - at;
            size_t size = together ? 1 : (size_t)support_integer(&seed, 0, 30);
            size = size < left ? size : left;
            if (!left) {
                support_ok(session_leave(s, i, &error), &error);
                case_release(&y[i]);
                y[i].bytes = NULL;
                joined--;
            } else if (together || support_integer(&seed, 0, 1)) {
                feeds[n++] = (octet_feed){i, y[i].bytes + at, size, bits + i * 64};
            }
        }
        support_ok(session_feed(s, feeds, n, &error), &error);
        for (int k = 0; k < n; k++) {
            const yardstick *of = &y[feeds[k].stream];
            size_t begin = (size_t)(feeds[k].bytes - of->bytes);
            assert_memory_equal(feeds[k].bits, of->bits + begin, feeds[k].n * sizeof *bits);
        }
        for (int i = 0; i < streams; i++)
            if (y[i].bytes)
                case_check_logits(&y[i], s, i);
    }
    for (int i = 0; i < streams; i++)
        if (y[i].bytes)
            case_release(&y[i]);
    free(y);
    free(feeds);
    free(bits);
    session_destroy(&s);
}
