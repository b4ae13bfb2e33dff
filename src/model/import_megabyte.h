/* import_megabyte.h: the tensors of MEGABYTE-pytorch and of its fork MBLM, for import*.c only. */
#ifndef MODEL_IMPORT_MEGABYTE_H
#define MODEL_IMPORT_MEGABYTE_H

#include "model/config.h"
#include "model/import_plan.h"

/* Its norms divide by max(rms, 1e-8). Ours divide by sqrt(rms^2 + epsilon): the same but where rms
 * is near 1e-8. */
#define MEGABYTE_EPSILON 1e-16

/* A level, with the names that MEGABYTE-pytorch has for its sizes in quotes. */
typedef struct megabyte_level {
    int64_t dim, layers;
    int64_t hidden;      /* of the MLP: dim "ff_mult" */
    int64_t length;      /* "max_seq_len": units in one of the level above, or in a context */
    int64_t width, keys; /* rows of to_q, and of to_kv */
    int64_t heads, head_size, kv_heads;
    int learned, rotary; /* positions */
    int embed_rope;
} megabyte_level;

typedef struct megabyte {
    int n;
    int mblm;       /* the names are MBLM's */
    int old_tables; /* MBLM: those of the byte tables are of 0.4.0 and older */
    int64_t vocabulary;
    float offset; /* added to the starts of inner levels */
    megabyte_level level[CONFIG_MAX_LEVELS];
} megabyte;

/* Which tensor fills which parameter, for all of the model. */
void megabyte_moves(import_plan *p, const megabyte *m);

/* --- in the order of an importer; the names of settings differ */

/* Sizes from shapes; the outermost length only where there is a table of positions. */
void megabyte_read_sizes(import_plan *p, megabyte *m);

/* Holds the number of symbols, the widths and the depths against settings of those names. */
void megabyte_agree_sizes(import_plan *p, const megabyte *m, const import_place *at,
                          const char *const names[3]);

/* Whether the level turns its keys: a file without the table may still do, where a setting says so.
 */
void megabyte_agree_rotary(import_plan *p, const import_place *at, const char *name,
                           megabyte_level *l);

/* Fails unless learned positions are given where the file has them, and only there. */
void megabyte_agree_learned(import_plan *p, const import_place *at, const char *name, int given,
                            int found);

/* Cuts the rows of to_q into heads: their number and size are what settings say, or 0. One
 * key-value head for all (before 0.3.0) and rotary positions tell the size. heads stays 0 where
 * nothing tells.
 */
void megabyte_cut_heads(import_plan *p, megabyte *m, int s, int64_t heads, int64_t size);

/* The setting of lengths: a list of all, or the outermost one, which is asked for if need be. */
void megabyte_take_lengths(import_plan *p, megabyte *m, const import_place *at, const char *name);

/* The configuration of a model whose sizes are all known. */
void megabyte_write_config(import_plan *p, const megabyte *m);

#endif
