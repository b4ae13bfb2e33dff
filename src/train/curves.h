/* curves.h: a picture of a training run, drawn from its log.
 *
 * An SVG of bits per byte against bytes trained on: every step faint, their smoothed course, and
 * each validation as a dot. It holds everything it needs, follows the light or dark scheme of
 * whoever views it, and stays small however long the run is. */
#ifndef TRAIN_CURVES_H
#define TRAIN_CURVES_H

#include "base/error.h"

/* Reads the log (lines as in run_log.h; what is not a whole line of that form is passed over) and
 * writes the picture crash-safely (file.h). A log without a step gives a picture that says so.
 * OCTET_ERROR: the log cannot be read, the picture cannot be written. */
octet_status curves_write(const char *log_path, const char *svg_path, octet_error *error);

#endif
