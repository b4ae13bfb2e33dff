/* audio_ogg.c: Ogg pages, with one stream of Vorbis or Opus in them.
 *
 * Every page carries a checksum (CRC-32 of polynomial 0x04c11db7, RFC 3533) and a number, the last
 * one a flag: a damaged, lost or cut page shows here, while decoders play over it. */
#include <string.h>

#include "codec/audio_sniff.h"

enum { PAGE_HEADER = 27, FLAG_LAST = 4 };

static void make_table(uint32_t table[256]) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i << 24;
        for (int bit = 0; bit < 8; bit++) {
            r = r & 0x80000000u ? r << 1 ^ 0x04c11db7u : r << 1;
        }
        table[i] = r;
    }
}

/* Of a page whose own checksum, bytes 22 to 25, counts as zeros. */
static uint32_t page_checksum(const uint32_t table[256], const uint8_t *page, size_t bytes) {
    uint32_t r = 0;
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t byte = i >= 22 && i < 26 ? 0 : page[i];
        r = r << 8 ^ table[(r >> 24 ^ byte) & 0xff];
    }
    return r;
}

static octet_status fail_page(const sniffer *s, size_t at, const char *what) {
    return error_set(s->error, OCTET_CORRUPT, "%s: the Ogg page at byte %zu %s", s->name, at, what);
}

/* The bytes of the page at `at`. */
static octet_status page_bytes(size_t *out, const sniffer *s, size_t at) {
    *out = 0;
    const uint8_t *page = s->data + at;
    const size_t rest = s->size - at;
    if (rest < 4 || memcmp(page, "OggS", 4) != 0) {
        return fail_page(s, at, "has no signature");
    }
    if (rest < PAGE_HEADER || rest < PAGE_HEADER + (size_t)page[26]) {
        return fail_page(s, at, "is cut");
    }
    *out = PAGE_HEADER + (size_t)page[26];
    for (int i = 0; i < page[26]; i++) {
        *out += page[PAGE_HEADER + i];
    }
    return *out <= rest ? OCTET_OK : fail_page(s, at, "is cut");
}

/* All pages: whole, of one stream, in order, the last one said to be. */
static octet_status check_pages(const sniffer *s) {
    uint32_t table[256];
    make_table(table);
    uint32_t number = 0;
    int is_last = 0;
    for (size_t at = 0, bytes; at < s->size; at += bytes, number++) {
        const uint8_t *page = s->data + at;
        const octet_status status = page_bytes(&bytes, s, at);
        if (status != OCTET_OK) {
            return status;
        }
        if (page_checksum(table, page, bytes) != sniff_little(page + 22, 4)) {
            return fail_page(s, at, "does not have its checksum");
        }
        if (memcmp(page + 14, s->data + 14, 4) != 0) {
            return fail_page(s, at, "belongs to a second stream; only files of one are read");
        }
        if (is_last || sniff_little(page + 18, 4) != number) {
            return fail_page(s, at, is_last ? "follows the last one" : "is out of order");
        }
        is_last = page[5] & FLAG_LAST;
    }
    return is_last ? OCTET_OK
                   : error_set(s->error, OCTET_CORRUPT,
                               "%s: ends at byte %zu without a last Ogg page", s->name, s->size);
}

/* Opus is decoded at one of five rates: the least that is not below the rate of the input. */
static int opus_rate(uint64_t input_hz) {
    static const int rates[] = {8000, 12000, 16000, 24000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates && input_hz > 0; i++) {
        if (input_hz <= (uint64_t)rates[i]) {
            return rates[i];
        }
    }
    return 48000;
}

octet_status sniff_ogg(audio_format *out, const sniffer *s) {
    size_t bytes;
    octet_status status = page_bytes(&bytes, s, 0);
    if (status != OCTET_OK) {
        return status;
    }
    const uint8_t *packet = s->data + PAGE_HEADER + s->data[26];
    const size_t left = bytes - PAGE_HEADER - s->data[26];
    out->frames = -1;
    if (left >= 30 && memcmp(packet, "\x01vorbis", 7) == 0) {
        out->container = AUDIO_OGG;
        out->samples = AUDIO_VORBIS;
        out->channels = packet[11];
        status = sniff_limits(s, sniff_little(packet + 12, 4), packet[11]);
        out->rate_hz = (int)sniff_little(packet + 12, 4);
    } else if (left >= 19 && memcmp(packet, "OpusHead", 8) == 0) {
        out->container = AUDIO_OPUS;
        out->samples = AUDIO_OPUS_SAMPLES;
        out->channels = packet[9];
        out->rate_hz = opus_rate(sniff_little(packet + 12, 4));
        status = sniff_limits(s, (uint64_t)out->rate_hz, packet[9]);
    } else {
        const char *inside = left >= 8 && memcmp(packet, "Speex", 5) == 0 ? " (Speex)"
                             : left >= 8 && memcmp(packet,
                                                   "\x7f"
                                                   "FLAC",
                                                   5) == 0
                                 ? " (FLAC)"
                                 : "";
        status = error_set(s->error, OCTET_CORRUPT, "%s: Ogg without Vorbis or Opus%s is not read",
                           s->name, inside);
    }
    return status == OCTET_OK ? check_pages(s) : status;
}
