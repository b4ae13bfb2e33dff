/* cpu.h: inside the CPU backend.
 *
 * Each op has a row, `cpu_<op>`: how many tasks a phase splits into, and the function that runs one
 * task. Tasks own disjoint outputs, so results do not hang on their number. The inner loops come
 * from a table of kernels; the plain C kernel is the specification, and the AVX2 and AVX-512
 * versions, chosen at run time, must equal it to the bit. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "base/pool.h"
#include "cpu/attention_kernels.h"
#include "cpu/int8_kernels.h"
#include "cpu/matmul_kernels.h"
#include "cpu/row_kernels.h"
#include "graph/backend.h"

typedef enum cpu_isa { CPU_SCALAR, CPU_AVX2, CPU_AVX512, CPU_AMX, CPU_ISAS } cpu_isa;

/* One table per instruction set. */
typedef struct cpu_kernels {
    const char *name; /* "scalar", "avx2", "avx512", "amx" */
    matmul_kernels matmul;
    attention_kernels attention;
    int8_kernels int8;
    row_kernels rows;
} cpu_kernels;

/* The table of an instruction set; of a lower one where a kernel has no version of its own. */
const cpu_kernels *cpu_kernels_get(cpu_isa isa);

/* The best instruction set of this processor. */
cpu_isa cpu_detect(void);

/* One node with its pointers resolved, made when a graph is compiled. */
typedef struct cpu_call {
    const node *node;
    const cpu_kernels *kernels;
    void *in[NODE_MAX_INPUTS];   /* NULL where an optional input is absent */
    void *out[NODE_MAX_OUTPUTS]; /* of an in-place op: the variable's memory */
    void *workspace;     /* of the size the row asked for, 64-byte aligned; no content is kept */
    const float *packed; /* matmul: the packed form of b when it is a parameter, else NULL */
    const void *packed_int8[NODE_MAX_OUTPUTS]; /* linear_int8: likewise of each w */
    const struct matmul_blas *blas;            /* set when matrix products go to OpenBLAS */
    int n_lanes;                               /* threads of the pool: lane < n_lanes */
    double *cost; /* where cpu_tasks adds up the cost of a phase, or NULL */
} cpu_call;

/* The row of an op. Phases run one after the other, the tasks of a phase in any order and in
 * parallel. */
typedef struct cpu_op {
    int n_phases; /* 1 or more */
    /* Number of tasks of the phase, at least 1: see cpu_tasks. 0 skips the phase. */
    int (*tasks)(const cpu_call *c, int phase);
    void (*run)(const cpu_call *c, int phase, int task, int n_tasks, int lane);
    /* Bytes of workspace, NULL for none. */
    size_t (*workspace)(const node *n, int n_lanes);
} cpu_op;

/* cpu_matmul, cpu_add, ... */
#define ROW(ID, name) extern const cpu_op cpu_##name;
#define NONE(ID, name, reason) extern const cpu_op cpu_##name;
OP_LIST(ROW, NONE)
#undef ROW
#undef NONE

/* How many tasks to split `units` independent pieces into, each of `unit_cost` elementary
 * operations (about what one vector lane does in one cycle: 16 of them take 1 cycle on AVX-512): 1
 * while the whole is too small to pay for waking a thread, else a few per lane for balance, never
 * more than units. */
int cpu_tasks(const cpu_call *c, int64_t units, double unit_cost);

/* The half-open range of units that `task` of `n_tasks` owns: contiguous, in order, sizes differing
 * by at most one `grain` (ranges start at multiples of grain). */
void cpu_range(int64_t units, int64_t grain, int task, int n_tasks, int64_t *begin, int64_t *end);

/* A variable's memory on this backend: f32 data whatever the storage type (bf16 is widened when
 * written and is exact when read back), and for parameters the packed form that matmul uses. */
typedef struct cpu_memory {
    void *data;
    float *packed; /* of its transpose; NULL until a graph is compiled that needs it */
    uint64_t packed_version;
    void *packed_int8; /* likewise, as integers */
    uint64_t packed_int8_version;
} cpu_memory;

#endif
