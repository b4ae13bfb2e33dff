/* api_walk.c: see api_walk.h.
 *
 * Without a whole index a block is known by its header, whose checksum covers all of it: over
 * damage the way goes on, byte by byte, to the next place where such a header stands. What a block
 * that turned out damaged took from the file is given back first, unless the next block follows it
 * where it should: the damage may have moved what follows. */
#include "api/api_walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define READ_AHEAD 65536

octet_status walk_start(walk *w, const octet_io *io, octet_error *error) {
    w->x.t = &w->t;
    return transfer_start(&w->t, io, error);
}

void walk_finish(walk *w) {
    expander_finish(&w->x);
    free(w->content);
    free(w->payload);
    free(w->ahead);
    transfer_finish(&w->t);
}

octet_status walk_room(uint8_t **bytes, size_t *capacity, size_t n, const char *what,
                       octet_error *error) {
    if (n <= *capacity)
        return OCTET_OK;
    uint8_t *larger = realloc(*bytes, n);
    if (!larger)
        return error_memory(error, what, (double)n);
    *bytes = larger;
    *capacity = n;
    return OCTET_OK;
}

octet_status walk_some(walk *w, void *bytes, size_t n, size_t *got, octet_error *error) {
    const size_t left = w->ahead_n - w->ahead_at, before = left < n ? left : n;
    if (before)
        memcpy(bytes, w->ahead + w->ahead_at, before);
    w->ahead_at += before;
    *got = 0;
    octet_status status = OCTET_OK;
    if (before < n)
        status = w->t.io->read(w->t.io->context, (uint8_t *)bytes + before, n - before, got, error);
    *got += before;
    w->t.position += *got;
    return status;
}

octet_status walk_take(walk *w, void *bytes, size_t n, octet_error *error) {
    const uint64_t position = w->t.position;
    size_t got = 0;
    octet_status status = walk_some(w, bytes, n, &got, error);
    if (status || got == n)
        return status;
    if (!position)
        return error_set(error, OCTET_CORRUPT,
                         "%s: %zu bytes are too few for a compressed file of octet", w->t.io->name,
                         got);
    return error_set(error, OCTET_CORRUPT,
                     "%s: the file ends at byte %" PRIu64 ", after %" PRIu64 " whole blocks",
                     w->t.io->name, position + got, w->t.report.blocks);
}

/* --- over damage */

/* These bytes, the last taken, will be read again. */
static octet_status give_back(walk *w, const void *bytes, size_t n, octet_error *error) {
    const size_t left = w->ahead_n - w->ahead_at;
    if (n > w->ahead_at) {
        octet_status status =
            walk_room(&w->ahead, &w->ahead_capacity, n + left, "damaged block", error);
        if (status)
            return status;
        memmove(w->ahead + n, w->ahead + w->ahead_at, left);
        w->ahead_at = n;
        w->ahead_n = n + left;
    }
    w->ahead_at -= n;
    memcpy(w->ahead + w->ahead_at, bytes, n);
    w->t.position -= n;
    return OCTET_OK;
}

/* Has at least a header ahead, unless the file ends before. */
static octet_status look_ahead(walk *w, octet_error *error) {
    const size_t left = w->ahead_n - w->ahead_at;
    size_t got = 0;
    if (left >= CONTAINER_BLOCK_BYTES)
        return OCTET_OK;
    octet_status status =
        walk_room(&w->ahead, &w->ahead_capacity, READ_AHEAD + CONTAINER_BLOCK_BYTES, "read", error);
    if (status)
        return status;
    memmove(w->ahead, w->ahead + w->ahead_at, left);
    status = w->t.io->read(w->t.io->context, w->ahead + left, READ_AHEAD, &got, error);
    w->ahead_at = 0;
    w->ahead_n = left + got;
    return status;
}

/* The next block header in the file, if it belongs to what has not been read. *found 0: none. */
static octet_status find_block(walk *w, container_block *b, int *found, octet_error *error) {
    for (*found = 0;;) {
        octet_status status = look_ahead(w, error);
        if (!status)
            status = transfer_stopped(&w->t, error);
        if (status || w->ahead_n - w->ahead_at < CONTAINER_BLOCK_BYTES)
            return status;
        const uint8_t *at = w->ahead + w->ahead_at;
        if (memcmp(at, "octB", 4) == 0 &&
            !container_get_block(b, at, w->t.position, w->t.io->name, NULL) &&
            b->number >= w->number && b->offset >= w->t.report.content) {
            *found = 1;
            return walk_take(w, w->header, sizeof w->header, error);
        }
        w->ahead_at++;
        w->t.position++;
    }
}

/* The caller knows the name that messages begin with. */
static void tell(walk *w, uint64_t first, uint64_t end, const char *why) {
    const size_t n = strlen(w->t.io->name);
    if (strncmp(why, w->t.io->name, n) == 0 && strncmp(why + n, ": ", 2) == 0)
        why += n + 2;
    w->n_lost++;
    w->lost_bytes += end - first;
    w->lost(w->lost_context, first, end, why);
}

octet_status walk_lose(walk *w, uint64_t end, const char *why, octet_error *error) {
    static const uint8_t zeros[4096];
    uint64_t from = w->t.report.content > w->first ? w->t.report.content : w->first;
    const uint64_t to = end < w->end ? end : w->end;
    octet_status status = OCTET_OK;
    if (w->most && end > w->most)
        return error_set(error, OCTET_ERROR,
                         "%s: the content has more bytes than the %" PRIu64 " that are allowed",
                         w->t.io->name, w->most);
    tell(w, w->t.report.content, end, why);
    while (from < to && !status) {
        const uint64_t n = to - from < sizeof zeros ? to - from : sizeof zeros;
        status = w->t.io->write(w->t.io->context, zeros, (size_t)n, error);
        from += n;
        if (!status)
            status = transfer_stopped(&w->t, error);
    }
    w->t.report.content = end;
    return status;
}

/* Whether the block after b stands here. */
static octet_status is_followed(walk *w, const container_block *b, int *followed,
                                octet_error *error) {
    container_block next;
    octet_status status = look_ahead(w, error);
    *followed = !status && w->ahead_n - w->ahead_at >= CONTAINER_BLOCK_BYTES &&
                !container_get_block(&next, w->ahead + w->ahead_at, 0, w->t.io->name, NULL) &&
                next.number == b->number + 1 && next.offset == b->offset + b->content;
    return status;
}

/* A block whose header was right: its content, or zeros. */
static octet_status read_or_lose(walk *w, const container_block *b, walk_block *read_block,
                                 octet_error *error) {
    const uint64_t position = w->t.position;
    octet_error why = {0};
    int followed = 0;
    octet_status status = read_block(w, b, &why);
    if (!status)
        return OCTET_OK;
    if (status != OCTET_CORRUPT)
        return error_set(error, status, "%s", why.text);
    status = is_followed(w, b, &followed, error);
    if (!status && !followed) /* the payload is in w->payload as far as the file went */
        status = give_back(w, w->payload, (size_t)(w->t.position - position), error);
    return status ? status : walk_lose(w, b->offset + b->content, why.text, error);
}

static octet_status read_last(walk *w, const container_block *b, uint64_t position,
                              walk_end *read_end, octet_error *error) {
    octet_error why = {0};
    octet_status status = read_end(w, b, position, &why);
    if (status == OCTET_CORRUPT)
        tell(w, w->t.report.content, w->t.report.content, why.text);
    else if (status)
        return error_set(error, status, "%s", why.text);
    return OCTET_OK;
}

octet_status walk_recover(walk *w, walk_block *read_block, walk_end *read_end, octet_error *error) {
    container_block b = {0};
    octet_status status = OCTET_OK;
    int found = 1;
    while (!status && b.kind != CONTAINER_END && w->t.report.content < w->end) {
        status = find_block(w, &b, &found, error);
        if (status || !found)
            break;
        const uint64_t position = w->t.position - sizeof w->header;
        if (b.offset > w->t.report.content)
            status = walk_lose(w, b.offset, "its blocks are damaged or gone", error);
        w->number = b.number + 1;
        if (!status && b.kind == CONTAINER_END)
            status = read_last(w, &b, position, read_end, error);
        else if (!status)
            status = read_or_lose(w, &b, read_block, error);
    }
    if (!status && !found)
        tell(w, w->t.report.content, w->t.report.content,
             "the file has no end: whether more is lost cannot be told");
    return status;
}
