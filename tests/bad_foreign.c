/* bad_foreign.c: see bad_foreign.h; the rows are in bad_foreign_rows.c. */
#include "bad_foreign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"

/* --- stages */

static const struct {
    const char *name;
    const char *says[3]; /* how its messages begin */
} stages[FOREIGN_STAGES] = {
    [FOREIGN_KIND] = {"kind", {"is neither a zip", "is a bare pickle"}},
    [FOREIGN_ZIP] = {"zip", {"zip: "}},
    [FOREIGN_MEMBERS] = {"members", {"archive: "}},
    [FOREIGN_SUM] = {"checksum", {"checksum of member "}},
    [FOREIGN_PICKLE] = {"pickle", {"data.pkl "}},
    [FOREIGN_STATE] = {"state dict", {"state dict: "}},
    [FOREIGN_NAMES] = {"names", {"the name of tensor ", "tensors \""}},
    [FOREIGN_TENSORS] = {"tensors", {"tensor \""}},
    [FOREIGN_OPEN] = {"open", {NULL}},
};

const char *foreign_stage_name(foreign_stage stage) {
    return stages[stage].name;
}

foreign_stage foreign_stage_of(octet_status status, const char *text, const char *label) {
    size_t n = strlen(label);
    if (status == OCTET_OK)
        return FOREIGN_OPEN;
    if (status != OCTET_CORRUPT || strncmp(text, label, n) || strncmp(text + n, ": ", 2))
        fail_msg("status %d, \"%s\" does not begin with \"%s: \"", (int)status, text, label);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            fail_msg("\"%s\" holds a control character", text);
    for (int stage = 0; stage < FOREIGN_OPEN; stage++)
        for (int i = 0; i < 3 && stages[stage].says[i]; i++)
            if (!strncmp(text + n + 2, stages[stage].says[i], strlen(stages[stage].says[i])))
                return (foreign_stage)stage;
    fail_msg("\"%s\": of no stage", text);
    return FOREIGN_STAGES;
}

/* --- edits */

static bad_bytes copy_of(const void *bytes, size_t n) {
    bad_bytes copy = {support_alloc(n + 1, 1), n};
    if (n)
        memcpy(copy.data, bytes, n);
    return copy;
}

static bad_bytes zip_with_pickle(const void *text, size_t bytes) {
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    members[TORCH_PICKLE].data = text;
    members[TORCH_PICKLE].bytes = bytes;
    return torch_zip(members, TORCH_MEMBERS, TORCH_PLAIN);
}

static bad_bytes make_repeated(const bad_foreign *row) {
    torch_bytes text = {0};
    torch_add(&text, row->a, row->a_bytes);
    for (uint64_t i = 0; i < row->n; i++)
        torch_add(&text, row->b, strlen(row->b));
    torch_add(&text, row->c, row->c_bytes);
    bad_bytes file = zip_with_pickle(text.data, text.size);
    free(text.data);
    return file;
}

static bad_bytes make_keys(const bad_foreign *row) {
    torch_bytes text = {0};
    char key[24];
    TORCH_ADD(&text, "\x80\2}" TORCH_X("\1", "w") TORCH_W "q\0s(");
    for (uint64_t i = 0; i < row->n; i++) {
        int n = snprintf(key, sizeof key, "%llu", (unsigned long long)i);
        torch_add_text(&text, key, (size_t)n);
        TORCH_ADD(&text, "h\0");
    }
    TORCH_ADD(&text, "u.");
    bad_bytes file = zip_with_pickle(text.data, text.size);
    free(text.data);
    return file;
}

static bad_bytes make_members(const bad_foreign *row) {
    torch_member members[TORCH_MEMBERS + 1];
    int n = TORCH_MEMBERS;
    torch_good(members);
    torch_member *m = &members[row->member];
    if (row->edit == FOREIGN_WITHOUT) {
        n--;
        memmove(m, m + 1, (size_t)(n - row->member) * sizeof *m);
    } else if (row->edit == FOREIGN_TWICE) {
        members[n] = *m;
        m = &members[n++];
    }
    if (row->edit == FOREIGN_DATA) {
        m->data = row->a;
        m->bytes = row->a_bytes;
    } else if (row->edit != FOREIGN_WITHOUT) {
        m->name = row->a;
        m->name_bytes = row->a_bytes;
    }
    return torch_zip(members, n, TORCH_PLAIN);
}

/* Members must lie one behind the other, so that no byte means two things. */
static bad_bytes make_inside(const bad_foreign *row) {
    torch_member members[TORCH_MEMBERS], inner;
    (void)row;
    torch_good(members);
    inner = members[TORCH_DATA_1];
    bad_bytes hidden = torch_zip(&inner, 1, TORCH_SIMPLE);
    members[TORCH_DATA_0].data = hidden.data;
    members[TORCH_DATA_0].bytes = hidden.size;
    bad_bytes file = torch_zip(members, TORCH_MEMBERS, TORCH_SIMPLE);
    torch_put(&file, torch_place(&file, TORCH_ENTRY, TORCH_DATA_1) + 42, 4,
              torch_place(&file, TORCH_DATA, TORCH_DATA_0));
    free(hidden.data);
    return file;
}

static bad_bytes make_changed(const bad_foreign *row) {
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    bad_bytes file = torch_zip(members, TORCH_MEMBERS,
                               row->edit == FOREIGN_WIDE     ? TORCH_WIDE
                               : row->edit == FOREIGN_SIMPLE ? TORCH_SIMPLE
                                                             : TORCH_PLAIN);
    size_t at = torch_place(&file, row->part, row->member) + (size_t)row->at;
    if (row->edit == FOREIGN_FLIP) {
        file.data[at] ^= 4;
    } else if (row->edit == FOREIGN_CUT) {
        bad_bytes cut = copy_of(file.data, at);
        free(file.data);
        return cut;
    } else {
        torch_put(&file, at, row->width, row->n);
    }
    return file;
}

static bad_bytes make_hole(const bad_foreign *row) {
    torch_member members[TORCH_MEMBERS];
    static const uint8_t zeros[64];
    torch_good(members);
    bad_bytes file = torch_zip(members, TORCH_MEMBERS, TORCH_SIMPLE);
    size_t at = torch_place(&file, TORCH_ENTRY, 0);
    bad_splice(&file, at, 0, zeros, (size_t)row->n);
    torch_put(&file, file.size - 6, 4, at + row->n);
    return file;
}

static bad_bytes make_bomb(const bad_foreign *row) {
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    bad_bytes file = torch_zip(members, TORCH_MEMBERS, TORCH_WIDE);
    size_t entry = torch_place(&file, TORCH_ENTRY, TORCH_DATA_0);
    torch_put(&file, torch_place(&file, TORCH_LOCAL, TORCH_DATA_0) + 8, 2, 8);
    torch_put(&file, entry + 10, 2, 8);
    torch_put(&file, entry + 46 + members[TORCH_DATA_0].name_bytes + 4, 8, row->n);
    return file;
}

static bad_bytes make_around(const bad_foreign *row) {
    torch_member members[TORCH_MEMBERS];
    torch_good(members);
    bad_bytes file = torch_zip(members, TORCH_MEMBERS, TORCH_PLAIN);
    bad_splice(&file, row->edit == FOREIGN_FRONT ? 0 : file.size, 0, row->a, row->a_bytes);
    return file;
}

bad_bytes bad_foreign_make(const bad_foreign *row) {
    switch (row->edit) {
    case FOREIGN_TEXT:
        return zip_with_pickle(row->a, row->a_bytes);
    case FOREIGN_REPEAT:
        return make_repeated(row);
    case FOREIGN_KEYS:
        return make_keys(row);
    case FOREIGN_NAME:
    case FOREIGN_DATA:
    case FOREIGN_WITHOUT:
    case FOREIGN_TWICE:
        return make_members(row);
    case FOREIGN_INSIDE:
        return make_inside(row);
    case FOREIGN_HOLE:
        return make_hole(row);
    case FOREIGN_BOMB:
        return make_bomb(row);
    case FOREIGN_WHOLE:
        return copy_of(row->a, row->a_bytes);
    case FOREIGN_FRONT:
    case FOREIGN_BACK:
        return make_around(row);
    default:
        return make_changed(row);
    }
}
