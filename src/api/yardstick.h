/* yardstick.h: what this machine can do at best: multiply-adds and memory reads per second,
 * measured. */
#ifndef API_YARDSTICK_H
#define API_YARDSTICK_H

#include "graph/backend.h"

/* f32 floating-point operations per second of all threads of a CPU backend together. */
double yardstick_flops(const backend *cpu);

/* Bytes per second that its threads read together from a working set of that many bytes. */
double yardstick_bandwidth(const backend *cpu, double bytes);

#endif
