/* vulkan_program.h: a planned graph as recorded command buffers. */
#ifndef VULKAN_VULKAN_PROGRAM_H
#define VULKAN_VULKAN_PROGRAM_H

#include <pthread.h>

#include "graph/plan.h"
#include "vulkan/vulkan_device.h"

typedef struct vulkan_backend {
    backend base;
    vulkan_device device;
    vulkan_range nothing; /* bound where an optional tensor is absent */
    vulkan_counts counts;
    pthread_mutex_t turn; /* the device is used by one thread at a time */
} vulkan_backend;

/* Memory of a variable: f32 in the logical form, and what products of integers keep of it. */
typedef struct vulkan_variable {
    vulkan_range range, form;
    uint64_t form_version; /* the variable's when the form was made */
} vulkan_variable;

/* On the device: results, inputs, workspace. On the host: inputs, then outputs, which the first
 * command copies in and the last one out. */
typedef struct vulkan_program {
    program base;
    plan *plan;
    vulkan_range memory, io;
    uint64_t inputs_at, workspace_at; /* bytes in memory */
    uint64_t inputs_bytes;
    uint64_t *place; /* per tensor id: of inputs and outputs, bytes in io */
    VkDescriptorPool pool;
    VkCommandBuffer *commands;
    int n_commands;
    int64_t n_dispatches;
    variable **updated; /* variables that nodes write */
    int n_updated;
    variable **formed;     /* parameters of which nodes read a form, */
    VkCommandBuffer forms; /* and what makes them all */
    int n_formed;
} vulkan_program;

octet_status vulkan_program_create(vulkan_backend *b, program **out, const graph *g,
                                   octet_error *error);
void vulkan_program_destroy(program *p);

#endif
