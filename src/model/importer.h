/* importer.h: checkpoints of other programs as models, and back.
 *
 * An importer looks at the names and shapes of a file and makes a plan: a configuration of ours,
 * and for each parameter which part of which tensor fills it. Everything else is common: settings,
 * that every tensor and every parameter is accounted for, shapes, reading. The export walks the
 * same plan the other way. See import_plan.h for writing an importer. */
#ifndef MODEL_IMPORTER_H
#define MODEL_IMPORTER_H

#include "model/hierarchy.h"
#include "octet/import.h"

/* Reads a model on `b`, with its fingerprint. As octet_import. */
octet_status import_model(model **out, backend *b, const char *format, const char *path,
                          const octet_import_params *given, octet_error *error);

/* As octet_import_list. */
void import_list(void (*visit)(void *context, const char *name, const char *about,
                               const char *const *settings),
                 void *context);

/* Writes m's weights under the names of `format`. As octet_export. */
octet_status import_export(const model *m, const char *format, const char *path, char **settings,
                           octet_error *error);

#endif
