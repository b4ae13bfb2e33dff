/* vulkan_device.c: lists, chooses and opens devices; submits work and waits for it. */
#include "vulkan/vulkan_device.h"

#include <stdio.h>
#include <string.h>

#define MAX_DEVICES 16

/* --- descriptions */

static int has_extension(const VkExtensionProperties *list, uint32_t n, const char *name) {
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(list[i].extensionName, name))
            return 1;
    return 0;
}

static void describe_extensions(const vulkan_api *api, VkPhysicalDevice physical,
                                vulkan_description *out) {
    VkExtensionProperties list[512];
    uint32_t n = sizeof list / sizeof *list;
    if (api->EnumerateDeviceExtensionProperties(physical, NULL, &n, list) < 0)
        return;
    out->has_int8_dot = has_extension(list, n, "VK_KHR_shader_integer_dot_product");
    out->has_cooperative_matrix = has_extension(list, n, "VK_KHR_cooperative_matrix");
}

/* The queue family that computes, or -1. */
static int compute_family(const vulkan_api *api, VkPhysicalDevice physical) {
    VkQueueFamilyProperties families[32];
    uint32_t n = sizeof families / sizeof *families;
    api->GetPhysicalDeviceQueueFamilyProperties(physical, &n, families);
    for (uint32_t i = 0; i < n; i++)
        if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)
            return (int)i;
    return -1;
}

/* The first thing that octet needs and the device has not. */
static const char *lacking(const vulkan_api *api, VkPhysicalDevice physical, uint32_t version,
                           const VkPhysicalDeviceLimits *limits, VkBool32 timeline) {
    if (version < VK_API_VERSION_1_2)
        return "Vulkan 1.2";
    if (!timeline)
        return "timeline semaphores";
    if (compute_family(api, physical) < 0)
        return "a queue that computes";
    if (limits->minStorageBufferOffsetAlignment > VULKAN_ALIGNMENT)
        return "buffers aligned to 64 bytes";
    if (limits->maxPerStageDescriptorStorageBuffers < VULKAN_BINDINGS)
        return "12 buffers a shader";
    if (limits->maxComputeWorkGroupInvocations < 256 || limits->maxComputeWorkGroupSize[0] < 256)
        return "workgroups of 256";
    if (limits->maxComputeSharedMemorySize < 32768)
        return "32 KiB of shared memory";
    return "";
}

static void describe(const vulkan_api *api, VkPhysicalDevice physical, int index,
                     vulkan_description *out) {
    VkPhysicalDeviceMemoryProperties memory;
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, .pNext = &subgroup};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &driver};
    VkPhysicalDeviceVulkan12Features features12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &features12};
    api->GetPhysicalDeviceProperties2(physical, &properties);
    if (properties.properties.apiVersion >= VK_API_VERSION_1_2)
        api->GetPhysicalDeviceFeatures2(physical, &features);
    api->GetPhysicalDeviceMemoryProperties(physical, &memory);
    *out = (vulkan_description){.index = index};
    snprintf(out->name, sizeof out->name, "%s", properties.properties.deviceName);
    snprintf(out->driver, sizeof out->driver, "%.60s %.60s", driver.driverName, driver.driverInfo);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT &&
            memory.memoryHeaps[i].size > out->memory_bytes)
            out->memory_bytes = memory.memoryHeaps[i].size;
    out->is_software = properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    out->is_integrated = properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
    out->subgroup = subgroup.subgroupSize;
    out->has_float16 = features12.shaderFloat16 == VK_TRUE;
    describe_extensions(api, physical, out);
    snprintf(out->lacks, sizeof out->lacks, "%s",
             lacking(api, physical, properties.properties.apiVersion, &properties.properties.limits,
                     features12.timelineSemaphore));
}

/* All devices, with their descriptions. */
static octet_status enumerate(const vulkan_api *api, VkPhysicalDevice *physical,
                              vulkan_description *out, int *n, octet_error *error) {
    uint32_t found = MAX_DEVICES;
    *n = 0;
    const VkResult result = api->EnumeratePhysicalDevices(api->instance, &found, physical);
    if (result < 0)
        return error_set(error, OCTET_ERROR, "vulkan: devices cannot be listed: %s",
                         vulkan_result_text(result));
    for (uint32_t i = 0; i < found; i++)
        describe(api, physical[i], (int)i, &out[i]);
    *n = (int)found;
    return OCTET_OK;
}

octet_status vulkan_devices(vulkan_description *out, int capacity, int *n, octet_error *error) {
    vulkan_api api;
    VkPhysicalDevice physical[MAX_DEVICES];
    vulkan_description all[MAX_DEVICES];
    *n = 0;
    octet_status status = vulkan_api_open(&api, error);
    if (!status)
        status = enumerate(&api, physical, all, n, error);
    if (*n > capacity)
        *n = capacity;
    memcpy(out, all, (size_t)*n * sizeof *out);
    vulkan_api_close(&api);
    return status;
}

/* --- choice */

/* Whether a is the better of two devices that can be used. */
static int is_better(const vulkan_description *a, const vulkan_description *b) {
    if (a->is_integrated != b->is_integrated)
        return b->is_integrated;
    return a->memory_bytes > b->memory_bytes;
}

static octet_status choose(const vulkan_description *list, int n, int index, int *out,
                           octet_error *error) {
    *out = -1;
    if (index >= n)
        return error_set(error, OCTET_ERROR, "vulkan:%d: there are %d devices (octet devices)",
                         index, n);
    if (index >= 0 && list[index].lacks[0])
        return error_set(error, OCTET_ERROR, "vulkan:%d: %s lacks %s", index, list[index].name,
                         list[index].lacks);
    for (int i = 0; i < n && index < 0; i++)
        if (!list[i].is_software && !list[i].lacks[0] &&
            (*out < 0 || is_better(&list[i], &list[*out])))
            *out = i;
    if (index >= 0)
        *out = index;
    if (*out < 0)
        return error_set(error, OCTET_ERROR,
                         n ? "vulkan: of %d devices none is a GPU that can be used (octet devices "
                             "lists them; vulkan:N names one)"
                           : "vulkan: %d devices",
                         n);
    return OCTET_OK;
}

/* --- opening */

octet_status vulkan_check(const vulkan_device *d, VkResult result, const char *what,
                          octet_error *error) {
    if (!result)
        return OCTET_OK;
    const int memory =
        result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY;
    return error_set(error, memory ? OCTET_NO_MEMORY : OCTET_ERROR, "vulkan: %.64s: %s: %s (%d)",
                     d->description.name, what, vulkan_result_text(result), (int)result);
}

static octet_status open_queue(vulkan_device *d, octet_error *error) {
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueFamilyIndex = d->family,
                                           .queueCount = 1,
                                           .pQueuePriorities = &priority};
    const VkBool32 has_matrices = d->matrices.m ? VK_TRUE : VK_FALSE;
    static const char *const extension = "VK_KHR_cooperative_matrix";
    vulkan_matrix_features matrices = {.type = VULKAN_MATRIX_FEATURES, .cooperative = VK_TRUE};
    VkPhysicalDeviceVulkan12Features features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = has_matrices ? &matrices : NULL,
        .shaderFloat16 = has_matrices,
        .vulkanMemoryModel = has_matrices,
        .vulkanMemoryModelDeviceScope = has_matrices,
        .timelineSemaphore = VK_TRUE};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &features,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue,
                                     .enabledExtensionCount = has_matrices,
                                     .ppEnabledExtensionNames = &extension};
    VkDevice device;
    octet_status status =
        vulkan_check(d, d->api.CreateDevice(d->physical, &info, NULL, &device), "device", error);
    if (status)
        return status;
    status = vulkan_api_device(&d->api, device, error);
    if (status) {
        if (d->api.DestroyDevice)
            d->api.DestroyDevice(device, NULL);
        return status;
    }
    d->device = device;
    d->api.GetDeviceQueue(d->device, d->family, 0, &d->queue);
    return OCTET_OK;
}

static octet_status open_timeline(vulkan_device *d, octet_error *error) {
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = d->family};
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                             .pNext = &type};
    octet_status status = vulkan_check(
        d, d->api.CreateCommandPool(d->device, &pool, NULL, &d->commands), "command pool", error);
    return status
               ? status
               : vulkan_check(d, d->api.CreateSemaphore(d->device, &semaphore, NULL, &d->timeline),
                              "semaphore", error);
}

static void read_limits(vulkan_device *d) {
    VkPhysicalDeviceMaintenance3Properties most = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &most};
    d->api.GetPhysicalDeviceProperties2(d->physical, &properties);
    d->api.GetPhysicalDeviceMemoryProperties(d->physical, &d->memory);
    d->limits = properties.properties.limits;
    d->most_bytes = most.maxMemoryAllocationSize;
    vulkan_matrices_find(&d->api, d->physical, &d->description, &d->limits, &d->matrices);
}

octet_status vulkan_device_open(vulkan_device *d, int index, octet_error *error) {
    VkPhysicalDevice physical[MAX_DEVICES];
    vulkan_description all[MAX_DEVICES];
    int n, chosen;
    memset(d, 0, sizeof *d);
    octet_status status = vulkan_api_open(&d->api, error);
    if (!status)
        status = enumerate(&d->api, physical, all, &n, error);
    if (!status)
        status = choose(all, n, index, &chosen, error);
    if (status)
        return status;
    d->physical = physical[chosen];
    d->description = all[chosen];
    d->family = (uint32_t)compute_family(&d->api, d->physical);
    read_limits(d);
    status = open_queue(d, error);
    if (!status)
        status = open_timeline(d, error);
    if (!status)
        status = vulkan_pipelines_open(d, error);
    return status ? status : vulkan_staging_open(d, error);
}

void vulkan_device_close(vulkan_device *d) {
    if (d->device) {
        (void)d->api.DeviceWaitIdle(d->device);
        vulkan_pipelines_close(d);
        for (int i = 0; i < VULKAN_STAGES; i++)
            vulkan_give(d, &d->staging.range[i]);
        d->api.DestroySemaphore(d->device, d->timeline, NULL);
        d->api.DestroyCommandPool(d->device, d->commands, NULL);
        d->api.DestroyDevice(d->device, NULL);
    }
    vulkan_api_close(&d->api);
}

/* --- submitting */

octet_status vulkan_submit(vulkan_device *d, const VkCommandBuffer *commands, int n,
                           octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < n && !status; i++) {
        const uint64_t reached = d->time + 1;
        const VkTimelineSemaphoreSubmitInfo values = {
            .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
            .signalSemaphoreValueCount = 1,
            .pSignalSemaphoreValues = &reached};
        const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                   .pNext = &values,
                                   .commandBufferCount = 1,
                                   .pCommandBuffers = &commands[i],
                                   .signalSemaphoreCount = 1,
                                   .pSignalSemaphores = &d->timeline};
        status = vulkan_check(d, d->api.QueueSubmit(d->queue, 1, &info, VK_NULL_HANDLE),
                              "submitting work", error);
        if (!status) {
            d->time = reached;
            d->n_submissions++;
        }
    }
    return status;
}

octet_status vulkan_wait(vulkan_device *d, uint64_t time, octet_error *error) {
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &d->timeline,
                                      .pValues = &time};
    return vulkan_check(d, d->api.WaitSemaphores(d->device, &info, UINT64_MAX), "waiting", error);
}
