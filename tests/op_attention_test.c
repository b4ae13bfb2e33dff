/* op_attention_test.c: attention over a whole sequence, in pieces over a cache, and past its range.
 *
 * A sequence must give the same bits at once and in any pieces, in any slot, beside any other
 * lanes; and what a row does not see can not touch it, not even a NaN. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph_run.h"
#include "op_cases.h"
#include "support.h"

/* Every test of this file runs on every instruction set, on two threads. */
static backend *open_backend(int isa) {
    return graph_run_cpu(2, (cpu_isa)isa);
}

/* --- attention: the whole and its pieces --- */

/* One sequence of T rows, in a ring of R rows; row t sees the last `window` rows and `sinks`. */
enum { T = 200, H = 4, G = 2, D = 24, SLOTS = 3 };

static float *attention_whole(backend *b, const float *q, const float *k, const float *v,
                              int window, int sinks) {
    graph *g = graph_run_new();
    int32_t first[T];
    for (int t = 0; t < T; t++) {
        first[t] = t < window ? 0 : t - window + 1;
    }
    tensor *tq = graph_input(g, "q", DTYPE_F32, SHAPE(1, T, H, D));
    tensor *tk = graph_input(g, "k", DTYPE_F32, SHAPE(1, T, G, D));
    tensor *tv = graph_input(g, "v", DTYPE_F32, SHAPE(1, T, G, D));
    tensor *tf = graph_input(g, "first", DTYPE_I32, SHAPE(1, T));
    tensor *o = graph_output(g, attention(g, NULL, tq, tk, tv, tf, 0.2f));
    attention_sinks(g, o, sinks, NULL, NULL);
    const feed feeds[] = {{tq, q}, {tk, k}, {tv, v}, {tf, first}};
    float *y = graph_run_once(b, g, o, 4, feeds);
    graph_destroy(&g);
    return y;
}

/* A program that stores and attends `rows` rows of one lane; keys and values of the ring, and of
 * sinks where there are any. */
typedef struct step {
    graph *g;
    program *p;
    tensor *q, *k, *v, *slot, *pos, *count, *first, *o;
} step;

static void step_open(step *s, backend *b, variable *keys, variable *values, int rows, int sinks) {
    graph *g = s->g = graph_run_new();
    s->q = graph_input(g, "q", DTYPE_F32, SHAPE(1, rows, H, D));
    s->k = graph_input(g, "k", DTYPE_F32, SHAPE(1, rows, G, D));
    s->v = graph_input(g, "v", DTYPE_F32, SHAPE(1, rows, G, D));
    s->slot = graph_input(g, "slot", DTYPE_I32, SHAPE(1));
    s->pos = graph_input(g, "pos", DTYPE_I32, SHAPE(1));
    s->count = graph_input(g, "count", DTYPE_I32, SHAPE(1));
    s->first = graph_input(g, "first", DTYPE_I32, SHAPE(1, rows));
    tensor *tk = store(g, graph_variable(g, keys), s->k, s->slot, s->pos, s->count);
    tensor *tv = store(g, graph_variable(g, values), s->v, s->slot, s->pos, s->count);
    tensor *sink[2];
    for (int i = 0; i < 2 && sinks; i++) {
        sink[i] = store_first(g, graph_variable(g, i ? &values[1] : &keys[1]), i ? s->v : s->k,
                              s->slot, s->pos, s->count);
    }
    s->o = graph_output(
        g, attention_cached(g, s->q, tk, tv, s->slot, s->pos, s->count, s->first, 0.2f));
    if (sinks) {
        attention_sinks(g, s->o, sinks, sink[0], sink[1]);
    }
    s->p = graph_run_compile(b, g);
}

static void step_close(step *s) {
    program_destroy(&s->p);
    graph_destroy(&s->g);
}

static const int chunk_rows[] = {1, 4, 16, 33};

/* Rows at or past `rows` of the chunk are padding, and NaN. */
static void step_run(step *s, const float *q, const float *k, const float *v, int slot, int pos,
                     int rows, int all, int window, float *out) {
    float *padded[3];
    const float *const source[3] = {q + pos * H * D, k + pos * G * D, v + pos * G * D};
    const int width[3] = {H * D, G * D, G * D};
    const int32_t lane_slot = slot, lane_pos = pos, lane_count = rows;
    int32_t first[40] = {0};
    for (int i = 0; i < 3; i++) {
        padded[i] = support_alloc((size_t)(all * width[i]), sizeof(float));
        for (int e = 0; e < all * width[i]; e++) {
            padded[i][e] = e < rows * width[i] ? source[i][e] : NAN;
        }
    }
    for (int t = 0; t < rows; t++) {
        first[t] = pos + t < window ? 0 : pos + t - window + 1;
    }
    const feed feeds[] = {{s->q, padded[0]},     {s->k, padded[1]},   {s->v, padded[2]},
                          {s->slot, &lane_slot}, {s->pos, &lane_pos}, {s->count, &lane_count},
                          {s->first, first}};
    graph_run(s->p, COUNT(feeds), feeds);
    float *y = graph_run_result(s->p, s->o);
    memcpy(out + pos * H * D, y, (size_t)(rows * H * D) * sizeof *y);
    for (int e = rows * H * D; e < all * H * D; e++) {
        assert_true(y[e] == 0); /* padding */
    }
    free(y);
    for (int i = 0; i < 3; i++) {
        free(padded[i]);
    }
}

/* The sequence in random chunks and random padding, in one slot of a ring that starts full of NaN.
 */
static void check_pieces(backend *b, int ring, int window, int sinks, uint64_t seed) {
    variable keys[2], values[2];
    const variable state = {.name = "keys",
                            .rank = 4,
                            .dim = {SLOTS, ring, G, D},
                            .kind = VARIABLE_STATE,
                            .layout = LAYOUT_KEYS};
    const int64_t cached = SLOTS * 224 * G * D; /* of the largest state */
    float *q = graph_run_floats(T * H * D, 1), *k = graph_run_floats(T * G * D, 2);
    float *v = graph_run_floats(T * G * D, 3), *nan = graph_run_floats(cached, 4);
    for (int64_t i = 0; i < cached; i++) {
        nan[i] = NAN;
    }
    for (int i = 0; i < 2; i++) {
        keys[i] = state;
        keys[i].dim[1] = i ? 64 : ring;
        values[i] = keys[i];
        values[i].layout = LAYOUT_ROWS;
        graph_run_variable(b, &keys[i], nan);
        graph_run_variable(b, &values[i], nan);
    }
    step steps[COUNT(chunk_rows)];
    for (int i = 0; i < COUNT(chunk_rows); i++) {
        step_open(&steps[i], b, keys, values, chunk_rows[i], sinks);
    }
    float *whole = attention_whole(b, q, k, v, window, sinks);
    float *pieces = support_alloc(T * H * D, sizeof *pieces);
    for (int pos = 0; pos < T;) {
        const int64_t i = support_integer(&seed, 0, COUNT(chunk_rows) - 1);
        int rows = (int)support_integer(&seed, chunk_rows[i] / 2, chunk_rows[i]);
        rows = rows < T - pos ? rows : T - pos;
        /* what the last row of the chunk overwrites must be out of the first row's sight */
        if (window + rows - 1 > ring || rows == 0) {
            continue;
        }
        step_run(&steps[i], q, k, v, 1, pos, rows, chunk_rows[i], window, pieces);
        pos += rows;
    }
    graph_run_assert_same(whole, pieces, T * H * D, "attention and attention_cached");
    for (int i = 0; i < COUNT(chunk_rows); i++) {
        step_close(&steps[i]);
    }
    for (int i = 0; i < 2; i++) {
        backend_release(b, &keys[i]);
        backend_release(b, &values[i]);
    }
    free(q);
    free(k);
    free(v);
    free(nan);
    free(whole);
    free(pieces);
}

static void attention_in_pieces_equals_whole(void **state) {
    (void)state;
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        backend *b = open_backend(isa);
        check_pieces(b, 224, T, 0, 1);  /* everything is kept */
        check_pieces(b, 224, 50, 0, 2); /* a window, nothing wraps */
        check_pieces(b, 64, 32, 0, 3);  /* wraps around */
        check_pieces(b, 64, 45, 0, 4);
        check_pieces(b, 96, 96, 0, 5); /* the ring is full: only single rows fit */
        check_pieces(b, 32, 1, 0, 6);  /* a row sees itself */
        check_pieces(b, 224, T, 3, 7); /* sinks that are seen anyway */
        check_pieces(b, 64, 32, 1, 8);
        check_pieces(b, 64, 45, 50, 9); /* more than a window */
        check_pieces(b, 32, 1, 32, 10);
        backend_destroy(&b);
    }
}

/* Lanes of a batch, in any slots and at any positions, each as if alone. */
static void cached_lanes_do_not_hang_on_each_other(void **state) {
    (void)state;
    enum { B = 5, S = 7, R = 96, ROWS = 3 };
    static const int32_t slot[B] = {6, 0, 3, 1, 4}, pos[B] = {0, 500, 31, 92, 7};
    static const int32_t count[B] = {3, 2, 3, 1, 0};
    const int64_t size = ROWS * H * D;
    for (int isa = 0; isa < CPU_ISAS; isa++) {
        backend *b = open_backend(isa);
        variable keys = {.name = "keys",
                         .rank = 4,
                         .dim = {S, R, G, D},
                         .kind = VARIABLE_STATE,
                         .layout = LAYOUT_KEYS};
        variable values = keys;
        values.layout = LAYOUT_ROWS;
        float *q = graph_run_floats(B * size, 80);
        float *content = graph_run_floats(S * R * G * D, 81);
        float *whole = NULL;
        int32_t first[B * ROWS];
        graph_run_variable(b, &keys, content);
        graph_run_variable(b, &values, content);
        for (int i = 0; i < B * ROWS; i++) {
            const int last = pos[i / ROWS] + i % ROWS;
            first[i] = last < 60 ? 0 : last - 60;
        }
        for (int alone = 0; alone < 2; alone++) {
            const int64_t lanes = alone ? 1 : B;
            graph *g = graph_run_new();
            tensor *tq = graph_input(g, "q", DTYPE_F32, SHAPE(lanes, ROWS, H, D));
            tensor *ts = graph_input(g, "slot", DTYPE_I32, SHAPE(lanes));
            tensor *tp = graph_input(g, "pos", DTYPE_I32, SHAPE(lanes));
            tensor *tc = graph_input(g, "count", DTYPE_I32, SHAPE(lanes));
            tensor *tf = graph_input(g, "first", DTYPE_I32, SHAPE(lanes, ROWS));
            tensor *o =
                graph_output(g, attention_cached(g, tq, graph_variable(g, &keys),
                                                 graph_variable(g, &values), ts, tp, tc, tf, 0.2f));
            for (int i = 0; i < (alone ? B : 1); i++) {
                const feed feeds[] = {{tq, q + i * size},
                                      {ts, slot + i},
                                      {tp, pos + i},
                                      {tc, count + i},
                                      {tf, first + i * ROWS}};
                float *y = graph_run_once(b, g, o, COUNT(feeds), feeds);
                if (alone) {
                    graph_run_assert_same(whole + i * size, y, size, "one lane");
                    free(y);
                } else {
                    whole = y;
                }
            }
            graph_destroy(&g);
        }
        free(whole);
        free(q);
        free(content);
        backend_release(b, &keys);
        backend_release(b, &values);
        backend_destroy(&b);
    }
}

/* --- what a row does not see --- */

/* NaN in every key and value before `first` but the sinks, and in every later row: rows of a
 * segment are the same as without the rest. */
static void attention_does_not_see_past_its_range(void **state) {
    (void)state;
    enum { CUT = 45, END = 130 };
    static const int sinks_of[] = {0, 5, 40};
    for (int i = 0; i < 3 * CPU_ISAS; i++) {
        const int sinks = sinks_of[i % 3];
        backend *b = open_backend(i / 3);
        float *data[3] = {graph_run_floats(T * H * D, 5), graph_run_floats(T * H * D, 6),
                          graph_run_floats(T * H * D, 7)};
        float *y[2];
        for (int poisoned = 0; poisoned < 2; poisoned++) {
            graph *g = graph_run_new();
            int32_t first[T];
            tensor *in[3];
            for (int k = 0; k < 3; k++) {
                in[k] = graph_input(g, "x", DTYPE_F32, SHAPE(1, T, H, D));
                for (int e = 0; poisoned && e < T * H * D; e++) {
                    const int t = e / (H * D);
                    data[k][e] = t < sinks || (t >= CUT && t < END) ? data[k][e] : NAN;
                }
            }
            for (int t = 0; t < T; t++) {
                first[t] = t < CUT ? 0 : CUT;
            }
            tensor *tf = graph_input(g, "first", DTYPE_I32, SHAPE(1, T));
            tensor *o = graph_output(g, attention(g, NULL, in[0], in[1], in[2], tf, 0.2f));
            attention_sinks(g, o, sinks, NULL, NULL);
            const feed feeds[] = {
                {in[0], data[0]}, {in[1], data[1]}, {in[2], data[2]}, {tf, first}};
            y[poisoned] = graph_run_once(b, g, o, 4, feeds);
            graph_destroy(&g);
        }
        graph_run_assert_same(y[0] + CUT * H * D, y[1] + CUT * H * D, (END - CUT) * H * D,
                              "segment");
        for (int k = 0; k < 3; k++) {
            free(data[k]);
        }
        free(y[0]);
        free(y[1]);
        backend_destroy(&b);
    }
}

/* The same for the gradient: NaN in q, k, v, o, lse and d_o of another segment. */
static void attention_grad_does_not_see_past_its_range(void **state) {
    (void)state;
    enum { CUT = 45 };
    static const int sinks_of[] = {0, 5, 40};
    for (int run = 0; run < 3 * CPU_ISAS; run++) {
        const int sinks = sinks_of[run % 3];
        backend *b = open_backend(run / 3);
        float *data[6], *y[2][3];
        for (int i = 0; i < 6; i++) {
            data[i] = graph_run_floats(T * H * D, 10 + (uint64_t)i);
        }
        for (int poisoned = 0; poisoned < 2; poisoned++) {
            graph *g = graph_run_new();
            int32_t first[T];
            tensor *in[6], *d[3] = {NULL};
            for (int i = 0; i < 6; i++) {
                const int width = i == 4 ? H : H * D; /* lse */
                in[i] = i == 4 ? graph_input(g, "lse", DTYPE_F32, SHAPE(1, T, H))
                               : graph_input(g, "x", DTYPE_F32, SHAPE(1, T, H, D));
                for (int e = sinks * width; poisoned && e < CUT * width; e++) {
                    data[i][e] = NAN;
                }
            }
            for (int t = 0; t < T; t++) {
                first[t] = t < CUT ? 0 : CUT;
            }
            tensor *tf = graph_input(g, "first", DTYPE_I32, SHAPE(1, T));
            attention_grad(g, &d[0], &d[1], &d[2], in[0], in[1], in[2], tf, in[3], in[4], in[5],
                           0.2f);
            attention_sinks(g, d[0], sinks, NULL, NULL);
            feed feeds[7] = {{tf, first}};
            for (int i = 0; i < 6; i++) {
                feeds[1 + i] = (feed){in[i], data[i]};
            }
            for (int i = 0; i < 3; i++) {
                graph_output(g, d[i]);
            }
            program *p = graph_run_compile(b, g);
            graph_run(p, 7, feeds);
            for (int i = 0; i < 3; i++) {
                y[poisoned][i] = graph_run_result(p, d[i]);
            }
            program_destroy(&p);
            graph_destroy(&g);
        }
        for (int i = 0; i < 3; i++) {
            graph_run_assert_same(y[0][i] + CUT * H * D, y[1][i] + CUT * H * D, (T - CUT) * H * D,
                                  i == 0   ? "dq"
                                  : i == 1 ? "dk"
                                           : "dv");
            free(y[0][i]);
            free(y[1][i]);
        }
        for (int i = 0; i < 6; i++) {
            free(data[i]);
        }
        backend_destroy(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_in_pieces_equals_whole),
        cmocka_unit_test(cached_lanes_do_not_hang_on_each_other),
        cmocka_unit_test(attention_does_not_see_past_its_range),
        cmocka_unit_test(attention_grad_does_not_see_past_its_range),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
