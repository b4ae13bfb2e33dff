/* packing_models.c: which model a file is coded with, and which one it was.
 *
 * Coding: -m, else by the signature of the file: a bundled model that reads the samples of WAV as
 * they are, else "text". Decoding: -m, else the bundled model whose fingerprint the file names. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/packing.h"

#define SPEECH "speech" /* the bundled model of audio */
#define TEXT "text"
#define SECONDS_MOST 1e9

static octet_status open_model(packing *run, const char *name, octet_model **model,
                               octet_error *error) {
    octet_model_info info;
    *model = NULL;
    if (run->n_models == PACKING_MODELS) {
        error->code = OCTET_ERROR;
        snprintf(error->text, sizeof error->text, "more than %d models", PACKING_MODELS);
        return OCTET_ERROR;
    }
    octet_status status = cli_model(name, run->runtime, model, error);
    if (status)
        return status;
    run->models[run->n_models++] = *model;
    octet_model_info_get(*model, &info);
    cli_detail(run->cli, "model %s, %lld parameters, fingerprint %s", info.path,
               (long long)info.parameters, info.fingerprint);
    return OCTET_OK;
}

octet_status packing_open(packing *run, octet_error *error) {
    octet_model *model;
    octet_status status = cli_runtime(run->cli, OCTET_MATMUL_EXACT, &run->runtime, error);
    if (!status && run->model_name && !run->list)
        status = open_model(run, run->model_name, &model, error);
    if (status)
        packing_close(run);
    return status;
}

void packing_close(packing *run) {
    for (int i = 0; i < run->n_models; i++)
        octet_model_destroy(&run->models[i]);
    octet_runtime_destroy(&run->runtime);
}

/* --- bundled models */

/* A search by name (path is filled), or through all (visited by index). */
typedef struct bundle {
    const char *name;
    int index, wanted;
    char path[4096];
} bundle;

static void visit(void *context, const char *name, const char *path) {
    bundle *b = context;
    const int is_it = b->name ? !strcmp(name, b->name) : b->index++ == b->wanted;
    if (is_it && !*b->path && strlen(path) < sizeof b->path)
        strcpy(b->path, path);
}

static octet_model *opened(const packing *run, const char *path) {
    for (int i = 0; i < run->n_models; i++) {
        octet_model_info info;
        octet_model_info_get(run->models[i], &info);
        if (!strcmp(info.path, path))
            return run->models[i];
    }
    return NULL;
}

/* The bundled model of that name; NULL where there is none or it does not open. */
static octet_model *open_bundled(packing *run, const char *name) {
    octet_error ignored = {0};
    bundle b = {.name = name};
    octet_models_list(visit, &b);
    octet_model *model = *b.path ? opened(run, b.path) : NULL;
    if (*b.path && !model)
        (void)!open_model(run, b.path, &model, &ignored);
    return model;
}

octet_model *packing_find(packing *run, const char *fingerprint) {
    octet_model_info info;
    octet_error ignored = {0};
    for (int i = 0; i < run->n_models; i++) {
        octet_model_info_get(run->models[i], &info);
        if (!strcmp(info.fingerprint, fingerprint))
            return run->models[i];
    }
    for (int i = 0; !run->model_name; i++) {
        bundle b = {.wanted = i};
        octet_model *model;
        octet_models_list(visit, &b);
        if (!*b.path)
            return NULL;
        if (opened(run, b.path) || open_model(run, b.path, &model, &ignored))
            continue;
        octet_model_info_get(model, &info);
        if (!strcmp(info.fingerprint, fingerprint))
            return model;
    }
    return NULL;
}

int64_t packing_model_bytes(const octet_model *model) {
    octet_model_info info;
    struct stat st;
    octet_model_info_get(model, &info);
    return stat(info.path, &st) ? -1 : (int64_t)st.st_size;
}

/* --- coding */

static octet_status named_or_text(passage *p, octet_error *error) {
    packing *run = p->run;
    if (run->model_name && run->n_models) {
        p->model = run->models[0];
        return OCTET_OK;
    }
    p->model = run->model_name ? NULL : open_bundled(run, TEXT);
    return p->model ? OCTET_OK : open_model(run, run->model_name, &p->model, error);
}

octet_status packing_coder(passage *p, octet_error *error) {
    packing *run = p->run;
    const char *media = octet_media_signature(p->head, p->head_n);
    const int raw = run->codec && !strcmp(run->codec, "raw");
    const int asked = run->codec && !strcmp(run->codec, "audio");
    char why[160] = "";
    if (media && !raw && !run->model_name) {
        octet_model *speech = open_bundled(run, SPEECH);
        if (speech && octet_compress_hears(speech, p->head, p->head_n, why)) {
            p->model = speech;
            return OCTET_OK;
        }
        if (!speech)
            strcpy(why, "no bundled model reads samples");
    }
    octet_status status = named_or_text(p, error);
    if (status || raw)
        return status;
    if (run->model_name && octet_compress_hears(p->model, p->head, p->head_n, why))
        return OCTET_OK;
    if (media && !strcmp(media, "flac"))
        cli_remark(run->cli,
                   "%s: FLAC, compressed already, is coded as it is; --samples codes its "
                   "audio",
                   p->name);
    else if (asked || (media && !run->model_name))
        cli_remark(run->cli, "%s: coded as bytes: %s", p->name, why);
    return OCTET_OK;
}

/* The name of the model's codec, from its configuration. The caller frees it. */
static char *codec_of(const octet_model *model) {
    octet_model_info info;
    octet_model_info_get(model, &info);
    json_t *config = json_loads(info.config, 0, NULL);
    const char *name = json_string_value(json_object_get(config, "codec"));
    char *copy = strdup(name ? name : "raw");
    json_decref(config);
    return copy;
}

octet_status packing_samples(passage *p, octet_error *error) {
    packing *run = p->run;
    octet_encoded encoded = {0};
    uint8_t *wav = NULL;
    size_t size = 0;
    p->model = run->model_name ? NULL : open_bundled(run, SPEECH);
    octet_status status = p->model ? OCTET_OK : named_or_text(p, error);
    char *codec = status ? NULL : codec_of(p->model);
    const octet_encode_params how = {.codec = codec, .max_seconds = SECONDS_MOST};
    if (!status && p->fd == STDIN_FILENO) {
        status = error->code = OCTET_ERROR;
        snprintf(error->text, sizeof error->text, "--samples: needs a file, not standard input");
    }
    if (!status && (!codec || !strcmp(codec, "raw"))) {
        status = error->code = OCTET_ERROR;
        snprintf(error->text, sizeof error->text, "--samples: the model reads bytes, not samples");
    }
    if (!status)
        status = octet_encode_file(&encoded, p->name, &how, error);
    if (!status && !encoded.media.lossless) {
        status = error->code = OCTET_ERROR;
        snprintf(error->text, sizeof error->text,
                 "%.200s: its samples, %s in %s, cannot be kept as %s, which the model reads",
                 p->name, encoded.media.samples, encoded.media.container, codec);
    }
    encoded.media.lossless = 0; /* WAV of the codec's samples, not of the source's */
    if (!status)
        status = octet_decode_memory(&wav, &size, &encoded.media, encoded.bytes, "wav", error);
    if (!status) {
        cli_remark(run->cli, "%s: its audio is kept, as WAV, not the file", p->name);
        passage_replace(p, wav, size);
    }
    octet_encoded_free(&encoded);
    free(codec);
    return status;
}

/* --- decoding */

/* "text 0123..., speech 4567...", as many as fit. */
static void name_models(const packing *run, char *text, size_t size) {
    size_t used = 0;
    for (int i = 0; i < run->n_models && used < size; i++) {
        octet_model_info info;
        octet_model_info_get(run->models[i], &info);
        const char *slash = strrchr(info.path, '/'), *name = slash ? slash + 1 : info.path;
        used += (size_t)snprintf(text + used, size - used, "%s%.*s is %s", i ? ", " : "",
                                 (int)strcspn(name, "."), name, info.fingerprint);
    }
}

octet_status packing_decoder(passage *p, octet_error *error) {
    packing *run = p->run;
    char needed[33], names[300] = "none is there";
    if (run->model_name)
        return named_or_text(p, error);
    if (p->head_n < 64 || octet_compressed_model(needed, (uint8_t *)p->head, p->name, NULL))
        return OCTET_OK;
    p->model = packing_find(run, needed);
    if (p->model)
        return OCTET_OK;
    name_models(run, names, sizeof names);
    error->code = OCTET_WRONG_MODEL;
    snprintf(error->text, sizeof error->text,
             "%.100s: compressed with the model %s, no bundled one (%s): -m MODEL names it",
             p->name, needed, names);
    return OCTET_WRONG_MODEL;
}
