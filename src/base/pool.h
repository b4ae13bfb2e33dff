/* pool.h: a thread pool that runs one set of tasks at a time.
 *
 * Tasks own disjoint outputs, so no result depends on who runs which task or on how many threads
 * there are. Threads claim tasks one by one from an atomic ticket; a thread that the system has not
 * scheduled holds nothing up unless it has claimed a task. Idle threads spin briefly, then sleep;
 * with more threads than processors they do not spin. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/error.h"

typedef struct pool pool;

/* Work of one task: index in [0, n_tasks), lane in [0, pool_threads) is the thread that runs it. */
typedef void pool_task(void *context, int index, int lane);

#define POOL_MAX_THREADS 256

/* Starts a pool of n_threads in all, the caller's included (1 starts none).
 * n_threads in [1, POOL_MAX_THREADS], else OCTET_ERROR. */
octet_status pool_create(pool **out, int n_threads, octet_error *error);

/* Joins the threads. Accepts NULL; sets *p to NULL. */
void pool_destroy(pool **p);

int pool_threads(const pool *p);

/* Runs task(context, i, lane) for all i in [0, n_tasks) and returns when all are done. Called from
 * one thread at a time; never from inside a task. All writes of the tasks are visible to the
 * caller. */
void pool_run(pool *p, pool_task *task, void *context, int n_tasks);

/* Processors this process may run on (its affinity), at least 1. */
int pool_processors(void);

#endif
