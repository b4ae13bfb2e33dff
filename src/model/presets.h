/* presets.h: the models of the MegaByte paper (Yu et al. 2023, version 1, Table 15) as
 * configurations.
 *
 * The paper's block: ReLU, layer norm with biases before each part, learned positions, dropout of
 * 0.1, tied head; its optimizer: Adam with betas 0.9 and 0.98, decay of weights 0.1, clipping at 1,
 * 500 updates of warm-up, then a linear fall to 0. What it leaves open, and where we part from it,
 * is in presets.c. */
#ifndef MODEL_PRESETS_H
#define MODEL_PRESETS_H

#include <stddef.h>

#include "base/error.h"

#define PRESET_TEXT 2048 /* bytes that hold any preset's text */

/* Name of preset number `index`, and in *about one line of what it is; NULL after the last. */
const char *preset_name(int index, const char **about);

/* Writes the preset's JSON with every key that is not a default, ready to be edited. OCTET_ERROR:
 * no preset of that name. */
octet_status preset_text(char out[PRESET_TEXT], const char *name, octet_error *error);

#endif
