/* cpu_matmul.c: the op y[M,N] = op(a) op(b).
 *
 * A task owns a rectangle of y. It walks blocks of columns and of k whose panels of b stay in the
 * second-level cache, and multiplies groups of rows with them by a kernel that keeps its tile in
 * registers. Where b is a transposed parameter its panels are ready; else the task packs each block
 * first. A row-major a is read as it is; of a transposed one the task packs the columns that it
 * needs. */
#include "cpu/cpu.h"

/* Blocks are long in k, since each one reads and writes y again; with a transposed, a packed panel
 * of it fits the first level. Those of b fill half of a second level of 2 MiB. */
#define BLOCK_K 1024
#define BLOCK_K_COLUMNS 256
#define BLOCK_FLOATS 262144
#define BLOCK_PANELS 16
#define LEFT_PANELS 4 /* panels of a transposed a that are packed at once */

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
    int n_tasks = cpu_tasks(c, units, 16 * cycles / (double)units);
    /* Tasks that share rows or columns pack the same again: worse than some imbalance. */
    if ((s.transpose_a || !c->packed) && n_tasks > c->n_lanes)
        n_tasks = c->n_lanes;
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

/* Packs rows of `from` [k][width] into panels of `columns` columns each, [width / columns][k][32].
 * All columns of a few rows are read at a time, so that memory is read in long runs. */
static void pack_panels(const job *j, float *panels, const float *from, int64_t stride,
                        int64_t width, int64_t columns) {
    enum { ROWS = 16 };
    for (int64_t k = 0; k < j->k; k += ROWS, from += ROWS * stride) {
        float *to = panels + k * MATMUL_PANEL;
        for (int64_t n = 0; n < width; n += columns, to += j->k * MATMUL_PANEL)
            j->kernels->pack(to, from + n, stride, least(ROWS, j->k - k),
                             (int)least(columns, width - n));
    }
}

/* The panels of the block, packed into j->right unless they are ready. */
static const float *ready_panels(const job *j, int64_t *panel_stride) {
    const shape *s = &j->s;
    if (j->packed) {
        *panel_stride = s->k * MATMUL_PANEL;
        return j->packed + j->panel_begin * *panel_stride + j->k_begin * MATMUL_PANEL;
    }
    *panel_stride = j->k * MATMUL_PANEL;
    const int64_t begin = j->panel_begin * MATMUL_PANEL;
    const int64_t end = least(j->panel_end * MATMUL_PANEL, s->n);
    if (!s->transpose_b) {
        pack_panels(j, j->right, j->b + j->k_begin * s->b_columns + begin, s->b_columns,
                    end - begin, MATMUL_PANEL);
        return j->right;
    }
    float *to = j->right;
    for (int64_t n = begin; n < end; n += MATMUL_PANEL, to += *panel_stride)
        j->kernels->pack_transposed(to, j->b + n * s->b_columns + j->k_begin, s->b_columns, j->k,
                                    (int)least(MATMUL_PANEL, end - n));
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
    if (s->transpose_a) {
        const int64_t line = m % 16; /* from the start of its cache line */
        return (matmul_ahead){j->a + k * s->a_columns + m - line, s->a_columns, length,
                              rows + line};
    }
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
        t.ahead[0] = ahead_of(j, m_end, m_end + j->kernels->rows);
        j->kernels->multiply(&t);
        m = m_end;
    }
}

/* The part of a rectangle that call `index` of n_calls prefetches. */
static matmul_ahead ahead_part(matmul_ahead ahead, int64_t index, int64_t n_calls) {
    if (ahead.rows <= 0)
        return ahead;
    const int64_t begin = ahead.rows * index / n_calls;
    ahead.from += begin * ahead.stride;
    ahead.rows = ahead.rows * (index + 1) / n_calls - begin;
    return ahead;
}

/* What will be packed of b for the next block of k. */
static matmul_ahead ahead_right(const job *j) {
    const shape *s = &j->s;
    const int64_t k = j->k_begin + j->k, begin = j->panel_begin * MATMUL_PANEL;
    if (k >= s->k || s->transpose_b)
        return (matmul_ahead){.rows = 0};
    return (matmul_ahead){j->b + k * s->b_columns + begin, s->b_columns, least(j->k, s->k - k),
                          least(j->panel_end * MATMUL_PANEL, s->n) - begin};
}

/* Columns of a transposed a, packed into panels that are multiples of the kernel's rows. While one
 * is multiplied, what will be packed in its place is prefetched, and of b the next block. */
static void multiply_columns(const job *j, matmul_block t) {
    const int64_t most = j->kernels->rows, m_count = j->m_end - j->m_begin;
    const int64_t groups = divide_up(m_count, most);
    const int64_t per_panel = MATMUL_PANEL / most;                /* groups */
    const int64_t width = divide_up(m_count, groups) * per_panel; /* rows of y per panel */
    const int64_t calls = divide_up(m_count, width) * per_panel, reach = LEFT_PANELS * width;
    const matmul_ahead right = ahead_right(j);
    t.a_row = 1;
    t.a_k = MATMUL_PANEL;
    matmul_ahead left = {.rows = 0};
    for (int64_t m = j->m_begin, panel = 0; m < j->m_end; m += width, panel++) {
        const int64_t turn = panel % LEFT_PANELS;
        if (turn == 0) {
            pack_panels(j, j->left, j->a + j->k_begin * j->s.a_columns + m, j->s.a_columns,
                        least(reach, j->m_end - m), width);
            left = ahead_of(j, m + reach, m + 2 * reach);
        }
        for (int64_t g = 0; g < per_panel; g++) {
            const int64_t row = width / per_panel * g;
            t.rows = (int)least(width / per_panel, j->m_end - m - row);
            if (t.rows <= 0)
                break;
            t.a = j->left + turn * j->k * MATMUL_PANEL + row;
            t.y = j->y + (m + row) * j->s.n + j->panel_begin * MATMUL_PANEL;
            t.ahead[0] = ahead_part(left, turn * per_panel + g, LEFT_PANELS * per_panel);
            t.ahead[1] = ahead_part(right, panel * per_panel + g, calls);
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
    t.panels = ready_panels(j, &t.panel_stride);
    if (j->s.transpose_a)
        multiply_columns(j, t);
    else
        multiply_rows(j, t);
}

/* The length of blocks of k: about the same for all, in whole cache lines of a. */
static int64_t block_k(const shape *s) {
    const int64_t blocks = divide_up(s->k, s->transpose_a ? BLOCK_K_COLUMNS : BLOCK_K);
    return blocks > 1 ? divide_up(s->k, blocks * 16) * 16 : s->k;
}

/* The most panels of b in a block. */
static int64_t block_panels(const shape *s) {
    const int64_t k = block_k(s), panels = BLOCK_FLOATS / ((k > 0 ? k : 1) * MATMUL_PANEL);
    return least(panels < BLOCK_PANELS ? panels : BLOCK_PANELS, divide_up(s->n, MATMUL_PANEL));
}

/* Floats of a thread's buffers. */
static int64_t left_floats(const shape *s) {
    return s->transpose_a ? block_k(s) * MATMUL_PANEL * LEFT_PANELS : 0;
}

static int64_t right_floats(const shape *s) {
    return block_k(s) * block_panels(s) * MATMUL_PANEL;
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
    const int64_t most_k = block_k(&j.s), most_panels = block_panels(&j.s);
    for (; panel < panel_end; panel += most_panels) {
        j.panel_begin = panel;
        j.panel_end = least(panel + most_panels, panel_end);
        j.k_begin = 0;
        do { /* also for k = 0, where y is zero */
            j.k = least(most_k, j.s.k - j.k_begin);
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
