/* zip.h: the members of a zip archive in memory, as torch.save writes one: stored, not compressed.
 *
 * Strict, since archives are also written to be read differently by two readers: the directory, the
 * headers before the data and the records behind it must say the same, and the members must follow
 * one another from the first byte to the directory without overlap or hole. Zip64 is read;
 * compression, encryption, several disks and comments are refused. Format: APPNOTE.TXT 6.3.10,
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 to 4.5. */
#ifndef MODEL_ZIP_H
#define MODEL_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct zip_entry {
    const char *name; /* UTF-8 without control characters, not terminated; never leads upwards */
    const uint8_t *data;
    uint64_t bytes;  /* of data */
    uint64_t offset; /* of its header */
    uint32_t crc;    /* as stated: zip_check compares */
    uint16_t name_bytes;
    uint16_t flags;
} zip_entry;

typedef struct zip zip;

/* Checks all but the data. `bytes` and `label`, which messages begin with, must outlive *out.
 * Memory: 40 bytes a member, of which the archive holds at least 78. OCTET_CORRUPT with the place
 * and both values. */
octet_status zip_open(zip **out, const char *label, const uint8_t *bytes, size_t size,
                      octet_error *error);

/* Accepts NULL; sets *z to NULL. */
void zip_close(zip **z);

/* Members in ascending order of their names, no two alike. */
size_t zip_count(const zip *z);
const zip_entry *zip_at(const zip *z, size_t index);

/* NULL when there is none of that name. */
const zip_entry *zip_find(const zip *z, const char *name);

/* OCTET_CORRUPT unless the data has the CRC-32 that the archive states. */
octet_status zip_check(const zip *z, const zip_entry *entry, octet_error *error);

#endif
