/* fuzz_audio.c: libFuzzer target: any bytes as an audio file, as an image, and as an encoded one.
 * What is read of them outside the sandbox: the sniffers and the header. */
#include "codec/audio_sniff.h"
#include "codec/image.h"
#include "codec/media.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    octet_error error = {0};
    audio_format f;
    octet_media m;
    image_format image;
    octet_status status = audio_sniff(&f, data, size, "x", &error);
    fuzz_check_error(status, &error, "x");
    if (status && status != OCTET_CORRUPT)
        return fuzz_fail("an audio file is no reason for that status");
    if (!status && f.frames > 0 && audio_samples_bytes(f.samples) > 0 &&
        f.container != AUDIO_FLAC && (uint64_t)f.frames * (uint64_t)f.channels > size)
        return fuzz_fail("more samples than bytes");
    status = image_sniff(&image, data, size, "x", &error);
    fuzz_check_error(status, &error, "x");
    if (status && status != OCTET_CORRUPT)
        return fuzz_fail("an image is no reason for that status");
    if (!status && image.container != IMAGE_PNG &&
        image.pixels_at + (size_t)image.width * (size_t)image.height * (size_t)image.channels !=
            size)
        return fuzz_fail("more or fewer pixels than bytes");
    status = media_read(&m, data, size, "x", &error);
    fuzz_check_error(status, &error, "x");
    if (!status && (uint64_t)m.frames > size)
        return fuzz_fail("more frames than bytes");
    if (!status && m.width > 0 && m.frames % m.width != 0)
        return fuzz_fail("a broken row");
    return 0;
}
