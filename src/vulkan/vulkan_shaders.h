/* vulkan_shaders.h: the shaders in the library, and pipelines made of them.
 *
 * Sources are shaders/NAME.comp; what the compiler makes of them is in the tree, shaders/spirv.inc,
 * so that a build needs no compiler. shaders/compile.sh renews it. Those that need a device with
 * cooperative matrices lie apart: shaders/cooperative, shaders/spirv_cooperative.inc. */
#ifndef VULKAN_VULKAN_SHADERS_H
#define VULKAN_VULKAN_SHADERS_H

#include "vulkan/vulkan_api.h"

#define VULKAN_SHADERS(X)                                                                          \
    X(adamw)                                                                                       \
    X(attention)                                                                                   \
    X(attention_delta)                                                                             \
    X(attention_grad_kv)                                                                           \
    X(attention_grad_q)                                                                            \
    X(attention_int8)                                                                              \
    X(binary)                                                                                      \
    X(cross_entropy)                                                                               \
    X(cross_entropy_grad)                                                                          \
    X(descend)                                                                                     \
    X(dot)                                                                                         \
    X(dot_heads)                                                                                   \
    X(draw_symbol)                                                                                 \
    X(dropout)                                                                                     \
    X(gather)                                                                                      \
    X(gather_sum)                                                                                  \
    X(largest)                                                                                     \
    X(lerp)                                                                                        \
    X(matmul)                                                                                      \
    X(matmul_half)                                                                                 \
    X(matmul_int8)                                                                                 \
    X(momentum)                                                                                    \
    X(norm)                                                                                        \
    X(norm_factor)                                                                                 \
    X(norm_grad)                                                                                   \
    X(norm_grad_gain)                                                                              \
    X(rope)                                                                                        \
    X(round_int8)                                                                                  \
    X(scatter)                                                                                     \
    X(scatter_range)                                                                               \
    X(shift)                                                                                       \
    X(shift_cached)                                                                                \
    X(store)                                                                                       \
    X(sum_rows)                                                                                    \
    X(unary)

typedef enum vulkan_shader {
#define SHADER(name) SHADER_##name,
    VULKAN_SHADERS(SHADER)
#undef SHADER
        SHADER_COUNT
} vulkan_shader;

/* Specialization constants 0 to 7 of a shader; those it does not have are ignored. */
#define VULKAN_CONSTANTS 8

typedef struct vulkan_pipeline {
    vulkan_shader shader;
    uint32_t constant[VULKAN_CONSTANTS];
    VkPipeline pipeline;
} vulkan_pipeline;

/* A shape of cooperative matrices, f16 [m,k] times f16 [k,n] in f32, one in each subgroup. */
typedef struct vulkan_matrices {
    uint32_t m, n, k, subgroup;
} vulkan_matrices;

typedef struct vulkan_device vulkan_device;

/* The layout that all shaders share, and the pipelines. */
octet_status vulkan_pipelines_open(vulkan_device *d, octet_error *error);
void vulkan_pipelines_close(vulkan_device *d);

/* The pipeline of a shader with these constants, made when it is first asked for. */
octet_status vulkan_pipeline_get(vulkan_device *d, VkPipeline *out, vulkan_shader shader,
                                 const uint32_t constant[VULKAN_CONSTANTS], octet_error *error);

#endif
