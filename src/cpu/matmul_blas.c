/* matmul_blas.c: see matmul_blas.h. The library is thread-safe and holds its own threads. */
#include "cpu/matmul_blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

/* Written once under `once`, read-only ever after. */
static matmul_blas library;
static int library_found;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ISO C has no cast from an object pointer to a function pointer; POSIX promises that the bytes
 * agree. */
static int find(void *handle, const char *name, void *function) {
    void *symbol = dlsym(handle, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void open_library(void) {
    void *handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    library_found = handle && find(handle, "cblas_sgemm", &library.sgemm) &&
                    find(handle, "cblas_sgemv", &library.sgemv) &&
                    find(handle, "openblas_set_num_threads", &library.set_threads) &&
                    find(handle, "openblas_get_config", &library.config);
}

octet_status matmul_blas_load(const matmul_blas **out, int n_threads, octet_error *error) {
    pthread_once(&once, open_library);
    if (!library_found)
        return error_set(error, OCTET_ERROR,
                         "OpenBLAS: libopenblas.so.0 cannot be opened (package libopenblas0)");
    library.set_threads(n_threads);
    *out = &library;
    return OCTET_OK;
}

static int blas_tasks(const cpu_call *c, int phase) {
    (void)c;
    (void)phase;
    return 1;
}

static void blas_run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    (void)task;
    (void)n_tasks;
    (void)lane;
    const tensor *a = c->node->input[0], *b = c->node->input[1], *y = c->node->output[0];
    int ta = c->node->params.matmul.transpose_a, tb = c->node->params.matmul.transpose_b;
    int m = (int)tensor_rows(y), n = (int)tensor_columns(y);
    int k = (int)(ta ? tensor_rows(a) : tensor_columns(a));
    c->blas->sgemm(BLAS_ROW_MAJOR, ta ? BLAS_TRANSPOSE : BLAS_NO_TRANSPOSE,
                   tb ? BLAS_TRANSPOSE : BLAS_NO_TRANSPOSE, m, n, k, 1, c->in[0],
                   (int)tensor_columns(a), c->in[1], (int)tensor_columns(b), 0, c->out[0], n);
}

const cpu_op cpu_matmul_blas = {1, blas_tasks, blas_run, NULL};
