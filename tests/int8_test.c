/* int8_test.c: the arithmetic of integers: its bits from their definition, the same in all ways to
 * run a model, and close to the model's own.
 *
 * The ops themselves are held against references by op_test, on all instruction sets. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/exact.h"
#include "base/file.h"
#include "session_case.h"
#include "support.h"
#include "tiny_model.h"

static octet_error error;

#define SEED 17

/* --- reciprocals */

/* Largest error in units of the last place of 1/x and 1/sqrt(x) over a binade or two, which decide
 * all others, and at the ends of the range. */
static void reciprocals_are_close(void **state) {
    (void)state;
    double worst[2] = {0};
    for (uint32_t bits = 0x3f800000u; bits < 0x40800000u; bits += support_all() ? 1 : 61) {
        const float x = exact_float(bits);
        const double want[2] = {1 / (double)x, 1 / sqrt((double)x)};
        const float got[2] = {exact_reciprocal(x), exact_reciprocal_root(x)};
        for (int i = 0; i < 2; i++) {
            const double ulp = want[i] == 1 ? 0x1p-24 : ldexp(1, ilogb(want[i]) - 23);
            worst[i] = fmax(worst[i], fabs(got[i] - want[i]) / ulp);
        }
    }
    assert_true(worst[0] < 2 && worst[1] < 3);
    for (int e = -100; e <= 100; e += 10) {
        const float x = ldexpf(1.25f, e == 100 ? 99 : e);
        assert_true(fabs(exact_reciprocal(x) * (double)x - 1) < 0x1p-22);
        assert_true(fabs(exact_reciprocal_root(x) * sqrt((double)x) - 1) < 0x1p-21);
    }
}

/* --- attention, written out from its definition in MATH.md */

enum { TIME = 70, HEADS = 4, KEY_HEADS = 2, SIZE = 20, SEEN = 2 * TIME };

typedef struct integers {
    int q[SIZE];
    float scale;
} integers;

static integers round_to_integers(const float *x) {
    integers r;
    float a = 0;
    for (int d = 0; d < SIZE; d++)
        a = fmaxf(a, fabsf(x[d]));
    const float i = 127.0f * exact_reciprocal(a);
    for (int d = 0; d < SIZE; d++)
        r.q[d] = (int)rintf(x[d] * i);
    r.scale = a * (float)(1.0 / 127);
    return r;
}

/* o of row t of head h, which sees sinks and rows from `first` on. */
static void define_row(float *o, const float *q, const float *k, const float *v, int t, int h,
                       int first, int sinks, int slopes, float scale) {
    const integers query = round_to_integers(q + (t * HEADS + h) * SIZE);
    const int before = sinks < first ? sinks : first, g = h / (HEADS / KEY_HEADS);
    float s[SEEN], w[SEEN], lane[16] = {0}, m = -INFINITY, b = 0;
    int key[SEEN], n = 0, high[SIZE] = {0}, low[SIZE] = {0};
    for (int j = 0; j <= t; j++) {
        if (j >= before && j < first)
            continue;
        const integers row = round_to_integers(k + (j * KEY_HEADS + g) * SIZE);
        int sum = 0;
        for (int d = 0; d < SIZE; d++)
            sum += query.q[d] * row.q[d];
        s[n] = (float)sum * ((query.scale * scale) * row.scale);
        if (slopes)
            s[n] = s[n] - (float)pow(2, -8.0 * (h + 1) / HEADS) * (float)(t - j);
        m = s[n] > m ? s[n] : m;
        key[n++] = j;
    }
    for (int i = 0; i < n; i++) {
        const float p = exact_exp(s[i] - m);
        lane[key[i] % 16] += p;
        w[i] = p * round_to_integers(v + (key[i] * KEY_HEADS + g) * SIZE).scale;
        b = fmaxf(b, w[i]);
    }
    const float by = 16383.0f * exact_reciprocal(b);
    for (int i = 0; i < n; i++) {
        const integers row = round_to_integers(v + (key[i] * KEY_HEADS + g) * SIZE);
        const int weight = (int)rintf(w[i] * by);
        for (int d = 0; d < SIZE; d++) {
            high[d] += weight / 128 * row.q[d];
            low[d] += weight % 128 * row.q[d];
        }
    }
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    const float factor = (b * (float)(1.0 / 16383)) * exact_reciprocal(lane[0]);
    for (int d = 0; d < SIZE; d++)
        o[d] = (128.0f * (float)high[d] + (float)low[d]) * factor;
}

static void attention_follows_its_definition(void **state) {
    (void)state;
    const float scale = 0.2236068f;
    uint64_t random = SEED;
    for (int variant = 0; variant < 12; variant++) {
        const int sinks = variant % 3 * 9, slopes = variant / 3 % 2, far = variant / 6;
        graph *g = NULL;
        support_ok(graph_create(&g, &error), &error);
        tensor *in[3], *first = graph_input(g, "first", DTYPE_I32, 2, (int64_t[]){1, TIME});
        float *x[3], got[TIME * HEADS * SIZE], want[SIZE];
        int32_t from[TIME];
        for (int i = 0; i < 3; i++) {
            const int64_t heads = i ? KEY_HEADS : HEADS;
            in[i] = graph_input(g, "x", DTYPE_F32, 4, (int64_t[]){1, TIME, heads, SIZE});
            x[i] = support_alloc((size_t)(TIME * heads * SIZE), sizeof(float));
            support_fill(x[i], TIME * heads * SIZE, -3, 3, &random);
        }
        for (int t = 0; t < TIME; t++)
            from[t] = far ? (t > 25 ? t - 25 : 0) : t / 20 * 20;
        tensor *o = attention_int8(g, in[0], in[1], in[2], first, scale);
        o = slopes ? attention_slopes(g, o) : o;
        graph_output(g, attention_sinks(g, o, sinks, NULL, NULL));
        backend *cpu = tiny_backend(2, variant % 2 ? CPU_AVX512 : CPU_AVX2);
        program *p = NULL;
        support_ok(backend_compile(cpu, &p, g, &error), &error);
        for (int i = 0; i < 3; i++)
            support_ok(program_upload(p, in[i], x[i], &error), &error);
        support_ok(program_upload(p, first, from, &error), &error);
        support_ok(program_run(p, &error), &error);
        support_ok(program_download(p, o, got, &error), &error);
        for (int row = 0; row < TIME * HEADS; row++) {
            define_row(want, x[0], x[1], x[2], row / HEADS, row % HEADS, from[row / HEADS], sinks,
                       slopes, scale);
            assert_memory_equal(got + row * SIZE, want, sizeof want);
        }
        program_destroy(&p);
        backend_destroy(&cpu);
        graph_destroy(&g);
        for (int i = 0; i < 3; i++)
            free(x[i]);
    }
}

/* --- all ways to run a model */

static model *rounding_model(backend *b, int index) {
    model *m = tiny_model(b, index, SEED);
    m->arithmetic = ARITHMETIC_INT8;
    return m;
}

/* Byte by byte on plain C with one thread is what all others must give. */
static void whole_pieces_and_steps_agree(void **state) {
    (void)state;
    static const int threads[] = {2, 5, 1};
    for (int i = 0; i < TINY_LONG; i++) {
        backend *b = tiny_backend(1, CPU_SCALAR);
        model *m = rounding_model(b, i);
        yardstick y = case_measure(m, (size_t)(m->config.context * 3 / 2 + 5), 3);
        model_destroy(&m);
        backend_destroy(&b);
        for (int isa = CPU_SCALAR; isa < CPU_ISAS; isa++) {
            b = tiny_backend(threads[(isa + i) % 3], (cpu_isa)isa);
            m = rounding_model(b, i);
            case_check_whole(&y, m);
            case_check_score(&y, m, y.n);
            case_check_pieces(&y, m, (uint64_t)isa);
            case_check_batch(m, 5, support_all() ? 100 : 20, (uint64_t)i);
            model_destroy(&m);
            backend_destroy(&b);
        }
        case_release(&y);
    }
}

/* Saved and restored at every byte of a while; not by a session of the other arithmetic. */
static void saved_streams_come_back(void **state) {
    (void)state;
    backend *b = tiny_backend(2, CPU_AVX512);
    model *m = rounding_model(b, TINY_PAPER), *plain = tiny_model(b, TINY_PAPER, SEED);
    yardstick y = case_measure(m, (size_t)m->config.context + 20, 4);
    session *from = case_session(m, 2), *to = case_session(m, 1), *other = case_session(plain, 1);
    int stream = case_join(from), back = case_join(to), wrong = case_join(other);
    for (size_t n = 0; n < y.n; n++) {
        const size_t size = session_save_bytes(from);
        void *saved = support_alloc(size, 1);
        support_ok(session_save(from, stream, saved, size, &error), &error);
        support_ok(session_restore(to, back, saved, size, &error), &error);
        case_check_logits(&y, to, back);
        case_feed(to, back, y.bytes + n, y.n - n, NULL);
        case_check_logits(&y, to, back);
        assert_int_equal(session_restore(other, wrong, saved, size, &error), OCTET_WRONG_MODEL);
        case_feed(from, stream, y.bytes + n, 1, NULL);
        free(saved);
    }
    session_destroy(&from);
    session_destroy(&to);
    session_destroy(&other);
    case_release(&y);
    model_destroy(&m);
    model_destroy(&plain);
    backend_destroy(&b);
}

/* --- the bundled model */

static void bundled_model_loses_little(void **state) {
    (void)state;
    octet_runtime *runtime;
    octet_model *m;
    octet_bytes text;
    double bits[2];
    support_ok(octet_runtime_create(&runtime, NULL, &error), &error);
    support_ok(octet_model_open(&m, runtime, OCTET_SAMPLES "/models/text.safetensors", &error),
               &error);
    support_ok(octet_bytes_open(&text, OCTET_SAMPLES "/text/sample.txt", &error), &error);
    const size_t n = text.size < 8192 ? text.size : 8192;
    for (int profile = 0; profile < 2; profile++) {
        const octet_score_params p = {.keep = -1, .profile = (octet_profile)profile};
        support_ok(octet_score(m, text.data, n, &p, &bits[profile], &error), &error);
    }
    assert_true(bits[0] != bits[1]);
    assert_true(fabs(bits[1] - bits[0]) / (double)n < 0.01);
    const octet_score_params unknown = {.keep = -1, .profile = (octet_profile)7};
    assert_int_equal(octet_score(m, text.data, n, &unknown, &bits[0], &error), OCTET_ERROR);
    octet_bytes_close(&text);
    octet_model_destroy(&m);
    octet_runtime_destroy(&runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reciprocals_are_close),
        cmocka_unit_test(attention_follows_its_definition),
        cmocka_unit_test(whole_pieces_and_steps_agree),
        cmocka_unit_test(saved_streams_come_back),
        cmocka_unit_test(bundled_model_loses_little),
    };
    return cmocka_run_group_tests_name("int8", tests, NULL, NULL);
}
