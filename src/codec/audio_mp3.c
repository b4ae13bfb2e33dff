/* audio_mp3.c: MPEG audio, layer III: frames one after the other, each with a header of 4 bytes.
 *
 * There is neither a size of the whole nor a checksum of what is played. The frames are walked, so
 * that a file that ends inside one is known to be cut; whatever stands between or behind frames is
 * the decoder's to skip. */
#include <string.h>

#include "codec/audio_sniff.h"

typedef struct mp3_frame {
    int layer, rate_hz, channels;
    size_t bytes;
} mp3_frame;

/* Sync (11 bits), version (2), layer (2), no checksum (1); bitrate (4), rate (2), padding (1),
 * private (1); mode (2), ... ISO 11172-3, 2.4.2.3, and 13818-3. Returns whether it is a frame. */
static int read_frame(mp3_frame *out, const uint8_t *at) {
    static const int kbits[2][16] = {
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}};
    static const int rates[4] = {44100, 48000, 32000, 0};
    const int version = at[1] >> 3 & 3; /* 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5 */
    const int layer = 4 - (at[1] >> 1 & 3);
    if (at[0] != 0xff || at[1] < 0xe0 || version == 1 || layer == 4) {
        return 0;
    }
    const int low = version != 3;
    const int kbit = kbits[low][at[2] >> 4];
    *out = (mp3_frame){.layer = layer,
                       .rate_hz = rates[at[2] >> 2 & 3] / (version == 3   ? 1
                                                           : version == 2 ? 2
                                                                          : 4),
                       .channels = at[3] >> 6 == 3 ? 1 : 2};
    if (layer != 3) {
        return 1; /* refused by name; its length does not matter */
    }
    if (kbit == 0 || out->rate_hz == 0) {
        return 0;
    }
    out->bytes = (size_t)((low ? 72 : 144) * 1000 * kbit / out->rate_hz + (at[2] >> 1 & 1));
    return 1;
}

/* Where the frames begin: behind a tag of ID3v2, whose size has 4 times 7 bits. */
static size_t skip_tag(const sniffer *s) {
    const uint8_t *d = s->data;
    if (memcmp(d, "ID3", 3) != 0) {
        return 0;
    }
    const size_t bytes = (size_t)(d[6] & 127) << 21 | (size_t)(d[7] & 127) << 14 |
                         (size_t)(d[8] & 127) << 7 | (d[9] & 127);
    return 10 + bytes + (d[5] & 0x10 ? 10 : 0);
}

octet_status sniff_mp3(audio_format *out, const sniffer *s) {
    mp3_frame frame = {0}, next;
    size_t at = skip_tag(s);
    if (at > s->size || s->size - at < 4 || !read_frame(&frame, s->data + at)) {
        return error_set(s->error, OCTET_CORRUPT, "%s: no MPEG audio at byte %zu", s->name, at);
    }
    if (frame.layer != 3) {
        return error_set(s->error, OCTET_CORRUPT, "%s: MPEG audio of layer %d is not read, only 3",
                         s->name, frame.layer);
    }
    int frames = 0;
    next = frame;
    do {
        if (next.bytes > s->size - at) {
            return error_set(s->error, OCTET_CORRUPT,
                             "%s: the MP3 frame at byte %zu has %zu bytes, %zu follow", s->name, at,
                             next.bytes, s->size - at);
        }
        if (next.rate_hz != frame.rate_hz) {
            return error_set(s->error, OCTET_CORRUPT,
                             "%s: the rate changes at byte %zu from %d to %d Hz", s->name, at,
                             frame.rate_hz, next.rate_hz);
        }
        at += next.bytes;
        frames++;
    } while (s->size - at >= 4 && read_frame(&next, s->data + at) && next.layer == 3);
    if (frames == 1 && at != s->size) { /* two bytes alone are no signature */
        return error_set(s->error, OCTET_CORRUPT, "%s: no second MP3 frame at byte %zu", s->name,
                         at);
    }
    *out = (audio_format){.container = AUDIO_MP3,
                          .samples = AUDIO_MP3_SAMPLES,
                          .rate_hz = frame.rate_hz,
                          .channels = frame.channels,
                          .frames = -1};
    return sniff_limits(s, (uint64_t)frame.rate_hz, (uint64_t)frame.channels);
}
