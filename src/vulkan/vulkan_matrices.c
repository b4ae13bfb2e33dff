/* vulkan_matrices.c: finds out whether a device has cooperative matrices of the kind that products
 * use. What older headers lack is declared here. */
#include <string.h>

#include "vulkan/vulkan_device.h"

#define PROPERTIES_TYPE ((VkStructureType)1000506001)
#define MOST_SHAPES 64

enum { IS_F16 = 0, IS_F32 = 1, OF_SUBGROUP = 3 };

typedef struct matrix_properties {
    VkStructureType type;
    void *next;
    uint32_t m, n, k, a, b, c, result;
    VkBool32 saturates;
    uint32_t scope;
} matrix_properties;

typedef VkResult(VKAPI_PTR *get_properties)(VkPhysicalDevice device, uint32_t *n,
                                            matrix_properties *out);

static int has_features(const vulkan_api *api, VkPhysicalDevice physical) {
    vulkan_matrix_features matrices = {.type = VULKAN_MATRIX_FEATURES};
    VkPhysicalDeviceVulkan12Features features12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &matrices};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &features12};
    api->GetPhysicalDeviceFeatures2(physical, &features);
    return matrices.cooperative && features12.shaderFloat16 && features12.vulkanMemoryModel &&
           features12.vulkanMemoryModelDeviceScope;
}

/* Its tiles fit into what every device has: see shaders/cooperative/matmul_half.comp. */
static int is_usable(const matrix_properties *p, uint32_t subgroup,
                     const VkPhysicalDeviceLimits *limits) {
    const uint32_t shared = 2 * 40 * 8 * (p->m + p->n) + 4 * 8 * p->m * p->n + 8;
    return p->a == IS_F16 && p->b == IS_F16 && p->c == IS_F32 && p->result == IS_F32 &&
           p->scope == OF_SUBGROUP && 32 % p->k == 0 &&
           shared <= limits->maxComputeSharedMemorySize &&
           8 * subgroup <= limits->maxComputeWorkGroupInvocations &&
           8 * subgroup <= limits->maxComputeWorkGroupSize[0];
}

void vulkan_matrices_find(const vulkan_api *api, VkPhysicalDevice physical,
                          const vulkan_description *about, const VkPhysicalDeviceLimits *limits,
                          vulkan_matrices *out) {
    matrix_properties list[MOST_SHAPES];
    uint32_t n = MOST_SHAPES;
    get_properties get = NULL;
    const PFN_vkVoidFunction found = api->GetInstanceProcAddr(
        api->instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    memcpy(&get, &found, sizeof found);
    *out = (vulkan_matrices){0};
    if (!about->has_cooperative_matrix || !get || !has_features(api, physical))
        return;
    memset(list, 0, sizeof list);
    for (int i = 0; i < MOST_SHAPES; i++)
        list[i].type = PROPERTIES_TYPE;
    if (get(physical, &n, list) < 0)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (is_usable(&list[i], about->subgroup, limits) && list[i].m * list[i].n > out->m * out->n)
            *out = (vulkan_matrices){list[i].m, list[i].n, list[i].k, about->subgroup};
}
