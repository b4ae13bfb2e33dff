/* vulkan_faults.h: calls that fail when a test says so, between the library and Vulkan.
 *
 * Tests that use it are linked with --wrap for dlsym, which hands the library a loader of ours: its
 * functions fail, or count and call the real ones. Allocations of the library's objects come by
 * here too, by --wrap for malloc and its family. For one thread. */
#ifndef TESTS_VULKAN_FAULTS_H
#define TESTS_VULKAN_FAULTS_H

#include <stdint.h>

/* Calls that can fail. */
enum {
    FAULT_HOST = 1,      /* malloc and its family */
    FAULT_MEMORY = 2,    /* vkAllocateMemory: out of device memory, from then on */
    FAULT_PIPELINE = 4,  /* shader modules and pipelines */
    FAULT_OBJECT = 8,    /* all else that makes, records, maps or binds */
    FAULT_SUBMIT = 16,   /* vkQueueSubmit: out of host memory */
    FAULT_WAIT = 32,     /* vkWaitSemaphores: likewise, once */
    FAULT_LOST = 64,     /* both: the device is lost, from then on for every call */
    FAULT_ANY_ONCE = 63, /* all that leave a device that can be used */
};

/* From now on calls of these kinds are counted, and call number `nth` fails, 0 the first; -1: none
 * does. A device that was lost works again. */
void faults_arm(unsigned kinds, int64_t nth);

/* Calls counted since. */
int64_t faults_counted(void);

/* What was made and not yet destroyed: objects of Vulkan but command buffers and descriptor sets,
 * which go with their pools, and allocations of the library. */
typedef struct faults_held {
    int64_t objects, allocations;
} faults_held;

faults_held faults_balance(void);

/* What drivers report from now on: heaps of at most so many bytes, and allocations; 0: as it is. */
void faults_limit(uint64_t heap_bytes, uint64_t piece_bytes);

#endif
