/* wav_layout.c: see wav_layout.h. The chunk "data" is looked for here; what stands before it is
 * read by audio_sniff, which is shown the file as one that ends there. */
#include "codec/wav_layout.h"

#include <stdlib.h>
#include <string.h>

#include "codec/audio_sniff.h"

enum { RIFF_BYTES = 12, CHUNK_BYTES = 8 };
#define HEAD_MOST ((size_t)1 << 16) /* bytes before the samples */
#define UNKNOWN_LEAST 0x7ffff000u   /* stated by writers that cannot seek back */

/* Where the chunk "data" begins; 0: not within these bytes. */
static size_t find_data(const uint8_t *head, size_t n, int big) {
    for (size_t at = RIFF_BYTES; at + CHUNK_BYTES <= n;) {
        if (memcmp(head + at, "data", 4) == 0)
            return at;
        const uint64_t bytes = big ? sniff_big(head + at + 4, 4) : sniff_little(head + at + 4, 4);
        if (bytes > n)
            return 0;
        at += CHUNK_BYTES + bytes + (bytes & 1);
    }
    return 0;
}

octet_status wav_layout_read(wav_layout *out, const uint8_t *head, size_t n, const char *name,
                             octet_error *error) {
    *out = (wav_layout){0};
    n = n < HEAD_MOST ? n : HEAD_MOST;
    if (n < RIFF_BYTES || memcmp(head + 8, "WAVE", 4) != 0 ||
        (memcmp(head, "RIFF", 4) != 0 && memcmp(head, "RIFX", 4) != 0 &&
         memcmp(head, "RF64", 4) != 0))
        return error_set(error, OCTET_CORRUPT, "%s: not WAV", name);
    out->big_endian = memcmp(head, "RIFX", 4) == 0;
    const size_t at = find_data(head, n, out->big_endian);
    if (!at)
        return error_set(error, OCTET_CORRUPT, "%s: WAV without samples in its first %zu bytes",
                         name, n);
    uint8_t *whole = malloc(at + CHUNK_BYTES);
    if (!whole)
        return error_memory(error, name, (double)at);
    memcpy(whole, head, at + 4);
    memset(whole + at + 4, 0, 4);
    const octet_status status = audio_sniff(&out->format, whole, at + CHUNK_BYTES, name, error);
    free(whole);
    if (status)
        return status;
    const uint64_t stated =
        out->big_endian ? sniff_big(head + at + 4, 4) : sniff_little(head + at + 4, 4);
    const uint64_t frame =
        (uint64_t)(out->format.channels * audio_samples_bytes(out->format.samples));
    out->first = at + CHUNK_BYTES;
    out->bytes = stated && stated < UNKNOWN_LEAST ? stated - stated % frame : UINT64_MAX;
    return OCTET_OK;
}
