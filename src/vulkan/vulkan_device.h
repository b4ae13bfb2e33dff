/* vulkan_device.h: one opened device: its queue, its memory, its clock, its pipelines.
 *
 * Memory is taken in few large blocks, each one buffer, and given out in ranges. Work goes to one
 * queue; a timeline semaphore counts what was submitted, and is the only thing waited for. Used by
 * one thread at a time: the backend sees to that. */
#ifndef VULKAN_VULKAN_DEVICE_H
#define VULKAN_VULKAN_DEVICE_H

#include "vulkan/vulkan_api.h"
#include "vulkan/vulkan_backend.h"
#include "vulkan/vulkan_shaders.h"

/* Storage buffers that a shader may bind, and bytes of push constants: small enough for every
 * device. */
#define VULKAN_BINDINGS 12
#define VULKAN_PUSH_BYTES 128

/* Ranges begin at multiples of this, which the plan keeps to as well; devices that ask for more are
 * not used. */
#define VULKAN_ALIGNMENT 64

typedef struct vulkan_block vulkan_block;

/* A piece of a block. */
typedef struct vulkan_range {
    vulkan_block *block;
    VkBuffer buffer;
    VkDeviceSize offset, bytes;
    unsigned char *map; /* of a range in host memory: where it is mapped */
} vulkan_range;

/* Where ranges are: on the device, or on the host, mapped for good and visible to the device. */
typedef enum vulkan_place { VULKAN_ON_DEVICE, VULKAN_ON_HOST, VULKAN_PLACES } vulkan_place;

#define VULKAN_STAGES 4

/* Host memory that data pass through, in turns. */
typedef struct vulkan_staging {
    vulkan_range range[VULKAN_STAGES];
    VkCommandBuffer command[VULKAN_STAGES];
    uint64_t time[VULKAN_STAGES]; /* when the copy is done */
    int next;
} vulkan_staging;

/* VkPhysicalDeviceCooperativeMatrixFeaturesKHR, which older headers lack. */
#define VULKAN_MATRIX_FEATURES ((VkStructureType)1000506000)
typedef struct vulkan_matrix_features {
    VkStructureType type;
    void *next;
    VkBool32 cooperative, robust;
} vulkan_matrix_features;

struct vulkan_device {
    vulkan_api api;
    vulkan_description description;
    VkPhysicalDevice physical;
    VkPhysicalDeviceLimits limits;
    VkPhysicalDeviceMemoryProperties memory;
    VkDeviceSize most_bytes;  /* of one allocation */
    vulkan_matrices matrices; /* that it has; zeros: none that can be used */
    int half;                 /* large products are computed by them */
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkCommandPool commands;
    VkSemaphore timeline;
    uint64_t time; /* value that the timeline reaches when all that was submitted is done */
    int64_t n_submissions;
    vulkan_block *blocks[VULKAN_PLACES];
    VkDeviceSize used; /* bytes of all blocks on the device */
    vulkan_staging staging;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout pipeline_layout;
    vulkan_pipeline *pipelines;
    int n_pipelines, pipelines_capacity;
};

/* Opens device `index`, or with -1 the best that is no software. */
octet_status vulkan_device_open(vulkan_device *d, int index, octet_error *error);

/* Waits for the device. Accepts what a failed open has left behind. */
void vulkan_device_close(vulkan_device *d);

/* The largest shape of matrices that products can use; zeros where there is none. */
void vulkan_matrices_find(const vulkan_api *api, VkPhysicalDevice physical,
                          const vulkan_description *about, const VkPhysicalDeviceLimits *limits,
                          vulkan_matrices *out);

/* OCTET_OK for VK_SUCCESS, else an error that names the device and what was tried. */
octet_status vulkan_check(const vulkan_device *d, VkResult result, const char *what,
                          octet_error *error);

/* Submits n recorded command buffers, each by itself, so that none keeps the device for long. */
octet_status vulkan_submit(vulkan_device *d, const VkCommandBuffer *commands, int n,
                           octet_error *error);

/* Waits until the timeline has reached `time`. */
octet_status vulkan_wait(vulkan_device *d, uint64_t time, octet_error *error);

/* --- memory (vulkan_memory.c) */

/* A range of at least one byte; what it held before is left in it. */
octet_status vulkan_take(vulkan_device *d, vulkan_range *out, vulkan_place place, uint64_t bytes,
                         const char *what, octet_error *error);

/* Accepts a range without a block; the device must be done with it. */
void vulkan_give(vulkan_device *d, vulkan_range *range);

/* Staging memory and its command buffers. */
octet_status vulkan_staging_open(vulkan_device *d, octet_error *error);

/* Copies in and out, at a byte offset of the range, and fills with zeros. A write returns when the
 * data were taken; all are in order with what is submitted before and after. */
octet_status vulkan_write(vulkan_device *d, const vulkan_range *to, uint64_t offset,
                          const void *data, uint64_t bytes, octet_error *error);
octet_status vulkan_read(vulkan_device *d, const vulkan_range *from, uint64_t offset, void *data,
                         uint64_t bytes, octet_error *error);
octet_status vulkan_clear(vulkan_device *d, const vulkan_range *range, octet_error *error);

#endif
