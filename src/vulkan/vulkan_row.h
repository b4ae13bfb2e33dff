/* vulkan_row.h: how an op becomes dispatches.
 *
 * The row of an op looks at a node and says which shaders run, over which grids, with which
 * constants, and what they bind: the node's inputs and outputs and a workspace. It sees no device.
 * A new op is one shader and one row. */
#ifndef VULKAN_VULKAN_ROW_H
#define VULKAN_VULKAN_ROW_H

#include "graph/op.h"
#include "vulkan/vulkan_shaders.h"

#define ROW_MAX_WORK 7
#define ROW_MAX_BOUND 12
#define ROW_MAX_WORDS 16

typedef enum bound_kind { BOUND_INPUT, BOUND_OUTPUT, BOUND_WORKSPACE, BOUND_FORM } bound_kind;

/* What stands at one binding. Of the workspace, bytes from `offset` on; an absent input or output
 * is a piece of memory that nobody reads; a form is what the job keeps of input `index`. */
typedef struct bound {
    bound_kind kind;
    int index;
    uint64_t offset;
} bound;

/* One dispatch. */
typedef struct vulkan_work {
    vulkan_shader shader;
    int phase;      /* work of a phase waits for the phases before */
    int makes_form; /* runs before all others, and only when the parameter has changed */
    uint32_t constant[VULKAN_CONSTANTS];
    uint64_t groups[3]; /* none where one is 0 */
    int n_bound, n_words;
    bound bound[ROW_MAX_BOUND];
    uint32_t word[ROW_MAX_WORDS]; /* push constants */
} vulkan_work;

/* All of a node. */
typedef struct vulkan_job {
    int n, n_phases;
    vulkan_work work[ROW_MAX_WORK];
    uint64_t workspace;             /* bytes */
    uint64_t form[NODE_MAX_INPUTS]; /* bytes that are kept beside a parameter; 0: none */
    double cost;                    /* floating-point operations, about */
    const vulkan_matrices *half;    /* given: by which large products are computed, or NULL */
    const char *refusal;            /* what this node asks for that the shaders cannot, or NULL */
} vulkan_job;

typedef void vulkan_row(vulkan_job *job, const node *n);

/* The row of an op; NULL when there is none. */
vulkan_row *vulkan_row_of(op op);

/* Of products (vulkan_matmul.c), of attention (vulkan_attention.c), and of the arithmetic of
 * integers (vulkan_int8.c). */
vulkan_row vulkan_row_matmul;
vulkan_row vulkan_row_attention, vulkan_row_attention_cached, vulkan_row_attention_grad;
vulkan_row vulkan_row_linear_int8, vulkan_row_attention_int8, vulkan_row_attention_cached_int8,
    vulkan_row_store_int8;

/* --- for rows */

/* Adds a dispatch of x by y workgroups, in the phase after the last one's with `later`. */
vulkan_work *row_work(vulkan_job *job, vulkan_shader shader, uint64_t x, uint64_t y, int later);

/* The same with one invocation, or workgroup, for each of n units, in two dimensions. */
vulkan_work *row_elements(vulkan_job *job, vulkan_shader shader, uint64_t n, int later);
vulkan_work *row_groups(vulkan_job *job, vulkan_shader shader, uint64_t n, int later);

static inline uint64_t row_blocks(uint64_t n, uint64_t block) {
    return (n + block - 1) / block;
}

/* Bytes of n words, rounded up so that what comes after may be bound. */
static inline uint64_t row_part(uint64_t n) {
    return (4 * n + 63) / 64 * 64;
}

/* threads, BM, BN, BK, RM, RN of a product [M,N]. */
const uint32_t *row_tile(uint64_t M, uint64_t N);

/* What all kinds of attention push but the last four words, and their constant 0. */
void row_push_attention(vulkan_job *job, vulkan_work *w, const node *n);

/* The next binding; the next word. */
void row_input(vulkan_work *w, int index);
void row_output(vulkan_work *w, int index);
void row_workspace(vulkan_work *w, uint64_t offset);
void row_form(vulkan_work *w, int index);
void row_push(vulkan_work *w, int64_t value);
void row_push_float(vulkan_work *w, float value);

#endif
