/* yardstick.c: see yardstick.h. Own threads, so that every one of them is at work at once; best of
 * several. */
#include "api/yardstick.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cpu/cpu_backend.h"
#include "cpu/peak.h"

#define ROUNDS 5

typedef struct yard_worker {
    pthread_t thread;
    peak_function *peak;
    read_function *read;
    const float *data; /* NULL: measure multiply-adds */
    size_t n;
    double rate;
} yard_worker;

static void *yard_run(void *context) {
    yard_worker *w = context;
    volatile float keep;
    float sink = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double work, t = clock_seconds();
        if (w->data) {
            size_t passes = 1 + ((size_t)1 << 26) / (w->n + 1);
            for (size_t i = 0; i < passes; i++)
                w->read(w->data, w->n, &sink);
            work = (double)passes * (double)w->n * sizeof *w->data;
        } else {
            work = w->peak(4000000, &sink);
        }
        keep = sink;
        (void)keep;
        double rate = work / (clock_seconds() - t);
        w->rate = rate > w->rate ? rate : w->rate;
    }
    return NULL;
}

static void choose(yard_worker *w, const char *isa) {
    w->peak = peak_c;
    w->read = read_c;
#if defined(__x86_64__)
    if (!strcmp(isa, "avx2") || !strcmp(isa, "avx512")) {
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
    double sum = 0;
    for (int i = 0; w && i < threads; i++) {
        choose(&w[i], isa);
        w[i].n = n / (size_t)threads;
        w[i].data = data ? data + (size_t)i * w[i].n : NULL;
        if (pthread_create(&w[i].thread, NULL, yard_run, &w[i]))
            threads = i;
    }
    for (int i = 0; w && i < threads; i++) {
        pthread_join(w[i].thread, NULL);
        sum += w[i].rate;
    }
    free(w);
    return sum;
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
