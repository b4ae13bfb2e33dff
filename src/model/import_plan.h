/* import_plan.h: what an importer is written with, for import*.c only.
 *
 * An importer is one function that looks into the file, fills in a configuration and says which
 * tensor fills which parameter. Errors are sticky: after the first one nothing more happens, so
 * that an importer checks little. Every number that comes from a file or a setting is checked again
 * when the configuration is read and shapes are compared. */
#ifndef MODEL_IMPORT_PLAN_H
#define MODEL_IMPORT_PLAN_H

#include <jansson.h>

#include "base/arena.h"
#include "model/foreign.h"
#include "octet/import.h"

/* A part of a tensor that fills a parameter of ours. The tensor's lines along the output axis,
 * which are rows, or columns where it is transposed, become the parameter's rows. */
typedef struct import_move {
    const char *from, *to; /* names in the file and of the parameter; live as long as the plan */
    int rank;              /* of the tensor: 1 or 2 */
    int64_t first, lines;  /* the parameter's lines start here, of so many; lines 0: no others */
    int transposed;        /* the tensor is [in, out] */
    float offset;          /* added to every element */
} import_move;

/* Tensors that are skipped. `pattern` holds at most one *. */
typedef struct import_skip {
    const char *pattern, *why;
} import_skip;

typedef struct import_plan import_plan;

typedef struct import_format {
    const char *name, *about;
    const char *const *settings; /* known names; ends with NULL */
    const import_skip *skips;    /* ends with a pattern of NULL */
    void (*make)(import_plan *p);
} import_format;

extern const import_format IMPORT_MEGABYTE, IMPORT_MBLM, IMPORT_BGPT, IMPORT_NOTAGEN;

struct import_plan {
    const char *path; /* what errors call the file */
    const import_format *format;
    const foreign *file;
    json_t *settings; /* an object */
    json_t *config;   /* an object: the configuration */
    json_t *levels;   /* its levels, an array */
    import_move *moves;
    size_t n_moves, moves_capacity;
    const char *tied[2];   /* two tensors that must be equal; the first may be absent */
    const char *notes[16]; /* for the report */
    int n_notes;
    char missing[400]; /* what must be set */
    arena memory;
    octet_error error; /* sticky */
};

#if defined(__GNUC__)
#define IMPORT_FORMAT(string, first) __attribute__((format(printf, string, first)))
#else
#define IMPORT_FORMAT(string, first)
#endif

/* "PATH: " and the text; only the first failure counts. */
void import_fail(import_plan *p, octet_status code, const char *format, ...) IMPORT_FORMAT(3, 4);

/* A text that lives as long as the plan; "" after an error. */
const char *import_name(import_plan *p, const char *format, ...) IMPORT_FORMAT(2, 3);

/* A line of the report. */
void import_note(import_plan *p, const char *format, ...) IMPORT_FORMAT(2, 3);

/* The tensor of that name or NULL; one that must be there, of that rank, none of its dimensions 0.
 * The second is NULL after an error only. */
const foreign_tensor *import_find(const import_plan *p, const char *name);
const foreign_tensor *import_need(import_plan *p, const char *name, int rank);

/* How many tensors there are called before0after, before1after, ...; more than `most` is an error.
 */
int import_count(import_plan *p, const char *before, const char *after, int most);

/* Adds a move, by its fields, or of a whole tensor. */
void import_add(import_plan *p, const import_move *m);
void import_whole(import_plan *p, const char *from, const char *to, int rank);

/* Sets a key of an object of the configuration; takes over `value`, NULL is want of memory. */
void import_set(import_plan *p, json_t *object, const char *key, json_t *value);

/* a b, INT64_MAX where that is too much; neither is negative. */
int64_t import_product(int64_t a, int64_t b);

/* --- settings, in import_settings.c */

/* Settings that are in an object, and what errors call its place ("", "block[0]."). */
typedef struct import_place {
    const json_t *object;
    const char *name;
} import_place;

/* Reads what is given into p->settings. */
void import_settings_read(import_plan *p, const octet_import_params *given);

/* Refuses names that are not in the list, which ends with NULL. */
void import_settings_known(import_plan *p, const import_place *at, const char *const *names);

/* Whether the setting is there, not null, and of its type (else an error): its value then is in
 * *value, which stays as it is otherwise. Integers are from 0 to 2^24. */
int import_integer(import_plan *p, const import_place *at, const char *name, int64_t *value);
int import_real(import_plan *p, const import_place *at, const char *name, double *value);
int import_flag(import_plan *p, const import_place *at, const char *name, int *value);
int import_text(import_plan *p, const import_place *at, const char *name, const char **value);

/* Fails where a setting is there and is not what the file has: a number, or n of them, for which
 * one number stands where all are equal; an item of `skip` (-1: none) is not compared. */
void import_agree(import_plan *p, const import_place *at, const char *name, int64_t found);
void import_agree_list(import_plan *p, const import_place *at, const char *name,
                       const int64_t *found, int n, int skip);

/* Adds to what must be set and is not. */
void import_ask(import_plan *p, const char *format, ...) IMPORT_FORMAT(2, 3);

#endif
