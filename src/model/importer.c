/* importer.c: what all importers share: from a plan to a model.
 *
 * First everything is checked by names and shapes: every tensor has a use or a rule that skips it,
 * every parameter has one tensor of its shape. Then memory is taken, and tensors are read one at a
 * time. */
#include "model/importer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"
#include "model/import_plan.h"

static const import_format *const FORMATS[] = {&IMPORT_MEGABYTE, &IMPORT_MBLM, &IMPORT_BGPT,
                                               &IMPORT_NOTAGEN};
enum { N_FORMATS = sizeof FORMATS / sizeof *FORMATS };

/* --- for importers */

void import_fail(import_plan *p, octet_status code, const char *format, ...) {
    char text[350];
    va_list arguments;
    if (p->error.code)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&p->error, code, "%.150s: %s", p->path, text);
}

const char *import_name(import_plan *p, const char *format, ...) {
    char text[512];
    va_list arguments;
    if (p->error.code)
        return "";
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *kept = arena_strdup(&p->memory, text);
    if (!kept)
        error_memory(&p->error, p->path, sizeof text);
    return kept ? kept : "";
}

void import_note(import_plan *p, const char *format, ...) {
    char text[512];
    va_list arguments;
    if (p->error.code || p->n_notes == sizeof p->notes / sizeof *p->notes)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    p->notes[p->n_notes++] = import_name(p, "%s", text);
}

const foreign_tensor *import_find(const import_plan *p, const char *name) {
    return p->file ? foreign_find(p->file, name) : NULL;
}

const foreign_tensor *import_need(import_plan *p, const char *name, int rank) {
    if (p->error.code)
        return NULL;
    const foreign_tensor *t = import_find(p, name);
    if (!t)
        import_fail(p, OCTET_CORRUPT, "tensor %s is missing; is this a file of %s?", name,
                    p->format->name);
    else if (t->rank != rank)
        import_fail(p, OCTET_CORRUPT, "tensor %s has %d dimensions, %d are needed", name, t->rank,
                    rank);
    for (int i = 0; i < rank && !p->error.code; i++)
        if (t->dim[i] < 1)
            import_fail(p, OCTET_CORRUPT, "tensor %s: dimension %d is %" PRId64 ", not 1 or more",
                        name, i, t->dim[i]);
    return p->error.code ? NULL : t;
}

int import_count(import_plan *p, const char *before, const char *after, int most) {
    char name[512];
    for (int n = 0; n <= most && !p->error.code; n++) {
        snprintf(name, sizeof name, "%s%d%s", before, n, after);
        if (!import_find(p, name))
            return n;
    }
    import_fail(p, OCTET_CORRUPT, "tensor %s%d%s: there are more than the limit of %d", before,
                most, after, most);
    return 0;
}

void import_add(import_plan *p, const import_move *m) {
    if (p->error.code)
        return;
    if (p->n_moves == p->moves_capacity) {
        size_t capacity = p->moves_capacity ? 2 * p->moves_capacity : 256;
        import_move *larger = realloc(p->moves, capacity * sizeof *larger);
        if (!larger) {
            error_memory(&p->error, p->path, (double)capacity * sizeof *larger);
            return;
        }
        p->moves = larger;
        p->moves_capacity = capacity;
    }
    p->moves[p->n_moves++] = *m;
}

void import_whole(import_plan *p, const char *from, const char *to, int rank) {
    import_add(p, &(import_move){.from = from, .to = to, .rank = rank});
}

void import_set(import_plan *p, json_t *object, const char *key, json_t *value) {
    if (p->error.code)
        json_decref(value);
    else if (json_object_set_new(object, key, value))
        error_memory(&p->error, p->path, 64);
}

int64_t import_product(int64_t a, int64_t b) {
    return a != 0 && b > INT64_MAX / a ? INT64_MAX : a * b;
}

/* --- every tensor has a use, every parameter a tensor */

/* Where the tensor is in the file; foreign_count when it is not there. */
static size_t index_of(const foreign *f, const char *name) {
    size_t low = 0, high = foreign_count(f);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(foreign_at(f, middle)->name, name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return foreign_count(f);
}

static int matches(const char *pattern, const char *name) {
    const char *star = strchr(pattern, '*');
    size_t n = strlen(name), before = star ? (size_t)(star - pattern) : strlen(pattern);
    if (!star)
        return !strcmp(pattern, name);
    size_t after = strlen(star + 1);
    return n >= before + after && !strncmp(pattern, name, before) &&
           !strcmp(star + 1, name + n - after);
}

static const import_skip *rule_for(const import_plan *p, const char *name) {
    for (const import_skip *s = p->format->skips; s->pattern; s++)
        if (matches(s->pattern, name))
            return s;
    return NULL;
}

static void check_tensors(import_plan *p, const octet_import_params *given) {
    size_t n = foreign_count(p->file);
    char line[512], *used = calloc(n + 1, 1);
    if (!used) {
        error_memory(&p->error, p->path, (double)n);
        return;
    }
    for (size_t i = 0; i < p->n_moves; i++)
        used[index_of(p->file, p->moves[i].from)] = 1;
    for (int i = 0; i < 2; i++)
        if (p->tied[0])
            used[index_of(p->file, p->tied[i])] = 1;
    for (size_t i = 0; i < n && !p->error.code; i++) {
        const char *name = foreign_at(p->file, i)->name;
        const import_skip *rule = used[i] ? NULL : rule_for(p, name);
        if (!used[i] && !rule)
            import_fail(p, OCTET_CORRUPT, "tensor %s is of no use to a model of %s", name,
                        p->format->name);
        else if (!used[i] && given && given->report) {
            snprintf(line, sizeof line, "%s: skipped, %s", name, rule->why);
            given->report(given->context, line);
        }
    }
    free(used);
}

/* The shape that a tensor must have to fill the variable. */
static tensor shape_for(const import_move *m, const variable *v) {
    int64_t rows = v->dim[0], columns = v->rank > 1 ? v->dim[1] : 1;
    int64_t lines = m->lines ? m->lines : rows;
    tensor wanted = {.rank = m->rank};
    if (m->rank == 1) /* a vector may fill a matrix of one row */
        wanted.dim[0] = m->lines ? lines : rows * columns;
    else {
        wanted.dim[m->transposed] = lines;
        wanted.dim[!m->transposed] = columns;
    }
    return wanted;
}

static void check_shape(import_plan *p, const import_move *m, const variable *v) {
    const foreign_tensor *t = import_find(p, m->from);
    tensor wanted = shape_for(m, v), found = {0};
    char a[160], b[160];
    if (!t) {
        import_fail(p, OCTET_CORRUPT, "tensor %s is missing", m->from);
        return;
    }
    int fits = t->rank == wanted.rank;
    found.rank = t->rank < TENSOR_MAX_RANK ? t->rank : TENSOR_MAX_RANK;
    for (int i = 0; i < found.rank; i++) {
        found.dim[i] = t->dim[i];
        fits = fits && t->dim[i] == wanted.dim[i];
    }
    assert(m->first + v->dim[0] <= (m->lines ? m->lines : v->dim[0]));
    if (!fits)
        import_fail(p, OCTET_CORRUPT, "tensor %s has shape %s, %s is needed for %s", m->from,
                    tensor_describe(a, sizeof a, &found), tensor_describe(b, sizeof b, &wanted),
                    m->to);
}

/* Which parameter a move fills; each exactly once. */
static void check_moves(import_plan *p, const params *ours) {
    const char **filled = calloc((size_t)ours->n + 1, sizeof *filled);
    if (!filled) {
        error_memory(&p->error, p->path, (double)ours->n * sizeof *filled);
        return;
    }
    for (size_t i = 0; i < p->n_moves && !p->error.code; i++) {
        const import_move *m = &p->moves[i];
        int k = 0;
        while (k < ours->n && strcmp(ours->list[k]->v.name, m->to))
            k++;
        if (k == ours->n)
            import_fail(p, OCTET_CORRUPT, "tensor %s: the model has no %s", m->from, m->to);
        else if (filled[k])
            import_fail(p, OCTET_CORRUPT, "%s is filled by %s and by %s", m->to, filled[k],
                        m->from);
        else {
            filled[k] = m->from;
            check_shape(p, m, &ours->list[k]->v);
        }
    }
    for (int k = 0; k < ours->n && !p->error.code; k++)
        if (!filled[k])
            import_fail(p, OCTET_CORRUPT, "nothing in the file fills %s", ours->list[k]->v.name);
    free(filled);
}

/* --- values */

/* The tensor's elements, malloc'd; NULL after an error. */
static float *read_tensor(import_plan *p, const foreign_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n = import_product(n, t->dim[i]);
    float *values =
        n > INT64_MAX / 4 || (size_t)n > SIZE_MAX / 4 ? NULL : malloc((size_t)n * sizeof *values);
    if (!values)
        error_memory(&p->error, t->name, (double)n * sizeof *values);
    else if (foreign_read(values, p->file, t, &p->error)) {
        free(values);
        values = NULL;
    }
    return values;
}

/* out[rows][columns] of the variable. */
static void take_part(float *out, const import_move *m, const variable *v, const float *in) {
    int64_t rows = v->dim[0], columns = v->rank > 1 ? v->dim[1] : 1;
    int64_t lines = m->lines ? m->lines : rows;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            out[r * columns + c] =
                m->transposed ? in[c * lines + m->first + r] : in[(m->first + r) * columns + c];
    for (int64_t i = 0; i < rows * columns && m->offset != 0; i++)
        out[i] += m->offset;
}

static void fill_one(import_plan *p, const import_move *m, backend *b, variable *v) {
    size_t n = (size_t)variable_elements(v);
    float *in = read_tensor(p, import_find(p, m->from));
    float *out = malloc(n * sizeof *out + 1);
    if (!out)
        error_memory(&p->error, v->name, (double)n * sizeof *out);
    if (in && out) {
        take_part(out, m, v, in);
        backend_write(b, v, 0, (int64_t)n, out, &p->error);
    }
    free(in);
    free(out);
}

/* Tied tensors are stored twice, once, or as one storage under two names. */
static void check_tied(import_plan *p) {
    const foreign_tensor *a = p->tied[0] ? import_find(p, p->tied[0]) : NULL;
    const foreign_tensor *b = p->tied[0] ? import_need(p, p->tied[1], 2) : NULL;
    if (!a || !b)
        return;
    if (a->rank != 2 || a->dim[0] != b->dim[0] || a->dim[1] != b->dim[1]) {
        import_fail(p, OCTET_CORRUPT, "tensors %s and %s are one, but differ in shape", a->name,
                    b->name);
        return;
    }
    float *x = read_tensor(p, a), *y = p->error.code ? NULL : read_tensor(p, b);
    for (int64_t i = 0; x && y && i < a->dim[0] * a->dim[1]; i++)
        if (x[i] != y[i])
            import_fail(p, OCTET_CORRUPT,
                        "tensors %s and %s are one, but element %" PRId64 " is %g and %g", a->name,
                        b->name, i, (double)x[i], (double)y[i]);
    free(x);
    free(y);
}

/* --- from plan to model */

static void read_config(import_plan *p, config *c) {
    import_set(p, p->config, "levels", json_incref(p->levels));
    char *text = p->error.code ? NULL : json_dumps(p->config, JSON_REAL_PRECISION(17));
    if (!p->error.code && !text)
        error_memory(&p->error, p->path, 4096);
    /* What a configuration cannot say is a model that is not supported. */
    if (text && config_parse(c, text, strlen(text), p->path, &p->error) == OCTET_ERROR)
        p->error.code = OCTET_CORRUPT;
    free(text);
}

static void ask(import_plan *p) {
    if (*p->missing)
        import_fail(p, OCTET_ERROR, "not in the file: %s", p->missing);
}

static void build(import_plan *p, model **out, backend *b, const octet_import_params *given) {
    config c;
    import_settings_read(p, given);
    if (!p->error.code)
        p->format->make(p);
    ask(p);
    read_config(p, &c);
    if (!p->error.code)
        model_outline(out, NULL, &c, &p->error);
    if (!p->error.code)
        check_moves(p, &(*out)->params);
    if (!p->error.code)
        check_tensors(p, given);
    for (int i = 0; i < p->n_notes && !p->error.code; i++)
        if (given && given->report)
            given->report(given->context, p->notes[i]);
    check_tied(p);
    if (!p->error.code)
        model_allocate(*out, b, &p->error);
    for (size_t i = 0; i < p->n_moves && !p->error.code; i++)
        fill_one(p, &p->moves[i], b, &params_find(&(*out)->params, p->moves[i].to)->v);
    if (!p->error.code)
        checkpoint_fingerprint(*out, &p->error);
}

static const import_format *find_format(const char *name, octet_error *error) {
    char names[200] = "";
    for (int i = 0; i < N_FORMATS; i++) {
        size_t used = strlen(names);
        if (!strcmp(FORMATS[i]->name, name))
            return FORMATS[i];
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", FORMATS[i]->name);
    }
    error_set(error, OCTET_ERROR, "format \"%.60s\" is none of %s", name, names);
    return NULL;
}

octet_status import_model(model **out, backend *b, const char *format, const char *path,
                          const octet_import_params *given, octet_error *error) {
    *out = NULL;
    const import_format *found = find_format(format, error);
    if (!found)
        return OCTET_ERROR;
    foreign *file = NULL;
    octet_status status = foreign_open(&file, path, error);
    if (status)
        return status;
    import_plan p = {.path = path,
                     .format = found,
                     .file = file,
                     .settings = json_object(),
                     .config = json_object(),
                     .levels = json_array()};
    if (!p.settings || !p.config || !p.levels)
        error_memory(&p.error, path, 4096);
    build(&p, out, b, given);
    status = p.error.code;
    if (status) {
        error_set(error, status, "%s", p.error.text);
        model_destroy(out);
    }
    json_decref(p.settings);
    json_decref(p.config);
    json_decref(p.levels);
    free(p.moves);
    arena_finish(&p.memory);
    foreign_close(&file);
    return status;
}

void import_list(void (*visit)(void *context, const char *name, const char *about,
                               const char *const *settings),
                 void *context) {
    for (int i = 0; i < N_FORMATS; i++)
        visit(context, FORMATS[i]->name, FORMATS[i]->about, FORMATS[i]->settings);
}
