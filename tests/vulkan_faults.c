/* vulkan_faults.c: see vulkan_faults.h. */
#include "vulkan_faults.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_api.h"

static struct {
    unsigned kinds;
    int64_t nth, counted;
    int lost, no_memory;
    uint64_t heap_bytes, piece_bytes;
    faults_held held;
    VkDevice device; /* the last one opened */
} faults = {.nth = -1};

void faults_arm(unsigned kinds, int64_t nth) {
    faults.kinds = kinds;
    faults.nth = nth;
    faults.counted = 0;
    faults.lost = faults.no_memory = 0;
}

int64_t faults_counted(void) {
    return faults.counted;
}

faults_held faults_balance(void) {
    return faults.held;
}

void faults_limit(uint64_t heap_bytes, uint64_t piece_bytes) {
    faults.heap_bytes = heap_bytes;
    faults.piece_bytes = piece_bytes;
}

/* Whether this call is the one. */
static int strikes(unsigned kind) {
    if (!(faults.kinds & kind))
        return 0;
    faults.no_memory |= kind == FAULT_MEMORY && faults.counted == faults.nth;
    return faults.counted++ == faults.nth || (kind == FAULT_MEMORY && faults.no_memory);
}

/* --- allocations */

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

static void *held(void *memory) {
    faults.held.allocations += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t bytes) {
    return strikes(FAULT_HOST) ? NULL : held(__real_malloc(bytes));
}

void *__wrap_calloc(size_t n, size_t bytes) {
    return strikes(FAULT_HOST) ? NULL : held(__real_calloc(n, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return strikes(FAULT_HOST) ? NULL : held(__real_aligned_alloc(alignment, bytes));
}

void *__wrap_realloc(void *memory, size_t bytes) {
    if (strikes(FAULT_HOST))
        return NULL;
    void *moved = __real_realloc(memory, bytes);
    return memory ? moved : held(moved);
}

void __wrap_free(void *memory) {
    faults.held.allocations -= memory != NULL;
    __real_free(memory);
}

/* --- functions of Vulkan: pairs that make and destroy, then the others */

#define ALLOCATOR const VkAllocationCallbacks *allocator

#define MAKES(name, owner, info_type, out_type, kind, code)                                        \
    static PFN_vk##name real_##name;                                                               \
    static VKAPI_ATTR VkResult VKAPI_CALL shim_##name(owner from, const info_type *info,           \
                                                      ALLOCATOR, out_type *out) {                  \
        const VkResult result = strikes(kind) ? code : real_##name(from, info, allocator, out);    \
        faults.held.objects += result == VK_SUCCESS;                                               \
        return result;                                                                             \
    }

#define DESTROYS(name, object)                                                                     \
    static PFN_vk##name real_##name;                                                               \
    static VKAPI_ATTR void VKAPI_CALL shim_##name(VkDevice device, object gone, ALLOCATOR) {       \
        faults.held.objects -= gone != VK_NULL_HANDLE;                                             \
        real_##name(device, gone, allocator);                                                      \
    }

#define NO_HOST VK_ERROR_OUT_OF_HOST_MEMORY
#define NO_DEVICE VK_ERROR_OUT_OF_DEVICE_MEMORY

MAKES(CreateDevice, VkPhysicalDevice, VkDeviceCreateInfo, VkDevice, FAULT_OBJECT,
      VK_ERROR_INITIALIZATION_FAILED)
MAKES(AllocateMemory, VkDevice, VkMemoryAllocateInfo, VkDeviceMemory, FAULT_MEMORY, NO_DEVICE)
MAKES(CreateBuffer, VkDevice, VkBufferCreateInfo, VkBuffer, FAULT_OBJECT, NO_HOST)
MAKES(CreateSemaphore, VkDevice, VkSemaphoreCreateInfo, VkSemaphore, FAULT_OBJECT, NO_HOST)
MAKES(CreateCommandPool, VkDevice, VkCommandPoolCreateInfo, VkCommandPool, FAULT_OBJECT, NO_HOST)
MAKES(CreateShaderModule, VkDevice, VkShaderModuleCreateInfo, VkShaderModule, FAULT_PIPELINE,
      NO_HOST)
MAKES(CreateDescriptorSetLayout, VkDevice, VkDescriptorSetLayoutCreateInfo, VkDescriptorSetLayout,
      FAULT_OBJECT, NO_HOST)
MAKES(CreatePipelineLayout, VkDevice, VkPipelineLayoutCreateInfo, VkPipelineLayout, FAULT_OBJECT,
      NO_HOST)
MAKES(CreateDescriptorPool, VkDevice, VkDescriptorPoolCreateInfo, VkDescriptorPool, FAULT_OBJECT,
      NO_DEVICE)
DESTROYS(FreeMemory, VkDeviceMemory)
DESTROYS(DestroyBuffer, VkBuffer)
DESTROYS(DestroySemaphore, VkSemaphore)
DESTROYS(DestroyCommandPool, VkCommandPool)
DESTROYS(DestroyShaderModule, VkShaderModule)
DESTROYS(DestroyDescriptorSetLayout, VkDescriptorSetLayout)
DESTROYS(DestroyPipelineLayout, VkPipelineLayout)
DESTROYS(DestroyPipeline, VkPipeline)
DESTROYS(DestroyDescriptorPool, VkDescriptorPool)

static PFN_vkCreateInstance real_CreateInstance;
static VKAPI_ATTR VkResult VKAPI_CALL shim_CreateInstance(const VkInstanceCreateInfo *info,
                                                          ALLOCATOR, VkInstance *out) {
    const VkResult result = strikes(FAULT_OBJECT) ? VK_ERROR_INCOMPATIBLE_DRIVER
                                                  : real_CreateInstance(info, allocator, out);
    faults.held.objects += result == VK_SUCCESS;
    return result;
}

static PFN_vkDestroyInstance real_DestroyInstance;
static VKAPI_ATTR void VKAPI_CALL shim_DestroyInstance(VkInstance instance, ALLOCATOR) {
    faults.held.objects--;
    real_DestroyInstance(instance, allocator);
}

static PFN_vkDestroyDevice real_DestroyDevice;
static VKAPI_ATTR void VKAPI_CALL shim_DestroyDevice(VkDevice device, ALLOCATOR) {
    faults.held.objects--;
    real_DestroyDevice(device, allocator);
}

static PFN_vkCreateComputePipelines real_CreateComputePipelines;
static VKAPI_ATTR VkResult VKAPI_CALL
shim_CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t n,
                            const VkComputePipelineCreateInfo *info, ALLOCATOR, VkPipeline *out) {
    const VkResult result =
        strikes(FAULT_PIPELINE)
            ? VK_ERROR_INITIALIZATION_FAILED
            : real_CreateComputePipelines(device, cache, n, info, allocator, out);
    faults.held.objects += result == VK_SUCCESS ? n : 0;
    return result;
}

static PFN_vkAllocateCommandBuffers real_AllocateCommandBuffers;
static VKAPI_ATTR VkResult VKAPI_CALL shim_AllocateCommandBuffers(
    VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out) {
    return strikes(FAULT_OBJECT) ? NO_HOST : real_AllocateCommandBuffers(device, info, out);
}

static PFN_vkAllocateDescriptorSets real_AllocateDescriptorSets;
static VKAPI_ATTR VkResult VKAPI_CALL shim_AllocateDescriptorSets(
    VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out) {
    return strikes(FAULT_OBJECT) ? NO_DEVICE : real_AllocateDescriptorSets(device, info, out);
}

static PFN_vkBeginCommandBuffer real_BeginCommandBuffer;
static VKAPI_ATTR VkResult VKAPI_CALL shim_BeginCommandBuffer(VkCommandBuffer command,
                                                              const VkCommandBufferBeginInfo *i) {
    return strikes(FAULT_OBJECT) ? NO_HOST : real_BeginCommandBuffer(command, i);
}

/* A command that failed to end is no longer being recorded. */
static PFN_vkEndCommandBuffer real_EndCommandBuffer;
static VKAPI_ATTR VkResult VKAPI_CALL shim_EndCommandBuffer(VkCommandBuffer command) {
    const VkResult result = real_EndCommandBuffer(command);
    return strikes(FAULT_OBJECT) ? NO_DEVICE : result;
}

static PFN_vkBindBufferMemory real_BindBufferMemory;
static VKAPI_ATTR VkResult VKAPI_CALL shim_BindBufferMemory(VkDevice device, VkBuffer buffer,
                                                            VkDeviceMemory m, VkDeviceSize at) {
    return strikes(FAULT_OBJECT) ? NO_DEVICE : real_BindBufferMemory(device, buffer, m, at);
}

static PFN_vkMapMemory real_MapMemory;
static VKAPI_ATTR VkResult VKAPI_CALL shim_MapMemory(VkDevice device, VkDeviceMemory m,
                                                     VkDeviceSize at, VkDeviceSize size,
                                                     VkMemoryMapFlags flags, void **out) {
    return strikes(FAULT_OBJECT) ? VK_ERROR_MEMORY_MAP_FAILED
                                 : real_MapMemory(device, m, at, size, flags, out);
}

static PFN_vkDeviceWaitIdle real_DeviceWaitIdle;

/* The work of a device that is lost is over: what it used may go. */
static int is_lost(void) {
    if (strikes(FAULT_LOST)) {
        (void)real_DeviceWaitIdle(faults.device);
        faults.lost = 1;
    }
    return faults.lost;
}

static VKAPI_ATTR VkResult VKAPI_CALL shim_DeviceWaitIdle(VkDevice device) {
    return is_lost() ? VK_ERROR_DEVICE_LOST : real_DeviceWaitIdle(device);
}

static PFN_vkQueueSubmit real_QueueSubmit;
static VKAPI_ATTR VkResult VKAPI_CALL shim_QueueSubmit(VkQueue queue, uint32_t n,
                                                       const VkSubmitInfo *info, VkFence fence) {
    if (is_lost())
        return VK_ERROR_DEVICE_LOST;
    return strikes(FAULT_SUBMIT) ? NO_HOST : real_QueueSubmit(queue, n, info, fence);
}

static PFN_vkWaitSemaphores real_WaitSemaphores;
static VKAPI_ATTR VkResult VKAPI_CALL shim_WaitSemaphores(VkDevice device,
                                                          const VkSemaphoreWaitInfo *info,
                                                          uint64_t timeout) {
    if (is_lost())
        return VK_ERROR_DEVICE_LOST;
    return strikes(FAULT_WAIT) ? NO_HOST : real_WaitSemaphores(device, info, timeout);
}

static PFN_vkGetPhysicalDeviceMemoryProperties real_GetPhysicalDeviceMemoryProperties;
static VKAPI_ATTR void VKAPI_CALL shim_GetPhysicalDeviceMemoryProperties(
    VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties *out) {
    real_GetPhysicalDeviceMemoryProperties(device, out);
    for (uint32_t i = 0; i < out->memoryHeapCount && faults.heap_bytes; i++)
        if (out->memoryHeaps[i].size > faults.heap_bytes)
            out->memoryHeaps[i].size = faults.heap_bytes;
}

static PFN_vkGetPhysicalDeviceProperties2 real_GetPhysicalDeviceProperties2;
static VKAPI_ATTR void VKAPI_CALL
shim_GetPhysicalDeviceProperties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *out) {
    real_GetPhysicalDeviceProperties2(device, out);
    for (VkBaseOutStructure *part = out->pNext; part; part = part->pNext) {
        VkPhysicalDeviceMaintenance3Properties *most = (void *)part;
        if (part->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES &&
            faults.piece_bytes)
            most->maxMemoryAllocationSize = faults.piece_bytes;
    }
}

/* --- the loader */

#define SHIMS(X)                                                                                   \
    X(CreateInstance)                                                                              \
    X(DestroyInstance)                                                                             \
    X(GetPhysicalDeviceMemoryProperties)                                                           \
    X(GetPhysicalDeviceProperties2)                                                                \
    X(CreateDevice)                                                                                \
    X(GetDeviceProcAddr)                                                                           \
    X(DestroyDevice)                                                                               \
    X(DeviceWaitIdle)                                                                              \
    X(QueueSubmit)                                                                                 \
    X(CreateSemaphore)                                                                             \
    X(DestroySemaphore)                                                                            \
    X(WaitSemaphores)                                                                              \
    X(CreateCommandPool)                                                                           \
    X(DestroyCommandPool)                                                                          \
    X(AllocateCommandBuffers)                                                                      \
    X(BeginCommandBuffer)                                                                          \
    X(EndCommandBuffer)                                                                            \
    X(AllocateMemory)                                                                              \
    X(FreeMemory)                                                                                  \
    X(MapMemory)                                                                                   \
    X(CreateBuffer)                                                                                \
    X(DestroyBuffer)                                                                               \
    X(BindBufferMemory)                                                                            \
    X(CreateShaderModule)                                                                          \
    X(DestroyShaderModule)                                                                         \
    X(CreateDescriptorSetLayout)                                                                   \
    X(DestroyDescriptorSetLayout)                                                                  \
    X(CreatePipelineLayout)                                                                        \
    X(DestroyPipelineLayout)                                                                       \
    X(CreateComputePipelines)                                                                      \
    X(DestroyPipeline)                                                                             \
    X(CreateDescriptorPool)                                                                        \
    X(DestroyDescriptorPool)                                                                       \
    X(AllocateDescriptorSets)

static PFN_vkGetDeviceProcAddr real_GetDeviceProcAddr;
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL shim_GetDeviceProcAddr(VkDevice device,
                                                                       const char *name);

/* Ours in front of a function that was found, or the function itself. */
static PFN_vkVoidFunction in_front(PFN_vkVoidFunction found, const char *name) {
#define SHIM(function)                                                                             \
    if (found && !strcmp(name, "vk" #function)) {                                                  \
        real_##function = (PFN_vk##function)found;                                                 \
        return (PFN_vkVoidFunction)shim_##function;                                                \
    }
    SHIMS(SHIM)
#undef SHIM
    return found;
}

static PFN_vkVoidFunction VKAPI_CALL shim_GetDeviceProcAddr(VkDevice device, const char *name) {
    faults.device = device;
    return in_front(real_GetDeviceProcAddr(device, name), name);
}

static PFN_vkGetInstanceProcAddr real_GetInstanceProcAddr;
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL shim_GetInstanceProcAddr(VkInstance instance,
                                                                         const char *name) {
    return in_front(real_GetInstanceProcAddr(instance, name), name);
}

void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);

void *__wrap_dlsym(void *library, const char *name) {
    void *found = __real_dlsym(library, name);
    if (!found || strcmp(name, "vkGetInstanceProcAddr"))
        return found;
    /* strings that jansson hands out are freed by the library */
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
    PFN_vkGetInstanceProcAddr ours = shim_GetInstanceProcAddr;
    memcpy(&real_GetInstanceProcAddr, &found, sizeof found);
    memcpy(&found, &ours, sizeof found);
    return found;
}
