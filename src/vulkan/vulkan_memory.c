/* vulkan_memory.c: blocks of memory, the ranges cut from them, and copies in and out.
 *
 * A block is one allocation with one buffer over it. Its free pieces are kept by rising offset; a
 * range takes the first that is long enough. Blocks without ranges are given back. */
#include "vulkan/vulkan_device.h"

#include <stdlib.h>
#include <string.h>

#define DEVICE_BLOCK ((uint64_t)128 << 20)
#define HOST_BLOCK ((uint64_t)16 << 20)
#define STAGE_BYTES ((uint64_t)2 << 20)

typedef struct gap {
    VkDeviceSize offset, bytes;
} gap;

struct vulkan_block {
    vulkan_block *next;
    vulkan_place place;
    VkDeviceMemory memory;
    VkBuffer buffer;
    VkDeviceSize bytes;
    unsigned char *map;
    gap *gaps;
    int n_gaps, capacity, n_ranges;
};

/* --- blocks */

/* The first type of memory with all the properties, or -1. */
static int memory_type(const vulkan_device *d, uint32_t possible, VkMemoryPropertyFlags wanted) {
    for (uint32_t i = 0; i < d->memory.memoryTypeCount; i++)
        if (possible >> i & 1 && (d->memory.memoryTypes[i].propertyFlags & wanted) == wanted)
            return (int)i;
    return -1;
}

static int choose_type(const vulkan_device *d, uint32_t possible, vulkan_place place) {
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    int type = place == VULKAN_ON_DEVICE
                   ? memory_type(d, possible, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT)
                   : memory_type(d, possible, host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
    if (type < 0)
        type = memory_type(d, possible, place == VULKAN_ON_DEVICE ? 0 : host);
    return type;
}

static void destroy_block(vulkan_device *d, vulkan_block *b) {
    if (b->buffer)
        d->api.DestroyBuffer(d->device, b->buffer, NULL);
    if (b->memory) {
        d->api.FreeMemory(d->device, b->memory, NULL);
        d->used -= b->place == VULKAN_ON_DEVICE ? b->bytes : 0;
    }
    free(b->gaps);
    free(b);
}

static VkResult allocate_block(vulkan_device *d, vulkan_block *b) {
    const VkBufferCreateInfo buffer = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                       .size = b->bytes,
                                       .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                                VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                                VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    VkMemoryRequirements needs;
    VkResult result = d->api.CreateBuffer(d->device, &buffer, NULL, &b->buffer);
    if (result)
        return result;
    d->api.GetBufferMemoryRequirements(d->device, b->buffer, &needs);
    const int type = choose_type(d, needs.memoryTypeBits, b->place);
    const VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                       .allocationSize = needs.size,
                                       .memoryTypeIndex = (uint32_t)type};
    if (type < 0)
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    result = d->api.AllocateMemory(d->device, &info, NULL, &b->memory);
    if (result)
        return result;
    d->used += b->place == VULKAN_ON_DEVICE ? b->bytes : 0;
    result = d->api.BindBufferMemory(d->device, b->buffer, b->memory, 0);
    if (!result && b->place == VULKAN_ON_HOST) {
        void *map;
        result = d->api.MapMemory(d->device, b->memory, 0, VK_WHOLE_SIZE, 0, &map);
        b->map = map;
    }
    return result;
}

static VkResult create_block(vulkan_device *d, vulkan_block **out, vulkan_place place,
                             VkDeviceSize bytes) {
    vulkan_block *b = calloc(1, sizeof *b);
    gap *gaps = calloc(8, sizeof *gaps);
    if (!b || !gaps) {
        free(b);
        free(gaps);
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    *b = (vulkan_block){.place = place, .bytes = bytes, .gaps = gaps, .n_gaps = 1, .capacity = 8};
    b->gaps[0] = (gap){0, bytes};
    const VkResult result =
        bytes > d->most_bytes ? VK_ERROR_OUT_OF_DEVICE_MEMORY : allocate_block(d, b);
    if (result) {
        destroy_block(d, b);
        return result;
    }
    b->next = d->blocks[place];
    d->blocks[place] = b;
    *out = b;
    return VK_SUCCESS;
}

/* --- ranges */

/* Cuts bytes from the block's first gap that holds them. */
static int cut(vulkan_block *b, VkDeviceSize bytes, vulkan_range *out) {
    for (int i = 0; i < b->n_gaps; i++) {
        gap *g = &b->gaps[i];
        if (g->bytes < bytes)
            continue;
        *out = (vulkan_range){.block = b,
                              .buffer = b->buffer,
                              .offset = g->offset,
                              .bytes = bytes,
                              .map = b->map ? b->map + g->offset : NULL};
        g->offset += bytes;
        g->bytes -= bytes;
        if (!g->bytes)
            memmove(g, g + 1, (size_t)(--b->n_gaps - i) * sizeof *g);
        b->n_ranges++;
        return 1;
    }
    return 0;
}

octet_status vulkan_take(vulkan_device *d, vulkan_range *out, vulkan_place place, uint64_t bytes,
                         const char *what, octet_error *error) {
    const uint64_t whole = place == VULKAN_ON_DEVICE ? DEVICE_BLOCK : HOST_BLOCK;
    const uint64_t size =
        ((bytes ? bytes : 1) + VULKAN_ALIGNMENT - 1) / VULKAN_ALIGNMENT * VULKAN_ALIGNMENT;
    *out = (vulkan_range){0};
    for (vulkan_block *b = d->blocks[place]; b && bytes <= size; b = b->next)
        if (cut(b, size, out))
            return OCTET_OK;
    vulkan_block *made = NULL;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (size < whole)
        result = create_block(d, &made, place, whole);
    if (!made && bytes <= size)
        result = create_block(d, &made, place, size);
    if (made && cut(made, size, out))
        return OCTET_OK;
    const int memory =
        result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY;
    return error_set(error, memory ? OCTET_NO_MEMORY : OCTET_ERROR,
                     "%s on %.64s: %.96s needs %.0f bytes in one piece; %.0f of %.0f are taken, "
                     "and a piece has at most %.0f",
                     vulkan_result_text(result), d->description.name, what, (double)bytes,
                     (double)d->used, (double)d->description.memory_bytes, (double)d->most_bytes);
}

/* Room for one more gap; there are at most one more than ranges. */
static int reserve(vulkan_block *b) {
    if (b->n_gaps < b->capacity)
        return 1;
    gap *grown = realloc(b->gaps, 2 * (size_t)b->capacity * sizeof *grown);
    if (!grown)
        return 0;
    b->gaps = grown;
    b->capacity *= 2;
    return 1;
}

/* Puts the range back between its neighbours, and joins what touches. */
static void join(vulkan_block *b, const vulkan_range *r) {
    int at = 0;
    while (at < b->n_gaps && b->gaps[at].offset < r->offset)
        at++;
    gap *before = at > 0 ? &b->gaps[at - 1] : NULL, *after = at < b->n_gaps ? &b->gaps[at] : NULL;
    const int joins_before = before && before->offset + before->bytes == r->offset;
    const int joins_after = after && r->offset + r->bytes == after->offset;
    if (joins_before)
        before->bytes += r->bytes;
    if (joins_after) {
        after->offset = r->offset;
        after->bytes += r->bytes;
    }
    if (joins_before && joins_after) {
        before->bytes += after->bytes - r->bytes;
        memmove(after, after + 1, (size_t)(--b->n_gaps - at) * sizeof *after);
    }
    if (joins_before || joins_after || !reserve(b)) /* without room it comes back with the block */
        return;
    memmove(b->gaps + at + 1, b->gaps + at, (size_t)(b->n_gaps++ - at) * sizeof *b->gaps);
    b->gaps[at] = (gap){r->offset, r->bytes};
}

void vulkan_give(vulkan_device *d, vulkan_range *range) {
    vulkan_block *b = range->block;
    if (!b)
        return;
    if (--b->n_ranges) {
        join(b, range);
    } else {
        vulkan_block **link = &d->blocks[b->place];
        while (*link != b)
            link = &(*link)->next;
        *link = b->next;
        destroy_block(d, b);
    }
    *range = (vulkan_range){0};
}

/* --- copies */

octet_status vulkan_staging_open(vulkan_device *d, octet_error *error) {
    vulkan_staging *s = &d->staging;
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = d->commands,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = VULKAN_STAGES};
    octet_status status = vulkan_check(
        d, d->api.AllocateCommandBuffers(d->device, &info, s->command), "command buffers", error);
    for (int i = 0; i < VULKAN_STAGES && !status; i++)
        status = vulkan_take(d, &s->range[i], VULKAN_ON_HOST, STAGE_BYTES, "staging", error);
    return status;
}

/* What a command does: copies between a stage and a range, or clears the range. */
typedef enum copy_kind { COPY_IN, COPY_OUT, CLEAR } copy_kind;

static void record(vulkan_device *d, VkCommandBuffer command, copy_kind kind,
                   const vulkan_range *stage, const vulkan_range *range, VkBufferCopy region) {
    const VkMemoryBarrier before = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    const VkMemoryBarrier after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                   .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                   .dstAccessMask =
                                       VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                                       VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                                       VK_ACCESS_HOST_READ_BIT};
    const VkPipelineStageFlags compute =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    d->api.CmdPipelineBarrier(command, compute, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0,
                              NULL, 0, NULL);
    if (kind == COPY_IN)
        d->api.CmdCopyBuffer(command, stage->buffer, range->buffer, 1, &region);
    else if (kind == COPY_OUT)
        d->api.CmdCopyBuffer(command, range->buffer, stage->buffer, 1, &region);
    else
        d->api.CmdFillBuffer(command, range->buffer, range->offset, range->bytes, 0);
    d->api.CmdPipelineBarrier(command, VK_PIPELINE_STAGE_TRANSFER_BIT,
                              compute | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &after, 0, NULL, 0, NULL);
}

/* The next stage, once what it was last used for is done. */
static octet_status next_stage(vulkan_device *d, int *out, octet_error *error) {
    *out = d->staging.next;
    d->staging.next = (*out + 1) % VULKAN_STAGES;
    return vulkan_wait(d, d->staging.time[*out], error);
}

/* Records and submits one command of a stage. */
static octet_status copy(vulkan_device *d, int stage, copy_kind kind, const vulkan_range *range,
                         VkBufferCopy region, octet_error *error) {
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    const VkCommandBuffer command = d->staging.command[stage];
    octet_status status =
        vulkan_check(d, d->api.BeginCommandBuffer(command, &begin), "recording", error);
    if (status)
        return status;
    record(d, command, kind, &d->staging.range[stage], range, region);
    status = vulkan_check(d, d->api.EndCommandBuffer(command), "recording", error);
    if (!status)
        status = vulkan_submit(d, &command, 1, error);
    d->staging.time[stage] = d->time;
    return status;
}

octet_status vulkan_write(vulkan_device *d, const vulkan_range *to, uint64_t offset,
                          const void *data, uint64_t bytes, octet_error *error) {
    octet_status status = OCTET_OK;
    int stage;
    for (uint64_t at = 0, n; at < bytes && !status; at += n) {
        n = bytes - at < STAGE_BYTES ? bytes - at : STAGE_BYTES;
        status = next_stage(d, &stage, error);
        if (status)
            break;
        const vulkan_range *from = &d->staging.range[stage];
        memcpy(from->map, (const unsigned char *)data + at, n);
        status = copy(d, stage, COPY_IN, to,
                      (VkBufferCopy){from->offset, to->offset + offset + at, n}, error);
    }
    return status;
}

octet_status vulkan_read(vulkan_device *d, const vulkan_range *from, uint64_t offset, void *data,
                         uint64_t bytes, octet_error *error) {
    octet_status status = OCTET_OK;
    int stage;
    for (uint64_t at = 0, n; at < bytes && !status; at += n) {
        n = bytes - at < STAGE_BYTES ? bytes - at : STAGE_BYTES;
        status = next_stage(d, &stage, error);
        if (status)
            break;
        const vulkan_range *to = &d->staging.range[stage];
        status = copy(d, stage, COPY_OUT, from,
                      (VkBufferCopy){from->offset + offset + at, to->offset, n}, error);
        if (!status)
            status = vulkan_wait(d, d->time, error);
        if (!status)
            memcpy((unsigned char *)data + at, to->map, n);
    }
    return status;
}

octet_status vulkan_clear(vulkan_device *d, const vulkan_range *range, octet_error *error) {
    int stage;
    octet_status status = next_stage(d, &stage, error);
    return status ? status : copy(d, stage, CLEAR, range, (VkBufferCopy){0}, error);
}
