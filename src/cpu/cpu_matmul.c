/* cpu_matmul.c: the op y[M,N] = op(a) op(b).
 *
 * A task owns a rectangle of y. It walks blocks of columns and of k whose panels of b stay in the
 * second-level cache, and multiplies groups of rows with them by a kernel that keeps its tile in
 * registers. Where b is a parameter its panels are ready; else the task packs each block first. A
 * row-major a is read as it is; of a transposed one the task packs the columns that it needs. */
#include "cpu/cpu.h"

#define BLOCK_K 512
#define BLOCK_K_COLUMNS 256 /* with a transposed, so that its packed panel fits the first level */
#define BLOCK_PANELS 16     /* BLOCK_K x 512 floats: 1 MiB of b */
#define LEFT_PANELS 4       /* panels of a transposed a that are packed at once */

/* Cycles that a step of k costs beside the multiply-adds, of which a row times a panel takes one:
 * to load a panel, to pack a panel, to load a row of a, to pack it. */
#define LOAD_PANEL 1.6
#define PACK_PANEL 5.0
#define LOAD_ROW 0.3
#define PACK_ROW 1.0

typedef struct shape {
    int64_t m, n, k;
    int64_t a_columns, b_columns; /* as stored */
    int transpose_a, transpose_b;
} shape;

/* Tasks form a grid over the rows and the panels of y. */
typedef struct grid {
    int rows, columns;
    double cost; /* of its largest task, in cycles */
} grid;

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static shape shape_of(const node *n) {
    const tensor *a = n->input[0], *b = n->input[1];
    shape s = {.a_columns = tensor_columns(a),
               .b_columns = tensor_columns(b),
               .transpose_a = n->params.matmul.transpose_a,
               .transpose_b = n->params.matmul.transpose_b};
    s.m = s.transpose_a ? s.a_columns : tensor_rows(a);
    s.k = s.transpose_a ? tensor_rows(a) : s.a_columns;
    s.n = s.transpose_b ? tensor_rows(b) : s.b_columns;
    return s;
}

/* The grid of at most n_tasks tasks whose largest one is cheapest. It has the same value for the
 * number of tasks that it names itself. m and n are not 0. */
static grid grid_of(const shape *s, int packed, int n_tasks) {
    const int64_t panels = divide_up(s->n, MATMUL_PANEL);
    const double panel_cost = LOAD_PANEL + (packed ? 0 : PACK_PANEL);
    const double row_cost = s->transpose_a ? PACK_ROW : LOAD_ROW;
    grid best = {1, 1, -1};
    for (int rows = 1; rows <= n_tasks && rows <= s->m; rows++) {
        const int columns = (int)least(n_tasks / rows, panels);
        const double m = (double)divide_up(s->m, rows), n = (double)divide_up(panels, columns);
        const double cost = (double)s->k * (n * (m + panel_cost) + m * row_cost);
        if (best.cost < 0 || cost < best.cost)
            best = (grid){rows, columns, cost};
    }
    return best;
}

static int tasks(const cpu_call *c, int phase) {
    (void)phase;
    const shape s = shape_of(c->node);
    const int64_t units = s.m * divide_up(s.n, MATMUL_PANEL);
    if (units == 0)
        return 1;
    const double cycles = grid_of(&s, c->packed != NULL, 1).cost;
    const int n_tasks = cpu_tasks(c, units, 16 * cycles / (double)units);
    const grid g = grid_of(&s, c->packed != NULL, n_tasks);
    return g.rows * g.columns;
}

/* What a task multiplies, its buffers, and the block of k and columns it is at. */
typedef struct job {
    const matmul_kernels *kernels;
    const float *a, *b, *packed;
    float *y;
    shape s;
    float *left;  /* panels of a transposed a, [LEFT_PANELS][k][32] */
    float *right; /* panels of b, [panels][k][32] */
    int64_t m_begin, m_end;
    int64_t k_begin, k;
    int64_t panel_begin, panel_end;
} job;

/* The panels of the block, packed into j->right unless they are ready. */
static const float *block_panels(const job *j, int64_t *panel_stride) {
    const shape *s = &j->s;
    if (j->packed) {
        *panel_stride = s->k * MATMUL_PANEL;
        return j->packed + j->panel_begin * *panel_stride + j->k_begin * MATMUL_PANEL;
    }
    *panel_stride = j->k * MATMUL_PANEL;
    float *to = j->right;
    for (int64_t panel = j->panel_begin; panel < j->panel_end; panel++, to += *panel_stride) {
        const int64_t n = panel * MATMUL_PANEL;
        const int width = (int)least(MATMUL_PANEL, s->n - n);
        if (s->transpose_b)
            j->kernels->pack_transposed(to, j->b + n * s->b_columns + j->k_begin, s->b_columns,
                                        j->k, width);
        else
            j->kernels->pack(to, j->b + j->k_begin * s->b_columns + n, s->b_columns, j->k, width);
    }
    return j->right;
}

/* What the rows [m, m_end) of y read of a in the block of k; with m past the job's rows, what they
 * read, counted on from the first row, in the next block. */
static matmul_ahead ahead_of(const job *j, int64_t m, int64_t m_end) {
    const shape *s = &j->s;
    int64_t k = j->k_begin;
    if (m >= j->m_end) {
        m -= j->m_end - j->m_begin;
        m_end -= j->m_end - j->m_begin;
        k += j->k;
    }
    const int64_t rows = least(m_end, j->m_end) - m, length = least(j->k, s->k - k);
    if (rows <= 0 || length <= 0)
        return (matmul_ahead){.rows = 0};
    if (s->transpose_a)
        return (matmul_ahead){j->a + k * s->a_columns + m, s->a_columns, length, rows};
    return (matmul_ahead){j->a + m * s->a_columns + k, s->a_columns, rows, length};
}

/* Rows of a row-major a, split evenly into groups, each of which prefetches the next. */
static void multiply_rows(const job *j, matmul_block t) {
    const int64_t rows = j->m_end - j->m_begin, groups = divide_up(rows, j->kernels->rows);
    int64_t m = j->m_begin;
    t.a_row = j->s.a_columns;
    t.a_k = 1;
    for (int64_t g = 0; g < groups; g++) {
        const int64_t m_end = j->m_begin + rows * (g + 1) / groups;
        t.rows = (int)(m_end - m);
        t.a = j->a + m * t.a_row + j->k_begin;
        t.y = j->y + m * j->s.n + j->panel_begin * MATMUL_PANEL;
        t.ahead = ahead_of(j, m_end, m_end + j->kernels->rows);
        j->kernels->multiply(&t);
        m = m_end;
    }
}

/* Packs the columns [m, m_end) of a transposed a. All of them are read in a few rows of a at a
 * time, so that memory is read in long runs. */
static void pack_left(const job *j, int64_t m, int64_t m_end) {
    enum { ROWS = 16 };
    const int64_t stride = j->s.a_columns;
    for (int64_t k = 0; k < j->k; k += ROWS) {
        const float *from = j->a + (j->k_begin + k) * stride;
        float *to = j->left + k * MATMUL_PANEL;
        for (int64_t n = m; n < m_end; n += MATMUL_PANEL, to += j->k * MATMUL_PANEL)
            j->kernels->pack(to, from + n, stride, least(ROWS, j->k - k),
                             (int)least(MATMUL_PANEL, m_end - n));
    }
}

/* Columns of a transposed a, a packed panel at a time, which is split into groups of rows of y.
 * While they are multiplied, what will be packed in its place is prefetched. */
static void multiply_columns(const job *j, matmul_block t) {
    t.a_row = 1;
    t.a_k = MATMUL_PANEL;
    for (int64_t m = j->m_begin, panel = 0; m < j->m_end; m += MATMUL_PANEL, panel++) {
        const int64_t reach = LEFT_PANELS * MATMUL_PANEL;
        if (panel % LEFT_PANELS == 0)
            pack_left(j, m, least(m + reach, j->m_end));
        const float *left = j->left + panel % LEFT_PANELS * j->k * MATMUL_PANEL;
        const matmul_ahead ahead = ahead_of(j, m + reach, m + reach + MATMUL_PANEL);
        const int rows = (int)least(MATMUL_PANEL, j->m_end - m);
        const int groups = (int)divide_up(rows, j->kernels->rows);
        for (int g = 0; g < groups; g++) {
            const int row = rows * g / groups;
            const int64_t from = ahead.rows * g / groups;
            t.rows = rows * (g + 1) / groups - row;
            t.a = left + row;
            t.y = j->y + (m + row) * j->s.n + j->panel_begin * MATMUL_PANEL;
            t.ahead = ahead;
            t.ahead.from += from * ahead.stride;
            t.ahead.rows = ahead.rows * (g + 1) / groups - from;
            j->kernels->multiply(&t);
        }
    }
}

/* All rows of the job times the block. */
static void multiply_block(const job *j) {
    matmul_block t = {.y_stride = j->s.n,
                      .k = j->k,
                      .columns = least(j->panel_end * MATMUL_PANEL, j->s.n) -
                                 j->panel_begin * MATMUL_PANEL,
                      .accumulate = j->k_begin > 0};
    t.panels = block_panels(j, &t.panel_stride);
    if (j->s.transpose_a)
        multiply_columns(j, t);
    else
        multiply_rows(j, t);
}

/* Floats of a thread's buffers. */
static int64_t left_floats(const shape *s) {
    return s->transpose_a ? least(s->k, BLOCK_K) * MATMUL_PANEL * LEFT_PANELS : 0;
}

static int64_t right_floats(const shape *s) {
    return least(s->k, BLOCK_K) * least(divide_up(s->n, MATMUL_PANEL), BLOCK_PANELS) * MATMUL_PANEL;
}

static size_t workspace(const node *n, int n_lanes) {
    const shape s = shape_of(n);
    return (size_t)n_lanes * (size_t)(left_floats(&s) + right_floats(&s)) * sizeof(float);
}

static void run(const cpu_call *c, int phase, int task, int n_tasks, int lane) {
    (void)phase;
    const int packed = c->packed != NULL;
    job j = {.kernels = &c->kernels->matmul,
             .a = c->in[0],
             .b = c->in[1],
             .packed = c->packed,
             .y = c->out[0],
             .s = shape_of(c->node)};
    if (j.s.m == 0 || j.s.n == 0)
        return;
    const grid g = n_tasks > 1 ? grid_of(&j.s, packed, n_tasks) : (grid){.rows = 1, .columns = 1};
    if (task >= g.rows * g.columns)
        return;
    j.left = (float *)c->workspace + lane * (left_floats(&j.s) + right_floats(&j.s));
    j.right = j.left + left_floats(&j.s);
    int64_t panel, panel_end;
    cpu_range(j.s.m, 1, task / g.columns, g.rows, &j.m_begin, &j.m_end);
    cpu_range(divide_up(j.s.n, MATMUL_PANEL), 1, task % g.columns, g.columns, &panel, &panel_end);
    /* Blocks of k of about the same length, in whole cache lines of a. */
    const int64_t blocks = divide_up(j.s.k, j.s.transpose_a ? BLOCK_K_COLUMNS : BLOCK_K);
    const int64_t block_k = blocks > 1 ? divide_up(j.s.k, blocks * 16) * 16 : j.s.k;
    for (; panel < panel_end; panel += BLOCK_PANELS) {
        j.panel_begin = panel;
        j.panel_end = least(panel + BLOCK_PANELS, panel_end);
        j.k_begin = 0;
        do { /* also for k = 0, where y is zero */
            j.k = least(block_k, j.s.k - j.k_begin);
            multiply_block(&j);
            j.k_begin += j.k;
        } while (j.k_begin < j.s.k);
    }
}

const cpu_op cpu_matmul = {.n_phases = 1, .tasks = tasks, .run = run, .workspace = workspace};

size_t matmul_packed_floats(int64_t k, int64_t n) {
    return (size_t)k * (size_t)divide_up(n, MATMUL_PANEL) * MATMUL_PANEL;
}

void matmul_pack(const matmul_kernels *kernels, float *packed, const float *b, int64_t k, int64_t n,
                 int transpose_b, int64_t panel_begin, int64_t panel_end) {
    for (int64_t panel = panel_begin; panel < panel_end; panel++) {
        float *to = packed + panel * k * MATMUL_PANEL;
        const int64_t column = panel * MATMUL_PANEL;
        const int width = (int)least(MATMUL_PANEL, n - column);
        if (transpose_b)
            kernels->pack_transposed(to, b + column * k, k, k, width);
        else
            kernels->pack(to, b + column, n, k, width);
    }
}
