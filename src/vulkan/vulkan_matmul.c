/* vulkan_matmul.c: the row of matrix products, in f32 or, where the backend was asked for it, by
 * cooperative matrices with factors rounded to f16.
 *
 * f16 reaches from 2^-24 to 2^16, less than gradients do, so each factor is multiplied by a power
 * of two that its largest element decides; the product is exact in that. */
#include <string.h>

#include "vulkan/vulkan_row.h"

/* Products at least as large in every direction may round their factors. */
#define HALF_LEAST 64

const uint32_t *row_tile(uint64_t M, uint64_t N) {
    /* of few rows, of small and of large matrices */
    static const uint32_t tiles[][6] = {
        {256, 8, 32, 32, 1, 1}, {256, 64, 64, 16, 4, 4}, {256, 128, 128, 8, 8, 8}};
    return tiles[M <= 16 ? 0 : M >= 1024 && N >= 1024 ? 2 : 1];
}

/* [M,K] times [K,N]. */
typedef struct product {
    uint64_t M, N, K;
    uint32_t transpose_a, transpose_b;
} product;

static product product_of(const node *n) {
    const tensor *a = n->input[0], *b = n->input[1];
    const int ta = n->params.matmul.transpose_a, tb = n->params.matmul.transpose_b;
    return (product){.M = (uint64_t)(ta ? tensor_columns(a) : tensor_rows(a)),
                     .N = (uint64_t)(tb ? tensor_rows(b) : tensor_columns(b)),
                     .K = (uint64_t)(ta ? tensor_rows(a) : tensor_columns(a)),
                     .transpose_a = ta != 0,
                     .transpose_b = tb != 0};
}

static void bind_product(vulkan_work *w, const product *p) {
    row_input(w, 0);
    row_input(w, 1);
    row_output(w, 0);
    row_push(w, (int64_t)p->M);
    row_push(w, (int64_t)p->N);
    row_push(w, (int64_t)p->K);
}

/* Finds the largest element of input k in parts of the workspace; returns their number. */
static uint64_t find_largest(vulkan_job *job, const node *n, int k, uint64_t offset) {
    const uint64_t count = (uint64_t)tensor_elements(n->input[k]);
    const uint64_t block = count > (1 << 22) ? row_blocks(count, 256) : 1 << 14;
    vulkan_work *w = row_work(job, SHADER_largest, row_blocks(count, block), 1, 0);
    row_input(w, k);
    row_workspace(w, offset);
    row_push(w, (int64_t)count);
    row_push(w, (int64_t)block);
    return row_blocks(count, block);
}

static void half_product(vulkan_job *job, const node *n, const product *p) {
    const vulkan_matrices *x = job->half;
    const uint64_t parts_a = find_largest(job, n, 0, 0);
    const uint64_t parts_b = find_largest(job, n, 1, row_part(parts_a));
    vulkan_work *w = row_work(job, SHADER_matmul_half, row_blocks(p->N, 8 * x->n),
                              row_blocks(p->M, 8 * x->m), 1);
    const uint32_t constants[] = {8 * x->subgroup, x->m,          x->n, x->k,
                                  p->transpose_a,  p->transpose_b};
    memcpy(w->constant, constants, sizeof constants);
    bind_product(w, p);
    row_workspace(w, 0);
    row_workspace(w, row_part(parts_a));
    row_push(w, (int64_t)parts_a);
    row_push(w, (int64_t)parts_b);
    job->workspace = row_part(parts_a) + row_part(parts_b);
}

void vulkan_row_matmul(vulkan_job *job, const node *n) {
    const product p = product_of(n);
    job->cost = 2.0 * (double)p.M * (double)p.N * (double)p.K;
    if (job->half && p.M >= HALF_LEAST && p.N >= HALF_LEAST && p.K >= HALF_LEAST) {
        half_product(job, n, &p);
        return;
    }
    const uint32_t *tile = row_tile(p.M, p.N);
    vulkan_work *w =
        row_work(job, SHADER_matmul, row_blocks(p.N, tile[2]), row_blocks(p.M, tile[1]), 0);
    memcpy(w->constant, tile, 6 * sizeof *tile);
    w->constant[6] = p.transpose_a;
    w->constant[7] = p.transpose_b;
    bind_product(w, &p);
}
