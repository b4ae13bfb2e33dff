/* clip.h: what an octet_clip holds. Its file stays in memory: joins decode it again instead of
 * keeping its samples, which may be many times as large. */
#ifndef API_CLIP_H
#define API_CLIP_H

#include "base/file.h"
#include "codec/audio_read.h"
#include "codec/codecs.h"
#include "octet/continue.h"

struct octet_clip {
    file_bytes file;
    char *name;
    audio_source source;
    const codec *codec;
    octet_clip_info info;
    uint8_t *bytes;                    /* the whole clip through the codec */
    double last[OCTET_MEDIA_CHANNELS]; /* its last frame */
};

#endif
