/* packing.h: what octet compress and octet decompress are made of: a run over files, files on their
 * way, and the models that they need. */
#ifndef CLI_PACKING_H
#define CLI_PACKING_H

#include <sys/stat.h>

#include "cli/cli.h"

#define PACKING_SUFFIX ".oct"
#define PACKING_MODELS 16 /* opened at most in one run */
#define PACKING_HEAD 65536

typedef struct packing {
    cli *cli;
    octet_compress_params coding;
    octet_decompress_params decoding;
    const char *model_name, *out_name, *codec, *range_text, *memory_text, *most_text, *profile;
    int64_t streams, block;
    int decompress, test, list, to_stdout, force, keep_source, remove_source, recover, samples;
    int64_t threads;
    octet_runtime *runtime;
    octet_model *models[PACKING_MODELS]; /* all that were opened; with -m the only one */
    int n_models;
    const volatile int *stop;
    json_t *rows; /* of --list --json */
    int code;
} packing;

/* One file on its way. */
typedef struct passage {
    packing *run;
    const char *name; /* of the input, for messages */
    int fd;
    struct stat st;
    int64_t size; /* of a regular input; -1: not known */
    output *out;  /* NULL: nobody wants the bytes */
    octet_model *model;
    uint8_t *media; /* [size]: what is read instead of the file: its audio as WAV; or NULL */
    char *head;     /* [PACKING_HEAD] */
    size_t head_n;
    size_t at; /* of what was read of the head, or of media */
    double start;
} passage;

/* --- packing_files.c */

/* The name of the output; NULL after an error. The caller frees it. */
char *packing_output_name(packing *run, const char *name);

/* Whether the output may be begun; if not, says why. */
int packing_may_write(packing *run, const char *path);

/* Opens the input and reads its head. */
octet_status passage_open(passage *p, packing *run, const char *name, octet_error *error);
void passage_close(passage *p);

/* Gives the whole input instead of the file. */
void passage_replace(passage *p, uint8_t *media, size_t size);

octet_io passage_io(passage *p);

/* Closes the output: under its name, with the input's mode and time, if status says that it is
 * whole; with --rm the source goes. */
octet_status passage_finish(passage *p, const char *source, output *file, octet_status status,
                            octet_error *error);

/* --- packing_models.c */

/* The runtime, and the model of -m, unless the run only lists. */
octet_status packing_open(packing *run, octet_error *error);
void packing_close(packing *run);

/* The model that a file is to be coded with, by -m or by the signature of its head. */
octet_status packing_coder(passage *p, octet_error *error);

/* The model that a compressed file was made with, by -m or among the bundled ones; NULL with
 * OCTET_OK where the header is too damaged to say. */
octet_status packing_decoder(passage *p, octet_error *error);

/* The open or bundled model of that fingerprint, or NULL. */
octet_model *packing_find(packing *run, const char *fingerprint);

/* Bytes of the model's file; -1: not known. */
int64_t packing_model_bytes(const octet_model *model);

/* --samples: the passage's file becomes the WAV file of its audio. */
octet_status packing_samples(passage *p, octet_error *error);

#endif
