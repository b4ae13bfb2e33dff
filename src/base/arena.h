/* arena.h: memory that is given back all at once.
 *
 * Objects that share a lifetime (a graph's nodes, a model's tables) come from one arena. Blocks are
 * never moved, so pointers stay valid until arena_finish. Memory is zeroed. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

typedef struct arena_block arena_block;

typedef struct arena {
    arena_block *blocks; /* newest first */
    size_t used;         /* bytes handed out of the newest block */
    size_t total;        /* bytes held in all */
} arena;

/* An arena of all zeros is empty and ready for use. */

/* `bytes` zeroed bytes aligned to 16, or NULL when memory is out. */
void *arena_alloc(arena *a, size_t bytes);

/* A copy of the string in the arena, or NULL. */
char *arena_strdup(arena *a, const char *text);

/* Frees everything and leaves an empty arena. */
void arena_finish(arena *a);

/* 64-byte aligned, zeroed memory for tensors, on large pages where the system has them to give;
 * NULL when memory is out or `bytes` is 0. Freed with free(). */
void *memory_aligned(size_t bytes);

#endif
