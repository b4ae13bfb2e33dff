/* zip.c: see zip.h. First the end records, which say where the directory is, then its entries, then
 * the members themselves in the order in which they lie in the file. */
#include "model/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "model/quoted.h"
#include "model/safetensors_content.h"

enum {
    LOCAL_BYTES = 30,
    ENTRY_BYTES = 46,
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8, /* sizes and CRC stand behind the data */
    FLAG_UTF8 = 0x800,
    EXTRA_ZIP64 = 1
};

#define LOCAL_MARK 0x04034b50u
#define ENTRY_MARK 0x02014b50u
#define END_MARK 0x06054b50u
#define LOCATOR_MARK 0x07064b50u
#define END64_MARK 0x06064b50u
#define DESCRIPTOR_MARK 0x08074b50u

struct zip {
    const char *label;
    const uint8_t *bytes;
    size_t size;
    uint64_t directory; /* where it starts: the members end there */
    zip_entry *all;
    size_t n;
};

typedef struct directory {
    uint64_t offset, bytes, entries;
} directory;

static uint64_t get(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

static octet_status differ(const zip *z, const char *what, uint64_t is, uint64_t other,
                           octet_error *error) {
    return error_set(error, OCTET_CORRUPT, "%s: zip: %s: %llu and %llu", z->label, what,
                     (unsigned long long)is, (unsigned long long)other);
}

/* ---------------------------------------------------------------------------------------------- */
/* The end records */

/* The record of zip64 must lie just before its locator, and the short record may not contradict. */
static octet_status read_end64(const zip *z, directory *d, size_t *end, octet_error *error) {
    const size_t locator_at = z->size - END_BYTES - LOCATOR_BYTES;
    const uint8_t *locator = z->bytes + locator_at;
    const uint64_t at = get(locator + 8, 8);
    if (get(locator + 4, 4) != 0 || get(locator + 16, 4) != 1) {
        return differ(z, "its disks, by the zip64 locator, are not number 0 of 1",
                      get(locator + 4, 4), get(locator + 16, 4), error);
    }
    if (locator_at < END64_BYTES || at != locator_at - END64_BYTES) {
        return differ(z, "the zip64 end record is not just before its locator", at, locator_at,
                      error);
    }
    const uint8_t *record = z->bytes + at;
    if (get(record, 4) != END64_MARK || get(record + 4, 8) != END64_BYTES - 12) {
        return differ(z, "no zip64 end record of 44 bytes where its locator says", at,
                      get(record + 4, 8), error);
    }
    if (get(record + 16, 8) != 0 || get(record + 24, 8) != get(record + 32, 8)) {
        return differ(z, "the zip64 end record counts several disks' entries", get(record + 24, 8),
                      get(record + 32, 8), error);
    }
    const directory wide = {get(record + 48, 8), get(record + 40, 8), get(record + 32, 8)};
    if (d->entries != (wide.entries < UINT16_MAX ? wide.entries : UINT16_MAX) &&
        d->entries != UINT16_MAX) {
        return differ(z, "the end records' numbers of entries differ", d->entries, wide.entries,
                      error);
    }
    if (d->bytes != wide.bytes && d->bytes != UINT32_MAX) {
        return differ(z, "the end records' sizes of the directory differ", d->bytes, wide.bytes,
                      error);
    }
    if (d->offset != wide.offset && d->offset != UINT32_MAX) {
        return differ(z, "the end records' places of the directory differ", d->offset, wide.offset,
                      error);
    }
    *d = wide;
    *end = (size_t)at;
    return OCTET_OK;
}

static octet_status read_end(const zip *z, directory *d, octet_error *error) {
    const uint8_t *record = z->size < END_BYTES ? NULL : z->bytes + (z->size - END_BYTES);
    if (record == NULL || get(record, 4) != END_MARK || get(record + 20, 2) != 0) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: zip: the last %d of %zu bytes are no end record: the file is cut "
                         "short, or something follows the archive",
                         z->label, END_BYTES, z->size);
    }
    if (get(record + 4, 4) != 0 || get(record + 8, 2) != get(record + 10, 2)) {
        return differ(z, "the end record counts several disks' entries", get(record + 8, 2),
                      get(record + 10, 2), error);
    }
    *d = (directory){get(record + 16, 4), get(record + 12, 4), get(record + 10, 2)};
    size_t end = z->size - END_BYTES;
    if (end >= LOCATOR_BYTES && get(record - LOCATOR_BYTES, 4) == LOCATOR_MARK) {
        const octet_status status = read_end64(z, d, &end, error);
        if (status != OCTET_OK) {
            return status;
        }
    }
    if (d->offset > end || d->bytes != end - d->offset) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: zip: the directory is said to be %llu bytes at byte %llu, its end "
                         "record is at byte %zu",
                         z->label, (unsigned long long)d->bytes, (unsigned long long)d->offset,
                         end);
    }
    if (d->entries > d->bytes / ENTRY_BYTES) {
        return differ(z, "more entries than the directory's bytes hold", d->entries, d->bytes,
                      error);
    }
    return OCTET_OK;
}

/* ---------------------------------------------------------------------------------------------- */
/* The directory */

/* The zip64 block of an extra field, *n = 0 without one. False where blocks do not fill the field
 * or there are two. */
static bool find_zip64(const uint8_t **block, size_t *n, const uint8_t *extra, size_t bytes) {
    *block = NULL;
    *n = 0;
    while (bytes > 0) {
        if (bytes < 4 || get(extra + 2, 2) > bytes - 4) {
            return false;
        }
        const size_t length = (size_t)get(extra + 2, 2);
        if (get(extra, 2) == EXTRA_ZIP64) {
            if (*block != NULL) {
                return false;
            }
            *block = extra + 4;
            *n = length;
        }
        extra += 4 + length;
        bytes -= 4 + length;
    }
    return true;
}

static const char *name_fault(const char *name, size_t n) {
    char copy[SAFETENSORS_NAME_BYTES + 1];
    if (n > SAFETENSORS_NAME_BYTES) {
        return "is longer than 256 bytes";
    }
    memcpy(copy, name, n);
    copy[n] = '\0';
    if (strlen(copy) != n) {
        return "holds a control character";
    }
    const char *fault = content_name_fault(copy);
    if (fault != NULL) {
        return fault;
    }
    if (copy[0] == '/') {
        return "is an absolute path";
    }
    if (strchr(copy, '\\') != NULL) {
        return "holds a backslash";
    }
    if (strcmp(copy, "..") == 0 || (n > 2 && strcmp(copy + n - 3, "/..") == 0)) {
        return "leads upwards";
    }
    return content_is_utf8(copy) ? NULL : "is not UTF-8";
}

static octet_status wrong(const zip *z, const zip_entry *e, const char *what, octet_error *error) {
    return error_set(error, OCTET_CORRUPT, "%s: zip: member \"%s\" %s", z->label,
                     quote(e->name, e->name_bytes).text, what);
}

static octet_status wrong_values(const zip *z, const zip_entry *e, const char *what, uint64_t is,
                                 uint64_t other, octet_error *error) {
    return error_set(error, OCTET_CORRUPT, "%s: zip: member \"%s\": %s: %llu and %llu", z->label,
                     quote(e->name, e->name_bytes).text, what, (unsigned long long)is,
                     (unsigned long long)other);
}

/* The numbers of an entry whose name and extra field are known to lie in the directory. */
static octet_status parse_entry(const zip *z, zip_entry *e, const uint8_t *record,
                                octet_error *error) {
    e->name = (const char *)record + ENTRY_BYTES;
    e->name_bytes = (uint16_t)get(record + 28, 2);
    const char *fault = name_fault(e->name, e->name_bytes);
    if (fault != NULL) {
        return error_set(error, OCTET_CORRUPT, "%s: zip: the name of member \"%s\" %s", z->label,
                         quote(e->name, e->name_bytes).text, fault);
    }
    e->flags = (uint16_t)get(record + 8, 2);
    if (e->flags & FLAG_ENCRYPTED) {
        return wrong(z, e, "is encrypted", error);
    }
    if (e->flags & ~(FLAG_DESCRIPTOR | FLAG_UTF8)) {
        return wrong_values(z, e, "flags besides those of a stored member (8 and 2048)", e->flags,
                            FLAG_DESCRIPTOR | FLAG_UTF8, error);
    }
    if (get(record + 10, 2) != 0) {
        return wrong_values(z, e, "it is compressed, only stored members are read: method",
                            get(record + 10, 2), 0, error);
    }
    e->crc = (uint32_t)get(record + 16, 4);
    uint64_t stored = get(record + 20, 4);
    e->bytes = get(record + 24, 4);
    e->offset = get(record + 42, 4);
    uint64_t *const numbers[] = {&e->bytes, &stored, &e->offset};
    uint64_t *wide[3];
    size_t n_wide = 0;
    for (int i = 0; i < 3; i++) {
        if (*numbers[i] == UINT32_MAX) {
            wide[n_wide++] = numbers[i];
        }
    }
    const uint8_t *block;
    size_t n;
    if (!find_zip64(&block, &n, record + ENTRY_BYTES + e->name_bytes,
                    (size_t)get(record + 30, 2))) {
        return wrong(z, e, "has a broken extra field in the directory", error);
    }
    if (n != 8 * n_wide) {
        return wrong_values(z, e, "bytes of its zip64 field, and bytes that its entry needs", n,
                            8 * n_wide, error);
    }
    for (size_t i = 0; i < n_wide; i++) {
        *wide[i] = get(block + 8 * i, 8);
    }
    if (get(record + 34, 2) != 0) {
        return wrong_values(z, e, "it is on another disk", get(record + 34, 2), 0, error);
    }
    return stored == e->bytes
               ? OCTET_OK
               : wrong_values(z, e, "bytes in the file and bytes of a stored member differ", stored,
                              e->bytes, error);
}

static octet_status read_directory(zip *z, const directory *d, octet_error *error) {
    const uint8_t *at = z->bytes + d->offset;
    uint64_t left = d->bytes;
    for (uint64_t i = 0; i < d->entries; i++) {
        const uint64_t bytes =
            left < ENTRY_BYTES ? ENTRY_BYTES
                               : ENTRY_BYTES + get(at + 28, 2) + get(at + 30, 2) + get(at + 32, 2);
        if (left < bytes || get(at, 4) != ENTRY_MARK) {
            return error_set(error, OCTET_CORRUPT,
                             "%s: zip: no directory entry %llu of %llu at byte %llu: it needs %llu "
                             "of %llu bytes",
                             z->label, (unsigned long long)i, (unsigned long long)d->entries,
                             (unsigned long long)(at - z->bytes), (unsigned long long)bytes,
                             (unsigned long long)left);
        }
        const octet_status status = parse_entry(z, &z->all[z->n++], at, error);
        if (status != OCTET_OK) {
            return status;
        }
        at += bytes;
        left -= bytes;
    }
    return left == 0 ? OCTET_OK
                     : differ(z, "bytes behind the directory's last entry", left, 0, error);
}

/* ---------------------------------------------------------------------------------------------- */
/* The members in the file */

/* What the header before the data may say of sizes and CRC: the truth; zeros, where a descriptor
 * follows; or that the zip64 block knows. In PyTorch's archives that block may hold the offset
 * alone or a stored size of 0. */
static octet_status check_local_sizes(const zip *z, const zip_entry *e, const uint8_t *local,
                                      octet_error *error) {
    const bool later = (e->flags & FLAG_DESCRIPTOR) != 0;
    const size_t name_bytes = (size_t)get(local + 26, 2);
    const uint8_t *block;
    size_t n;
    if (!find_zip64(&block, &n, local + LOCAL_BYTES + name_bytes, (size_t)get(local + 28, 2))) {
        return wrong(z, e, "has a broken extra field in its header", error);
    }
    if (n != 0 && n != 8 && n != 16 && n != 24) {
        return wrong_values(z, e, "bytes of the zip64 field in its header, and its most", n, 24,
                            error);
    }
    if (n % 16 == 8 && get(block + n - 8, 8) != e->offset) {
        return wrong_values(z, e, "places by the zip64 field in its header and the directory",
                            get(block + n - 8, 8), e->offset, error);
    }
    for (int i = 0; i < 2; i++) { /* the size stored, the size */
        const uint64_t narrow = get(local + 18 + 4 * i, 4);
        const uint64_t wide = n >= 16 ? get(block + 8 * (1 - i), 8) : e->bytes;
        const bool is_right =
            narrow == e->bytes || (later && narrow == 0) || (narrow == UINT32_MAX && n >= 16);
        if (!is_right || !(wide == e->bytes || (later && wide == 0))) {
            return wrong_values(z, e, "bytes by its header and by the directory",
                                is_right ? wide : narrow, e->bytes, error);
        }
    }
    const uint64_t crc = get(local + 14, 4);
    if (crc != e->crc && !(later && crc == 0)) {
        return wrong_values(z, e, "CRC-32 by its header and by the directory", crc, e->crc, error);
    }
    return OCTET_OK;
}

/* The `left` bytes between the data and the next member: a descriptor where one is announced. */
static octet_status check_tail(const zip *z, const zip_entry *e, uint64_t left,
                               octet_error *error) {
    const uint8_t *tail = e->data + e->bytes;
    if ((e->flags & FLAG_DESCRIPTOR) == 0) {
        return left == 0 ? OCTET_OK
                         : wrong_values(z, e, "bytes behind its data that belong to nothing", left,
                                        0, error);
    }
    if ((left != 16 && left != 24) || get(tail, 4) != DESCRIPTOR_MARK) {
        return wrong_values(z, e, "bytes behind its data, which are no descriptor of", left, 16,
                            error);
    }
    const int width = left == 16 ? 4 : 8;
    const uint64_t stored = get(tail + 8, width);
    const uint64_t bytes = get(tail + 8 + width, width);
    if (get(tail + 4, 4) != e->crc) {
        return wrong_values(z, e, "CRC-32 by its descriptor and by the directory", get(tail + 4, 4),
                            e->crc, error);
    }
    if (stored != e->bytes || bytes != e->bytes) {
        return wrong_values(z, e, "bytes by its descriptor and by the directory",
                            stored != e->bytes ? stored : bytes, e->bytes, error);
    }
    return OCTET_OK;
}

/* A member between its place and `end`, where the next one or the directory begins: not before it,
 * and in the file. */
static octet_status check_member(const zip *z, zip_entry *e, uint64_t end, octet_error *error) {
    if (end - e->offset < LOCAL_BYTES) {
        return wrong_values(z, e, "no room between its place and that of what follows", e->offset,
                            end, error);
    }
    const uint8_t *local = z->bytes + e->offset;
    if (get(local, 4) != LOCAL_MARK) {
        return wrong_values(z, e, "no header at its place", e->offset, get(local, 4), error);
    }
    if (get(local + 6, 2) != e->flags || get(local + 8, 2) != 0) {
        return wrong_values(z, e, "its header's flags and method are not the directory's",
                            get(local + 6, 2), get(local + 8, 2), error);
    }
    const uint64_t header = LOCAL_BYTES + get(local + 26, 2) + get(local + 28, 2);
    if (header > end - e->offset || e->bytes > end - e->offset - header) {
        return wrong_values(z, e, "its header and data overlap what follows: bytes, and room",
                            e->bytes, end - e->offset, error);
    }
    if (get(local + 26, 2) != e->name_bytes ||
        memcmp(local + LOCAL_BYTES, e->name, e->name_bytes) != 0) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: zip: member \"%s\" is called \"%s\" in its header", z->label,
                         quote(e->name, e->name_bytes).text,
                         quote(local + LOCAL_BYTES, (size_t)get(local + 26, 2)).text);
    }
    e->data = local + header;
    octet_status status = check_local_sizes(z, e, local, error);
    if (status == OCTET_OK) {
        status = check_tail(z, e, end - e->offset - header - e->bytes, error);
    }
    return status;
}

static int compare_offsets(const void *a, const void *b) {
    const zip_entry *x = a;
    const zip_entry *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int compare_texts(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    const int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order != 0 ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int compare_names(const void *a, const void *b) {
    const zip_entry *x = a;
    const zip_entry *y = b;
    return compare_texts(x->name, x->name_bytes, y->name, y->name_bytes);
}

static octet_status check_members(zip *z, octet_error *error) {
    qsort(z->all, z->n, sizeof *z->all, compare_offsets);
    if (z->n > 0 && z->all[0].offset != 0) {
        return wrong_values(z, &z->all[0], "the first member is not at the file's start",
                            z->all[0].offset, 0, error);
    }
    if (z->n > 0 && z->all[z->n - 1].offset > z->directory) {
        return wrong_values(z, &z->all[z->n - 1], "its place is behind that of the directory",
                            z->all[z->n - 1].offset, z->directory, error);
    }
    for (size_t i = 0; i < z->n; i++) {
        const uint64_t end = i + 1 < z->n ? z->all[i + 1].offset : z->directory;
        const octet_status status = check_member(z, &z->all[i], end, error);
        if (status != OCTET_OK) {
            return status;
        }
    }
    qsort(z->all, z->n, sizeof *z->all, compare_names);
    for (size_t i = 1; i < z->n; i++) {
        if (compare_names(&z->all[i - 1], &z->all[i]) == 0) {
            return wrong_values(z, &z->all[i], "two members have this name: bytes",
                                z->all[i - 1].bytes, z->all[i].bytes, error);
        }
    }
    return OCTET_OK;
}

/* ---------------------------------------------------------------------------------------------- */

octet_status zip_open(zip **out, const char *label, const uint8_t *bytes, size_t size,
                      octet_error *error) {
    *out = NULL;
    zip *z = calloc(1, sizeof *z);
    if (z == NULL) {
        return error_memory(error, label, sizeof *z);
    }
    *z = (zip){.label = label, .bytes = bytes, .size = size};
    directory d = {0};
    octet_status status = read_end(z, &d, error);
    if (status == OCTET_OK) {
        z->directory = d.offset;
        z->all = calloc((size_t)d.entries + 1, sizeof *z->all);
        status = z->all == NULL ? error_memory(error, label, (double)d.entries * sizeof *z->all)
                                : read_directory(z, &d, error);
    }
    if (status == OCTET_OK) {
        status = check_members(z, error);
    }
    if (status != OCTET_OK) {
        zip_close(&z);
    }
    *out = z;
    return status;
}

void zip_close(zip **z) {
    if (*z != NULL) {
        free((*z)->all);
    }
    free(*z);
    *z = NULL;
}

size_t zip_count(const zip *z) {
    return z->n;
}

const zip_entry *zip_at(const zip *z, size_t index) {
    return &z->all[index];
}

const zip_entry *zip_find(const zip *z, const char *name) {
    size_t low = 0;
    size_t high = z->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const zip_entry *e = &z->all[middle];
        const int order = compare_texts(e->name, e->name_bytes, name, strlen(name));
        if (order == 0) {
            return e;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

octet_status zip_check(const zip *z, const zip_entry *entry, octet_error *error) {
    const uint32_t is = (uint32_t)crc32_z(0, entry->data, (z_size_t)entry->bytes);
    if (is != entry->crc) {
        return error_set(error, OCTET_CORRUPT,
                         "%s: checksum of member \"%s\" is %08lx, the archive says %08lx", z->label,
                         quote(entry->name, entry->name_bytes).text, (unsigned long)is,
                         (unsigned long)entry->crc);
    }
    return OCTET_OK;
}
