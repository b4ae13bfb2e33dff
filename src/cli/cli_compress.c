/* cli_compress.c: octet compress and octet decompress, with the manners of xz.
 *
 * A file becomes FILE.oct and stays unless --rm is given; without files standard input goes to
 * standard output. An output appears under its name only when it is whole. Files and models are in
 * packing_files.c and packing_models.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/packing.h"
#include "cli/signals.h"

static const option_usage usage_of_compress = {
    "[-m MODEL] [FILE...]",
    "Compresses each FILE to FILE.oct, which decompresses with the same model and no other, on "
    "any\n"
    "machine. Without FILE, or for \"-\", standard input goes to standard output.",
    "  octet compress book.txt\n"
    "  octet compress -m run/books --streams 64 -v book.txt -o book.oct\n"
    "  tar c folder | octet compress >folder.tar.oct\n"
    "  octet compress --list --json book.txt.oct",
};

static const option_usage usage_of_decompress = {
    "[-m MODEL] [FILE.oct...]",
    "Restores each FILE from FILE.oct, with the bundled model that it was made with or -m. "
    "Without\n"
    "FILE, or for \"-\", standard input goes to standard output.",
    "  octet decompress book.txt.oct\n"
    "  octet decompress --test book.txt.oct\n"
    "  octet decompress --range 1000000:1000100 book.txt.oct\n"
    "  octet decompress -c book.txt.oct | less",
};

/* --- one file --- */

static void tell_done(const passage *p, const octet_compress_report *r) {
    const double seconds = progress_seconds() - p->start;
    cli_detail(p->run->cli, "%s: %llu %s %llu bytes, %.4f bits per byte, %.1f kB/s", p->name,
               (unsigned long long)r->content, p->run->decompress ? "from" : "to",
               (unsigned long long)r->compressed,
               r->content ? 8 * (double)r->compressed / (double)r->content : 0,
               seconds > 0 ? (double)r->content / seconds / 1e3 : 0);
}

/* Memory is stated before it is taken. */
static void tell_memory(const passage *p) {
    const packing *run = p->run;
    int64_t bytes = 0, block = 0;
    int streams = 0, with = 0;
    if (!run->cli->verbose || !p->model)
        return;
    if (run->decompress)
        octet_compressed_peek(&streams, &block, &with, (uint8_t *)p->head, p->head_n);
    const int most = run->decoding.streams && !(with & (OCTET_MIXED | OCTET_ADAPTS))
                         ? run->decoding.streams
                         : 256;
    streams = most < streams ? most : streams;
    if (run->decompress && streams &&
        !octet_decompress_memory(&bytes, p->model, streams, block, with, NULL))
        cli_detail(run->cli, "%s: %d streams at once, %.1f MB of memory", p->name, streams,
                   (double)bytes / 1e6);
    if (!run->decompress && !octet_compress_memory(&bytes, p->model, &run->coding, NULL))
        cli_detail(run->cli, "%s: %.1f MB of memory", p->name, (double)bytes / 1e6);
}

static void tell_loss(void *context, uint64_t first, uint64_t end, const char *why) {
    const passage *p = context;
    if (first < end)
        cli_error(p->run->cli, "%s: bytes %llu to %llu of the content are lost: %s", p->name,
                  (unsigned long long)first, (unsigned long long)end - 1, why);
    else
        cli_error(p->run->cli, "%s: %s", p->name, why);
}

static octet_status pass(passage *p, octet_error *error) {
    packing *run = p->run;
    octet_compress_report report;
    octet_status status = run->decompress ? packing_decoder(p, error)
                          : run->samples  ? packing_samples(p, error)
                                          : packing_coder(p, error);
    if (status)
        return status;
    tell_memory(p);
    run->decoding.lost_context = p;
    const octet_io io = passage_io(p);
    status = run->decompress ? octet_decompress(p->model, &run->decoding, &io, &report, error)
                             : octet_compress(p->model, &run->coding, &io, &report, error);
    progress_clear(&run->cli->progress);
    if (!status)
        tell_done(p, &report);
    return status;
}

/* --- --list --- */

static json_t *number_or_null(int64_t n) {
    return n < 0 ? json_null() : json_integer((json_int_t)n);
}

static json_t *row_of(const passage *p, const octet_compressed_info *info) {
    const octet_compress_report *r = &info->sizes;
    const double content = (double)r->content, size = (double)r->compressed;
    int64_t model = -1, memory = -1;
    octet_model_info about = {.path = ""};
    if (p->model) {
        octet_model_info_get(p->model, &about);
        model = packing_model_bytes(p->model);
        const int most = r->streams < 256 ? r->streams : 256;
        const int with = (info->mixed ? OCTET_MIXED : 0) | (info->adapts > 0 ? OCTET_ADAPTS : 0) |
                         (!strcmp(info->profile, "int8") ? OCTET_IN_INT8 : 0);
        if (octet_decompress_memory(&memory, p->model, most ? most : 1,
                                    r->content < 1 << 20 ? (int64_t)r->content : 0, with, NULL))
            memory = -1;
    }
    return json_pack(
        "{s:o, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:i, s:s, s:o, s:o, s:o, s:s, s:s, s:i, "
        "s:b, "
        "s:o}",
        "path", cli_json_text(p->name), "compressed", (json_int_t)r->compressed, "bytes",
        (json_int_t)r->content, "bpb", cli_json_number(content ? 8 * size / content : 0), "ratio",
        cli_json_number(content / size), "ratio_with_model",
        model < 0 ? json_null() : cli_json_number(content / (size + (double)model)), "payload",
        (json_int_t)r->payload, "blocks", (json_int_t)r->blocks, "stored", (json_int_t)r->stored,
        "streams", r->streams, "model", info->fingerprint, "model_path",
        p->model ? cli_json_text(about.path) : json_null(), "model_bytes", number_or_null(model),
        "memory", number_or_null(memory), "profile", info->profile, "codec", info->codec, "rate_hz",
        info->rate_hz, "mixed", info->mixed, "adapts", cli_json_number(info->adapts));
}

static void print_row(const passage *p, const octet_compressed_info *info) {
    const octet_compress_report *r = &info->sizes;
    output *out = &p->run->cli->out;
    const double content = (double)r->content, size = (double)r->compressed;
    const int64_t model = p->model ? packing_model_bytes(p->model) : -1;
    output_print(out, "%12llu %12llu %8.4f %7.3f ", (unsigned long long)r->compressed,
                 (unsigned long long)r->content, content > 0 ? 8 * size / content : 0,
                 content / size);
    if (model < 0)
        output_print(out, "%10s ", "-");
    else
        output_print(out, "%10.3f ", content / (size + (double)model));
    output_print(out, "%7llu  %s  ", (unsigned long long)r->blocks, info->fingerprint);
    output_plain(out, p->name);
    output_print(out, "\n");
}

static octet_status list_file(passage *p, octet_error *error) {
    octet_compressed_info info;
    const octet_io io = passage_io(p);
    octet_status status = octet_compressed_describe(&info, &io, error);
    if (!status && p->run->model_name)
        status = packing_decoder(p, error);
    if (status)
        return status;
    p->model = packing_find(p->run, info.fingerprint);
    if (!p->run->rows)
        print_row(p, &info);
    else if (json_array_append_new(p->run->rows, row_of(p, &info)))
        p->run->code = 1;
    return OCTET_OK;
}

/* --- one file --- */

/* Where its output goes: NULL: nowhere. *made is the caller's to free; *wrong: nothing may begin.
 */
static const char *choose_output(packing *run, const char *name, char **made, int *wrong) {
    const char *path = run->out_name;
    *made = NULL;
    *wrong = 0;
    if (run->list || run->test)
        return NULL;
    if (!path && (run->to_stdout || !strcmp(name, "-")))
        path = "-";
    if (!path)
        path = *made = packing_output_name(run, name);
    *wrong = !path || !packing_may_write(run, path);
    return path;
}

static int run_file(packing *run, const char *name) {
    passage p = {.fd = -1};
    output file;
    octet_error error = {0};
    char *made;
    int wrong;
    const char *path = choose_output(run, name, &made, &wrong);
    if (wrong) {
        free(made);
        return 1;
    }
    octet_status status = passage_open(&p, run, name, &error);
    const int to_file = !status && path && strcmp(path, "-") != 0;
    if (to_file && output_open(&file, path)) {
        status = error.code = OCTET_ERROR;
        snprintf(error.text, sizeof error.text, "%.300s: %s", path, strerror(file.error));
    }
    if (to_file && !status && file.temporary && strcmp(name, "-") != 0)
        (void)!fchmod(file.fd, 0600); /* until it has the source's mode */
    p.out = to_file ? &file : path ? &run->cli->out : NULL;
    if (!status)
        status = run->list ? list_file(&p, &error) : pass(&p, &error);
    if (to_file && file.fd >= 0)
        status = passage_finish(&p, name, &file, status, &error);
    passage_close(&p);
    free(made);
    error.code = status;
    return status ? cli_fail(run->cli, &error) : 0;
}

/* --- the commands --- */

static int parse(packing *run, int *argc, char **argv) {
    option table[] = {
        {.name = "model",
         .letter = 'm',
         .kind = OPTION_PATH,
         .value = &run->model_name,
         .argument = "MODEL",
         .help = "checkpoint, directory of a run, or bundled model (default: the file says)"},
        {.name = "decompress",
         .letter = 'd',
         .kind = OPTION_FLAG,
         .value = &run->decompress,
         .help = "restore"},
        {.name = "test",
         .letter = 't',
         .kind = OPTION_FLAG,
         .value = &run->test,
         .help = "restore, compare checksums, write nothing"},
        {.name = "list",
         .letter = 'l',
         .kind = OPTION_FLAG,
         .value = &run->list,
         .help = "compressed and restored size, bits per byte, blocks, model"},
        {.name = "keep",
         .letter = 'k',
         .kind = OPTION_FLAG,
         .value = &run->keep_source,
         .help = "leave the source where it is (the default)"},
        {.name = "rm",
         .kind = OPTION_FLAG,
         .value = &run->remove_source,
         .help = "remove the source once the output is safely on the disk"},
        {.name = "force",
         .letter = 'f',
         .kind = OPTION_FLAG,
         .value = &run->force,
         .help = "replace outputs that exist, write to a terminal"},
        {.name = "stdout",
         .letter = 'c',
         .kind = OPTION_FLAG,
         .value = &run->to_stdout,
         .help = "write to standard output"},
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &run->out_name,
         .argument = "FILE",
         .help = "write there (one input); \"-\" is standard output"},
        {.name = "cores",
         .letter = 'T',
         .kind = OPTION_INTEGER,
         .value = &run->threads,
         .min = 0,
         .max = 256,
         .argument = "N",
         .help = "the same as --threads; 0: as many as processors"},
        {.name = "memory",
         .kind = OPTION_PATH,
         .value = &run->memory_text,
         .argument = "SIZE",
         .help = "refuse to take more memory, such as 300M or 2G"},
        {.name = "streams",
         .kind = OPTION_INTEGER,
         .value = &run->streams,
         .min = 1,
         .max = 4096,
         .argument = "N",
         .help = "streams of a block: more decode faster and cost ratio (default: one for\n16 KiB, "
                 "up to 64); restoring: how many at once at most\n(default: 256)"},
        {.name = "block",
         .kind = OPTION_INTEGER,
         .value = &run->block,
         .min = 1024,
         .max = 1 << 26,
         .argument = "BYTES",
         .help = "content of a block (default: 1 MiB)"},
        {.name = "plain",
         .kind = OPTION_FLAG,
         .value = &run->coding.plain,
         .help = "by the model alone, without counts of what the block has shown so far: a\nlittle "
                 "faster, larger"},
        {.name = "adapt",
         .kind = OPTION_REAL,
         .value = &run->coding.adapt,
         .min = 0,
         .max = 1,
         .argument = "RATE",
         .help =
             "the model learns from what was coded, on both sides, at this rate (such\nas 0.002; "
             "slower)"},
        OPTION_PROFILE(run->profile, "int8"),
        {.name = "codec",
         .kind = OPTION_WORD,
         .value = &run->codec,
         .words = "audio|raw",
         .argument = "NAME",
         .help = "audio: WAV by its samples; raw: bytes as they are (default: as the\nfile and the "
                 "model suggest)"},
        {.name = "samples",
         .kind = OPTION_FLAG,
         .value = &run->samples,
         .help = "the audio of FLAC, AIFF or AU; comes back as WAV"},
        {.name = "range",
         .kind = OPTION_PATH,
         .value = &run->range_text,
         .argument = "A:B",
         .help = "restore bytes A to B - 1 only, to standard output or -o"},
        {.name = "recover",
         .kind = OPTION_FLAG,
         .value = &run->recover,
         .help = "restore what is not damaged, zeros for the rest (exit code 2)"},
        {.name = "max-output",
         .kind = OPTION_PATH,
         .value = &run->most_text,
         .argument = "SIZE",
         .help = "refuse to restore more (default: 64G)"},
    };
    const option_usage *usage = run->decompress ? &usage_of_decompress : &usage_of_compress;
    int code = options_parse(run->cli, usage, table, sizeof table / sizeof *table, argc, argv);
    if (run->threads && !run->cli->threads)
        run->cli->threads = run->threads;
    return code;
}

/* "123", "64K", "300M", "2G": powers of 1,000 as everywhere else; -1: none of them. */
static int64_t read_size(const char *text) {
    static const char units[] = "KMG";
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    for (int i = 0; unit && i <= unit - units && n <= INT64_MAX / 1000; i++)
        n *= 1000;
    return errno || n < 1 || (*end && (!unit || end[1])) ? -1 : n;
}

/* "A:B", either may be missing. */
static int read_range(packing *run, const char *text) {
    octet_decompress_params *d = &run->decoding;
    const size_t colon = strcspn(text, ":");
    if (text[strspn(text, "0123456789:")] || !text[colon] || strchr(text + colon + 1, ':'))
        return 0;
    errno = 0;
    d->first = colon ? strtoull(text, NULL, 10) : 0;
    d->end = text[colon + 1] ? strtoull(text + colon + 1, NULL, 10) : 0;
    return !errno && (!text[colon + 1] || d->end > d->first);
}

/* The texts of sizes and ranges; returns 0, or 1 after a message. */
static int read_values(packing *run) {
    const struct {
        const char *name, *text;
        int64_t *to;
    } sizes[] = {
        {"--memory", run->memory_text, &run->coding.memory},
        {"--max-output", run->most_text ? run->most_text : "64G", (int64_t *)&run->decoding.most}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (!sizes[i].text)
            continue;
        *sizes[i].to = read_size(sizes[i].text);
        if (*sizes[i].to < 0) {
            cli_error(run->cli, "%s: \"%s\" is not a size such as 300M", sizes[i].name,
                      sizes[i].text);
            return 1;
        }
    }
    if (run->range_text && !read_range(run, run->range_text)) {
        cli_error(run->cli, "--range: \"%s\" is not A:B with A below B", run->range_text);
        return 1;
    }
    run->coding.streams = run->decoding.streams = (int)run->streams;
    run->coding.block = run->block;
    run->coding.keep = -1;
    run->coding.profile = cli_profile(run->profile ? run->profile : "int8");
    run->coding.content =
        run->codec && !strcmp(run->codec, "raw") ? OCTET_CONTENT_BYTES : OCTET_CONTENT_AUTO;
    run->decoding.memory = run->coding.memory;
    run->decoding.lost = run->recover ? tell_loss : NULL;
    run->to_stdout |= run->range_text && !run->out_name && !run->test;
    return 0;
}

/* What is wrong with the command line as a whole; NULL: nothing. */
static const char *check(const packing *run, int n_files) {
    if (run->out_name && n_files > 1)
        return "-o goes with one FILE only";
    if (run->out_name && run->to_stdout)
        return "-o and -c exclude each other";
    if (run->list && run->test)
        return "--list and --test exclude each other";
    if (run->remove_source && (run->keep_source || run->to_stdout || run->list || run->test))
        return "--rm goes with none of -k, -c, -l and -t";
    if (run->remove_source && (run->range_text || run->recover))
        return "--rm goes with neither --range nor --recover";
    if (run->decompress && (run->block || run->codec || run->samples))
        return "--block, --codec and --samples are for compressing";
    if (run->decompress && run->profile)
        return "--profile is for compressing: a file says which it needs";
    if (!run->decompress && (run->range_text || run->recover || run->most_text))
        return "--range, --recover and --max-output are for restoring";
    if (run->samples && run->codec)
        return "--samples and --codec exclude each other";
    if (!run->decompress && !run->list && run->to_stdout && n_files > 1)
        return "-c goes with one FILE only: compressed files do not stand behind each other";
    return NULL;
}

static int run_command(packing *run, int argc, char **argv) {
    static char standard[] = "-";
    char *only[] = {standard};
    octet_error error = {0};
    int code = parse(run, &argc, argv);
    if (code >= 0)
        return code;
    run->decompress |= run->test;
    const char *wrong = check(run, argc);
    if (wrong) {
        cli_error(run->cli, "%s", wrong);
        return 1;
    }
    if (read_values(run))
        return 1;
    run->stop = signals_defer();
    if (packing_open(run, &error))
        return cli_fail(run->cli, &error);
    if (run->list && run->cli->json)
        run->rows = json_array();
    else if (run->list)
        output_print(&run->cli->out, "%12s %12s %8s %7s %10s %7s  %-32s  file\n", "compressed",
                     "bytes", "bpb", "ratio", "with model", "blocks", "model");
    for (int i = 0; i < (argc ? argc : 1) && !*run->stop; i++) {
        code = run_file(run, argc ? argv[i] : only[0]);
        run->code = code > run->code ? code : run->code;
    }
    if (run->rows)
        cli_json_print(run->cli, &run->cli->out, run->rows);
    packing_close(run);
    return *run->stop ? cli_exit_code(OCTET_STOPPED) : run->code;
}

int cli_compress(cli *c, int argc, char **argv) {
    packing run = {.cli = c};
    return run_command(&run, argc, argv);
}

int cli_decompress(cli *c, int argc, char **argv) {
    packing run = {.cli = c, .decompress = 1};
    return run_command(&run, argc, argv);
}
