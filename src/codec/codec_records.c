/* codec_records.c: records of equal size, each filled up to whole patches, so that every record
 * begins a patch. A shorter last record is filled up to whole patches of its own. */
#include <stdlib.h>
#include <string.h>

#include "codec/codecs.h"

static uint64_t up_to_patches(uint64_t bytes, uint64_t patch) {
    return (bytes + patch - 1) / patch * patch;
}

static const char *wrong_shape(int64_t record_bytes, int64_t patch, int64_t filler) {
    return record_bytes < 1 || record_bytes > OCTET_RECORD_BYTES
               ? "a record has 1 to 16777216 bytes"
           : patch < 1 || patch > UINT16_MAX ? "a patch has 1 to 65535 bytes"
           : filler < 0 || filler > 255      ? "the filler is a byte"
                                             : NULL;
}

static octet_status take_params(octet_media *m, const octet_encode_params *p, octet_error *error) {
    m->record_bytes = p->record_bytes;
    m->patch = p->patch != 0 ? p->patch : 1;
    m->filler = p->filler;
    const char *wrong = wrong_shape(m->record_bytes, m->patch, m->filler);
    if (wrong == NULL && p->channels != 0) {
        wrong = "there are no channels";
    }
    return wrong == NULL
               ? OCTET_OK
               : error_set(error, OCTET_ERROR, "records of %d bytes, patches of %d, filler %d: %s",
                           m->record_bytes, m->patch, m->filler, wrong);
}

static uint64_t coded_bytes(const octet_media *m) {
    const uint64_t record = (uint64_t)m->record_bytes, bytes = (uint64_t)m->frames;
    const uint64_t coded = up_to_patches(record, (uint64_t)m->patch);
    const uint64_t rest = up_to_patches(bytes % record, (uint64_t)m->patch);
    return bytes / record > (UINT64_MAX >> 1) / coded ? UINT64_MAX : bytes / record * coded + rest;
}

static octet_status encode(octet_encoded *out, const uint8_t *data, size_t size, const char *name,
                           const octet_encode_params *p, octet_error *error) {
    octet_media *m = &out->media;
    const octet_status status = take_params(m, p, error);
    if (status != OCTET_OK) {
        return status;
    }
    m->frames = (int64_t)size;
    m->lossless = 1;
    const uint64_t coded = coded_bytes(m);
    const size_t record = (size_t)m->record_bytes;
    if (coded > OCTET_MEDIA_BYTES) {
        return error_set(
            error, OCTET_ERROR,
            "%s: %zu bytes in records of %zu and patches of %d are more than %zu bytes", name, size,
            record, m->patch, OCTET_MEDIA_BYTES);
    }
    out->bytes = malloc(coded > 0 ? (size_t)coded : 1);
    if (out->bytes == NULL) {
        return error_memory(error, name, (double)coded);
    }
    for (size_t at = 0; at < size; at += record) {
        const size_t n = size - at < record ? size - at : record;
        const size_t filled = (size_t)up_to_patches(n, (uint64_t)m->patch);
        memcpy(out->bytes + out->size, data + at, n);
        memset(out->bytes + out->size + n, m->filler, filled - n);
        out->size += filled;
    }
    return OCTET_OK;
}

/* What fills up is dropped, whatever it is: a model that wrote it may have erred. */
static octet_status decode(uint8_t **out, size_t *out_size, const octet_media *m,
                           const uint8_t *bytes, const char *container, octet_error *error) {
    const size_t size = (size_t)m->frames, record = (size_t)m->record_bytes;
    if (container != NULL) {
        return error_set(error, OCTET_ERROR, "codec records holds no media that could become %s",
                         container);
    }
    *out = malloc(size > 0 ? size : 1);
    if (*out == NULL) {
        return error_memory(error, "media", (double)size);
    }
    *out_size = size;
    for (size_t at = 0; at < size; at += record) {
        const size_t n = size - at < record ? size - at : record;
        memcpy(*out + at, bytes, n);
        bytes += up_to_patches(n, (uint64_t)m->patch);
    }
    return OCTET_OK;
}

/* --- the header: bytes of a record (4 bytes), of a patch (2), the filler (1), 0 (1) --- */

static void pack(uint8_t at[8], const octet_media *m) {
    const uint64_t numbers =
        (uint64_t)m->record_bytes | (uint64_t)m->patch << 32 | (uint64_t)m->filler << 48;
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(numbers >> (8 * i));
    }
}

static int unpack(octet_media *m, const uint8_t at[8]) {
    uint64_t numbers = 0;
    for (int i = 7; i >= 0; i--) {
        numbers = numbers << 8 | at[i];
    }
    const int64_t record_bytes = (int64_t)(numbers & UINT32_MAX);
    m->patch = (int32_t)(numbers >> 32 & UINT16_MAX);
    m->filler = (int32_t)(numbers >> 48);
    if (wrong_shape(record_bytes, m->patch, m->filler) != NULL || m->container[0] != '\0' ||
        m->samples[0] != '\0') {
        return -1;
    }
    m->record_bytes = (int32_t)record_bytes;
    return 0;
}

static octet_status describe(octet_media *out, const octet_encode_params *p, size_t size,
                             octet_error *error) {
    const octet_status status = take_params(out, p, error);
    if (status != OCTET_OK) {
        return status;
    }
    const uint64_t coded = up_to_patches((uint64_t)out->record_bytes, (uint64_t)out->patch);
    const uint64_t rest = size % coded, record = (uint64_t)out->record_bytes;
    if (rest % (uint64_t)out->patch != 0) {
        return error_set(error, OCTET_CORRUPT,
                         "%zu bytes are no whole number of patches of %d bytes", size, out->patch);
    }
    out->frames = (int64_t)(size / coded * record + (rest < record ? rest : record));
    return OCTET_OK;
}

static const codec_whole whole = {.encode = encode,
                                  .decode = decode,
                                  .pack = pack,
                                  .unpack = unpack,
                                  .coded_bytes = coded_bytes,
                                  .describe = describe};

const codec codec_records = {.name = "records",
                             .about = "records of equal size, filled up to whole patches",
                             .whole = &whole};
