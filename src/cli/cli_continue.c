/* cli_continue.c: octet continue: a clip of audio, and what a model thinks follows it.
 *
 * To standard output the join goes as a stream while it is made; a file is written when all of it
 * is there. Several continuations are one batch and a file each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli_codec.h"
#include "cli/cli_sampling.h"
#include "cli/signals.h"

#define PATH_BYTES 4096

static const option_usage usage = {
    "[-m MODEL] CLIP [--seconds S] [-o OUT]",
    "Continues a clip of audio with a model that was trained with an audio codec. OUT has the\n"
    "clip's rate, channels and samples, unchanged, and right after them the new ones. Its format\n"
    "is that of its suffix (wav, aiff, au, flac), else the clip's if it is one of these, else\n"
    "WAV. Standard output gets a WAV stream while it is made. CLIP \"-\" is standard input.",
    "  octet continue clip.wav --seconds 5 -o more.wav\n"
    "  octet continue clip.flac --seconds 60 | aplay\n"
    "  octet continue -m run/speech clip.wav --samples 4 --seed 1 --temperature 0.9 -o take.wav",
};

typedef struct continue_options {
    const char *model, *out, *profile;
    double seconds;
    int only_new, raw, force;
    sampling_options sampling;
} continue_options;

typedef struct continue_run {
    cli *cli;
    const continue_options *o;
    const char *clip_name;
    octet_clip *clip;
    octet_clip_info info;
    octet_join_params join_params;
    octet_media plan;
    int64_t bytes;    /* of each continuation; -1: without end */
    uint8_t *all;     /* [samples][bytes], unless it streams */
    int64_t *n;       /* [samples] of them there are */
    octet_join *join; /* of a stream */
    uint8_t *held;    /* [hold] of a stream, until there are 10 ms */
    size_t n_held, hold, second_bytes;
} continue_run;

/* --- names of files --- */

static int is_stream(const continue_options *o) {
    return !strcmp(o->out, "-");
}

/* The name of continuation i: with several, a number before the suffix. */
static void make_path(char *path, const continue_options *o, int i) {
    const char *slash = strrchr(o->out, '/'), *base = slash ? slash + 1 : o->out;
    const char *dot = strrchr(base, '.');
    const size_t stem = dot && dot > base ? (size_t)(dot - o->out) : strlen(o->out);
    const int digits = snprintf(NULL, 0, "%d", (int)o->sampling.samples);
    if (o->sampling.samples == 1)
        snprintf(path, PATH_BYTES, "%s", o->out);
    else
        snprintf(path, PATH_BYTES, "%.*s-%0*d%s", (int)stem, o->out, digits, i + 1, o->out + stem);
}

static int may_write(cli *c, const continue_options *o) {
    char path[PATH_BYTES];
    struct stat st;
    if (strlen(o->out) > PATH_BYTES - 16) {
        cli_error(c, "%.64s...: a longer name than %d bytes", o->out, PATH_BYTES - 16);
        return 0;
    }
    for (int i = 0; i < o->sampling.samples && !o->force; i++) {
        make_path(path, o, i);
        if (!stat(path, &st) && S_ISREG(st.st_mode)) {
            cli_error(c, "%s: the file exists (-f replaces it)", path);
            return 0;
        }
    }
    return 1;
}

/* --- remarks --- */

static void remark(const continue_run *r) {
    const octet_media *m = &r->info.media;
    const octet_losses *l = &r->info.losses;
    cli *c = r->cli;
    const char *name = r->clip_name;
    if (!m->frames)
        cli_remark(c, "%s: holds no samples, the model starts from nothing", name);
    if (r->info.read_frames < r->info.all_frames)
        cli_remark(c, "%s: the model reads the last %.3f of %.3f s", name,
                   (double)r->info.read_frames / l->rate_to, (double)m->frames / m->rate_hz);
    if (l->rate_from != l->rate_to)
        cli_remark(c, "%s: continued at %d Hz and resampled to %d Hz", name, l->rate_to,
                   l->rate_from);
    if (l->channels_from > l->channels_to)
        cli_remark(c,
                   "%s: the model hears the average of %d channels; what follows is alike in all",
                   name, l->channels_from);
    if (l->channels_from < l->channels_to)
        cli_remark(c, "%s: the average of the model's %d channels follows", name, l->channels_to);
    if (r->join_params.form == OCTET_JOIN_FILE && !r->join_params.container &&
        strcmp(r->plan.container, m->container) != 0)
        cli_remark(c, "%s: %s would not keep its samples, %s is written", name, m->container,
                   r->plan.container);
    else if (strcmp(r->plan.samples, m->samples) != 0)
        cli_remark(c, "%s: %s samples are written as %s", name, m->samples, r->plan.samples);
}

static void remark_clipped(const continue_run *r, int64_t clipped) {
    if (clipped)
        cli_remark(r->cli, "%s: %lld new sample%s clipped", r->clip_name, (long long)clipped,
                   cli_plural(clipped));
}

/* --- writing --- */

/* Failures of writing end the work; cli_finish says why. */
static octet_status write_output(void *context, const void *bytes, size_t n, octet_error *error) {
    output *out = context;
    output_write(out, bytes, n);
    return out->error ? (error->code = OCTET_STOPPED) : OCTET_OK;
}

static octet_status flush_held(continue_run *r, octet_error *error) {
    octet_status status = octet_join_push(r->join, r->held, r->n_held, error);
    r->n_held = 0;
    output_flush(&r->cli->out);
    return status || !r->cli->out.error ? status : (error->code = OCTET_STOPPED);
}

static octet_status take_byte(void *context, int number, uint8_t byte, octet_error *error) {
    continue_run *r = context;
    const int64_t n = r->n[number]++;
    if (number == 0)
        progress_show(&r->cli->progress, "%.1f s", (double)n / (double)r->second_bytes);
    if (!r->join) {
        r->all[number * r->bytes + n] = byte;
        return OCTET_OK;
    }
    r->held[r->n_held++] = byte;
    return r->n_held == r->hold ? flush_held(r, error) : OCTET_OK;
}

static octet_status write_join(continue_run *r, int i, output *out, int64_t *frames,
                               octet_error *error) {
    octet_join *join = NULL;
    int64_t clipped;
    octet_status status =
        octet_join_create(&join, r->clip, &r->join_params, write_output, out, error);
    if (!status)
        status = octet_join_push(join, r->all + (int64_t)i * r->bytes, (size_t)r->n[i], error);
    if (!status)
        status = octet_join_finish(join, error);
    if (!status) {
        *frames = octet_join_frames(join, &clipped);
        remark_clipped(r, clipped);
    }
    octet_join_destroy(&join);
    return status;
}

/* --- results --- */

static double seam_seconds(const continue_run *r) {
    return r->o->only_new ? 0 : (double)r->info.media.frames / r->info.media.rate_hz;
}

static json_t *file_json(const char *path, int64_t frames) {
    return json_pack("{s:o, s:I}", "path", cli_json_text(path), "new_frames", (json_int_t)frames);
}

static void print_file(const continue_run *r, const char *path, int64_t frames) {
    const octet_media *m = &r->plan;
    const int64_t old = r->o->only_new ? 0 : r->info.media.frames;
    output *out = &r->cli->out;
    output_print(out, "%s %s, %d Hz, %d channel%s, seam at %.3f s, %.3f s in all  ",
                 *m->container ? m->container : "raw", m->samples, m->rate_hz, m->channels,
                 cli_plural(m->channels), seam_seconds(r), (double)(old + frames) / m->rate_hz);
    output_plain(out, path);
    output_print(out, "\n");
}

static void print_json(const continue_run *r, json_t *files) {
    const octet_media *m = &r->plan;
    cli_json_print(r->cli, &r->cli->out,
                   json_pack("{s:o, s:s, s:s, s:i, s:i, s:I, s:o, s:I, s:I, s:o}", "clip",
                             cli_json_text(r->clip_name), "container", m->container, "samples",
                             m->samples, "rate_hz", (int)m->rate_hz, "channels", (int)m->channels,
                             "clip_frames", (json_int_t)r->info.media.frames, "seam_seconds",
                             cli_json_number(seam_seconds(r)), "read_bytes", (json_int_t)r->info.n,
                             "seed", (json_int_t)r->o->sampling.seed, "files", files));
}

/* All files, each of which appears when it is whole. */
static int write_files(continue_run *r) {
    char path[PATH_BYTES];
    octet_error error = {0};
    json_t *files = json_array();
    int code = 0;
    for (int i = 0; i < r->o->sampling.samples && !code; i++) {
        output file;
        int64_t frames = 0;
        make_path(path, r->o, i);
        if (output_open(&file, path)) {
            code = cli_finish(r->cli, &file, 1);
            break;
        }
        if (write_join(r, i, &file, &frames, &error))
            code = cli_fail(r->cli, &error);
        output_close(&file, code == 0);
        code = cli_finish(r->cli, &file, code);
        if (!code && !r->cli->json)
            print_file(r, path, frames);
        else if (!code)
            (void)json_array_append_new(files, file_json(path, frames));
    }
    if (!code && r->cli->json)
        print_json(r, files);
    else
        json_decref(files);
    return code;
}

/* --- the command --- */

/* Everything that can be refused is refused before the first byte is made. */
static octet_status prepare(continue_run *r, const octet_model *model, octet_error *error) {
    const continue_options *o = r->o;
    octet_join_params *p = &r->join_params;
    octet_status status = octet_clip_open(&r->clip, model, r->clip_name, error);
    if (status)
        return status;
    octet_clip_info_get(r->clip, &r->info);
    *p = (octet_join_params){.form = o->raw         ? OCTET_JOIN_PLAIN
                                     : is_stream(o) ? OCTET_JOIN_STREAM
                                                    : OCTET_JOIN_FILE,
                             .only_new = o->only_new,
                             .frames =
                                 o->seconds < 0 ? -1 : llround(o->seconds * r->info.media.rate_hz)};
    if (p->form == OCTET_JOIN_FILE)
        p->container = cli_suffix_format(o->out);
    status = octet_join_plan(&r->plan, &r->bytes, r->clip, p, error);
    if (status)
        return status;
    remark(r);
    r->second_bytes = r->info.frame_bytes * (size_t)r->info.losses.rate_to;
    r->hold = r->second_bytes / 100 + 1;
    const size_t samples = (size_t)o->sampling.samples;
    r->n = calloc(samples, sizeof *r->n);
    r->held = malloc(r->hold);
    if (!is_stream(o) && (size_t)r->bytes < SIZE_MAX / samples)
        r->all = malloc(samples * (size_t)r->bytes + 1);
    if (r->n && r->held && (is_stream(o) || r->all))
        return OCTET_OK;
    snprintf(error->text, sizeof error->text, "no memory for %.0f bytes",
             (double)samples * (double)r->bytes);
    return error->code = OCTET_NO_MEMORY;
}

/* On the processor int8 keeps up with what is heard; devices compute in f32 alone. */
static octet_profile profile_of(const continue_run *r) {
    const char *device = r->cli->device;
    const int on_cpu = !device || !strcmp(device, "cpu");
    return cli_profile(r->o->profile ? r->o->profile : on_cpu ? "int8" : "f32");
}

static octet_status run_continue(continue_run *r, const volatile int *stop, octet_model *model,
                                 octet_error *error) {
    const sampling_options *o = &r->o->sampling;
    const octet_continue_params params = {.samples = (int)o->samples,
                                          .bytes = r->bytes,
                                          .keep = o->keep,
                                          .sampling = sampling_of(o, 0),
                                          .stop = stop,
                                          .profile = profile_of(r)};
    int64_t clipped;
    octet_status status = OCTET_OK;
    if (is_stream(r->o))
        status = octet_join_create(&r->join, r->clip, &r->join_params, write_output, &r->cli->out,
                                   error);
    if (!status)
        status = octet_continue(model, r->info.bytes, r->info.n, &params, take_byte, r, error);
    if (!status && r->join)
        status = flush_held(r, error);
    if (!status && r->join)
        status = octet_join_finish(r->join, error);
    if (!status && r->join) {
        (void)octet_join_frames(r->join, &clipped);
        remark_clipped(r, clipped);
    }
    progress_clear(&r->cli->progress);
    octet_join_destroy(&r->join);
    return status;
}

static int parse(cli *c, continue_options *o, int *argc, char **argv) {
    option own[] = {
        {.name = "model",
         .letter = 'm',
         .kind = OPTION_PATH,
         .value = &o->model,
         .argument = "MODEL",
         .help = "checkpoint, directory of a run, or bundled model (default: speech)"},
        OPTION_DEVICE,
        OPTION_PROFILE(o->profile, "int8 on the CPU"),
        {.name = "seconds",
         .kind = OPTION_REAL,
         .value = &o->seconds,
         .min = -1,
         .max = 86400,
         .argument = "S",
         .help = "how long (default: 5; -1: until interrupted, to standard output)"},
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &o->out,
         .argument = "OUT",
         .help = "write there; \"-\" is standard output (default)"},
        {.name = "only-new",
         .kind = OPTION_FLAG,
         .value = &o->only_new,
         .help = "without the clip's own samples"},
        {.name = "raw",
         .kind = OPTION_FLAG,
         .value = &o->raw,
         .help = "samples alone, without a header, little-endian"},
        {.name = "force",
         .letter = 'f',
         .kind = OPTION_FLAG,
         .value = &o->force,
         .help = "replace files that exist"},
    };
    enum { OWN = sizeof own / sizeof *own };
    option table[OWN + SAMPLING_OPTIONS];
    memcpy(table, own, sizeof own);
    sampling_table(table + OWN, &o->sampling);
    return options_parse(c, &usage, table, sizeof table / sizeof *table, argc, argv);
}

/* What is wrong with the command line as a whole; NULL: nothing. */
static const char *check(const continue_options *o) {
    if (o->seconds < 0 && o->seconds != -1)
        return "--seconds: neither 0 or more nor -1 (without end)";
    if (o->seconds < 0 && !is_stream(o))
        return "--seconds -1 (without end): only to standard output, without -o FILE";
    if (o->sampling.samples > 1 && is_stream(o))
        return "--samples: needs -o FILE, standard output takes one";
    return NULL;
}

int cli_continue(cli *c, int argc, char **argv) {
    continue_options o = {.out = "-", .seconds = 5};
    octet_runtime *runtime;
    octet_model *model;
    octet_error error = {0};
    int code = parse(c, &o, &argc, argv);
    if (code >= 0)
        return code;
    code = cli_check_files(c, argc, o.out);
    if (code)
        return code;
    const char *wrong = check(&o);
    if (wrong)
        cli_error(c, "%s", wrong);
    if (wrong || !may_write(c, &o))
        return 1;
    sampling_seed(c, &o.sampling);
    const volatile int *stop = signals_defer();
    continue_run run = {.cli = c, .o = &o, .clip_name = argv[0]};
    octet_status status = cli_open_or(c, o.model, "speech", &runtime, &model, &error);
    if (!status)
        status = prepare(&run, model, &error);
    if (!status)
        status = run_continue(&run, stop, model, &error);
    code = status ? cli_fail(c, &error) : is_stream(&o) ? 0 : write_files(&run);
    octet_clip_close(&run.clip);
    free(run.all);
    free(run.n);
    free(run.held);
    cli_close(&runtime, &model);
    return code;
}
