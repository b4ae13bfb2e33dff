/* continuation.h: a prompt, and what a model adds to it; octet_continue on top of it. */
#ifndef INFER_CONTINUATION_H
#define INFER_CONTINUATION_H

#include "model/hierarchy.h"
#include "octet/continue.h"

/* As octet_continue; params is not NULL. */
octet_status continuation_run(const model *m, const uint8_t *prompt, size_t n,
                              const octet_continue_params *params, octet_continue_visit *visit,
                              void *context, octet_error *error);

#endif
