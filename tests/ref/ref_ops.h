/* ref_ops.h: the plain mathematical definition of every op, in double precision.
 *
 * One function per row of OP_LIST, `ref_<op>`: naive loops and libm, no blocking, no order of sums
 * to speak of. Tensors of every type are arrays of double here (an i32 is exact in a double). These
 * functions are what the backends' kernels are measured against, so being obviously right is all
 * they are for. */
#ifndef REF_REF_OPS_H
#define REF_REF_OPS_H

#include "graph/graph.h"

/* One node with its memory. in[i] is NULL where an optional input is absent, out[i] where an
 * optional output is; out of an in-place op is the memory of the variable itself. */
typedef struct ref_call {
    const node *node;
    double *in[NODE_MAX_INPUTS];
    double *out[NODE_MAX_OUTPUTS];
} ref_call;

#define ROW(ID, name) void ref_##name(const ref_call *c);
#define NONE(ID, name, reason) void ref_##name(const ref_call *c);
OP_LIST(ROW, NONE)
#undef ROW
#undef NONE

#endif
