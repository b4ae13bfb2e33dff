/* audio_riff.c: WAV and AIFF, which are lists of chunks: name, size, content, padded to even.
 *
 * What is read of WAV: RIFF, RIFX (big-endian) and RF64 (sizes of 64 bits in a chunk "ds64"), with
 * linear samples, floats, mu-law and A-law, plain or as WAVE_FORMAT_EXTENSIBLE. Of AIFF: AIFF and
 * AIFC with the same samples. */
#include <string.h>

#include "codec/audio_sniff.h"

typedef struct chunk {
    size_t at;       /* of its content */
    uint64_t length; /* as it says */
    size_t rest;     /* of the file, from its content on */
    char id[5];      /* printable */
} chunk;

/* The chunk at *at; moves on behind it, or to the end. `what` names what is still looked for. */
static octet_status next_chunk(chunk *c, const sniffer *s, size_t *at, int big, const char *what) {
    if (s->size - *at < 8) {
        return error_set(s->error, OCTET_CORRUPT, "%s: ends at byte %zu without %s", s->name,
                         s->size, what);
    }
    memcpy(c->id, s->data + *at, 4);
    c->id[4] = '\0';
    for (int i = 0; i < 4; i++) {
        c->id[i] = c->id[i] >= ' ' && c->id[i] <= '~' ? c->id[i] : '?';
    }
    const uint8_t *length = s->data + *at + 4;
    c->length = big ? sniff_big(length, 4) : sniff_little(length, 4);
    c->at = *at + 8;
    c->rest = s->size - c->at;
    const uint64_t padded = c->length + (c->length & 1);
    *at = padded < c->rest ? c->at + (size_t)padded : s->size;
    return OCTET_OK;
}

static octet_status fail_length(const sniffer *s, const chunk *c) {
    return error_set(s->error, OCTET_CORRUPT,
                     "%s: the chunk \"%s\" at byte %zu claims %llu bytes, %zu follow", s->name,
                     c->id, c->at - 8, (unsigned long long)c->length, c->rest);
}

static octet_status check_length(const sniffer *s, const chunk *c, unsigned least) {
    if (c->length > c->rest) {
        return fail_length(s, c);
    }
    if (c->length < least) {
        return error_set(s->error, OCTET_CORRUPT,
                         "%s: the chunk \"%s\" at byte %zu has %llu bytes, it needs %u", s->name,
                         c->id, c->at - 8, (unsigned long long)c->length, least);
    }
    return OCTET_OK;
}

/* --- WAV --- */

enum { TAG_PCM = 1, TAG_FLOAT = 3, TAG_ALAW = 6, TAG_MULAW = 7, TAG_EXTENSIBLE = 0xfffe };

/* Writers that cannot seek back state this or more; some state 0. */
#define UNKNOWN_LEAST 0x7ffff000u

static octet_status fail_tag(const sniffer *s, unsigned tag, unsigned bits) {
    static const struct {
        unsigned tag;
        const char *name;
    } known[] = {{2, " (Microsoft ADPCM)"}, {0x11, " (IMA ADPCM)"},    {0x10, " (OKI ADPCM)"},
                 {0x17, " (VOX ADPCM)"},    {0x20, " (Yamaha ADPCM)"}, {0x31, " (GSM 6.10)"},
                 {0x40, " (G.721 ADPCM)"},  {0x45, " (G.726 ADPCM)"},  {0x50, " (MPEG)"},
                 {0x55, " (MP3)"},          {0x64, " (G.726 ADPCM)"},  {0xff, " (AAC)"},
                 {0x161, " (WMA)"},         {0x674f, " (Vorbis)"}};
    const char *name = "";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        name = known[i].tag == tag ? known[i].name : name;
    }
    return error_set(s->error, OCTET_CORRUPT, "%s: WAV of format 0x%04x%s with %u bits is not read",
                     s->name, tag, name, bits);
}

static int wav_samples(unsigned tag, unsigned bits) {
    if (tag == TAG_PCM) {
        return bits == 8    ? AUDIO_U8
               : bits == 16 ? AUDIO_S16
               : bits == 24 ? AUDIO_S24
               : bits == 32 ? AUDIO_S32
                            : -1;
    }
    if (tag == TAG_FLOAT) {
        return bits == 32 ? AUDIO_F32 : bits == 64 ? AUDIO_F64 : -1;
    }
    return bits != 8 ? -1 : tag == TAG_ALAW ? AUDIO_ALAW : tag == TAG_MULAW ? AUDIO_ULAW : -1;
}

/* "fmt ": tag, channels (2 bytes each), rate, bytes a second (4), bytes a frame, bits (2);
 * extended: size, valid bits (2), speakers (4), tag with the rest of a GUID (16). */
static octet_status read_fmt(audio_format *out, const sniffer *s, const chunk *c, int big) {
    static const uint8_t guid_rest[14] = {0, 0, 0,    0,    0x10, 0,    0x80,
                                          0, 0, 0xaa, 0x00, 0x38, 0x9b, 0x71};
    octet_status status = check_length(s, c, 16);
    if (status != OCTET_OK) {
        return status;
    }
    const uint8_t *d = s->data + c->at;
    uint64_t (*const number)(const uint8_t *, int) = big ? sniff_big : sniff_little;
    unsigned tag = (unsigned)number(d, 2);
    const unsigned channels = (unsigned)number(d + 2, 2);
    const uint64_t rate_hz = number(d + 4, 4);
    const unsigned frame = (unsigned)number(d + 12, 2), bits = (unsigned)number(d + 14, 2);
    if (tag == TAG_EXTENSIBLE && !big) {
        status = check_length(s, c, 40);
        if (status != OCTET_OK) {
            return status;
        }
        tag = (unsigned)number(d + 24, 2);
        if (memcmp(d + 26, guid_rest, sizeof guid_rest) != 0) {
            return error_set(s->error, OCTET_CORRUPT,
                             "%s: WAV of an extended format that is not read", s->name);
        }
    }
    const int samples = wav_samples(tag, bits);
    if (samples < 0) {
        return fail_tag(s, tag, bits);
    }
    status = sniff_limits(s, rate_hz, channels);
    if (status != OCTET_OK) {
        return status;
    }
    if (frame != channels * bits / 8) {
        return error_set(s->error, OCTET_CORRUPT,
                         "%s: frames of %u bytes, but %u channels of %u bits make %u", s->name,
                         frame, channels, bits, channels * bits / 8);
    }
    *out = (audio_format){.container = AUDIO_WAV,
                          .samples = (audio_samples)samples,
                          .rate_hz = (int)rate_hz,
                          .channels = (int)channels};
    return OCTET_OK;
}

/* The data chunk's frames. Written to a pipe, it may not know its length: then it is the rest of
 * the file. A length of 0 is meant where the size of the whole says that other chunks follow. */
static octet_status read_data(audio_format *out, const sniffer *s, const chunk *c, int big,
                              const uint64_t *length64) {
    const uint64_t whole = big ? sniff_big(s->data + 4, 4) : sniff_little(s->data + 4, 4);
    const int is_open = whole >= UNKNOWN_LEAST || whole <= c->at - 8;
    chunk claimed = *c;
    if (length64 != NULL && c->length == UINT32_MAX) {
        claimed.length = *length64;
    } else if ((c->length >= UNKNOWN_LEAST && c->length > c->rest) || (c->length == 0 && is_open)) {
        claimed.length = c->rest;
        out->patch_at = c->at - 4;
        for (int i = 0; i < 4; i++) {
            out->patch[i] = (uint8_t)(claimed.length >> (big ? 24 - 8 * i : 8 * i));
        }
    }
    if (claimed.length > c->rest) {
        return fail_length(s, &claimed);
    }
    return sniff_frames(&out->frames, s, claimed.length,
                        (uint64_t)out->channels * (uint64_t)audio_samples_bytes(out->samples));
}

octet_status sniff_wav(audio_format *out, const sniffer *s) {
    const int big = memcmp(s->data, "RIFX", 4) == 0, is_rf64 = memcmp(s->data, "RF64", 4) == 0;
    int has_format = 0;
    uint64_t size64 = 0;
    size_t at = 12;
    for (;;) {
        chunk c = {0};
        octet_status status = next_chunk(&c, s, &at, big, has_format ? "data" : "\"fmt \"");
        if (status != OCTET_OK) {
            return status;
        }
        if (is_rf64 && c.at == 20 && strcmp(c.id, "ds64") == 0) {
            status = check_length(s, &c, 24);
            size64 = status == OCTET_OK ? sniff_little(s->data + c.at + 8, 8) : 0;
        } else if (is_rf64 && c.at == 20) {
            status = error_set(s->error, OCTET_CORRUPT,
                               "%s: RF64 whose first chunk is \"%s\", not \"ds64\"", s->name, c.id);
        } else if (strcmp(c.id, "fmt ") == 0 && !has_format) {
            status = read_fmt(out, s, &c, big);
            has_format = 1;
        } else if (strcmp(c.id, "data") == 0 && has_format) {
            return read_data(out, s, &c, big, is_rf64 ? &size64 : NULL);
        } else if (strcmp(c.id, "fmt ") == 0 || strcmp(c.id, "data") == 0) {
            status =
                error_set(s->error, OCTET_CORRUPT, "%s: the chunk \"%s\" at byte %zu %s", s->name,
                          c.id, c.at - 8, has_format ? "is the second" : "comes before \"fmt \"");
        } else {
            status = check_length(s, &c, 0);
        }
        if (status != OCTET_OK) {
            return status;
        }
    }
}

/* --- AIFF --- */

/* The samples of a compression type of AIFC; -1: not read. */
static int aifc_samples(const uint8_t *type, unsigned bits) {
    static const int linear[] = {AUDIO_S8, AUDIO_S16, AUDIO_S24, AUDIO_S32};
    static const struct {
        char type[5];
        int samples; /* -1: linear of so many bits */
    } known[] = {{"NONE", -1},         {"twos", -1},         {"sowt", -1},
                 {"raw ", AUDIO_U8},   {"in24", AUDIO_S24},  {"in32", AUDIO_S32},
                 {"fl32", AUDIO_F32},  {"FL32", AUDIO_F32},  {"fl64", AUDIO_F64},
                 {"FL64", AUDIO_F64},  {"ulaw", AUDIO_ULAW}, {"ULAW", AUDIO_ULAW},
                 {"alaw", AUDIO_ALAW}, {"ALAW", AUDIO_ALAW}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (memcmp(known[i].type, type, 4) == 0) {
            return known[i].samples >= 0                      ? known[i].samples
                   : bits >= 8 && bits <= 32 && bits % 8 == 0 ? linear[bits / 8 - 1]
                                                              : -1;
        }
    }
    return -1;
}

/* A positive number of 10 bytes (IEEE 754 extended), cut to an integer; 0: above 2^31. */
static uint64_t read_extended(const uint8_t *at) {
    const int exponent = (int)sniff_big(at, 2) - 16383;
    return exponent < 0 || exponent > 30 ? 0 : sniff_big(at + 2, 8) >> (63 - exponent);
}

/* "COMM": channels (2 bytes), frames (4), bits (2), rate (10); AIFC: compression (4), its name. */
static octet_status read_comm(audio_format *out, const sniffer *s, const chunk *c) {
    const int is_aifc = s->data[11] == 'C';
    octet_status status = check_length(s, c, is_aifc ? 22 : 18);
    if (status != OCTET_OK) {
        return status;
    }
    const uint8_t *d = s->data + c->at;
    const unsigned bits = (unsigned)sniff_big(d + 6, 2);
    const int samples = aifc_samples(is_aifc ? d + 18 : (const uint8_t *)"NONE", bits);
    if (samples < 0) {
        return error_set(s->error, OCTET_CORRUPT,
                         "%s: AIFF of type \"%.4s\" with %u bits is not read", s->name,
                         is_aifc ? (const char *)d + 18 : "NONE", bits);
    }
    *out = (audio_format){.container = AUDIO_AIFF,
                          .samples = (audio_samples)samples,
                          .rate_hz = (int)read_extended(d + 8),
                          .channels = (int)sniff_big(d, 2),
                          .frames = (int64_t)sniff_big(d + 2, 4)};
    return sniff_limits(s, (uint64_t)out->rate_hz, (uint64_t)out->channels);
}

/* "SSND": where the samples begin (4 bytes), a block size (4), the samples. */
static octet_status read_ssnd(uint64_t *bytes, const sniffer *s, const chunk *c) {
    const octet_status status = check_length(s, c, 8);
    if (status != OCTET_OK) {
        return status;
    }
    const uint64_t offset = sniff_big(s->data + c->at, 4);
    if (offset > c->length - 8) {
        return error_set(s->error, OCTET_CORRUPT,
                         "%s: samples that begin at byte %llu of %llu in \"SSND\"", s->name,
                         (unsigned long long)offset, (unsigned long long)c->length - 8);
    }
    *bytes = c->length - 8 - offset;
    return OCTET_OK;
}

octet_status sniff_aiff(audio_format *out, const sniffer *s) {
    int has_format = 0, has_data = 0;
    uint64_t bytes = 0;
    size_t at = 12;
    /* Without samples there need be no chunk of samples. */
    while (!has_format || (!has_data && out->frames > 0)) {
        chunk c = {0};
        octet_status status = next_chunk(&c, s, &at, 1, has_format ? "\"SSND\"" : "\"COMM\"");
        if (status != OCTET_OK) {
            return status;
        }
        int *seen = strcmp(c.id, "COMM") == 0   ? &has_format
                    : strcmp(c.id, "SSND") == 0 ? &has_data
                                                : NULL;
        if (seen == NULL) {
            status = check_length(s, &c, 0);
        } else if (*seen) {
            status =
                error_set(s->error, OCTET_CORRUPT, "%s: the chunk \"%s\" at byte %zu is the second",
                          s->name, c.id, c.at - 8);
        } else {
            status = seen == &has_format ? read_comm(out, s, &c) : read_ssnd(&bytes, s, &c);
            *seen = 1;
        }
        if (status != OCTET_OK) {
            return status;
        }
    }
    const uint64_t frame = (uint64_t)out->channels * (uint64_t)audio_samples_bytes(out->samples);
    if ((uint64_t)out->frames * frame > bytes) {
        return error_set(s->error, OCTET_CORRUPT,
                         "%s: %lld frames of %llu bytes are claimed, the samples have %llu bytes",
                         s->name, (long long)out->frames, (unsigned long long)frame,
                         (unsigned long long)bytes);
    }
    return OCTET_OK;
}
