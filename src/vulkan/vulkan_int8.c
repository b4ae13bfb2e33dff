/* vulkan_int8.c: the rows of ops that round rows to integers, with the CPU's bits.
 *
 * Rows are rounded into the workspace first, parameters once beside themselves: as words of four
 * integers and a scale where they are multiplied, as D + 1 floats, the form of the states, where
 * attention reads them. */
#include "vulkan/vulkan_row.h"

static uint64_t rows_of(const tensor *t) {
    return (uint64_t)tensor_rows(t);
}

static uint64_t columns_of(const tensor *t) {
    return (uint64_t)tensor_columns(t);
}

static void bind_absent(vulkan_work *w, int n) {
    for (int i = 0; i < n; i++)
        row_input(w, NODE_MAX_INPUTS);
}

/* Rounds input k into rows of words or of floats; the caller binds where they go. */
static vulkan_work *round_rows(vulkan_job *job, const node *n, int k, int packed) {
    const tensor *x = n->input[k];
    vulkan_work *w = row_groups(job, SHADER_round_int8, rows_of(x), 0);
    w->constant[0] = packed != 0;
    row_input(w, k);
    row_push(w, tensor_rows(x));
    row_push(w, tensor_columns(x));
    return w;
}

static uint64_t rounded_bytes(const tensor *x, int packed) {
    const uint64_t words = packed ? row_blocks(columns_of(x), 4) : columns_of(x);
    return row_part(rows_of(x) * (words + 1));
}

/* Input k as rows at an offset of the workspace; returns where they end. */
static uint64_t round_input(vulkan_job *job, const node *n, int k, int packed, uint64_t offset) {
    vulkan_work *w = round_rows(job, n, k, packed);
    row_workspace(w, offset);
    bind_absent(w, 3); /* of a ring */
    return offset + rounded_bytes(n->input[k], packed);
}

/* Parameters are rounded once, and kept. */
static int is_kept(const tensor *w) {
    return w->kind == TENSOR_VARIABLE && w->variable->kind == VARIABLE_PARAMETER;
}

static void round_parameter(vulkan_job *job, const node *n, int k) {
    vulkan_work *w = round_rows(job, n, k, 1);
    w->makes_form = 1;
    row_form(w, k);
    bind_absent(w, 3);
    job->form[k] = rounded_bytes(n->input[k], 1);
}

/* inputs x, then up to three w; an output for each */
void vulkan_row_linear_int8(vulkan_job *job, const node *n) {
    const tensor *x = n->input[0];
    uint64_t at[NODE_MAX_OUTPUTS + 2] = {0};
    for (int k = 0; k < n->n_inputs; k++) {
        const int kept = k > 0 && is_kept(n->input[k]);
        at[k + 1] = kept ? at[k] : round_input(job, n, k, 1, at[k]);
        if (kept)
            round_parameter(job, n, k);
    }
    job->workspace = at[n->n_inputs];
    for (int k = 1; k < n->n_inputs; k++) {
        const uint64_t M = rows_of(x), N = rows_of(n->input[k]);
        const uint32_t *tile = row_tile(M, N);
        vulkan_work *w = row_work(job, SHADER_matmul_int8, row_blocks(N, tile[2]),
                                  row_blocks(M, tile[1]), k == 1);
        for (int i = 0; i < 6; i++)
            w->constant[i] = tile[i];
        row_workspace(w, 0);
        if (is_kept(n->input[k]))
            row_form(w, k);
        else
            row_workspace(w, at[k]);
        row_output(w, k - 1);
        row_push(w, (int64_t)M);
        row_push(w, (int64_t)N);
        row_push(w, (int64_t)row_blocks(columns_of(x), 4));
        job->cost += 2.0 * (double)M * (double)N * (double)columns_of(x);
    }
}

/* A workgroup for each row of each lane and key head, after what was rounded. */
static vulkan_work *attend(vulkan_job *job, const node *n) {
    const tensor *q = n->input[0], *k = n->input[1];
    const uint64_t rows = (uint64_t)(q->dim[1] * (q->dim[2] / k->dim[2]));
    vulkan_work *w =
        row_work(job, SHADER_attention_int8, rows, (uint64_t)(q->dim[0] * k->dim[2]), 1);
    row_push_attention(job, w, n);
    row_push(w, 0);
    job->cost = 8.0 * (double)tensor_elements(q) * (double)k->dim[1];
    return w;
}

void vulkan_row_attention_int8(vulkan_job *job, const node *n) {
    uint64_t at[4] = {0};
    for (int k = 0; k < 3; k++)
        at[k + 1] = round_input(job, n, k, 0, at[k]);
    job->workspace = at[3];
    vulkan_work *w = attend(job, n);
    for (int k = 0; k < 3; k++)
        row_workspace(w, at[k]);
    row_input(w, 3);
    row_output(w, 0);
    bind_absent(w, 6); /* of a cache */
    for (int i = 0; i < 3; i++)
        row_push(w, 0);
}

/* inputs q, keys, values, slot, pos, count, first, with sinks also their keys and values */
void vulkan_row_attention_cached_int8(vulkan_job *job, const node *n) {
    static const int inputs[] = {NODE_MAX_INPUTS, 3, 4, 5, 7, 8};
    const tensor *keys = n->input[1], *sinks = n->n_inputs > 7 ? n->input[7] : NULL;
    job->workspace = round_input(job, n, 0, 0, 0);
    vulkan_work *w = attend(job, n);
    w->constant[1] = 1;
    row_workspace(w, 0);
    row_input(w, 1);
    row_input(w, 2);
    row_input(w, 6);
    row_output(w, 0);
    for (int i = 0; i < 6; i++)
        row_input(w, inputs[i]);
    row_push(w, keys->dim[0]);
    row_push(w, keys->dim[1]);
    row_push(w, sinks ? sinks->dim[1] : 0);
}

/* inputs state, x, slot, pos, count */
void vulkan_row_store_int8(vulkan_job *job, const node *n) {
    static const int inputs[] = {1, 0, 2, 3, 4};
    const tensor *state = n->input[0], *x = n->input[1];
    vulkan_work *w = row_groups(job, SHADER_round_int8, rows_of(x), 0);
    w->constant[1] = 1;
    w->constant[2] = n->params.store.first != 0;
    for (int i = 0; i < 5; i++)
        row_input(w, inputs[i]);
    row_push(w, tensor_rows(x));
    row_push(w, tensor_columns(x));
    row_push(w, x->dim[1]);
    row_push(w, x->dim[2]);
    row_push(w, state->dim[0]);
    row_push(w, state->dim[1]);
}
