/* data.h: the bytes to train on: files in order, cut into windows, in an order that is a pure
 * function of (seed, index).
 *
 * Each file is a part of its own; no window crosses from one into another. In an epoch every byte
 * of every training part is in exactly one window. A part of n bytes with context C gives, the same
 * in every epoch,
 *     1                window  when n <= C,
 *     floor(n / C) + 1 windows otherwise, or one more where that leaves the grid more freedom at
 *                      little cost: when n >= 8 C and n mod C > C / 2.
 * All hold C bytes but the first and the last, which share what is left over. The grid is shifted
 * anew for each part and epoch: the length of the first window is uniform among all lengths for
 * which neither it nor the last one is empty or above C (and that are multiples of `align`, where
 * windows must begin there: where C is no more than that, the grid stays). The order of an epoch's
 * windows is a permutation computed by a Feistel network over the index, so there is no table and
 * no state: resuming at window i needs nothing but i. */
#ifndef TRAIN_DATA_H
#define TRAIN_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

/* What to open. load gives the bytes of a file, as file_open does; NULL: as they are. */
typedef struct data_source {
    const char *const *paths; /* files and directories to train on */
    size_t n_paths;
    const char *const *valid; /* to validate on; none: tails of the training files */
    size_t n_valid;
    octet_status (*load)(void *context, file_bytes *out, const char *path, octet_error *error);
    void *context;
    int64_t align;   /* windows begin at multiples of it in their file; divides context; 0 is 1 */
    int whole_files; /* 1: whole files are held out, not tails */
} data_source;

/* Not changed after data_open, so that threads may share it. */
typedef struct data data;

/* Opens the source's files and directories, in windows of context >= 1 bytes. Directories
 * are taken recursively, entries in byte order of their names; hidden entries (".x") and what is no
 * regular file are skipped there, links to files are followed, links to directories are not. Empty
 * files are skipped. Files of 1 MiB and more are mapped: they must not be cut short while open.
 *
 * Without validation files (n_valid 0) the tail of each training file is held out and never trained
 * on: 5% of it, at most 2 MiB; but at least one context where the file has eight. With whole_files
 * every 20th file is held out whole, the 11th first.
 *
 * OCTET_ERROR: a path that is missing or cannot be read; no bytes at all to train on, or to
 * validate on though paths are given (the message names the paths). *out is NULL then. */
octet_status data_open(data **out, const data_source *source, int64_t context, uint64_t seed,
                       octet_error *error);

/* Training data of n bytes in memory, which must outlive it; nothing is held out. OCTET_ERROR when
 * n is 0. */
octet_status data_open_memory(data **out, const uint8_t *bytes, size_t n, int64_t context,
                              uint64_t seed, octet_error *error);

/* Accepts NULL; sets *d to NULL. */
void data_close(data **d);

/* Copies window `index` of a run without end to out[context]: epoch index / data_epoch_windows.
 * Returns its length, 1 to context; what follows in out stays as it is and is the caller's to pad.
 */
size_t data_window(const data *d, uint64_t index, uint8_t *out);

/* Windows in an epoch. */
uint64_t data_epoch_windows(const data *d);

/* Bytes to train on, in all. */
uint64_t data_train_bytes(const data *d);

/* The validation data: a part of each file that gives one, in order. Part i in [0,
 * data_valid_files) has *n >= 1 bytes, valid until data_close. */
size_t data_valid_files(const data *d);
const uint8_t *data_valid_part(const data *d, size_t i, size_t *n);

/* XXH3-64 over the sizes and the first and last 4,096 bytes of all training and validation parts,
 * not over names: tells data of another run from these, cheaply. */
uint64_t data_fingerprint(const data *d);

#endif
