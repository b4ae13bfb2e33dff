/* utf8_test.c: generating UTF-8: the automaton against a validator that decodes, the sampler
 * against the renormalised distribution, and both around a model. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/sampler.h"
#include "octet/octet.h"
#include "support.h"

static octet_error error;

/* Bytes of the character at the start of n > 0 bytes, by decoding it: the value must need so many
 * bytes and be a scalar value. 0: there is none. */
static size_t decode(const uint8_t *bytes, size_t n) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value = bytes[0];
    size_t length = 1;
    if (value >= 0x80) {
        length = 0;
        while (length < 8 && value << length & 0x80)
            length++;
        if (length < 2 || length > 4 || length > n)
            return 0;
        value &= 0x7fu >> length;
    }
    for (size_t i = 1; i < length; i++) {
        if (bytes[i] >> 6 != 2)
            return 0;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    return value >= least[length] && value <= 0x10ffff && value >> 11 != 0x1b ? length : 0;
}

static int is_valid(const uint8_t *bytes, size_t n) {
    for (size_t at = 0, length; at < n; at += length)
        if (!(length = decode(bytes + at, n - at)))
            return 0;
    return 1;
}

/* Can the n bytes, which hold no whole character, be completed with exactly `more` bytes? Tries
 * what is enough: the extremes of every byte's range are among these. */
static int completes(const uint8_t *begun, size_t n, int64_t more) {
    static const uint8_t next[] = {0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf};
    uint8_t bytes[8];
    memcpy(bytes, begun, n);
    if (more == 0)
        return decode(bytes, n) == n;
    for (size_t i = 0; i < sizeof next; i++) {
        bytes[n] = next[i];
        if (n < 4 && completes(bytes, n + 1, more - 1))
            return 1;
    }
    return 0;
}

static int completes_within(const uint8_t *begun, size_t n, int64_t left) {
    for (int64_t more = 0; more < 4 && (left < 0 || more <= left); more++)
        if (completes(begun, n, more))
            return 1;
    return 0;
}

/* --- the automaton */

/* From every state, reached through every beginning, with every number of bytes left. */
static void check_beginning(uint8_t *begun, size_t n) {
    octet_utf8 state = {0};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(octet_utf8_push(&state, begun[i]), 1);
    for (int64_t left = -1; left <= 5; left++) {
        uint8_t allowed[OCTET_SYMBOLS];
        int counted = 0, n_allowed = octet_utf8_allow(&state, left, allowed);
        for (int byte = 0; byte < 256; byte++) {
            begun[n] = (uint8_t)byte;
            int right = left != 0 && completes_within(begun, n + 1, left < 0 ? -1 : left - 1);
            if (allowed[byte] != right)
                fail_msg("%zu bytes begun, %d more: byte %d is %sallowed", n, (int)left, byte,
                         right ? "not " : "");
            counted += right;
        }
        assert_int_equal(n_allowed, counted);
        assert_int_equal(allowed[256], n == 0);
    }
}

static void automaton_allows_what_completes(void **state) {
    (void)state;
    uint8_t begun[8];
    int beginnings = 1;
    check_beginning(begun, 0);
    for (int a = 0; a < 256; a++) {
        begun[0] = (uint8_t)a;
        if (decode(begun, 1) || !completes_within(begun, 1, -1))
            continue;
        check_beginning(begun, 1);
        beginnings++;
        for (int b = 0; b < 256; b++) {
            begun[0] = (uint8_t)a, begun[1] = (uint8_t)b;
            if (decode(begun, 2) || !completes_within(begun, 2, -1))
                continue;
            check_beginning(begun, 2);
            begun[2] = (uint8_t)(0x80 + b % 64);
            if (!decode(begun, 3))
                check_beginning(begun, 3);
            beginnings++;
        }
    }
    /* nothing; the leads; a second byte behind e0 to ef, of which e0 and ed take half, and f0 to f4
     */
    assert_int_equal(beginnings, 1 + (30 + 16 + 5) + (14 * 64 + 2 * 32) + (3 * 64 + 48 + 16));
}

/* Any bytes: the state after them is that of the last character that is begun. */
static void automaton_starts_anew(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        int first_wrong, left;
    } rows[] = {
        {"abc", -1, 0},
        {"\xc3", -1, 1},
        {"\xe2\x82", -1, 1},
        {"\xf0", -1, 3},
        {"\x80", 0, 0},
        {"\xc0\x80", 0, 0},
        {"\xc3"
         "a",
         1, 0},
        {"\xe2\x82\xc3", 2, 1},
        {"\xed\xa0", 1, 0},
        {"\xf4\x90\xc3", 1, 1},
        {"\xf5\xe2", 0, 2},
        {"\xff\xf0\x9f\x98", 0, 1},
        {"\xe0\x9f", 1, 0},
        {"\xf0\x8f\xc2\xa9", 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        octet_utf8 s = {0};
        int wrong = -1;
        for (int k = 0; rows[i].bytes[k]; k++)
            if (!octet_utf8_push(&s, (uint8_t)rows[i].bytes[k]) && wrong < 0)
                wrong = k;
        assert_int_equal(wrong, rows[i].first_wrong);
        assert_int_equal(s.left, rows[i].left);
    }
}

/* --- the sampler */

static const octet_sampling ways[] = {
    {.temperature = 0},
    {.temperature = 1},
    {.temperature = 0.6f},
    {.temperature = 1, .top_k = 5},
    {.temperature = 2, .top_k = 40, .top_p = 0.9f},
    {.temperature = 1, .top_p = 0.5f},
    {.temperature = 1, .min_p = 0.2f},
    {.temperature = 1e6f},
    {.temperature = 1e-6f},
};

/* A mask is the distribution without the masked symbols: the same draws as from logits of -inf. */
static void masks_are_minus_infinity(void **state) {
    (void)state;
    uint64_t seed = 11;
    for (int i = 0; i < 4000; i++) {
        float logits[OCTET_SYMBOLS], without[OCTET_SYMBOLS];
        uint8_t allowed[OCTET_SYMBOLS];
        int n = i % 3 ? 256 : (int)support_integer(&seed, 1, OCTET_SYMBOLS);
        support_fill(logits, n, -9, 9, &seed);
        for (int k = 0; k < n; k++) {
            allowed[k] = support_integer(&seed, 0, 99) < i % 100;
            if (support_integer(&seed, 0, 20) == 0)
                logits[k] = -INFINITY;
        }
        allowed[support_integer(&seed, 0, n - 1)] = 1;
        for (int k = 0; k < n; k++)
            without[k] = allowed[k] ? logits[k] : -INFINITY;
        octet_sampling p = ways[i % (int)(sizeof ways / sizeof *ways)];
        int expected = -1, symbol = -1;
        octet_status wanted = sampler_draw(&expected, without, n, &p, (uint64_t)i, &error);
        p.allowed = allowed;
        assert_int_equal(sampler_draw(&symbol, logits, n, &p, (uint64_t)i, &error), wanted);
        if (wanted) {
            assert_string_equal(error.text, "no allowed byte has a probability above 0");
            continue;
        }
        assert_int_equal(symbol, expected);
        assert_int_equal(allowed[symbol], 1);
    }
}

static void mass_is_renormalised(void **state) {
    (void)state;
    enum { DRAWS = 60000 };
    float logits[256];
    int count[256] = {0};
    uint8_t allowed[OCTET_SYMBOLS] = {0};
    uint64_t seed = 12;
    double sum = 0, chi = 0;
    support_fill(logits, 256, -2, 2, &seed);
    logits[3] = 20; /* nearly all of the mass is not allowed */
    for (int i = 0; i < 256; i++) {
        allowed[i] = i % 3 == 1;
        sum += allowed[i] ? exp((double)logits[i]) : 0;
    }
    const octet_sampling p = {.temperature = 1, .seed = 7, .allowed = allowed};
    for (int i = 0; i < DRAWS; i++) {
        int symbol;
        support_ok(sampler_draw(&symbol, logits, 256, &p, (uint64_t)i, &error), &error);
        count[symbol]++;
    }
    for (int i = 0; i < 256; i++) {
        double expected = allowed[i] ? DRAWS * exp((double)logits[i]) / sum : 0;
        if (!allowed[i])
            assert_int_equal(count[i], 0);
        else
            chi += (count[i] - expected) * (count[i] - expected) / expected;
    }
    /* 84 degrees of freedom: deviation 13; 6 deviations */
    assert_true(chi < 84 + 6 * 13);
}

static void nothing_allowed_is_an_error(void **state) {
    (void)state;
    float logits[256];
    uint8_t allowed[OCTET_SYMBOLS] = {0};
    const octet_sampling p = {.temperature = 1, .allowed = allowed};
    int symbol = -1;
    for (int i = 0; i < 256; i++)
        logits[i] = 1;
    assert_int_equal(sampler_draw(&symbol, logits, 256, &p, 0, &error), OCTET_ERROR);
    allowed[65] = 1;
    support_ok(sampler_draw(&symbol, logits, 256, &p, 0, &error), &error);
    assert_int_equal(symbol, 65);
    logits[65] = -INFINITY;
    assert_int_equal(sampler_draw(&symbol, logits, 256, &p, 0, &error), OCTET_ERROR);
    assert_string_equal(error.text, "no allowed byte has a probability above 0");
    logits[65] = 1;
    logits[66] = NAN; /* a model that is broken is one, wherever it shows */
    assert_int_equal(sampler_draw(&symbol, logits, 256, &p, 0, &error), OCTET_ERROR);
    assert_string_equal(error.text, "the logits of the next byte are not finite");
}

/* --- around a model */

typedef struct generated {
    uint8_t *bytes;
    size_t n;
} generated;

/* Up to `limit` bytes behind a prompt. */
static generated generate(octet_session *session, octet_sampling p, const char *prompt,
                          int64_t limit) {
    generated g = {support_alloc((size_t)limit + 1, 1), 0};
    octet_utf8 state = {0};
    uint8_t allowed[OCTET_SYMBOLS];
    int stream;
    p.allowed = allowed;
    support_ok(octet_session_join(session, &stream, &error), &error);
    octet_feed feed = {stream, (const uint8_t *)prompt, strlen(prompt), NULL};
    support_ok(octet_session_feed(session, &feed, 1, &error), &error);
    for (size_t i = 0; prompt[i]; i++)
        octet_utf8_push(&state, (uint8_t)prompt[i]);
    while (octet_utf8_allow(&state, limit - (int64_t)g.n, allowed)) {
        uint8_t *byte = &g.bytes[g.n++];
        support_ok(octet_session_sample(session, stream, &p, byte, &error), &error);
        assert_int_equal(octet_utf8_push(&state, *byte), 1);
        feed = (octet_feed){stream, byte, 1, NULL};
        support_ok(octet_session_feed(session, &feed, 1, &error), &error);
    }
    support_ok(octet_session_leave(session, stream, &error), &error);
    return g;
}

static const char model_json[] =
    "{\"context\": 64, \"zero_pad\": true, \"levels\": ["
    "{\"dim\": 8, \"layers\": 1, \"heads\": 1, \"patch\": 4, \"zero_init\": false},"
    "{\"dim\": 8, \"layers\": 1, \"heads\": 1, \"zero_init\": false}]}";

static void random_models_write_utf8(void **state) {
    (void)state;
    octet_runtime *runtime;
    octet_model *model;
    octet_session *session;
    octet_runtime_params params = {.threads = 1};
    int seen[5] = {0};
    support_ok(octet_runtime_create(&runtime, &params, &error), &error);
    support_ok(octet_model_create(&model, runtime, model_json, "x", 5, &error), &error);
    support_ok(octet_session_create(&session, model, NULL, &error), &error);
    static const char *const prompts[] = {"", "a", "\xc3", "\xe2\x82", "\xf0\x9f", "\xf0", "\xed"};
    size_t total = 0;
    for (size_t i = 0; total < 100000; i++) {
        const char *prompt = prompts[i % 7];
        octet_sampling p = ways[1 + i % 7];
        int64_t limit = i < 400 ? (int64_t)(i % 10) : 20000;
        p.seed = i;
        generated g = generate(session, p, prompt, limit);
        /* whole characters, together with the part of one that the prompt ends with */
        uint8_t *all = support_alloc(g.n + 9, 1);
        size_t begun = strlen(prompt);
        memcpy(all, prompt, begun);
        memcpy(all + begun, g.bytes, g.n);
        octet_utf8 s = {0};
        for (size_t k = 0; k < begun; k++)
            octet_utf8_push(&s, all[k]);
        if (s.left <= limit) {
            assert_true(is_valid(all, begun + g.n));
            assert_int_equal((int64_t)g.n, limit);
        } else {
            assert_int_equal(g.n, 0);
        }
        for (size_t at = 0; s.left <= limit && at < begun + g.n;) {
            size_t length = decode(all + at, begun + g.n - at);
            seen[length]++;
            at += length;
        }
        total += g.n;
        free(all);
        free(g.bytes);
    }
    print_message("%zu bytes: %d, %d, %d, %d characters of 1 to 4 bytes\n", total, seen[1], seen[2],
                  seen[3], seen[4]);
    assert_true(seen[1] > 1000 && seen[2] > 1000 && seen[3] > 1000 && seen[4] > 500);
    octet_session_destroy(&session);
    octet_model_destroy(&model);
    octet_runtime_destroy(&runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(automaton_allows_what_completes),
        cmocka_unit_test(automaton_starts_anew),
        cmocka_unit_test(masks_are_minus_infinity),
        cmocka_unit_test(mass_is_renormalised),
        cmocka_unit_test(nothing_allowed_is_an_error),
        cmocka_unit_test(random_models_write_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
