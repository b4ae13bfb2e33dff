/* signals.h: SIGINT, SIGTERM and SIGHUP.
 *
 * At first a signal ends the program at once with 128 + its number: there is nothing to save. After
 * signals_defer it sets a flag, and only a second one ends the program at once. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* Also ignores SIGPIPE and SIGXFSZ, so that a closed pipe and a limit on file sizes are failed
 * writes like any other. */
void signals_install(void);

/* From here on signals set the flag, which is returned. */
const volatile int *signals_defer(void);

/* Back to ending at once. */
void signals_immediate(void);

/* The first signal caught since signals_defer; 0: none. */
int signals_caught(void);

#endif
