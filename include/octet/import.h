/* import.h: models that other programs wrote, and models for them.
 *
 * A format names a program whose checkpoints are read: tensors under its names, in PyTorch's zip
 * archives (torch.save since 1.6) or in safetensors. Importing changes no equation: the logits are
 * the original's, up to the rounding of its sums. README has the formats and their settings. */
#ifndef OCTET_IMPORT_H
#define OCTET_IMPORT_H

#include "octet/model.h"

/* What was left behind or assumed, one line each: "transformers.0.rotary_emb.inv_freq: skipped,
 * ...".
 */
typedef void octet_import_report(void *context, const char *text);

/* What a file does not say, as the settings of the program that wrote it. A name that the format
 * does not know, a value that the file contradicts and a value that is missing are OCTET_ERROR;
 * what is missing is named all at once, with what the program takes by default. */
typedef struct octet_import_params {
    const char *side; /* path of a JSON object of settings, or of one that holds them under "config"
                         and may name a "version" beside it; "-" is standard input; may be NULL */
    const char *const *settings; /* "name=value" each, the value in JSON, or else a text; they win
                                    over the file's; may be NULL */
    int n_settings;
    octet_import_report *report; /* may be NULL */
    void *context;
} octet_import_params;

/* Reads the checkpoint `path`, a regular file, of a format into a model, whole and checked:
 * every tensor of the file is used, or skipped by a rule, or an error; every weight is filled once,
 * by a tensor of its shape. octet_model_save writes the model. params may be NULL. OCTET_ERROR: no
 * such file or format, settings (above). OCTET_CORRUPT: a damaged file, not of the format, or of a
 * kind that is not supported. */
octet_status octet_import(octet_model **out, octet_runtime *runtime, const char *format,
                          const char *path, const octet_import_params *params, octet_error *error);

/* Calls visit(context, name, about, settings) for each format; settings are the known names. */
void octet_import_list(void (*visit)(void *context, const char *name, const char *about,
                                     const char *const *settings),
                       void *context);

/* Writes the model's weights as safetensors under the names of a format, "megabyte-pytorch",
 * crash-safely: load_state_dict of a MEGABYTE of equal sizes takes them. *settings, unless settings
 * is NULL, becomes what the file does not say, as octet_import_params.side wants it and as the
 * arguments of the constructor: JSON, to be freed by free(). Importing the file with them gives the
 * same bits. OCTET_ERROR: no such format, a file that cannot be written, or a configuration that
 * the format has no words for, with the key, its value and the one that it has. */
octet_status octet_export(const octet_model *model, const char *format, const char *path,
                          char **settings, octet_error *error);

#endif
