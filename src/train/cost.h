/* cost.h: what a configuration costs to run and to train: octet/budget.h.
 *
 * The model is outlined on a planner (graph/planner.h), a session and a training step are recorded
 * on it as they would be on a device, and what the planner then holds is the answer. */
#ifndef TRAIN_COST_H
#define TRAIN_COST_H

#include "graph/backend.h"
#include "model/config.h"
#include "octet/budget.h"

/* Fills in everything of *out. */
octet_status cost_of(octet_budget *out, const config *c, octet_error *error);

/* OCTET_NO_MEMORY, with both sizes, when training needs more than the backend has, as far as it can
 * tell. */
octet_status cost_check_training(const backend *b, const config *c, octet_error *error);

#endif
