/* vulkan_api.c: see vulkan_api.h. */
#define _GNU_SOURCE
#include "vulkan/vulkan_api.h"

#include <dlfcn.h>
#include <string.h>

#define LOADER "libvulkan.so.1"

const char *vulkan_result_text(VkResult result) {
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "initialization failed";
    case VK_ERROR_DEVICE_LOST:
        return "device lost";
    case VK_ERROR_LAYER_NOT_PRESENT:
        return "layer not present";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "no driver";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "too many objects";
    default:
        return "failed";
    }
}

/* Objects and functions do not convert to one another in C; their representations do in POSIX. */
static void store(void *function, PFN_vkVoidFunction found) {
    memcpy(function, &found, sizeof found);
}

static octet_status missing(const char *name, octet_error *error) {
    return error_set(error, OCTET_ERROR, "vulkan: the driver lacks vk%s", name);
}

static octet_status create_instance(vulkan_api *api, octet_error *error) {
    PFN_vkCreateInstance create;
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .pApplicationName = "octet",
                                           .apiVersion = VK_API_VERSION_1_2};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    store(&create, api->GetInstanceProcAddr(NULL, "vkCreateInstance"));
    if (!create)
        return missing("CreateInstance", error);
    const VkResult result = create(&info, NULL, &api->instance);
    if (result)
        return error_set(error, OCTET_ERROR, "vulkan: no instance of version 1.2: %s",
                         vulkan_result_text(result));
#define LOAD(name)                                                                                 \
    store(&api->name, api->GetInstanceProcAddr(api->instance, "vk" #name));                        \
    if (!api->name)                                                                                \
        return missing(#name, error);
    VULKAN_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return OCTET_OK;
}

octet_status vulkan_api_open(vulkan_api *api, octet_error *error) {
    memset(api, 0, sizeof *api);
    api->library = dlopen(LOADER, RTLD_NOW | RTLD_LOCAL);
    if (!api->library)
        return error_set(error, OCTET_ERROR,
                         "vulkan: no loader: %s cannot be opened (Debian: libvulkan1)", LOADER);
    void *entry = dlsym(api->library, "vkGetInstanceProcAddr");
    memcpy(&api->GetInstanceProcAddr, &entry, sizeof entry);
    return entry ? create_instance(api, error) : missing("GetInstanceProcAddr", error);
}

octet_status vulkan_api_device(vulkan_api *api, VkDevice device, octet_error *error) {
#define LOAD(name)                                                                                 \
    store(&api->name, api->GetDeviceProcAddr(device, "vk" #name));                                 \
    if (!api->name)                                                                                \
        return missing(#name, error);
    VULKAN_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    return OCTET_OK;
}

void vulkan_api_close(vulkan_api *api) {
    if (api->instance && api->DestroyInstance)
        api->DestroyInstance(api->instance, NULL);
    if (api->library)
        dlclose(api->library);
    memset(api, 0, sizeof *api);
}
