/* team.c: see team.h. Threads begin their jobs only when all of them have been started. */
#include "base/team.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct team {
    team_job *job;
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t decided;
    int decision; /* 0: not yet; 1: go; -1: go home */
} team;

typedef struct member {
    team *team;
    pthread_t thread;
    int index;
} member;

static void *member_main(void *argument) {
    const member *self = argument;
    team *t = self->team;
    pthread_mutex_lock(&t->lock);
    while (!t->decision)
        pthread_cond_wait(&t->decided, &t->lock);
    const int goes = t->decision > 0;
    pthread_mutex_unlock(&t->lock);
    if (goes)
        t->job(t->context, self->index);
    return NULL;
}

/* With all signals blocked that the caller's thread should receive, as the workers of a pool.
 * Returns how many started. */
static int start(member *members, int n) {
    sigset_t blocked, before;
    int started = 0;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    if (pthread_sigmask(SIG_SETMASK, &blocked, &before))
        return 0;
    while (started < n &&
           !pthread_create(&members[started].thread, NULL, member_main, &members[started]))
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

octet_status team_run(int n, team_job *job, void *context, octet_error *error) {
    if (n == 1) {
        job(context, 0);
        return OCTET_OK;
    }
    team t = {.job = job, .context = context};
    member *members = calloc((size_t)n, sizeof *members);
    if (!members)
        return error_memory(error, "threads", n * (double)sizeof *members);
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.decided, NULL);
    for (int i = 1; i < n; i++)
        members[i - 1] = (member){.team = &t, .index = i};
    const int started = start(members, n - 1), whole = started == n - 1;
    pthread_mutex_lock(&t.lock);
    t.decision = whole ? 1 : -1;
    pthread_cond_broadcast(&t.decided);
    pthread_mutex_unlock(&t.lock);
    if (whole)
        job(context, 0);
    for (int i = 0; i < started; i++)
        pthread_join(members[i].thread, NULL);
    pthread_cond_destroy(&t.decided);
    pthread_mutex_destroy(&t.lock);
    free(members);
    return whole ? OCTET_OK
                 : error_set(error, OCTET_ERROR, "cannot start thread %d of %d", started + 2, n);
}

void team_turns_init(team_turns *t) {
    *t = (team_turns){.now = 0};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
}

void team_turns_finish(team_turns *t) {
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

int team_turn_take(team_turns *t, uint64_t n) {
    pthread_mutex_lock(&t->lock);
    while (t->now != n && !t->ended)
        pthread_cond_wait(&t->changed, &t->lock);
    const int taken = !t->ended;
    pthread_mutex_unlock(&t->lock);
    return taken;
}

void team_turn_pass(team_turns *t) {
    pthread_mutex_lock(&t->lock);
    t->now++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void team_turns_end(team_turns *t) {
    pthread_mutex_lock(&t->lock);
    t->ended = 1;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}
