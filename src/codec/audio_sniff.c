/* audio_sniff.c: signatures; the headers of FLAC and AU, which are of fixed form. The others have
 * files of their own: audio_riff.c, audio_ogg.c, audio_mp3.c. */
#include "codec/audio_sniff.h"

#include <string.h>

#include "octet/codec.h"

uint64_t sniff_little(const uint8_t *at, int n) {
    uint64_t number = 0;
    for (int i = n - 1; i >= 0; i--) {
        number = number << 8 | at[i];
    }
    return number;
}

uint64_t sniff_big(const uint8_t *at, int n) {
    uint64_t number = 0;
    for (int i = 0; i < n; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

octet_status sniff_limits(const sniffer *s, uint64_t rate_hz, uint64_t channels) {
    if (channels < 1 || channels > OCTET_MEDIA_CHANNELS) {
        return error_set(s->error, OCTET_CORRUPT, "%s: %llu channels, not between 1 and %d",
                         s->name, (unsigned long long)channels, OCTET_MEDIA_CHANNELS);
    }
    if (rate_hz < OCTET_MEDIA_RATE_MIN || rate_hz > OCTET_MEDIA_RATE_MAX) {
        return error_set(s->error, OCTET_CORRUPT, "%s: %llu Hz, not between %d and %d", s->name,
                         (unsigned long long)rate_hz, OCTET_MEDIA_RATE_MIN, OCTET_MEDIA_RATE_MAX);
    }
    return OCTET_OK;
}

/* Bytes of data as frames, once rate and channels are known to be good. */
octet_status sniff_frames(int64_t *out, const sniffer *s, uint64_t bytes, uint64_t frame_bytes) {
    if (bytes % frame_bytes != 0) {
        return error_set(s->error, OCTET_CORRUPT,
                         "%s: %llu bytes of data are no whole number of frames of %llu bytes",
                         s->name, (unsigned long long)bytes, (unsigned long long)frame_bytes);
    }
    *out = (int64_t)(bytes / frame_bytes);
    return OCTET_OK;
}

/* "fLaC", a block header, STREAMINFO: sizes of blocks and frames (10 bytes), then in 64 bits the
 * rate (20), channels - 1 (3), bits - 1 (5) and frames (36; 0: unknown). RFC 9639, section 8.2. */
static octet_status sniff_flac(audio_format *out, const sniffer *s) {
    enum { HEADER = 42, INFO_BYTES = 34 };
    if (s->size < HEADER) {
        return error_set(s->error, OCTET_CORRUPT, "%s: ends in the FLAC header: %zu of %d bytes",
                         s->name, s->size, HEADER);
    }
    if ((s->data[4] & 0x7f) != 0 || sniff_big(s->data + 5, 3) != INFO_BYTES) {
        return error_set(s->error, OCTET_CORRUPT,
                         "%s: FLAC whose first block is of type %d with %d bytes, not STREAMINFO "
                         "with %d",
                         s->name, s->data[4] & 0x7f, (int)sniff_big(s->data + 5, 3), INFO_BYTES);
    }
    const uint64_t fields = sniff_big(s->data + 18, 8);
    const int bits = (int)(fields >> 36 & 31) + 1;
    const uint64_t frames = fields & 0xfffffffff;
    if (bits != 8 && bits != 16 && bits != 24) {
        return error_set(s->error, OCTET_CORRUPT, "%s: FLAC of %d bits, not 8, 16 or 24", s->name,
                         bits);
    }
    *out = (audio_format){.container = AUDIO_FLAC,
                          .samples = bits == 8    ? AUDIO_S8
                                     : bits == 16 ? AUDIO_S16
                                                  : AUDIO_S24,
                          .rate_hz = (int)(fields >> 44),
                          .channels = (int)(fields >> 41 & 7) + 1,
                          .frames = frames == 0 ? -1 : (int64_t)frames};
    return sniff_limits(s, (uint64_t)out->rate_hz, (uint64_t)out->channels);
}

/* The encodings of AU that are read; the others are ADPCM, fragments and programs. */
static int au_samples(uint32_t encoding) {
    static const struct {
        uint32_t encoding;
        audio_samples samples;
    } known[] = {{1, AUDIO_ULAW}, {2, AUDIO_S8},  {3, AUDIO_S16}, {4, AUDIO_S24},
                 {5, AUDIO_S32},  {6, AUDIO_F32}, {7, AUDIO_F64}, {27, AUDIO_ALAW}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].encoding == encoding) {
            return (int)known[i].samples;
        }
    }
    return -1;
}

/* Six numbers of 4 bytes: signature, where the data begins, its bytes (all ones: to the end),
 * encoding, rate, channels. */
static octet_status sniff_au(audio_format *out, const sniffer *s) {
    enum { HEADER = 24 };
    if (s->size < HEADER) {
        return error_set(s->error, OCTET_CORRUPT, "%s: ends in the AU header: %zu of %d bytes",
                         s->name, s->size, HEADER);
    }
    uint32_t fields[6];
    for (int i = 0; i < 6; i++) {
        const uint8_t *at = s->data + 4 * i;
        fields[i] = (uint32_t)(s->data[0] == '.' ? sniff_big(at, 4) : sniff_little(at, 4));
    }
    const uint32_t begin = fields[1], claimed = fields[2], rate = fields[4], channels = fields[5];
    if (begin < HEADER || begin > s->size) {
        return error_set(s->error, OCTET_CORRUPT,
                         "%s: AU whose data begins at byte %u, not between %d and %zu", s->name,
                         begin, HEADER, s->size);
    }
    const int samples = au_samples(fields[3]);
    if (samples < 0) {
        return error_set(s->error, OCTET_CORRUPT, "%s: AU of encoding %u%s is not read", s->name,
                         fields[3], fields[3] >= 23 && fields[3] <= 26 ? " (ADPCM)" : "");
    }
    const size_t rest = s->size - begin;
    const size_t bytes = claimed == UINT32_MAX ? rest : claimed;
    if (bytes > rest) {
        return error_set(s->error, OCTET_CORRUPT, "%s: AU that claims %u bytes of data, %zu follow",
                         s->name, claimed, rest);
    }
    const octet_status status = sniff_limits(s, rate, channels);
    if (status != OCTET_OK) {
        return status;
    }
    *out = (audio_format){.container = AUDIO_AU,
                          .samples = (audio_samples)samples,
                          .rate_hz = (int)rate,
                          .channels = (int)channels};
    return sniff_frames(&out->frames, s, bytes,
                        channels * (uint64_t)audio_samples_bytes((audio_samples)samples));
}

/* What else begins so that its name can be told. */
static const char *foreign_name(const sniffer *s) {
    static const struct {
        size_t at;
        const char *signature, *name;
    } known[] = {{0, "caff", "CAF"},
                 {0, "riff", "Wave64"},
                 {4, "ftyp", "MP4"},
                 {0, "\x1a\x45\xdf\xa3", "Matroska"},
                 {0, "#!AMR", "AMR"},
                 {0, "Creative Voic", "VOC"},
                 {0, "NIST_1A", "SPHERE"},
                 {0, "wvpk", "WavPack"},
                 {0, "MAC ", "Monkey's Audio"},
                 {0, "ADIF", "AAC"},
                 {0, "MThd", "MIDI"},
                 {8, "8SVX", "8SVX"},
                 {8, "AVI ", "AVI"},
                 {0, "PVF1", "PVF"},
                 {0, "\x64\xa3", "IRCAM"},
                 {0, "0&\xb2u", "ASF"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const size_t n = strlen(known[i].signature);
        if (known[i].at + n <= s->size &&
            memcmp(s->data + known[i].at, known[i].signature, n) == 0) {
            return known[i].name;
        }
    }
    return NULL;
}

static octet_status by_signature(audio_format *out, const sniffer *s) {
    const uint8_t *d = s->data;
    if (s->size >= 12 && memcmp(d + 8, "WAVE", 4) == 0 &&
        (memcmp(d, "RIFF", 4) == 0 || memcmp(d, "RIFX", 4) == 0 || memcmp(d, "RF64", 4) == 0)) {
        return sniff_wav(out, s);
    }
    if (s->size >= 12 && memcmp(d, "FORM", 4) == 0 &&
        (memcmp(d + 8, "AIFF", 4) == 0 || memcmp(d + 8, "AIFC", 4) == 0)) {
        return sniff_aiff(out, s);
    }
    if (s->size >= 12 && memcmp(d, "fLaC", 4) == 0) {
        return sniff_flac(out, s);
    }
    if (s->size >= 12 && (memcmp(d, ".snd", 4) == 0 || memcmp(d, "dns.", 4) == 0)) {
        return sniff_au(out, s);
    }
    if (s->size >= 12 && memcmp(d, "OggS", 4) == 0) {
        return sniff_ogg(out, s);
    }
    if (s->size >= 12 && (memcmp(d, "ID3", 3) == 0 || (d[0] == 0xff && d[1] >= 0xe0))) {
        return sniff_mp3(out, s);
    }
    const char *foreign = foreign_name(s);
    if (foreign != NULL) {
        return error_set(s->error, OCTET_CORRUPT, "%s: %s is not read", s->name, foreign);
    }
    return error_set(s->error, OCTET_CORRUPT,
                     "%s: is not audio that is read (WAV, AIFF, AU, FLAC, Ogg Vorbis, Opus, MP3)",
                     s->name);
}

octet_status audio_sniff(audio_format *out, const uint8_t *data, size_t size, const char *name,
                         octet_error *error) {
    const sniffer s = {data, size, name, error};
    *out = (audio_format){0};
    return by_signature(out, &s);
}
