/* vulkan_none.c: stands in for the backend where octet is built without the headers of Vulkan. */
#include "base/error.h"
#include "vulkan/vulkan_backend.h"

static octet_status absent(octet_error *error) {
    return error_set(error, OCTET_ERROR,
                     "vulkan: this octet was built without it (Debian: libvulkan-dev)");
}

octet_status vulkan_devices(vulkan_description *out, int capacity, int *n, octet_error *error) {
    (void)out;
    (void)capacity;
    *n = 0;
    return absent(error);
}

octet_status vulkan_backend_create(backend **out, int index, octet_error *error) {
    (void)index;
    *out = NULL;
    return absent(error);
}

octet_status vulkan_backend_use_half(backend *b, octet_error *error) {
    (void)b;
    return absent(error);
}

int vulkan_backend_index(const backend *b) {
    (void)b;
    return -1;
}

const char *vulkan_backend_device(const backend *b) {
    (void)b;
    return "";
}

vulkan_counts vulkan_backend_counts(const backend *b) {
    (void)b;
    return (vulkan_counts){0};
}
