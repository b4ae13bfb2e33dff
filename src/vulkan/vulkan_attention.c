/* vulkan_attention.c: the rows of attention, whole and cached, and of its gradient. */
#include "vulkan/vulkan_row.h"

#define OWN 16        /* rows, or keys, of a workgroup: attention.glsl */
#define SLICE 32      /* elements of a head in shared memory at once */
#define MOST_SIZE 512 /* of a head: its sums lie in registers */

void row_push_attention(vulkan_job *job, vulkan_work *w, const node *n) {
    const tensor *q = n->input[0], *k = n->input[1];
    const int64_t key_heads = k->dim[2], size = q->dim[3];
    w->constant[0] = (uint32_t)((size + SLICE - 1) / SLICE);
    row_push(w, q->dim[1]);
    row_push(w, q->dim[2]);
    row_push(w, key_heads);
    row_push(w, size);
    row_push_float(w, n->params.attention.scale);
    row_push(w, n->params.attention.slopes != 0);
    row_push(w, n->params.attention.sinks);
    if (size > MOST_SIZE)
        job->refusal = "heads of more than 512 elements";
}

/* A dispatch over blocks of 16 of n rows (or keys) of every lane and key head. */
static vulkan_work *blocks(vulkan_job *job, const node *n, vulkan_shader shader, int64_t rows,
                           int later) {
    const tensor *q = n->input[0], *k = n->input[1];
    vulkan_work *w = row_work(job, shader, (uint64_t)(rows + OWN - 1) / OWN,
                              (uint64_t)(q->dim[0] * k->dim[2]), later);
    row_push_attention(job, w, n);
    return w;
}

/* Rows of a key head: times, and the heads that share it. */
static int64_t rows_of(const node *n) {
    const tensor *q = n->input[0];
    return q->dim[1] * (q->dim[2] / n->input[1]->dim[2]);
}

/* Multiply-adds of one product of all rows with half of the keys. */
static double cost_of(const node *n, double keys) {
    return (double)tensor_elements(n->input[0]) * keys;
}

void vulkan_row_attention(vulkan_job *job, const node *n) {
    vulkan_work *w = blocks(job, n, SHADER_attention, rows_of(n), 0);
    const int has_lse = n->n_outputs > 1 && n->output[1] != NULL;
    for (int i = 0; i < 4; i++)
        row_input(w, i);
    row_output(w, 0);
    row_output(w, 1);
    for (int i = 6; i <= 10; i++) /* of the cache */
        row_input(w, i - 2);
    row_push(w, has_lse);
    for (int i = 0; i < 3; i++)
        row_push(w, 0);
    job->cost = 2 * cost_of(n, (double)n->input[0]->dim[1]);
}

/* inputs q, keys, values, slot, pos, count, first, with sinks also their keys and values */
void vulkan_row_attention_cached(vulkan_job *job, const node *n) {
    static const int inputs[] = {3, 4, 5, 7, 8};
    const tensor *keys = n->input[1], *sinks = n->n_inputs > 7 ? n->input[7] : NULL;
    vulkan_work *w = blocks(job, n, SHADER_attention, rows_of(n), 0);
    w->constant[1] = 1;
    for (int i = 0; i < 3; i++)
        row_input(w, i);
    row_input(w, 6);
    row_output(w, 0);
    row_output(w, 1);
    for (int i = 0; i < 5; i++)
        row_input(w, inputs[i]);
    row_push(w, 0);
    row_push(w, keys->dim[0]);
    row_push(w, keys->dim[1]);
    row_push(w, sinks ? sinks->dim[1] : 0);
    job->cost = 4 * cost_of(n, (double)keys->dim[1]);
}

/* inputs q, k, v, first, o, lse, do; workspace: delta[B,T,H] */
void vulkan_row_attention_grad(vulkan_job *job, const node *n) {
    static const int inputs[] = {0, 1, 2, 3, 5, 6};
    const tensor *q = n->input[0];
    const int64_t rows = tensor_rows(q);
    vulkan_work *w = row_groups(job, SHADER_attention_delta, (uint64_t)(rows + 63) / 64, 0);
    row_input(w, 4);
    row_input(w, 6);
    row_workspace(w, 0);
    row_push(w, rows);
    row_push(w, tensor_columns(q));
    for (int kv = 0; kv < 2; kv++) {
        w = kv ? blocks(job, n, SHADER_attention_grad_kv, q->dim[1], 0)
               : blocks(job, n, SHADER_attention_grad_q, rows_of(n), 1);
        for (int i = 0; i < 6; i++)
            row_input(w, inputs[i]);
        row_workspace(w, 0);
        row_output(w, kv ? 1 : 0);
        if (kv)
            row_output(w, 2);
        for (int i = 0; i < 4; i++) /* words of attention alone */
            row_push(w, 0);
    }
    job->workspace = (uint64_t)rows * sizeof(float);
    job->cost = 7 * cost_of(n, (double)q->dim[1]);
}
