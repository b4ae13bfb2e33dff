/* positions_test.c: eval/positions.h: sums by place in a patch, and their picture. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "eval/positions.h"
#include "support.h"

#define PATCH 12
#define INNER 4

typedef struct sums {
    int64_t bytes[PATCH];
    double bits[PATCH];
} sums;

static octet_positions positions_of(sums *s, int64_t patch) {
    memset(s, 0, sizeof *s);
    return (octet_positions){patch, s->bytes, s->bits};
}

/* Whole or in pieces: the same sums, in double and in order, as counted one by one. */
static void positions_add_up(void **state) {
    (void)state;
    enum { N = 1000 };
    float bits[N];
    uint64_t random = 3;
    sums whole_sums, piece_sums, expected = {{0}, {0}};
    support_fill(bits, N, 0, 20, &random);
    octet_positions whole = positions_of(&whole_sums, PATCH);
    octet_positions pieces = positions_of(&piece_sums, PATCH);
    positions_add(&whole, 0, bits, N);
    for (int64_t at = 0; at < N;) {
        int64_t n = support_integer(&random, 0, 30);
        n = n < N - at ? n : N - at;
        positions_add(&pieces, at, bits + at, (size_t)n);
        at += n;
    }
    for (int i = 0; i < N; i++) {
        expected.bytes[i % PATCH]++;
        expected.bits[i % PATCH] += (double)bits[i];
    }
    assert_memory_equal(&whole_sums, &expected, sizeof expected);
    assert_memory_equal(&piece_sums, &expected, sizeof expected);
}

/* Draws into a file of its own and returns its text. */
static char *draw(const octet_positions *outer, const octet_positions *inner) {
    octet_error error = {0};
    char path[] = "/tmp/octet_positions_XXXXXX";
    file_bytes bytes;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    support_ok(positions_draw(outer, inner, path, &error), &error);
    support_ok(file_read(&bytes, path, 1 << 24, &error), &error);
    char *text = support_alloc(bytes.size + 1, 1);
    memcpy(text, bytes.data, bytes.size);
    file_close(&bytes);
    unlink(path);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_int_equal(strncmp(text, "<svg ", 5), 0);
    support_contains(text, "</svg>\n");
    return text;
}

/* The points of the last path of that class; returns their number. */
static int take_points(const char *text, const char *kind, double *x, double *y) {
    char head[32];
    const char *path = NULL;
    int n = 0;
    snprintf(head, sizeof head, "class=\"%s\"", kind);
    for (const char *at = strstr(text, head); at; at = strstr(at + 1, head))
        path = at;
    assert_non_null(path);
    for (const char *at = strstr(path, " d=\"") + 4; *at != '"'; n++) {
        int length = 0;
        assert_true(*at == 'M' || *at == 'L');
        assert_int_equal(sscanf(at + 1, "%lf %lf%n", &x[n], &y[n], &length), 2);
        at += 1 + length;
    }
    return n;
}

/* One point a place at equal distances, heights by the means; the inner course repeats. */
static void positions_picture_shows_the_means(void **state) {
    (void)state;
    sums outer_sums, inner_sums;
    octet_positions outer = positions_of(&outer_sums, PATCH);
    octet_positions inner = positions_of(&inner_sums, INNER);
    double x[PATCH], y[PATCH], xi[PATCH], yi[PATCH];
    for (int i = 0; i < 10 * PATCH; i++) {
        float bits = (float)(1 + i % PATCH * 0.25);
        positions_add(&outer, i, &bits, 1);
        positions_add(&inner, i, &bits, 1);
    }
    char *text = draw(&outer, &inner);
    assert_int_equal(take_points(text, "line train", x, y), PATCH);
    assert_int_equal(take_points(text, "line valid", xi, yi), PATCH);
    double step = (x[PATCH - 1] - x[0]) / (PATCH - 1), rise = (y[0] - y[PATCH - 1]) / (PATCH - 1);
    assert_true(step > 40 && rise > 15);
    for (int i = 0; i < PATCH; i++) {
        /* positions are rounded to 0.1, the slope is of two rounded ones */
        assert_true(fabs(x[i] - x[0] - step * i) < 0.2);
        assert_true(fabs(y[0] - y[i] - rise * i) < 0.2);
        assert_true(xi[i] == x[i]);
        /* place i of 4 holds the places i, i + 4 and i + 8 of 12: their mean is that of i + 4 */
        assert_true(fabs(y[i % INNER + INNER] - yi[i]) < 0.11);
    }
    support_contains(text, "120 bytes in patches of 12");
    support_contains(text, ">2.375<");
    free(text);
    text = draw(&outer, NULL);
    assert_null(strstr(text, "inside patches"));
    free(text);
}

/* Places without bytes have no mean, and nothing at all is said in words. */
static void positions_picture_of_little(void **state) {
    (void)state;
    sums of;
    octet_positions p = positions_of(&of, PATCH);
    double x[PATCH], y[PATCH];
    const float bits[] = {3, 2, 5};
    char *text = draw(&p, NULL);
    support_contains(text, "No byte has been scored");
    free(text);
    positions_add(&p, 0, bits, 3);
    text = draw(&p, NULL);
    assert_int_equal(take_points(text, "line train", x, y), 3);
    assert_true(y[2] < y[0] && y[0] < y[1]);
    free(text);
    p = positions_of(&of, 1);
    positions_add(&p, 0, bits, 3);
    text = draw(&p, NULL);
    assert_int_equal(take_points(text, "line train", x, y), 1);
    free(text);
}

static void positions_errors_name_the_path(void **state) {
    (void)state;
    octet_error error = {0};
    sums of;
    octet_positions p = positions_of(&of, PATCH);
    assert_int_equal(positions_draw(&p, NULL, "/nowhere/a.svg", &error), OCTET_ERROR);
    support_contains(error.text, "/nowhere/a.svg");
    assert_int_equal(positions_draw(&p, NULL, "/dev/full", &error), OCTET_ERROR);
    support_contains(error.text, "/dev/full");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_add_up),
        cmocka_unit_test(positions_picture_shows_the_means),
        cmocka_unit_test(positions_picture_of_little),
        cmocka_unit_test(positions_errors_name_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
