/* audio_convert.h: samples of a file to bytes of a codec: channels, rate, quantisation.
 *
 * In this order, block by block: several channels are averaged to one, the rate is changed, one
 * channel is copied to several, each sample is encoded. Bytes grow with the samples that came,
 * never with what a header claims. */
#ifndef CODEC_AUDIO_CONVERT_H
#define CODEC_AUDIO_CONVERT_H

#include "codec/audio_format.h"
#include "codec/codecs.h"
#include "octet/codec.h"

typedef struct audio_convert audio_convert;

/* From the format of a file to rate_hz and channels; both must be possible (audio_can_convert). At
 * most `most` frames are taken. `name` is for messages and stays the caller's. */
octet_status audio_convert_create(audio_convert **out, const codec *c, const audio_format *from,
                                  int rate_hz, int channels, int64_t most, const char *name,
                                  octet_error *error);

/* An audio_sink. OCTET_ERROR: more frames than `most`. */
octet_status audio_convert_push(void *convert, const double *samples, size_t n_frames,
                                octet_error *error);

/* Ends the sound and hands the bytes to out, with frames and losses. */
octet_status audio_convert_finish(audio_convert *a, octet_encoded *out, octet_error *error);

/* Accepts NULL; sets *a to NULL. */
void audio_convert_destroy(audio_convert **a);

/* OCTET_ERROR: there is no way between these rates or numbers of channels. */
octet_status audio_can_convert(const audio_format *from, int rate_hz, int channels,
                               const char *name, octet_error *error);

#endif
