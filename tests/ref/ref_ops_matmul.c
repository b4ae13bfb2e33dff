/* ref_ops_matmul.c: products and sums over whole matrices, in double. */
#include "ref_ops.h"

/* y[M,N] = op(a) op(b). */
void ref_matmul(const ref_call *c) {
    const tensor *a = c->node->input[0], *b = c->node->input[1];
    const int ta = c->node->params.matmul.transpose_a, tb = c->node->params.matmul.transpose_b;
    const int64_t a_rows = tensor_rows(a), a_columns = tensor_columns(a);
    const int64_t b_columns = tensor_columns(b);
    const int64_t M = ta ? a_columns : a_rows, K = ta ? a_rows : a_columns;
    const int64_t N = tb ? tensor_rows(b) : b_columns;

    for (int64_t m = 0; m < M; m++) {
        for (int64_t n = 0; n < N; n++) {
            double sum = 0;
            for (int64_t k = 0; k < K; k++) {
                const double x = c->in[0][ta ? k * a_columns + m : m * a_columns + k];
                const double w = c->in[1][tb ? n * b_columns + k : k * b_columns + n];
                sum += x * w;
            }
            c->out[0][m * N + n] = sum;
        }
    }
}

void ref_sum_rows(const ref_call *c) {
    const int64_t rows = tensor_rows(c->node->input[0]), C = tensor_columns(c->node->input[0]);
    for (int64_t i = 0; i < C; i++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) {
            sum += c->in[0][r * C + i];
        }
        c->out[0][i] = sum;
    }
}

void ref_dot(const ref_call *c) {
    const int64_t n = tensor_elements(c->node->input[0]);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += c->in[0][i] * c->in[1][i];
    }
    c->out[0][0] = sum;
}

/* y[H] = sum over rows and D of a[..,H,D] b[..,H,D]. */
void ref_dot_heads(const ref_call *c) {
    const tensor *a = c->node->input[0];
    const int64_t D = tensor_columns(a), H = a->dim[a->rank - 2];
    const int64_t rows = tensor_elements(a) / (H * D);
    for (int64_t h = 0; h < H; h++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t d = 0; d < D; d++) {
                sum += c->in[0][(r * H + h) * D + d] * c->in[1][(r * H + h) * D + d];
            }
        }
        c->out[0][h] = sum;
    }
}
