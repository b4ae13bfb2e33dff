/* cli_sampling.c: see cli_sampling.h. */
#define _GNU_SOURCE
#include "cli/cli_sampling.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

void sampling_table(option *rows, sampling_options *o) {
    const option table[SAMPLING_OPTIONS] = {
        {.name = "temperature",
         .kind = OPTION_REAL,
         .value = &o->temperature,
         .min = 0,
         .max = 1000,
         .argument = "X",
         .help = "default 1; 0: always the most likely byte"},
        {.name = "top-k",
         .kind = OPTION_INTEGER,
         .value = &o->top_k,
         .min = 0,
         .max = 256,
         .argument = "K",
         .help = "only the K most likely bytes (default: 0, all)"},
        {.name = "top-p",
         .kind = OPTION_REAL,
         .value = &o->top_p,
         .min = 0,
         .max = 1,
         .argument = "P",
         .help = "the fewest bytes whose probabilities reach P (default: 1, all)"},
        {.name = "min-p",
         .kind = OPTION_REAL,
         .value = &o->min_p,
         .min = 0,
         .max = 1,
         .argument = "P",
         .help = "bytes at least P times as likely as the most likely (default: 0)"},
        {.name = "seed",
         .kind = OPTION_INTEGER,
         .value = &o->seed,
         .min = 0,
         .max = OPTION_NO_LIMIT,
         .argument = "S",
         .help = "equal seeds give equal bytes (default: random, -v says it)"},
        {.name = "samples",
         .kind = OPTION_INTEGER,
         .value = &o->samples,
         .min = 1,
         .max = 4096,
         .argument = "N",
         .help = "continuations, made as one batch (default: 1)"},
        {.name = "keep",
         .kind = OPTION_INTEGER,
         .value = &o->keep,
         .min = 0,
         .max = OPTION_NO_LIMIT,
         .argument = "N",
         .help = "bytes kept when the stream passes the context (default: the model's)"},
    };
    *o = (sampling_options){.seed = -1, .samples = 1, .keep = -1, .temperature = 1, .top_p = 1};
    memcpy(rows, table, sizeof table);
}

void sampling_seed(cli *c, sampling_options *o) {
    uint64_t seed;
    if (o->seed >= 0)
        return;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)time(NULL);
    seed %= (uint64_t)OPTION_NO_LIMIT;
    cli_detail(c, "--seed %llu", (unsigned long long)seed);
    o->seed = (int64_t)seed;
}

octet_sampling sampling_of(const sampling_options *o, int number) {
    return (octet_sampling){
        .temperature = (float)o->temperature,
        .top_k = (int)o->top_k,
        .top_p = (float)o->top_p,
        .min_p = (float)o->min_p,
        .seed = (uint64_t)o->seed,
        .number = (uint32_t)number,
    };
}
