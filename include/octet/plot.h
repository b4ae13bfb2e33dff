/* plot.h: pictures of sound. */
#ifndef OCTET_PLOT_H
#define OCTET_PLOT_H

#include "octet/model.h"

#define OCTET_PLOT_FILES 16 /* of one picture at most */

typedef struct octet_plot_params {
    const char *const *paths; /* audio files; "-" is standard input */
    int n_paths;              /* 1 to OCTET_PLOT_FILES */
    double mark;        /* seconds at which a line stands, such as the seam of a join; < 0: none */
    octet_model *model; /* adds what it makes of each frame, in bits; NULL: none */
    const volatile int *stop; /* as in octet_score_params */
} octet_plot_params;

/* Draws waveforms and spectrograms below one another on the same axes; several channels are
 * averaged. A PNG where path ends in ".png", else an SVG; written crash-safely. OCTET_WRONG_MODEL:
 * the model has no audio codec; other errors as of octet_encode_file. */
octet_status octet_plot(const octet_plot_params *params, const char *path, octet_error *error);

#endif
