/* cli_sampling.h: how bytes are drawn: the options that octet generate and octet continue share. */
#ifndef CLI_CLI_SAMPLING_H
#define CLI_CLI_SAMPLING_H

#include "cli/options.h"

typedef struct sampling_options {
    int64_t top_k, seed, samples, keep;
    double temperature, top_p, min_p;
} sampling_options;

#define SAMPLING_OPTIONS 7 /* rows of a table */

/* Sets the defaults and fills rows[SAMPLING_OPTIONS]. */
void sampling_table(option *rows, sampling_options *o);

/* Where nobody asked for a seed: a random one, said with -v so that the result can be had again. */
void sampling_seed(cli *c, sampling_options *o);

/* How continuation `number` is drawn. */
octet_sampling sampling_of(const sampling_options *o, int number);

#endif
