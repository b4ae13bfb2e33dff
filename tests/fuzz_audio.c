/* fuzz_audio.c: libFuzzer target: any bytes as an audio file, and as an encoded one. What is read
 * of them outside the sandbox: the sniffer and the header. */
#include "codec/audio_sniff.h"
#include "codec/media.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    octet_error error = {0};
    audio_format f;
    octet_media m;
    octet_status status = audio_sniff(&f, data, size, "x", &error);
    fuzz_check_error(status, &error, "x");
    if (status && status != OCTET_CORRUPT)
        return fuzz_fail("an audio file is no reason for that status");
    if (!status && f.frames > 0 && audio_samples_bytes(f.samples) > 0 &&
        f.container != AUDIO_FLAC && (uint64_t)f.frames * (uint64_t)f.channels > size)
        return fuzz_fail("more samples than bytes");
    status = media_read(&m, data, size, "x", &error);
    fuzz_check_error(status, &error, "x");
    if (!status && (uint64_t)m.frames > size)
        return fuzz_fail("more frames than bytes");
    return 0;
}
