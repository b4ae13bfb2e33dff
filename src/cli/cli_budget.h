/* cli_budget.h: octet info of a configuration instead of a model. */
#ifndef CLI_CLI_BUDGET_H
#define CLI_CLI_BUDGET_H

#include "cli/cli.h"

/* Lists the presets; returns the exit code, as below. */
int cli_presets(cli *c);

/* What a preset, or the configuration in a file ("-": standard input), costs to run and to train;
 * with write_config its text instead. One of preset and path is NULL. */
int cli_budget(cli *c, const char *preset, const char *path, int write_config);

#endif
