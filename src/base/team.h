/* team.h: a few jobs at the same time.
 *
 * Unlike the tasks of a pool each has a thread of its own, from beginning to end, so that jobs may
 * wait for one another. */
#ifndef BASE_TEAM_H
#define BASE_TEAM_H

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

typedef void team_job(void *context, int index);

/* Runs job(context, i) for all i in [0, n), 0 in the caller's thread, and returns when all have
 * ended. OCTET_ERROR: so many threads cannot be started, and none has begun. */
octet_status team_run(int n, team_job *job, void *context, octet_error *error);

/* Turns that the jobs of a team take one after the other. */
typedef struct team_turns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t now;
    int ended;
} team_turns;

void team_turns_init(team_turns *t);
void team_turns_finish(team_turns *t);

/* Waits for turn number n, of 0, 1, ...; false: there are no more turns. */
int team_turn_take(team_turns *t, uint64_t n);
/* The turn is over, the next one's begins. */
void team_turn_pass(team_turns *t);
/* There are no more turns, whoever has the present one. */
void team_turns_end(team_turns *t);

#endif
