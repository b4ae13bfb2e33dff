/* cli_compress.c: octet compress and octet decompress, with the manners of xz.
 *
 * A file becomes FILE.oct and stays unless --rm is given; without files standard input goes to
 * standard output. An output appears under its name only when it is whole. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/signals.h"

#define SUFFIX ".oct"

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
    "Restores each FILE from FILE.oct. Without FILE, or for \"-\", standard input goes to "
    "standard\n"
    "output.",
    "  octet decompress book.txt.oct\n"
    "  octet decompress --test book.txt.oct\n"
    "  octet decompress -c book.txt.oct | less",
};

typedef struct compress_run {
    cli *cli;
    octet_compress_params params;
    const char *model_name, *out_name;
    int64_t streams, block;
    const char *profile;
    int decompress, test, list, to_stdout, force, keep_source, remove_source;
    int64_t threads;
    octet_runtime *runtime;
    octet_model *model;
    const volatile int *stop;
    json_t *rows; /* of --list --json */
    int code;
} compress_run;

/* One file on its way. */
typedef struct passage {
    compress_run *run;
    const char *name; /* of the input, for messages */
    int fd;
    int64_t size; /* of a regular input; -1: not known */
    output *out;  /* NULL: nobody wants the bytes */
    double start;
} passage;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static octet_status fail(octet_error *error, const char *name, int number) {
    error->code = OCTET_ERROR;
    snprintf(error->text, sizeof error->text, "%.300s: %s", name, strerror(number));
    return OCTET_ERROR;
}

static octet_status read_bytes(void *context, void *bytes, size_t n, size_t *got,
                               octet_error *error) {
    passage *p = context;
    for (*got = 0; *got < n;) {
        ssize_t done = read(p->fd, (char *)bytes + *got, n - *got);
        if (done == 0)
            break;
        if (done > 0)
            *got += (size_t)done;
        else if (errno != EINTR)
            return fail(error, p->name, errno);
        else if (*p->run->stop)
            return error->code = OCTET_STOPPED;
    }
    return OCTET_OK;
}

static octet_status write_bytes(void *context, const void *bytes, size_t n, octet_error *error) {
    passage *p = context;
    if (!p->out)
        return OCTET_OK;
    output_write(p->out, bytes, n);
    if (!p->out->error)
        return OCTET_OK;
    if (p->out->error == EINTR)
        return error->code = OCTET_STOPPED;
    return fail(error, p->out->name, p->out->error);
}

static void show_progress(void *context, uint64_t content) {
    passage *p = context;
    double seconds = now() - p->start, rate = seconds > 0 ? (double)content / seconds / 1e3 : 0;
    if (p->size > 0 && !p->run->decompress)
        progress_show(&p->run->cli->progress, "%s: %3.0f %%, %.1f kB/s", p->name,
                      100.0 * (double)content / (double)p->size, rate);
    else
        progress_show(&p->run->cli->progress, "%s: %.1f MB, %.1f kB/s", p->name,
                      (double)content / 1e6, rate);
}

static void tell(const passage *p, const octet_compress_report *r) {
    double seconds = now() - p->start;
    cli_detail(p->run->cli, "%s: %llu %s %llu bytes, %.4f bits per byte, %.1f kB/s", p->name,
               (unsigned long long)r->content, p->run->decompress ? "from" : "to",
               (unsigned long long)r->compressed,
               r->content ? 8 * (double)r->compressed / (double)r->content : 0,
               seconds > 0 ? (double)r->content / seconds / 1e3 : 0);
}

/* --- names and files --- */

/* The output's name; NULL after an error. The caller frees it. */
static char *name_output(compress_run *run, const char *name) {
    size_t n = strlen(name), suffix = strlen(SUFFIX);
    char *made = malloc(n + suffix + 1);
    int has = n > suffix && !strcmp(name + n - suffix, SUFFIX);
    if (!made) {
        cli_error(run->cli, "%s: no memory", name);
        return NULL;
    }
    strcpy(made, name);
    if (run->decompress && has)
        made[n - suffix] = '\0';
    else if (!run->decompress)
        strcat(made, SUFFIX);
    if (run->decompress != has) {
        cli_error(run->cli,
                  run->decompress ? "%s: the name does not end with " SUFFIX ": -o names the output"
                                  : "%s: the name ends with " SUFFIX
                                    " already: -o names the output",
                  name);
        free(made);
        return NULL;
    }
    return made;
}

static int open_input(passage *p, const char *name, struct stat *st) {
    compress_run *run = p->run;
    int is_standard = !strcmp(name, "-");
    p->name = is_standard ? "standard input" : name;
    p->fd = is_standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    int wrong = p->fd < 0 || fstat(p->fd, st) ? errno : S_ISDIR(st->st_mode) ? EISDIR : 0;
    if (wrong) {
        cli_error(run->cli, "%s: %s", p->name, strerror(wrong));
        if (p->fd >= 0 && !is_standard)
            close(p->fd);
        return -1;
    }
    p->size = S_ISREG(st->st_mode) ? (int64_t)st->st_size : -1;
    return 0;
}

/* Whether the output may be begun. */
static int may_write(compress_run *run, const char *path) {
    struct stat st;
    int is_standard = !strcmp(path, "-");
    if (run->force)
        return 1;
    if (is_standard && !run->decompress && isatty(STDOUT_FILENO)) {
        cli_error(run->cli, "compressed bytes are not written to a terminal (-f does it)");
        return 0;
    }
    if (is_standard || stat(path, &st) || !S_ISREG(st.st_mode))
        return 1;
    cli_error(run->cli, "%s: the file exists (-f replaces it)", path);
    return 0;
}

/* The new file has the mode and the time of the old one, where the system allows that. */
static void copy_attributes(const output *out, const struct stat *st) {
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (!out->temporary)
        return;
    (void)!fchmod(out->fd, st->st_mode & 0777);
    (void)!futimens(out->fd, times);
}

/* The source goes when the output's name has reached the disk. */
static int remove_source(const char *name, const char *made) {
    char *copy = strdup(made);
    int folder = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int wrong = folder < 0 || fsync(folder) || unlink(name) ? errno : 0;
    if (folder >= 0)
        close(folder);
    free(copy);
    return wrong;
}

/* --- one file --- */

static octet_status pass(passage *p, octet_error *error) {
    compress_run *run = p->run;
    octet_compress_report report;
    const octet_io io = {.read = read_bytes,
                         .write = write_bytes,
                         .context = p,
                         .name = p->name,
                         .progress = show_progress,
                         .stop = run->stop};
    p->start = now();
    octet_status status = run->decompress
                              ? octet_decompress(run->model, &io, &report, error)
                              : octet_compress(run->model, &run->params, &io, &report, error);
    progress_clear(&run->cli->progress);
    if (!status)
        tell(p, &report);
    return status;
}

static void print_info(compress_run *run, const char *name, const octet_compressed_info *info) {
    const octet_compress_report *r = &info->sizes;
    double bpb = r->content ? 8 * (double)r->compressed / (double)r->content : 0;
    if (!run->rows) {
        output_print(&run->cli->out, "%12llu %12llu %8.4f %7llu  %s  ",
                     (unsigned long long)r->compressed, (unsigned long long)r->content, bpb,
                     (unsigned long long)r->blocks, info->fingerprint);
        output_plain(&run->cli->out, name);
        output_print(&run->cli->out, "\n");
        return;
    }
    json_t *row =
        json_pack("{s:o, s:I, s:I, s:o, s:I, s:I, s:s, s:s}", "path", cli_json_text(name),
                  "compressed", (json_int_t)r->compressed, "bytes", (json_int_t)r->content, "bpb",
                  cli_json_number(bpb), "blocks", (json_int_t)r->blocks, "stored",
                  (json_int_t)r->stored, "model", info->fingerprint, "profile", info->profile);
    if (!row || json_array_append_new(run->rows, row))
        run->code = 1;
}

static octet_status list_file(passage *p, octet_error *error) {
    octet_compressed_info info;
    const octet_io io = {.read = read_bytes, .context = p, .name = p->name, .stop = p->run->stop};
    octet_status status = octet_compressed_describe(&info, &io, error);
    if (!status)
        print_info(p->run, p->name, &info);
    return status;
}

static octet_status finish_file(compress_run *run, const char *name, const char *path, output *file,
                                const struct stat *st, octet_status status, octet_error *error) {
    int from_file = strcmp(name, "-") != 0;
    output_flush(file);
    if (from_file && !status)
        copy_attributes(file, st);
    output_close(file, !status && !*run->stop);
    if (!status && file->error)
        status = fail(error, path, file->error);
    if (!status && run->remove_source && from_file) {
        int wrong = remove_source(name, path);
        if (wrong)
            status = fail(error, name, wrong);
    }
    return status;
}

static int run_file(compress_run *run, const char *name) {
    passage p = {.run = run};
    struct stat st;
    output file;
    octet_error error = {0};
    char *made = NULL;
    const char *path = run->out_name ? run->out_name : NULL;
    int writes = !run->list && !run->test;
    if (writes && !path && (run->to_stdout || !strcmp(name, "-")))
        path = "-";
    if (writes && !path)
        path = made = name_output(run, name);
    if ((writes && (!path || !may_write(run, path))) || open_input(&p, name, &st)) {
        free(made);
        return 1;
    }
    octet_status status = OCTET_OK;
    int to_file = writes && strcmp(path, "-") != 0;
    if (to_file && output_open(&file, path))
        status = fail(&error, path, file.error);
    p.out = to_file ? &file : writes ? &run->cli->out : NULL;
    if (!status)
        status = run->list ? list_file(&p, &error) : pass(&p, &error);
    if (to_file && file.fd >= 0)
        status = finish_file(run, name, path, &file, &st, status, &error);
    if (p.fd != STDIN_FILENO)
        close(p.fd);
    free(made);
    error.code = status;
    return status ? cli_fail(run->cli, &error) : 0;
}

/* --- the commands --- */

static int parse(compress_run *run, int *argc, char **argv) {
    option table[] = {
        {.name = "model",
         .letter = 'm',
         .kind = OPTION_PATH,
         .value = &run->model_name,
         .argument = "MODEL",
         .help = "checkpoint, directory of a run, or bundled model (default: text)"},
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
        {.name = "streams",
         .kind = OPTION_INTEGER,
         .value = &run->streams,
         .min = 1,
         .max = 4096,
         .argument = "N",
         .help = "streams of a block: more decode faster and cost ratio (default: one for\n16 KiB, "
                 "up to 64)"},
        {.name = "block",
         .kind = OPTION_INTEGER,
         .value = &run->block,
         .min = 1024,
         .max = 1 << 26,
         .argument = "BYTES",
         .help = "content of a block (default: 1 MiB)"},
        OPTION_PROFILE(run->profile, "f32"),
    };
    const option_usage *usage = run->decompress ? &usage_of_decompress : &usage_of_compress;
    int n = (int)(sizeof table / sizeof *table);
    /* the last three are of coding only */
    int code = options_parse(run->cli, usage, table, run->decompress ? n - 3 : n, argc, argv);
    if (run->threads && !run->cli->threads)
        run->cli->threads = run->threads;
    return code;
}

/* What is wrong with the command line as a whole; NULL: nothing. */
static const char *check(const compress_run *run, int n_files) {
    if (run->out_name && n_files > 1)
        return "-o goes with one FILE only";
    if (run->out_name && run->to_stdout)
        return "-o and -c exclude each other";
    if (run->list && run->test)
        return "--list and --test exclude each other";
    if (run->remove_source && (run->keep_source || run->to_stdout || run->list || run->test))
        return "--rm goes with none of -k, -c, -l and -t";
    return NULL;
}

static int run_command(compress_run *run, int argc, char **argv) {
    static char standard[] = "-";
    char *only[] = {standard};
    octet_error error = {0};
    int code = parse(run, &argc, argv);
    if (code >= 0)
        return code;
    const char *wrong = check(run, argc);
    if (wrong) {
        cli_error(run->cli, "%s", wrong);
        return 1;
    }
    run->decompress |= run->test;
    run->params = (octet_compress_params){
        (int)run->streams, run->block, -1, cli_profile(run->profile)};
    run->stop = signals_defer();
    if (!run->list && cli_open(run->cli, run->model_name, &run->runtime, &run->model, &error))
        return cli_fail(run->cli, &error);
    if (run->list && run->cli->json)
        run->rows = json_array();
    else if (run->list)
        output_print(&run->cli->out, "%12s %12s %8s %7s  %-32s  file\n", "compressed", "bytes",
                     "bpb", "blocks", "model");
    for (int i = 0; i < (argc ? argc : 1) && !*run->stop; i++) {
        code = run_file(run, argc ? argv[i] : only[0]);
        run->code = code > run->code ? code : run->code;
    }
    if (run->rows)
        cli_json_print(run->cli, &run->cli->out, run->rows);
    cli_close(&run->runtime, &run->model);
    return *run->stop ? cli_exit_code(OCTET_STOPPED) : run->code;
}

int cli_compress(cli *c, int argc, char **argv) {
    compress_run run = {.cli = c};
    return run_command(&run, argc, argv);
}

int cli_decompress(cli *c, int argc, char **argv) {
    compress_run run = {.cli = c, .decompress = 1};
    return run_command(&run, argc, argv);
}
