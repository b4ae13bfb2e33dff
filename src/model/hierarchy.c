/* hierarchy.c: see hierarchy.h. */
#include "model/hierarchy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMBED_SPREAD 0.05f

_Static_assert(2 * CONFIG_MAX_LAYERS * CONFIG_MAX_LEVELS <= DROPOUT_SITES,
               "every dropout of a model draws apart");

void model_destroy(model **m) {
    if (!m || !*m)
        return;
    for (int s = 0; s < CONFIG_MAX_LEVELS; s++) {
        free((*m)->table[s]);
        free((*m)->turns[s]);
    }
    params_finish(&(*m)->params);
    free((*m)->text);
    free((*m)->identity);
    free(*m);
    *m = NULL;
}

int64_t model_window_rows(const model *m, int level) {
    return m->config.context / m->shape[level].unit_bytes;
}

int64_t model_sequence_rows(const model *m, int level) {
    int64_t group = m->shape[level].group;
    return group ? group : model_window_rows(m, level);
}

const block_stack *model_stack(const model *m, int level) {
    return level + 1 < m->config.n_levels ? &m->global[level].stack : &m->local.stack;
}

int64_t model_first_row(const model *m, int level, int64_t row) {
    const block_stack *stack = model_stack(m, level);
    const level_shape *shape = &m->shape[level];
    for (int i = stack->n_blocks; i-- > 0;) {
        const block *b = &stack->blocks[i];
        if (b->token_shift) /* before the MLP */
            row = row_first(shape, &shape->rule[b->shift_rule], row);
        row = row_first(shape, &shape->rule[b->mixer->rule], row);
        if (b->token_shift)
            row = row_first(shape, &shape->rule[b->shift_rule], row);
    }
    return row;
}

static unary_kind activation_of(config_mlp mlp) {
    static const unary_kind kinds[] = {UNARY_RELU,      UNARY_RELU2, UNARY_GELU,
                                       UNARY_GELU_TANH, UNARY_SILU,  UNARY_LEAKY_RELU2};
    return kinds[mlp];
}

/* What the layers of a level are. */
typedef struct layer_lists {
    const mixer_kind *kinds[CONFIG_MAX_LAYERS];
    int rules[CONFIG_MAX_LAYERS];
    int64_t sinks[CONFIG_MAX_LAYERS]; /* layers that see all need none */
    int shift_rule, shift_start;
} layer_lists;

static block_params block_params_of(const config *c, int level, const layer_lists *lists) {
    const config_level *l = &c->level[level];
    double out = l->zero_init ? 0 : c->init_scale;
    block_params b = {
        .kinds = lists->kinds,
        .mixer = {.dim = l->dim,
                  .heads = l->heads,
                  .kv_heads = l->kv_heads,
                  .head_size = l->head_size,
                  .rope = config_rotary_positions(l),
                  .alibi = l->positions == POSITIONS_ALIBI,
                  .qk_norm = l->qk_norm,
                  .bias = l->bias,
                  .value_residual = l->value_residual,
                  .scale = c->init_scale,
                  .output_scale = out},
        .mlp = {.width = l->dim,
                .hidden = l->mlp_width,
                .activation = activation_of(l->mlp),
                .gated = l->mlp == MLP_SWIGLU,
                .bias = l->bias || l->mlp_bias,
                .scale = c->init_scale,
                .down_scale = out},
        .norm = l->norm == CONFIG_NORM_RMS ? NORM_RMS : NORM_LAYER,
        .epsilon = (float)l->norm_epsilon,
        .rules = lists->rules,
        .sinks = lists->sinks,
        .x0_mix = l->x0_mix,
        .token_shift = l->token_shift,
        .shift_rule = lists->shift_rule,
        .dropout = l->dropout,
        .first_site = 2 * CONFIG_MAX_LAYERS * level,
        .shift_start = lists->shift_start,
    };
    return b;
}

static void shape_of(level_shape *shape, const config *c, int level) {
    static const row_layout layouts[] = {ROWS_PAPER, ROWS_LUCIDRAINS, ROWS_BGPT};
    const config_level *l = &c->level[level];
    shape->unit_bytes = config_unit_bytes(c, level);
    shape->group = level ? c->level[level - 1].patch : 0;
    shape->layout = layouts[c->rows];
    shape->shared_start = level && level + 1 == c->n_levels && shape->layout == ROWS_LUCIDRAINS;
    shape->slices = shape->layout == ROWS_BGPT && level ? 1 : shape->group;
    shape->whole_start = l->embedder != EMBEDDER_CONCAT && shape->layout != ROWS_BGPT;
    shape->turns_units = l->embed_rope;
    shape->vocabulary = c->vocabulary;
    shape->planes = l->embedder == EMBEDDER_ONE_HOT ? shape->unit_bytes : l->planes;
    if (!level && shape->layout == ROWS_BGPT) {
        shape->given = c->start_symbols.value;
        shape->n_given = c->start_symbols.n;
    }
    shape->table_dim = config_rotary_positions(l) ? l->head_size : 0;
    shape->rope_base = l->rope_base;
    shape->rope_scale = l->rope_scale;
    shape->zero_start = c->zero_pad;
    shape->cross = l->cross_patch;
    shape->halo = l->conv_encoder ? ENCODER_HALO : 0;
    shape->ngrams = (ngram_set){l->ngrams, l->ngram_rows};
}

/* The number of a rule of the level, which is added where it is new. */
static int rule_of(level_shape *shape, int64_t window, int64_t block_rows) {
    int k = 0;
    while (k < shape->n_rules &&
           (shape->rule[k].window != window || shape->rule[k].block != block_rows))
        k++;
    if (k == shape->n_rules)
        shape->rule[shape->n_rules++] = (row_rule){window, block_rows};
    return k;
}

/* Token shift sees the row before in its own group, whatever attention sees across groups; it and
 * attention see a start that all sequences share beside that. */
static void list_layers(layer_lists *lists, level_shape *shape, const config_level *l) {
    memset(lists, 0, sizeof *lists);
    for (int64_t i = 0; i < l->layers; i++) {
        lists->kinds[i] = mixer_at((int)config_of_layer(&l->mixer, i));
        int64_t window = config_of_layer(&l->window, i);
        int64_t block_rows = config_of_layer(&l->block_local, i);
        lists->rules[i] = rule_of(shape, window, block_rows);
        lists->sinks[i] = window || block_rows ? l->sinks : 0;
        if (shape->shared_start)
            lists->sinks[i] = 1;
    }
    lists->shift_start = shape->shared_start;
    if (l->token_shift && l->layers)
        lists->shift_rule = rule_of(shape, 2, shape->shared_start ? 0 : shape->group);
}

/* Places begin anew in every group, so a row that sees rows of other groups needs positions that
 * run on, and so does a level without end. */
static octet_status create_positions(model *m, int level, octet_error *error) {
    level_shape *shape = &m->shape[level];
    if (!shape->table_dim)
        return OCTET_OK;
    if (!shape->cross && (level || !m->config.endless))
        return row_table_create(&m->table[level], shape, model_sequence_rows(m, level), error);
    octet_status status = row_turns_create(&m->turns[level], shape, error);
    shape->turns = m->turns[level];
    return status;
}

static void create_level(model *m, int level) {
    const config *c = &m->config;
    const config_level *l = &c->level[level];
    layer_lists lists;
    char prefix[32];
    list_layers(&lists, &m->shape[level], l);
    snprintf(prefix, sizeof prefix, "levels.%d", level);
    static const embedder_kind kinds[] = {EMBED_CONCAT, EMBED_NORMED, EMBED_ONE_HOT};
    embedder_params e = {
        .kind = kinds[l->embedder],
        .dim = l->dim,
        .unit_bytes = m->shape[level].unit_bytes,
        .byte_width = c->level[c->n_levels - 1].dim,
        .vocabulary = c->vocabulary,
        .planes = m->shape[level].planes,
        .places = config_learned_positions(l) ? model_sequence_rows(m, level) : 0,
        .trained_start = !c->zero_pad && c->rows != LAYOUT_BGPT,
        .turned = l->embed_rope ? model_sequence_rows(m, level) : 0,
        .rope_base = l->rope_base,
        .spread = EMBED_SPREAD,
        .encodes = l->conv_encoder,
        .ngrams = m->shape[level].ngrams,
        .ngram_width = l->ngram_width,
        .scale = l->zero_init ? 0 : c->init_scale,
        .mix_scale = c->init_scale,
    };
    if (level + 1 < c->n_levels) {
        split_kind split = l->split == SPLIT_FULL ? SPLIT_BY_MATRIX : SPLIT_BY_SLICE;
        if (c->rows == LAYOUT_BGPT)
            split = SPLIT_NOT;
        global_params p = {
            e, block_params_of(c, level, &lists), (int)l->layers, split, l->patch, l[1].dim};
        global_create(&m->global[level], &m->params, prefix, &p);
    } else {
        local_params p = {e,
                          block_params_of(c, level, &lists),
                          (int)l->layers,
                          c->tied_head,
                          c->head_bias,
                          (float)c->softcap};
        local_create(&m->local, &m->params, prefix, &p);
    }
}

octet_status model_outline(model **out, backend *b, const config *c, octet_error *error) {
    *out = NULL;
    model *m = calloc(1, sizeof *m);
    if (!m)
        return error_memory(error, "model", sizeof *m);
    m->config = *c;
    m->backend = b;
    params_init(&m->params, NULL);
    octet_status status = OCTET_OK;
    m->text = config_text(c);
    m->identity = config_identity(c);
    m->global = arena_alloc(&m->params.memory, (size_t)c->n_levels * sizeof *m->global);
    if (!m->text || !m->identity || !m->global)
        status = error_memory(error, "model", sizeof *m);
    for (int s = 0; s < c->n_levels && !status; s++) {
        shape_of(&m->shape[s], &m->config, s);
        create_level(m, s);
        if (m->params.error.code)
            status = error_set(error, m->params.error.code, "%s", m->params.error.text);
    }
    if (!status && b)
        status = params_allocate(&m->params, b, error);
    if (status)
        model_destroy(&m);
    *out = m;
    return status;
}

octet_status model_allocate(model *m, backend *b, octet_error *error) {
    m->backend = b;
    octet_status status = params_allocate(&m->params, b, error);
    for (int s = 0; s < m->config.n_levels && !status; s++)
        status = create_positions(m, s, error);
    return status;
}

octet_status model_create(model **out, backend *b, const config *c, octet_error *error) {
    octet_status status = model_outline(out, NULL, c, error);
    if (!status)
        status = model_allocate(*out, b, error);
    if (status)
        model_destroy(out);
    return status;
}

void model_rows_inputs(graph *g, const model *m, int level, int64_t batch, int64_t rows,
                       int with_state, level_rows *out) {
    const level_shape *shape = &m->shape[level];
    int64_t dim[] = {batch, rows, shape->unit_bytes};
    memset(out, 0, sizeof *out);
    out->batch = batch;
    out->rows = rows;
    out->source = graph_input(g, "source", DTYPE_I32, 3, dim);
    for (int i = 0; i < shape->n_rules; i++)
        out->first[i] = graph_input(g, "first", DTYPE_I32, 2, dim);
    if (shape->halo)
        out->run = graph_input(g, "run", DTYPE_I32, 2,
                               (int64_t[]){batch, shape->halo + rows * shape->unit_bytes});
    dim[2] = shape->unit_bytes * ngram_count(&shape->ngrams);
    if (dim[2])
        out->ngrams = graph_input(g, "ngrams", DTYPE_I32, 3, dim);
    if (config_learned_positions(&m->config.level[level]))
        out->place = graph_input(g, "place", DTYPE_I32, 2, dim);
    if (shape->whole_start)
        out->unit = graph_input(g, "unit", DTYPE_I32, 2, dim);
    if (shape->turns_units)
        out->turn = graph_input(g, "turn", DTYPE_I32, 2, dim);
    if (level)
        out->parent = graph_input(g, "parent", DTYPE_I32, 2, dim);
    dim[2] = shape->table_dim;
    if (shape->table_dim)
        out->table = graph_input(g, "table", DTYPE_F32, 3, dim);
    if (!with_state)
        return;
    out->slot = graph_input(g, "slot", DTYPE_I32, 1, dim);
    out->pos = graph_input(g, "pos", DTYPE_I32, 1, dim);
    out->count = graph_input(g, "count", DTYPE_I32, 1, dim);
}

octet_status model_rows_upload_bytes(program *p, const level_rows *rows, const row_arrays *a,
                                     octet_error *error) {
    octet_status status = OCTET_OK;
    if (rows->source->kind == TENSOR_INPUT) /* else the graph itself makes it */
        status = program_upload(p, rows->source, a->source, error);
    if (!status && rows->run)
        status = program_upload(p, rows->run, a->run, error);
    if (!status && rows->ngrams)
        status = program_upload(p, rows->ngrams, a->ngrams, error);
    return status;
}

octet_status model_rows_upload(program *p, const level_rows *rows, const row_arrays *a,
                               octet_error *error) {
    octet_status status = model_rows_upload_bytes(p, rows, a, error);
    for (int i = 0; i < LEVEL_MAX_RULES && rows->first[i] && !status; i++)
        status = program_upload(p, rows->first[i], a->first[i], error);
    if (!status && rows->place)
        status = program_upload(p, rows->place, a->place, error);
    if (!status && rows->parent)
        status = program_upload(p, rows->parent, a->parent, error);
    if (!status && rows->unit)
        status = program_upload(p, rows->unit, a->unit, error);
    if (!status && rows->turn)
        status = program_upload(p, rows->turn, a->turn, error);
    if (!status && rows->table)
        status = program_upload(p, rows->table, a->table, error);
    return status;
}

tensor *model_level_forward(graph *g, const model *m, int level, const level_rows *rows,
                            tensor *parent, variable *const *states) {
    if (level + 1 < m->config.n_levels)
        return global_forward(g, &m->global[level], rows, parent, states);
    return local_forward(g, &m->local, rows, parent, states);
}

tensor *model_forward(graph *g, const model *m, const level_rows *rows) {
    tensor *parent = NULL, *y = NULL;
    for (int s = 0; s < m->config.n_levels; s++) {
        y = model_level_forward(g, m, s, &rows[s], parent, NULL);
        if (!y)
            return NULL;
        parent = graph_reshape(g, y, 2, (int64_t[]){tensor_rows(y), tensor_columns(y)});
    }
    return y;
}

double model_weights_per_byte(const model *m) {
    double sum = (double)variable_elements(m->local.head);
    for (int i = 0; i < m->params.n; i++) {
        const param *p = m->params.list[i];
        if (p->group != PARAM_MATRIX)
            continue;
        int level = atoi(p->v.name + strlen("levels."));
        /* The split runs once for every unit of the next level, and these two for every byte. */
        int split = strstr(p->v.name, ".split") && m->config.level[level].split == SPLIT_SLICES;
        int each = strstr(p->v.name, ".encoder.") || strstr(p->v.name, ".ngrams.");
        int64_t unit = each ? 1 : m->shape[level + split].unit_bytes;
        sum += (double)variable_elements(&p->v) / (double)unit;
    }
    return sum;
}
