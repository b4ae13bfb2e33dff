/* api_bench.c: octet/bench.h: the fixed benchmarks.
 *
 * Ours and the peer's runs alternate in one process and the best of each counts, so that a noisy
 * machine hurts both alike. Peaks and bandwidths are measured, never assumed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "api/api.h"
#include "api/yardstick.h"
#include "base/clock.h"
#include "cpu/cpu_backend.h"
#include "cpu/matmul_blas.h"
#include "model/checkpoint.h"
#include "train/step.h"

#define SIDE 512           /* K = N of the matrix products */
#define GENERATE_BYTES 512 /* measured, after as many for warming up */
#define MODEL_BYTES 128    /* that each stream of a configuration's own benchmark makes, 4 times */
#define SCORED_BYTES 65536 /* at least */

typedef struct bench {
    octet_runtime *runtime;
    const char *models;
    const char *const *prefixes;
    int n_prefixes;
    const volatile int *stop;
    octet_bench_report *report;
    void *context;
} bench;

static int wanted(const bench *b, const char *name) {
    if (b->stop && *b->stop)
        return 0;
    for (int i = 0; i < b->n_prefixes; i++)
        if (!strncmp(name, b->prefixes[i], strlen(b->prefixes[i])))
            return 1;
    return b->n_prefixes == 0;
}

static void report(const bench *b, octet_bench_result result) {
    b->report(b->context, &result);
}

/* --- matrix product against OpenBLAS */

typedef struct product {
    params store;
    graph *g;
    program *p;
    tensor *x, *y;
    float *a, *b, *c; /* the peer's operands */
    int m;
} product;

static void product_finish(product *p) {
    program_destroy(&p->p);
    graph_destroy(&p->g);
    params_finish(&p->store);
    free(p->a);
    free(p->b);
    free(p->c);
}

static octet_status product_create(product *p, backend *cpu, int m, octet_error *error) {
    const int64_t x_dim[] = {m, SIDE}, w_dim[] = {SIDE, SIDE};
    memset(p, 0, sizeof *p);
    p->m = m;
    params_init(&p->store, cpu);
    p->a = memory_aligned(sizeof(float) * (size_t)m * SIDE);
    p->b = memory_aligned(sizeof(float) * SIDE * SIDE);
    p->c = memory_aligned(sizeof(float) * (size_t)m * SIDE);
    variable *w = params_add(&p->store, "", "w", PARAM_MATRIX, (param_init){0, 0.04f}, 2, w_dim);
    octet_status status = p->a && p->b && p->c ? graph_create(&p->g, error)
                                               : error_memory(error, "matmul", SIDE * SIDE * 4.0);
    if (status || !w)
        return status ? status : error_set(error, p->store.error.code, "%s", p->store.error.text);
    status = params_reset(&p->store, 1, error);
    p->x = graph_input(p->g, "x", DTYPE_F32, 2, x_dim);
    p->y = graph_output(p->g, linear(p->g, p->x, graph_variable(p->g, w)));
    if (!status)
        status = backend_read(cpu, w, 0, SIDE * SIDE, p->b, error);
    for (int i = 0; i < m * SIDE; i++)
        p->a[i] = (float)((i * 37 + 11) % 101 - 50) * 0.02f;
    if (!status)
        status = backend_compile(cpu, &p->p, p->g, error);
    return status ? status : program_upload(p->p, p->x, p->a, error);
}

/* One product by the peer, way 0 to 3: sgemm with b as [N,K] or [K,N], sgemv likewise. */
static void peer_product(const matmul_blas *blas, const product *p, int way) {
    int transpose = way % 2 ? BLAS_NO_TRANSPOSE : BLAS_TRANSPOSE;
    if (way < 2)
        blas->sgemm(BLAS_ROW_MAJOR, BLAS_NO_TRANSPOSE, transpose, p->m, SIDE, SIDE, 1, p->a, SIDE,
                    p->b, SIDE, 0, p->c, SIDE);
    else
        blas->sgemv(BLAS_ROW_MAJOR, way % 2 ? BLAS_TRANSPOSE : BLAS_NO_TRANSPOSE, SIDE, SIDE, 1,
                    p->b, SIDE, p->a, 1, 0, p->c, 1);
}

static octet_status bench_product(const bench *b, backend *cpu, const matmul_blas *blas, int m,
                                  const char *name, octet_error *error) {
    product p;
    octet_status status = product_create(&p, cpu, m, error);
    int repeat = 1 + 4096 / m, ways = m == 1 ? 4 : 2;
    double ours = 1e30, peer = 1e30;
    for (int round = 0; round < 12 && !status; round++) {
        double t = clock_seconds();
        for (int i = 0; i < repeat && !status; i++)
            status = program_run(p.p, error);
        t = (clock_seconds() - t) / repeat;
        ours = t < ours ? t : ours;
        for (int way = 0; way < ways && blas; way++) {
            t = clock_seconds();
            for (int i = 0; i < repeat; i++)
                peer_product(blas, &p, way);
            t = (clock_seconds() - t) / repeat;
            peer = t < peer ? t : peer;
        }
    }
    if (!status)
        report(b, (octet_bench_result){name, 2.0 * m * SIDE * SIDE / ours * 1e-9, "GFLOP/s",
                                       blas ? "OpenBLAS" : NULL, blas ? peer / ours : 0, 0});
    product_finish(&p);
    return status;
}

static octet_status bench_products(const bench *b, octet_error *error) {
    static const struct {
        const char *name;
        int m;
    } rows[] = {{"matmul.m1", 1}, {"matmul.m8", 8}, {"matmul.m64", 64}, {"matmul.m256", 256}};
    const matmul_blas *blas = NULL;
    cpu_backend_params one = {.n_threads = 1, .cap = cpu_detect()};
    backend *cpu = NULL;
    octet_status status = OCTET_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !status; i++) {
        if (!wanted(b, rows[i].name))
            continue;
        if (!cpu) {
            status = cpu_backend_create(&cpu, &one, error);
            if (status || matmul_blas_load(&blas, 1, NULL))
                blas = NULL;
        }
        if (!status)
            status = bench_product(b, cpu, blas, rows[i].m, rows[i].name, error);
    }
    backend_destroy(&cpu);
    return status;
}

/* --- training and generating */

static octet_status read_config(config *c, const bench *b, const char *file, octet_error *error) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", b->models, file);
    return config_read(c, path, error);
}

/* Bytes that look a little like text: what they are does not matter for speed. */
static void fill_text(uint8_t *bytes, int64_t n, uint32_t seed) {
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24 & 7 ? 'a' + (seed >> 16) % 26 : ' ');
    }
}

/* The best of some steps' seconds, and of the peaks measured between them. */
static octet_status time_steps(const bench *b, step_graph *s, const config *c, double *best,
                               double *peak, octet_error *error) {
    uint8_t *bytes = malloc((size_t)c->context);
    octet_status status = bytes ? OCTET_OK : error_memory(error, "bench", (double)c->context);
    *best = 1e30;
    *peak = 0;
    for (int step = 0; step < 6 && !status; step++) {
        double now = yardstick_flops(b->runtime->backend);
        *peak = now > *peak ? now : *peak;
        for (int64_t k = 0; k < c->train.batch; k++) {
            fill_text(bytes, c->context, (uint32_t)(step * 100 + k));
            step_set_window(s, k, bytes, c->context);
        }
        step_result result;
        double t = clock_seconds();
        status = step_run(s, step, 1000, &result, error);
        t = clock_seconds() - t;
        *best = t < *best ? t : *best;
    }
    free(bytes);
    return status;
}

/* Seconds of a step, and the share of the peak that its products reach. */
static octet_status measure_training(const bench *b, const config *c, double *seconds,
                                     double *share, octet_error *error) {
    double peak;
    model *m = NULL;
    optimizer o = {0};
    step_graph *s = NULL;
    octet_status status = model_create(&m, b->runtime->backend, c, error);
    if (!status)
        status = params_reset(&m->params, 1, error);
    if (!status)
        status = optimizer_create(&o, &m->params, &m->config.train, error);
    if (!status)
        status = step_create(&s, m, &o, c->train.batch, c->train.micro_batches, error);
    if (!status)
        status = time_steps(b, s, c, seconds, &peak, error);
    if (!status)
        *share =
            6 * model_weights_per_byte(m) * (double)(c->train.batch * c->context) / *seconds / peak;
    step_destroy(&s);
    optimizer_finish(&o);
    model_destroy(&m);
    return status;
}

static octet_status bench_train(const bench *b, const char *name, const char *file,
                                octet_error *error) {
    config c;
    double seconds, share;
    octet_status status = read_config(&c, b, file, error);
    if (!status)
        status = measure_training(b, &c, &seconds, &share, error);
    if (!status)
        report(b, (octet_bench_result){name, share, "share of peak", NULL, 0, 0});
    return status;
}

static octet_status time_generation(octet_session *session, int64_t n, double *best,
                                    octet_error *error) {
    octet_sampling sampling = {.temperature = 1, .seed = 1};
    octet_status status = OCTET_OK;
    *best = 1e30;
    for (int round = 0; round < 4 && !status; round++) {
        double t = clock_seconds();
        for (int64_t i = 0; i < n && !status; i++) {
            uint8_t byte;
            status = octet_session_sample(session, 0, &sampling, &byte, error);
            octet_feed feed = {0, &byte, 1, NULL};
            if (!status)
                status = octet_session_feed(session, &feed, 1, error);
        }
        t = clock_seconds() - t;
        *best = t < *best ? t : *best;
    }
    return status;
}

static octet_status bench_generate(const bench *b, const char *name, const char *file,
                                   octet_error *error) {
    config c;
    char *text = NULL;
    octet_model *m = NULL;
    octet_session *session = NULL;
    int stream;
    double best;
    octet_status status = read_config(&c, b, file, error);
    if (!status && !(text = config_text(&c)))
        status = error_memory(error, "bench", 4096);
    if (!status)
        status = octet_model_create(&m, b->runtime, text, file, 1, error);
    if (!status)
        status = octet_session_create(&session, m, NULL, error);
    if (!status)
        status = octet_session_join(session, &stream, error);
    if (!status)
        status = time_generation(session, GENERATE_BYTES, &best, error);
    if (!status) {
        double weights = model_weights_per_byte(m->model);
        double bytes = 4 * (double)params_count(&m->model->params);
        double bound = yardstick_bandwidth(b->runtime->backend, bytes) / (4 * weights);
        report(b, (octet_bench_result){name, GENERATE_BYTES / best, "bytes/s", NULL, 0, bound});
    }
    octet_session_destroy(&session);
    octet_model_destroy(&m);
    free(text);
    return status;
}

octet_status octet_bench(octet_runtime *runtime, const char *models, const char *const *prefixes,
                         int n, const volatile int *stop, octet_bench_report *visit, void *context,
                         octet_error *error) {
    bench b = {runtime, models, prefixes, n, stop, visit, context};
    octet_status status = api_needs_cpu(runtime, "bench", error);
    if (!status)
        status = bench_products(&b, error);
    if (!status && wanted(&b, "peak"))
        report(&b, (octet_bench_result){"peak", yardstick_flops(runtime->backend) * 1e-9, "GFLOP/s",
                                        NULL, 0, 0});
    if (!status && wanted(&b, "bandwidth.memory"))
        report(&b, (octet_bench_result){"bandwidth.memory",
                                        yardstick_bandwidth(runtime->backend, 512e6) * 1e-9, "GB/s",
                                        NULL, 0, 0});
    if (!status && wanted(&b, "bandwidth.cache"))
        report(&b, (octet_bench_result){"bandwidth.cache",
                                        yardstick_bandwidth(runtime->backend, 15e6) * 1e-9, "GB/s",
                                        NULL, 0, 0});
    if (!status && wanted(&b, "train.a"))
        status = bench_train(&b, "train.a", "bench-a.json", error);
    if (!status && wanted(&b, "train.b"))
        status = bench_train(&b, "train.b", "bench-b.json", error);
    if (!status && wanted(&b, "generate.a"))
        status = bench_generate(&b, "generate.a", "bench-a.json", error);
    if (!status && wanted(&b, "generate.b"))
        status = bench_generate(&b, "generate.b", "bench-b.json", error);
    if (!status && stop && *stop)
        status = error_set(error, OCTET_STOPPED, "stopped");
    return status;
}

/* --- one model */

/* `streams` streams read `before` bytes and go on by what they sample; bytes/s of all together. */
static octet_status bench_streams(const bench *b, octet_model *m, int streams, int64_t before,
                                  const char *name, octet_error *error) {
    octet_session *session = NULL;
    octet_session_params slots = {.streams = streams, .keep = -1};
    uint8_t *bytes = malloc((size_t)before + (size_t)streams);
    octet_feed *feeds = calloc((size_t)streams, sizeof *feeds);
    octet_status status = bytes && feeds ? octet_session_create(&session, m, &slots, error)
                                         : error_memory(error, "bench", (double)before);
    for (int i = 0; i < streams && !status; i++) {
        fill_text(bytes, before, (uint32_t)i);
        status = octet_session_join(session, &feeds[i].stream, error);
        feeds[i].bytes = bytes;
        feeds[i].n = (size_t)before;
        if (!status)
            status = octet_session_feed(session, &feeds[i], 1, error);
    }
    double best = 1e30;
    octet_sampling sampling = {.temperature = 1, .seed = 1};
    for (int round = 0; round < 4 && !status; round++) {
        double t = clock_seconds();
        for (int n = 0; n < MODEL_BYTES && !status; n++) {
            for (int i = 0; i < streams && !status; i++) {
                feeds[i] = (octet_feed){feeds[i].stream, bytes + before + i, 1, NULL};
                status = octet_session_sample(session, feeds[i].stream, &sampling,
                                              bytes + before + i, error);
                status = status == OCTET_END ? OCTET_OK : status; /* any byte takes as long */
            }
            if (!status)
                status = octet_session_feed(session, feeds, streams, error);
        }
        t = clock_seconds() - t;
        best = t < best ? t : best;
    }
    if (!status)
        report(b, (octet_bench_result){name, MODEL_BYTES * streams / best, "bytes/s", NULL, 0, 0});
    octet_session_destroy(&session);
    free(bytes);
    free(feeds);
    return status;
}

static octet_status bench_score(const bench *b, octet_model *m, octet_error *error) {
    octet_model_info info;
    octet_model_info_get(m, &info);
    size_t n = (size_t)(info.context < SCORED_BYTES ? SCORED_BYTES : info.context);
    uint8_t *bytes = malloc(n);
    if (!bytes)
        return error_memory(error, "bench", (double)n);
    fill_text(bytes, (int64_t)n, 1);
    double bits, best = 1e30, begin = clock_seconds();
    octet_status status = OCTET_OK;
    for (int round = 0; !status && round < 4 && clock_seconds() - begin < 20; round++) {
        double t = clock_seconds();
        status = octet_score(m, bytes, n, NULL, &bits, error);
        t = clock_seconds() - t;
        best = t < best ? t : best;
    }
    if (!status)
        report(b, (octet_bench_result){"score", (double)n / best, "bytes/s", NULL, 0, 0});
    free(bytes);
    return status;
}

octet_status octet_bench_model(octet_runtime *runtime, const octet_bench_model_params *p,
                               octet_bench_report *visit, void *context, octet_error *error) {
    bench b = {runtime, NULL, p->prefixes, p->n_prefixes, p->stop, visit, context};
    octet_model *m = NULL;
    config c;
    double seconds, share;
    octet_status status = api_needs_cpu(runtime, "bench", error);
    if (!status)
        status = config_parse(&c, p->config, strlen(p->config), p->name, error);
    if (!status && wanted(&b, "train") &&
        !(status = measure_training(&b, &c, &seconds, &share, error)))
        report(&b, (octet_bench_result){"train", (double)(c.train.batch * c.context) / seconds,
                                        "bytes/s", NULL, 0, 0});
    if (!status)
        status = octet_model_create(&m, runtime, p->config, p->name, 1, error);
    int64_t late = c.context > 5 * MODEL_BYTES ? c.context - 5 * MODEL_BYTES : 0;
    if (!status && wanted(&b, "score"))
        status = bench_score(&b, m, error);
    if (!status && wanted(&b, "generate.first"))
        status = bench_streams(&b, m, 1, 0, "generate.first", error);
    if (!status && wanted(&b, "generate.last"))
        status = bench_streams(&b, m, 1, late, "generate.last", error);
    if (!status && wanted(&b, "generate.16"))
        status = bench_streams(&b, m, 16, 0, "generate.16", error);
    struct rusage used;
    if (!status && !getrusage(RUSAGE_SELF, &used))
        report(&b,
               (octet_bench_result){"memory", (double)used.ru_maxrss / 1024, "MiB", NULL, 0, 0});
    if (!status && p->stop && *p->stop)
        status = error_set(error, OCTET_STOPPED, "stopped");
    octet_model_destroy(&m);
    return status;
}
