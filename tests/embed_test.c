/* embed_test.c: what a level embeds beside its own bytes: rows of n-gram tables, and the encoder.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph_run.h"
#include "patch/encoder.h"
#include "patch/ngrams.h"
#include "ref_backend.h"
#include "support.h"
#include "tiny_model.h"

static octet_error error;

/* --- rows of n-gram tables */

static void pairs_have_rows_of_their_own(void **state) {
    (void)state;
    const ngram_set s = {.sizes = 1 << 2, .rows = 5};
    uint8_t *taken = support_alloc(65536, 1);
    assert_int_equal(ngram_table_rows(&s), 65537);
    for (int pair = 0; pair < 65536; pair++) {
        const uint8_t bytes[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        int32_t row;
        ngram_indices(&row, &s, bytes, 0, 2);
        assert_true(row >= 0 && row < 65536 && !taken[row]);
        taken[row] = 1;
        ngram_indices(&row, &s, bytes, 0, 1);
        assert_int_equal(row, 65536);
    }
    free(taken);
}

/* Each n has its own rows, the last of them for what would begin before the window. */
static void rows_lie_one_table_below_the_other(void **state) {
    (void)state;
    const ngram_set s = {.sizes = 1 << 2 | 1 << 5 | 1 << 8, .rows = 10};
    uint64_t random = 3;
    uint8_t bytes[40];
    int32_t row[3];
    assert_int_equal(ngram_count(&s), 3);
    assert_int_equal(ngram_table_rows(&s), 65537 + 11 + 11);
    for (int i = 0; i < 40; i++)
        bytes[i] = (uint8_t)support_integer(&random, 0, 255);
    for (int64_t end = -3; end <= 40; end++) {
        ngram_indices(row, &s, bytes, 0, end);
        if (end < 2)
            assert_int_equal(row[0], 65536);
        else
            assert_true(row[0] >= 0 && row[0] < 65536);
        if (end < 5)
            assert_int_equal(row[1], 65537 + 10);
        else
            assert_true(row[1] >= 65537 && row[1] < 65537 + 10);
        if (end < 8)
            assert_int_equal(row[2], 65537 + 21);
        else
            assert_true(row[2] >= 65537 + 11 && row[2] < 65537 + 21);
    }
}

/* The same bytes elsewhere take the same rows, whatever stands before and behind them. */
static void rows_hang_on_the_last_bytes_only(void **state) {
    (void)state;
    const ngram_set s = {.sizes = 0x1fc, .rows = 1 << 20};
    uint64_t random = 5;
    for (int round = 0; round < 200; round++) {
        uint8_t a[24], b[24];
        int32_t rows_a[7], rows_b[7];
        int64_t at = support_integer(&random, 8, 24), shared = support_integer(&random, 2, 8);
        for (int i = 0; i < 24; i++) {
            a[i] = (uint8_t)support_integer(&random, 0, 255);
            b[i] = (uint8_t)support_integer(&random, 0, 255);
        }
        memcpy(b + at - shared, a + 12 - shared, (size_t)shared);
        if (at > shared)
            b[at - shared - 1] = a[11 - shared] ^ 1;
        ngram_indices(rows_a, &s, a, 0, 12);
        ngram_indices(rows_b, &s, b, 0, at);
        for (int n = 2; n <= 8; n++)
            assert_int_equal(rows_a[n - 2] == rows_b[n - 2], n <= shared);
    }
}

/* 256 keys that differ in one byte, thrown into 1,024 rows by chance, would hit 226 of them and
 * hardly ever less than 200; and 16,384 keys would put 16 into a row, hardly ever more than 40. */
static void hash_spreads_every_byte(void **state) {
    (void)state;
    const ngram_set s = {.sizes = 1 << 8, .rows = 1024};
    uint8_t bytes[8] = "n-grams";
    int32_t row;
    for (int k = 0; k < 8; k++) {
        int hit[1024] = {0}, rows = 0;
        for (int value = 0; value < 256; value++) {
            bytes[k] = (uint8_t)value;
            ngram_indices(&row, &s, bytes, 0, 8);
            rows += !hit[row]++;
        }
        assert_true(rows >= 200);
    }
    int hits[1024] = {0};
    for (int i = 0; i < 16384; i++) {
        memcpy(bytes, "aaaaaaaa", 8);
        for (int k = 0; k < 7; k++) /* two bits a byte: letters that differ in few bits */
            bytes[k] = (uint8_t)('a' + (i >> (2 * k) & 3));
        ngram_indices(&row, &s, bytes, 0, 8);
        assert_true(++hits[row] <= 40);
    }
}

/* --- the encoder */

/* The filters as they are defined, in double precision; y and x are [length][width]. */
static void encode(double *x, int64_t length, int64_t width, double *const *w) {
    static const int taps[] = {3, 5, 7};
    double *y = support_alloc((size_t)(length * width), sizeof *y);
    for (int f = 0; f < 3; f++) {
        for (int64_t at = 0; at < length * width; at++) {
            int64_t t = at / width, o = at % width;
            double sum = 0;
            for (int64_t k = 0; k < taps[f]; k++)
                for (int64_t i = 0; i < width && t + k - taps[f] + 1 >= 0; i++)
                    sum +=
                        w[f][(o * taps[f] + k) * width + i] * x[(t + k - taps[f] + 1) * width + i];
            y[at] = x[at] + sum / (1 + exp(-sum));
        }
        memcpy(x, y, (size_t)(length * width) * sizeof *x);
    }
    free(y);
}

/* Two lanes on both backends against the definition. Sums of up to 42 products below 2 in f32,
 * through three filters: 1e-5. */
static void encoder_is_three_filters(void **state) {
    (void)state;
    enum { LANES = 2, LENGTH = 19, WIDTH = 6, N = LANES * LENGTH * WIDTH };
    for (int kind = 0; kind < 2; kind++) {
        backend *b = NULL;
        if (kind)
            support_ok(ref_backend_create(&b, &error), &error);
        else
            b = tiny_backend(1, CPU_AVX512);
        params p;
        encoder_layer l;
        params_init(&p, b);
        encoder_create(&l, &p, "levels.0", WIDTH, 0.7);
        assert_int_equal(p.n, 3);
        support_ok(params_reset(&p, 8, &error), &error);
        double *w[3];
        for (int f = 0; f < 3; f++) {
            int64_t n = variable_elements(&p.list[f]->v);
            float *values = support_alloc((size_t)n, sizeof *values);
            w[f] = support_alloc((size_t)n, sizeof **w);
            support_ok(backend_read(b, &p.list[f]->v, 0, n, values, &error), &error);
            for (int64_t i = 0; i < n; i++)
                w[f][i] = (double)values[i];
            free(values);
        }
        graph *g = graph_run_new();
        tensor *x = graph_input(g, "x", DTYPE_F32, 3, (int64_t[]){LANES, LENGTH, WIDTH});
        tensor *y = graph_output(g, encoder_forward(g, &l, x));
        support_ok(graph_check(g, &error), &error);
        float *in = graph_run_floats(N, 4);
        float *out = graph_run_once(b, g, y, 1, (feed[]){{x, in}});
        for (int lane = 0; lane < LANES; lane++) {
            double expected[LENGTH * WIDTH];
            for (int i = 0; i < LENGTH * WIDTH; i++)
                expected[i] = (double)in[lane * LENGTH * WIDTH + i];
            encode(expected, LENGTH, WIDTH, w);
            for (int i = 0; i < LENGTH * WIDTH; i++)
                assert_true(fabs((double)out[lane * LENGTH * WIDTH + i] - expected[i]) < 1e-5);
        }
        for (int f = 0; f < 3; f++)
            free(w[f]);
        free(in);
        free(out);
        graph_destroy(&g);
        params_finish(&p);
        backend_destroy(&b);
    }
}

/* --- in a model */

static const char *const PLAIN =
    "{\"context\": 48, \"zero_pad\": %s, \"levels\": ["
    "{\"dim\": 32, \"layers\": 1, \"heads\": 2, \"patch\": 4%s},"
    "{\"dim\": 24, \"layers\": 1, \"heads\": 3, \"patch\": 2, \"positions\": \"learned\"%s},"
    "{\"dim\": 12, \"layers\": 1, \"heads\": 1%s}]}";

static model *make(backend *b, const char *zero_pad, const char *above, const char *last) {
    char text[1024];
    config c;
    model *m = NULL;
    snprintf(text, sizeof text, PLAIN, zero_pad, above, above, last);
    support_ok(config_parse(&c, text, strlen(text), "text", &error), &error);
    support_ok(model_create(&m, b, &c, &error), &error);
    support_ok(params_reset(&m->params, 6, &error), &error);
    return m;
}

static float *logits_of(const model *m, const uint8_t *bytes) {
    level_rows rows[CONFIG_MAX_LEVELS];
    row_arrays arrays[CONFIG_MAX_LEVELS];
    graph *g = graph_run_new();
    for (int s = 0; s < m->config.n_levels; s++)
        model_rows_inputs(g, m, s, 1, model_window_rows(m, s), 0, &rows[s]);
    tensor *logits = graph_output(g, model_forward(g, m, rows));
    program *p = graph_run_compile(m->backend, g);
    for (int s = 0; s < m->config.n_levels; s++) {
        int64_t n = model_window_rows(m, s);
        support_ok(row_arrays_create(&arrays[s], &m->shape[s], 1, n, &error), &error);
        for (int64_t t = 0; t < n; t++)
            row_fill(&arrays[s], &m->shape[s], 0, t, t, bytes, row_parent(&m->shape[s], t),
                     m->table[s]);
        support_ok(model_rows_upload(p, &rows[s], &arrays[s], &error), &error);
        row_arrays_finish(&arrays[s]);
    }
    graph_run(p, 0, NULL);
    float *values = graph_run_result(p, logits);
    program_destroy(&p);
    graph_destroy(&g);
    return values;
}

static void check_identity(const char *zero_pad) {
    backend *b = tiny_backend(1, CPU_AVX512);
    model *plain = make(b, zero_pad, "", "");
    model *looks =
        make(b, zero_pad, ", \"conv_encoder\": true, \"ngrams\": [3]", ", \"ngrams\": [2, 4]");
    for (int i = 0; i < plain->params.n; i++) {
        variable *v = &plain->params.list[i]->v;
        support_ok(params_copy_one(b, &params_find(&looks->params, v->name)->v, v, &error), &error);
    }
    uint8_t bytes[48];
    tiny_bytes(bytes, sizeof bytes, 2);
    float *a = logits_of(plain, bytes), *c = logits_of(looks, bytes);
    assert_memory_equal(a, c, 48 * 256 * sizeof *a);
    /* One filter that has learned: the check sees what it should see. */
    variable *filter = &params_find(&looks->params, "levels.0.encoder.filter3")->v;
    const float one = 1;
    support_ok(backend_write(b, filter, 0, 1, &one, &error), &error);
    float *d = logits_of(looks, bytes);
    assert_memory_not_equal(a, d, 48 * 256 * sizeof *a);
    free(a);
    free(c);
    free(d);
    model_destroy(&plain);
    model_destroy(&looks);
    backend_destroy(&b);
}

/* With the default, zero_init, new weights change nothing until they have learned something, and
 * starts are what they were. */
static void untrained_is_the_identity(void **state) {
    (void)state;
    check_identity("false");
    check_identity("true");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_have_rows_of_their_own),
        cmocka_unit_test(rows_lie_one_table_below_the_other),
        cmocka_unit_test(rows_hang_on_the_last_bytes_only),
        cmocka_unit_test(hash_spreads_every_byte),
        cmocka_unit_test(encoder_is_three_filters),
        cmocka_unit_test(untrained_is_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
