/* api_plot.c: octet/plot.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_media.h"
#include "codec/encode.h"
#include "eval/score_windows.h"
#include "octet/plot.h"
#include "plot/sound_picture.h"

/* One file: what the track points to. */
typedef struct plotted {
    char title[128];
    float *x, *bits;
} plotted;

typedef struct bits_sum {
    float *bits; /* of frames */
    size_t frame_bytes;
} bits_sum;

static int add_bits(void *context, int64_t offset, const uint8_t *bytes, const float *bits,
                    size_t n) {
    const bits_sum *sum = context;
    (void)bytes;
    for (size_t i = 0; i < n; i++)
        sum->bits[((size_t)offset + i) / sum->frame_bytes] += bits[i];
    return 0;
}

/* The samples, all channels averaged. */
static octet_status read_sound(plotted *p, sound_track *t, const file_bytes *f, const char *path,
                               octet_error *error) {
    const octet_encode_params how = {.codec = "pcm16", .channels = 1};
    const char *name = strcmp(path, "-") ? path : "standard input";
    const size_t length = strlen(name);
    octet_encoded e;
    octet_status status = encode_memory(&e, f->data, f->size, name, &how, error);
    if (status)
        return status;
    t->sound = (sound){.n = e.media.frames, .rate_hz = e.media.rate_hz};
    t->sound.x = p->x = malloc((size_t)e.media.frames * sizeof *p->x + 1);
    if (!p->x)
        status = error_memory(error, name, (double)e.media.frames * sizeof *p->x);
    for (int64_t i = 0; i < e.media.frames && !status; i++) {
        const int word = e.bytes[2 * i] << 8 | e.bytes[2 * i + 1];
        p->x[i] = (float)(word < 32768 ? word : word - 65536) / 32768;
    }
    snprintf(p->title, sizeof p->title, "%s%s   %d Hz, %d channel%s, %.3f s",
             length > 64 ? "..." : "", length > 64 ? name + length - 61 : name, e.media.rate_hz,
             e.losses.channels_from, e.losses.channels_from == 1 ? "" : "s",
             (double)e.media.frames / e.media.rate_hz);
    t->title = p->title;
    free(e.bytes);
    return status;
}

static octet_status read_bits(plotted *p, sound_track *t, const file_bytes *f, const char *path,
                              const octet_plot_params *want, octet_error *error) {
    const config *c = &want->model->model->config;
    const octet_encode_params how = {
        .codec = config_codec_name(c), .rate_hz = (int)c->rate_hz, .channels = (int)c->channels};
    octet_encoded e;
    double bits;
    octet_status status = encode_memory(&e, f->data, f->size, path, &how, error);
    if (status)
        return status;
    bits_sum sum = {.frame_bytes = e.media.frames ? e.size / (size_t)e.media.frames : 1};
    t->bits = p->bits = sum.bits = calloc((size_t)e.media.frames + 1, sizeof *p->bits);
    t->n_bits = e.media.frames;
    t->bits_rate_hz = e.media.rate_hz;
    const octet_score_params how_scored = {
        .keep = -1, .visit = add_bits, .context = &sum, .stop = want->stop};
    status = p->bits ? score_windows(want->model->model, e.bytes, e.size, &how_scored, &bits, error)
                     : error_memory(error, path, (double)e.media.frames * sizeof *p->bits);
    free(e.bytes);
    return status;
}

static octet_status read_track(plotted *p, sound_track *t, const char *path,
                               const octet_plot_params *want, octet_error *error) {
    file_bytes f;
    octet_status status = file_read(&f, path, OCTET_MEDIA_BYTES, error);
    if (status)
        return status;
    status = read_sound(p, t, &f, path, error);
    if (!status && want->model)
        status = read_bits(p, t, &f, path, want, error);
    file_close(&f);
    if (!status && want->stop && *want->stop)
        status = error_set(error, OCTET_STOPPED, "stopped");
    return status;
}

octet_status octet_plot(const octet_plot_params *want, const char *path, octet_error *error) {
    plotted files[OCTET_PLOT_FILES] = {0};
    sound_track tracks[OCTET_PLOT_FILES] = {0};
    octet_status status = OCTET_OK;
    if (want->n_paths < 1 || want->n_paths > OCTET_PLOT_FILES)
        return error_set(error, OCTET_ERROR, "%d files are not 1 to %d", want->n_paths,
                         OCTET_PLOT_FILES);
    if (want->model)
        status = media_need_codec(want->model, error);
    for (int i = 0; i < want->n_paths && !status; i++)
        status = read_track(&files[i], &tracks[i], want->paths[i], want, error);
    if (!status)
        status = sound_picture_draw(tracks, want->n_paths, want->mark, path, error);
    for (int i = 0; i < want->n_paths; i++) {
        free(files[i].x);
        free(files[i].bits);
    }
    return status;
}
