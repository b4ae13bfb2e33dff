/* curves_test.c: train/curves.h: what the picture says is what the log says, whatever its state. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "support.h"
#include "train/curves.h"

#define MOST_POINTS 2000

typedef struct place {
    char directory[64], log[96], svg[96];
} place;

/* What a picture holds: the points of its paths by class, its dots, its text. */
typedef struct picture {
    char *text;
    size_t size;
} picture;

typedef struct points {
    int n;
    double x[MOST_POINTS], y[MOST_POINTS];
} points;

static int make_place(void **state) {
    place *p = support_alloc(1, sizeof *p);
    strcpy(p->directory, "/tmp/octet_curves_XXXXXX");
    if (!mkdtemp(p->directory))
        return -1;
    snprintf(p->log, sizeof p->log, "%s/log.jsonl", p->directory);
    snprintf(p->svg, sizeof p->svg, "%s/curves.svg", p->directory);
    *state = p;
    return 0;
}

static int remove_place(void **state) {
    place *p = *state;
    unlink(p->log);
    unlink(p->svg);
    int failed = rmdir(p->directory); /* not empty: a temporary was left behind */
    free(p);
    return failed;
}

static FILE *open_log(const place *p) {
    FILE *f = fopen(p->log, "w");
    assert_non_null(f);
    return f;
}

static void put_step(FILE *f, long step, double bpb) {
    fprintf(f,
            "{\"step\": %ld, \"bpb\": %.6f, \"gradient_norm\": 0.7, \"bytes\": 1000, \"seconds\": "
            "%.2f}\n",
            step, bpb, 0.1 * (double)step);
}

static void put_validation(FILE *f, long step, double bpb) {
    fprintf(f, "{\"step\": %ld, \"valid_bpb\": %.6f}\n", step, bpb);
}

/* Every tag is closed, in order: what a reader of XML asks first. */
static void assert_well_formed(const char *text) {
    char open[16][16];
    int depth = 0;
    for (const char *at = strchr(text, '<'); at; at = strchr(at + 1, '<')) {
        const char *end = strchr(at, '>');
        char name[16] = "";
        assert_non_null(end);
        assert_int_equal(sscanf(at + 1 + (at[1] == '/'), "%15[a-zA-Z]", name), 1);
        if (at[1] == '/') {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (end[-1] != '/') {
            assert_true(depth < 16);
            strcpy(open[depth++], name);
        }
    }
    assert_int_equal(depth, 0);
}

static picture draw(const place *p) {
    octet_error error = {0};
    file_bytes bytes;
    support_ok(curves_write(p->log, p->svg, &error), &error);
    support_ok(file_read(&bytes, p->svg, 1 << 24, &error), &error);
    picture made = {support_alloc(bytes.size + 1, 1), bytes.size};
    memcpy(made.text, bytes.data, bytes.size);
    file_close(&bytes);
    assert_well_formed(made.text);
    assert_null(strstr(made.text, "nan"));
    assert_null(strstr(made.text, "inf"));
    return made;
}

/* The points of the last path of that class: the legend's comes first. */
static void take_points(const picture *made, const char *kind, points *out) {
    char head[32];
    const char *path = NULL;
    snprintf(head, sizeof head, "class=\"%s\"", kind);
    for (const char *at = strstr(made->text, head); at; at = strstr(at + 1, head))
        path = at;
    assert_non_null(path);
    out->n = 0;
    for (const char *at = strstr(path, " d=\"M") + 4; *at == 'M' || *at == 'L'; out->n++) {
        int length = 0;
        assert_true(out->n < MOST_POINTS);
        assert_int_equal(sscanf(at + 1, "%lf %lf%n", &out->x[out->n], &out->y[out->n], &length), 2);
        at += 1 + length;
    }
}

static int count_of(const picture *made, const char *what) {
    int n = 0;
    for (const char *at = strstr(made->text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

/* x rises with the bytes and y falls with the bits, both linearly, whatever the axes are: four
 * points of known place fix it. */
static void curves_positions_are_linear(void **state) {
    const place *p = *state;
    FILE *f = open_log(p);
    points each, valid;
    for (long i = 1; i <= 100; i++) {
        put_step(f, i, 2 + 0.01 * (double)(i * 37 % 100));
        if (i % 10 == 0)
            put_validation(f, i, 2.5 - 0.001 * (double)i);
    }
    fclose(f);
    picture made = draw(p);
    take_points(&made, "line each", &each);
    take_points(&made, "line valid", &valid);
    assert_int_equal(each.n, 100);
    assert_int_equal(valid.n, 10);
    assert_int_equal(count_of(&made, "<circle"), 10 + 1);
    double per_step = (each.x[99] - each.x[0]) / 99, per_bit = (each.y[99] - each.y[0]) / 0.37;
    assert_true(per_step > 5 && per_bit > 100);
    for (int i = 0; i < 100; i++) {
        double bpb = 2 + 0.01 * ((i + 1) * 37 % 100);
        /* 0.1: positions are rounded to it; the slope is of two rounded ones */
        assert_true(fabs(each.x[i] - each.x[0] - per_step * i) < 0.2);
        assert_true(fabs(each.y[0] - each.y[i] - per_bit * (bpb - 2.37)) < 0.6);
    }
    for (int i = 0; i < 10; i++) {
        assert_true(fabs(valid.x[i] - each.x[10 * i + 9]) < 0.1);
        assert_true(fabs(each.y[0] - valid.y[i] - per_bit * (2.49 - 0.01 * i - 2.37)) < 0.6);
    }
    assert_non_null(strstr(made.text, "step 100, lowest validation 2.4000 at step 100"));
    assert_non_null(strstr(made.text, "kB trained on"));
    free(made.text);
}

/* However long the run: at most 1,000 points, 32 KB, and no spike lost. */
static void curves_long_runs_stay_small(void **state) {
    const place *p = *state;
    FILE *f = open_log(p);
    uint64_t random = 1;
    points band, train, valid;
    for (long i = 1; i <= 30000; i++) {
        double noise = (double)support_uniform(&random, -0.1f, 0.1f);
        put_step(f, i, i == 20000 ? 1 : 2 + 100 / (double)(i + 20) + noise);
        if (i % 100 == 0)
            put_validation(f, i, 2.1 + 100 / (double)(i + 20));
    }
    fclose(f);
    picture made = draw(p);
    take_points(&made, "band", &band);
    take_points(&made, "line train", &train);
    take_points(&made, "line valid", &valid);
    assert_true(band.n + train.n + valid.n <= 1000);
    assert_true(made.size < 32768);
    int lowest = 0;
    for (int i = 1; i < band.n; i++)
        lowest = band.y[i] > band.y[lowest] ? i : lowest;
    double begin = train.x[0], end = train.x[train.n - 1];
    assert_true(fabs((band.x[lowest] - begin) / (end - begin) - 2.0 / 3) < 0.001);
    for (int i = 1; i < train.n; i++)
        assert_true(train.x[i] > train.x[i - 1]);
    free(made.text);
}

static void curves_smoothing_keeps_a_constant(void **state) {
    const place *p = *state;
    FILE *f = open_log(p);
    points train;
    for (long i = 1; i <= 777; i++)
        put_step(f, i, 3.25);
    fclose(f);
    picture made = draw(p);
    take_points(&made, "line train", &train);
    for (int i = 0; i < train.n; i++)
        assert_true(train.y[i] == train.y[0]);
    assert_non_null(strstr(made.text, ">3.250</text>"));
    free(made.text);
}

/* What is no whole line of the form changes nothing. */
static void curves_pass_over_what_is_broken(void **state) {
    static const char *const broken[] = {"",
                                         "\n\n",
                                         "{\"step\": 4, \"bpb\": 3.0",
                                         "{\"step\": 4, \"bpb\": }\n",
                                         "{\"step\": 4, \"bpb\": nan, \"bytes\": 1000}\n",
                                         "{\"step\": 4, \"bpb\": -inf, \"bytes\": 1000}\n",
                                         "{\"step\": 4, \"bpb\": 1e300, \"bytes\": 1000}\n",
                                         "{\"step\": 4, \"bpb\": -1, \"bytes\": 1000}\n",
                                         "{\"step\": 3, \"bpb\": 7, \"bytes\": 1000}\n",
                                         "{\"step\": 2, \"valid_bpb\": 7}\n",
                                         "{\"step\": 1e300, \"bpb\": 7, \"bytes\": 1000}\n",
                                         "{\"bpb\": 7, \"bytes\": 1000}\n",
                                         "no JSON \x80\xff<>&\n",
                                         "{\"step\": 4, \"bpb\": 7"};
    const place *p = *state;
    char *first = NULL;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        FILE *f = open_log(p);
        put_step(f, 1, 5);
        put_step(f, 2, 4);
        put_validation(f, 2, 4.5);
        put_step(f, 3, 3);
        fputs(broken[i], f);
        fclose(f);
        picture made = draw(p);
        if (!first)
            first = made.text;
        else
            assert_string_equal(first, made.text);
        if (first != made.text)
            free(made.text);
    }
    free(first);
}

/* A very long line and bytes of zero are passed over too, and what follows still counts. */
static void curves_go_on_after_what_is_broken(void **state) {
    const place *p = *state;
    FILE *f = open_log(p);
    points train;
    put_step(f, 1, 5);
    for (int i = 0; i < 5000; i++)
        fputc(i % 2 ? 'x' : '\0', f);
    fputc('\n', f);
    put_step(f, 2, 4);
    fclose(f);
    picture made = draw(p);
    take_points(&made, "line train", &train);
    assert_int_equal(train.n, 2);
    free(made.text);
}

static void curves_empty_log_says_so(void **state) {
    const place *p = *state;
    fclose(open_log(p));
    picture made = draw(p);
    assert_non_null(strstr(made.text, "No step has been logged yet"));
    free(made.text);
}

static void curves_single_lines_draw(void **state) {
    const place *p = *state;
    for (int kind = 0; kind < 3; kind++) {
        FILE *f = open_log(p);
        if (kind == 0)
            put_step(f, 1, 8);
        else if (kind == 1)
            put_validation(f, 10, 0);
        else
            fputs("{\"step\": 40, \"bpb\": 2.5}\n", f);
        fclose(f);
        picture made = draw(p);
        assert_non_null(strstr(made.text, kind == 0   ? ">8.000<"
                                          : kind == 1 ? ">0.000<"
                                                      : ">2.500<"));
        if (kind > 0) /* no line tells bytes */
            assert_non_null(strstr(made.text, ">steps<"));
        free(made.text);
    }
}

static void curves_errors_name_the_path(void **state) {
    const place *p = *state;
    octet_error error = {0};
    assert_int_equal(curves_write("/nowhere/log.jsonl", p->svg, &error), OCTET_ERROR);
    support_contains(error.text, "/nowhere/log.jsonl");
    assert_int_equal(access(p->svg, F_OK), -1);
    FILE *f = open_log(p);
    put_step(f, 1, 8);
    fclose(f);
    assert_int_equal(curves_write(p->log, "/nowhere/curves.svg", &error), OCTET_ERROR);
    support_contains(error.text, "/nowhere/curves.svg");
    assert_int_equal(curves_write(p->log, "/dev/full", &error), OCTET_ERROR);
    support_contains(error.text, "/dev/full");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(curves_positions_are_linear, make_place, remove_place),
        cmocka_unit_test_setup_teardown(curves_long_runs_stay_small, make_place, remove_place),
        cmocka_unit_test_setup_teardown(curves_smoothing_keeps_a_constant, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(curves_pass_over_what_is_broken, make_place, remove_place),
        cmocka_unit_test_setup_teardown(curves_go_on_after_what_is_broken, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(curves_empty_log_says_so, make_place, remove_place),
        cmocka_unit_test_setup_teardown(curves_single_lines_draw, make_place, remove_place),
        cmocka_unit_test_setup_teardown(curves_errors_name_the_path, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
