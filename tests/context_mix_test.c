/* context_mix_test.c: probabilities improved by what was coded: the same on both sides, never lost.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "coder/context_mix.h"
#include "cpu/cpu.h"
#include "support.h"

static octet_error error;

/* Instruction sets, up to that of this processor. */
static const char *isas[CPU_ISAS];
static size_t n_isas;

/* What the model is made to expect. */
typedef enum belief { FLAT, RIGHT, WRONG, RANDOM, BELIEFS } belief;

static void believe(frequencies *f, belief kind, int byte, uint64_t *random) {
    const uint32_t free = FREQUENCY_TOTAL - 256; /* beyond the 1 that every byte has */
    const int sure = kind == RIGHT ? byte : (byte + 1) % 256;
    uint32_t below = 0;
    for (uint32_t i = 0; i < 256; i++) {
        f->below[i] = i + below;
        if (kind == FLAT)
            below += free / 256;
        else if (kind == RANDOM)
            below += (uint32_t)support_integer(random, 0, (free - below) / 16);
        else
            below += (int)i == sure ? free : 0;
    }
    f->below[256] = FREQUENCY_TOTAL;
}

typedef struct coded {
    range_encoder *streams;
    size_t n_streams;
    double bits;
    uint64_t hash; /* of all streams */
} coded;

static size_t coded_bytes(const coded *c) {
    size_t bytes = 0;
    for (size_t i = 0; i < c->n_streams; i++)
        bytes += c->streams[i].size;
    return bytes;
}

static void forget(coded *c) {
    for (size_t i = 0; i < c->n_streams; i++)
        free(c->streams[i].data);
    free(c->streams);
}

static coded encode(const uint8_t *data, size_t n, size_t each, belief kind, const char *isa) {
    coded c = {.n_streams = (n + each - 1) / each};
    context_mix *m;
    context_mix_expected x;
    frequencies f;
    uint64_t random = 9;
    support_ok(context_mix_create(&m, n, each, isa, &error), &error);
    c.streams = support_alloc(c.n_streams, sizeof *c.streams);
    for (size_t i = 0; i < c.n_streams; i++)
        range_encoder_start_empty(&c.streams[i]);
    for (size_t t = 0; t < each; t++)
        for (size_t i = 0; i * each + t < n; i++) {
            const uint8_t byte = data[i * each + t];
            believe(&f, kind, byte, &random);
            context_mix_expect(&x, m, &f, byte);
            c.bits += context_mix_encode(m, i, &x, byte, &c.streams[i]);
        }
    for (size_t i = 0; i < c.n_streams; i++) {
        range_encoder_finish(&c.streams[i]);
        assert_false(c.streams[i].failed);
        c.hash = XXH3_64bits_withSeed(c.streams[i].data, c.streams[i].size, c.hash);
    }
    assert_memory_equal(context_mix_content(m), data, n);
    context_mix_destroy(&m);
    return c;
}

static void decode(const coded *c, const uint8_t *data, size_t n, size_t each, belief kind,
                   const char *isa) {
    context_mix *m;
    frequencies f;
    uint64_t random = 9;
    support_ok(context_mix_create(&m, n, each, isa, &error), &error);
    range_decoder *d = support_alloc(c->n_streams, sizeof *d);
    for (size_t i = 0; i < c->n_streams; i++)
        range_decoder_start(&d[i], c->streams[i].data, c->streams[i].size);
    for (size_t t = 0; t < each; t++)
        for (size_t i = 0; i * each + t < n; i++) {
            const uint8_t byte = data[i * each + t];
            believe(&f, kind, byte, &random);
            assert_int_equal(context_mix_decode(m, i, &f, &d[i]), byte);
        }
    free(d);
    context_mix_destroy(&m);
}

typedef enum content { NOISE, ZEROS, WORDS, CYCLE, CONTENTS } content;

static void fill(uint8_t *data, size_t n, content kind) {
    static const char *const words[] = {"the ",  "model ",   "of ", "bytes ",
                                        "and\n", "Patches ", "in "};
    uint64_t random = 4;
    for (size_t i = 0; i < n;) {
        const char *word = words[support_integer(&random, 0, 6)];
        if (kind == WORDS) {
            while (*word && i < n)
                data[i++] = (uint8_t)*word++;
            continue;
        }
        data[i] = kind == NOISE   ? (uint8_t)support_integer(&random, 0, 255)
                  : kind == CYCLE ? (uint8_t)((i % 37) * 7)
                                  : 0;
        i++;
    }
}

static void bytes_come_back(void **state) {
    (void)state;
    static const struct {
        size_t n, each;
    } rows[] = {{1, 1}, {2, 1}, {7, 3}, {300, 300}, {1000, 64}, {1000, 999}, {5000, 400}};
    uint8_t data[5000];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (content k = 0; k < CONTENTS; k++)
            for (belief b = 0; b < BELIEFS; b++) {
                fill(data, rows[i].n, k);
                coded c = encode(data, rows[i].n, rows[i].each, b, isas[b % n_isas]);
                /* each decision loses next to nothing, the end of a stream a byte at most */
                assert_true((double)coded_bytes(&c) * 8 <=
                            c.bits * 1.0001 + 8 * (double)c.n_streams);
                decode(&c, data, rows[i].n, rows[i].each, b, isas[(b + k) % n_isas]);
                forget(&c);
            }
}

/* What repeats becomes cheap whatever the model says; what is noise costs hardly more than without;
 * a model that is right stays right. */
static void costs_are_sensible(void **state) {
    (void)state;
    enum { BYTES = 20000 };
    uint8_t *data = support_alloc(BYTES, 1);
    static const struct {
        content content;
        belief belief;
        double most; /* bits a byte */
    } rows[] = {{CYCLE, FLAT, 0.05},  {CYCLE, WRONG, 0.05}, {ZEROS, FLAT, 0.01}, {WORDS, FLAT, 0.7},
                {WORDS, RIGHT, 0.01}, {NOISE, RIGHT, 0.01}, {NOISE, FLAT, 8.03}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fill(data, BYTES, rows[i].content);
        coded c = encode(data, BYTES, 2500, rows[i].belief, isas[i % n_isas]);
        const double cost = (double)coded_bytes(&c) * 8 / BYTES;
        print_message("content %d, belief %d: %.4f bits a byte\n", rows[i].content, rows[i].belief,
                      cost);
        assert_true(cost <= rows[i].most);
        forget(&c);
    }
    free(data);
}

/* Files that exist decode only as long as these bits stay. */
static void bits_stay(void **state) {
    (void)state;
    enum { BYTES = 30000 };
    uint8_t *data = support_alloc(BYTES, 1);
    fill(data, BYTES / 2, WORDS);
    fill(data + BYTES / 2, BYTES / 2, NOISE);
    for (size_t i = 0; i < n_isas; i++) {
        coded c = encode(data, BYTES, 4000, RANDOM, isas[i]);
        print_message("%zu bytes, hash %016llx\n", coded_bytes(&c), (unsigned long long)c.hash);
        assert_int_equal(coded_bytes(&c), 16301);
        assert_true(c.hash == 0x0688b340e17ce6ed);
        forget(&c);
    }
    free(data);
}

/* Whatever is fed, the decoder gives bytes and ends. */
static void damage_decodes(void **state) {
    (void)state;
    uint64_t random = 6;
    for (int round = 0; round < 20; round++) {
        uint8_t noise[300];
        context_mix *m;
        frequencies f;
        range_decoder d[4];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)support_integer(&random, 0, 255);
        support_ok(context_mix_create(&m, 4000, 1000, "scalar", &error), &error);
        for (int i = 0; i < 4; i++)
            range_decoder_start(&d[i], noise, (size_t)support_integer(&random, 0, sizeof noise));
        for (int t = 0; t < 1000; t++)
            for (size_t i = 0; i < 4; i++) {
                believe(&f, (belief)(round % BELIEFS), t % 256, &random);
                assert_in_range(context_mix_decode(m, i, &f, &d[i]), 0, 255);
            }
        context_mix_destroy(&m);
    }
}

int main(void) {
    for (int isa = 0; isa <= (int)cpu_detect(); isa++)
        isas[n_isas++] = cpu_kernels_get((cpu_isa)isa)->name;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(costs_are_sensible),
        cmocka_unit_test(bits_stay),
        cmocka_unit_test(damage_decodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
