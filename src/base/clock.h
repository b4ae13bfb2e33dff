/* clock.h: time that only goes forward, for measuring. No result hangs on it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/* Seconds since some fixed moment. */
double clock_seconds(void);

#endif
