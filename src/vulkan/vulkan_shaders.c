/* vulkan_shaders.c: see vulkan_shaders.h. */
#include "vulkan/vulkan_shaders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_device.h"

#include "spirv.inc"
#include "spirv_cooperative.inc"

static const struct {
    const char *name;
    const uint32_t *code;
    size_t bytes;
} shaders[SHADER_COUNT] = {
#define SHADER(name) {#name, spirv_##name, sizeof spirv_##name},
    VULKAN_SHADERS(SHADER)
#undef SHADER
};

octet_status vulkan_pipelines_open(vulkan_device *d, octet_error *error) {
    VkDescriptorSetLayoutBinding bindings[VULKAN_BINDINGS];
    for (uint32_t i = 0; i < VULKAN_BINDINGS; i++)
        bindings[i] =
            (VkDescriptorSetLayoutBinding){.binding = i,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .descriptorCount = 1,
                                           .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = VULKAN_BINDINGS,
        .pBindings = bindings};
    octet_status status =
        vulkan_check(d, d->api.CreateDescriptorSetLayout(d->device, &set, NULL, &d->set_layout),
                     "layout", error);
    const VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, VULKAN_PUSH_BYTES};
    const VkPipelineLayoutCreateInfo layout = {.sType =
                                                   VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .setLayoutCount = 1,
                                               .pSetLayouts = &d->set_layout,
                                               .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &push};
    return status
               ? status
               : vulkan_check(
                     d, d->api.CreatePipelineLayout(d->device, &layout, NULL, &d->pipeline_layout),
                     "layout", error);
}

void vulkan_pipelines_close(vulkan_device *d) {
    for (int i = 0; i < d->n_pipelines; i++)
        d->api.DestroyPipeline(d->device, d->pipelines[i].pipeline, NULL);
    free(d->pipelines);
    d->api.DestroyPipelineLayout(d->device, d->pipeline_layout, NULL);
    d->api.DestroyDescriptorSetLayout(d->device, d->set_layout, NULL);
}

static octet_status create(vulkan_device *d, vulkan_pipeline *p, octet_error *error) {
    char what[64];
    VkSpecializationMapEntry entries[VULKAN_CONSTANTS];
    VkShaderModule module;
    const VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                           .codeSize = shaders[p->shader].bytes,
                                           .pCode = shaders[p->shader].code};
    snprintf(what, sizeof what, "shader %s", shaders[p->shader].name);
    octet_status status =
        vulkan_check(d, d->api.CreateShaderModule(d->device, &code, NULL, &module), what, error);
    if (status)
        return status;
    for (uint32_t i = 0; i < VULKAN_CONSTANTS; i++)
        entries[i] = (VkSpecializationMapEntry){i, 4 * i, 4};
    const VkSpecializationInfo constants = {VULKAN_CONSTANTS, entries, sizeof p->constant,
                                            p->constant};
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = d->pipeline_layout};
    status = vulkan_check(
        d, d->api.CreateComputePipelines(d->device, VK_NULL_HANDLE, 1, &info, NULL, &p->pipeline),
        what, error);
    d->api.DestroyShaderModule(d->device, module, NULL);
    return status;
}

octet_status vulkan_pipeline_get(vulkan_device *d, VkPipeline *out, vulkan_shader shader,
                                 const uint32_t constant[VULKAN_CONSTANTS], octet_error *error) {
    vulkan_pipeline made = {.shader = shader};
    memcpy(made.constant, constant, sizeof made.constant);
    for (int i = 0; i < d->n_pipelines; i++) {
        const vulkan_pipeline *p = &d->pipelines[i];
        *out = p->pipeline;
        if (p->shader == shader && !memcmp(p->constant, constant, sizeof p->constant))
            return OCTET_OK;
    }
    if (d->n_pipelines == d->pipelines_capacity) {
        const int capacity = 2 * d->pipelines_capacity + 32;
        vulkan_pipeline *grown = realloc(d->pipelines, (size_t)capacity * sizeof *grown);
        if (!grown)
            return error_memory(error, "pipelines", (double)capacity * sizeof *grown);
        d->pipelines = grown;
        d->pipelines_capacity = capacity;
    }
    octet_status status = create(d, &made, error);
    if (status)
        return status;
    d->pipelines[d->n_pipelines++] = made;
    *out = made.pipeline;
    return OCTET_OK;
}
