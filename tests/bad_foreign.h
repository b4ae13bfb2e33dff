/* bad_foreign.h: checkpoints of other programs that mean harm.
 *
 * Each row says what is wrong with a file and at which stage of the reader it must end. The files
 * are made from the archive of torch_file.h; their CRCs are right unless they are what is wrong. */
#ifndef TESTS_BAD_FOREIGN_H
#define TESTS_BAD_FOREIGN_H

#include "torch_file.h"

/* Where a file ends, in the order in which it is read. */
typedef enum foreign_stage {
    FOREIGN_KIND,    /* neither archive nor safetensors */
    FOREIGN_ZIP,     /* the archive's directory and headers */
    FOREIGN_MEMBERS, /* what lies in it */
    FOREIGN_SUM,     /* a CRC-32 */
    FOREIGN_PICKLE,  /* opcodes, names, the machine */
    FOREIGN_STATE,   /* where the tensors are */
    FOREIGN_NAMES,   /* theirs */
    FOREIGN_TENSORS, /* storages, sizes, strides */
    FOREIGN_OPEN,    /* none: tensors can be read */
    FOREIGN_STAGES
} foreign_stage;

const char *foreign_stage_name(foreign_stage stage);

/* The stage whose complaint that is. Fails the test where the status is neither OCTET_OK nor
 * OCTET_CORRUPT, or the text not one line of printable characters that begins with `label`. */
foreign_stage foreign_stage_of(octet_status status, const char *text, const char *label);

/* What is done. "Member" is row->member, "place" the row's part of it and `at` bytes more. */
typedef enum foreign_edit {
    FOREIGN_TEXT,    /* data.pkl is a */
    FOREIGN_REPEAT,  /* data.pkl is a, n times b, and c */
    FOREIGN_KEYS,    /* data.pkl is a dict of n different keys */
    FOREIGN_NUMBER,  /* n as `width` bytes stands at the place */
    FOREIGN_WIDE,    /* the same in an archive with all sizes in zip64 */
    FOREIGN_SIMPLE,  /* the same in one without zip64 and descriptors */
    FOREIGN_FLIP,    /* a bit at the place is another */
    FOREIGN_CUT,     /* the file ends at the place */
    FOREIGN_NAME,    /* the member is called a */
    FOREIGN_DATA,    /* the member's data is a */
    FOREIGN_WITHOUT, /* the member is missing */
    FOREIGN_TWICE,   /* the member is there twice, the second one called a */
    FOREIGN_INSIDE,  /* data/0 holds a member, and the directory says that this is data/1 */
    FOREIGN_HOLE,    /* n bytes lie between the members and the directory */
    FOREIGN_BOMB,    /* data/0 is compressed, and n bytes in full */
    FOREIGN_WHOLE,   /* the file is a */
    FOREIGN_FRONT,   /* a in front of the file */
    FOREIGN_BACK     /* a behind it */
} foreign_edit;

typedef struct bad_foreign {
    foreign_stage stage;
    const char *name, *message; /* part of it */
    foreign_edit edit;
    const char *a;
    size_t a_bytes;
    const char *b; /* without zeros in it */
    const char *c;
    size_t c_bytes;
    int member;
    torch_part part;
    int at, width;
    uint64_t n;
} bad_foreign;

/* What data.pkl and the members beside it may say; the archive itself, and what is none. */
extern const bad_foreign bad_foreign_pickles[], bad_foreign_zips[];
extern const int bad_foreign_pickles_count, bad_foreign_zips_count;

bad_bytes bad_foreign_make(const bad_foreign *row);

#endif
