/* pool.c: one atomic word hands out the tasks, one counts them down.
 *
 * The ticket holds (next << 32 | count) of the current job. A thread claims a task by adding 1 to
 * next with compare-and-swap, which succeeds only while next < count, and reads the job's task and
 * context only after that: the job cannot end before its claimed tasks do, so a thread that was
 * delayed between two jobs either claims a task of the job that is current or nothing at all.
 * Workers that find nothing spin for a short while and then sleep on a semaphore. A sleeper is
 * counted awake again by whoever posts for it, so it is woken once and only where it is needed.
 *
 * Schedulers that pack light loads wake a worker on its caller's processor, where the two only take
 * turns. A worker that finds itself there bars that processor to itself. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CACHE_LINE = 64,
    SPIN_NS = 50 * 1000,    /* then a worker sleeps and the caller yields */
    YIELD_NS = 1000 * 1000, /* then the caller sleeps too */
    PAUSES_PER_CLOCK = 16
};

#define TICKET_NEXT ((uint64_t)1 << 32)
#define TICKET_QUIT UINT64_MAX /* next == count: holds no work */
#define PENDING_WAITER ((uint32_t)1 << 31)

typedef struct worker {
    pool *pool;
    pthread_t thread;
    int lane;
} worker;

struct pool {
    /* Written by the caller per job, ticket last; claims write the ticket. */
    alignas(CACHE_LINE) _Atomic uint64_t ticket;
    pool_task *task;
    void *context;
    _Atomic int caller_cpu; /* where the last job was published; -1: none yet */
    /* Tasks of the job not yet done; PENDING_WAITER is set while the caller sleeps. */
    alignas(CACHE_LINE) _Atomic uint32_t pending;
    sem_t finished;
    /* Workers that sleep, or are about to, and that nobody has posted for. */
    alignas(CACHE_LINE) _Atomic int sleepers;
    sem_t wakeups;
    /* Constant after creation. */
    alignas(CACHE_LINE) int n_workers;
    int n_started; /* less than n_workers only where creation failed */
    int n_active;  /* workers that may be awake at once: one per processor, less the caller's */
    bool crowded;  /* more threads than processors: waiting gives the processor away */
    int n_processors;
    cpu_set_t processors; /* of the creator; empty where they do not fit */
    worker workers[];
};

/* How long the current wait has lasted. */
typedef struct patience {
    uint64_t start_ns; /* 0: the clock has not been read yet */
    uint64_t waited_ns;
    unsigned rounds;
} patience;

static void cpu_pause(void) {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    __builtin_ia32_pause();
#elif defined(__GNUC__) && defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Lets a moment pass; false once limit_ns have passed. */
static bool wait_awake(const pool *p, patience *wait, uint64_t limit_ns) {
    if (p->crowded || wait->waited_ns >= SPIN_NS) {
        sched_yield();
    } else {
        cpu_pause();
        if (++wait->rounds % PAUSES_PER_CLOCK != 0) {
            return true;
        }
    }
    const uint64_t now = now_ns();
    if (wait->start_ns == 0) {
        wait->start_ns = now;
    }
    wait->waited_ns = now - wait->start_ns;
    return wait->waited_ns < limit_ns;
}

/* Moves a worker off the processor that the caller runs on, and keeps it off. */
static void leave_to_caller(const pool *p) {
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu != atomic_load_explicit(&p->caller_cpu, memory_order_relaxed) ||
        !CPU_ISSET(cpu, &p->processors) || p->n_processors < 2) {
        return;
    }
    cpu_set_t others = p->processors;
    CPU_CLR(cpu, &others);
    (void)sched_setaffinity(0, sizeof others, &others); /* where it is refused, nothing is lost */
}

static void semaphore_wait(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0) {
        /* Only EINTR is possible: a signal does not end the wait. */
    }
}

static bool has_work(uint64_t ticket) {
    return (uint32_t)(ticket >> 32) < (uint32_t)ticket;
}

/* Runs tasks until none is left to claim; returns how many. */
static uint32_t work(pool *p, int lane) {
    uint32_t done = 0;
    uint64_t ticket = atomic_load_explicit(&p->ticket, memory_order_relaxed);
    while (has_work(ticket)) {
        if (atomic_compare_exchange_weak_explicit(&p->ticket, &ticket, ticket + TICKET_NEXT,
                                                  memory_order_acquire, memory_order_relaxed)) {
            p->task(p->context, (int)(ticket >> 32), lane);
            done++;
            ticket = atomic_load_explicit(&p->ticket, memory_order_relaxed);
        }
    }
    return done;
}

/* Sleeps until posted for. The count of sleepers is raised before the last look at the ticket, and
 * the caller sets the ticket before it looks at the count: one of the two sees the other. */
static void fall_asleep(pool *p) {
    atomic_fetch_add(&p->sleepers, 1);
    const uint64_t ticket = atomic_load(&p->ticket);
    if (ticket == TICKET_QUIT || has_work(ticket)) {
        int sleepers = atomic_load(&p->sleepers);
        while (sleepers > 0) {
            if (atomic_compare_exchange_weak(&p->sleepers, &sleepers, sleepers - 1)) {
                return;
            }
        }
        /* All sleepers have been posted for, this one included: take the post. */
    }
    semaphore_wait(&p->wakeups);
    leave_to_caller(p);
}

/* Posts for sleepers until `wanted` workers are awake. */
static void wake(pool *p, int wanted) {
    int sleepers = atomic_load(&p->sleepers);
    for (;;) {
        int missing = wanted - (p->n_workers - sleepers);
        if (missing > sleepers) {
            missing = sleepers;
        }
        if (missing <= 0) {
            return;
        }
        if (atomic_compare_exchange_weak(&p->sleepers, &sleepers, sleepers - missing)) {
            for (int i = 0; i < missing; i++) {
                sem_post(&p->wakeups);
            }
            return;
        }
    }
}

/* Returns true when there is work, false when the pool ends. */
static bool wait_for_work(pool *p) {
    patience wait = {0};
    leave_to_caller(p);
    const int awake = p->n_workers - atomic_load_explicit(&p->sleepers, memory_order_relaxed);
    bool may_stay_awake = awake <= p->n_active;
    for (;;) {
        const uint64_t ticket = atomic_load_explicit(&p->ticket, memory_order_relaxed);
        if (ticket == TICKET_QUIT) {
            return false;
        }
        if (has_work(ticket)) {
            return true;
        }
        if (!may_stay_awake || !wait_awake(p, &wait, SPIN_NS)) {
            fall_asleep(p);
            wait = (patience){0};
            may_stay_awake = true;
        }
    }
}

static void *worker_main(void *argument) {
    const worker *self = argument;
    pool *p = self->pool;
    while (wait_for_work(p)) {
        const uint32_t done = work(p, self->lane);
        if (done > 0 && atomic_fetch_sub_explicit(&p->pending, done, memory_order_acq_rel) ==
                            (PENDING_WAITER | done)) {
            sem_post(&p->finished);
        }
    }
    return NULL;
}

/* Waits for the tasks that workers still run. */
static void wait_for_workers(pool *p) {
    patience wait = {0};
    while (atomic_load_explicit(&p->pending, memory_order_acquire) != 0) {
        if (!wait_awake(p, &wait, YIELD_NS)) {
            if (atomic_fetch_or_explicit(&p->pending, PENDING_WAITER, memory_order_acq_rel) != 0) {
                semaphore_wait(&p->finished); /* the last task's thread posts */
            }
            return;
        }
    }
}

void pool_run(pool *p, pool_task *task, void *context, int n_tasks) {
    if (n_tasks <= 1 || p->n_workers == 0) {
        for (int i = 0; i < n_tasks; i++) {
            task(context, i, 0);
        }
        return;
    }
    p->task = task;
    p->context = context;
    atomic_store_explicit(&p->caller_cpu, sched_getcpu(), memory_order_relaxed);
    atomic_store_explicit(&p->pending, (uint32_t)n_tasks, memory_order_relaxed);
    atomic_store(&p->ticket, TICKET_NEXT | (uint64_t)n_tasks); /* task 0 is the caller's own */
    wake(p, n_tasks - 1 < p->n_active ? n_tasks - 1 : p->n_active);
    task(context, 0, 0);
    const uint32_t done = 1 + work(p, 0);
    if (atomic_fetch_sub_explicit(&p->pending, done, memory_order_acq_rel) != done) {
        wait_for_workers(p);
    }
}

int pool_threads(const pool *p) {
    return p->n_workers + 1;
}

int pool_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        return CPU_COUNT(&set);
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t holds */
    return online > 0 ? (int)online : 1;
}

/* Starts the workers with all signals blocked that the program's own thread should receive; those
 * that a fault raises in the thread itself stay open. Returns pthread_create's error or 0. */
static int start_workers(pool *p) {
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    int failure = pthread_sigmask(SIG_SETMASK, &blocked, &before);
    if (failure != 0) {
        return failure;
    }
    while (failure == 0 && p->n_started < p->n_workers) {
        worker *w = &p->workers[p->n_started];
        *w = (worker){.pool = p, .lane = p->n_started + 1};
        failure = pthread_create(&w->thread, NULL, worker_main, w);
        p->n_started += failure == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

octet_status pool_create(pool **out, int n_threads, octet_error *error) {
    *out = NULL;
    if (n_threads < 1 || n_threads > POOL_MAX_THREADS) {
        return error_set(error, OCTET_ERROR, "threads must be 1 to %d, not %d", POOL_MAX_THREADS,
                         n_threads);
    }
    size_t bytes = sizeof(pool) + (size_t)n_threads * sizeof(worker);
    bytes = (bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
    pool *p = aligned_alloc(CACHE_LINE, bytes);
    if (p == NULL) {
        return error_memory(error, "a thread pool", (double)bytes);
    }
    memset(p, 0, bytes);
    if (sched_getaffinity(0, sizeof p->processors, &p->processors) != 0) {
        CPU_ZERO(&p->processors);
    }
    p->n_processors = pool_processors();
    const int active = (n_threads < p->n_processors ? n_threads : p->n_processors) - 1;
    p->n_active = active > 1 ? active : 1;
    p->crowded = n_threads > p->n_processors;
    p->n_workers = n_threads - 1;
    atomic_init(&p->ticket, 0);
    atomic_init(&p->pending, 0);
    atomic_init(&p->caller_cpu, -1);
    atomic_init(&p->sleepers, 0);
    sem_init(&p->finished, 0, 0);
    sem_init(&p->wakeups, 0, 0);
    const int failure = start_workers(p);
    if (failure != 0) {
        const int started = p->n_started;
        pool_destroy(&p);
        return error_set(error, OCTET_ERROR, "cannot start thread %d of %d: %s", started + 2,
                         n_threads, strerror(failure));
    }
    *out = p;
    return OCTET_OK;
}

void pool_destroy(pool **p) {
    pool *dead = *p;
    *p = NULL;
    if (dead == NULL) {
        return;
    }
    atomic_store(&dead->ticket, TICKET_QUIT);
    wake(dead, dead->n_workers);
    for (int i = 0; i < dead->n_started; i++) {
        pthread_join(dead->workers[i].thread, NULL);
    }
    sem_destroy(&dead->finished);
    sem_destroy(&dead->wakeups);
    free(dead);
}
