/* memory_cap.c: see memory_cap.h. */
#include "memory_cap.h"

#include <jansson.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *memory);

/* Far from where differences overflow. */
#define NO_LIMIT (INT64_MAX / 4)

/* Bytes held since the limit began (memory of before may be freed meanwhile: below 0). */
static atomic_llong held, peak, limit = NO_LIMIT;
static atomic_int refused;

static int too_much(size_t bytes) {
    long long most = atomic_load(&limit);
    if (bytes <= (size_t)NO_LIMIT && (long long)bytes <= most - atomic_load(&held))
        return 0;
    atomic_fetch_add(&refused, 1);
    return 1;
}

static void *counted(void *memory) {
    if (!memory)
        return NULL;
    long long now = atomic_fetch_add(&held, (long long)malloc_usable_size(memory));
    now += (long long)malloc_usable_size(memory);
    long long most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
        ;
    return memory;
}

void *__wrap_malloc(size_t bytes) {
    return too_much(bytes) ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t n, size_t bytes) {
    size_t all = bytes && n > SIZE_MAX / bytes ? SIZE_MAX : n * bytes;
    return too_much(all) ? NULL : counted(__real_calloc(n, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return too_much(bytes) ? NULL : counted(__real_aligned_alloc(alignment, bytes));
}

void *__wrap_realloc(void *memory, size_t bytes) {
    size_t before = memory ? malloc_usable_size(memory) : 0;
    if (too_much(bytes))
        return NULL;
    void *moved = __real_realloc(memory, bytes);
    if (moved)
        atomic_fetch_sub(&held, (long long)before);
    return counted(moved);
}

void __wrap_free(void *memory) {
    if (memory)
        atomic_fetch_sub(&held, (long long)malloc_usable_size(memory));
    __real_free(memory);
}

void memory_cap_begin(size_t most) {
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    atomic_store(&held, 0);
    atomic_store(&peak, 0);
    atomic_store(&refused, 0);
    atomic_store(&limit, (long long)most);
}

int memory_cap_end(size_t *most) {
    atomic_store(&limit, NO_LIMIT);
    *most = (size_t)atomic_load(&peak);
    return atomic_load(&refused);
}
