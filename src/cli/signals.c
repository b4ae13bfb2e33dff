/* signals.c: see signals.h. The only state of the program outside a command's own. */
#define _GNU_SOURCE
#include "cli/signals.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t deferred;
static volatile int caught;

static void handle(int number) {
    if (!deferred || caught)
        _exit(128 + number);
    caught = number;
}

void signals_install(void) {
    static const int stopping[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
    /* No SA_RESTART: a write to a stalled reader must see the flag. */
    action.sa_handler = handle;
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++) {
        /* nohup ignores SIGHUP and means it. Shells ignore SIGINT for a script's background
         * commands, where `kill -INT` should still stop a run. */
        if (stopping[i] == SIGHUP && !sigaction(SIGHUP, NULL, &before) &&
            before.sa_handler == SIG_IGN)
            continue;
        sigaction(stopping[i], &action, NULL);
    }
}

const volatile int *signals_defer(void) {
    deferred = 1;
    return &caught;
}

void signals_immediate(void) {
    deferred = 0;
}

int signals_caught(void) {
    return caught;
}
