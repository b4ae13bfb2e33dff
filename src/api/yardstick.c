/* yardstick.c: see yardstick.h. Own threads, so that every one of them is at work at once; the best
 * of several rounds, each long enough that a clock which is high for a moment only does not count.
 */
#include "api/yardstick.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cpu/cpu_backend.h"
#include "cpu/peak.h"

#define ROUNDS 5
#define ROUND_SECONDS 0.1
#define TRIAL 100000 /* rounds of multiply-adds that tell how many a round of ours takes */

typedef struct yard_worker {
    pthread_t thread;
    peak_function *peak;
    read_function *read;
    const float *data; /* NULL: measure multiply-adds */
    size_t n;
    double rate[ROUNDS];
} yard_worker;

/* Work of a round, in floating-point operations or bytes. */
static double work_once(const yard_worker *w, int64_t times, float *sink) {
    if (!w->data)
        return w->peak(times, sink);
    for (int64_t i = 0; i < times; i++)
        w->read(w->data, w->n, sink);
    return (double)times * (double)w->n * sizeof *w->data;
}

static void *yard_run(void *context) {
    yard_worker *w = context;
    volatile float keep;
    float sink = 0;
    int64_t times = w->data ? 1 : TRIAL;
    double t = clock_seconds();
    work_once(w, times, &sink);
    t = clock_seconds() - t;
    times = 1 + (int64_t)((double)times * ROUND_SECONDS / (t > 1e-9 ? t : 1e-9));
    for (int round = 0; round < ROUNDS; round++) {
        t = clock_seconds();
        double work = work_once(w, times, &sink);
        w->rate[round] = work / (clock_seconds() - t);
        keep = sink;
        (void)keep;
    }
    return NULL;
}

static void choose(yard_worker *w, const char *isa) {
    w->peak = peak_c;
    w->read = read_c;
#if defined(__x86_64__)
    if (strcmp(isa, "scalar") != 0) {
        w->peak = isa[3] == '2' ? peak_avx2 : peak_avx512;
        w->read = isa[3] == '2' ? read_avx2 : read_avx512;
    }
#endif
}

static double run_all(const backend *cpu, const float *data, size_t n) {
    int threads = cpu_backend_threads(cpu), limit = pool_processors();
    const char *isa = cpu_backend_isa(cpu);
    threads = threads < limit ? threads : limit;
    yard_worker *w = calloc((size_t)threads, sizeof *w);
    double best = 0;
    for (int i = 0; w && i < threads; i++) {
        choose(&w[i], isa);
        w[i].n = n / (size_t)threads;
        w[i].data = data ? data + (size_t)i * w[i].n : NULL;
        if (pthread_create(&w[i].thread, NULL, yard_run, &w[i]))
            threads = i;
    }
    for (int i = 0; w && i < threads; i++)
        pthread_join(w[i].thread, NULL);
    for (int round = 0; w && round < ROUNDS; round++) {
        double sum = 0;
        for (int i = 0; i < threads; i++)
            sum += w[i].rate[round];
        best = sum > best ? sum : best;
    }
    free(w);
    return best;
}

double yardstick_flops(const backend *cpu) {
    return run_all(cpu, NULL, 0);
}

double yardstick_bandwidth(const backend *cpu, double bytes) {
    float *data = malloc((size_t)bytes);
    if (!data)
        return 0;
    /* Written first: untouched pages would all be one page of zeros. */
    memset(data, 1, (size_t)bytes);
    double rate = run_all(cpu, data, (size_t)bytes / sizeof *data);
    free(data);
    return rate;
}
