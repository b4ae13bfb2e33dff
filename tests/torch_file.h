/* torch_file.h: archives as torch.save writes them, built byte by byte, so that tests can have
 * whole ones and ones with a fault at any place. */
#ifndef TESTS_TORCH_FILE_H
#define TESTS_TORCH_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "bad_models.h"

typedef struct torch_member {
    const char *name; /* in full */
    size_t name_bytes;
    const void *data;
    size_t bytes;
} torch_member;

/* How an archive is written. As PyTorch does: padded headers, sizes behind the data, zip64 end
 * records. */
typedef enum torch_style {
    TORCH_PLAIN,  /* as PyTorch */
    TORCH_WIDE,   /* as PyTorch beyond 4 GiB: every size and offset by zip64 */
    TORCH_SIMPLE, /* as other programs: sizes before the data, no zip64 */
    TORCH_STYLES
} torch_style;

/* The members in that order. The bytes are to be freed. */
bad_bytes torch_zip(const torch_member *members, int n, torch_style style);

/* Parts of such an archive: where the i-th one begins; for parts after TORCH_TAIL i is ignored. */
typedef enum torch_part {
    TORCH_LOCAL, /* the header before the data */
    TORCH_NAME,  /* in it */
    TORCH_DATA,
    TORCH_TAIL,  /* what follows the data: the descriptor */
    TORCH_ENTRY, /* of the directory */
    TORCH_END64, /* zip64 end record */
    TORCH_LOCATOR,
    TORCH_END
} torch_part;

size_t torch_place(const bad_bytes *file, torch_part part, int i);
int torch_count(const bad_bytes *file);

/* Puts a little-endian number of some bytes. */
void torch_put(bad_bytes *file, size_t at, int bytes, uint64_t number);

/* A member of an archive that may be damaged, as its directory has it. */
typedef struct torch_found {
    uint64_t entry, local, data, bytes, name_bytes;
    int is_whole; /* name and data lie in the file */
} torch_found;

/* Any bytes will do. Returns how many entries there are, at most `most`. */
int torch_find(const bad_bytes *file, torch_found *found, int most);

/* Puts right the CRC-32 of the first TORCH_FOUND members, wherever it stands. Any bytes will do.
 * Returns how many were found. */
#define TORCH_FOUND 64
int torch_fix_crcs(bad_bytes *file);

/* Bytes that grow; data is to be freed. Starts as zeros. */
typedef struct torch_bytes {
    uint8_t *data;
    size_t size, capacity;
} torch_bytes;

void torch_add(torch_bytes *o, const void *bytes, size_t n);
#define TORCH_ADD(o, literal) torch_add(o, literal, sizeof(literal) - 1)

/* Pieces of a pickle: a text, an integer of 8 bytes, a tensor. */
typedef struct torch_tensor {
    const char *type; /* "Float" */
    const char *key;
    int64_t elements, offset;
    int rank;
    int64_t dim[9], stride[9];
} torch_tensor;

void torch_add_text(torch_bytes *o, const char *text, size_t n);
void torch_add_integer(torch_bytes *o, int64_t value);
void torch_add_tensor(torch_bytes *o, const torch_tensor *t);

/* A pickle in pieces, as C strings with zeros in them: X is a text of n bytes ("\5"). */
#define TORCH_X(n, text) "X" n "\0\0\0" text
#define TORCH_DICT "ccollections\nOrderedDict\n)R"
#define TORCH_STORAGE(type, key, elements)                                                         \
    "(" TORCH_X("\7", "storage") "ctorch\n" type "Storage\n" TORCH_X("\1", key)                    \
        TORCH_X("\3", "cpu") elements "tQ"
#define TORCH_TENSOR(storage, offset, size, stride)                                                \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset size stride "\x89" TORCH_DICT "tR"

/* One with "w", 2 by 3, and "b", 1, of storages 0 and 1, and the archive: data.pkl, byteorder,
 * data/0, data/1, version, in the folder "a". */
enum { TORCH_PICKLE, TORCH_BYTEORDER, TORCH_DATA_0, TORCH_DATA_1, TORCH_VERSION, TORCH_MEMBERS };
#define TORCH_S0 TORCH_STORAGE("Float", "0", "K\6")
#define TORCH_S1 TORCH_STORAGE("Float", "1", "K\1")
#define TORCH_W TORCH_TENSOR(TORCH_S0, "K\0", "K\2K\3\x86", "K\3K\1\x86")
#define TORCH_B TORCH_TENSOR(TORCH_S1, "K\0", "K\1\x85", "K\1\x85")
#define TORCH_GOOD                                                                                 \
    "\x80\2" TORCH_DICT "(" TORCH_X("\1", "w") TORCH_W TORCH_X("\1", "b") TORCH_B "u."

/* The members of that archive; data.pkl may be exchanged. */
void torch_good(torch_member members[TORCH_MEMBERS]);

/* The same with the checkpoint of a training: "w" (saved as "module.w"), "b" and "tied", which is
 * "w" again; an optimizer, whose state has storage 1 too; counters. */
void torch_training(torch_member members[TORCH_MEMBERS]);

#endif
