/* options.c: see options.h. */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_COMMON 5
#define MAX_OPTIONS 32
#define HELP_COLUMN 24

typedef struct parser {
    cli *cli;
    const option_usage *usage;
    option common[N_COMMON];
    option *all[MAX_OPTIONS];
    int n, help;
    char **argv;
    int argc, at;
} parser;

static void parser_init(parser *p, cli *c, option *own, int n_own) {
    const option common[N_COMMON] = {
        {.name = "threads",
         .kind = OPTION_INTEGER,
         .value = &c->threads,
         .min = 1,
         .max = 256,
         .argument = "N",
         .help = "threads (default: OCTET_THREADS, else the processors); no result depends on it"},
        {.name = "json", .kind = OPTION_FLAG, .value = &c->json, .help = "print JSON"},
        {.name = "quiet",
         .letter = 'q',
         .kind = OPTION_FLAG,
         .value = &c->quiet,
         .help = "no progress and no remarks"},
        {.name = "verbose",
         .letter = 'v',
         .kind = OPTION_FLAG,
         .value = &c->verbose,
         .help = "more remarks"},
        {.name = "help",
         .letter = 'h',
         .kind = OPTION_FLAG,
         .value = &p->help,
         .help = "show this help"},
    };
    p->cli = c;
    p->n = p->help = 0;
    memcpy(p->common, common, sizeof common);
    for (int i = 0; i < n_own && p->n < MAX_OPTIONS - N_COMMON; i++)
        p->all[p->n++] = &own[i];
    for (int i = 0; i < N_COMMON; i++)
        p->all[p->n++] = &p->common[i];
}

/* --- help --- */

static void help_row(output *out, const option *o) {
    char left[64];
    int used = o->letter ? snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name)
                         : snprintf(left, sizeof left, "      --%s", o->name);
    if (o->argument)
        used += snprintf(left + used, sizeof left - (size_t)used, " %s", o->argument);
    output_print(out, "%-*s", HELP_COLUMN, left);
    if (used >= HELP_COLUMN)
        output_print(out, "\n%*s", HELP_COLUMN, "");
    for (const char *line = o->help; line;) {
        const char *end = strchr(line, '\n');
        output_print(out, " %.*s\n", end ? (int)(end - line) : (int)strlen(line), line);
        line = end ? end + 1 : NULL;
        if (line)
            output_print(out, "%*s", HELP_COLUMN, "");
    }
}

static int show_help(const parser *p) {
    output *out = &p->cli->out;
    output_print(out, "usage: octet %s %s\n\n%s\n\noptions:\n", p->cli->command, p->usage->synopsis,
                 p->usage->summary);
    for (int i = 0; i < p->n; i++)
        help_row(out, p->all[i]);
    output_print(out, "\nexamples:\n%s\n", p->usage->examples);
    return cli_finish(p->cli, out, 0);
}

/* --- values --- */

static int read_integer(const option *o, const char *text) {
    char *end;
    const char *digits = text + (*text == '-');
    if (!isdigit((unsigned char)*digits))
        return 0;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (*end || errno || (double)n < o->min || (double)n > o->max)
        return 0;
    *(int64_t *)o->value = n;
    return 1;
}

static int read_real(const option *o, const char *text) {
    char *end;
    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return 0;
    double x = strtod(text, &end);
    if (*end || end == text || !isfinite(x) || x < o->min || x > o->max)
        return 0;
    *(double *)o->value = x;
    return 1;
}

static int read_word(const option *o, const char *text) {
    const char *word = o->words;
    size_t n = strlen(text);
    while (n && (word = strstr(word, text))) {
        if ((word == o->words || word[-1] == '|') && (word[n] == '|' || !word[n])) {
            *(const char **)o->value = text;
            return 1;
        }
        word++;
    }
    return 0;
}

static int append(const parser *p, const option *o, const char *text) {
    option_list *list = o->value;
    if (!list->items) /* as many as there can be */
        list->items = calloc((size_t)p->argc, sizeof *list->items);
    if (!list->items)
        return 0;
    list->items[list->n++] = text;
    return 1;
}

static int bad(const parser *p, const option *o, const char *label, const char *text) {
    if (o->kind == OPTION_WORD)
        cli_error(p->cli, "%s: \"%s\" is none of %s", label, text, o->words);
    else if (o->kind == OPTION_INTEGER && o->max >= OPTION_NO_LIMIT)
        cli_error(p->cli, "%s: \"%s\" is not a whole number from %.0f up", label, text, o->min);
    else if (o->kind == OPTION_INTEGER)
        cli_error(p->cli, "%s: \"%s\" is not a whole number from %.0f to %.0f", label, text, o->min,
                  o->max);
    else if (o->kind == OPTION_REAL)
        cli_error(p->cli, "%s: \"%s\" is not a number from %g to %g", label, text, o->min, o->max);
    else
        cli_error(p->cli, "%s: empty %s", label, o->argument);
    return -1;
}

static int assign(const parser *p, option *o, const char *label, const char *text) {
    int ok = 1;
    if (o->given && o->kind != OPTION_PATHS) {
        cli_error(p->cli, "%s: given twice", label);
        return -1;
    }
    o->given = 1;
    if (o->kind == OPTION_FLAG)
        *(int *)o->value = 1;
    else if (o->kind == OPTION_INTEGER)
        ok = read_integer(o, text);
    else if (o->kind == OPTION_REAL)
        ok = read_real(o, text);
    else if (o->kind == OPTION_WORD)
        ok = read_word(o, text);
    else if (o->kind != OPTION_TEXT && !*text)
        ok = 0;
    else if (o->kind == OPTION_PATHS)
        ok = append(p, o, text);
    else
        *(const char **)o->value = text;
    return ok ? 0 : bad(p, o, label, text);
}

/* --- words of the command line --- */

static option *find_long(const parser *p, const char *name, size_t n) {
    for (int i = 0; i < p->n; i++)
        if (strlen(p->all[i]->name) == n && !memcmp(p->all[i]->name, name, n))
            return p->all[i];
    return NULL;
}

static option *find_short(const parser *p, char letter) {
    for (int i = 0; i < p->n; i++)
        if (letter && p->all[i]->letter == letter)
            return p->all[i];
    return NULL;
}

/* Is text an option of this command, and so hardly meant as another one's value? */
static int is_option(const parser *p, const char *text) {
    if (!strncmp(text, "--", 2))
        return find_long(p, text + 2, strcspn(text + 2, "=")) != NULL;
    return text[0] == '-' && text[1] && !text[2] && find_short(p, text[1]);
}

/* The next word as the value of an option. */
static const char *next_value(parser *p, const option *o, const char *label) {
    const char *text = p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL;
    if (!text) {
        cli_error(p->cli, "%s: needs a value (%s)", label, o->argument);
        return NULL;
    }
    if (is_option(p, text)) {
        cli_error(p->cli, "%s: needs a value (%s), found %s; write --%s=%s if you mean it", label,
                  o->argument, text, o->name, text);
        return NULL;
    }
    p->at++;
    return text;
}

static int unknown(const parser *p, const char *text) {
    const char *names[MAX_OPTIONS];
    char word[64];
    for (int i = 0; i < p->n; i++)
        names[i] = p->all[i]->name;
    int dashes = (int)strspn(text, "-"), n = (int)strcspn(text + dashes, "=");
    snprintf(word, sizeof word, "%.*s", n, text + dashes);
    const char *near = dashes == 2 ? cli_nearest(word, names, p->n) : NULL;
    if (near)
        cli_error(p->cli, "unknown option %s; did you mean --%s?", text, near);
    else
        cli_error(p->cli, "unknown option %s (see octet %s --help)", text, p->cli->command);
    return -1;
}

static int parse_long(parser *p, const char *text) {
    char label[64];
    const char *name = text + 2;
    size_t n = strcspn(name, "=");
    option *o = find_long(p, name, n);
    if (!o)
        return unknown(p, text);
    const char *value = name[n] ? name + n + 1 : NULL;
    snprintf(label, sizeof label, "--%s", o->name);
    if (o->kind == OPTION_FLAG && value) {
        cli_error(p->cli, "%s: takes no value, got \"%s\"", label, value);
        return -1;
    }
    if (o->kind != OPTION_FLAG && !value && !(value = next_value(p, o, label)))
        return -1;
    return assign(p, o, label, value);
}

/* One or more letters; what follows the letter of an option with a value is that value. */
static int parse_short(parser *p, const char *text) {
    for (const char *letter = text + 1; *letter; letter++) {
        char label[] = {'-', *letter, '\0'};
        option *o = find_short(p, *letter);
        const char *value = NULL;
        if (!o)
            return unknown(p, text);
        if (o->kind == OPTION_FLAG) {
            if (assign(p, o, label, NULL))
                return -1;
            continue;
        }
        value = letter[1] ? letter + 1 : next_value(p, o, label);
        return value ? assign(p, o, label, value) : -1;
    }
    return 0;
}

int options_parse(cli *c, const option_usage *usage, option *own, int n_own, int *argc,
                  char **argv) {
    parser p = {.usage = usage, .argv = argv, .argc = *argc};
    int operands = 0, ended = 0, result = 0;
    parser_init(&p, c, own, n_own);
    for (; p.at < p.argc && !result && !p.help; p.at++) {
        char *text = argv[p.at];
        if (ended || text[0] != '-' || !text[1])
            argv[operands++] = text;
        else if (!strcmp(text, "--"))
            ended = 1;
        else
            result = text[1] == '-' ? parse_long(&p, text) : parse_short(&p, text);
    }
    if (!result && p.help)
        return show_help(&p);
    if (!result && c->quiet && c->verbose) {
        cli_error(c, "--quiet and --verbose exclude each other");
        result = -1;
    }
    for (int i = 0; i < operands && !result; i++) {
        if (!*argv[i]) {
            cli_error(c, "\"\": empty file name");
            result = -1;
        }
    }
    if (result)
        return 1;
    *argc = operands;
    progress_init(&c->progress, c->quiet);
    return -1;
}
