/* vulkan_program.c: compiles a graph: every node becomes dispatches, the whole is recorded once.
 *
 * Nodes of a stage of the plan do not touch one another, so that a barrier stands only between
 * phases. Command buffers are cut where they hold much work: each is submitted by itself, and
 * no watchdog sees a long one. */
#include "vulkan/vulkan_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_row.h"

#define MAX_ELEMENTS UINT32_MAX /* shaders count in 32 bits */
#define MAX_GROUPS 65535        /* in the second dimension, on every device */
#define MOST_COST 200e9         /* floating-point operations of one command buffer */
#define MOST_DISPATCHES 2000    /* of one command buffer */

static uint64_t aligned(uint64_t bytes) {
    return (bytes + VULKAN_ALIGNMENT - 1) / VULKAN_ALIGNMENT * VULKAN_ALIGNMENT;
}

void vulkan_program_destroy(program *base) {
    vulkan_program *p = (vulkan_program *)base;
    vulkan_backend *b = (vulkan_backend *)base->backend;
    vulkan_device *d = &b->device;
    pthread_mutex_lock(&b->turn);
    if (p->n_commands)
        d->api.FreeCommandBuffers(d->device, d->commands, (uint32_t)p->n_commands, p->commands);
    if (p->forms)
        d->api.FreeCommandBuffers(d->device, d->commands, 1, &p->forms);
    if (p->pool)
        d->api.DestroyDescriptorPool(d->device, p->pool, NULL);
    vulkan_give(d, &p->memory);
    vulkan_give(d, &p->io);
    pthread_mutex_unlock(&b->turn);
    plan_destroy(&p->plan);
    free(p->place);
    free(p->commands);
    free(p->updated);
    free(p->formed);
    free(p);
}

/* --- what a graph needs */

static octet_status check_tensor(const vulkan_device *d, const node *n, const tensor *t,
                                 octet_error *error) {
    char text[160];
    const tensor *owner = t ? tensor_storage(t) : NULL;
    if (!owner)
        return OCTET_OK;
    if (owner->variable && !owner->variable->memory)
        return error_set(error, OCTET_ERROR, "%s: %s has no memory", op_name(n->op),
                         owner->variable->name);
    const uint64_t bytes = owner->variable ? 4 * (uint64_t)tensor_elements(t) : tensor_bytes(t);
    if ((uint64_t)tensor_elements(t) > MAX_ELEMENTS)
        return error_set(error, OCTET_ERROR, "vulkan: %s: %s has more than 2^32 elements",
                         op_name(n->op), tensor_describe(text, sizeof text, t));
    if (bytes > d->limits.maxStorageBufferRange)
        return error_set(error, OCTET_ERROR,
                         "vulkan: %s: %s has %.0f bytes, %.64s binds at most %.0f", op_name(n->op),
                         tensor_describe(text, sizeof text, t), (double)bytes, d->description.name,
                         (double)d->limits.maxStorageBufferRange);
    return OCTET_OK;
}

/* The job of a node, or a refusal by name. */
static octet_status job_of(const vulkan_device *d, vulkan_job *job, const node *n,
                           octet_error *error) {
    vulkan_row *row = vulkan_row_of(n->op);
    *job = (vulkan_job){.half = d->half ? &d->matrices : NULL};
    if (!row)
        return error_set(error, OCTET_ERROR, "vulkan: there is no shader for the op %s",
                         op_name(n->op));
    octet_status status = OCTET_OK;
    for (int k = 0; k < n->n_inputs && !status; k++)
        status = check_tensor(d, n, n->input[k], error);
    for (int k = 0; k < n->n_outputs && !status; k++)
        status = check_tensor(d, n, n->output[k], error);
    if (status)
        return status;
    row(job, n);
    for (int i = 0; i < job->n && !job->refusal; i++)
        if (job->work[i].groups[0] > MAX_GROUPS || job->work[i].groups[1] > MAX_GROUPS)
            job->refusal = "more than 65535 workgroups in one dimension";
    if (!job->refusal && job->workspace > d->limits.maxStorageBufferRange)
        job->refusal = "more workspace than can be bound";
    for (int k = 0; k < n->n_inputs && !job->refusal; k++)
        if (job->form[k] > d->limits.maxStorageBufferRange)
            job->refusal = "a larger form of a parameter than can be bound";
    if (job->refusal)
        return error_set(error, OCTET_ERROR, "vulkan: %s: the shaders do not do %s", op_name(n->op),
                         job->refusal);
    return OCTET_OK;
}

static void note_updated(vulkan_program *p, const node *n) {
    for (int k = 0; k < n->n_outputs; k++) {
        const tensor *t = n->output[k];
        if (t && tensor_storage(t)->kind == TENSOR_VARIABLE)
            p->updated[p->n_updated++] = tensor_storage(t)->variable;
    }
}

/* Memory for the forms that a node reads, unless another program has it already. */
static octet_status take_forms(vulkan_program *p, vulkan_device *d, const node *n,
                               const vulkan_job *job, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int k = 0; k < n->n_inputs && !status; k++) {
        if (!job->form[k])
            continue;
        variable *v = n->input[k]->variable;
        vulkan_variable *memory = v->memory;
        p->formed[p->n_formed++] = v;
        if (!memory->form.block)
            status = vulkan_take(d, &memory->form, VULKAN_ON_DEVICE, job->form[k], v->name, error);
    }
    return status;
}

/* Dispatches in all, and the largest workspace of a stage. */
static octet_status measure(vulkan_program *p, vulkan_device *d, uint64_t *workspace,
                            octet_error *error) {
    octet_status status = OCTET_OK;
    *workspace = 0;
    for (int s = 0; s < p->plan->n_stages; s++) {
        uint64_t stage = 0;
        for (int i = p->plan->stage_begin[s]; i < p->plan->stage_begin[s + 1] && !status; i++) {
            vulkan_job job;
            status = job_of(d, &job, p->plan->nodes[i], error);
            if (!status)
                status = take_forms(p, d, p->plan->nodes[i], &job, error);
            p->n_dispatches += job.n;
            stage += aligned(job.workspace);
            note_updated(p, p->plan->nodes[i]);
        }
        *workspace = stage > *workspace ? stage : *workspace;
    }
    return status;
}

/* Where inputs and outputs are. */
static uint64_t lay_out(vulkan_program *p, const graph *g) {
    uint64_t at = 0;
    for (int i = 0; i < g->n_tensors; i++)
        if (g->tensors[i]->kind == TENSOR_INPUT) {
            p->place[i] = at;
            at += aligned(tensor_bytes(g->tensors[i]));
        }
    p->inputs_bytes = at;
    for (int i = 0; i < g->n_tensors; i++)
        if (g->tensors[i]->kind == TENSOR_RESULT && g->tensors[i]->is_output) {
            p->place[i] = at;
            at += aligned(tensor_bytes(g->tensors[i]));
        }
    return at;
}

static octet_status take_memory(vulkan_program *p, vulkan_device *d, const graph *g,
                                uint64_t workspace, octet_error *error) {
    const uint64_t io = lay_out(p, g);
    p->inputs_at = aligned(p->plan->bytes);
    p->workspace_at = p->inputs_at + p->inputs_bytes;
    octet_status status =
        vulkan_take(d, &p->memory, VULKAN_ON_DEVICE, p->workspace_at + workspace + VULKAN_ALIGNMENT,
                    "the graph", error);
    if (!status)
        status = vulkan_take(d, &p->io, VULKAN_ON_HOST, io, "inputs and outputs", error);
    for (int i = 0; i < g->n_tensors && !status; i++)
        if (g->tensors[i]->constant)
            memcpy(p->io.map + p->place[i], g->tensors[i]->constant, tensor_bytes(g->tensors[i]));
    return status;
}

static octet_status create_pool(vulkan_program *p, vulkan_device *d, octet_error *error) {
    const uint32_t sets = (uint32_t)(p->n_dispatches ? p->n_dispatches : 1);
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, sets * VULKAN_BINDINGS};
    const VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .maxSets = sets,
                                             .poolSizeCount = 1,
                                             .pPoolSizes = &size};
    return vulkan_check(d, d->api.CreateDescriptorPool(d->device, &info, NULL, &p->pool),
                        "descriptors", error);
}

/* --- recording */

typedef struct recorder {
    vulkan_program *p;
    vulkan_backend *b;
    vulkan_device *d;
    VkCommandBuffer command; /* being recorded */
    double cost;
    int n_dispatches, capacity;
} recorder;

static VkDescriptorBufferInfo info_of(const vulkan_range *range, uint64_t offset, uint64_t bytes) {
    return (VkDescriptorBufferInfo){range->buffer, range->offset + offset, bytes ? bytes : 4};
}

static VkDescriptorBufferInfo tensor_info(const recorder *r, const tensor *t) {
    if (!t)
        return info_of(&r->b->nothing, 0, VULKAN_ALIGNMENT);
    const vulkan_program *p = r->p;
    const tensor *owner = tensor_storage(t);
    const uint64_t bytes = tensor_bytes(owner);
    if (owner->kind == TENSOR_VARIABLE) /* f32 whatever is stored */
        return info_of(&((vulkan_variable *)owner->variable->memory)->range, 0,
                       4 * (uint64_t)tensor_elements(owner));
    if (owner->kind == TENSOR_INPUT)
        return info_of(&p->memory, p->inputs_at + p->place[owner->id], bytes);
    return info_of(&p->memory, p->plan->offset[owner->id], bytes);
}

static octet_status bind_work(recorder *r, const node *n, const vulkan_job *job,
                              const vulkan_work *w, uint64_t workspace, octet_error *error) {
    vulkan_device *d = r->d;
    VkDescriptorBufferInfo info[VULKAN_BINDINGS];
    VkWriteDescriptorSet writes[VULKAN_BINDINGS];
    VkDescriptorSet set;
    const VkDescriptorSetAllocateInfo wanted = {.sType =
                                                    VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                                .descriptorPool = r->p->pool,
                                                .descriptorSetCount = 1,
                                                .pSetLayouts = &d->set_layout};
    octet_status status = vulkan_check(d, d->api.AllocateDescriptorSets(d->device, &wanted, &set),
                                       "descriptors", error);
    if (status)
        return status;
    for (int i = 0; i < w->n_bound; i++) {
        const bound *x = &w->bound[i];
        if (x->kind == BOUND_WORKSPACE)
            info[i] = info_of(&r->p->memory, r->p->workspace_at + workspace + x->offset,
                              aligned(job->workspace) - x->offset);
        else if (x->kind == BOUND_FORM)
            info[i] = info_of(&((vulkan_variable *)n->input[x->index]->variable->memory)->form, 0,
                              job->form[x->index]);
        else if (x->kind == BOUND_INPUT)
            info[i] = tensor_info(r, x->index < n->n_inputs ? n->input[x->index] : NULL);
        else
            info[i] = tensor_info(r, x->index < n->n_outputs ? n->output[x->index] : NULL);
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = set,
                                           .dstBinding = (uint32_t)i,
                                           .descriptorCount = 1,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = &info[i]};
    }
    d->api.UpdateDescriptorSets(d->device, (uint32_t)w->n_bound, writes, 0, NULL);
    d->api.CmdBindDescriptorSets(r->command, VK_PIPELINE_BIND_POINT_COMPUTE, d->pipeline_layout, 0,
                                 1, &set, 0, NULL);
    return OCTET_OK;
}

static octet_status record_work(recorder *r, const node *n, const vulkan_job *job,
                                const vulkan_work *w, uint64_t workspace, octet_error *error) {
    vulkan_device *d = r->d;
    VkPipeline pipeline;
    if (!w->groups[0] || !w->groups[1])
        return OCTET_OK;
    octet_status status = vulkan_pipeline_get(d, &pipeline, w->shader, w->constant, error);
    if (status)
        return status;
    d->api.CmdBindPipeline(r->command, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    status = bind_work(r, n, job, w, workspace, error);
    if (status)
        return status;
    d->api.CmdPushConstants(r->command, d->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                            4 * (uint32_t)w->n_words, w->word);
    d->api.CmdDispatch(r->command, (uint32_t)w->groups[0], (uint32_t)w->groups[1], 1);
    r->n_dispatches++;
    return OCTET_OK;
}

#define ON_DEVICE (VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT)

/* All writes on the device before are done, and what comes after in stage `to` sees them. */
static void barrier(recorder *r, VkPipelineStageFlags to, VkAccessFlags seen) {
    const VkMemoryBarrier all = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                 .srcAccessMask =
                                     VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                                 .dstAccessMask = seen};
    r->d->api.CmdPipelineBarrier(r->command, ON_DEVICE, to, 0, 1, &all, 0, NULL, 0, NULL);
}

static octet_status allocate_command(const vulkan_device *d, VkCommandBuffer *out,
                                     octet_error *error) {
    const VkCommandBufferAllocateInfo info = {.sType =
                                                  VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = d->commands,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = 1};
    return vulkan_check(d, d->api.AllocateCommandBuffers(d->device, &info, out), "command buffers",
                        error);
}

static octet_status start_command(const recorder *r, octet_error *error) {
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    return vulkan_check(r->d, r->d->api.BeginCommandBuffer(r->command, &begin), "recording", error);
}

static octet_status begin_command(recorder *r, octet_error *error) {
    vulkan_program *p = r->p;
    if (p->n_commands == r->capacity) {
        const int capacity = 2 * r->capacity + 4;
        VkCommandBuffer *grown = realloc(p->commands, (size_t)capacity * sizeof *grown);
        if (!grown)
            return error_memory(error, "command buffers", (double)capacity * sizeof *grown);
        p->commands = grown;
        r->capacity = capacity;
    }
    octet_status status = allocate_command(r->d, &r->command, error);
    if (status)
        return status;
    p->commands[p->n_commands++] = r->command;
    r->cost = 0;
    r->n_dispatches = 0;
    return start_command(r, error);
}

static octet_status end_command(const recorder *r, octet_error *error) {
    return vulkan_check(r->d, r->d->api.EndCommandBuffer(r->command), "recording", error);
}

static octet_status cut_if_long(recorder *r, octet_error *error) {
    if (r->cost < MOST_COST && r->n_dispatches < MOST_DISPATCHES)
        return OCTET_OK;
    octet_status status = end_command(r, error);
    return status ? status : begin_command(r, error);
}

/* All nodes of a stage, phase by phase. */
static octet_status record_stage(recorder *r, int begin, int end, octet_error *error) {
    vulkan_job jobs[PLAN_STAGE_NODES];
    int phases = 0;
    octet_status status = OCTET_OK;
    for (int i = begin; i < end && !status; i++) {
        vulkan_job *job = &jobs[i - begin];
        status = job_of(r->d, job, r->p->plan->nodes[i], error);
        phases = job->n_phases > phases ? job->n_phases : phases;
        r->cost += job->cost;
    }
    for (int phase = 0; phase < phases && !status; phase++) {
        uint64_t workspace = 0;
        barrier(r, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
        for (int i = begin; i < end && !status; i++) {
            const vulkan_job *job = &jobs[i - begin];
            for (int k = 0; k < job->n && !status; k++)
                if (job->work[k].phase == phase && !job->work[k].makes_form)
                    status =
                        record_work(r, r->p->plan->nodes[i], job, &job->work[k], workspace, error);
            workspace += aligned(job->workspace);
        }
    }
    return status;
}

static void copy_inputs(recorder *r) {
    const vulkan_program *p = r->p;
    const VkBufferCopy region = {p->io.offset, p->memory.offset + p->inputs_at, p->inputs_bytes};
    barrier(r, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
    if (p->inputs_bytes)
        r->d->api.CmdCopyBuffer(r->command, p->io.buffer, p->memory.buffer, 1, &region);
}

static void copy_outputs(recorder *r, const graph *g) {
    const vulkan_program *p = r->p;
    barrier(r, VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = g->tensors[i];
        if (t->kind != TENSOR_RESULT || !t->is_output || !p->plan->used[i] || !tensor_bytes(t))
            continue;
        const VkBufferCopy region = {p->memory.offset + p->plan->offset[i],
                                     p->io.offset + p->place[i], tensor_bytes(t)};
        r->d->api.CmdCopyBuffer(r->command, p->memory.buffer, p->io.buffer, 1, &region);
    }
    barrier(r, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
}

/* What makes the forms of all nodes, in a command of its own. */
static octet_status record_forms(vulkan_program *p, vulkan_backend *b, octet_error *error) {
    recorder r = {.p = p, .b = b, .d = &b->device};
    octet_status status = allocate_command(r.d, &p->forms, error);
    r.command = p->forms;
    if (!status)
        status = start_command(&r, error);
    if (status)
        return status;
    barrier(&r, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    for (int i = 0; i < p->plan->n_nodes && !status; i++) {
        vulkan_job job;
        const node *n = p->plan->nodes[i];
        status = job_of(r.d, &job, n, error);
        for (int k = 0; k < job.n && !status; k++)
            if (job.work[k].makes_form)
                status = record_work(&r, n, &job, &job.work[k], 0, error);
    }
    return status ? status : end_command(&r, error);
}

static octet_status record(vulkan_program *p, vulkan_backend *b, const graph *g,
                           octet_error *error) {
    recorder r = {.p = p, .b = b, .d = &b->device};
    octet_status status = begin_command(&r, error);
    if (!status)
        copy_inputs(&r);
    for (int s = 0; s < p->plan->n_stages && !status; s++) {
        status = cut_if_long(&r, error);
        if (!status)
            status = record_stage(&r, p->plan->stage_begin[s], p->plan->stage_begin[s + 1], error);
    }
    if (status)
        return status;
    copy_outputs(&r, g);
    return end_command(&r, error);
}

static octet_status prepare(vulkan_program *p, vulkan_backend *b, const graph *g,
                            octet_error *error) {
    uint64_t workspace;
    octet_status status = measure(p, &b->device, &workspace, error);
    if (!status)
        status = take_memory(p, &b->device, g, workspace, error);
    if (!status)
        status = create_pool(p, &b->device, error);
    if (!status && p->n_formed)
        status = record_forms(p, b, error);
    return status ? status : record(p, b, g, error);
}

octet_status vulkan_program_create(vulkan_backend *b, program **out, const graph *g,
                                   octet_error *error) {
    vulkan_program *p = calloc(1, sizeof *p);
    if (!p)
        return error_memory(error, "program", sizeof *p);
    p->base.backend = &b->base;
    octet_status status = plan_create(&p->plan, g, error);
    if (!status) {
        const size_t updated = (size_t)p->plan->n_nodes * NODE_MAX_OUTPUTS + 1;
        p->place = calloc((size_t)g->n_tensors + 1, sizeof *p->place);
        p->updated = calloc(updated, sizeof *p->updated);
        p->formed = calloc((size_t)p->plan->n_nodes * NODE_MAX_INPUTS + 1, sizeof *p->formed);
        if (!p->place || !p->updated || !p->formed)
            status = error_memory(error, "program", (double)updated * sizeof *p->updated);
    }
    if (!status) {
        pthread_mutex_lock(&b->turn);
        status = prepare(p, b, g, error);
        pthread_mutex_unlock(&b->turn);
    }
    if (status)
        vulkan_program_destroy(&p->base);
    else
        *out = &p->base;
    return status;
}
