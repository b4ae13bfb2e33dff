/* cpu_backend.c: the executor.
 *
 * Compiling resolves every pointer, task count and workspace once, so that a run is a walk over
 * stages: all tasks of a stage's phase go to the pool as one set, or run inline where they are too
 * small to be worth a second thread. A run allocates nothing. */
#include "cpu/cpu_backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_memory.h"
#include "cpu/matmul_blas.h"
#include "graph/plan.h"

#define ALIGNMENT 64
#define MAX_PHASES 4

typedef struct cpu_backend {
    backend base;
    pool *threads;
    const cpu_kernels *kernels;
    const matmul_blas *blas;   /* NULL unless asked for */
    pthread_mutex_t turn;      /* programs run one at a time */
    struct cpu_backend *whole; /* NULL: this is no part */
} cpu_backend;

/* A phase of a stage: the tasks of all its nodes, or one call of everything. */
typedef struct stage_phase {
    int phase, begin, end; /* nodes of the stage */
    int n_tasks;           /* in all; 1: inline */
} stage_phase;

typedef struct cpu_program {
    program base;
    plan *plan;
    unsigned char *block; /* results, then inputs, then workspace */
    size_t block_bytes, inputs_at, workspace_at;
    size_t *input_offset; /* per tensor id */
    cpu_call *calls;      /* per node of the plan */
    const cpu_op **rows;
    int (*tasks)[MAX_PHASES];
    stage_phase *phases;
    int n_phases;
    packed_form *forms;
    int n_forms;
    variable **updated; /* parameters that nodes write */
    int n_updated;
} cpu_program;

static const cpu_op *const op_rows[OP_COUNT] = {
#define ROW(ID, name) &cpu_##name,
#define NONE(ID, name, reason) &cpu_##name,
    OP_LIST(ROW, NONE)
#undef ROW
#undef NONE
};

/* --- splitting work */

/* Lane operations that are worth a second thread: about 4 microseconds of AVX-512. */
#define WORTH_A_THREAD 160e3

int cpu_tasks(const cpu_call *c, int64_t units, double unit_cost) {
    double cost = (double)units * unit_cost;
    if (c->cost)
        *c->cost += cost;
    if (units <= 0)
        return 0;
    if (c->n_lanes == 1 || cost < WORTH_A_THREAD)
        return 1;
    double wanted = cost / (2 * WORTH_A_THREAD);
    if (wanted < c->n_lanes)
        wanted = c->n_lanes;
    if (wanted > 4.0 * c->n_lanes)
        wanted = 4.0 * c->n_lanes;
    return (double)units < wanted ? (int)units : (int)wanted;
}

void cpu_range(int64_t units, int64_t grain, int task, int n_tasks, int64_t *begin, int64_t *end) {
    int64_t grains = (units + grain - 1) / grain;
    int64_t from = grains * task / n_tasks * grain;
    int64_t to = grains * (task + 1) / n_tasks * grain;
    *begin = from < units ? from : units;
    *end = to < units ? to : units;
}

/* --- packed forms */

/* Whether b of a matrix product is the transpose of a parameter as it stands, not one that is seen
 * in another shape or that an earlier node of the program has changed. What is not transposed is
 * cheap to pack where it is multiplied. */
static int is_packable(const cpu_program *p, const node *n, int input) {
    const int is_linear =
        n->op == OP_MATMUL && !n->params.matmul.transpose_a && n->params.matmul.transpose_b;
    if (!is_linear && n->op != OP_LINEAR_INT8)
        return 0;
    const tensor *b = n->input[input], *owner = tensor_storage(b);
    if (owner->kind != TENSOR_VARIABLE || owner->variable->kind != VARIABLE_PARAMETER ||
        tensor_columns(b) != tensor_columns(owner))
        return 0;
    for (int i = 0; i < p->n_updated; i++)
        if (p->updated[i] == owner->variable)
            return 0;
    return 1;
}

/* The packed form of an input of a matrix product, made on first use; NULL when it has none, and
 * with *status set when memory is out. */
static const void *packed_form_of(cpu_program *p, const node *n, int input, octet_status *status,
                                  octet_error *error) {
    if (!is_packable(p, n, input))
        return NULL;
    packed_form form = {tensor_storage(n->input[input])->variable, n->op == OP_LINEAR_INT8};
    const void *packed = packed_form_memory(&form, error);
    if (!packed)
        *status = OCTET_NO_MEMORY;
    for (int i = 0; i < p->n_forms; i++)
        if (p->forms[i].source == form.source && p->forms[i].int8 == form.int8)
            return packed;
    p->forms[p->n_forms++] = form;
    return packed;
}

/* --- compiling */

static void destroy_program(program *base) {
    cpu_program *p = (cpu_program *)base;
    plan_destroy(&p->plan);
    free(p->block);
    free(p->input_offset);
    free(p->calls);
    free(p->rows);
    free(p->tasks);
    free(p->phases);
    free(p->forms);
    free(p->updated);
    free(p);
}

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t node_workspace(const cpu_backend *cpu, const cpu_op *row, const node *n) {
    return row->workspace ? aligned(row->workspace(n, pool_threads(cpu->threads))) : 0;
}

/* Sizes of the block: results, then inputs, then the largest stage's workspace. */
static void lay_out_block(cpu_program *p, const cpu_backend *cpu, const graph *g) {
    size_t at = p->inputs_at = aligned(p->plan->bytes), workspace = 0;
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = g->tensors[i];
        if (t->kind != TENSOR_INPUT)
            continue;
        p->input_offset[i] = at;
        at += aligned(tensor_bytes(t));
    }
    p->workspace_at = at;
    for (int s = 0; s < p->plan->n_stages; s++) {
        size_t stage = 0;
        for (int i = p->plan->stage_begin[s]; i < p->plan->stage_begin[s + 1]; i++)
            stage += node_workspace(cpu, p->rows[i], p->plan->nodes[i]);
        workspace = stage > workspace ? stage : workspace;
    }
    p->block_bytes = at + workspace + ALIGNMENT;
}

static void *tensor_memory(const cpu_program *p, const tensor *t) {
    if (!t)
        return NULL;
    const tensor *owner = tensor_storage(t);
    if (owner->kind == TENSOR_VARIABLE)
        return ((cpu_memory *)owner->variable->memory)->data;
    if (owner->kind == TENSOR_INPUT)
        return p->block + p->input_offset[owner->id];
    return p->block + p->plan->offset[owner->id];
}

static void fill_constants(const cpu_program *p, const graph *g) {
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = g->tensors[i];
        if (t->constant)
            memcpy(tensor_memory(p, t), t->constant, tensor_bytes(t));
    }
}

static void note_updated(cpu_program *p, const node *n) {
    for (int k = 0; k < n->n_outputs; k++) {
        const tensor *t = n->output[k];
        if (t && tensor_storage(t)->kind == TENSOR_VARIABLE)
            p->updated[p->n_updated++] = tensor_storage(t)->variable;
    }
}

static octet_status check_variables(const node *n, octet_error *error) {
    for (int k = 0; k < n->n_inputs; k++) {
        const tensor *owner = n->input[k] ? tensor_storage(n->input[k]) : NULL;
        if (owner && owner->variable && !owner->variable->memory)
            return error_set(error, OCTET_ERROR, "%s: %s has no memory", op_name(n->op),
                             owner->variable->name);
    }
    return OCTET_OK;
}

/* Packed forms of all weights; the workspace has room for those of what is no parameter. */
static octet_status resolve_int8(cpu_program *p, cpu_call *c, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int k = 1; k < c->node->n_inputs && !status; k++) {
        const variable *v = tensor_storage(c->node->input[k])->variable;
        c->packed_int8[k - 1] = packed_form_of(p, c->node, k, &status, error);
        if (!status && !c->packed_int8[k - 1] && v && v->kind == VARIABLE_PARAMETER)
            status = error_set(error, OCTET_ERROR, "linear_int8: %s is changed by the same graph",
                               v->name);
    }
    return status;
}

/* Resolves one node: pointers, packed form, workspace, tasks of each phase. */
static octet_status resolve_node(cpu_program *p, const cpu_backend *cpu, int i, size_t *workspace,
                                 octet_error *error) {
    const node *n = p->plan->nodes[i];
    const cpu_op *row = p->rows[i];
    cpu_call *c = &p->calls[i];
    octet_status status = check_variables(n, error);
    if (status)
        return status;
    c->node = n;
    c->kernels = cpu->kernels;
    c->blas = cpu->blas;
    c->n_lanes = pool_threads(cpu->threads);
    for (int k = 0; k < n->n_inputs; k++)
        c->in[k] = tensor_memory(p, n->input[k]);
    for (int k = 0; k < n->n_outputs; k++)
        c->out[k] = tensor_memory(p, n->output[k]);
    if (n->op == OP_LINEAR_INT8)
        status = resolve_int8(p, c, error);
    else if (!cpu->blas)
        c->packed = packed_form_of(p, n, 1, &status, error);
    c->workspace = p->block + p->workspace_at + *workspace;
    *workspace += node_workspace(cpu, row, n);
    note_updated(p, n);
    return status;
}

/* Cuts a stage into phases and decides which run on several threads. */
static void schedule_stage(cpu_program *p, int begin, int end) {
    int deepest = 0;
    for (int i = begin; i < end; i++)
        deepest = p->rows[i]->n_phases > deepest ? p->rows[i]->n_phases : deepest;
    for (int phase = 0; phase < deepest; phase++) {
        double cost = 0;
        int total = 0, split = 0;
        for (int i = begin; i < end; i++) {
            cpu_call *c = &p->calls[i];
            c->cost = &cost;
            int n = phase < p->rows[i]->n_phases ? p->rows[i]->tasks(c, phase) : 0;
            c->cost = NULL;
            p->tasks[i][phase] = n;
            total += n;
            split |= n > 1;
        }
        if (total == 0)
            continue;
        int inline_all = p->calls[begin].n_lanes == 1 || (!split && cost < WORTH_A_THREAD);
        p->phases[p->n_phases++] = (stage_phase){phase, begin, end, inline_all ? 1 : total};
    }
}

static octet_status allocate_program(cpu_program *p, const cpu_backend *cpu, const graph *g,
                                     octet_error *error) {
    size_t nodes = (size_t)p->plan->n_nodes + 1;
    p->input_offset = calloc((size_t)g->n_tensors + 1, sizeof *p->input_offset);
    p->calls = calloc(nodes, sizeof *p->calls);
    p->rows = calloc(nodes, sizeof *p->rows);
    p->tasks = calloc(nodes, sizeof *p->tasks);
    p->phases = calloc(nodes * MAX_PHASES, sizeof *p->phases);
    p->forms = calloc(nodes * NODE_MAX_OUTPUTS, sizeof *p->forms);
    p->updated = calloc(nodes * NODE_MAX_OUTPUTS, sizeof *p->updated);
    if (!p->input_offset || !p->calls || !p->rows || !p->tasks || !p->phases || !p->forms ||
        !p->updated)
        return error_memory(error, "program", (double)(nodes * sizeof *p->calls));
    for (int i = 0; i < p->plan->n_nodes; i++) {
        const node *n = p->plan->nodes[i];
        p->rows[i] = n->op == OP_MATMUL && cpu->blas ? &cpu_matmul_blas : op_rows[n->op];
    }
    lay_out_block(p, cpu, g);
    p->block = memory_aligned(p->block_bytes);
    return p->block ? OCTET_OK : error_memory(error, "program", (double)p->block_bytes);
}

static octet_status compile_locked(cpu_backend *cpu, program **out, const graph *g,
                                   octet_error *error) {
    cpu_program *p = calloc(1, sizeof *p);
    if (!p)
        return error_memory(error, "program", sizeof *p);
    p->base.backend = &cpu->base;
    octet_status status = plan_create(&p->plan, g, error);
    if (!status)
        status = allocate_program(p, cpu, g, error);
    for (int s = 0; !status && s < p->plan->n_stages; s++) {
        size_t workspace = 0;
        int begin = p->plan->stage_begin[s], end = p->plan->stage_begin[s + 1];
        for (int i = begin; i < end && !status; i++)
            status = resolve_node(p, cpu, i, &workspace, error);
        if (!status)
            schedule_stage(p, begin, end);
    }
    if (status) {
        destroy_program(&p->base);
        return status;
    }
    fill_constants(p, g);
    for (int i = 0; i < p->n_forms; i++)
        packed_form_refresh(&p->forms[i], &cpu->kernels->matmul, cpu->threads);
    *out = &p->base;
    return OCTET_OK;
}

/* Packed forms belong to the parameters, so compiling takes its turn too, and a part the whole's.
 */
static octet_status compile(backend *b, program **out, const graph *g, octet_error *error) {
    cpu_backend *cpu = (cpu_backend *)b, *owner = cpu->whole ? cpu->whole : cpu;
    pthread_mutex_lock(&owner->turn);
    octet_status status = compile_locked(cpu, out, g, error);
    pthread_mutex_unlock(&owner->turn);
    return status;
}

/* --- running */

typedef struct stage_job {
    const cpu_program *p;
    const stage_phase *phase;
} stage_job;

static void run_node(const cpu_program *p, int i, int phase, int task, int lane) {
    p->rows[i]->run(&p->calls[i], phase, task, p->tasks[i][phase], lane);
}

static void run_task(void *context, int index, int lane) {
    const stage_job *job = context;
    int i = job->phase->begin, phase = job->phase->phase;
    while (index >= job->p->tasks[i][phase])
        index -= job->p->tasks[i++][phase];
    run_node(job->p, i, phase, index, lane);
}

static void run_inline(const cpu_program *p, const stage_phase *s) {
    for (int i = s->begin; i < s->end; i++)
        for (int task = 0; task < p->tasks[i][s->phase]; task++)
            run_node(p, i, s->phase, task, 0);
}

static octet_status run(program *base, octet_error *error) {
    (void)error;
    cpu_program *p = (cpu_program *)base;
    cpu_backend *cpu = (cpu_backend *)base->backend;
    pthread_mutex_lock(&cpu->turn);
    for (int i = 0; i < p->n_forms; i++)
        packed_form_refresh(&p->forms[i], &cpu->kernels->matmul, cpu->threads);
    for (int i = 0; i < p->n_phases; i++) {
        stage_job job = {p, &p->phases[i]};
        if (job.phase->n_tasks == 1)
            run_inline(p, job.phase);
        else
            pool_run(cpu->threads, run_task, &job, job.phase->n_tasks);
    }
    for (int i = 0; i < p->n_updated; i++)
        p->updated[i]->version++;
    pthread_mutex_unlock(&cpu->turn);
    return OCTET_OK;
}

static octet_status upload(program *base, const tensor *input, const void *data,
                           octet_error *error) {
    (void)error;
    memcpy(tensor_memory((cpu_program *)base, input), data, tensor_bytes(input));
    return OCTET_OK;
}

static octet_status download(program *base, const tensor *output, void *data, octet_error *error) {
    (void)error;
    memcpy(data, tensor_memory((cpu_program *)base, output), tensor_bytes(output));
    return OCTET_OK;
}

static size_t bytes_of_program(const program *base) {
    return ((const cpu_program *)base)->block_bytes;
}

/* --- the backend */

static octet_status allocate(backend *b, variable *v, octet_error *error) {
    (void)b;
    return cpu_memory_allocate(v, error);
}

static void release(backend *b, variable *v) {
    (void)b;
    cpu_memory_release(v);
}

static octet_status write_variable(backend *b, variable *v, int64_t first, int64_t n,
                                   const void *data, octet_error *error) {
    (void)b;
    (void)error;
    cpu_memory_write(v, first, n, data);
    return OCTET_OK;
}

static octet_status read_variable(backend *b, const variable *v, int64_t first, int64_t n,
                                  void *data, octet_error *error) {
    (void)b;
    (void)error;
    cpu_memory_read(v, first, n, data);
    return OCTET_OK;
}

static void destroy(backend *b) {
    cpu_backend *cpu = (cpu_backend *)b;
    pool_destroy(&cpu->threads);
    pthread_mutex_destroy(&cpu->turn);
    free(cpu);
}

static const backend_interface cpu_interface = {
    .name = "cpu",
    .destroy = destroy,
    .allocate = allocate,
    .release = release,
    .write = write_variable,
    .read = read_variable,
    .compile = compile,
    .program_destroy = destroy_program,
    .program_bytes = bytes_of_program,
    .upload = upload,
    .download = download,
    .run = run,
};

octet_status cpu_backend_create(backend **out, const cpu_backend_params *params,
                                octet_error *error) {
    *out = NULL;
    cpu_backend *cpu = calloc(1, sizeof *cpu);
    if (!cpu)
        return error_memory(error, "backend", sizeof *cpu);
    cpu->base.interface = &cpu_interface;
    cpu_isa best = cpu_detect();
    cpu->kernels = cpu_kernels_get(params->cap < best ? params->cap : best);
    int n = params->n_threads ? params->n_threads : pool_processors();
    octet_status status = OCTET_OK;
    if (params->use_openblas)
        status = matmul_blas_load(&cpu->blas, n, error);
    if (!status)
        status = pool_create(&cpu->threads, n, error);
    if (status) {
        free(cpu);
        return status;
    }
    pthread_mutex_init(&cpu->turn, NULL);
    *out = &cpu->base;
    return OCTET_OK;
}

octet_status cpu_backend_part(backend **out, backend *whole, octet_error *error) {
    const cpu_backend_params one = {.n_threads = 1, .cap = CPU_SCALAR};
    octet_status status = cpu_backend_create(out, &one, error);
    if (status)
        return status;
    cpu_backend *part = (cpu_backend *)*out;
    part->whole = (cpu_backend *)whole;
    part->kernels = part->whole->kernels;
    part->blas = part->whole->blas;
    return OCTET_OK;
}

const char *cpu_backend_isa(const backend *b) {
    return ((const cpu_backend *)b)->kernels->name;
}

int cpu_backend_threads(const backend *b) {
    return pool_threads(((const cpu_backend *)b)->threads);
}
