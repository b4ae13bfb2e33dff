/* vulkan_rows.c: the rows of all ops but products, attention and those of integers. Bindings and
 * words are in the order of the shader's declarations. */
#include "vulkan/vulkan_row.h"

#include <string.h>

#define LOCAL 256      /* invocations of a workgroup that takes elements */
#define GRID_X 32768   /* workgroups in the first dimension */
#define ROW_BLOCK 64   /* rows that one invocation adds up */
#define DOT_BLOCK 4096 /* elements that one workgroup adds up */

/* --- helpers */

vulkan_work *row_work(vulkan_job *job, vulkan_shader shader, uint64_t x, uint64_t y, int later) {
    vulkan_work *w = &job->work[job->n++];
    *w = (vulkan_work){.shader = shader, .groups = {x, y, 1}};
    if (later)
        w->phase = job->n_phases;
    else if (job->n_phases > 0)
        w->phase = job->n_phases - 1;
    job->n_phases = w->phase + 1;
    return w;
}

vulkan_work *row_groups(vulkan_job *job, vulkan_shader shader, uint64_t n, int later) {
    const uint64_t x = n < GRID_X ? n : GRID_X;
    return row_work(job, shader, x, x ? (n + x - 1) / x : 0, later);
}

vulkan_work *row_elements(vulkan_job *job, vulkan_shader shader, uint64_t n, int later) {
    return row_groups(job, shader, (n + LOCAL - 1) / LOCAL, later);
}

static void bind(vulkan_work *w, bound_kind kind, int index, uint64_t offset) {
    w->bound[w->n_bound++] = (bound){kind, index, offset};
}

void row_input(vulkan_work *w, int index) {
    bind(w, BOUND_INPUT, index, 0);
}

void row_output(vulkan_work *w, int index) {
    bind(w, BOUND_OUTPUT, index, 0);
}

void row_workspace(vulkan_work *w, uint64_t offset) {
    bind(w, BOUND_WORKSPACE, 0, offset);
}

void row_form(vulkan_work *w, int index) {
    bind(w, BOUND_FORM, index, 0);
}

void row_push(vulkan_work *w, int64_t value) {
    w->word[w->n_words++] = (uint32_t)value;
}

void row_push_float(vulkan_work *w, float value) {
    memcpy(&w->word[w->n_words++], &value, sizeof value);
}

static void bind_inputs(vulkan_work *w, int n) {
    for (int i = 0; i < n; i++)
        row_input(w, i);
}

static uint64_t elements(const tensor *t) {
    return (uint64_t)tensor_elements(t);
}

/* --- elementwise */

/* y[i] = a[i] op b[i / inner % period] */
static void binary(vulkan_job *job, const node *n, int multiply, int64_t inner, int64_t period) {
    const uint64_t count = elements(n->input[0]);
    vulkan_work *w = row_elements(job, SHADER_binary, count, 0);
    w->constant[0] = multiply != 0;
    bind_inputs(w, 2);
    row_output(w, 0);
    row_push(w, (int64_t)count);
    row_push(w, inner);
    row_push(w, period);
}

static void add_elements_row(vulkan_job *job, const node *n) {
    binary(job, n, 0, 1, tensor_elements(n->input[0]));
}

static void mul_row(vulkan_job *job, const node *n) {
    binary(job, n, 1, 1, tensor_elements(n->input[0]));
}

static void add_row_row(vulkan_job *job, const node *n) {
    binary(job, n, 0, 1, tensor_columns(n->input[0]));
}

static void mul_scalar_row(vulkan_job *job, const node *n) {
    binary(job, n, 1, 1, 1);
}

static void scale_heads_row(vulkan_job *job, const node *n) {
    const tensor *x = n->input[0];
    binary(job, n, 1, tensor_columns(x), x->dim[x->rank - 2]);
}

static void unary_any(vulkan_job *job, const node *n, int gradient) {
    const uint64_t count = elements(n->input[0]);
    vulkan_work *w = row_elements(job, SHADER_unary, count, 0);
    w->constant[0] = (uint32_t)n->params.unary.kind;
    w->constant[1] = gradient != 0;
    w->constant[2] = !gradient && n->params.unary.newton;
    row_input(w, 0);
    row_input(w, gradient ? 1 : 0);
    row_output(w, 0);
    row_push(w, (int64_t)count);
    row_push_float(w, n->params.unary.c);
    row_push_float(w, 1.0f / n->params.unary.c);
}

static void unary_row(vulkan_job *job, const node *n) {
    unary_any(job, n, 0);
}

static void unary_grad_row(vulkan_job *job, const node *n) {
    unary_any(job, n, 1);
}

static void dropout_row(vulkan_job *job, const node *n) {
    vulkan_work *w = row_elements(job, SHADER_dropout, elements(n->input[0]), 0);
    bind_inputs(w, 2);
    row_output(w, 0);
    row_push(w, tensor_elements(n->input[0]));
    row_push(w, n->params.dropout.threshold);
    row_push(w, n->params.dropout.site);
    row_push(w, n->params.dropout.first_low);
    row_push(w, n->params.dropout.first_high);
    row_push_float(w, n->params.dropout.scale);
}

/* --- sums */

/* y[blocks,C], each row the sum of `block` rows of x[rows,C]; the caller binds x and y. */
static vulkan_work *sum_blocks(vulkan_job *job, uint64_t rows, uint64_t columns, uint64_t block,
                               uint64_t blocks, int later) {
    vulkan_work *w = row_elements(job, SHADER_sum_rows, blocks * columns, later);
    row_push(w, (int64_t)rows);
    row_push(w, (int64_t)columns);
    row_push(w, (int64_t)block);
    row_push(w, (int64_t)(blocks * columns));
    return w;
}

/* The blocks at an offset of the workspace, added up into an output; zeros where there are none. */
static void add_blocks(vulkan_job *job, uint64_t blocks, uint64_t columns, uint64_t offset,
                       int output, int later) {
    vulkan_work *w = sum_blocks(job, blocks, columns, blocks, 1, later);
    row_workspace(w, offset);
    row_output(w, output);
}

static void sum_rows_row(vulkan_job *job, const node *n) {
    const uint64_t rows = (uint64_t)tensor_rows(n->input[0]),
                   columns = (uint64_t)tensor_columns(n->input[0]);
    const uint64_t blocks = row_blocks(rows, ROW_BLOCK);
    vulkan_work *w = sum_blocks(job, rows, columns, ROW_BLOCK, blocks, 0);
    row_input(w, 0);
    row_workspace(w, 0);
    add_blocks(job, blocks, columns, 0, 0, 1);
    job->workspace = row_part(blocks * columns);
}

static void dot_heads_row(vulkan_job *job, const node *n) {
    const tensor *a = n->input[0];
    const uint64_t heads = (uint64_t)a->dim[a->rank - 2], size = (uint64_t)tensor_columns(a);
    const uint64_t rows = heads ? (uint64_t)tensor_rows(a) / heads : 0;
    const uint64_t blocks = row_blocks(rows, ROW_BLOCK);
    vulkan_work *w = row_groups(job, SHADER_dot_heads, blocks * heads, 0);
    bind_inputs(w, 2);
    row_workspace(w, 0);
    row_push(w, (int64_t)rows);
    row_push(w, (int64_t)heads);
    row_push(w, (int64_t)size);
    row_push(w, ROW_BLOCK);
    row_push(w, (int64_t)(blocks * heads));
    add_blocks(job, blocks, heads, 0, 0, 1);
    job->workspace = row_part(blocks * heads);
}

static void dot_row(vulkan_job *job, const node *n) {
    const uint64_t count = elements(n->input[0]), blocks = row_blocks(count, DOT_BLOCK);
    vulkan_work *w = row_work(job, SHADER_dot, blocks, 1, 0);
    bind_inputs(w, 2);
    row_workspace(w, 0);
    row_push(w, (int64_t)count);
    row_push(w, DOT_BLOCK);
    w = row_work(job, SHADER_dot, 1, 1, 1);
    w->constant[0] = 1;
    row_workspace(w, 0);
    row_workspace(w, 0);
    row_output(w, 0);
    row_push(w, (int64_t)blocks);
    row_push(w, (int64_t)blocks);
    job->workspace = row_part(blocks);
}

static void norm_factor_row(vulkan_job *job, const node *n) {
    vulkan_work *w = row_work(job, SHADER_norm_factor, 1, 1, 0);
    w->constant[0] = n->params.factor.kind == FACTOR_CLIP;
    row_input(w, 0);
    row_output(w, 0);
    row_push_float(w, n->params.factor.c);
}

/* --- norms */

static void norm_row(vulkan_job *job, const node *n) {
    const tensor *x = n->input[0];
    vulkan_work *w = row_groups(job, SHADER_norm, (uint64_t)tensor_rows(x), 0);
    w->constant[0] = n->params.norm.kind == NORM_LAYER;
    w->constant[1] = n->input[1] != NULL;
    w->constant[2] = n->input[2] != NULL;
    w->constant[3] = n->params.norm.newton != 0;
    bind_inputs(w, 3);
    row_output(w, 0);
    row_push(w, tensor_rows(x));
    row_push(w, tensor_columns(x));
    row_push_float(w, n->params.norm.epsilon);
    row_push_float(w, 1.0f / (float)tensor_columns(x));
}

/* workspace: mean and 1 / deviation [rows,2], then dgain[blocks,C], then dbias[blocks,C] */
static void norm_grad_row(vulkan_job *job, const node *n) {
    const uint64_t rows = (uint64_t)tensor_rows(n->input[0]),
                   columns = (uint64_t)tensor_columns(n->input[0]);
    const uint64_t blocks = row_blocks(rows, ROW_BLOCK);
    const uint64_t gain = row_part(2 * rows), bias = gain + row_part(blocks * columns);
    const int has_gain = n->n_outputs > 1 && n->output[1] != NULL;
    const int has_bias = n->n_outputs > 2 && n->output[2] != NULL;
    vulkan_work *w = row_groups(job, SHADER_norm_grad, rows, 0);
    w->constant[0] = n->params.norm.kind == NORM_LAYER;
    w->constant[1] = n->input[1] != NULL;
    bind_inputs(w, 3);
    row_output(w, 0);
    row_workspace(w, 0);
    row_push(w, (int64_t)rows);
    row_push(w, (int64_t)columns);
    row_push_float(w, n->params.norm.epsilon);
    if (has_bias) {
        w = sum_blocks(job, rows, columns, ROW_BLOCK, blocks, 0);
        row_input(w, 2);
        row_workspace(w, bias);
    }
    if (has_gain) {
        w = row_elements(job, SHADER_norm_grad_gain, blocks * columns, 1);
        row_input(w, 0);
        row_input(w, 2);
        row_workspace(w, 0);
        row_workspace(w, gain);
        row_push(w, (int64_t)rows);
        row_push(w, (int64_t)columns);
        row_push(w, ROW_BLOCK);
        row_push(w, (int64_t)(blocks * columns));
        add_blocks(job, blocks, columns, gain, 1, 1);
    }
    if (has_bias)
        add_blocks(job, blocks, columns, bias, 2, !has_gain);
    job->workspace = bias + row_part(blocks * columns);
}

/* --- rows by index */

static void gather_row(vulkan_job *job, const node *n) {
    const tensor *x = n->input[0];
    const uint64_t count = elements(n->output[0]);
    vulkan_work *w = row_elements(job, SHADER_gather, count, 0);
    bind_inputs(w, 3);
    row_output(w, 0);
    row_push(w, (int64_t)count);
    row_push(w, x->dim[1]);
    row_push(w, x->dim[0]);
    row_push(w, n->input[1] ? n->input[1]->dim[0] : 0);
}

static void gather_sum_row(vulkan_job *job, const node *n) {
    const tensor *x = n->input[0];
    const uint64_t count = elements(n->output[0]);
    vulkan_work *w = row_elements(job, SHADER_gather_sum, count, 0);
    bind_inputs(w, 2);
    row_output(w, 0);
    row_push(w, (int64_t)count);
    row_push(w, x->dim[1]);
    row_push(w, x->dim[0]);
    row_push(w, tensor_columns(n->input[1]));
}

/* workspace: the range of indices of each output row [n,2] */
static void scatter_row(vulkan_job *job, const node *n) {
    const uint64_t rows = (uint64_t)n->output[0]->dim[0], count = elements(n->input[1]);
    const uint64_t columns = (uint64_t)tensor_columns(n->input[0]);
    for (int clear = 1; clear >= 0; clear--) {
        vulkan_work *w = row_elements(job, SHADER_scatter_range, clear ? rows : count, !clear);
        w->constant[0] = clear != 0;
        row_input(w, 1);
        row_workspace(w, 0);
        row_push(w, (int64_t)(clear ? rows : count));
        row_push(w, (int64_t)rows);
        row_push(w, n->params.scatter.from_start != 0);
    }
    vulkan_work *w = row_groups(job, SHADER_scatter, rows * row_blocks(columns, 64), 1);
    bind_inputs(w, 2);
    row_workspace(w, 0);
    row_output(w, 0);
    row_push(w, (int64_t)columns);
    row_push(w, (int64_t)rows);
    row_push(w, n->params.scatter.from_start != 0);
    row_push(w, n->params.scatter.each);
    job->workspace = row_part(2 * rows);
}

/* --- positions, states */

static void rope_row(vulkan_job *job, const node *n) {
    const tensor *x = n->input[0];
    const uint64_t pairs = elements(x) / 2;
    vulkan_work *w = row_elements(job, SHADER_rope, pairs, 0);
    w->constant[0] = n->params.rope.neighbours != 0;
    bind_inputs(w, 2);
    row_output(w, 0);
    row_push(w, (int64_t)pairs);
    row_push(w, x->dim[2]);
    row_push(w, x->dim[3] / 2);
    row_push_float(w, n->params.rope.inverse ? -1.0f : 1.0f);
}

static void shift_row(vulkan_job *job, const node *n) {
    const tensor *x = n->input[0];
    vulkan_work *w = row_elements(job, SHADER_shift, elements(x), 0);
    w->constant[0] = n->params.shift.inverse != 0;
    w->constant[1] = n->params.shift.start != 0;
    bind_inputs(w, 2);
    row_output(w, 0);
    row_push(w, tensor_elements(x));
    row_push(w, x->dim[1]);
    row_push(w, x->dim[2]);
}

static void shift_cached_row(vulkan_job *job, const node *n) {
    const tensor *x = n->input[0], *state = n->input[1];
    const tensor *begin = n->n_inputs > 6 ? n->input[6] : NULL;
    vulkan_work *w = row_elements(job, SHADER_shift_cached, elements(x), 0);
    w->constant[0] = n->params.shift.start != 0;
    bind_inputs(w, 7);
    row_output(w, 0);
    row_push(w, tensor_elements(x));
    row_push(w, x->dim[1]);
    row_push(w, x->dim[2]);
    row_push(w, state->dim[0]);
    row_push(w, state->dim[1]);
    row_push(w, begin ? begin->dim[1] : 0);
}

static void store_row(vulkan_job *job, const node *n) {
    const tensor *state = n->input[0], *x = n->input[1];
    const int64_t rows = x->dim[0] * x->dim[1];
    vulkan_work *w = row_elements(job, SHADER_store, elements(x), 0);
    w->constant[0] = n->params.store.first != 0;
    bind_inputs(w, 5);
    row_push(w, tensor_elements(x));
    row_push(w, x->dim[1]);
    row_push(w, rows ? tensor_elements(x) / rows : 0);
    row_push(w, state->dim[0]);
    row_push(w, state->dim[1]);
}

/* --- loss */

static void loss(vulkan_job *job, const node *n, vulkan_shader shader, int n_inputs) {
    const tensor *logits = n->input[0];
    vulkan_work *w = row_groups(job, shader, (uint64_t)tensor_rows(logits), 0);
    bind_inputs(w, n_inputs);
    row_output(w, 0);
    row_push(w, tensor_rows(logits));
    row_push(w, tensor_columns(logits));
}

static void cross_entropy_row(vulkan_job *job, const node *n) {
    loss(job, n, SHADER_cross_entropy, 2);
}

static void cross_entropy_grad_row(vulkan_job *job, const node *n) {
    loss(job, n, SHADER_cross_entropy_grad, 3);
}

static void draw_symbol_row(vulkan_job *job, const node *n) {
    const tensor *logits = n->input[0];
    vulkan_work *w = row_groups(job, SHADER_draw_symbol, (uint64_t)tensor_rows(logits), 0);
    bind_inputs(w, 4);
    row_output(w, 0);
    row_push(w, tensor_rows(logits));
    row_push(w, tensor_columns(logits));
    row_push(w, n->params.draw_symbol.end);
}

/* --- optimizer: in place, so that inputs are written */

static vulkan_work *optimizer(vulkan_job *job, const node *n, vulkan_shader shader, int n_inputs) {
    vulkan_work *w = row_elements(job, shader, elements(n->input[0]), 0);
    bind_inputs(w, n_inputs);
    row_push(w, tensor_elements(n->input[0]));
    return w;
}

static void adamw_row(vulkan_job *job, const node *n) {
    optimizer(job, n, SHADER_adamw, 6);
}

static void momentum_row(vulkan_job *job, const node *n) {
    vulkan_work *w = optimizer(job, n, SHADER_momentum, 4);
    w->constant[0] = n->params.momentum.nesterov != 0;
    row_output(w, 0);
}

static void descend_row(vulkan_job *job, const node *n) {
    vulkan_work *w = optimizer(job, n, SHADER_descend, 3);
    row_push_float(w, n->params.descend.multiplier);
}

static void lerp_row(vulkan_job *job, const node *n) {
    optimizer(job, n, SHADER_lerp, 3);
}

/* --- the table */

vulkan_row *vulkan_row_of(op kind) {
    static vulkan_row *const rows[OP_COUNT] = {
        [OP_MATMUL] = vulkan_row_matmul,
        [OP_ADD] = add_elements_row,
        [OP_MUL] = mul_row,
        [OP_ADD_ROW] = add_row_row,
        [OP_SUM_ROWS] = sum_rows_row,
        [OP_UNARY] = unary_row,
        [OP_UNARY_GRAD] = unary_grad_row,
        [OP_NORM] = norm_row,
        [OP_NORM_GRAD] = norm_grad_row,
        [OP_SCALE_HEADS] = scale_heads_row,
        [OP_DOT_HEADS] = dot_heads_row,
        [OP_GATHER] = gather_row,
        [OP_GATHER_SUM] = gather_sum_row,
        [OP_SCATTER] = scatter_row,
        [OP_ROPE] = rope_row,
        [OP_SHIFT] = shift_row,
        [OP_SHIFT_CACHED] = shift_cached_row,
        [OP_DROPOUT] = dropout_row,
        [OP_ATTENTION] = vulkan_row_attention,
        [OP_ATTENTION_GRAD] = vulkan_row_attention_grad,
        [OP_ATTENTION_CACHED] = vulkan_row_attention_cached,
        [OP_STORE] = store_row,
        [OP_LINEAR_INT8] = vulkan_row_linear_int8,
        [OP_ATTENTION_INT8] = vulkan_row_attention_int8,
        [OP_ATTENTION_CACHED_INT8] = vulkan_row_attention_cached_int8,
        [OP_STORE_INT8] = vulkan_row_store_int8,
        [OP_CROSS_ENTROPY] = cross_entropy_row,
        [OP_CROSS_ENTROPY_GRAD] = cross_entropy_grad_row,
        [OP_DRAW_SYMBOL] = draw_symbol_row,
        [OP_DOT] = dot_row,
        [OP_MUL_SCALAR] = mul_scalar_row,
        [OP_NORM_FACTOR] = norm_factor_row,
        [OP_ADAMW] = adamw_row,
        [OP_MOMENTUM] = momentum_row,
        [OP_DESCEND] = descend_row,
        [OP_LERP] = lerp_row,
    };
    return rows[kind];
}
