/* progress.h: one line on a terminal that is rewritten in place, at most five times a second.
 *
 * Nothing is shown when standard error is not a terminal. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

typedef struct progress {
    int enabled;
    int shown;   /* characters on the line now */
    double last; /* seconds, when it was drawn */
} progress;

/* enabled only if standard error is a terminal and quiet is 0. */
void progress_init(progress *p, int quiet);

/* Is it time to draw again? */
int progress_due(const progress *p);
void progress_show(progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void progress_clear(progress *p);

/* "45 s", "3 min 20 s", "2 h 05 min"; "1.25 MB/s". text must hold 32 bytes; both return text. */
#define PROGRESS_TEXT 32
const char *progress_time(char *text, double seconds);
const char *progress_rate(char *text, double bytes_per_s);

double progress_seconds(void);

#endif
