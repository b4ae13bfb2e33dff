/* base_test.c: errors, arena, random numbers, thread pool.
 *
 * The pool's tests count what every task did in memory that no lock guards: a task that runs twice,
 * runs in the wrong job or whose writes are not visible shows in the counts, and as a race under
 * TSan. Files have a test of their own, file_test.c. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/philox.h"
#include "base/pool.h"
#include "base/team.h"

#define LENGTH(a) (sizeof(a) / sizeof(a)[0])

static const uint64_t SEED = 20240607;

/* A number below n, a function of the counter. */
static uint32_t draw(uint64_t counter, uint32_t n) {
    uint32_t words[4];
    philox(words, SEED, PHILOX_DATA, 0, counter);
    return words[0] % n;
}

/* ---------------------------------------------------------------------------------------------- */

static void error_is_one_line(void **state) {
    (void)state;
    octet_error error = {0};
    assert_int_equal(error_set(&error, OCTET_CORRUPT, "%s: %d is not %d", "f", 1, 2),
                     OCTET_CORRUPT);
    assert_int_equal(error.code, OCTET_CORRUPT);
    assert_string_equal(error.text, "f: 1 is not 2");

    error_set(&error, OCTET_ERROR, "%s", "a\nb\033[1m\177\xc3\xa9");
    assert_string_equal(error.text, "a?b?[1m?\xc3\xa9");

    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    error_set(&error, OCTET_ERROR, "%s", big);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);

    assert_int_equal(error_set(NULL, OCTET_ERROR, "%s", "unheard"), OCTET_ERROR);
    assert_int_equal(error_memory(&error, "a table", 1e6), OCTET_NO_MEMORY);
    assert_non_null(strstr(error.text, "1000000"));
}

static void arena_gives_zeroed_aligned_apart(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 15, 16, 17, 255, 256, 257, 65536, 65537, 1 << 20};
    enum { N = 3000 };
    static unsigned char *given[N];
    static size_t bytes[N];
    arena a = {0};
    for (int i = 0; i < N; i++) {
        /* The large sizes only now and then. */
        bytes[i] = sizes[draw((uint64_t)i, i % 100 == 0 ? LENGTH(sizes) : 8)];
        given[i] = arena_alloc(&a, bytes[i]);
        assert_non_null(given[i]);
        assert_int_equal((uintptr_t)given[i] % 16, 0);
        for (size_t k = 0; k < bytes[i]; k++) {
            assert_int_equal(given[i][k], 0);
        }
        memset(given[i], i % 251 + 1, bytes[i]);
    }
    for (int i = 0; i < N; i++) { /* nobody wrote into another's bytes, nothing moved */
        for (size_t k = 0; k < bytes[i]; k++) {
            assert_int_equal(given[i][k], i % 251 + 1);
        }
    }
    const char *copy = arena_strdup(&a, "global.0.attn.wq");
    assert_string_equal(copy, "global.0.attn.wq");
    assert_true(a.total >= 65536);
    arena_finish(&a);
    assert_null(a.blocks);
    assert_int_equal(a.total, 0);
    assert_non_null(arena_alloc(&a, 1)); /* ready for use again */
    arena_finish(&a);
    arena_finish(&a);
}

/* Small blocks, those that just miss and just hold a large page, and several of them. */
static void memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    const size_t page = (size_t)2 << 20;
    const size_t sizes[] = {1, 63, 64, 65, page - 1, page, page + 1, 5 * page / 2};
    assert_null(memory_aligned(0));
    assert_null(memory_aligned(SIZE_MAX));
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        unsigned char *memory = memory_aligned(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            if (memory[k] != 0)
                fail_msg("byte %d of %d is %d", (int)k, (int)sizes[i], memory[k]);
            memory[k] = 0xff; /* so that the next block finds it unclean if it gets it again */
        }
        free(memory);
    }
}

static void arena_grows_geometrically(void **state) {
    (void)state;
    arena a = {0};
    size_t before = 0;
    int blocks = 0;
    for (int i = 0; i < 100000; i++) {
        assert_non_null(arena_alloc(&a, 64));
        blocks += a.total != before;
        before = a.total;
    }
    assert_true(blocks <= 8); /* 6.4 MB from 64 KiB by doubling */
    assert_true(a.total <= 2 * 100000 * 64);
    arena_finish(&a);
}

static void memory_refuses_absurd_sizes(void **state) {
    (void)state;
    arena a = {0};
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 14));
    arena_finish(&a);
    assert_null(memory_aligned(0));
    assert_null(memory_aligned(SIZE_MAX));
    unsigned char *m = memory_aligned(65);
    assert_non_null(m);
    assert_int_equal((uintptr_t)m % 64, 0);
    for (int i = 0; i < 65; i++) {
        assert_int_equal(m[i], 0);
    }
    free(m);
}

/* ---------------------------------------------------------------------------------------------- */

/* The known answers that Random123 ships for philox4x32 with 10 rounds. */
static void philox_known_answers(void **state) {
    (void)state;
    static const struct {
        uint64_t seed;
        uint32_t purpose;
        uint32_t stream;
        uint64_t position;
        uint32_t expected[4];
    } cases[] = {
        {0, 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX,
         UINT32_MAX,
         UINT32_MAX,
         UINT64_MAX,
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822,
         0x03707344,
         0x13198a2e,
         0x85a308d3243f6a88,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint32_t out[4];
        philox(out, cases[i].seed, (philox_purpose)cases[i].purpose, cases[i].stream,
               cases[i].position);
        assert_memory_equal(out, cases[i].expected, sizeof out);
    }
}

static void philox_uniform_is_below_one(void **state) {
    (void)state;
    assert_true(philox_uniform(0) == 0.0f);
    assert_true(philox_uniform(UINT32_MAX) == 1.0f - 0x1p-24f);
}

/* Moments of 200,000 values against the normal distribution's, each within 5 standard errors:
 * 1/sqrt(n) for the mean, sqrt(2/n) for the square, sqrt(96/n) for the fourth power. */
static void philox_normal_has_normal_moments(void **state) {
    (void)state;
    enum { PAIRS = 100000 };
    const double n = 2.0 * PAIRS;
    double sum = 0;
    double squares = 0;
    double fourths = 0;
    double product = 0;
    for (uint64_t i = 0; i < PAIRS; i++) {
        uint32_t words[4];
        float z[2];
        philox(words, SEED, PHILOX_INIT, 7, i);
        philox_normal(z, words[0], words[1]);
        for (int k = 0; k < 2; k++) {
            const double square = (double)z[k] * (double)z[k];
            sum += (double)z[k];
            squares += square;
            fourths += square * square;
        }
        product += (double)z[0] * (double)z[1];
    }
    assert_true(fabs(sum / n) < 5.0 / sqrt(n));
    assert_true(fabs(squares / n - 1.0) < 5.0 * sqrt(2.0 / n));
    assert_true(fabs(fourths / n - 3.0) < 5.0 * sqrt(96.0 / n));
    assert_true(fabs(product / PAIRS) < 5.0 / sqrt(PAIRS));
}

static void philox_normal_is_finite_everywhere(void **state) {
    (void)state;
    static const uint32_t ends[] = {0, 1, 255, 256, 1u << 31, UINT32_MAX - 255, UINT32_MAX};
    const double most = sqrt(48.0 * log(2.0)) + 1e-5; /* the smallest uniform is 2^-24 */
    for (size_t i = 0; i < LENGTH(ends); i++) {
        for (size_t k = 0; k < LENGTH(ends); k++) {
            float z[2];
            philox_normal(z, ends[i], ends[k]);
            assert_true(isfinite(z[0]) && isfinite(z[1]));
            assert_true(hypot((double)z[0], (double)z[1]) < most);
        }
    }
    float z[2];
    philox_normal(z, 0, 0); /* u = 2^-24, angle 0 */
    assert_true(fabs((double)z[0] - sqrt(48.0 * log(2.0))) < 1e-5);
    assert_true(fabs((double)z[1]) < 1e-15);
}

/* ---------------------------------------------------------------------------------------------- */

enum { TASKS_MOST = 300 };

typedef struct job {
    uint64_t runs[TASKS_MOST]; /* how often task i ran, over all jobs */
    uint64_t last[TASKS_MOST]; /* the job in which it ran last */
    int lanes;
    int bad_lane;
    int work; /* rounds of busy work per task */
    uint64_t number;
} job;

static void count_task(void *context, int index, int lane) {
    job *j = context;
    volatile uint32_t busy = 0;
    for (int i = 0; i < j->work; i++) {
        busy = busy + 1;
    }
    j->runs[index]++;
    j->last[index] = j->number;
    if (lane < 0 || lane >= j->lanes) {
        j->bad_lane = 1;
    }
}

static void pool_runs_each_task_once(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 5, 16};
    for (size_t t = 0; t < LENGTH(threads); t++) {
        pool *p;
        assert_int_equal(pool_create(&p, threads[t], NULL), OCTET_OK);
        assert_int_equal(pool_threads(p), threads[t]);
        job j = {.lanes = threads[t]};
        uint64_t expected[TASKS_MOST] = {0};
        uint64_t expected_last[TASKS_MOST] = {0};
        for (uint64_t number = 1; number <= 3000; number++) {
            /* Mostly few tasks, as in a model's step; sometimes none, sometimes many. */
            const uint32_t most = number % 16 == 0 ? TASKS_MOST + 1 : 12;
            const int n = (int)draw(number, most);
            j.number = number;
            j.work = (int)draw(number + (1u << 20), 40);
            pool_run(p, count_task, &j, n);
            for (int i = 0; i < n; i++) {
                expected[i]++;
                expected_last[i] = number;
            }
            assert_memory_equal(j.runs, expected, sizeof expected);
            assert_memory_equal(j.last, expected_last, sizeof expected_last);
        }
        assert_int_equal(j.bad_lane, 0);
        pool_destroy(&p);
        assert_null(p);
    }
}

static void rest_ms(long ms) {
    const struct timespec rest = {.tv_nsec = ms * 1000000};
    nanosleep(&rest, NULL);
}

/* Workers that fell asleep between jobs come back, and a job needs none of them. */
static void pool_wakes_after_rest(void **state) {
    (void)state;
    for (int threads = 2; threads <= 5; threads += 3) {
        pool *p;
        assert_int_equal(pool_create(&p, threads, NULL), OCTET_OK);
        job j = {.lanes = threads, .work = 1000};
        for (uint64_t round = 1; round <= 60; round++) {
            j.number = round;
            pool_run(p, count_task, &j, 8);
            for (int i = 0; i < 8; i++) {
                assert_int_equal(j.runs[i], round);
            }
            rest_ms((long)(round % 3));
        }
        pool_destroy(&p);
    }
}

static void sleep_task(void *context, int index, int lane) {
    job *j = context;
    if (lane != 0) {
        rest_ms(4); /* longer than the caller stays awake */
    }
    j->runs[index]++;
    rest_ms(lane == 0);
}

/* The caller sleeps while a worker is at its last task, and is woken by it. */
static void pool_caller_sleeps_for_slow_worker(void **state) {
    (void)state;
    pool *p;
    assert_int_equal(pool_create(&p, 3, NULL), OCTET_OK);
    job j = {0};
    for (uint64_t round = 1; round <= 30; round++) {
        pool_run(p, sleep_task, &j, 4);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(j.runs[i], round);
        }
    }
    pool_destroy(&p);
}

static void sum_task(void *context, int index, int lane) {
    (void)lane;
    uint8_t *runs = context;
    runs[index]++;
}

static void pool_takes_many_tasks(void **state) {
    (void)state;
    enum { MANY = 200000 };
    uint8_t *runs = calloc(MANY, 1);
    assert_non_null(runs);
    pool *p;
    assert_int_equal(pool_create(&p, 2, NULL), OCTET_OK);
    pool_run(p, sum_task, runs, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(runs[i], 1);
    }
    pool_destroy(&p);
    free(runs);
}

static void pool_create_and_destroy(void **state) {
    (void)state;
    octet_error error;
    pool *p = NULL;
    pool_destroy(&p);
    static const int wrong[] = {0, -1, POOL_MAX_THREADS + 1, INT32_MAX};
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        assert_int_equal(pool_create(&p, wrong[i], &error), OCTET_ERROR);
        assert_null(p);
    }
    for (int i = 0; i < 100; i++) { /* with and without a job, awake and asleep */
        assert_int_equal(pool_create(&p, 1 + i % 6, &error), OCTET_OK);
        if (i % 3 == 0) {
            job j = {.lanes = 6};
            pool_run(p, count_task, &j, 3);
        }
        if (i % 10 == 0) {
            rest_ms(1);
        }
        pool_destroy(&p);
    }
    assert_true(pool_processors() >= 1);
}

typedef struct relay {
    team_turns turns;
    int n, laps, stop_at;
    int order[400], taken;
} relay;

/* Takes every n-th turn, or ends them at turn stop_at. */
static void run_lap(void *context, int index) {
    relay *r = context;
    for (int lap = 0; lap < r->laps; lap++) {
        const int turn = lap * r->n + index;
        if (!team_turn_take(&r->turns, (uint64_t)turn))
            return;
        r->order[r->taken++] = turn;
        if (turn == r->stop_at) {
            team_turns_end(&r->turns);
            return;
        }
        team_turn_pass(&r->turns);
    }
}

/* All members run at the same time, else they would wait for ever; turns come in order. */
static void teams_take_turns(void **state) {
    (void)state;
    for (int n = 1; n <= 7; n++)
        for (int stop_at = 0; stop_at <= 60; stop_at += 20) {
            relay r = {.n = n, .laps = 50, .stop_at = stop_at ? stop_at : -1};
            team_turns_init(&r.turns);
            assert_int_equal(team_run(n, run_lap, &r, NULL), OCTET_OK);
            team_turns_finish(&r.turns);
            const int all = stop_at && stop_at < 50 * n ? stop_at + 1 : 50 * n;
            assert_int_equal(r.taken, all);
            for (int i = 0; i < all; i++)
                assert_int_equal(r.order[i], i);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_is_one_line),
        cmocka_unit_test(arena_gives_zeroed_aligned_apart),
        cmocka_unit_test(arena_grows_geometrically),
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(memory_refuses_absurd_sizes),
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(philox_uniform_is_below_one),
        cmocka_unit_test(philox_normal_has_normal_moments),
        cmocka_unit_test(philox_normal_is_finite_everywhere),
        cmocka_unit_test(pool_runs_each_task_once),
        cmocka_unit_test(teams_take_turns),
        cmocka_unit_test(pool_wakes_after_rest),
        cmocka_unit_test(pool_caller_sleeps_for_slow_worker),
        cmocka_unit_test(pool_takes_many_tasks),
        cmocka_unit_test(pool_create_and_destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
