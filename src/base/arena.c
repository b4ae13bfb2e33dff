/* arena.c: blocks from calloc, each at least as large as all before it together.
 *
 * So n bytes cost O(log n) calls of the allocator and at most twice the memory. A request larger
 * than the next block gets a block of its own size. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ARENA_ALIGN = 16, FIRST_BLOCK = 64 * 1024, TENSOR_ALIGN = 64, HUGE_PAGE = 1 << 21 };

struct arena_block {
    arena_block *next; /* the one before it in time */
    size_t size;       /* bytes of data */
    alignas(ARENA_ALIGN) unsigned char data[];
};

static arena_block *add_block(arena *a, size_t least) {
    size_t size = a->total > FIRST_BLOCK ? a->total : FIRST_BLOCK;
    if (size < least) {
        size = least;
    }
    if (size > SIZE_MAX / 2 - sizeof(arena_block)) {
        return NULL;
    }
    arena_block *block = calloc(1, sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->next = a->blocks;
    block->size = size;
    a->blocks = block;
    a->used = 0;
    a->total += size;
    return block;
}

void *arena_alloc(arena *a, size_t bytes) {
    if (bytes > SIZE_MAX / 4) {
        return NULL;
    }
    size_t rounded = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (rounded == 0) {
        rounded = ARENA_ALIGN; /* distinct addresses for empty objects */
    }
    arena_block *block = a->blocks;
    if (block == NULL || block->size - a->used < rounded) {
        block = add_block(a, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    void *memory = block->data + a->used;
    a->used += rounded;
    return memory;
}

char *arena_strdup(arena *a, const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = arena_alloc(a, bytes);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

void arena_finish(arena *a) {
    arena_block *block = a->blocks;
    while (block != NULL) {
        arena_block *next = block->next;
        free(block);
        block = next;
    }
    *a = (arena){0};
}

/* Large memory is asked for in huge pages where the system has them: kernels that walk columns of
 * large tensors would else wait for addresses to be translated. */
void *memory_aligned(size_t bytes) {
    if (bytes == 0 || bytes > SIZE_MAX / 2) {
        return NULL;
    }
    const size_t rounded = (bytes + TENSOR_ALIGN - 1) & ~(size_t)(TENSOR_ALIGN - 1);
    const size_t huge = rounded & ~(size_t)(HUGE_PAGE - 1);
    void *memory = NULL;
    if (posix_memalign(&memory, huge > 0 ? HUGE_PAGE : TENSOR_ALIGN, rounded) != 0) {
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    if (huge > 0) {
        (void)madvise(memory, huge, MADV_HUGEPAGE); /* a hint: refused, nothing is lost */
    }
#endif
    memset(memory, 0, rounded);
    return memory;
}
