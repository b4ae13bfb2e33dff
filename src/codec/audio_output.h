/* audio_output.h: samples to an audio file in memory, or to a stream that a player hears while it
 * grows.
 *
 * Samples are doubles with full scale 1, interleaved; those that the target's format holds go
 * through unchanged, others become the nearest one, ties to even. */
#ifndef CODEC_AUDIO_OUTPUT_H
#define CODEC_AUDIO_OUTPUT_H

#include "base/error.h"
#include "codec/audio_format.h"
#include "octet/compress.h"

typedef enum audio_form {
    AUDIO_FILE,   /* a container, by libsndfile: whole at the end */
    AUDIO_STREAM, /* WAV of unknown length: bytes as samples come */
    AUDIO_PLAIN   /* the samples alone as a stream, as WAV has them */
} audio_form;

typedef struct audio_target {
    audio_form form;
    audio_container container; /* of AUDIO_FILE */
    audio_samples samples;
    int rate_hz, channels;
} audio_target;

/* Is there such a target? */
int audio_output_takes(const audio_target *t);

/* Changes t->samples to a format of the target that holds all values of the one it had; 0: there is
 * none. */
int audio_output_fit(audio_target *t);

/* OCTET_ERROR: more than a file of the container can hold. */
octet_status audio_output_check(const audio_target *t, int64_t frames, octet_error *error);

typedef struct audio_output audio_output;

/* Streams are handed to write, from here on; of a file it is NULL (see audio_output_take).
 * OCTET_ERROR: no such target. */
octet_status audio_output_create(audio_output **out, const audio_target *t, octet_write *write,
                                 void *context, octet_error *error);

/* An audio_sink. */
octet_status audio_output_push(void *output, const double *samples, size_t n_frames,
                               octet_error *error);

/* Ends a file and hands its bytes to the caller, who frees them. */
octet_status audio_output_take(audio_output *o, uint8_t **data, size_t *size, octet_error *error);

/* Samples that were beyond the format's range. */
int64_t audio_output_clipped(const audio_output *o);

/* Accepts NULL; sets *o to NULL. */
void audio_output_destroy(audio_output **o);

#endif
