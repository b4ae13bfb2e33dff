/* progress.c: see progress.h. */
#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_S 0.2
#define MAX_WIDTH 200

double progress_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void progress_init(progress *p, int quiet) {
    memset(p, 0, sizeof *p);
    p->enabled = !quiet && isatty(STDERR_FILENO);
}

int progress_due(const progress *p) {
    return p->enabled && progress_seconds() - p->last >= INTERVAL_S;
}

/* COLUMNS, else the terminal's own width, else 80. */
static int width(void) {
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    int n = columns ? atoi(columns) : 0;
    if (n <= 0 && !ioctl(STDERR_FILENO, TIOCGWINSZ, &size))
        n = size.ws_col;
    if (n <= 0)
        n = 80;
    return n < MAX_WIDTH ? n : MAX_WIDTH;
}

/* Replaces the line by n characters of text, blanks over what is left of the old one. */
static void draw(progress *p, const char *text, int n) {
    char line[2 * MAX_WIDTH + 4];
    int used = 0, blanks = p->shown > n ? p->shown - n : 0;
    line[used++] = '\r';
    memcpy(line + used, text, (size_t)n);
    used += n;
    memset(line + used, ' ', (size_t)blanks);
    used += blanks;
    if (blanks && n == 0)
        line[used++] = '\r';
    p->shown = n;
    p->last = progress_seconds();
    if (write(STDERR_FILENO, line, (size_t)used) < 0)
        p->enabled = 0;
}

void progress_show(progress *p, const char *format, ...) {
    char text[MAX_WIDTH + 1];
    va_list arguments;
    if (!progress_due(p))
        return;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n > MAX_WIDTH)
        n = MAX_WIDTH;
    int limit = width() - 1; /* the last column would wrap */
    draw(p, text, n < limit ? n : limit);
}

void progress_clear(progress *p) {
    if (!p->shown)
        return;
    double last = p->last;
    draw(p, "", 0);
    p->last = last;
}

const char *progress_time(char *text, double seconds) {
    long s = seconds < 1e9 ? (long)(seconds + 0.5) : 1000000000L;
    if (s < 60)
        snprintf(text, PROGRESS_TEXT, "%ld s", s);
    else if (s < 3600)
        snprintf(text, PROGRESS_TEXT, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(text, PROGRESS_TEXT, "%ld h %02ld min", s / 3600, s % 3600 / 60);
    return text;
}

const char *progress_rate(char *text, double rate) {
    if (rate < 1e3)
        snprintf(text, PROGRESS_TEXT, "%.0f B/s", rate);
    else if (rate < 1e6)
        snprintf(text, PROGRESS_TEXT, "%.1f kB/s", rate * 1e-3);
    else
        snprintf(text, PROGRESS_TEXT, "%.2f MB/s", rate * 1e-6);
    return text;
}
