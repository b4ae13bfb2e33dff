/* config_check.h: what ties several keys of a configuration together. */
#ifndef MODEL_CONFIG_CHECK_H
#define MODEL_CONFIG_CHECK_H

#include "model/config.h"

/* Stands for a value that was not given and whose default hangs on other keys; below every range.
 */
#define CONFIG_DERIVED -1

/* Fills in derived defaults of a configuration whose values are each in their range, then checks
 * that sizes divide and that the parameters are at most 2^40. `name` as for config_parse. */
octet_status config_check(config *c, const char *name, octet_error *error);

/* The part of config_check that is about "codec". */
octet_status config_check_codec(const config *c, const char *name, octet_error *error);

/* Parameters of a model of the configuration, INT64_MAX where they are more. */
int64_t config_weights(const config *c);

#endif
