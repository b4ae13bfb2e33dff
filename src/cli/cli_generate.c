/* cli_generate.c: octet generate: continue a prompt.
 *
 * All samples are streams of one session and advance together, one byte each a turn. A single one
 * is written while it grows, several when all are done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_codec.h"
#include "cli/cli_sampling.h"
#include "cli/signals.h"
#include "cli/utf8.h"

#define PROMPT_PIECE (1 << 16) /* bytes fed between looks at the signals */
#define NOT_GIVEN -2           /* -n */

static const option_usage usage = {
    "[-m MODEL] [--prompt TEXT | --prompt-file FILE] [-n BYTES]",
    "Continues the prompt, byte by byte, on standard output. The prompt is not repeated. On a\n"
    "terminal control bytes are shown as \\xNN. With -o FILE.png (.ppm, .pgm) a model of images\n"
    "writes an image: the prompt, and what follows it to the last pixel.",
    "  octet generate --prompt \"It was a dark night, and\" -n 400\n"
    "  octet generate -m run/demo --prompt-file start.bin -n 65536 --seed 1 -o more.bin\n"
    "  octet generate --prompt \"Once\" --samples 4 --temperature 0.8 --json",
};

typedef struct sample {
    octet_sampling sampling;
    int stream;
    uint8_t next;
    uint8_t *bytes; /* all so far, when the result is written at the end */
    size_t n, capacity;
    int ended; /* by the model, or with --utf8 because no character fits */
    octet_utf8 utf8;
    uint8_t allowed[OCTET_SYMBOLS];
} sample;

typedef struct generate_run {
    cli *cli;
    output *out;
    octet_session *session;
    const volatile int *stop;
    sample *samples;
    octet_feed *feeds;
    int n_samples, n_feeds, streaming; /* samples that go on have a feed */
    int utf8;
    const char *image;         /* the format, where the result is one */
    octet_encode_params codec; /* the model's */
    int64_t limit;             /* bytes; -1: without end */
    uint8_t held[4];
    size_t n_held; /* of a character whose rest is still to come */
    int line_open; /* the last byte was no newline */
} generate_run;

/* --- writing while it grows --- */

/* Is this character one that a terminal would obey? C1 controls are U+0080 to U+009F. */
static int is_control(const uint8_t *bytes, size_t n) {
    if (n == 1)
        return (bytes[0] < 32 && bytes[0] != '\n' && bytes[0] != '\t') || bytes[0] == 127;
    return n == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

static void write_character(output *out, const uint8_t *bytes, size_t n, int valid) {
    if (!out->is_terminal || (valid && !is_control(bytes, n))) {
        output_write(out, bytes, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        output_print(out, "\\x%02x", bytes[i]);
}

/* Writes what is whole. What is held back becomes whole or wrong within four bytes. */
static void stream_byte(generate_run *run, uint8_t byte) {
    int length;
    run->held[run->n_held++] = byte;
    while (run->n_held && (length = utf8_sequence(run->held, run->n_held)) >= 0) {
        size_t n = length ? (size_t)length : 1;
        write_character(run->out, run->held, n, length > 0);
        run->n_held -= n;
        memmove(run->held, run->held + n, run->n_held);
    }
    run->line_open = byte != '\n';
}

static void stream_end(generate_run *run) {
    for (size_t i = 0; i < run->n_held; i++)
        write_character(run->out, run->held + i, 1, 0);
    run->n_held = 0;
    if (run->line_open && (run->out->is_terminal || !run->streaming))
        output_write(run->out, "\n", 1);
}

/* --- writing at the end --- */

static octet_status fail_memory(octet_error *error) {
    error->code = OCTET_NO_MEMORY;
    snprintf(error->text, sizeof error->text, "no memory");
    return OCTET_NO_MEMORY;
}

static char *make_hex(const uint8_t *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(2 * n + 1);
    for (size_t i = 0; hex && i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    if (hex)
        hex[2 * n] = '\0';
    return hex;
}

static json_t *sample_json(const sample *s) {
    const char *text = s->n ? (const char *)s->bytes : "";
    char *hex = make_hex(s->bytes, s->n);
    json_t *value = json_pack(
        "{s:i, s:I, s:I, s:o, s:s}", "sample", (int)s->sampling.number + 1, "seed",
        (json_int_t)s->sampling.seed, "bytes", (json_int_t)s->n, "text",
        s->n && !utf8_valid(s->bytes, s->n) ? json_null() : json_stringn(text, s->n), "hex", hex);
    free(hex);
    return value;
}

static void write_json(generate_run *run, size_t prompt_bytes) {
    json_t *list = json_array();
    for (int i = 0; i < run->n_samples && list; i++) {
        if (json_array_append_new(list, sample_json(&run->samples[i]))) {
            json_decref(list);
            list = NULL;
        }
    }
    cli_json_print(
        run->cli, run->out,
        json_pack("{s:I, s:o}", "prompt_bytes", (json_int_t)prompt_bytes, "samples", list));
}

static void write_samples(generate_run *run) {
    for (int i = 0; i < run->n_samples; i++) {
        const sample *s = &run->samples[i];
        output_print(run->out, "--- sample %d ---\n", i + 1);
        run->line_open = 0;
        for (size_t k = 0; k < s->n; k++)
            stream_byte(run, s->bytes[k]);
        stream_end(run);
    }
}

/* The prompt and what follows it, which together are an image. */
static octet_status write_image(generate_run *run, const octet_bytes *prompt, octet_error *error) {
    const sample *s = &run->samples[0];
    size_t size = prompt->size + s->n, file_size;
    uint8_t *bytes = malloc(size + 1), *file;
    octet_media m;
    if (!bytes)
        return fail_memory(error);
    if (prompt->size)
        memcpy(bytes, prompt->data, prompt->size);
    if (s->n)
        memcpy(bytes + prompt->size, s->bytes, s->n);
    octet_status status = octet_media_describe_as(&m, &run->codec, size, error);
    if (!status)
        status = octet_decode_memory(&file, &file_size, &m, bytes, run->image, error);
    if (!status) {
        output_write(run->out, file, file_size);
        octet_decoded_free(file);
    }
    free(bytes);
    return status;
}

/* --- generating --- */

static octet_status keep_byte(sample *s, octet_error *error) {
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 1024;
        uint8_t *larger = realloc(s->bytes, capacity);
        if (!larger)
            return fail_memory(error);
        s->bytes = larger;
        s->capacity = capacity;
    }
    s->bytes[s->n++] = s->next;
    return OCTET_OK;
}

/* Reads the prompt into the first stream and copies its state to the others. */
static octet_status feed_prompt(generate_run *run, const octet_bytes *prompt, octet_error *error) {
    octet_status status = OCTET_OK;
    for (int i = 0; i < run->n_samples && !status; i++)
        status = octet_session_join(run->session, &run->samples[i].stream, error);
    for (size_t at = 0; at < prompt->size && !status && !*run->stop;) {
        size_t left = prompt->size - at, n = left < PROMPT_PIECE ? left : PROMPT_PIECE;
        octet_feed feed = {run->samples[0].stream, prompt->data + at, n, NULL};
        status = octet_session_feed(run->session, &feed, 1, error);
        at += n;
        progress_show(&run->cli->progress, "reading the prompt: %3.0f %%",
                      100.0 * (double)at / (double)prompt->size);
    }
    progress_clear(&run->cli->progress);
    if (status || *run->stop || run->n_samples == 1 || !prompt->size)
        return status;
    size_t size = octet_session_save_bytes(run->session);
    void *state = malloc(size);
    if (!state)
        return fail_memory(error);
    status = octet_session_save(run->session, run->samples[0].stream, state, size, error);
    for (int i = 1; i < run->n_samples && !status; i++)
        status = octet_session_restore(run->session, run->samples[i].stream, state, size, error);
    free(state);
    return status;
}

/* Every sample goes on in UTF-8 from where the prompt ends. */
static void begin_utf8(generate_run *run, const octet_bytes *prompt) {
    octet_utf8 state = {0};
    int said = 0;
    for (size_t i = 0; i < prompt->size; i++)
        if (!octet_utf8_push(&state, prompt->data[i]) && !said++)
            cli_remark(run->cli, "the prompt is not UTF-8 at byte %zu; what follows it will be", i);
    if (run->limit >= 0 && state.left > run->limit)
        cli_remark(run->cli, "the prompt's last character lacks %d bytes, more than %lld",
                   state.left, (long long)run->limit);
    for (int i = 0; i < run->n_samples; i++) {
        run->samples[i].utf8 = state;
        run->samples[i].sampling.allowed = run->samples[i].allowed;
    }
}

/* One byte of a sample, of which `left` are to come; OCTET_END: there is none. */
static octet_status draw_byte(const generate_run *run, sample *s, int64_t left,
                              octet_error *error) {
    if (run->utf8 && !octet_utf8_allow(&s->utf8, left, s->allowed))
        return OCTET_END;
    octet_status status =
        octet_session_sample(run->session, s->stream, &s->sampling, &s->next, error);
    if (!status && run->utf8)
        (void)octet_utf8_push(&s->utf8, s->next);
    return status;
}

/* The next byte of every sample that goes on. */
static octet_status draw(generate_run *run, int64_t left, octet_error *error) {
    octet_status status = OCTET_OK;
    run->n_feeds = 0;
    for (int i = 0; i < run->n_samples && !status; i++) {
        sample *s = &run->samples[i];
        if (s->ended)
            continue;
        status = draw_byte(run, s, left, error);
        s->ended = status == OCTET_END;
        if (s->ended) {
            status = OCTET_OK;
            continue;
        }
        run->feeds[run->n_feeds++] = (octet_feed){s->stream, &s->next, 1, NULL};
        if (!status && !run->streaming)
            status = keep_byte(s, error);
    }
    if (!status && run->streaming && run->n_feeds) {
        stream_byte(run, run->samples[0].next);
        output_flush(run->out);
    }
    return status;
}

static octet_status generate(generate_run *run, octet_error *error) {
    progress *p = &run->cli->progress;
    octet_status status = OCTET_OK;
    for (int64_t i = 0; i != run->limit && !status && !*run->stop && !run->out->error; i++) {
        status = draw(run, run->limit < 0 ? -1 : run->limit - i, error);
        if (!status && !run->n_feeds)
            break;
        if (!status && i + 1 != run->limit)
            status = octet_session_feed(run->session, run->feeds, run->n_feeds, error);
        if (!run->streaming || !run->out->is_terminal)
            progress_show(p, "%lld bytes", (long long)i + 1);
    }
    progress_clear(p);
    return status;
}

/* --- the command --- */

typedef struct generate_options {
    const char *model, *prompt, *prompt_file, *out;
    int64_t n;
    int utf8;
    const char *profile;
    sampling_options sampling;
} generate_options;

static octet_status prepare(generate_run *run, octet_model *model, const generate_options *o,
                            octet_error *error) {
    octet_session_params params = {
        .streams = run->n_samples, .keep = o->sampling.keep, .profile = cli_profile(o->profile)};
    run->samples = calloc((size_t)run->n_samples, sizeof *run->samples);
    run->feeds = calloc((size_t)run->n_samples, sizeof *run->feeds);
    if (!run->samples || !run->feeds)
        return fail_memory(error);
    for (int i = 0; i < run->n_samples; i++)
        run->samples[i].sampling = sampling_of(&o->sampling, i);
    return octet_session_create(&run->session, model, &params, error);
}

static octet_status write_result(generate_run *run, const octet_bytes *prompt, octet_error *error) {
    if (run->image)
        return write_image(run, prompt, error);
    if (run->cli->json)
        write_json(run, prompt->size);
    else
        write_samples(run);
    return OCTET_OK;
}

/* The format of images that a file's name stands for; NULL: none. */
static const char *image_format(const char *path) {
    static const char *const formats[] = {"png", "pnm", "ppm", "pgm"};
    const char *format = cli_suffix_format(path);
    for (size_t i = 0; format && i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(format, formats[i]))
            return formats[i];
    return NULL;
}

/* How much, and whether it becomes an image. */
static octet_status plan(generate_run *run, const octet_model *model, const generate_options *o,
                         size_t prompt_bytes, octet_error *error) {
    const octet_encode_params *p = &run->codec;
    octet_model_codec(&run->codec, model);
    int64_t whole = (int64_t)p->width * p->height * p->channels, begun = (int64_t)prompt_bytes;
    run->limit = o->n != NOT_GIVEN ? o->n : whole ? (whole > begun ? whole - begun : 0) : 512;
    run->image = whole && o->out ? image_format(o->out) : NULL;
    run->streaming = run->n_samples == 1 && !run->cli->json && !run->image;
    const char *colours = p->channels == 1 ? "ppm" : "pgm", *wrong = NULL;
    if (run->image && (run->limit < 0 || run->n_samples > 1 || run->cli->json))
        wrong = "an image goes with none of -n -1, --samples and --json";
    else if (run->image && !strcmp(run->image, colours))
        wrong = p->channels == 1 ? "the model's images are grey: .pgm"
                                 : "the model's images have 3 channels: .ppm";
    if (!wrong)
        return OCTET_OK;
    error->code = OCTET_ERROR;
    snprintf(error->text, sizeof error->text, "%s: %s", o->out, wrong);
    return OCTET_ERROR;
}

static int run_generate(cli *c, const generate_options *o, const octet_bytes *prompt, output *out) {
    generate_run run = {.cli = c, .out = out, .n_samples = (int)o->sampling.samples};
    octet_runtime *runtime;
    octet_model *model;
    octet_error error = {0};
    run.utf8 = o->utf8;
    run.stop = signals_defer();
    octet_status status = cli_open(c, o->model, &runtime, &model, &error);
    if (!status)
        status = plan(&run, model, o, prompt->size, &error);
    if (!status)
        status = prepare(&run, model, o, &error);
    if (!status && run.utf8)
        begin_utf8(&run, prompt);
    if (!status)
        status = feed_prompt(&run, prompt, &error);
    if (!status)
        status = generate(&run, &error);
    if (run.streaming)
        stream_end(&run);
    else if (!status && !*run.stop)
        status = write_result(&run, prompt, &error);
    octet_session_destroy(&run.session);
    for (int i = 0; i < run.n_samples && run.samples; i++)
        free(run.samples[i].bytes);
    free(run.samples);
    free(run.feeds);
    cli_close(&runtime, &model);
    if (status)
        return cli_fail(c, &error);
    return *run.stop ? cli_exit_code(OCTET_STOPPED) : 0;
}

static int parse(cli *c, generate_options *o, int *argc, char **argv) {
    option own[] = {
        {.name = "model",
         .letter = 'm',
         .kind = OPTION_PATH,
         .value = &o->model,
         .argument = "MODEL",
         .help = "checkpoint, directory of a run, or bundled model (default: text)"},
        OPTION_DEVICE,
        {.name = "prompt",
         .kind = OPTION_TEXT,
         .value = &o->prompt,
         .argument = "TEXT",
         .help = "what to continue (default: nothing)"},
        {.name = "prompt-file",
         .kind = OPTION_PATH,
         .value = &o->prompt_file,
         .argument = "FILE",
         .help = "likewise, any bytes; \"-\" is standard input"},
        {.name = "bytes",
         .letter = 'n',
         .kind = OPTION_INTEGER,
         .value = &o->n,
         .min = -1,
         .max = OPTION_NO_LIMIT,
         .argument = "BYTES",
         .help = "how many (default: 512, or the rest of an image; -1: until interrupted)"},
        {.name = "utf8",
         .kind = OPTION_FLAG,
         .value = &o->utf8,
         .help = "only bytes that make UTF-8 of what follows the prompt, to its last character"},
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &o->out,
         .argument = "FILE",
         .help = "write there; \"-\" is standard output (default). The file appears when\n"
                 "it is whole, or with -n -1 when interrupted"},
        OPTION_PROFILE(o->profile, "f32"),
    };
    enum { OWN = sizeof own / sizeof *own };
    option table[OWN + SAMPLING_OPTIONS];
    memcpy(table, own, sizeof own);
    sampling_table(table + OWN, &o->sampling);
    return options_parse(c, &usage, table, sizeof table / sizeof *table, argc, argv);
}

/* What is wrong with the command line as a whole; NULL: nothing. */
static const char *check(const cli *c, const generate_options *o) {
    if (o->prompt && o->prompt_file)
        return "--prompt and --prompt-file exclude each other";
    if (o->n == -1 && (o->sampling.samples > 1 || c->json))
        return "-n -1 (without end) goes with neither --samples nor --json";
    return NULL;
}

int cli_generate(cli *c, int argc, char **argv) {
    generate_options o = {.n = NOT_GIVEN};
    octet_bytes prompt = {0};
    octet_error error = {0};
    output file;
    int code = parse(c, &o, &argc, argv);
    if (code >= 0)
        return code;
    const char *wrong = check(c, &o);
    if (argc || wrong) {
        if (wrong)
            cli_error(c, "%s", wrong);
        else
            cli_error(c, "%s: takes no operands; --prompt or --prompt-file give the beginning",
                      argv[0]);
        return 1;
    }
    sampling_seed(c, &o.sampling);
    if (o.prompt_file && octet_bytes_open(&prompt, o.prompt_file, &error))
        return cli_fail(c, &error);
    octet_bytes text = {(const uint8_t *)o.prompt, o.prompt ? strlen(o.prompt) : 0, NULL};
    int to_file = o.out && strcmp(o.out, "-") != 0;
    signals_defer();
    if (to_file && output_open(&file, o.out))
        code = cli_finish(c, &file, 1);
    else
        code = run_generate(c, &o, o.prompt_file ? &prompt : &text, to_file ? &file : &c->out);
    if (to_file && file.fd >= 0) {
        output_close(&file, code == 0 || (o.n == -1 && code >= 128));
        code = cli_finish(c, &file, code);
    }
    if (o.prompt_file)
        octet_bytes_close(&prompt);
    return code;
}
