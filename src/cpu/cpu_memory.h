/* cpu_memory.h: variables in host memory, and the packed forms of parameters that matrix products
 * read. */
#ifndef CPU_CPU_MEMORY_H
#define CPU_CPU_MEMORY_H

#include "cpu/cpu.h"

/* As in backend.h, for variables of this backend. */
octet_status cpu_memory_allocate(variable *v, octet_error *error);
void cpu_memory_release(variable *v);
void cpu_memory_write(variable *v, int64_t first, int64_t n, const void *data);
void cpu_memory_read(const variable *v, int64_t first, int64_t n, void *data);

/* A packed form that must follow its parameter. */
typedef struct packed_form {
    const variable *source; /* b of products with transpose_b */
    int int8;               /* w of linear_int8 */
} packed_form;

/* The form's memory, taken when it is asked for the first time; NULL when memory is out. */
const void *packed_form_memory(const packed_form *form, octet_error *error);

/* Packs anew if the parameter has been written since. */
void packed_form_refresh(const packed_form *form, const matmul_kernels *kernels, pool *threads);

#endif
