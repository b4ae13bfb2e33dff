/* cli_train.c: octet train: a model from files of bytes.
 *
 * The library runs the run; here its events become a progress line, remarks and one result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/signals.h"

static const option_usage usage = {
    "DATA... -c CONFIG -o DIR [--from MODEL] [--steps N | --minutes M] [--resume]",
    "Trains a model on the bytes of files and directories. DIR receives best.safetensors (lowest\n"
    "validation loss), last.safetensors (everything needed to go on) and log.jsonl. Ctrl-C saves\n"
    "and stops; --resume goes on, to the same bits as if never stopped.",
    "  octet train book.txt -c samples/tiny.json -o run/tiny --steps 500\n"
    "  octet train texts/ -c model.json -o run/a --minutes 30 --valid held-out.txt\n"
    "  octet train texts/ -o run/a --resume\n"
    "  octet train letters/ --from text -o run/letters --minutes 5 --lr 0.004",
};

typedef struct train_run {
    cli *cli;
    const char *out;
    int64_t step, bytes;
    double best_bpb, bytes_per_s;
    int warned;
} train_run;

static void show_step(train_run *run, const octet_train_event *e) {
    char rate[PROGRESS_TEXT], left[PROGRESS_TEXT], of[40] = "";
    progress *p = &run->cli->progress;
    run->bytes_per_s = e->bytes_per_s;
    if (!progress_due(p))
        return;
    if (e->steps)
        snprintf(of, sizeof of, "/%lld", (long long)e->steps);
    progress_rate(rate, e->bytes_per_s);
    if (e->seconds_left >= 0)
        progress_show(p, "step %lld%s  %.3f bpb  %s  %s left", (long long)e->step, of, e->bpb, rate,
                      progress_time(left, e->seconds_left));
    else
        progress_show(p, "step %lld%s  %.3f bpb  %s", (long long)e->step, of, e->bpb, rate);
}

static void say_validation(const train_run *run, const octet_train_event *e) {
    char rate[PROGRESS_TEXT], left[PROGRESS_TEXT] = "?";
    if (e->seconds_left >= 0)
        progress_time(left, e->seconds_left);
    cli_remark(run->cli,
               "step %lld of %lld: validation %.4f bits per byte (best %.4f), %s, %s left",
               (long long)e->step, (long long)e->steps, e->bpb, e->best_bpb,
               progress_rate(rate, run->bytes_per_s), left);
}

static void report(void *context, const octet_train_event *e) {
    train_run *run = context;
    cli *c = run->cli;
    run->step = e->step;
    run->bytes = e->bytes;
    if (e->best_bpb > 0)
        run->best_bpb = e->best_bpb;
    switch (e->kind) {
    case OCTET_TRAIN_STARTED:
        if (e->text)
            cli_remark(c, "%s", e->text);
        else if (e->step)
            cli_remark(c, "going on at step %lld of %lld", (long long)e->step, (long long)e->steps);
        break;
    case OCTET_TRAIN_STEP:
        show_step(run, e);
        break;
    case OCTET_TRAIN_VALIDATED:
        say_validation(run, e);
        break;
    case OCTET_TRAIN_SAVED:
        cli_detail(c, "saved at step %lld", (long long)e->step);
        break;
    case OCTET_TRAIN_WARNING:
        run->warned = 1;
        cli_error(c, "warning: %s", e->text);
        break;
    case OCTET_TRAIN_FINISHED:
        progress_clear(&c->progress);
        break;
    case OCTET_TRAIN_REMARK:
        cli_remark(c, "%s", e->text);
        break;
    }
}

/* The result: one line, or one object. */
static void print_result(const train_run *run, int finished) {
    cli *c = run->cli;
    char best[4200], last[4200];
    snprintf(best, sizeof best, "%s/best.safetensors", run->out);
    snprintf(last, sizeof last, "%s/last.safetensors", run->out);
    int validated = run->best_bpb > 0 && !access(best, F_OK);
    if (c->json) {
        json_t *result =
            json_pack("{s:b, s:I, s:I, s:o, s:o, s:o}", "finished", finished, "steps",
                      (json_int_t)run->step, "bytes", (json_int_t)run->bytes, "best_bpb",
                      validated ? cli_json_number(run->best_bpb) : json_null(), "best",
                      validated ? cli_json_text(best) : json_null(), "last", cli_json_text(last));
        cli_json_print(c, &c->out, result);
        return;
    }
    if (validated)
        output_print(&c->out, "best %.4f bits per byte  ", run->best_bpb);
    else
        output_print(&c->out, "%lld steps, never validated  ", (long long)run->step);
    output_plain(&c->out, validated ? best : last);
    output_print(&c->out, "\n");
}

static int train(cli *c, octet_train_params *params, octet_matmul matmul) {
    train_run run = {.cli = c, .out = params->out};
    octet_runtime *runtime;
    octet_error error = {0};
    if (cli_runtime(c, matmul, &runtime, &error))
        return cli_fail(c, &error);
    params->stop = signals_defer();
    octet_status status = octet_train(runtime, params, report, &run, &error);
    octet_runtime_destroy(&runtime);
    if (status == OCTET_STOPPED)
        cli_remark(c, "stopped at step %lld; %s/last.safetensors is saved, --resume goes on",
                   (long long)run.step, run.out);
    if (status == OCTET_OK || status == OCTET_WARNING)
        print_result(&run, 1);
    else if (status == OCTET_STOPPED && c->json)
        print_result(&run, 0);
    if (status)
        return cli_fail(c, &error);
    return run.warned ? OCTET_WARNING : 0;
}

typedef struct train_options {
    octet_train_params params;
    option_list valid;
    int64_t batch;
    const char *matmul;
} train_options;

static int parse(cli *c, train_options *t, int *argc, char **argv) {
    octet_train_params *p = &t->params;
    int64_t seed = 0;
    option table[] = {
        {.name = "config",
         .letter = 'c',
         .kind = OPTION_PATH,
         .value = &p->config,
         .argument = "CONFIG",
         .help = "the model's configuration, JSON (default with --resume: the\n"
                 "checkpoint's, with --from: the model's)"},
        OPTION_DEVICE,
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &p->out,
         .argument = "DIR",
         .help = "directory of the run; made if missing"},
        {.name = "from",
         .kind = OPTION_PATH,
         .value = &p->from,
         .argument = "MODEL",
         .help = "start with the weights of a checkpoint, directory of a run, or\n"
                 "bundled model (default: fresh ones)"},
        {.name = "resume",
         .kind = OPTION_FLAG,
         .value = &p->resume,
         .help = "go on from DIR/last.safetensors; without one start at step 0"},
        {.name = "steps",
         .kind = OPTION_INTEGER,
         .value = &p->steps,
         .min = 1,
         .max = 1e9 - 1,
         .argument = "N",
         .help = "steps in all (default: the configuration's)"},
        {.name = "minutes",
         .kind = OPTION_REAL,
         .value = &p->minutes,
         .min = 0.001,
         .max = 525600,
         .argument = "M",
         .help = "as many steps as fit, measured after the first 20"},
        {.name = "batch",
         .kind = OPTION_INTEGER,
         .value = &t->batch,
         .min = 1,
         .max = 65536,
         .argument = "B",
         .help = "sequences a step (default: the configuration's)"},
        {.name = "lr",
         .kind = OPTION_REAL,
         .value = &p->lr,
         .min = 1e-9,
         .max = 100,
         .argument = "X",
         .help = "peak learning rate (default: the configuration's)"},
        {.name = "warmup",
         .kind = OPTION_INTEGER,
         .value = &p->warmup,
         .min = 0,
         .max = 1e9,
         .argument = "N",
         .help = "steps until the peak (default: the configuration's)"},
        {.name = "seed",
         .kind = OPTION_INTEGER,
         .value = &seed,
         .min = 0,
         .max = OPTION_NO_LIMIT,
         .argument = "S",
         .help = "of weights and data order (default: 0)"},
        {.name = "valid",
         .kind = OPTION_PATHS,
         .value = &t->valid,
         .argument = "FILE",
         .help = "validation data, also several times (default: a held-out tail of\n"
                 "each training file)"},
        {.name = "valid-bytes",
         .kind = OPTION_INTEGER,
         .value = &p->valid_bytes,
         .min = 1,
         .max = OPTION_NO_LIMIT,
         .argument = "N",
         .help = "bytes of each validation (default: 262144)"},
        {.name = "valid-every",
         .kind = OPTION_INTEGER,
         .value = &p->valid_every,
         .min = 1,
         .max = 1e9,
         .argument = "N",
         .help = "steps between validations (default: about 20 a run)"},
        {.name = "matmul",
         .kind = OPTION_WORD,
         .value = &t->matmul,
         .words = "exact|openblas|f16",
         .argument = "WHICH",
         .help = "exact (default): equal bits everywhere; openblas: no bits promised;\n"
                 "f16: factors of 16 bits, on a device with cooperative matrices"},
    };
    p->warmup = -1;
    int code = options_parse(c, &usage, table, sizeof table / sizeof *table, argc, argv);
    p->seed = (uint64_t)seed;
    p->batch = (int)t->batch;
    p->valid = t->valid.items;
    p->n_valid = t->valid.n;
    p->data = (const char *const *)argv;
    p->n_data = *argc;
    return code;
}

static octet_matmul matmul_of(const char *word) {
    return !strcmp(word, "openblas") ? OCTET_MATMUL_OPENBLAS
           : !strcmp(word, "f16")    ? OCTET_MATMUL_F16
                                     : OCTET_MATMUL_EXACT;
}

int cli_train(cli *c, int argc, char **argv) {
    train_options t = {.matmul = "exact"};
    const char *wrong = NULL;
    int code = parse(c, &t, &argc, argv);
    if (code < 0) {
        if (argc == 0)
            wrong = "needs at least one file or directory of DATA";
        else if (!t.params.out)
            wrong = "needs -o DIR, the directory of the run";
        else if (!t.params.config && !t.params.from && !t.params.resume)
            wrong = "needs -c CONFIG (samples/tiny.json is a small one) or --from MODEL";
        else if (t.params.steps && t.params.minutes > 0)
            wrong = "--steps and --minutes exclude each other";
        if (wrong)
            cli_error(c, "%s", wrong);
        code = wrong ? 1 : train(c, &t.params, matmul_of(t.matmul));
    }
    free(t.valid.items);
    return code;
}
