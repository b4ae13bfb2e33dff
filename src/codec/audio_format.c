/* audio_format.c: see audio_format.h. */
#include "codec/audio_format.h"

#include <sndfile.h>
#include <string.h>

static const struct {
    const char *name;
    int code, lossless;
} containers[AUDIO_CONTAINERS] = {
    [AUDIO_WAV] = {"wav", SF_FORMAT_WAV, 1},  [AUDIO_AIFF] = {"aiff", SF_FORMAT_AIFF, 1},
    [AUDIO_AU] = {"au", SF_FORMAT_AU, 1},     [AUDIO_FLAC] = {"flac", SF_FORMAT_FLAC, 1},
    [AUDIO_OGG] = {"ogg", SF_FORMAT_OGG, 0},  [AUDIO_OPUS] = {"opus", SF_FORMAT_OGG, 0},
    [AUDIO_MP3] = {"mp3", SF_FORMAT_MPEG, 0},
};

static const struct {
    const char *name;
    int code, bytes, bits, integers;
} samples_of[AUDIO_SAMPLES] = {
    [AUDIO_S8] = {"s8", SF_FORMAT_PCM_S8, 1, 8, 1},
    [AUDIO_U8] = {"u8", SF_FORMAT_PCM_U8, 1, 8, 1},
    [AUDIO_S16] = {"s16", SF_FORMAT_PCM_16, 2, 16, 1},
    [AUDIO_S24] = {"s24", SF_FORMAT_PCM_24, 3, 24, 1},
    [AUDIO_S32] = {"s32", SF_FORMAT_PCM_32, 4, 32, 1},
    [AUDIO_F32] = {"f32", SF_FORMAT_FLOAT, 4, 0, 0},
    [AUDIO_F64] = {"f64", SF_FORMAT_DOUBLE, 8, 0, 0},
    [AUDIO_ULAW] = {"ulaw", SF_FORMAT_ULAW, 1, 0, 1},
    [AUDIO_ALAW] = {"alaw", SF_FORMAT_ALAW, 1, 0, 1},
    [AUDIO_VORBIS] = {"vorbis", SF_FORMAT_VORBIS, 0, 0, 0},
    [AUDIO_OPUS_SAMPLES] = {"opus", SF_FORMAT_OPUS, 0, 0, 0},
    [AUDIO_MP3_SAMPLES] = {"mp3", SF_FORMAT_MPEG_LAYER_III, 0, 0, 0},
};

const char *audio_container_name(audio_container container) {
    return containers[container].name;
}

const char *audio_samples_name(audio_samples samples) {
    return samples_of[samples].name;
}

int audio_container_find(const char *name) {
    int i = AUDIO_CONTAINERS - 1;
    while (i >= 0 && strcmp(containers[i].name, name) != 0) {
        i--;
    }
    return i;
}

int audio_samples_find(const char *name) {
    int i = AUDIO_SAMPLES - 1;
    while (i >= 0 && strcmp(samples_of[i].name, name) != 0) {
        i--;
    }
    return i;
}

int audio_samples_bits(audio_samples samples) {
    return samples_of[samples].bits;
}

int audio_samples_bytes(audio_samples samples) {
    return samples_of[samples].bytes;
}

int audio_samples_are_integers(audio_samples samples) {
    return samples_of[samples].integers;
}

int audio_container_is_lossless(audio_container container) {
    return containers[container].lossless;
}

int audio_container_code(audio_container container) {
    return containers[container].code;
}

int audio_samples_code(audio_samples samples) {
    return samples_of[samples].code;
}
