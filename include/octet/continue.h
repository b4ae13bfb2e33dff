/* continue.h: streams that go on: bytes that a model adds to a prompt, and sound that it adds to a
 * clip.
 *
 * A clip is an audio file that a model with an audio codec reads. A join is the clip and what
 * follows it as one file or stream of the clip's own rate, channels and samples: the clip's samples
 * come unchanged, the new ones right after them. */
#ifndef OCTET_CONTINUE_H
#define OCTET_CONTINUE_H

#include <stddef.h>
#include <stdint.h>

#include "octet/codec.h"
#include "octet/compress.h"
#include "octet/session.h"

/* --- bytes */

/* The next byte of continuation `number` (0 to samples - 1). A result that is not OCTET_OK ends the
 * work and is returned. */
typedef octet_status octet_continue_visit(void *context, int number, uint8_t byte,
                                          octet_error *error);

typedef struct octet_continue_params {
    int samples;              /* continuations, 1 to 4,096, made as one batch; 0: one */
    int64_t bytes;            /* of each; -1: until the model or the caller ends it */
    int64_t keep;             /* as in octet_session_params; -1: the model's */
    octet_sampling sampling;  /* continuation i draws as number sampling.number + i */
    const volatile int *stop; /* set to non-zero to end with OCTET_STOPPED; may be NULL */
    octet_profile profile;    /* 0: f32 */
} octet_continue_params;

/* Continues n bytes, all of which the model reads. Turn by turn each continuation that the model
 * has not ended gets a byte, which is visited at once; equal seeds and numbers give equal bytes,
 * alone or in a batch. */
octet_status octet_continue(octet_model *model, const uint8_t *prompt, size_t n,
                            const octet_continue_params *params, octet_continue_visit *visit,
                            void *context, octet_error *error);

/* --- clips */

typedef struct octet_clip octet_clip;

typedef struct octet_clip_info {
    octet_media media;    /* the file: container, samples, rate, channels, frames; codec is the
                             model's */
    octet_losses losses;  /* on its way to the model, whose rate and channels are the `to` ones */
    const uint8_t *bytes; /* what the model reads: whole frames at the clip's end */
    size_t n;
    size_t frame_bytes;  /* of the model */
    int64_t read_frames; /* of the model's rate, in those bytes */
    int64_t all_frames;  /* of the model's rate, in the whole clip */
} octet_clip_info;

/* Reads an audio file ("-" is standard input) through the model's codec. The model reads the whole
 * clip, of a long one its last bytes: as many as lie half way between `keep` and the context, so
 * that the stream does not start anew right at the seam; the context where the model is endless.
 * OCTET_WRONG_MODEL: the model has no audio codec; other errors as of octet_encode_file, an hour at
 * most. */
octet_status octet_clip_open(octet_clip **out, const octet_model *model, const char *path,
                             octet_error *error);

/* The bytes live as long as the clip. */
void octet_clip_info_get(const octet_clip *clip, octet_clip_info *out);

/* Accepts NULL; sets *clip to NULL. */
void octet_clip_close(octet_clip **clip);

/* --- joins */

typedef enum octet_join_form {
    OCTET_JOIN_FILE,   /* in a container; its bytes come at the end */
    OCTET_JOIN_STREAM, /* WAV whose header says no length; bytes come as they are made */
    OCTET_JOIN_PLAIN   /* the samples alone, little-endian, likewise */
} octet_join_form;

typedef struct octet_join_params {
    octet_join_form form;
    const char *container; /* of a file: wav, aiff, au, flac; NULL: the clip's if it is one of
                              these, else wav */
    int only_new;          /* 1: without the clip's samples */
    int64_t frames;        /* new ones at the clip's rate; -1: all that come (streams) */
} octet_join_params;

/* What a join will be: its container, samples, rate, channels and frames (clip included unless
 * only_new; -1: not known). The samples are the clip's where the form holds them, else a format
 * that holds all their values: f32 for what was decoded from Vorbis, Opus and MP3. *bytes: how many
 * of the model make the new frames. OCTET_ERROR: a container that does not hold the clip's samples
 * unchanged, or not so many. */
octet_status octet_join_plan(octet_media *out, int64_t *bytes, const octet_clip *clip,
                             const octet_join_params *params, octet_error *error);

typedef struct octet_join octet_join;

/* Begins one, with the clip's samples. write takes the bytes of the file or stream. */
octet_status octet_join_create(octet_join **out, const octet_clip *clip,
                               const octet_join_params *params, octet_write *write, void *context,
                               octet_error *error);

/* n further bytes of the model, cut anywhere. Those beyond params->frames are dropped. */
octet_status octet_join_push(octet_join *join, const uint8_t *bytes, size_t n, octet_error *error);

/* The end. */
octet_status octet_join_finish(octet_join *join, octet_error *error);

/* New frames so far; those of their samples that were beyond the format's range. */
int64_t octet_join_frames(const octet_join *join, int64_t *clipped);

/* Accepts NULL; sets *join to NULL. */
void octet_join_destroy(octet_join **join);

#endif
