/* seam.h: bytes of a model as sound that goes on where a clip ends, at the clip's rate and with its
 * channels.
 *
 * The clip's own samples never pass here. At its rate and with its channels the codec's samples
 * follow its last one as they are. Else the end of what the model heard runs through the same
 * filter before them, so that the filter is full at the seam, and frames keep their places in time;
 * the step that is left at the seam, by what the model could not hear (high frequencies, the
 * difference between channels), is added to what follows and fades out in 5 ms. */
#ifndef CODEC_SEAM_H
#define CODEC_SEAM_H

#include "codec/audio_read.h"
#include "codec/codecs.h"

typedef struct seam_params {
    const codec *codec;
    int rate_from, channels_from;      /* the model's */
    int rate_to, channels_to;          /* the clip's */
    const uint8_t *heard;              /* the clip through the codec */
    int64_t heard_frames, clip_frames; /* the same sound at both rates */
    double last[OCTET_MEDIA_CHANNELS]; /* the clip's last frame */
    int64_t frames;                    /* new ones at the clip's rate; -1: all that come */
} seam_params;

typedef struct seam seam;

/* Frames of the model that make p->frames. */
int64_t seam_model_frames(const seam_params *p);

/* New frames are handed to sink. p->heard is used here only. */
octet_status seam_create(seam **out, const seam_params *p, audio_sink *sink, void *context,
                         octet_error *error);

/* n further bytes of the codec; frames may be cut anywhere. */
octet_status seam_push(seam *s, const uint8_t *bytes, size_t n, octet_error *error);

/* What the filter still holds. */
octet_status seam_finish(seam *s, octet_error *error);

/* New frames so far. */
int64_t seam_made(const seam *s);

/* Accepts NULL; sets *s to NULL. */
void seam_destroy(seam **s);

#endif
